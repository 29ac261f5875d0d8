"""Decoders of still pictures, by what each does best.

OpenCV decodes the plain ones; what has transparency, inks (CMYK) or floats needs a second look.
HEIF and AVIF come through Pillow and ``pi-heif`` (libheif and libde265, without an encoder).
"""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.image.alpha import on_white
from twinlens.engine.image.exif import is_cmyk_tiff, jpeg_components
from twinlens.engine.image.headers import is_iso_still

Pixels = NDArray[np.uint8]
#: What Pillow's readers raise for files that are damaged; they check less than they promise.
PILLOW_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError),
    *(ArithmeticError, LookupError, struct.error),
)
# OpenCV 5 moved these functions.
_LOG: Any = getattr(cv2.utils, "logging", cv2)


def decode(data: bytes) -> Pixels | None:
    """Decode a picture of any kind that is read.

    Args:
        data: the file's contents, whose size was checked.

    Returns:
        (height, width, 3) uint8 B, G, R as stored (what Pillow decodes has no alpha left, and
        HEIF stands upright); None where nothing can decode it.
    """
    if not data:
        return None
    if _needs_pillow(data):
        return with_pillow(data)
    if data[:2] == b"\xff\xd8" or data[:2] == b"BM":
        return _opencv(data, cv2.IMREAD_COLOR)
    pixels = _opencv(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:  # a kind that it only reads with its own conversion
        pixels = _opencv(data, cv2.IMREAD_COLOR)
    return None if pixels is None else _to_bgr(pixels)


def jpeg_pixels(data: bytes) -> Pixels | None:
    """Decode a camera's JPEG; None for whatever is damaged, also where a decoder would go on.

    A decoder fills what is missing with grey and says nothing. So what has no end is decoded again
    by one that is strict.
    """
    start = data.find(b"\xff\xd8", 0, 64)
    if start < 0 or data.find(b"\xff\xda") < 0:  # no start of a picture, or of its pixels
        return None
    data = data[start:]
    pixels = _opencv(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or b"\xff\xd9" in data[-1024:]:
        return pixels
    return with_pillow(data)


def with_pillow(data: bytes) -> Pixels | None:
    """Decode by Pillow: (height, width, 3) uint8 B, G, R on white; None where it cannot."""
    import PIL.Image  # late: most pictures do not need it
    import PIL.ImageOps

    if is_iso_still(data):
        register_heif()
    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            # An AVIF's own turning (irot, imir) is handed on as EXIF's; a HEIC comes upright.
            upright = PIL.ImageOps.exif_transpose(image) if is_iso_still(data) else image
            return pillow_bgr(upright)
    except (*PILLOW_DAMAGE, PIL.Image.DecompressionBombError):
        return None


def pillow_bgr(image: Any) -> Pixels:
    """Pixels of a Pillow picture, on white where it is transparent."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _to_bgr(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return np.ascontiguousarray(on_white(rgba)[..., ::-1])
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _needs_pillow(data: bytes) -> bool:
    if data[:2] == b"\xff\xd8":
        return jpeg_components(data) == 4
    # OpenCV's GIFs keep what was transparent black; its TIFFs of inks are taken for alpha.
    return data[:3] == b"GIF" or is_iso_still(data) or is_cmyk_tiff(data)


def register_heif() -> None:
    """Let Pillow open HEIF pictures."""
    from pi_heif import register_heif_opener  # late: as Pillow

    register_heif_opener(thumbnails=False)


def _opencv(data: bytes, flags: int) -> Pixels | None:
    level = _LOG.getLogLevel()
    _LOG.setLogLevel(0)  # silent: the error says it
    try:
        read = np.frombuffer(data, np.uint8)
        return cv2.imdecode(read, flags | cv2.IMREAD_IGNORE_ORIENTATION)  # type: ignore[return-value]
    except cv2.error:  # for example a header whose size OpenCV itself refuses
        return None
    finally:
        _LOG.setLogLevel(level)


def _to_bgr(pixels: NDArray[Any]) -> Pixels:
    """Any number of channels of any type as 8-bit B, G, R on white."""
    eight = _eight_bits(pixels)
    if eight.ndim == 2 or eight.shape[2] == 1:
        return cv2.cvtColor(eight, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    if eight.shape[2] == 2:  # grey and alpha
        grey, alpha = eight[..., 0], eight[..., 1]
        return on_white(cv2.merge([grey, grey, grey, alpha]))  # type: ignore[arg-type]
    if eight.shape[2] == 4:
        return on_white(eight)
    return np.ascontiguousarray(eight[..., :3])


def _eight_bits(pixels: NDArray[Any]) -> Pixels:
    """Values as 0 to 255: whole numbers by their type's range, floats by what they hold.

    Floats are 0 to 1 by convention; where they are more, by 255, 65535 or else their own largest
    value. What is no number is black.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    most = float(values.max(initial=0.0))
    top = next((limit for limit in (1.0, 255.0, 65535.0) if most <= limit), most)
    if pixels.dtype.kind in "iu" and top < 255:  # whole numbers are never shares of one
        top = 255.0
    eight: Pixels = np.clip(values * (255 / top) + 0.5, 0, 255).astype(np.uint8)
    return eight
