"""A frame as it came from a camera, a file or a screen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PixelFormat(Enum):
    """How the bytes of a pixel buffer are laid out."""

    BGR8 = "BGR8"
    RGB8 = "RGB8"
    BGRA8 = "BGRA8"
    RGBA8 = "RGBA8"
    GRAY8 = "GRAY8"
    NV12 = "NV12"
    I420 = "I420"
    YUYV = "YUYV"
    UYVY = "UYVY"


@dataclass(frozen=True, eq=False)
class PixelBuffer:
    """A frame: bytes and what they mean."""

    data: NDArray[np.uint8]
    format: PixelFormat
    width: int
    height: int
    stride: int
    orientation: int = 1
    timestamp_s: float = 0.0

    @classmethod
    def from_array(cls, array: NDArray[Any], format: PixelFormat | str = PixelFormat.BGR8, *,
                   orientation: int = 1, timestamp_s: float = 0.0) -> PixelBuffer:
        """Wrap (H, W, C) or (H, W) uint8 pixels, without copying when rows are contiguous."""
        raise NotImplementedError

    def to_bgr(self) -> NDArray[np.uint8]:
        """Upright (H, W, 3) BGR uint8 pixels."""
        raise NotImplementedError
