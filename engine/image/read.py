"""Pictures from files and bytes, guarded against headers that lie."""

from __future__ import annotations

from pathlib import Path

from twinlens.engine.errors import ImageError
from twinlens.engine.files import reading, shown_name
from twinlens.engine.image.buffer import MAX_SIDE, PixelBuffer
from twinlens.engine.image.exif import orientation_of
from twinlens.engine.image.headers import declared_size
from twinlens.engine.image.stills import decode

MAX_BYTES = 512 << 20
MAX_PIXELS = 100_000_000
"""A picture with more pixels is refused before it is decoded."""
_JPEG_PIXELS_PER_BYTE = 512
"""A Huffman-coded JPEG spends at least one bit on each block of 8 × 8 pixels (T.81, F.1.2)."""

_MOST_LETTERS = 400
_FORMATS_HINT = "Twinlens reads JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF and TIFF pictures."


def read_image(source: str | Path | bytes) -> PixelBuffer:
    """Read a picture.

    Args:
        source: a path, or the bytes of a picture file.

    Returns:
        BGR8 pixels as stored, along with the EXIF orientation (TIFF and HEIF come upright from
        their decoders). Grey and CMYK pictures become BGR, transparent ones stand on white, 16-bit
        values and floats are scaled to 8; of an animation, the first picture is read.

    Raises:
        ImageError: the file is missing, too large, no picture, or damaged; names it.
    """
    name, data = _bytes_of(source)
    check_size(name, data)
    pixels = decode(data)
    if pixels is None:
        raise ImageError(f"{name}: cannot be decoded as a picture", hint=_FORMATS_HINT)
    return PixelBuffer.from_array(pixels, orientation=orientation_of(data))


def check_size(name: str, data: bytes) -> None:
    """Refuse what would make the decoder allocate memory for pixels that are not there."""
    size = declared_size(data)
    if size is None:  # decoders read further formats, whose headers are not checked here
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


def _bytes_of(source: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes", source
    path = Path(source)
    name = shown_name(str(path), _MOST_LETTERS)
    with reading(path, ImageError):
        if not path.exists():
            raise ImageError(f"{name}: no such file")
        if not path.is_file():  # a folder, or a device that never ends
            raise ImageError(f"{name}: not a file")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(
                f"{name}: {path.stat().st_size >> 20} MiB, expected at most {MAX_BYTES >> 20}"
            )
        return name, path.read_bytes()
