"""Each pass does what it says and leaves the outputs as they were."""

import numpy as np
import pytest

from twinlens.engine.graph import Graph, Node
from twinlens.engine.graph.passes import (
    PASSES,
    fold_batch_norm,
    fold_constants,
    fold_padding,
    fuse_activations,
    name_activations,
    optimize,
    part_activations,
    remove_identities,
    remove_unused,
)
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    Clip,
    Constant,
    Conv2d,
    Dropout,
    Identity,
    Linear,
    Pad,
    ReLU,
    ReLU6,
    Sigmoid,
)

RANDOM = np.random.default_rng(0)


def _conv():
    return Conv2d(RANDOM.standard_normal((3, 3, 1, 1)), RANDOM.standard_normal(3))


def _norm():
    scale, bias, mean = RANDOM.standard_normal((3, 3))
    return BatchNorm2d(scale, bias, mean, RANDOM.uniform(0.5, 2, 3))


def _graph(*nodes, outputs=("y",), **kwargs):
    return Graph("net", {"x": (1, 3, 2, 2)}, outputs, nodes, **kwargs)


def _same(before, after):
    x = {"x": RANDOM.standard_normal((1, 3, 2, 2)) * 8}
    answers, expected = after.run(x), before.run(x)
    assert answers.keys() == expected.keys()
    for name, array in answers.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-12, atol=1e-12)


def _kinds(graph):
    return [node.kind for node in graph.nodes]


def test_identities_go():
    graph = _graph(
        Node("i", Identity(), ("x",), "a"),
        Node("r", ReLU(), ("a",), "b"),
        Node("d", Dropout(), ("b",), "y"),
    )
    small = remove_identities(graph)
    assert _kinds(small) == ["ReLU"]
    _same(graph, small)


def test_identity_between_input_and_output_stays():
    graph = _graph(Node("i", Identity(), ("x",), "y"))
    assert _kinds(remove_identities(graph)) == ["Identity"]


def test_identity_between_two_outputs_stays():
    nodes = Node("r", ReLU(), ("x",), "h"), Node("i", Identity(), ("h",), "y")
    graph = _graph(*nodes, outputs=("h", "y"))
    small = remove_identities(graph)
    assert _kinds(small) == ["ReLU", "Identity"]
    _same(graph, small)


def test_two_identities_of_one_value_both_reach_their_outputs():
    graph = _graph(
        Node("r", ReLU(), ("x",), "h"),
        Node("i", Identity(), ("h",), "y"),
        Node("j", Identity(), ("h",), "z"),
        outputs=("y", "z"),
    )
    _same(graph, remove_identities(graph))


def test_constants_are_folded():
    graph = _graph(
        Node("c", Constant(np.ones((3, 1, 1))), (), "one"),
        Node("a", Add(), ("one", "k"), "three"),
        Node("b", Add(), ("x", "three"), "y"),
        constants={"k": np.full((3, 1, 1), 2.0)},
    )
    small = remove_unused(fold_constants(graph))
    assert _kinds(small) == ["Add"]
    assert set(small.constants) == {"three"}
    _same(graph, small)


def test_what_no_output_needs_goes():
    graph = _graph(
        Node("r", ReLU(), ("x",), "y"),
        Node("lost", ReLU(), ("x",), "z"),
        constants={"unread": np.ones(2)},
    )
    small = remove_unused(graph)
    assert [node.name for node in small.nodes] == ["r"]
    assert not small.constants


def test_zeros_around_a_picture_become_the_convolutions_own():
    conv = Conv2d(RANDOM.standard_normal((3, 3, 2, 2)), pads=(1, 0, 0, 2))
    pad = Pad([(0, 0), (0, 0), (1, 2), (0, 1)])
    graph = _graph(Node("p", pad, ("x",), "p"), Node("c", conv, ("p",), "y", ReLU()))
    folded = fold_padding(graph)
    assert _kinds(folded) == ["Conv2d + ReLU"]
    assert folded.nodes[0].layer.pads == (2, 0, 2, 3)
    assert conv.pads == (1, 0, 0, 2)
    _same(graph, folded)


@pytest.mark.parametrize(
    "pad",
    [
        Pad([(0, 0), (0, 0), (1, 1), (1, 1)], value=1.0),
        Pad([(0, 0), (0, 0), (1, 1), (1, 1)], mode="edge"),
        Pad([(0, 0), (0, 0), (-1, 1), (1, 1)]),
        Pad([(0, 1), (0, 0), (1, 1), (1, 1)]),
    ],
)
def test_other_borders_stay(pad):
    graph = _graph(Node("p", pad, ("x",), "p"), Node("c", _conv(), ("p",), "y"))
    assert _kinds(fold_padding(graph)) == ["Pad", "Conv2d"]


