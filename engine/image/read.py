"""Pictures from files and bytes, guarded against headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.image.buffer import MAX_SIDE, PixelBuffer
from twinlens.engine.image.exif import jpeg_size, orientation_of, tiff_size

MAX_BYTES = 512 << 20
MAX_PIXELS = 100_000_000
"""A picture with more pixels is refused before it is decoded."""
_JPEG_PIXELS_PER_BYTE = 512
"""A Huffman-coded JPEG spends at least one bit on each block of 8 × 8 pixels (T.81, F.1.2)."""

# OpenCV 5 moved these functions.
_LOG: Any = getattr(cv2.utils, "logging", cv2)
_FORMATS_HINT = "Twinlens reads JPEG, PNG, WebP, BMP, GIF and TIFF pictures."


def read_image(source: str | Path | bytes) -> PixelBuffer:
    """Read a picture.

    Args:
        source: a path, or the bytes of a picture file.

    Returns:
        BGR8 pixels as stored, along with the EXIF orientation (TIFF comes upright from its
        decoder). Grey pictures become BGR, transparency is dropped, 16-bit values are scaled to
        8; of an animation, the first picture is read.

    Raises:
        ImageError: the file is missing, too large, no picture, or damaged; names it.
    """
    name, data = _bytes_of(source)
    _check_size(name, data)
    pixels = _decode(data)
    if pixels is None:
        raise ImageError(f"{name}: cannot be decoded as a picture", hint=_FORMATS_HINT)
    return PixelBuffer.from_array(pixels, orientation=orientation_of(data))


def _check_size(name: str, data: bytes) -> None:
    """Refuse what would make the decoder allocate memory for pixels that are not there."""
    size = declared_size(data)
    if size is None:  # OpenCV reads further formats, whose headers are not checked here
        raise ImageError(f"{name}: cannot be decoded as a picture", hint=_FORMATS_HINT)
    width, height = size
    is_bad = min(size) <= 0 or max(size) > MAX_SIDE or width * height > MAX_PIXELS
    if is_bad or (data[:2] == b"\xff\xd8" and width * height > _JPEG_PIXELS_PER_BYTE * len(data)):
        expected = (
            f"sides of 1 to {MAX_SIDE} and at most {MAX_PIXELS // 1_000_000} million"
            if is_bad
            else f"at most {_JPEG_PIXELS_PER_BYTE} for each of its {len(data)} bytes"
        )
        raise ImageError(
            f"{name}: its header says {width}×{height} pixels, expected {expected}",
            hint="The file is damaged, or too large for a classifier to need.",
        )


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in the header of a PNG, JPEG, GIF, BMP, WebP or TIFF file, if readable."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])  # PNG (third edition), 11.2.1
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])  # GIF89a, 18
    if data[:2] == b"BM" and len(data) >= 26:
        if data[14:18] == b"\x0c\0\0\0":  # the first kind of header, BITMAPCOREHEADER
            return struct.unpack("<HH", data[18:22])
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:2] == b"\xff\xd8":
        return jpeg_size(data)
    return tiff_size(data)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: the sizes of the three kinds of WebP files."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _bytes_of(source: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes", source
    path = Path(source)
    try:
        if path.exists() and not path.is_file():  # a folder, or a device that never ends
            raise ImageError(f"{path}: not a file")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(
                f"{path}: {path.stat().st_size >> 20} MiB, expected at most {MAX_BYTES >> 20}"
            )
        return str(path), path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def _decode(data: bytes) -> NDArray[np.uint8] | None:
    if not data:
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    level = _LOG.getLogLevel()
    _LOG.setLogLevel(0)  # silent: the error says it
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # for example a header whose size OpenCV itself refuses
        return None
    finally:
        _LOG.setLogLevel(level)
    return pixels  # type: ignore[return-value]
