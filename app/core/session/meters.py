"""Frame rate and latency, measured from real timestamps. Safe to use from several threads."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

Clock = Callable[[], float]


class RateMeter:
    """Events per second over a sliding window.

    Args:
        window_s: events older than this are forgotten, so that the rate of something that
            stopped falls to 0; > 0.
        clock: seconds, never going back.

    Raises:
        ValueError: the window is not positive.
    """

    def __init__(self, window_s: float = 2.0, clock: Clock = time.perf_counter) -> None:
        if not window_s > 0:
            raise ValueError(f"window_s must be positive, got {window_s}")
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps: deque[float] = deque()
        self._count = 0

    @property
    def count(self) -> int:
        """All events so far, forgotten ones included."""
        with self._lock:
            return self._count

    def reset(self) -> None:
        """Forget the rate, not the count: what comes now has a pace of its own."""
        with self._lock:
            self._stamps.clear()

    def tick(self) -> None:
        """One event happens now."""
        with self._lock:
            now = self._clock()
            self._stamps.append(now)
            self._count += 1
            self._forget(now)

    def rate(self) -> float:
        """Events per second: intervals in the window over the time they took; 0 below two."""
        with self._lock:
            self._forget(self._clock())
            if len(self._stamps) < 2:
                return 0.0
            span = self._stamps[-1] - self._stamps[0]
            return (len(self._stamps) - 1) / span if span > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._stamps and self._stamps[0] < now - self._window_s:
            self._stamps.popleft()


class LatencyStats:
    """Median and 95th percentile of the newest values.

    Args:
        window: number of values that count; >= 1.

    Raises:
        ValueError: the window is empty.
    """

    def __init__(self, window: int = 120) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self._lock = threading.Lock()
        self._values: deque[float] = deque(maxlen=window)

    @property
    def empty(self) -> bool:
        """Whether there is no value."""
        with self._lock:
            return not self._values

    def add(self, value: float) -> None:
        """Take in one value."""
        with self._lock:
            self._values.append(value)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def median(self) -> float:
        """The median; 0 without values."""
        return self.percentile(50)

    def p95(self) -> float:
        """The 95th percentile; 0 without values."""
        return self.percentile(95)

    def percentile(self, percent: float) -> float:
        """Linearly interpolated percentile, 0 to 100; 0 without values."""
        with self._lock:
            values = sorted(self._values)
        return percentile(values, percent)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Percentile of ascending values, linear between neighbours; 0 without values.

    This is type 7 of Hyndman & Fan, "Sample Quantiles in Statistical Packages" (1996).
    """
    if not ordered:
        return 0.0
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
