"""How an axis of a picture is resized, as numbers: what ``resize`` does with OpenCV.

Shrinking halves until the ratio is under 3, blurs, and samples bilinearly; see ``resize`` for why.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

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


def axis_weights(
    size: int, target: int, *, nearest: bool = False
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """What each pixel of a resized axis is made of.

    The steps of ``resize.shrink`` (or ``resize.nearest``) are linear, so that along one axis they
    are a weighted sum; ``shrink`` differs only by rounding to whole grey levels after each step.

    Args:
        size: pixels before.
        target: pixels after.
        nearest: take the nearest pixel instead.

    Returns:
        For each pixel its first source pixel, (target,), and the weights from there on,
        (target, taps), which sum up to 1; all sources lie inside the axis.
    """
    if nearest:
        chosen = np.floor((np.arange(target) + 0.5) * size / target).astype(np.uint32)
        return np.minimum(chosen, size - 1), np.ones((target, 1), np.float32)
    count, extent, block = size, float(size), 1
    while halves(extent, target):
        count, extent, block = count // 2, extent / 2, block * 2
    ratio = extent / target
    taps, sigma = blur(ratio)
    offsets = np.arange(taps) - taps // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma * sigma))
    kernel /= kernel.sum()
    position = (np.arange(target) + 0.5) * ratio - 0.5
    left = np.floor(position).astype(np.int64)
    share = position - left
    full = np.zeros((target, count))
    rows = np.arange(target)
    for side, weight in ((0, 1 - share), (1, share)):
        at = np.clip(left + side, 0, count - 1)
        for offset, factor in zip(offsets, kernel, strict=True):
            np.add.at(full, (rows, np.clip(at + offset, 0, count - 1)), weight * factor)
    used = full > 0
    firsts = used.argmax(axis=1)
    width = int((count - used[:, ::-1].argmax(axis=1) - firsts).max())
    firsts = np.minimum(firsts, count - width)
    picked = np.take_along_axis(full, firsts[:, None] + np.arange(width), axis=1)
    weights = np.repeat(picked, block, axis=1) / block
    return (firsts * block).astype(np.uint32), weights.astype(np.float32)
