"""What is not a number, or lies beyond an integer's range: one rule for every place that converts.

Converting such a float to an integer may give anything, to C, to LLVM and to NumPy. Here what is
beyond the range becomes the range's end, and what is not a number becomes 0; quantised, that is
the integer that stands for 0.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers.cpu_check import Layers, can, each_isa, isas, program_of
from helpers.cpu_nets import everything
from twinlens.engine.formats.onnx.importer import graph_from_onnx
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import (
    ELU,
    Clip,
    Conv2d,
    DequantizeLinear,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Linear,
    MaxPool2d,
    QuantizeLinear,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.kernels.base import Op
from twinlens.engine.targets.cpu.kernels.product import BFloatProduct
from twinlens.engine.targets.cpu.plan.lower import Lowering, steps_of
from twinlens.engine.targets.cpu.plan.rules import RULES
from twinlens.engine.targets.cpu.run.program import Options
from twinlens.engine.targets.quantized import without_pairs

NAN, INF = np.nan, np.inf
#: Seventeen of them: a register of every instruction set, and one more.
ODD = np.array(
    [NAN, INF, -INF, 3e38, -3e38, 1e10, -1e10, 300.0, -300.0, 1.5, -1.5, 0.25, 0.0, 2, 3, NAN, 1],
    np.float32,
)
COUNT = len(ODD)

ACTIVATIONS = (
    Clip(-1, 2),
    ELU(),
    HardSigmoid(),
    HardSwish(),
    LeakyReLU(0.1),
    ReLU(),
    ReLU6(),
    SiLU(),
    Sigmoid(),
    Tanh(),
)


def one_layer(layer: object) -> Graph:
    """A network of one layer, as wide as ``ODD``."""
    net = Layers(x=(1, COUNT, 1, 1))
    net.add(layer, "x")
    return net.graph()


def odd_input() -> dict[str, np.ndarray]:
    return {"x": ODD.reshape(1, COUNT, 1, 1)}


def reference(graph: Graph, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The layers' own answer; overflows on the way are part of it."""
    with np.errstate(over="ignore", invalid="ignore"):
        (answer,) = graph.run(inputs).values()
    return answer.reshape(-1)


def answer_of(
    graph: Graph, isa: Isa, options: Options, inputs: dict[str, np.ndarray]
) -> np.ndarray:
    with program_of(graph, options, isa) as program:
        (answer,) = program.run(inputs).values()
    return np.asarray(answer).reshape(-1)


def code_of(graph: Graph, isa: Isa, precision: str = "fp32", ranges: object = None) -> str:
    """A network's kernels as LLVM IR."""
    lowered = Lowering(graph, isa, precision, ranges).translate(RULES)
    ops = [step for step in lowered.steps if isinstance(step, Op)]
    constants = compiler.Constants.plan([[a.nbytes for a in op.constants(isa)] for op in ops])
    return compiler.build(ops, constants, isa)


@each_isa()
def test_no_kernel_converts_what_may_not_be_a_number(isa):
    texts = [code_of(one_layer(layer), isa) for layer in (*ACTIVATIONS, Softmax(1))]
    for precision in ("fp32", "bf16", "int8"):
        if can(isa, precision):
            graph = everything(0)
            ranges = dict.fromkeys(graph.shapes, (-1.0, 1.0)) if precision == "int8" else None
            texts.append(code_of(graph, isa, precision, ranges))
    for text in texts:
        assert "fptosi" not in text
        assert "fptoui" not in text


@each_isa()
@pytest.mark.parametrize("layer", ACTIVATIONS, ids=lambda layer: layer.kind)
def test_activations_keep_what_is_not_a_number(isa, layer):
    graph = one_layer(layer)
    found = answer_of(graph, isa, Options(use_cache=False), odd_input())
    expected = reference(graph, odd_input())
    # Of a product of infinity and a gate that has all but reached 0, either may be meant.
    open_ = np.isneginf(ODD) if isinstance(layer, (SiLU, HardSwish)) else np.zeros(COUNT, bool)
    # SiLU's own gate stops at exp(-88.3) instead of 0.
    open_ |= (ODD < -1e9) & isinstance(layer, SiLU)
    np.testing.assert_allclose(found[~open_], expected[~open_], rtol=1e-5, atol=1e-6)


@each_isa()
def test_softmax_of_what_is_not_a_number(isa):
    graph = one_layer(Softmax(1))
    for bad in (NAN, INF):
        x = np.zeros((1, COUNT, 1, 1), np.float32)
        x[0, 3] = bad
        found = answer_of(graph, isa, Options(use_cache=False), {"x": x})
        np.testing.assert_array_equal(found, reference(graph, {"x": x}))
        assert np.isnan(found).all()


QUANTISED = [
    pytest.param(np.uint8, 0, id="uint8"),
    pytest.param(np.uint8, 100, id="uint8-middle"),
    pytest.param(np.int8, 0, id="int8"),
    pytest.param(np.int8, -100, id="int8-below"),
    pytest.param(np.int8, 127, id="int8-end"),
]


