"""The digits of the MPSCNN example, with the parameters that were published for it."""

from __future__ import annotations

import numpy as np
import pytest

from twinlens.engine import Converter, PixelBuffer, PixelFormat, read_image
from twinlens.engine.errors import ParameterError
from twinlens.engine.params import MPSCNN, best_order, open_parameters, try_orders
from twinlens.models.networks.mnist import FILES, RECIPE, mnist


def test_its_size_is_that_of_the_published_files() -> None:
    graph = mnist()
    sizes = {
        f"{node.name}_{name}": array.size * 4
        for node in graph.nodes
        for name, array in node.layer.parameters.items()
    }
    assert sizes == {
        "conv1_weight": 2000,
        "conv1_bias": 80,
        "conv2_weight": 100_000,
        "conv2_bias": 200,
        "fc1_weight": 3_136_000,
        "fc1_bias": 1280,
        "fc2_weight": 12_800,
        "fc2_bias": 40,
    }


@pytest.fixture(scope="module")
def golden(test_data):
    folder = test_data / "models" / "mnist_mpscnn"
    converter = Converter(RECIPE)
    return folder, [
        (converter.convert(read_image(folder / name)).copy(), digit)
        for name, digit in (("five.png", 5), ("three.png", 3))
    ]


def test_reads_the_published_digits(golden) -> None:
    folder, pairs = golden
    network = mnist(open_parameters(folder), naming=FILES)
    for picture, digit in pairs:
        (shares,) = network.run({"input": picture}).values()
        assert shares.argmax() == digit
        assert shares[0, digit] > 0.99


def test_the_digits_tell_how_the_files_are_laid_out(golden) -> None:
    folder, pairs = golden
    trials = try_orders(mnist(), open_parameters(folder), FILES, pairs)
    assert best_order(trials, len(pairs)) == MPSCNN


def test_foreign_parameters_are_told_by_name() -> None:
    with pytest.raises(ParameterError, match="8 missing, 1 not expected"):
        mnist({"fc9_W": np.zeros(3, np.float32)}, naming=FILES)


def test_its_recipe_turns_paper_into_white_ink_on_black() -> None:
    paper = np.full((28, 28, 3), 230, np.uint8)
    paper[10:18, 10:18] = 30
    (planes,) = Converter(RECIPE).convert(PixelBuffer.from_array(paper, PixelFormat.RGB8))
    assert planes.shape == (1, 28, 28)
    assert planes[0, 0, 0] < 1e-9
    assert planes[0, 14, 14] > 254.9
