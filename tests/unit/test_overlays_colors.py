"""Contrast as the look asks for it, and engine colours as colour-blind eyes see them.

Simulation: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009; matrices of severity 1.0, applied
to linear light. Differences: CIE 1976 L*a*b* distance, white point D65; about 2.3 is just
noticeable.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from twinlens.app.overlays import (
    PALETTES,
    contrast_ratio,
    engine_color,
    engine_shape,
)
from twinlens.app.overlays.colors import blend, linear

ENGINES = ("layers-cpu", "layers-gpu", "vision", "remote")
SIMULATIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WELL_APART = 20.0
# The look fixes these two colours. To an eye without blue cones (about 1 in 10,000) they can be
# told apart side by side (3.8 just noticeable differences), no more; shape and word carry them.
CLOSE_PAIRS = {("tritanopia", "vision", "remote"): 8.0}


def lab(color: str, simulation: str) -> np.ndarray:
    seen = np.clip(SIMULATIONS[simulation] @ np.array(linear(color)), 0, 1)
    ratio = (TO_XYZ @ seen) / (TO_XYZ @ np.ones(3))
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("simulation", SIMULATIONS)
def test_engine_colours_stay_apart(simulation: str) -> None:
    for one, other in combinations(ENGINES, 2):
        first, second = engine_color(one), engine_color(other)
        distance = np.linalg.norm(lab(first, simulation) - lab(second, simulation))
        least = CLOSE_PAIRS.get((simulation, one, other), WELL_APART)
        assert distance > least, f"{one} and {other}: {distance:.1f}"


def test_engine_colours_are_the_looks() -> None:
    assert [engine_color(e) for e in ENGINES] == ["#F5A623", "#9B7BFF", "#2EC4E6", "#5BD68C"]
    assert len({engine_shape(e) for e in ENGINES}) == len(ENGINES)


@pytest.mark.parametrize("theme", PALETTES)
def test_words_reach_7_to_1_on_both_grounds(theme: str) -> None:
    palette = PALETTES[theme]
    for text in (palette.text, palette.text_dim):
        for ground in (palette.ground, palette.surface):
            assert contrast_ratio(text, ground) >= 7.0


@pytest.mark.parametrize("theme", PALETTES)
def test_warnings_reach_4_5_to_1(theme: str) -> None:
    palette = PALETTES[theme]
    for ground in (palette.ground, palette.surface):
        assert contrast_ratio(palette.warning, ground) >= 4.5


@pytest.mark.parametrize("theme", PALETTES)
def test_the_scrim_is_as_light_as_words_can_be_read_on(theme: str) -> None:
    palette = PALETTES[theme]
    worst = min(
        contrast_ratio(palette.on_picture, blend(palette.scrim, frame, palette.scrim_opacity))
        for frame in ("#FFFFFF", "#000000", "#808080")
    )
    assert 4.5 <= worst < 4.7


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("frame", ["#FFFFFF", "#000000"])
def test_bars_reach_3_to_1_on_their_track_over_any_frame(theme: str, frame: str) -> None:
    palette = PALETTES[theme]
    scrim = blend(palette.scrim, frame, palette.scrim_opacity)
    track = blend(palette.track, scrim, palette.track_opacity)
    for engine in ENGINES:
        # WCAG 2.2, 1.4.11: graphics need 3:1 against what is next to them.
        assert contrast_ratio(engine_color(engine), track) >= 3.0


def test_contrast_as_wcag_defines_it() -> None:
    assert contrast_ratio("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast_ratio("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert contrast_ratio("#FFFFFF", "#777777") == contrast_ratio("#777777", "#FFFFFF")


@pytest.mark.parametrize("text", ["F5A623", "#F5A", "#F5A62G", ""])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        contrast_ratio(text, "#000000")
