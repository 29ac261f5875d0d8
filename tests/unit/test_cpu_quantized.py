"""Networks that come quantised, as ONNX Runtime's quantiser writes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime import quantization

from helpers.cpu_check import Layers, can, check, isa_named, isas, some_inputs
from helpers.cpu_nets import Weights, conv, depthwise
from helpers.onnx_nets import NETS, save
from twinlens.engine.formats import load_onnx
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import (
    Add,
    Clip,
    DequantizeLinear,
    GlobalAvgPool2d,
    LeakyReLU,
    MaxPool2d,
    QuantizeLinear,
    ReLU,
)
from twinlens.engine.targets.quantized import without_pairs

# Largest difference from the network with its pairs, as a share of its largest answer: a few
# steps of 255, since what lies beside a half may be rounded the other way in every layer.
STEPS = 10 / 255


class _Random(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Some pictures of noise."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self.pictures: Iterator[dict[str, Any]] = iter(
            [{name: rng.standard_normal(shape).astype(np.float32)} for _ in range(4)]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self.pictures, None)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """Quantise one of the small networks; each once."""
    folder = tmp_path_factory.mktemp("quantised")

    @cache
    def make(name: str, activations: str, per_channel: bool) -> Graph:
        source, target = folder / f"{name}.onnx", folder / f"{name}-{activations}.onnx"
        save(NETS[name](), source)
        graph = load_onnx(source)
        ((given, shape),) = graph.inputs.items()
        quantization.quantize_static(
            str(source),
            str(target),
            _Random(given, shape),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=getattr(quantization.QuantType, f"Q{activations}"),
            weight_type=quantization.QuantType.QInt8,
            per_channel=per_channel,
        )
        operators = {node.op_type for node in onnx.load(target).graph.node}
        assert {"QuantizeLinear", "DequantizeLinear"} <= operators
        return optimize(load_onnx(target))

    return make


modes = pytest.mark.parametrize(
    ("name", "activations", "per_channel"),
    [
        ("mobilenet_v1", "UInt8", True),
        ("mobilenet_v1", "Int8", False),
        ("mobilenet_v3", "Int8", True),
        ("edgetpu_mobilenet", "UInt8", False),
        ("squeezenet", "UInt8", True),
        ("resnet", "Int8", True),
        ("inception", "UInt8", True),
        ("efficientnet", "UInt8", False),
    ],
)


def _near(answer: Any, expected: Any) -> None:
    assert np.abs(answer - expected).max() <= STEPS * np.abs(expected).max()


@modes
def test_quantised_networks_run_as_they_are_meant(quantised, name, activations, per_channel):
    graph = quantised(name, activations, per_channel)
    inputs = some_inputs(graph, 5)
    (expected,) = graph.run({k: x.astype(np.float64) for k, x in inputs.items()}).values()
    bare, ranges = without_pairs(graph)
    assert ranges
    # At most the pair in front of an output stays.
    left = [node for node in bare.nodes if isinstance(node.layer, QuantizeLinear)]
    assert len(left) <= 1
    (floats,) = bare.run({k: x.astype(np.float64) for k, x in inputs.items()}).values()
    _near(floats, expected)
    isa = isas()[0]
    if can(isa, "int8"):
        seen = check(bare, inputs, isa, precision="int8", ranges=ranges)
        assert sum(" int8 " in text for text in seen.kernels.values()) >= 3
        _near(seen.outputs[graph.outputs[0]], expected)
    other = isa_named("avx2") or isa_named("generic")
    assert other is not None
    _near(check(bare, inputs, other, shared=False).outputs[graph.outputs[0]], expected)


SCALE, ZERO = np.float32(0.05), np.uint8(10)


def pair(net: Layers, name: str, scale: Any = SCALE, zero: Any = ZERO, back: Any = None) -> str:
    """Round a value to 8 bits and back."""
    there = net.add(QuantizeLinear(scale, zero), name)
    return net.add(DequantizeLinear(scale if back is None else back, zero), there)


def kinds(graph: Graph) -> list[str]:
    return [node.layer.kind for node in graph.nodes]


def test_a_pair_becomes_a_range():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    made = net.add(conv(w, 3, 4), pair(net, "x"))
    net.add(GlobalAvgPool2d(), pair(net, made, np.float32(0.1), np.int8(-20)))
    graph, ranges = without_pairs(net.graph())
    assert kinds(graph) == ["Conv2d", "GlobalAvgPool2d"]
    assert ranges == {
        "x": (pytest.approx(-0.5), pytest.approx(12.25)),
        made: (pytest.approx(-10.8), pytest.approx(14.7)),
    }


def test_a_graph_without_pairs_is_left_alone():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    net.add(conv(w, 3, 4), "x")
    graph = net.graph()
    assert without_pairs(graph) == (graph, {})


def test_several_pairs_of_one_value_join_their_ranges():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    first = net.add(conv(w, 3, 4), pair(net, "x", np.float32(0.1), np.uint8(0)))
    second = net.add(conv(w, 3, 4), pair(net, "x", np.float32(0.05), np.uint8(200)))
    net.add(Add(), first, second)
    _, ranges = without_pairs(net.graph())
    assert ranges == {"x": (pytest.approx(-10.0), pytest.approx(25.5))}


def test_a_pair_behind_a_pair_counts_for_the_same_value():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    net.add(conv(w, 3, 4), pair(net, pair(net, "x"), np.float32(0.1), np.uint8(5)))
    graph, ranges = without_pairs(net.graph())
    assert kinds(graph) == ["Conv2d"]
    assert ranges == {"x": (pytest.approx(-0.5), pytest.approx(25.0))}


def test_one_rounding_may_have_several_ways_back():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    there = net.add(QuantizeLinear(SCALE, ZERO), "x")
    backs = [net.add(DequantizeLinear(SCALE, ZERO), there) for _ in range(2)]
    net.add(Add(), *(net.add(conv(w, 3, 4), back) for back in backs))
    graph, ranges = without_pairs(net.graph())
    assert kinds(graph) == ["Conv2d", "Conv2d", "Add"]
    assert set(ranges) == {"x"}


def _per_channel(net: Layers) -> str:
    scales, zeros = np.full(3, 0.1, np.float32), np.zeros(3, np.uint8)
    return pair(net, "x", scales, zeros)


def _sixteen_bits(net: Layers) -> str:
    return pair(net, "x", np.float32(0.1), np.uint16(5))


def _other_scale(net: Layers) -> str:
    return pair(net, "x", SCALE, ZERO, back=np.float32(0.06))


def _other_zero(net: Layers) -> str:
    return net.add(DequantizeLinear(SCALE, np.uint8(11)), net.add(QuantizeLinear(SCALE, ZERO), "x"))


@pytest.mark.parametrize("make", [_per_channel, _sixteen_bits, _other_scale, _other_zero])
def test_pairs_that_do_more_stay(make):
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    net.add(conv(w, 3, 4), make(net))
    graph, ranges = without_pairs(net.graph())
    assert not ranges
    assert kinds(graph) == ["QuantizeLinear", "DequantizeLinear", "Conv2d"]
    check(graph, some_inputs(graph, 0), isas()[0])


@pytest.mark.parametrize("which", ["whole numbers", "rounded"])
def test_pairs_whose_insides_are_outputs_stay(which):
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    rounded = pair(net, "x")
    there = net.nodes[0].output
    last = net.add(conv(w, 3, 4), rounded)
    graph, ranges = without_pairs(net.graph(last, there if which == "whole numbers" else rounded))
    assert not ranges
    assert kinds(graph) == ["QuantizeLinear", "DequantizeLinear", "Conv2d"]


def test_a_range_from_zero_on_limits_the_sum_that_makes_it():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    made = net.add(conv(w, 3, 4), "x")
    last = net.add(depthwise(w, 4), pair(net, made, np.float32(0.004), np.uint8(0)))
    graph, _ = without_pairs(net.graph(last))
    limits = graph.nodes[0].activation
    assert isinstance(limits, Clip)
    assert (limits.minimum, limits.maximum) == (0, pytest.approx(255 * 0.004))
    x = {name: a.astype(np.float64) for name, a in some_inputs(graph, 0).items()}
    expected, given = net.graph(last).run(x)[last], graph.run(x)[last]
    # Half a step of 0.004 at each of 9 taps.
    assert np.abs(given - expected).max() < 0.002 * np.abs(net.nodes[-1].layer.weight).sum()


def test_a_range_from_zero_on_limits_nothing_else():
    net, w = Layers(x=(1, 3, 8, 8)), Weights(0)
    zero = np.uint8(0)
    limited = net.add(LeakyReLU(0.1), net.add(conv(w, 3, 4), "x"))
    first = net.add(conv(w, 4, 4, (1, 1)), pair(net, limited, SCALE, zero))
    # Somebody reads this one as it is, so that it must stay as it is.
    second = net.add(conv(w, 4, 4, (1, 1)), pair(net, first, SCALE, zero))
    pooled = net.add(MaxPool2d((2, 2)), net.add(Add(), second, first))
    net.add(conv(w, 4, 4, (1, 1)), pair(net, pooled, SCALE, zero))
    graph, ranges = without_pairs(optimize(net.graph()))
    assert set(ranges) == {limited, first, pooled}
    assert isinstance(graph.nodes[0].activation, LeakyReLU)
    assert all(node.activation is None for node in graph.nodes[1:])


def test_sums_that_stand_for_a_relu_are_not_fused_away():
    isa = isas()[0]
    if not can(isa, "int8"):
        pytest.skip(f"{isa.title} here does not compute in int8")
    # The quantiser took the ReLU between the convolution and the sum out.
    net, w = Layers(x=(1, 8, 9, 9)), Weights(0)
    x = pair(net, "x", np.float32(0.03), np.uint8(128))
    made = net.add(conv(w, 8, 8, (1, 1)), x)
    total = net.add(Add(), pair(net, made, np.float32(0.015), np.uint8(0)), x)
    last = net.add(ReLU(), net.add(conv(w, 8, 8, (1, 1)), total))
    graph = net.graph(last)
    inputs = some_inputs(graph, 0)
    bare, ranges = without_pairs(graph)
    seen = check(bare, inputs, isa, precision="int8", ranges=ranges)
    expected = graph.run({name: a.astype(np.float64) for name, a in inputs.items()})[last]
    _near(seen.outputs[last], expected)
