"""Waiting until a frame is due, in a way that can be interrupted."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

#: A frame may stand so long; more is taken for a jump of the time stamps.
LONGEST_STEP_S = 5.0


class Pacer:
    """Keeps a stream's own pace.

    Args:
        clock: seconds.
        wait: sleeps for so many seconds, or returns True early when interrupted.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._start: float | None = None

    def interrupted(self) -> bool:
        """Whether ``interrupt`` was called."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """End all waiting, now and later; called from any thread."""
        self._stop.set()

    def restart(self) -> None:
        """Let the next position be due at once."""
        self._start = None

    def late_s(self, position_s: float) -> float:
        """Seconds by which a position in the stream is overdue; negative when it is to come."""
        now = self._clock()
        if self._start is None:
            self._start = now - position_s
        return now - self._start - position_s

    def wait_for(self, position_s: float) -> None:
        """Sleep until a position in the stream is due."""
        early = -self.late_s(position_s)
        if early > 0:
            self._wait(early)


class Positions:
    """Positions in a stream that only go forward, of time stamps that may do anything.

    Time stamps count as long as they go on by little: the rate of a telephone's video varies.
    One that is missing, runs backwards, or jumps (a wrap, an edit, a new programme) is taken for
    the usual step, and counting goes on from there: the picture never stands still.

    Args:
        fps: usual frames a second.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._last_s = -1 / fps
        self._stamp_s = math.nan

    @property
    def next_s(self) -> float:
        """Where the next frame usually is."""
        return self._last_s + 1 / self.fps

    def follow(self, stamp_s: float) -> float:
        """Position of the next frame, whose time stamp is this; NaN for none."""
        step_s = stamp_s - self._stamp_s  # NaN where one of both is
        if not 0 < step_s <= LONGEST_STEP_S:
            step_s = 1 / self.fps
        self._stamp_s = stamp_s
        self._last_s += step_s
        return self._last_s