@pytest.mark.parametrize(("dtype", "zero"), [*QUANTISED, (np.uint16, 7), (np.int16, -7)])
@pytest.mark.parametrize("real", [np.float16, np.float32, np.float64])
def test_quantising_saturates_and_makes_nothing_of_nan(dtype, zero, real):
    layer = QuantizeLinear(np.float32(0.5), dtype(zero))
    x = np.array([[NAN, INF, -INF, 6e4, -6e4, 1.0]]).astype(real)
    ends = np.iinfo(dtype)
    far = [int(np.clip(n * 120000 + zero, ends.min, ends.max)) for n in (1, -1)]
    expected = [zero, ends.max, ends.min, *far, min(zero + 2, ends.max)]
    with np.errstate(over="ignore"):  # 120,000 steps are no float16
        found = layer.forward(x)[0]
    np.testing.assert_array_equal(found, np.array(expected, dtype))


@each_isa()
@pytest.mark.parametrize(("dtype", "zero"), QUANTISED)
def test_quantised_networks_agree_with_their_layers(isa, dtype, zero):
    if not can(isa, "int8"):
        pytest.skip(f"{isa.title} here does not compute in int8")
    graph, plain, ranges = quantised(dtype, zero)
    options = Options("int8", 1, ranges, use_cache=False)
    expected = reference(graph, odd_input())
    assert np.isfinite(expected).all()
    assert (expected[np.isnan(ODD)] == 0).all()
    np.testing.assert_allclose(answer_of(plain, isa, options, odd_input()), expected, atol=1e-6)


def quantised(dtype: type, zero: int) -> tuple[Graph, Graph, dict[str, tuple[float, float]]]:
    """A network whose convolution reads 8 bits: with its pairs, and without them."""
    scale, net = np.float32(2.0**-4), Layers(x=(1, COUNT, 1, 1))
    pair = (QuantizeLinear(scale, dtype(zero)), DequantizeLinear(scale, dtype(zero)))
    value = net.add(MaxPool2d((1, 1)), "x")
    value = net.add(pair[1], net.add(pair[0], value))
    # One weight a column comes back from int8 as it was.
    net.add(Conv2d(2 * np.eye(COUNT, dtype=np.float32).reshape(COUNT, COUNT, 1, 1)), value)
    graph = net.graph()
    plain, ranges = without_pairs(optimize(graph))
    assert ranges
    return graph, plain, ranges


def test_bfloat16_keeps_what_is_not_a_number():
    bits = np.array(
        [[0x7FFFFFFF, 0x7F800001, 0xFFFFFFFF, 0xFF800001, 0x7FC00000, 0x7F800000, 0xFF800000]],
        np.uint32,
    )
    stored = BFloatProduct().convert(bits.view(np.float32))
    back = (stored.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(back, bits.view(np.float32))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_weights_that_are_not_numbers_spoil_their_outputs_only(precision, bad, kind):
    isa = isas()[0]
    if not can(isa, precision):
        pytest.skip(f"{isa.title} here does not compute in {precision}")
    weight = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    weight[3, 2] = np.uint32(0x7FFFFFFF).view(np.float32) if np.isnan(bad) else bad
    if kind == "conv":
        net = Layers(x=(1, 8, 1, 1))
        layer: object = Conv2d(weight.reshape(8, 8, 1, 1))
    else:
        net = Layers(x=(1, 8))
        layer = Linear(weight)
    middle = net.add(ReLU(), "x")
    net.add(layer, middle)
    graph = net.graph()
    x = {"x": np.linspace(0.25, 1, 8, dtype=np.float32).reshape(graph.inputs["x"])}
    ranges = {middle: (0.0, 1.0)} if precision == "int8" else None
    found = answer_of(graph, isa, Options(precision, 1, ranges, use_cache=False), x)
    expected = reference(graph, x)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("ends", [(NAN, NAN), (-INF, INF), (0.0, INF), (NAN, 1.0)])
def test_values_without_a_finite_range_stay_in_floats(ends):
    net = Layers(x=(1, COUNT, 1, 1))
    middle = net.add(MaxPool2d((1, 1)), "x")
    net.add(ReLU(), middle)
    lowered = Lowering(net.graph(), isas()[0], "int8", {middle: ends, "x": ends}).translate(RULES)
    assert {stored.tensor.dtype for stored in lowered.values.values()} == {"f32"}
    assert steps_of(0.0, 255.0) == (1.0, 0)


@pytest.mark.parametrize("scale", [NAN, INF])
def test_a_pair_whose_scale_is_not_finite_stays(scale):
    net = Layers(x=(1, COUNT, 1, 1))
    pair = (QuantizeLinear(np.float32(scale)), DequantizeLinear(np.float32(scale)))
    net.add(ReLU(), net.add(pair[1], net.add(pair[0], "x")))
    graph = net.graph()
    assert without_pairs(graph) == (graph, {})


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT32", "INT64", "UINT64"])
def test_constants_of_a_file_are_cast_by_the_same_rule(kind):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    wanted = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, kind))
    ends = np.iinfo(wanted)
    x = np.array([NAN, INF, -INF, 1e30, -1e30, 5.7, 0.0, 1.0], np.float32)
    nodes = [
        helper.make_node("Cast", ["c"], ["whole"], to=getattr(TensorProto, kind)),
        helper.make_node("Cast", ["whole"], ["back"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "back"], ["y"]),
    ]
    given, wide = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 8]) for n in "xy")
    constant = numpy_helper.from_array(x, "c")
    model = helper.make_model(
        helper.make_graph(nodes, "g", [given], [wide], [constant]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.checker.check_model(model)
    graph = graph_from_onnx(model)
    (answer,) = graph.run({"x": np.zeros((1, 8), np.float32)}).values()
    expected = [0, ends.max, ends.min, ends.max, ends.min, 5, 0, 1]
    np.testing.assert_array_equal(answer[0], np.array(expected, np.float32))
