"""Compiled programs of small networks that each once went wrong, or easily could."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from helpers.cpu_check import (
    Layers,
    can,
    check,
    each_isa,
    isas,
    program_of,
    ranges_of,
    some_inputs,
)
from helpers.cpu_nets import Weights, conv, depthwise, everything
from twinlens.engine.errors import InferenceError, ShapeError
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import (
    GELU,
    Add,
    Clip,
    Concat,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    Linear,
    MatMul,
    MaxPool2d,
    Mish,
    Mul,
    ReduceMean,
    ReLU,
    Reshape,
    Softmax,
    Squeeze,
    Unsqueeze,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.targets.cpu.run.program import Options, Program

BEST = isas()[0]
precisions = pytest.mark.parametrize(
    "precision",
    [
        pytest.param(
            p, marks=[] if can(BEST, p) else pytest.mark.skip(reason=f"{BEST.title} lacks {p}")
        )
        for p in ("fp32", "bf16", "int8")
    ],
)


def hold(net: Layers, *outputs: str, precision: str = "fp32"):
    graph = optimize(net.graph(*outputs))
    inputs = some_inputs(graph, 3)
    ranges = ranges_of(graph, inputs) if precision == "int8" else None
    return check(graph, inputs, BEST, precision=precision, ranges=ranges)


@each_isa()
def test_every_kind_of_kernel(isa):
    graph = everything(3)
    seen = check(graph, some_inputs(graph, 3), isa, threads=3, shared=isa is BEST)
    assert {name.split("-")[0] for name in seen.fallbacks} == {"LocalResponseNorm", "Resize"}


@pytest.mark.parametrize("name", ["bf16", "int8"])
def test_every_kind_of_kernel_in_short_types(name):
    if not can(BEST, name):
        pytest.skip(f"{BEST.title} here does not compute in {name}")
    graph = everything(4)
    inputs = some_inputs(graph, 4)
    ranges = ranges_of(graph, inputs)
    seen = check(graph, inputs, BEST, precision=name, ranges=ranges, shared=False)
    assert sum(f" {name} " in text for text in seen.kernels.values()) > 3


@precisions
def test_outputs_that_are_read_inside(precision):
    net, w = Layers(x=(1, 8, 16, 17)), Weights(0)
    first = net.add(conv(w, 8, 9, pads=(1, 1, 1, 1)), "x")
    second = net.add(Add(), net.add(conv(w, 9, 9, (1, 1)), first), first)
    pooled = net.add(MaxPool2d((2, 2), stride=(2, 2)), second)
    both = net.add(Concat(1), first, second)
    last = net.add(conv(w, 18, 4, (5, 5), pads=(2, 2, 2, 2)), both)
    hold(net, first, second, both, last, pooled, precision=precision)


@precisions
def test_inputs_and_constants_that_are_outputs(precision):
    net, w = Layers(x=(1, 3, 5, 6)), Weights(0)
    made = net.add(conv(w, 3, 5, (2, 2)), "x")
    known = net.constant(w(2, 3))
    graph = net.graph("x", known, made)
    x = some_inputs(graph, 0)
    with program_of(graph, Options(precision, ranges=ranges_of(graph, x)), BEST) as program:
        answers = program.run(x)
        np.testing.assert_array_equal(answers["x"], x["x"])
        np.testing.assert_array_equal(answers[known], graph.constants[known])
        answers["x"][...] = answers[made][...] = 0
        assert x["x"].any()
        assert program.run(x)[made].any()


def test_several_inputs():
    net, w = Layers(x=(1, 4, 6, 5), y=(1, 4, 6, 5), z=(1, 7)), Weights(0)
    made = net.add(ReLU(), net.add(conv(w, 4, 7, pads=(1, 1, 1, 1)), net.add(Add(), "x", "y")))
    row = net.add(Flatten(), net.add(GlobalAvgPool2d(), made))
    net.add(Linear(w(5, 7)), net.add(Mul(), row, "z"))
    hold(net, made, net.nodes[-1].output)


def test_an_output_that_is_another_ones_other_name():
    net, w = Layers(x=(1, 4, 6, 5)), Weights(0)
    made = net.add(conv(w, 4, 7), "x")
    alias = net.add(Identity(), made)
    row = net.add(Reshape((1, -1)), net.add(GlobalMaxPool2d(), alias))
    hold(net, made, alias, row, net.add(Unsqueeze((2, 3)), row))


def test_a_batch_of_two_runs_in_numpy():
    net, w = Layers(x=(2, 4, 6, 5)), Weights(0)
    net.add(ReLU(), net.add(conv(w, 4, 7), "x"))
    seen = hold(net)
    assert len(seen.fallbacks) == 1


@pytest.mark.parametrize("make", [GELU, Mish])
def test_activations_without_code_run_in_numpy(make):
    net, w = Layers(x=(1, 4, 6, 5)), Weights(0)
    net.add(depthwise(w, 7), net.add(make(), net.add(conv(w, 4, 7), "x")))
    seen = hold(net)
    # The convolutions before and behind keep their kernels.
    (left,) = seen.fallbacks
    assert left.endswith(make.kind)
    assert len(seen.kernels) == 2


def test_a_row_is_added_along_the_width():
    # Six channels, six columns: broadcasting sets the row beside the columns.
    net = Layers(x=(1, 6, 5, 6))
    net.add(Add(), "x", net.add(Flatten(), net.add(GlobalAvgPool2d(), "x")))
    hold(net)


def test_an_answer_of_numpy_outlives_the_memory_it_was_made_from():
    net, w = Layers(x=(1, 6, 5, 6)), Weights(0)
    row = net.add(Flatten(), net.add(GlobalAvgPool2d(), "x"))
    # Three axes are no picture and no row, so that this runs in NumPy: as a view.
    kept = net.add(Reshape((1, 1, 6)), row)
    name = "x"
    for _ in range(5):
        row = net.add(Flatten(), net.add(GlobalMaxPool2d(), name))
        name = net.add(Unsqueeze((2, 3)), net.add(Linear(w(6, 6)), row))
    hold(net, kept, name)


@precisions
def test_a_colour_picture_of_one_pixel(precision):
    net, w = Layers(x=(1, 3, 1, 1)), Weights(0)
    made = net.add(conv(w, 3, 5, (1, 1)), "x")
    graph = net.graph(made)
    # What lies behind the picture must not matter.
    x = np.full(8, np.nan, np.float32)
    x[:3] = (0.5, -1.0, 0.25)
    inputs = {"x": x[:3].reshape(1, 3, 1, 1)}
    ranges = ranges_of(graph, inputs) if precision == "int8" else None
    check(graph, inputs, BEST, precision=precision, ranges=ranges)


@pytest.mark.parametrize("number", [float, np.float32, np.float64, np.array])
def test_tiles_are_not_shared_by_different_limits(number):
    net, w = Layers(x=(1, 8, 5, 6)), Weights(0)
    for limit in (0.1, 0.2, 0.3):
        net.add(Clip(number(-limit), number(limit)), net.add(conv(w, 8, 16, (1, 1)), "x"))
    hold(net)


@precisions
def test_concats_of_concats_and_the_same_value_twice(precision):
    net, w = Layers(x=(1, 3, 14, 15)), Weights(0)
    a = net.add(conv(w, 3, 8, pads=(1, 1, 1, 1)), "x")
    b = net.add(MaxPool2d((3, 3), pads=(1, 1, 1, 1)), a)
    inner = net.add(Concat(1), b, a, b)
    outer = net.add(Concat(1), inner, net.add(conv(w, 24, 8, (1, 1)), inner), "x", inner)
    single = net.add(Concat(1), outer)
    padded = net.add(conv(w, 59, 9, (3, 5), pads=(0, 3, 2, 1)), single)
    grouped = net.add(depthwise(w, 24, (5, 5), pads=(2, 2, 2, 2)), inner)
    last = net.add(Concat(1), padded, grouped)
    seen = hold(net, net.add(Flatten(), net.add(GlobalMaxPool2d(), last)), precision=precision)
    assert not seen.fallbacks


@precisions
def test_sums_of_what_a_convolution_takes_and_makes(precision):
    net, w = Layers(x=(1, 8, 15, 13)), Weights(0)
    name = net.add(conv(w, 8, 9, pads=(1, 1, 1, 1)), "x")
    for kernel, pads in (((1, 1), (0, 0, 0, 0)), ((3, 3), (1, 1, 1, 1)), ((5, 3), (2, 1, 2, 1))):
        made = net.add(conv(w, 9, 9, kernel, pads=pads), name)
        name = net.add(ReLU(), net.add(Add(), name, made))
        # Both sides are convolutions, and the sum is one side of the next.
        left = net.add(conv(w, 9, 9, (1, 1)), name)
        right = net.add(conv(w, 9, 9, kernel, pads=pads), name)
        name = net.add(Add(), net.add(Add(), left, right), name)
    twice = net.add(conv(w, 9, 9, (1, 1)), name)
    seen = hold(net, net.add(GlobalMaxPool2d(), net.add(Add(), twice, twice)), precision=precision)
    assert not seen.fallbacks
    assert sum("+ add" in text for text in seen.kernels.values()) >= 6


@precisions
def test_flattened_pictures(precision):
    net, w = Layers(x=(1, 3, 9, 8)), Weights(0)
    made = net.add(conv(w, 3, 5, pads=(1, 0, 1, 2)), "x")
    # Read with a border, as a row, and as channels of something wider.
    bordered = net.add(conv(w, 5, 5, pads=(1, 1, 1, 1)), made)
    row = net.add(Flatten(), made)
    both = net.add(Concat(1), made, bordered)
    rows = [net.add(Linear(w(6, 5 * 9 * 8)), row), net.add(Flatten(), net.add(ReLU(), both))]
    rows[1] = net.add(MatMul(), rows[1], net.constant(w(720, 7)))
    line = net.add(Softmax(1), net.add(ReLU(), row))
    rows.append(net.add(Linear(w(6, 5 * 9 * 8)), line))
    rows.append(net.add(Squeeze((2, 3)), net.add(ReduceMean((2, 3)), both)))
    hold(net, net.add(Concat(1), *rows), precision=precision)


def test_only_values_that_are_kept_are_given():
    net, w = Layers(x=(1, 8, 15, 13)), Weights(0)
    made = net.add(conv(w, 8, 8, pads=(1, 1, 1, 1)), "x")
    total = net.add(Add(), made, "x")
    with program_of(net.graph(), Options(share=False), BEST) as program:
        program.run(some_inputs(net.graph(), 0))
        assert dict(program.values()).keys() == {"x", total}


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": np.zeros((1, 8, 15, 12), np.float32)},
        {"x": np.zeros((8, 15, 13), np.float32)},
        {"y": np.zeros((1, 8, 15, 13), np.float32)},
        {"x": np.zeros((1, 8, 15, 13), np.float32), "y": np.zeros(1, np.float32)},
        {},
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs):
    net, w = Layers(x=(1, 8, 15, 13)), Weights(0)
    net.add(conv(w, 8, 8), "x")
    with (
        program_of(net.graph(), Options(), BEST) as program,
        pytest.raises(ShapeError, match=r"takes \{'x': \(1, 8, 15, 13\)\}"),
    ):
        program.run(inputs)


def test_inputs_of_other_types_and_layouts_in_memory():
    net, w = Layers(x=(1, 8, 15, 13)), Weights(0)
    graph = net.graph(net.add(conv(w, 8, 8), "x"))
    x = some_inputs(graph, 0)["x"]
    with program_of(graph, Options(), BEST) as program:
        (expected,) = program.run({"x": x}).values()
        for other in (x.astype(np.float64), np.asfortranarray(x), x[:, :, ::-1][:, :, ::-1]):
            np.testing.assert_array_equal(program.run({"x": other})[graph.outputs[0]], expected)


class Fails(Layer):
    """Takes any shape, and nothing when it runs."""

    def output_shape(self, *inputs):
        return inputs[0]

    def forward(self, *inputs):
        raise ValueError("not today")


def test_a_layer_that_fails_is_named_and_the_next_run_goes_on():
    net, w = Layers(x=(1, 8, 5, 5)), Weights(0)
    net.add(Fails(), net.add(conv(w, 8, 8), "x"))
    graph = net.graph()
    with closing(Program(graph, Options(threads=2))) as program:
        for _ in range(2):
            with pytest.raises(InferenceError, match=r"net: node 'Fails-1' \(Fails\) failed: not"):
                program.run(some_inputs(graph, 0))
    with pytest.raises(InferenceError, match="closed"):
        program.run(some_inputs(graph, 0))


def test_memory_is_as_planned():
    graph: Graph = everything(0)
    with program_of(graph, Options(threads=2), BEST) as shared:
        with program_of(graph, Options(share=False), BEST) as apart:
            assert shared.arena_size < 0.6 * apart.arena_size
        # Arrays are what is planned; the slack is for starting at a cache line.
        for array, size in (
            (shared._arena, shared.arena_size),
            (shared._weights, shared.weights_size),
            (shared._scratch, 2 * shared.scratch_size),
        ):
            assert array.nbytes == size
            assert array.base.nbytes <= size + 64
        unpacked = 4 * graph.parameter_count
        # Winograd's weights are four times as large; all others are packed as they are.
        assert shared.weights_size < 4 * unpacked
