"""What runs from one value to the next: the engine's colour, the bars of the top list."""

from __future__ import annotations

import time

from PySide6.QtCore import QElapsedTimer
from PySide6.QtGui import QColor

FLIP_MS = 120


class Fading:
    """A colour that runs to the next one in ``FLIP_MS``."""

    def __init__(self, start: QColor) -> None:
        self._start = self._end = start
        self._timer = QElapsedTimer()
        self._timer.start()
        self._first = True

    def go(self, end: QColor) -> None:
        """Run to this colour from now on; the first one is there at once."""
        if end == self._end:
            return
        self._start, self._end = (end if self._first else self.now()), end
        self._first = False
        self._timer.restart()

    @property
    def moving(self) -> bool:
        """Whether it is still on its way."""
        return self._start != self._end and self._timer.elapsed() < FLIP_MS

    def now(self) -> QColor:
        """The colour of this moment."""
        share = min(1.0, self._timer.elapsed() / FLIP_MS)
        return QColor.fromRgbF(
            self._start.redF() + (self._end.redF() - self._start.redF()) * share,
            self._start.greenF() + (self._end.greenF() - self._start.greenF()) * share,
            self._start.blueF() + (self._end.blueF() - self._start.blueF()) * share,
        )


class Sliding:
    """A row's place that runs to the next one."""

    _MS = FLIP_MS

    def __init__(self, place: float) -> None:
        self._start = self._end = place
        self._began_s = 0.0

    def to(self, place: float) -> Sliding:
        """Run to this place from now on; gives itself."""
        if place != self._end:
            self._start, self._end = self.now(), place
            self._began_s = time.perf_counter()
        return self

    @property
    def moving(self) -> bool:
        """Whether it is still on its way."""
        return self._start != self._end and self._share() < 1

    def _share(self) -> float:
        return min(1.0, (time.perf_counter() - self._began_s) * 1e3 / self._MS)

    def now(self) -> float:
        """The place of this moment."""
        share = self._share()
        eased = 1 - (1 - share) ** 3
        return self._start + (self._end - self._start) * eased