def test_batch_norm_is_folded_and_the_layer_given_stays():
    conv = _conv()
    before = conv.weight.copy()
    graph = _graph(Node("c", conv, ("x",), "h"), Node("n", _norm(), ("h",), "y"))
    small = fold_batch_norm(graph)
    assert _kinds(small) == ["Conv2d"]
    np.testing.assert_array_equal(conv.weight, before)
    _same(graph, small)


@pytest.mark.parametrize(("shape", "layers"), [((5, 3), 1), ((2, 3, 3), 2)])
def test_batch_norm_is_folded_into_linear_layers_of_two_axes_only(shape, layers):
    linear = Linear(RANDOM.standard_normal((3, 3)))
    nodes = Node("l", linear, ("x",), "h"), Node("n", _norm(), ("h",), "y")
    graph = Graph("net", {"x": shape}, ("y",), nodes)
    small = fold_batch_norm(graph)
    assert len(small.nodes) == layers
    x = {"x": RANDOM.standard_normal(shape)}
    np.testing.assert_allclose(small.run(x)["y"], graph.run(x)["y"], rtol=1e-12, atol=1e-12)


def test_batch_norm_stays_where_others_read_the_convolution():
    nodes = Node("c", _conv(), ("x",), "h"), Node("n", _norm(), ("h",), "y")
    assert len(fold_batch_norm(_graph(*nodes, outputs=("y", "h"))).nodes) == 2


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (Clip(0.0, 6.0), "ReLU6"),
        (Clip(0.0, None), "ReLU"),
        (Clip(0.0, 5.0), "Clip"),
        (Clip(-1.0, 6.0), "Clip"),
        (ReLU6(), "ReLU6"),
    ],
)
def test_activations_get_their_names(layer, kind):
    graph = _graph(Node("a", layer, ("x",), "y"))
    small = name_activations(graph)
    assert _kinds(small) == [kind]
    _same(graph, small)


@pytest.mark.parametrize("layer", [ReLU(), ReLU6(), Clip(-1.0, None), Clip(None, 1.0), Sigmoid()])
def test_activations_are_fused(layer):
    graph = _graph(Node("c", _conv(), ("x",), "h"), Node("a", layer, ("h",), "y"))
    small = fuse_activations(graph)
    assert _kinds(small) == [f"Conv2d + {layer.kind}"]
    _same(graph, small)


def test_activation_is_not_fused_where_others_read_the_value():
    graph = _graph(
        Node("c", _conv(), ("x",), "h"),
        Node("a", ReLU(), ("h",), "k"),
        Node("s", Add(), ("h", "k"), "y"),
    )
    assert _kinds(fuse_activations(graph)) == ["Conv2d", "ReLU", "Add"]


def test_activation_never_overwrites_the_input():
    graph = _graph(Node("i", Identity(), ("x",), "h"), Node("a", ReLU(), ("h",), "y"))
    x = -np.ones((1, 3, 2, 2))
    optimize(graph).run({"x": x})
    assert (x == -1).all()


@pytest.mark.parametrize("apply", PASSES)
def test_every_pass_keeps_a_mixed_graph(apply):
    graph = _graph(
        Node("c", _conv(), ("x",), "h"),
        Node("n", _norm(), ("h",), "k"),
        Node("a", Clip(0.0, 6.0), ("k",), "l"),
        Node("d", Dropout(), ("l",), "m"),
        Node("s", Add(), ("m", "x"), "y"),
    )
    _same(graph, apply(graph))
    _same(graph, apply(optimize(graph)))


def test_activations_that_do_not_stay_become_nodes_of_their_own():
    graph = Graph(
        "net",
        {"x": (1, 3, 4, 4)},
        ["y", "y/before"],
        [
            Node("conv", _conv(), ("x",), "y/before", ReLU6()),
            Node("again", _conv(), ("y/before",), "y", Sigmoid()),
        ],
    )
    assert part_activations(graph, lambda layer: True) is graph
    parted = part_activations(graph, lambda layer: isinstance(layer, ReLU6))
    assert [(node.name, node.kind, node.output) for node in parted.nodes] == [
        ("conv", "Conv2d + ReLU6", "y/before"),
        ("again", "Conv2d", "y/before'"),
        ("again/Sigmoid", "Sigmoid", "y"),
    ]
    x = RANDOM.standard_normal((1, 3, 4, 4))
    for name, value in graph.run({"x": x}).items():
        np.testing.assert_array_equal(parted.run({"x": x})[name], value)
