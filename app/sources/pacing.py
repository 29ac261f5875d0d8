"""Waiting until a frame is due, in a way that can be interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


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
