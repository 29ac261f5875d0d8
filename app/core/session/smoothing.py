"""Temporal smoothing: an exponential moving average with hysteresis on what is shown.

It starts anew where the picture is cut: what was seen before says nothing of what is seen now.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.protocol import HOLDS

TIME_CONSTANT_S = 0.25
MARGIN = 0.08
CUT = 24.0
"""Mean difference of pixels, 0 to 255, from which on two pictures in a row are a cut.

Measured at 30 frames a second: cuts 36 to 90, swaying hands and slow flights at most 6.3.
"""
_CUT_GRID = 12


class Smoother:
    """Keeps the label from flickering.

    The average forgets with the time constant whatever the frame rate: after a gap of ``dt``
    seconds a new answer weighs ``1 - exp(-dt / time_constant_s)``. The winner changes only
    when another class's average exceeds the winner's by more than ``margin``. A class of its own
    that held goes on holding until its average is below one half by more than ``margin``.

    Args:
        time_constant_s: seconds after which an old answer weighs 1/e; > 0.
        margin: lead in probability that a challenger needs; >= 0.
        enabled: when off, ``update`` returns what it is given.

    Raises:
        ValueError: time constant or margin out of range.
    """

    def __init__(
        self,
        time_constant_s: float = TIME_CONSTANT_S,
        margin: float = MARGIN,
        *,
        enabled: bool = True,
    ) -> None:
        if not time_constant_s > 0:
            raise ValueError(f"time_constant_s must be positive, got {time_constant_s}")
        if not margin >= 0:
            raise ValueError(f"margin must not be negative, got {margin}")
        self._time_constant_s = time_constant_s
        self._margin = margin
        self._enabled = enabled
        self._average: NDArray[np.float32] | None = None
        self._holding: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._winner = 0
        self._t_s = 0.0

    @property
    def enabled(self) -> bool:
        """Whether answers are smoothed; switching forgets the past."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        if enabled != self._enabled:
            self.reset()
        self._enabled = enabled

    def reset(self) -> None:
        """Forget the past: the next answer counts alone."""
        self._average = None

    @property
    def holding(self) -> NDArray[np.bool_]:
        """(classes,): which classes hold, each on its own, after the last ``update``."""
        return self._holding.copy()

    def update(
        self, probabilities: NDArray[np.float32], t_s: float
    ) -> tuple[NDArray[np.float32], int]:
        """Take in one answer.

        Args:
            probabilities: float32, shape (classes,); another width than before starts anew.
            t_s: the answer's time in seconds; a step back (a looped clip) starts anew.

        Returns:
            The averaged probabilities (a fresh array) and the index of the held winner.
        """
        past = self._average if self._enabled else None
        if past is None or past.shape != probabilities.shape or t_s < self._t_s:
            average = probabilities.copy()
            self._winner = int(np.argmax(average))
            self._holding = average >= HOLDS
        else:
            weight = -math.expm1((self._t_s - t_s) / self._time_constant_s)
            average = past + np.float32(weight) * (probabilities - past)
            challenger = int(np.argmax(average))
            if average[challenger] > average[self._winner] + self._margin:
                self._winner = challenger
            held = self._holding & (average >= HOLDS - self._margin)
            self._holding = held | (average >= HOLDS)
        self._average, self._t_s = average, t_s
        return average.copy(), self._winner


class Cuts:
    """Finds cuts in a stream of pictures: two of them that have next to nothing in common."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def is_cut(self, picture: NDArray[np.uint8]) -> bool:
        """Whether something else is seen than in the picture before.

        Args:
            picture: (height, width, channels) uint8; another shape than before is a cut.
        """
        now = _coarse(picture)
        last, self._last = self._last, now
        if last is None:
            return False
        return last.shape != now.shape or float(np.abs(last - now).mean()) > CUT


def _coarse(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A few hundred places of a picture, each the mean of four."""
    height, width = picture.shape[:2]
    steps = max(1, height // (2 * _CUT_GRID)), max(1, width // (2 * _CUT_GRID))
    few = picture[:: steps[0], :: steps[1]].astype(np.float32)
    even = few[: len(few) // 2 * 2 or 1, : few.shape[1] // 2 * 2 or 1]
    parts = (even[::2, ::2], even[1::2, ::2], even[::2, 1::2], even[1::2, 1::2])
    if len({part.shape for part in parts}) > 1:  # a picture one pixel high or wide
        return even
    mean: NDArray[np.float32] = np.mean(parts, axis=0, dtype=np.float32)
    return mean
