"""The same pixels on every processor: checksums of pictures on their way to a network."""

from __future__ import annotations

import cv2
import pytest

from helpers.pixel_sums import picture, stored, table
from twinlens.engine.image.resize import shrink


def test_every_picture_has_the_pixels_that_every_processor_gives():
    kept, here = stored(), table()
    assert kept.keys() == here.keys()
    assert [name for name in kept if kept[name] != here[name]] == []


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_instructions_nor_threads_change_a_pixel(optimized, threads):
    pixels = picture(1001, 701, 3)
    before, known = cv2.getNumThreads(), shrink(pixels, 224, 160)
    try:
        cv2.setUseOptimized(optimized)
        cv2.setNumThreads(threads)
        assert (shrink(pixels, 224, 160) == known).all()
    finally:
        cv2.setUseOptimized(True)
        cv2.setNumThreads(before)
