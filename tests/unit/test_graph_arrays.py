"""All arrays of a graph by name and back, and networks that are built with arrays by name."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.graphs import assert_same_graph
from helpers.onnx_nets import NETS
from twinlens.engine import layers as kinds
from twinlens.engine.errors import ModelError, ParameterError, ShapeError
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.graph import Builder, Graph, Node, named_arrays, optimize, with_arrays
from twinlens.models.networks.assembly import placeholder


def arrays(graph: Graph) -> dict[str, np.ndarray]:
    return {one.name: one.array for one in named_arrays(graph)}


@pytest.mark.parametrize("family", sorted(NETS))
def test_arrays_come_back(family: str) -> None:
    for graph in (graph_from_onnx(NETS[family]()), optimize(graph_from_onnx(NETS[family]()))):
        assert_same_graph(graph, with_arrays(graph, arrays(graph)))


def small() -> Graph:
    weight, scale = np.full((2, 3, 1, 1), 0.5, np.float32), np.ones(2, np.float32)
    nodes = [
        Node("a", kinds.Conv2d(weight, weight_scale=scale), ("x",), "a"),
        Node("a_weight", kinds.QuantizeLinear(np.float32(2), np.uint8(3)), ("a",), "q"),
        Node("d", kinds.DequantizeLinear(np.float32(2), np.uint8(3)), ("q",), "d"),
        Node("m", kinds.Mul(), ("d", "c"), "m", kinds.Tanh()),
    ]
    constants = {"c": np.float32(4).reshape(())}
    return Graph("small", {"x": (1, 3, 2, 2)}, ["m"], nodes, constants=constants)


def test_two_arrays_of_one_name_are_numbered() -> None:
    assert list(arrays(small())) == [
        "a_weight",
        "a_weight_scale",
        "a_weight_scale_2",
        "a_weight_zero_point",
        "d_scale",
        "d_zero_point",
        "c",
    ]
    assert_same_graph(small(), with_arrays(small(), arrays(small())))


def test_other_numbers_change_the_answer_and_leave_the_source() -> None:
    graph, picture = small(), {"x": np.ones((1, 3, 2, 2), np.float32)}
    before = graph.run(picture)["m"]
    changed = with_arrays(graph, arrays(graph) | {"c": np.float16(0).reshape(())})
    assert changed.constants["c"].dtype == np.float32
    assert not changed.run(picture)["m"].any()
    np.testing.assert_array_equal(graph.run(picture)["m"], before)


def test_an_activation_with_numbers_has_them_named() -> None:
    slope = np.full((2, 1, 1), 0.5, np.float32)
    weight = np.ones((2, 3, 1, 1), np.float32)
    node = Node("a", kinds.Conv2d(weight), ("x",), "a", kinds.PReLU(slope))
    graph = Graph("g", {"x": (1, 3, 2, 2)}, ["a"], [node])
    assert list(arrays(graph)) == ["a_weight", "a_prelu_slope"]
    other = with_arrays(graph, arrays(graph) | {"a_prelu_slope": slope * 3})
    np.testing.assert_array_equal(other.nodes[0].activation.slope, slope * 3)  # type: ignore[union-attr]
    np.testing.assert_array_equal(slope, 0.5)


def test_one_error_names_everything() -> None:
    given = arrays(small())
    del given["a_weight"]
    given["d_zero_point"] = np.int8(3).reshape(())
    given["c"] = np.ones(2, np.float32)
    given["more"] = np.ones(2, np.float32)
    with pytest.raises(ParameterError) as caught:
        with_arrays(small(), given)
    assert str(caught.value).splitlines() == [
        "small: parameters do not fit: 1 missing, 1 not expected, 2 of the wrong shape or type",
        "  missing: a_weight (2×3×1×1 float32, 24 bytes)",
        "  not expected: more",
        "  of the wrong shape or type: d_zero_point has scalar int8, 1 bytes; expected scalar "
        "uint8, 1 bytes",
        "  of the wrong shape or type: c has 2 float32, 8 bytes; expected scalar float32, 4 bytes",
    ]


def test_placeholders_are_filled() -> None:
    node = Node("fc", kinds.Linear(placeholder(2, 3), placeholder(2)), ("x",), "fc")
    graph = Graph("g", {"x": (1, 3)}, ["fc"], [node])
    weight, bias = np.arange(6, dtype=np.float64).reshape(2, 3), np.zeros(2, np.float16)
    filled = with_arrays(graph, {"fc_weight": weight, "fc_bias": bias})
    answer = filled.run({"x": np.ones((1, 3), np.float32)})["fc"]
    np.testing.assert_array_equal(answer, [[3, 12]])
    assert answer.dtype == np.float32


def build(parameters: dict[str, np.ndarray]) -> Graph:
    net = Builder("built", parameters)
    x = net.input("x", 1, 3, 8, 6)
    x = net.conv("c", x, 4, (3, 1), stride=2, pads=(1, 0, 1, 0), groups=1, then=kinds.ReLU())
    x = net.depthwise("d", x, 3, pads=1, multiplier=2, bias=False, quantized=True)
    x = net.batch_norm("n", x, epsilon=0.5)
    x = net.fake_quantize("f", x, dtype="int8", slices=8)
    y = net.quantize("q", x, zero_point=False)
    x = net.dequantize("e", y, zero_point=False)
    x = net.add("scaled", kinds.Mul(), x, net.constant("k", 8, 1, 1))
    x = net.add("again", kinds.Add(), x, net.constant("k", 8, 1, 1))
    x = net.add("p", kinds.PReLU(net.parameter("p_slope", 8, 1, 1)), x)
    x = net.linear("l", x, 5, bias=False)
    return net.graph(x)


def numbers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        **{"c_weight": (4, 3, 3, 1), "c_bias": (4,), "d_weight": (8, 1, 3, 3)},
        **{"d_weight_scale": (8,), "n_scale": (8,), "n_bias": (8,), "n_mean": (8,)},
        **{"n_variance": (8,), "f_scale": (8,), "q_scale": (), "e_scale": (), "k": (8, 1, 1)},
        **{"p_slope": (8, 1, 1), "l_weight": (5, 3)},
    }
    found = {name: rng.uniform(0.5, 1, shape).astype("f") for name, shape in shapes.items()}
    return {**found, "f_zero_point": np.zeros(8, np.int8)}


def test_a_network_is_built_by_names() -> None:
    graph = build(numbers())
    assert graph.output_shapes == {"l": (1, 8, 4, 5)}
    assert graph.parameter_count == sum(
        # The scale of integers is no parameter; what is rounded there is rounded back.
        array.size * (2 if name.startswith("f_") else 1)
        for name, array in numbers().items()
        if name != "d_weight_scale"
    )
    conv = graph.nodes[0].layer
    assert isinstance(conv, kinds.Conv2d)
    assert (conv.stride, conv.pads) == ((2, 2), (1, 0, 1, 0))
    assert [node.name for node in graph.nodes][3:5] == ["f_quantize", "f_dequantize"]
    assert np.isfinite(graph.run({"x": np.ones((1, 3, 8, 6), np.float32)})["l"]).all()


def test_a_network_without_numbers_lists_all_of_them() -> None:
    with pytest.raises(ParameterError) as caught:
        build({"odd": np.ones(3, np.float32)})
    told = str(caught.value)
    assert "15 missing, 1 not expected" in told
    assert all(f"missing: {name} (" in told for name in numbers())
    assert "f_zero_point (8 int8, 8 bytes)" in told


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        (lambda net: net.conv("c", "nowhere", 4, 3), ModelError, "nothing writes 'nowhere'"),
        (lambda net: net.linear("l", "nowhere", 4), ModelError, "nothing writes 'nowhere'"),
        (lambda net: net.conv("c", net.input("y", 1, 3), 4, 3), ShapeError, r"\(N, C, H, W\)"),
        (lambda net: net.depthwise("c", net.input("y", 3), 3), ShapeError, r"\(N, C, H, W\)"),
        (lambda net: net.batch_norm("b", net.input("y", 3)), ShapeError, r"\(N, C, ...\)"),
        (lambda net: net.graph("nowhere"), ModelError, "nothing writes the output 'nowhere'"),
    ],
)
def test_what_cannot_be_built_is_told(wrong, error, told) -> None:  # type: ignore[no-untyped-def]
    net = Builder("net", {})
    net.input("x", 1, 3, 8, 8)
    with pytest.raises(error, match=told):
        wrong(net)
