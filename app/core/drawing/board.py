"""A board to draw on: strokes of a round brush, anti-aliased, dark ink on light paper.

Places are in pixels of the board, from its top left corner. A board may be drawn on in one thread
while another one takes pictures of it; all fields are guarded by one condition, which is notified
whenever the drawing changes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.image import PixelBuffer, PixelFormat, Region

Point = tuple[float, float]

WIDTH, HEIGHT = 1280, 720
BRUSH_SHARE = 0.06
"""Width of the brush, as a share of the board's height."""

_FIELD = 28 / 20
"""A digit of MNIST fills 20 of 28 pixels (LeCun et al., http://yann.lecun.com/exdb/mnist/)."""
_SMALLEST_FIELD = 0.5
"""Least height of the part that is looked at, as a share of the board's: a dot stays a dot."""
_MOST_POINTS = 100_000


@dataclass(frozen=True, eq=False)
class Look:
    """The board at one moment.

    Attributes:
        buffer: grey pixels, ink 0 on paper 255.
        change: counts changes of the drawing.
    """

    buffer: PixelBuffer
    change: int


class Board:
    """A drawing.

    Args:
        width, height: size in pixels.
        brush: width of the brush in pixels; None is ``BRUSH_SHARE`` of the height.
    """

    def __init__(
        self, width: int = WIDTH, height: int = HEIGHT, *, brush: float | None = None
    ) -> None:
        self.width, self.height = width, height
        self.brush = BRUSH_SHARE * height if brush is None else brush
        self.changed = threading.Condition()
        self._strokes: list[list[Point]] = []
        self._ink = np.zeros((height, width), np.float32)
        self._count = 0
        self._drawing = False
        self._points = 0

    @property
    def strokes(self) -> int:
        """How many strokes there are."""
        with self.changed:
            return len(self._strokes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing on it."""
        return self.strokes == 0

    @property
    def change(self) -> int:
        """Counts changes of the drawing."""
        with self.changed:
            return self._count

    def press(self, x: float, y: float) -> None:
        """Begin a stroke; a dot of ink is there at once."""
        with self.changed:
            self._strokes.append([(x, y)])
            self._drawing = True
            self._points += 1
            self._add((x, y), (x, y))

    def move(self, x: float, y: float) -> None:
        """Draw on to a place; nothing happens where no stroke was begun."""
        with self.changed:
            if not self._drawing or self._points >= _MOST_POINTS:
                return
            stroke = self._strokes[-1]
            if stroke[-1] == (x, y):
                return
            before = stroke[-1]
            stroke.append((x, y))
            self._points += 1
            self._add(before, (x, y))

    def lift(self) -> None:
        """End the stroke."""
        with self.changed:
            self._drawing = False

    def draw(self, stroke: Sequence[Point]) -> None:
        """Draw a whole stroke."""
        self.press(*stroke[0])
        for point in stroke[1:]:
            self.move(*point)
        self.lift()

    def undo(self) -> bool:
        """Take the last stroke back; returns whether there was one."""
        with self.changed:
            if not self._strokes:
                return False
            gone = self._strokes.pop()
            self._drawing = False
            self._points -= len(gone)
            self._ink[:] = 0
            for stroke in self._strokes:
                for start, end in zip([stroke[0], *stroke], stroke, strict=False):
                    self._cover(start, end)
            self._notify_change()
            return True

    def clear(self) -> None:
        """Wipe everything off."""
        with self.changed:
            if self._strokes:
                self._strokes.clear()
                self._drawing, self._points = False, 0
                self._ink[:] = 0
                self._notify_change()

    def look(self) -> Look:
        """The board as it is now; the pixels are the caller's."""
        with self.changed:
            pixels = np.rint(255 * (1 - self._ink)).astype(np.uint8)
            return Look(PixelBuffer.from_array(pixels, PixelFormat.GRAY8), self._count)

    def region(self) -> Region:
        """The square around the ink that a network for single signs should look at.

        It has MNIST's margins, and the ink's centre of mass in its middle; it is all of the
        board's height, in the middle, where there is no ink.
        """
        with self.changed:
            return self._region()

    def _add(self, start: Point, end: Point) -> None:
        self._cover(start, end)
        self._notify_change()

    def _notify_change(self) -> None:
        self._count += 1
        self.changed.notify_all()

    def _cover(self, start: Point, end: Point) -> None:
        """Ink one piece: what lies within half a brush of it, an edge of one pixel soft."""
        radius = self.brush / 2
        (x0, y0), (x1, y1) = start, end
        left, right = _span(x0, x1, radius, self.width)
        top, bottom = _span(y0, y1, radius, self.height)
        if left >= right or top >= bottom:
            return
        # Pixel n covers n to n + 1; its middle counts.
        x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - x0)
        y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - y0)
        dx, dy = np.float32(x1 - x0), np.float32(y1 - y0)
        length = dx * dx + dy * dy
        along = np.clip((x * dx + y * dy) / length, 0, 1) if length else np.float32(0)
        away = np.hypot(x - along * dx, y - along * dy)
        ink = np.clip(np.float32(radius + 0.5) - away, 0, 1)
        part = self._ink[top:bottom, left:right]
        np.maximum(part, ink, out=part)

    def _region(self) -> Region:
        columns, rows = self._ink.sum(0), self._ink.sum(1)
        total = float(columns.sum())
        side = float(self.height)
        x, y = self.width / 2, self.height / 2
        if total > 0:
            inked_x, inked_y = np.flatnonzero(columns), np.flatnonzero(rows)
            size = max(np.ptp(inked_x), np.ptp(inked_y)) + 1
            side = max(float(size) * _FIELD, _SMALLEST_FIELD * self.height)
            side = min(side, float(self.height), float(self.width))
            x = float(columns @ np.arange(self.width)) / total + 0.5
            y = float(rows @ np.arange(self.height)) / total + 0.5
            # The centre of mass must not push the ink out of the square.
            x = _within(x, int(inked_x[0]), int(inked_x[-1]) + 1, side)
            y = _within(y, int(inked_y[0]), int(inked_y[-1]) + 1, side)
        left = min(max(0.0, x - side / 2), self.width - side)
        top = min(max(0.0, y - side / 2), self.height - side)
        return Region(left / self.width, top / self.height, side / self.width, side / self.height)


def _span(one: float, other: float, radius: float, size: int) -> tuple[int, int]:
    """First and last-but-one pixel that a piece may touch along an axis."""
    low, high = min(one, other) - radius - 1, max(one, other) + radius + 1
    return int(min(max(low, 0), size)), int(min(max(high + 1, 0), size))


def _within(middle: float, first: int, last: int, side: float) -> float:
    """The middle of a square that holds all from first to last, as near as can be."""
    low, high = last - side / 2, first + side / 2
    return (first + last) / 2 if low > high else min(max(middle, low), high)
