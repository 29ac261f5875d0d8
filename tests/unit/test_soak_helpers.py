"""What the soak measures with: numbers in pictures, what reads them, and slopes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.numbered import LEVELS, NAME, level_of, level_picture, level_reader
from helpers.soak_curves import draw_curves
from helpers.soak_materials import labelled
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.types import Frame
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.image import PixelBuffer
from twinlens.models.identify.resolve import resolve


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_the_network_reads_each_number_that_stands_in_a_picture(
    tmp_path: Path, engine: str
) -> None:
    network = resolve(str(labelled(level_reader(tmp_path / "levels.onnx"))))
    runner = registry.load(network, engine, EngineOptions())
    with Pipeline(runner, network.spec) as pipeline:
        for index in range(LEVELS + 2):
            pixels = level_picture(index)
            assert level_of(pixels) == index % LEVELS
            result = pipeline.process(Frame(PixelBuffer.from_array(pixels, "RGB8"), index, 0, 0))
            assert result.observations[0].identifier == NAME.format(index % LEVELS)


def test_damaged_pixels_have_no_number() -> None:
    pixels = level_picture(3)
    pixels[:96] = 0
    assert level_of(pixels) is None
    between = (level_picture(3).astype(int) + level_picture(4)) // 2
    coloured = level_picture(3)
    coloured[..., 0] += 60
    for other in (coloured, between, np.zeros_like(pixels), np.full_like(pixels, 255)):
        assert level_of(other) is None


def test_the_slope_is_that_of_the_line_and_its_error_that_of_the_noise() -> None:
    path = Path(__file__).parents[1] / "bench" / "soak_window.py"
    spec = importlib.util.spec_from_file_location("soak_window", path)
    assert spec is not None
    assert spec.loader is not None
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    noise = np.random.default_rng(0).normal(0, 1, 60)
    points = [(n / 60, 300 + 7 * n / 60 + noise[n]) for n in range(60)]
    grows, error = soak.slope(points)
    assert abs(grows - 7) < 3 * error < 5
    assert soak.slope(points[:2]) == (0.0, float("inf"))


def test_curves_are_drawn_where_there_is_one_point_or_none(tmp_path: Path) -> None:
    row = dict.fromkeys(("pss", "window", "fds", "threads", "calm_p95"), 1.0) | {"t_s": 5.0}
    for number, rows in enumerate(([], [row], [row, row | {"t_s": 9.0, "pss": 4.0}])):
        path = tmp_path / f"{number}.png"
        draw_curves(rows, rows, [{"t_s": 6.0}], path)
        assert np.unique(np.asarray(Image.open(path))).size > 1
