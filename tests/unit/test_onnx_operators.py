"""Operators on running values: every case answers as ONNX Runtime, on every engine."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from helpers import onnx_more as _more  # noqa: F401 - adds its cases
from helpers.networks import assembled
from helpers.onnx_small import CASES, SHAPE, Small, picture
from twinlens.engine.api.protocol import EngineOptions, ModelSpec
from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats import graph_from_onnx, onnx_bytes
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Conv2d
from twinlens.engine.targets.cpu.engine import LayersCpuEngine
from twinlens.engine.vision import VisionEngine

# A value that lies between two integers may be rounded the other way; one step of the answer.
INTEGERS = {"operators_of_integers": 0.02, "operators_of_unsigned_integers": 0.02}
INTEGERS |= {"dynamic_integers": 2e-3}


def _runtime(model, x):
    session = ort.InferenceSession(model)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def _network(graph):
    """The graph behind a convolution that makes its four channels of a picture's three."""
    weight = np.concatenate([np.eye(3), np.eye(3)[:1]]).astype(np.float32)[..., None, None]
    nodes = [Node("four", Conv2d(weight), ("picture",), "x"), *graph.nodes]
    shape = (1, 3, *SHAPE[2:])
    whole = Graph("net", {"picture": shape}, graph.outputs, nodes, constants=graph.constants)
    recipe = Recipe(SHAPE[3], SHAPE[2])
    return assembled(whole, ModelSpec("small", "Small", recipe, (), 0, "probabilities"))


@pytest.mark.parametrize("name", sorted(CASES))
def test_layers_answer_as_onnx_runtime(name):
    model = CASES[name]()
    x = picture(model)
    wanted = _runtime(model.SerializeToString(), x)
    graph = graph_from_onnx(model)
    tolerance = INTEGERS.get(name, 2e-6)
    for tried in (graph, optimize(graph)):
        (single,) = tried.run({"x": x.astype(np.float32)}).values()
        (double,) = tried.run({"x": x.astype(np.float64)}).values()
        assert single.shape == wanted.shape
        assert np.abs(single - wanted).max() < tolerance
        assert np.abs(double - wanted).max() < tolerance
    # What we write opens in ONNX Runtime, and answers the same.
    for written in (onnx_bytes(graph), onnx_bytes(optimize(graph))):
        assert np.abs(_runtime(written, x.astype(np.float32)) - wanted).max() < tolerance


@pytest.mark.parametrize("engine", [LayersCpuEngine, VisionEngine])
@pytest.mark.parametrize("name", sorted(CASES))
def test_engines_answer_as_onnx_runtime(name, engine):
    model = CASES[name]()
    x = picture(model)[:, :3]
    wanted = _runtime(model.SerializeToString(), np.concatenate([x, x[:, :1]], axis=1))
    runner = engine().load(_network(graph_from_onnx(model)), EngineOptions(threads=1))
    try:
        answer = runner.run(x.astype(np.float32))
    finally:
        runner.close()
    assert np.abs(answer - wanted.reshape(-1)).max() < INTEGERS.get(name, 4e-6)


def test_nodes_in_a_circle_are_named():
    small = Small()
    model = small.model(small.add("Relu", "x"))
    model.graph.node[0].input[0] = model.graph.node[2].output[0]
    with pytest.raises(ModelFileError, match=r"in a circle.*Relu_0"):
        graph_from_onnx(model)


def test_a_value_that_is_written_twice_is_refused():
    small = Small()
    model = small.model(small.add("Relu", "x"))
    model.graph.node[1].output[0] = model.graph.node[0].output[0]
    with pytest.raises(ModelFileError, match="two nodes write 'v0_0'"):
        graph_from_onnx(model)


def test_all_that_the_layers_lack_stands_in_one_message_with_the_engine_that_has_it():
    small = Small()
    top, _ = small.add("Unique", "x", outputs=2, axis=1)
    det = small.add("Det", "x")
    pooled, places = small.add("MaxPool", "x", outputs=2, kernel_shape=[2, 2])
    seen = small.add("Cast", places, to=1)
    model = small.model(small.add("Sum", top, det, pooled, seen))
    with pytest.raises(UnsupportedOperatorError) as error:
        graph_from_onnx(model)
    text = str(error.value)
    for part in ("Unique at node 'Unique_0'", "Det at node 'Det_1'", "MaxPool at node 'MaxPool_2'"):
        assert part in text
    assert error.value.operators == {"Unique": 1, "Det": 1, "MaxPool": 1}
    assert "Runs on Vision" in error.value.hint


def test_an_operator_of_somebody_else_is_nobodys():
    small = Small()
    model = small.model(small.add("Magic", "x", domain="my.lab"))
    with pytest.raises(UnsupportedOperatorError, match=r"my\.lab::Magic") as error:
        graph_from_onnx(model)
    assert error.value.hint == "No engine here has my.lab::Magic."
