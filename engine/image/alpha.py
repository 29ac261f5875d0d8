"""Transparent pictures, as they stand on paper."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a transparent picture on white.

    Args:
        pixels: (height, width, 4) uint8, colours not multiplied with alpha, alpha last.

    Returns:
        (height, width, 3) uint8 in the same order: (colour · alpha + 255 · (255 − alpha)) / 255.
    """
    alpha = pixels[..., 3]
    colours = np.ascontiguousarray(pixels[..., :3])
    if alpha.min() == 255:
        return colours
    wide = cv2.merge([alpha, alpha, alpha])
    over = cv2.multiply(colours, wide, scale=1 / 255)
    return cv2.add(over, cv2.bitwise_not(wide))  # type: ignore[return-value]
