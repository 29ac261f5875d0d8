"""Small pictures keep their shape, stand upright and fit."""

from __future__ import annotations

import numpy as np
import pytest

from twinlens.engine.image import PixelBuffer
from twinlens.engine.image.thumbnail import thumbnail


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1280, 720), (320, 180)),
        ((720, 1280), (101, 180)),
        ((64, 64), (180, 180)),
        ((4000, 2), (320, 1)),
        ((2, 4000), (1, 180)),
        ((1, 1), (180, 180)),
    ],
)
def test_it_just_fits(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), (10, 20, 30), np.uint8)
    small = thumbnail(PixelBuffer.from_array(pixels), 320, 180)
    assert small.shape == (wanted[1], wanted[0], 3)
    assert small.flags.c_contiguous
    assert (small == (10, 20, 30)).all()


def test_grey_and_turned_pictures_come_upright_in_colour() -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[:, 40:] = 200
    turned = PixelBuffer.from_array(pixels, "GRAY8", orientation=6)  # its right side is below
    small = thumbnail(turned, 20, 20)
    assert small.shape == (20, 10, 3)
    assert small[2].max() < 20
    assert small[17].min() > 180
