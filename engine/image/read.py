"""Pictures from files and bytes, guarded against headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.exif import jpeg_orientation, jpeg_size

MAX_BYTES = 512 << 20
MAX_PIXELS = 100_000_000
"""A picture with more pixels is refused before it is decoded."""

_FORMATS_HINT = "Twinlens reads JPEG, PNG, WebP, BMP, GIF and TIFF pictures."


def read_image(source: str | Path | bytes) -> PixelBuffer:
    """Read a picture.

    Args:
        source: a path, or the bytes of a picture file.

    Returns:
        BGR8 pixels as stored, with the EXIF orientation beside them. Grey pictures become BGR,
        transparency is dropped, 16-bit values are scaled to 8.

    Raises:
        ImageError: the file is missing, too large, no picture, or damaged; names it.
    """
    name, data = _bytes_of(source)
    size = declared_size(data)
    if size is not None:
        width, height = size
        if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
            raise ImageError(
                f"{name}: its header says {width}×{height} pixels, "
                f"expected at most {MAX_PIXELS // 1_000_000} million",
                hint="The file is damaged, or too large for a classifier to need.",
            )
    pixels = _decode(data)
    if pixels is None:
        raise ImageError(f"{name}: cannot be decoded as a picture", hint=_FORMATS_HINT)
    return PixelBuffer.from_array(pixels, orientation=jpeg_orientation(data))


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the header of a PNG, JPEG, GIF, BMP or WebP file gives, if readable."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])  # PNG (third edition), 11.2.1
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])  # GIF89a, 18
    if data[:2] == b"BM" and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:2] == b"\xff\xd8":
        return jpeg_size(data)
    return None


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
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # for example a header whose size OpenCV itself refuses
        return None
    return pixels  # type: ignore[return-value]
