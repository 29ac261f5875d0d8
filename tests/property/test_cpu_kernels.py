"""Compiled kernels of any shape against the layers' float64 forwards (see helpers.cpu_check)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from helpers.cpu_check import (
    Layers,
    can,
    check,
    each_isa,
    isa_named,
    isas,
    program_of,
    ranges_of,
    reference,
    some_inputs,
)
from helpers.cpu_nets import (
    ACTIVATIONS,
    CHANNELS,
    Weights,
    conv,
    depthwise,
    joined,
    networks,
    pools,
)
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    Concat,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Mul,
    Softmax,
)
from twinlens.engine.targets.cpu.run.program import Options

# Nothing is made smaller: every step of that would compile a network. The network is shown.
several = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
#: Around the ends of vectors of 4, 8 and 16 lanes.
LANES = (*range(1, 10), 15, 16, 17, 31, 32, 33, 64, 65, 130)
#: Around the ends of tiles of 4 to 64 columns.
COLUMNS = (*range(1, 19), 24, 25, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 80, 127, 128, 129, 130)

modes = pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("avx512", "fp32"),
        ("avx512", "bf16"),
        ("avx512", "int8"),
        ("avx2", "fp32"),
        ("neon", "fp32"),
        ("generic", "fp32"),
    ],
)


def hold(graph: Graph, name: str, precision: str, seed: int = 0, **choices: Any) -> Any:
    """Check a network in a precision on an instruction set, where this machine has them."""
    isa = isa_named(name)
    if isa is None or not can(isa, precision):
        pytest.skip(f"{precision} on {name} is not what this machine has")
    inputs = some_inputs(graph, seed)
    # Some samples lie outside the range, as on pictures that were not calibrated on.
    ranges = ranges_of(graph, inputs, 0.9) if precision == "int8" else None
    return check(graph, inputs, isa, precision=precision, ranges=ranges, **choices)


@modes
def test_every_tail_of_columns(name, precision):
    weights, net = Weights(1), Layers(x=(1, 13, 3, 5))
    every = (*range(1, 71), 127, 128, 129, 130)
    for outputs in every if (name, precision) == ("avx512", "fp32") else COLUMNS:
        net.add(conv(weights, 13, outputs, (1, 1)), "x")
    seen = hold(joined(net), name, precision, shared=False)
    assert not seen.fallbacks


@modes
def test_every_tail_of_rows(name, precision):
    weights, net = Weights(2), Layers(x=(1, 3, 2, 32))
    for width in (*range(1, 17), 21, 27, 28, 29, 32):
        # A row of each width, as rows of their own and as one run of rows.
        rows = net.add(conv(weights, 3, 6, (1, 33 - width)), "x")
        net.add(conv(weights, 6, 10, (1, 1)), rows)
    seen = hold(joined(net), name, precision, shared=False)
    assert not seen.fallbacks


@modes
def test_every_tail_of_channels(name, precision):
    weights, net = Weights(3), Layers(x=(1, 3, 4, 5))
    rows = []
    isa = isa_named(name)
    lanes = 16 if isa is None else isa.lanes
    for channels in (n for n in LANES if n <= 2 * lanes + 1 or n % lanes < 3):
        made = net.add(conv(weights, 3, channels, (1, 1)), "x")
        moved = net.add(depthwise(weights, channels, (2, 3), pads=(1, 0, 0, 1)), made)
        pooled = net.add(MaxPool2d((2, 2), pads=(1, 0, 0, 1)), moved)
        pooled = net.add(AvgPool2d((2, 3), pads=(0, 1, 1, 1)), pooled)
        pixel = net.add(GlobalAvgPool2d(), pooled)
        gated = net.add(Softmax(1), net.add(Mul(), pooled, pixel))
        rows.append(net.add(Flatten(), net.add(GlobalAvgPool2d(), gated)))
        net.add(Linear(weights(3, channels)), rows[-1])
    seen = hold(joined(net), name, precision, shared=False)
    assert not seen.fallbacks


@st.composite
def windows(draw: Any) -> Graph:
    """Many convolutions and pools of any window over one picture, and joins of what they make."""
    weights = Weights(draw(st.integers(0, 2**16)))
    channels = draw(st.sampled_from((1, 2, 3, 4, 6, 12, 18)))
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    net = Layers(x=(1, channels, height, width))
    for _ in range(9):
        settings: dict[str, list[int]] = {"stride": [], "dilation": [], "pads": []}
        kernel: list[int] = []
        ends: list[int] = []
        for length in (height, width):
            taps, dilation = draw(st.integers(1, 7)), draw(st.sampled_from((1, 1, 1, 2, 3)))
            extent = dilation * (taps - 1) + 1
            before, after = (draw(st.integers(0, min(4, extent - 1))) for _ in range(2))
            if length + before + after < extent:
                taps, dilation, before, after = 1, 1, 0, 0
            kernel.append(taps)
            settings["stride"].append(draw(st.integers(1, 4)))
            settings["dilation"].append(dilation)
            settings["pads"].append(before)
            ends.append(after)
        settings["pads"] += ends
        ceil = draw(st.booleans())
        groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
        size = (kernel[0], kernel[1])
        layers = (
            conv(weights, channels, draw(CHANNELS), size, **settings),
            conv(weights, channels, 3 * groups, size, groups=groups, **settings),
            conv(weights, channels, groups, size, groups=groups, **settings),
            depthwise(weights, channels, size, **settings),
            depthwise(weights, channels, size, **settings),
            *pools(size, net.shapes["x"], ceil_mode=ceil, **settings),
        )
        made = net.add(draw(st.sampled_from(layers)), "x")
        if draw(st.booleans()):
            net.add(draw(st.sampled_from(ACTIVATIONS))(), made)
    return optimize(joined(net))


@modes
@settings(several, max_examples=3)
@given(graph=windows(), seed=st.integers(0, 99))
def test_windows_of_any_shape(name, precision, graph, seed):
    note(graph.summary())
    seen = hold(graph, name, precision, seed, shared=False)
    assert not seen.fallbacks


@modes
@settings(several, max_examples=5)
@given(graph=networks(), seed=st.integers(0, 99), threads=st.integers(1, 3))
def test_networks_of_any_layers(name, precision, graph, seed, threads):
    note(graph.summary())
    hold(graph, name, precision, seed, threads=threads)


@settings(several, max_examples=4)
@given(
    mode=st.sampled_from([(isa, p) for isa in isas() for p in ("fp32", "bf16") if can(isa, p)]),
    size=st.tuples(st.integers(13, 37), st.integers(13, 37)),
    channels=st.tuples(st.integers(8, 40), st.integers(8, 40), st.sampled_from((8, 9, 31, 65))),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    activations=st.tuples(*[st.sampled_from((None, *ACTIVATIONS))] * 3),
    threads=st.integers(1, 3),
)
def test_winograd(mode, size, channels, pads, activations, threads):
    (isa, precision), weights = mode, Weights(size[0])
    net = Layers(x=(1, channels[0], *size))
    # What follows a convolution is fused with it: a function, a sum before or after one.
    following = [None if make is None else make() for make in activations]

    def then(position: int, name: str) -> str:
        layer = following[position]
        return name if layer is None else net.add(layer, name)

    first = then(0, net.add(conv(weights, channels[0], channels[1], pads=pads), "x"))
    if min(net.shapes[first][2:]) < 13:
        pads = (1, 1, 1, 1)
        first = then(0, net.add(conv(weights, channels[0], channels[1], pads=pads), "x"))
    second = net.add(conv(weights, channels[1], channels[1], pads=(1, 1, 1, 1)), first)
    second = then(1, net.add(Add(), second, first))
    # Its input as channels of a wider buffer, which a pool fills in part.
    both = net.add(Concat(1), net.add(MaxPool2d((3, 3), pads=(1, 1, 1, 1)), first), second)
    third = net.add(conv(weights, 2 * channels[1], channels[2], pads=(2, 0, 0, 2)), both)
    then(2, third)
    graph = optimize(joined(net))
    note(graph.summary())
    choices = {"precision": precision, "threads": threads, "shared": threads == 2}
    seen = check(graph, some_inputs(graph, 1), isa, **choices)
    assert sum(text.startswith("winograd") for text in seen.kernels.values()) >= 3
    assert not seen.fallbacks


@each_isa()
@pytest.mark.parametrize("size", [1e-30, 1e-6, 1e-2, 1.0, 10.0, 1e4, 1e30])
def test_activations_keep_their_relative_accuracy(isa, size):
    net = Layers(x=(1, 7, 5, 9))
    for make in ACTIVATIONS:
        net.add(make(), "x")
    graph, x = net.graph(), some_inputs(net.graph(), 1, size)
    with np.errstate(over="ignore"):
        expected = reference(graph, x)
    with program_of(graph, Options(), isa) as program:
        answers = program.run(x)
    for node in graph.nodes:
        right = expected[node.output]
        # Far below the largest, a sigmoid may end in the smallest float32 instead of in 0.
        floor = 1e-37 * max(1.0, size)
        np.testing.assert_allclose(
            answers[node.output], right, rtol=1e-5, atol=floor, err_msg=node.kind
        )
