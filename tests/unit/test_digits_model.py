"""The bundled network for digits: small, ours, and right on what a hand draws on the pad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinlens.app.core.drawing.board import Board
from twinlens.app.core.drawing.digits import STROKES, drawn, placed, reads_signs
from twinlens.app.core.session.loading import load_from_registry
from twinlens.app.qt.stage.pad import DIGITS_MODEL
from twinlens.engine import ClassificationRequest, ImageRequestHandler
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.image import Converter
from twinlens.models import load_model
from twinlens.models.identify.resolve import resolve

HANDS = 60


@pytest.fixture(scope="module")
def network() -> Network:
    return resolve(DIGITS_MODEL)


def read(network: Network, runner: Runner, board: Board) -> tuple[int, float]:
    tensor = Converter(network.spec.recipe, board.region()).convert(board.look().buffer)
    answer = np.asarray(runner.run(tensor)).ravel()
    return int(answer.argmax()), float(answer.max())


def test_it_comes_with_twinlens_and_is_small(network: Network) -> None:
    assert network.path is not None
    assert network.path.stat().st_size < 400_000
    assert network.path.with_suffix(".md").is_file(), "a model card says what it learned from"
    assert network.spec.labels == tuple("0123456789")
    assert reads_signs(network.spec.recipe)


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize("size", [0.3, 0.62, 0.9])
def test_it_reads_the_pads_own_digits_in_any_size(
    network: Network, engine: str, size: float
) -> None:
    runner = load_from_registry(network, engine, EngineOptions())
    try:
        for digit in STROKES:
            best, share = read(network, runner, drawn(digit, size))
            assert (best, share > 0.9) == (int(digit), True)
    finally:
        runner.close()


def test_it_reads_trembling_hands_and_thick_pens(network: Network) -> None:
    runner, random = (
        load_from_registry(network, "vision", EngineOptions()),
        np.random.default_rng(1),
    )
    right = 0
    for number in range(HANDS):
        digit = str(number % 10)
        high = random.uniform(180, 560)
        board = Board(brush=random.uniform(20, 60))
        box = (random.uniform(100, 600), (720 - high) / 2, high * random.uniform(0.6, 1), high)
        slant = random.normal(0, 0.2)
        for stroke in placed(STROKES[digit], *box):
            trembling = np.cumsum(random.normal(0, high * 0.006, (len(stroke), 2)), 0)
            pairs = zip(stroke, trembling, strict=True)
            board.draw([(x + slant * (360 - y) + a, y + b) for (x, y), (a, b) in pairs])
        right += read(network, runner, board)[0] == int(digit)
    runner.close()
    assert right >= 0.97 * HANDS


@pytest.mark.parametrize(("name", "digit"), [("five", "5"), ("three", "3")])
def test_it_reads_the_two_published_digits(test_data: Path, name: str, digit: str) -> None:
    path = test_data / "models" / "mnist_mpscnn" / f"{name}.png"
    request = ClassificationRequest(load_model(DIGITS_MODEL))
    ImageRequestHandler(path).perform([request])
    assert request.results[0].identifier == digit
    assert request.results[0].confidence > 0.9
