"""How far an axis of a picture is halved and blurred before it is sampled.

Shrinking halves until the ratio is under 3, blurs, and samples bilinearly; see ``resize`` for why.
"""

from __future__ import annotations

import math

# Halving stops where this ratio would be passed: below it, averaged pairs show their corners.
_LEAST_RATIO = 1.5
# Three taps hold a variance of 2/3 at most, of which the blur wants more from this ratio on.
_FIVE_TAPS_FROM = 2.5
_LARGEST_OUTER_TAP = 0.3


def halves(extent: float, target: int) -> bool:
    """Whether an axis of ``extent`` pixels is halved on its way to ``target`` pixels."""
    return extent >= 2 * _LEAST_RATIO * target


def blur(ratio: float) -> tuple[int, float]:
    """Taps and sigma that OpenCV needs for a blur of variance ``(ratio² − 1) / 6``."""
    if ratio <= 1:
        return 1, 1.0
    variance = (ratio * ratio - 1) / 6
    if ratio >= _FIVE_TAPS_FROM:
        return 5, math.sqrt(variance)
    # Taps (a, 1 − 2a, a) have variance 2a; OpenCV samples exp(−x² / 2σ²) at −1, 0 and 1.
    outer = min(variance / 2, _LARGEST_OUTER_TAP)
    return 3, math.sqrt(-0.5 / math.log(outer / (1 - 2 * outer)))
