"""A network for several pictures computes one, with the answer that it gives to the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.picture_nets import picture_net
from twinlens.app.commands import inspect
from twinlens.engine import layers as kinds
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.graph import Graph, Node, one_picture
from twinlens.engine.layers import Layer
from twinlens.models.identify.resolve import resolve

COUNT, SHAPE = 3, (3, 4, 6, 8)
RANDOM = np.random.default_rng(0)


def _array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


CONSTANTS = {
    "class_token": np.repeat(_array(1, 1, 4), COUNT, axis=0),
    "positions": _array(49, 4),
    "bias": _array(1, 2, 49, 49),
    "scores": np.repeat(_array(1, 5), COUNT, axis=0),
    "matrix": _array(4, 5),
    "grid": np.repeat(_array(1, 5, 7, 2), COUNT, axis=0),
    "square": _array(4, 4),
    "first": np.array([0]),
    "zero": np.array(0),
}
Step = tuple[str, Layer, tuple[str, ...]]

PICTURES: list[Step] = [
    ("pad", kinds.Pad(((0, 0), (0, 0), (1, 0), (0, 1))), ("x",)),
    ("conv", kinds.Conv2d(_array(8, 4, 3, 3), _array(8)), ("pad",)),
    ("norm", kinds.BatchNorm2d(*np.abs(_array(4, 8))), ("conv",)),
    ("act", kinds.HardSwish(), ("norm",)),
    ("groups", kinds.Reshape((COUNT, 2, 4, 5, 7)), ("act",)),
    ("shuffled", kinds.Transpose((0, 2, 1, 3, 4)), ("groups",)),
    ("back", kinds.Reshape((COUNT, 8, 5, 7)), ("shuffled",)),
    ("half", kinds.Slice((0,), (4,), (1,)), ("back",)),
    ("larger", kinds.Resize(sizes=(COUNT, 4, 10, 14)), ("half",)),
    ("pool", kinds.MaxPool2d((2, 2), stride=(2, 2)), ("larger",)),
    ("gate", kinds.GlobalAvgPool2d(), ("pool",)),
    ("gated", kinds.Mul(), ("pool", "gate")),
    ("spatial", kinds.ReduceMean((2, 3), keep_dims=False), ("gated",)),
    ("gemm", kinds.Gemm(), ("spatial", "matrix", "scores")),
    ("y", kinds.Softmax(-1), ("gemm",)),
]
TOKENS: list[Step] = [
    ("flat", kinds.Reshape((COUNT, 4, 48)), ("x",)),
    ("tokens", kinds.Transpose((0, 2, 1)), ("flat",)),
    ("all", kinds.Concat(1), ("class_token", "tokens")),
    ("placed", kinds.Add(), ("all", "positions")),
    ("norm", kinds.LayerNorm(_array(4), _array(4)), ("placed",)),
    ("qkv", kinds.Linear(_array(12, 4), _array(12)), ("norm",)),
    ("parts", kinds.Reshape((COUNT, 49, 3, 2, 2)), ("qkv",)),
    ("heads", kinds.Transpose((2, 0, 3, 1, 4)), ("parts",)),
    ("q", kinds.Gather(0), ("heads", "zero")),
    ("k", kinds.Slice((1,), (2,), (0,)), ("heads",)),
    ("k2", kinds.Squeeze((0,)), ("k",)),
    ("v", kinds.Slice((2,), (3,), (0,)), ("heads",)),
    ("v2", kinds.Reshape((COUNT * 2, 49, 2)), ("v",)),
    ("k3", kinds.Transpose((0, 1, 3, 2)), ("k2",)),
    ("scores4", kinds.MatMul(), ("q", "k3")),
    ("biased", kinds.Add(), ("scores4", "bias")),
    ("weights", kinds.Softmax(-1), ("biased",)),
    ("weights3", kinds.Reshape((COUNT * 2, 49, 49)), ("weights",)),
    ("mixed", kinds.MatMul(), ("weights3", "v2")),
    ("mixed4", kinds.Reshape((COUNT, 2, 49, 2)), ("mixed",)),
    ("tokens2", kinds.Transpose((0, 2, 1, 3)), ("mixed4",)),
    ("joined", kinds.Reshape((-1, 49, 4)), ("tokens2",)),
    ("turned", kinds.Einsum("blc,cd->bld"), ("joined", "square")),
    ("attended", kinds.Attention(2), ("turned", "joined", "joined")),
    ("more", kinds.Expand((COUNT, 49, 4)), ("attended",)),
    ("one", kinds.Gather(1), ("more", "first")),
    ("row", kinds.Flatten(), ("one",)),
    ("y", kinds.Linear(_array(5, 4)), ("row",)),
]


def _graph(steps: list[Step]) -> Graph:
    nodes = [Node(name, layer, inputs, name) for name, layer, inputs in steps]
    used = {name for node in nodes for name in node.inputs}
    constants = {name: array for name, array in CONSTANTS.items() if name in used}
    return Graph("net", {"x": SHAPE}, ["y"], nodes, constants=constants)


@pytest.mark.parametrize("steps", [PICTURES, TOKENS])
def test_one_of_several_pictures_is_computed_alone(steps: list[Step]) -> None:
    graph = _graph(steps)
    batch = one_picture(graph)
    assert (batch.pictures, batch.kept) == (COUNT, "")
    assert batch.graph.inputs == {"x": (1, *SHAPE[1:])}
    assert batch.graph.macs * COUNT == graph.macs
    x = RANDOM.normal(0, 1, SHAPE)
    (whole,), (one,) = graph.run({"x": x}).values(), batch.graph.run({"x": x[:1]}).values()
    np.testing.assert_allclose(one[0], whole[0], rtol=1e-12, atol=1e-12)


def _ending(*steps: Step) -> list[Step]:
    return [("pool", kinds.GlobalAvgPool2d(), ("x",)), ("row", kinds.Flatten(), ("pool",)), *steps]


@pytest.mark.parametrize(
    ("steps", "node"),
    [
        (_ending(("y", kinds.ReduceMean((0,)), ("row",))), "y"),
        (_ending(("y", kinds.Softmax(0), ("row",))), "y"),
        (_ending(("y", kinds.Concat(0), ("row", "row"))), "y"),
        (_ending(("y", kinds.Slice((1,), (3,), (0,)), ("row",))), "y"),
        (_ending(("y", kinds.Gather(0), ("row", "first"))), "y"),
        (_ending(("y", kinds.Pad(((1, 0), (0, 0))), ("row",))), "y"),
        (_ending(("y", kinds.LayerNorm(_array(3, 4), axis=0), ("row",))), "y"),
        (_ending(("t", kinds.Transpose(), ("row",)), ("y", kinds.MatMul(), ("row", "t"))), "y"),
        (_ending(("y", kinds.Reshape((2, 6)), ("row",))), "y"),
        ([("y", kinds.GridSample(), ("x", "grid"))], "y"),
    ],
)  # fmt: skip
def test_what_joins_pictures_keeps_them(steps: list[Step], node: str) -> None:
    graph = _graph(steps)
    batch = one_picture(graph)
    assert batch.graph is graph
    assert f"{node!r}" in batch.kept


def test_one_picture_stays_as_it_is() -> None:
    graph = Graph("net", {"x": (1, 4)}, ["y"], [Node("y", kinds.ReLU(), ("x",), "y")])
    assert one_picture(graph).graph is graph


def test_engines_compute_one_and_inspect_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = resolve(picture_net(tmp_path / "one.onnx", shape=(1, 3, 16, 24)))
    path = picture_net(tmp_path / "net.onnx", shape=(8, 3, 16, 24))
    many = resolve(path)
    x = RANDOM.normal(0, 1, (1, 3, 16, 24)).astype(np.float32)
    answers = []
    for network in (one, many):
        runner = registry.load(network, "layers-cpu", EngineOptions(threads=1))
        answers.append(runner.run(x))
        runner.close()
    np.testing.assert_array_equal(*answers)
    inspect.show(str(path))
    assert "8 pictures at once; the layers compute one" in capsys.readouterr().out
    inspect.show(str(tmp_path / "one.onnx"))
    assert "pictures" not in capsys.readouterr().out
