"""Antialiased shrinking, close to Pillow's and several times faster than OpenCV's INTER_AREA.

Pillow's BILINEAR widens the triangle filter by the ratio ``r`` of shrinking (half width ``r``
source pixels, variance ``r² / 6``). The same filter is approached with three of OpenCV's fast
paths: where an axis shrinks by 2 or more, sample bilinearly at twice the target size, blur with a
3-tap Gaussian and average pairs; where it shrinks by less, blur the source with the Gaussian
whose variance makes up the difference, ``(r² − 1) / 6``, and sample bilinearly.

Measured by ``tests/bench/bench_convert.py`` on a 720p frame's centre crop to 224: 0.4 ms and a
mean difference of 0.3 grey levels from Pillow, where INTER_AREA takes 2.0 ms and differs by 0.7,
and plain bilinear takes 0.1 ms but differs by 1.8, with single pixels off by 78.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# Standard deviation, in pixels of the doubled grid, with which the triangle is met best.
_DOUBLED_SIGMA = 0.7
# From this ratio on, sampling at twice the target size would skip whole pixels.
_BOX_FROM = 6.0


def shrink(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize uint8 pixels (height, width, channels), antialiased where they shrink.

    Enlarging is plain bilinear. Differences from Pillow's BILINEAR stay under 1 grey level on
    average and, for 99 of 100 values, under 6 (12 where an axis shrinks by less than 2).
    """
    target = (width, height)
    size = pixels.shape[1::-1]
    if size == target:
        return pixels
    boxes = [max(1, int(s / t / (_BOX_FROM / 2))) for s, t in zip(size, target, strict=True)]
    if max(boxes) > 1:
        pixels = _box(pixels, boxes[0], boxes[1])
        size = pixels.shape[1::-1]
    between, sigmas = zip(*map(_axis, size, target), strict=True)
    if between != size:
        pixels = _resize(pixels, between, cv2.INTER_LINEAR)
    if any(sigmas):
        kernel = tuple(3 if sigma else 1 for sigma in sigmas)
        pixels = cv2.GaussianBlur(  # type: ignore[assignment]
            pixels,
            kernel,
            sigmas[0] or 1.0,
            sigmaY=sigmas[1] or 1.0,
            borderType=cv2.BORDER_REPLICATE,
        )
    if between != target:
        pixels = _resize(pixels, target, cv2.INTER_LINEAR)
    return pixels


def nearest(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize by taking the nearest pixel (centre-aligned), without any filter."""
    return _resize(pixels, (width, height), cv2.INTER_NEAREST_EXACT)


def _axis(size: int, target: int) -> tuple[int, float]:
    """Size to sample at and Gaussian to blur with, before the last bilinear step."""
    ratio = size / target
    if ratio >= 2:
        return 2 * target, _DOUBLED_SIGMA
    return size, math.sqrt((ratio * ratio - 1) / 6) if ratio > 1 else 0.0


def _box(pixels: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Average whole boxes of ``across × down`` pixels.

    An integer factor is what makes INTER_AREA fast; up to ``factor − 1`` columns on the right
    and rows at the bottom are left out, less than a target pixel.
    """
    height, width = pixels.shape[0] // down, pixels.shape[1] // across
    whole = pixels[: height * down, : width * across]
    return _resize(whole, (width, height), cv2.INTER_AREA)


def _resize(pixels: NDArray[np.uint8], size: tuple[int, ...], how: int) -> NDArray[np.uint8]:
    resized = cv2.resize(pixels, (size[0], size[1]), interpolation=how)
    if resized.ndim == 2:  # OpenCV drops a single channel
        resized = resized[..., None]
    return resized  # type: ignore[return-value]
