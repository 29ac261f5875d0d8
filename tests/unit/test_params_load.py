"""Parameters into a graph: strict, whatever the order, with batch normalisation folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinlens.engine.errors import ParameterError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import BatchNorm2d, Conv2d, DepthwiseConv2d, Flatten, Linear
from twinlens.engine.params import (
    MPSCNN,
    ORDERS,
    OWN,
    PYTORCH,
    TENSORFLOW,
    Naming,
    Trial,
    best_order,
    open_parameters,
    try_orders,
    with_parameters,
)
from twinlens.models.networks.assembly import Assembly, placeholder, random_parameters


def network() -> Graph:
    """Every kind of kernel, none with two equal axes; the depthwise one has a multiplier."""
    net = Assembly("small", (1, 3, 9, 8))
    net.conv("conv", 4, (3, 2), 2, padding="valid")
    weight, bias = placeholder(8, 1, 2, 3), placeholder(8)
    net.add("depth", DepthwiseConv2d(weight, bias, pads=(1, 1, 0, 1), multiplier=2))
    net.add("groups", Conv2d(placeholder(6, 4, 3, 2), placeholder(6), groups=2, pads=(1, 1, 1, 0)))
    net.dense("fc1", 7)
    net.dense("fc2", 5)
    return net.graph()


NUMBERS = random_parameters(network(), 3)
PICTURE = np.random.default_rng(1).standard_normal((1, 3, 9, 8), np.float32)


def stored(order, *, matrices: bool = False) -> dict[str, np.ndarray]:
    """The numbers as a tool with this order writes them."""
    shapes = {"fc1_weight": (7, 6, 4, 4), "fc2_weight": (5, 7, 1, 1)}
    groups = {"depth_weight": 4, "groups_weight": 2}
    result = {}
    for name, array in NUMBERS.items():
        if not name.endswith("weight"):
            result[name] = array
            continue
        kernel = array.reshape(shapes.get(name, array.shape))
        laid_out = order.from_layers(kernel, groups.get(name, 1))
        if matrices and name in shapes:
            outputs_first = order.kernel.startswith("O")
            laid_out = laid_out.reshape((len(kernel), -1) if outputs_first else (-1, len(kernel)))
        result[name] = laid_out
    return result


@pytest.fixture(scope="module")
def answer() -> np.ndarray:
    (output,) = with_parameters(network(), NUMBERS).run({"input": PICTURE}).values()
    assert np.isfinite(output).all()
    return output


@pytest.mark.parametrize("order", ORDERS.values(), ids=list(ORDERS))
@pytest.mark.parametrize("matrices", [False, True])
def test_every_order_gives_the_same_network(order, matrices, answer) -> None:
    graph = with_parameters(network(), stored(order, matrices=matrices), replace(OWN, order=order))
    (output,) = graph.run({"input": PICTURE}).values()
    np.testing.assert_array_equal(output, answer)


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_raw_files_say_by_their_size_what_they_hold(tmp_path: Path, dtype: str, answer) -> None:
    for name, array in stored(MPSCNN).items():
        (tmp_path / f"{name}.dat").write_bytes(array.astype(dtype).tobytes())
    graph = with_parameters(network(), open_parameters(tmp_path), replace(OWN, order=MPSCNN))
    (output,) = graph.run({"input": PICTURE}).values()
    np.testing.assert_allclose(output, answer, atol=1e-6 if dtype == "<f4" else 0.05)
    assert all(a.dtype == np.float32 for n in graph.nodes for a in n.layer.parameters.values())


def test_the_graph_keeps_nothing_of_the_file(tmp_path: Path) -> None:
    for name, array in NUMBERS.items():
        (tmp_path / f"{name}.dat").write_bytes(array.tobytes())
    graph = with_parameters(network(), open_parameters(tmp_path))
    arrays = [a for node in graph.nodes for a in node.layer.parameters.values()]
    assert arrays
    assert not any(isinstance(a, np.memmap) or isinstance(a.base, np.memmap) for a in arrays)


def test_one_error_names_all_that_does_not_fit(tmp_path: Path) -> None:
    for name, array in NUMBERS.items():
        (tmp_path / f"{name}.dat").write_bytes(array.tobytes())
    (tmp_path / "conv_weight.dat").unlink()
    (tmp_path / "fc2_bias.dat").unlink()
    (tmp_path / "surplus.dat").write_bytes(bytes(12))
    (tmp_path / "fc1_weight.dat").write_bytes(bytes(100))
    (tmp_path / "groups_bias.dat").write_bytes(bytes(7))
    with pytest.raises(ParameterError) as caught:
        with_parameters(network(), open_parameters(tmp_path), replace(OWN, order=MPSCNN))
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[0].endswith("do not fit: 2 missing, 1 not expected, 2 of the wrong size")
    assert lines[1:] == [
        "missing: conv_weight (4×3×2×3, 288 bytes as float32)",
        "missing: fc2_bias (5, 20 bytes as float32)",
        "not expected: surplus (12 bytes)",
        "of the wrong size: groups_bias has 7 bytes; expected 6, 24 bytes as float32 or 12 as "
        "float16",
        "of the wrong size: fc1_weight has 100 bytes; expected 7×96, 2,688 bytes as float32 or "
        "1,344 as float16",
    ]
    assert "Twinlens" in caught.value.hint


def test_shapes_of_another_order_do_not_fit() -> None:
    with pytest.raises(ParameterError, match="conv_weight has 3×2×3×4 float32, 288 bytes"):
        with_parameters(network(), stored(TENSORFLOW))


def test_a_bias_where_the_layer_has_none_is_not_expected() -> None:
    graph = Graph("net", {"x": (1, 2)}, ["y"], [Node("fc", Linear(placeholder(3, 2)), ("x",), "y")])
    arrays = {"fc_weight": np.ones((3, 2), np.float32)}
    with_parameters(graph, arrays)
    with pytest.raises(ParameterError, match="not expected: fc_bias"):
        with_parameters(graph, arrays | {"fc_bias": np.ones(3, np.float32)})


def test_layers_that_are_not_loaded_by_name_are_told() -> None:
    one = np.ones(2, np.float32)
    norm = Node("norm", BatchNorm2d(one, one, one, one), ("x",), "y")
    graph = Graph("net", {"x": (1, 2, 3, 3)}, ["y"], [norm])
    with pytest.raises(ParameterError, match="'norm' is a BatchNorm2d"):
        with_parameters(graph, {})


NORMED = Naming(
    "a test",
    PYTORCH,
    norm=lambda layer: f"{layer}_bn" if layer != "fc" else None,
    epsilon=1e-3,
    ignored=("*_steps",),
)


def normed(*, bias: bool) -> tuple[Graph, dict[str, np.ndarray], np.ndarray]:
    """A convolution and a linear layer, numbers with separate norms, and the exact answer."""
    rng = np.random.default_rng(2)
    net = Assembly("normed", (1, 3, 5, 5))
    net.conv("conv", 4, 3)
    net.dense("fc", 6)
    graph = net.graph()
    arrays = random_parameters(graph, 1)
    quad = [rng.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4)]
    names = ("gamma", "beta", "mean", "variance")
    arrays |= {f"conv_bn_{name}": part for name, part in zip(names, quad, strict=True)}
    arrays["conv_steps"] = np.zeros(1, np.float32)
    if not bias:
        del arrays["conv_bias"]
    conv = Conv2d(arrays["conv_weight"], arrays.get("conv_bias"), pads=(1, 1, 1, 1))
    x = rng.standard_normal((1, 3, 5, 5))
    y = BatchNorm2d(*quad, epsilon=1e-3).forward(conv.forward(x))
    answer = Linear(arrays["fc_weight"], arrays["fc_bias"]).forward(Flatten().forward(y))
    return graph, arrays | {"x": x}, answer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("raw", [True, False])
def test_batch_normalisation_is_folded(tmp_path: Path, bias: bool, raw: bool) -> None:
    graph, arrays, answer = normed(bias=bias)
    x = arrays.pop("x")
    source = arrays
    if raw:
        for name, array in arrays.items():
            (tmp_path / f"{name}.dat").write_bytes(array.tobytes())
        source = open_parameters(tmp_path)
    (output,) = with_parameters(graph, source, NORMED).run({"input": x}).values()
    np.testing.assert_allclose(output, answer, atol=1e-5)


def test_numbers_that_are_folded_already_load_under_the_same_naming() -> None:
    graph, arrays, _ = normed(bias=True)
    plain = {name: arrays[name] for name in ("conv_weight", "conv_bias", "fc_weight", "fc_bias")}
    filled = with_parameters(graph, plain, NORMED)
    np.testing.assert_array_equal(filled.nodes[0].layer.parameters["bias"], plain["conv_bias"])


def test_half_a_batch_normalisation_is_missing_the_other_half() -> None:
    graph, arrays, _ = normed(bias=False)
    for name in ("x", "conv_bn_mean", "conv_bn_variance"):
        del arrays[name]
    with pytest.raises(ParameterError, match="2 missing") as caught:
        with_parameters(graph, arrays, NORMED)
    assert "conv_bn_mean (4, 16 bytes" in str(caught.value)


def test_without_numbers_a_network_answers_nan() -> None:
    graph = network()
    (output,) = graph.run({"input": PICTURE}).values()
    assert np.isnan(output).all()
    arrays = [a for node in graph.nodes for a in node.layer.parameters.values()]
    assert all(set(a.strides) == {0} for a in arrays)


def golden(count: int) -> list[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(9)
    graph = with_parameters(network(), NUMBERS)
    pairs = []
    for _ in range(count):
        picture = rng.standard_normal((1, 3, 9, 8)).astype(np.float32)
        (output,) = graph.run({"input": picture}).values()
        pairs.append((picture, int(output.argmax())))
    return pairs


@pytest.mark.parametrize("order", [PYTORCH, MPSCNN, TENSORFLOW], ids=lambda order: order.name)
def test_golden_pictures_tell_the_order_of_raw_files(tmp_path: Path, order) -> None:
    for name, array in stored(order).items():
        (tmp_path / f"{name}.dat").write_bytes(array.tobytes())
    pairs = golden(8)
    trials = try_orders(network(), open_parameters(tmp_path), OWN, pairs)
    assert len(trials) == len(ORDERS)
    assert best_order(trials, len(pairs)) == order
    assert trials[0].right == 8


def test_orders_whose_shapes_do_not_fit_say_why() -> None:
    pairs = golden(4)
    trials = try_orders(network(), stored(TENSORFLOW), OWN, pairs)
    assert best_order(trials, 4) == TENSORFLOW
    assert [trial.order.name for trial in trials if not trial.problem] == ["TensorFlow"]
    assert "of the wrong size" in trials[-1].problem


def test_a_golden_picture_that_nobody_reads_or_that_all_read_is_told() -> None:
    wrong = [(picture, (index + 1) % 5) for picture, index in golden(8)]
    trials = try_orders(network(), NUMBERS, OWN, wrong)
    with pytest.raises(ParameterError, match="no axis order reads"):
        best_order(trials, 8)
    both = (Trial(PYTORCH, 1, 0.9), Trial(MPSCNN, 1, 0.8))
    with pytest.raises(ParameterError, match="several axis orders") as caught:
        best_order(both, 1)
    assert "more golden pictures" in caught.value.hint
    with pytest.raises(ParameterError, match="no golden picture"):
        try_orders(network(), NUMBERS, OWN, [])
