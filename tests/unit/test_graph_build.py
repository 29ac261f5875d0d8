"""Graphs: what is checked when they are built, order, shapes, summary, running."""

import numpy as np
import pytest

from twinlens.engine.errors import InferenceError, ModelError, ShapeError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import Add, Conv2d, Flatten, Linear, ReLU
from twinlens.engine.layers.base import Layer


def _conv(inputs=3, outputs=4):
    return Conv2d(np.ones((outputs, inputs, 1, 1), np.float32), np.zeros(outputs, np.float32))


def _graph(nodes, outputs=("y",), **kwargs):
    return Graph("net", {"x": (1, 3, 2, 2)}, outputs, nodes, **kwargs)


def test_nodes_may_come_in_any_order():
    nodes = [Node("b", ReLU(), ("h",), "y"), Node("a", _conv(), ("x",), "h")]
    graph = _graph(nodes)
    assert [node.name for node in graph.nodes] == ["a", "b"]
    assert graph.shapes["y"] == (1, 4, 2, 2)
    answer = graph.run({"x": -np.ones((1, 3, 2, 2))})["y"]
    np.testing.assert_array_equal(answer, np.zeros((1, 4, 2, 2)))
    assert answer.dtype == np.float64


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([Node("a", ReLU(), ("nothing",), "y")], "reads 'nothing', which nothing writes"),
        ([Node("a", ReLU(), ("x",), "h")], "nothing writes the output 'y'"),
        ([Node("a", ReLU(), ("x",), "y"), Node("a", ReLU(), ("x",), "z")], "two nodes are named"),
        ([Node("a", ReLU(), ("x",), "y"), Node("b", ReLU(), ("x",), "y")], "exists already"),
        ([Node("a", ReLU(), ("x",), "x")], "exists already"),
        ([Node("a", ReLU(), ("b",), "y"), Node("b", ReLU(), ("y",), "b")], "circle .* a, b"),
    ],
)
def test_wrong_names_are_refused(nodes, words):
    with pytest.raises(ModelError, match=words):
        _graph(nodes)


def test_shape_errors_name_the_node():
    with pytest.raises(ShapeError, match="net: node 'second'"):
        _graph([Node("first", _conv(), ("x",), "h"), Node("second", _conv(), ("h",), "y")])


@pytest.mark.parametrize("inputs", [{}, {"z": np.ones((1, 3, 2, 2))}, {"x": np.ones((1, 3, 2, 3))}])
def test_wrong_inputs_are_refused(inputs):
    graph = _graph([Node("a", ReLU(), ("x",), "y")])
    with pytest.raises(ShapeError, match="net"):
        graph.run(inputs)


def test_values_are_released_after_their_last_reader():
    nodes = [
        Node("a", ReLU(), ("x",), "h"),
        Node("b", ReLU(), ("h",), "k"),
        Node("c", Add(), ("h", "k"), "y"),
        Node("unread", ReLU(), ("x",), "z"),
    ]
    graph = _graph(nodes)
    released = {step.node.name: set(step.releases) for step in graph.plan.steps}
    assert released["a"] == released["b"] == set()
    assert released["c"] == {"h", "k"}
    assert released["unread"] == {"x", "z"}


def test_constants_take_the_float_type_of_the_inputs():
    constant = np.full((3, 1, 1), 2, np.float32)
    graph = _graph([Node("a", Add(), ("x", "two"), "y")], constants={"two": constant})
    answer = graph.run({"x": np.ones((1, 3, 2, 2))})["y"]
    assert answer.dtype == np.float64
    assert (answer == 3).all()
    assert graph.parameter_count == 3


def test_trace_gives_every_node_in_order():
    graph = _graph([Node("a", _conv(), ("x",), "h"), Node("b", ReLU(), ("h",), "y")])
    x = np.ones((1, 3, 2, 2), np.float32)
    traced = [(node.name, out.shape) for node, out in graph.run_traced({"x": x})]
    assert traced == [("a", (1, 4, 2, 2)), ("b", (1, 4, 2, 2))]


def test_summary_shows_each_layer_and_the_totals():
    linear = Linear(np.ones((5, 16), np.float32))
    nodes = [
        Node("features", _conv(), ("x",), "h"),
        Node("flat", Flatten(), ("h",), "f"),
        Node("classes", linear, ("f",), "y"),
    ]
    text = _graph(nodes).summary({"features": "AVX2"})
    lines = text.splitlines()
    assert lines[0] == "net: x 1×3×2×2 → y 1×5"
    assert lines[1].split() == [
        "node",
        "layer",
        "settings",
        "output",
        "parameters",
        "MACs",
        "runs",
        "as",
    ]
    assert lines[3].split()[-4:] == ["1×4×2×2", "16", "48", "AVX2"]
    assert lines[5].split()[-4:] == ["1×5", "80", "80", "reference"]
    assert lines[-1] == "3 layers · 96 parameters · 128 MACs"


class _Broken(Layer):
    def output_shape(self, *inputs):
        return inputs[0]

    def forward(self, *inputs):
        raise ValueError("no luck")


def test_a_layer_that_fails_is_named():
    graph = _graph([Node("unlucky", _Broken(), ("x",), "y")])
    with pytest.raises(InferenceError, match=r"node 'unlucky' \(_Broken\) failed: no luck"):
        graph.run({"x": np.ones((1, 3, 2, 2))})
