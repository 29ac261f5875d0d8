"""How pixels lie in memory."""

from __future__ import annotations

from enum import Enum


class PixelFormat(Enum):
    """How the bytes of a pixel buffer are laid out.

    The YUV formats hold BT.601 limited-range values (Y 16–235, chroma 16–240), as cameras
    and OpenCV have them. Sizes: 4:2:0 needs an even width and height, 4:2:2 an even width.
    """

    BGR8 = "BGR8"
    RGB8 = "RGB8"
    BGRA8 = "BGRA8"
    RGBA8 = "RGBA8"
    GRAY8 = "GRAY8"
    NV12 = "NV12"
    """Y plane, then a plane of interleaved U and V at half the height and the same stride."""
    I420 = "I420"
    """Y plane, then U and V planes at half the height and half the stride."""
    YUYV = "YUYV"
    UYVY = "UYVY"

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one pixel in the first plane."""
        return _BYTES[self]

    @property
    def is_planar(self) -> bool:
        """Whether chroma lies in planes behind the first."""
        return self in (PixelFormat.NV12, PixelFormat.I420)


_BYTES = {
    PixelFormat.BGR8: 3,
    PixelFormat.RGB8: 3,
    PixelFormat.BGRA8: 4,
    PixelFormat.RGBA8: 4,
    PixelFormat.GRAY8: 1,
    PixelFormat.NV12: 1,
    PixelFormat.I420: 1,
    PixelFormat.YUYV: 2,
    PixelFormat.UYVY: 2,
}
