"""A frame as it came from a camera, a file or a screen, and its way to upright BGR or RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.image.pixel_format import PixelFormat

MAX_SIDE = 32_768
"""Longest side of a picture in pixels; a longer one is a lying header or a mistake."""


_SUBSAMPLED = (PixelFormat.NV12, PixelFormat.I420, PixelFormat.YUYV, PixelFormat.UYVY)


@dataclass(frozen=True, eq=False)
class PixelBuffer:
    """A frame: bytes and what they mean.

    Attributes:
        data: uint8, one dimension, rows of ``stride`` bytes from the top as they lie in memory;
            the last row of a plane may end after its pixels.
        format: layout of the bytes.
        width: pixels in a stored row, before ``orientation`` is applied.
        height: stored rows.
        stride: bytes from one row of the first plane to the next.
        orientation: EXIF orientation 1–8 (EXIF 2.32, tag 0x0112): how the stored rows have to
            be turned to stand upright.
        timestamp_s: when the frame was captured, in seconds of the source's clock.

    Raises:
        ImageError: sizes, stride or the number of bytes do not fit each other.
    """

    data: NDArray[np.uint8]
    format: PixelFormat
    width: int
    height: int
    stride: int
    orientation: int = 1
    timestamp_s: float = 0.0

    def __post_init__(self) -> None:
        name, size = self.format.value, f"{self.width}×{self.height}"
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE):
            raise ImageError(f"pixel buffer of {size}: sides must be 1 to {MAX_SIDE} pixels")
        if self.format in _SUBSAMPLED and self.width % 2:
            raise ImageError(f"{name} buffer of {size}: the width must be even")
        if self.format.is_planar and (self.height % 2 or self.stride % 2):
            raise ImageError(f"{name} buffer of {size}: height and stride must be even")
        if self.stride < self.row_bytes:
            raise ImageError(
                f"{name} buffer of {size}: stride {self.stride} is less than a row's "
                f"{self.row_bytes} bytes"
            )
        if not 1 <= self.orientation <= 8:
            raise ImageError(f"orientation {self.orientation} is not one of EXIF's 1 to 8")
        if self.data.dtype != np.uint8 or self.data.ndim != 1:
            raise ImageError(
                f"pixel data must be one dimension of uint8, not {self.data.ndim} of "
                f"{self.data.dtype}"
            )
        if not self.data.flags.c_contiguous:  # rows() would read beyond a reversed view
            raise ImageError("pixel data must be contiguous, not a view with steps")
        if self.data.size < self.required_bytes:
            raise ImageError(
                f"{name} buffer of {size} with stride {self.stride} needs "
                f"{self.required_bytes} bytes, received {self.data.size}"
            )

    @property
    def row_bytes(self) -> int:
        """Bytes of the pixels in one row of the first plane."""
        return self.width * self.format.bytes_per_pixel

    @property
    def required_bytes(self) -> int:
        """Least number of bytes that hold the frame."""
        first = (self.height - 1) * self.stride + self.row_bytes
        if self.format is PixelFormat.NV12:
            return self.height * self.stride + (self.height // 2 - 1) * self.stride + self.width
        if self.format is PixelFormat.I420:
            chroma = self.stride // 2
            return self.height * self.stride + (self.height - 1) * chroma + self.width // 2
        return first

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after ``orientation`` is applied."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height

    @classmethod
    def from_array(
        cls,
        array: NDArray[Any],
        format: PixelFormat | str = PixelFormat.BGR8,
        *,
        orientation: int = 1,
        timestamp_s: float = 0.0,
    ) -> PixelBuffer:
        """Wrap uint8 pixels, without copying when the pixels of a row lie side by side.

        Args:
            array: (height, width, channels) or (height, width) for packed formats, where YUYV
                and UYVY have 2 channels; (height · 3 / 2, width) for NV12 and I420.
            format: layout, by enum or name.
            orientation: EXIF orientation of the stored rows.
            timestamp_s: when it was captured.

        Raises:
            ImageError: shape or type do not fit the format; says which shape was expected.
        """
        format = _format(format)
        wanted = "(height × 3 / 2, width)" if format.is_planar else _shape_text(format)
        if array.dtype != np.uint8:
            raise ImageError(f"{format.value} pixels must be uint8, not {array.dtype}")
        channels = array.shape[2] if array.ndim == 3 else 1
        if array.ndim not in (2, 3) or channels != format.bytes_per_pixel or array.size == 0:
            raise ImageError(f"{format.value} pixels must be {wanted}, not {array.shape}")
        height = array.shape[0]
        if format.is_planar:
            if height % 3:
                raise ImageError(f"{format.value} pixels must be {wanted}, not {array.shape}")
            height = height * 2 // 3
        stride = array.strides[0]
        side_by_side = array[0].flags.c_contiguous and stride >= array[0].nbytes
        if not side_by_side or (format.is_planar and not array.flags.c_contiguous):
            array = np.ascontiguousarray(array)
            stride = array[0].nbytes
        used = (array.shape[0] - 1) * stride + array[0].nbytes
        data = np.lib.stride_tricks.as_strided(array, (used,), (1,), writeable=False)
        return cls(data, format, array.shape[1], height, stride, orientation, timestamp_s)

    def rows(self) -> NDArray[np.uint8]:
        """Stored pixels of a packed format, (height, width, channels); a view.

        GRAY8 has one channel, YUYV and UYVY two.
        """
        if self.format.is_planar:
            raise ImageError(f"{self.format.value} has planes, not packed rows")
        channels = self.format.bytes_per_pixel
        return np.lib.stride_tricks.as_strided(
            self.data,
            (self.height, self.width, channels),
            (self.stride, channels, 1),
            writeable=False,
        )

    def to_bgr(self) -> NDArray[np.uint8]:
        """Upright pixels, (height, width, 3) uint8 in B, G, R order; may share memory."""
        from twinlens.engine.image.pixels import stored_bgr, turn_upright

        return turn_upright(stored_bgr(self), self.orientation)

    def to_rgb(self) -> NDArray[np.uint8]:
        """Upright pixels, (height, width, 3) uint8 in R, G, B order; a fresh array."""
        return np.ascontiguousarray(self.to_bgr()[..., ::-1])


def _format(format: PixelFormat | str) -> PixelFormat:
    try:
        return PixelFormat(format)
    except ValueError:
        known = ", ".join(f.value for f in PixelFormat)
        raise ImageError(f"pixel format {format!r} is not one of {known}") from None


def _shape_text(format: PixelFormat) -> str:
    if format is PixelFormat.GRAY8:
        return "(height, width)"
    return f"(height, width, {format.bytes_per_pixel})"
