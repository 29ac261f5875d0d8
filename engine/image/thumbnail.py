"""Small pictures of pictures, for display."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.resize import shrink


def thumbnail(buffer: PixelBuffer, width: int, height: int) -> NDArray[np.uint8]:
    """Scale a picture so that it just fits into a size, upright, with its own shape.

    Args:
        buffer: the picture.
        width, height: of what it has to fit into, in pixels; at least 1.

    Returns:
        (rows, columns, 3) uint8 B, G, R, in rows without gaps; one of both is what was given, the
        other one no larger.
    """
    pixels = buffer.to_bgr()
    tall, wide = pixels.shape[:2]
    ratio = min(width / wide, height / tall)
    size = max(1, round(wide * ratio)), max(1, round(tall * ratio))
    return np.ascontiguousarray(shrink(pixels, *size))
