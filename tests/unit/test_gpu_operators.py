"""Operators without a shader, and inputs of every kind, on layers-gpu against float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import onnx_more as _more  # noqa: F401 - adds its cases
from helpers.gpu import adapter_or_skip
from helpers.networks import assembled
from helpers.onnx_small import CASES, SHAPE, picture
from helpers.picture_nets import picture_net
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions, ModelSpec
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.graph import Graph, Node
from twinlens.engine.image import Converter, PixelBuffer, Recipe
from twinlens.engine.layers import Conv2d
from twinlens.models.identify.resolve import resolve

# Integers are computed as floats that are not rounded to steps, which are coarse in these.
STEPS = ("operators_of_integers", "operators_of_unsigned_integers")
LIMITS = {**dict.fromkeys(STEPS, 0.25), "dynamic_integers": 2e-3}


def _options() -> EngineOptions:
    return EngineOptions(adapter=adapter_or_skip()[0].title)


@pytest.mark.parametrize("name", sorted(CASES))
def test_operators_answer_as_float64(name: str) -> None:
    graph = graph_from_onnx(CASES[name]())
    weight = np.concatenate([np.eye(3), np.eye(3)[:1]]).astype(np.float32)[..., None, None]
    nodes = [Node("four", Conv2d(weight), ("picture",), "x"), *graph.nodes]
    shape = (1, 3, *SHAPE[2:])
    whole = Graph("net", {"picture": shape}, graph.outputs, nodes, constants=graph.constants)
    spec = ModelSpec("small", "Small", Recipe(SHAPE[3], SHAPE[2]), (), 0, "probabilities")
    x = picture(CASES[name]())[:, :3].astype(np.float32)
    (wanted,) = whole.run({"picture": x.astype(np.float64)}).values()
    runner = registry.get_engine("layers-gpu").load(assembled(whole, spec), _options())
    try:
        answers = [runner.run(x) for _ in range(2)]
    finally:
        runner.close()
    for answer in answers:  # what a first run leaves behind must not reach the second
        assert np.abs(answer - wanted.reshape(-1)).max() < LIMITS.get(name, 2e-5)
        assert answer.argmax() == wanted.argmax()


KINDS: dict[str, dict[str, Any]] = {
    "half": {"dtype": "float16"},
    "no batch": {"shape": (3, 16, 24)},
    "no batch, channels last": {"shape": (16, 24, 3)},
    "batch of 8": {"shape": (8, 3, 16, 24)},
    "batch of 2, channels last": {"shape": (2, 16, 24, 3)},
    "open sizes": {"shape": ("n", 3, "h", "w")},
    "grey": {"shape": (1, 1, 28, 28)},
    "grey, channels last": {"shape": (1, 28, 28, 1)},
    "with alpha": {"shape": (1, 4, 16, 24)},
    "with alpha, channels last": {"shape": (1, 16, 24, 4)},
    "48 by 192": {"shape": (1, 3, 48, 192)},
    "48 by 192, channels last": {"shape": (1, 48, 192, 3)},
    "doubles": {"dtype": "float64"},
    "bytes": {"dtype": "uint8"},
    "bytes, channels last": {"dtype": "uint8", "shape": (1, 16, 24, 3)},
    "signed bytes": {"dtype": "int8"},
    "whole numbers": {"dtype": "int32", "shape": (1, 16, 24, 3)},
    "bytes, batch of 3": {"dtype": "uint8", "shape": (3, 16, 24, 3)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_every_kind_go_in(kind: str, tmp_path: Path) -> None:
    network = resolve(picture_net(tmp_path / "net.onnx", **KINDS[kind]))
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    tensor = Converter(network.spec.recipe).convert(PixelBuffer.from_array(pixels, "RGB8"))
    answers = []
    for engine, options in (("layers-gpu", _options()), ("vision", EngineOptions(threads=1))):
        runner = registry.load(network, engine, options)
        try:
            answers.append(runner.run(tensor))
        finally:
            runner.close()
    limit = 2e-3 if "half" in kind else 2e-5
    np.testing.assert_allclose(answers[0], answers[1], rtol=limit, atol=limit)
