"""From a decoder's frames to upright, progressive BGR pixels; FFmpeg's libraries do the work."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.image.alpha import on_white
from twinlens.engine.image.hdr import ToneMap
from twinlens.engine.image.pixels import turn_upright

# swscale's flags: its fast way rounds down, up to three levels too dark.
_BILINEAR = 2
_ACCURATE = _BILINEAR | 0x40000
_HAS_ALPHA = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8", "ayuv")
# Values of ITU-T H.273, table 3 and 4: transfer characteristics and matrix coefficients.
_PQ, _HLG = 16, 18
_BT709, _BT2020 = 1, (9, 10)
_FULL_RANGE = 2
# HDR pictures are mapped in floating point; no more pixels of them than a screen shows well.
_HDR_PIXELS = 1280 * 720


class FrameConverter:
    """Converts frames of one stream, whose size and form may change on the way."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter  # late: see ``video``

        self._reformatter: Any = VideoReformatter()
        self._deinterlacer: _Deinterlacer | None = None
        self._tone: ToneMap | None = None

    def progressive(self, frame: Any) -> Iterator[Any]:
        """The frame itself, or what becomes of it and those before where it is interlaced."""
        if self._deinterlacer is not None and not self._deinterlacer.fits(frame):
            yield from self.rest()
        if self._deinterlacer is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._deinterlacer = _Deinterlacer(frame)
        yield from self._deinterlacer.push(frame)

    def rest(self) -> Iterator[Any]:
        """What a deinterlacer still holds at the end."""
        deinterlacer, self._deinterlacer = self._deinterlacer, None
        if deinterlacer is not None:
            yield from deinterlacer.push(None)

    def convert(self, frame: Any) -> NDArray[np.uint8]:
        """Pixels of a progressive frame: (height, width, 3) uint8 B, G, R, upright; new memory."""
        transfer = int(getattr(frame, "color_trc", 0) or 0)
        if transfer in (_PQ, _HLG):
            pixels = self._convert_hdr(frame, hlg=transfer == _HLG)
        elif frame.format.name.startswith(_HAS_ALPHA):
            pixels = on_white(self._planes(frame, "bgra"))
        else:
            pixels = self._convert_plain(frame)
        turned = turn_upright(pixels, _orientation(frame))
        return np.ascontiguousarray(turned)

    def _convert_plain(self, frame: Any) -> NDArray[np.uint8]:
        full = int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")
        plain = int(frame.colorspace) != _BT709 and int(frame.colorspace) not in _BT2020
        shallow = frame.format.components[0].bits <= 8
        if (plain and shallow and not full) or frame.format.is_rgb:
            return self._planes(frame, "bgr24")
        # As exact as it can be; into planes, since that is twice as fast as into BGR.
        shown = self._reformatter.reformat(frame, format="gbrp", interpolation=_ACCURATE)
        green, blue, red = (_plane(plane, shown.width) for plane in shown.planes)
        return cv2.merge([blue, green, red])  # type: ignore[return-value]

    def _convert_hdr(self, frame: Any, *, hlg: bool) -> NDArray[np.uint8]:
        if self._tone is None or self._tone.hlg != hlg:
            self._tone = ToneMap(hlg=hlg)
        shrunk = min(1.0, (_HDR_PIXELS / (frame.width * frame.height)) ** 0.5)
        width, height = (max(1, round(side * shrunk)) for side in (frame.width, frame.height))
        shown = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb48le", interpolation=_ACCURATE
        )
        (plane,) = shown.planes
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
        return self._tone.to_bgr(rows[:, : 3 * width].reshape(height, width, 3))

    def _planes(self, frame: Any, format: str) -> NDArray[np.uint8]:
        shown = self._reformatter.reformat(frame, format=format, interpolation=_BILINEAR)
        pixels: NDArray[np.uint8] = shown.to_ndarray()
        return pixels


class _Deinterlacer:
    """Makes one picture of a frame's two fields (FFmpeg's ``bwdif``), a frame later."""

    def __init__(self, frame: Any) -> None:
        import av  # late: see ``video``

        self._again = (av.error.BlockingIOError, av.error.EOFError)
        self._form = _form(frame)
        self._graph: Any = av.filter.Graph()
        source = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        )
        # Frames in between that say they are progressive pass as they are.
        middle = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._graph.link_nodes(source, middle, self._graph.add("buffersink")).configure()

    def fits(self, frame: Any) -> bool:
        """Whether a frame has the form that this was made for."""
        return _form(frame) == self._form

    def push(self, frame: Any) -> Iterator[Any]:
        """Frames that are ready after this one; None is the end."""
        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except self._again:
                return


def _form(frame: Any) -> tuple[int, int, str, object]:
    return frame.width, frame.height, frame.format.name, frame.time_base


def _plane(plane: Any, width: int) -> NDArray[np.uint8]:
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, :width]


def _orientation(frame: Any) -> int:
    """EXIF orientation that a frame's display matrix means (ISO 14496-12, 6.2.2); 1 for none."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 1
    data = bytes(matrix)
    if len(data) < 36:
        return 1
    a, b, _, c, d, *_ = struct.unpack("<9i", data[:36])
    signs = tuple((value > 0) - (value < 0) for value in (a, b, c, d))
    return _ORIENTATIONS.get(signs, 1)


# (a, b, c, d) of x' = a·x + c·y, y' = b·x + d·y, by their signs.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
