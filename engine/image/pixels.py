"""Colour conversion and turning of pixels, on OpenCV."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.image.pixel_format import PixelFormat

Pixels = NDArray[np.uint8]


class Stored(Protocol):
    """What is asked of a picture's bytes; ``PixelBuffer`` has it."""

    @property
    def data(self) -> Pixels:
        """The bytes."""
        ...

    @property
    def format(self) -> PixelFormat:
        """What they mean."""
        ...

    @property
    def width(self) -> int:
        """Pixels in a row."""
        ...

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def stride(self) -> int:
        """Bytes from one row of the first plane to the next."""
        ...

    def rows(self) -> Pixels:
        """Pixels of a packed format, (height, width, channels)."""
        ...


_TO_BGR = {
    PixelFormat.RGB8: cv2.COLOR_RGB2BGR,
    PixelFormat.BGRA8: cv2.COLOR_BGRA2BGR,
    PixelFormat.RGBA8: cv2.COLOR_RGBA2BGR,
    PixelFormat.GRAY8: cv2.COLOR_GRAY2BGR,
    PixelFormat.YUYV: cv2.COLOR_YUV2BGR_YUYV,
    PixelFormat.UYVY: cv2.COLOR_YUV2BGR_UYVY,
}


def stored_bgr(buffer: Stored) -> Pixels:
    """Pixels as they are stored, (height, width, 3) B, G, R; shares memory for BGR8."""
    if buffer.format.is_planar:
        return planar_bgr(buffer, 0, 0, buffer.width, buffer.height)
    rows = buffer.rows()
    if buffer.format is PixelFormat.BGR8:
        return rows
    return cv2.cvtColor(rows, _TO_BGR[buffer.format])  # type: ignore[return-value]


def planar_bgr(buffer: Stored, x: int, y: int, width: int, height: int) -> Pixels:
    """Part of an NV12 or I420 buffer, (height, width, 3) B, G, R; all four numbers are even."""
    strided, stride = np.lib.stride_tricks.as_strided, buffer.stride
    luma = strided(buffer.data[y * stride + x :], (height, width), (stride, 1), writeable=False)
    chroma = buffer.data[buffer.height * stride :]
    half = (height // 2, width // 2)
    if buffer.format is PixelFormat.NV12:
        first = chroma[y // 2 * stride + x :]
        uv = strided(first, (*half, 2), (stride, 2, 1), writeable=False)
        return cv2.cvtColorTwoPlane(luma, uv, cv2.COLOR_YUV2BGR_NV12)  # type: ignore[return-value]
    # OpenCV takes I420 only without row padding, with the planes one behind the other.
    packed = np.empty((height * 3 // 2, width), np.uint8)
    packed[:height] = luma
    planes = packed.reshape(-1)[height * width :].reshape(2, *half)
    for index in range(2):
        start = (index * (buffer.height // 2) + y // 2) * (stride // 2) + x // 2
        planes[index] = strided(chroma[start:], half, (stride // 2, 1), writeable=False)
    return cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420)  # type: ignore[return-value]


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation to (height, width, ...) pixels; a view, or ``pixels`` itself.

    EXIF 2.32: 2 mirrored, 3 by 180°, 4 flipped, 5 transposed, 6 needs 90° clockwise,
    7 transversed, 8 needs 90° counter-clockwise.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
