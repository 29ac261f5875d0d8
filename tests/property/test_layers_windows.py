"""Convolutions and pools of any shape against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.compare import check_layer, naive_conv2d, naive_conv_transpose2d, naive_pool2d
from twinlens.engine.errors import ShapeError
from twinlens.engine.layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    same_padding,
    transpose_padding,
)

small = st.integers(1, 3)
pairs = st.tuples(small, small)
four = st.tuples(*[st.integers(0, 3)] * 4)
sizes = st.tuples(st.integers(1, 8), st.integers(1, 8))
seeds = st.integers(0, 2**32 - 1)
several = settings(max_examples=60, deadline=None)


def extent(kernel: int, dilation: int) -> int:
    return dilation * (kernel - 1) + 1


@several
@given(
    batch=st.integers(1, 2),
    size=sizes,
    groups=small,
    per_group=small,
    outputs=small,
    kernel=pairs,
    stride=pairs,
    dilation=pairs,
    pads=four,
    with_bias=st.booleans(),
    seed=seeds,
)
def test_conv2d_equals_the_loop(
    batch, size, groups, per_group, outputs, kernel, stride, dilation, pads, with_bias, seed
):
    padded = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3])
    assume(all(padded[a] >= extent(kernel[a], dilation[a]) for a in (0, 1)))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, groups * per_group, *size)).astype(np.float32)
    weight = rng.standard_normal((groups * outputs, per_group, *kernel)).astype(np.float32)
    bias = rng.standard_normal(groups * outputs).astype(np.float32) if with_bias else None
    layer = Conv2d(weight, bias, stride=stride, dilation=dilation, groups=groups, pads=pads)
    check_layer(layer, naive_conv2d(x, weight, bias, stride, dilation, groups, pads), x)


@several
@given(
    size=sizes,
    channels=st.integers(2, 5),
    kernel=pairs,
    stride=pairs,
    dilation=pairs,
    pads=four,
    seed=seeds,
)
def test_depthwise_equals_the_loop(size, channels, kernel, stride, dilation, pads, seed):
    padded = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3])
    assume(all(padded[a] >= extent(kernel[a], dilation[a]) for a in (0, 1)))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, channels, *size)).astype(np.float32)
    weight = rng.standard_normal((channels, 1, *kernel)).astype(np.float32)
    layer = Conv2d(weight, stride=stride, dilation=dilation, groups=channels, pads=pads)
    check_layer(layer, naive_conv2d(x, weight, None, stride, dilation, channels, pads), x)


@several
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    groups=st.integers(1, 2),
    per_group=small,
    outputs=small,
    kernel=pairs,
    stride=pairs,
    dilation=pairs,
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    extra=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=seeds,
)
def test_conv_transpose2d_equals_the_loop(
    size, groups, per_group, outputs, kernel, stride, dilation, pads, extra, seed
):
    full = [stride[a] * (size[a] - 1) + extra[a] + extent(kernel[a], dilation[a]) for a in (0, 1)]
    assume(all(full[a] > pads[a] + pads[a + 2] for a in (0, 1)))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, groups * per_group, *size)).astype(np.float32)
    weight = rng.standard_normal((groups * per_group, outputs, *kernel)).astype(np.float32)
    bias = rng.standard_normal(groups * outputs).astype(np.float32)
    layer = ConvTranspose2d(
        weight,
        bias,
        stride=stride,
        dilation=dilation,
        groups=groups,
        pads=pads,
        output_padding=extra,
    )
    expected = naive_conv_transpose2d(x, weight, bias, stride, dilation, groups, pads, extra)
    check_layer(layer, expected, x)


@several
@given(
    size=sizes,
    kernel=pairs,
    stride=pairs,
    dilation=pairs,
    pads=four,
    ceil_mode=st.booleans(),
    include=st.booleans(),
    seed=seeds,
)
def test_pools_equal_the_loop(size, kernel, stride, dilation, pads, ceil_mode, include, seed):
    spans = [extent(kernel[a], dilation[a]) for a in (0, 1)]
    assume(all(max(pads[a], pads[a + 2]) < spans[a] for a in (0, 1)))
    room = [size[a] + pads[a] + pads[a + 2] - spans[a] for a in (0, 1)]
    assume(min(room) >= 0)
    grid = [room[a] // stride[a] + 1 for a in (0, 1)]
    if ceil_mode:
        grid = [math.ceil(room[a] / stride[a]) + 1 for a in (0, 1)]
        for a in (0, 1):  # a last window that starts beyond the input holds nothing
            if (grid[a] - 1) * stride[a] >= size[a] + pads[a]:
                grid[a] -= 1
    x = np.random.default_rng(seed).standard_normal((1, 2, *size)).astype(np.float32)
    settings_ = {"stride": stride, "dilation": dilation, "pads": pads, "ceil_mode": ceil_mode}

    def loop(join, count):
        return naive_pool2d(
            x,
            join,
            kernel,
            stride,
            dilation,
            pads,
            grid=(grid[0], grid[1]),
            count_include_pad=count,
        )

    highest = loop(lambda samples: max(samples, default=-math.inf), False)
    average = AvgPool2d(kernel, count_include_pad=include, **settings_)
    counts = loop(lambda samples: float(len(samples)), include)
    if np.isfinite(highest).all():
        check_layer(MaxPool2d(kernel, **settings_), highest, x)
    if counts.min() == 0:
        with pytest.raises(ShapeError, match="only padding"):
            average.forward(x)
        return
    check_layer(average, loop(lambda samples: sum(samples) / len(samples), include), x)


@given(
    size=st.integers(1, 60),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    dilation=small,
    upper=st.booleans(),
)
def test_same_padding_keeps_the_ceiling_of_size_over_stride(size, kernel, stride, dilation, upper):
    before, after = same_padding(size, kernel, stride, dilation, upper=upper)
    assert min(before, after) >= 0
    odd = after - before if upper else before - after
    assert odd in (0, 1)
    conv = Conv2d(
        np.ones((1, 1, 1, kernel), np.float32),
        stride=(1, stride),
        dilation=(1, dilation),
        pads=(0, before, 0, after),
    )
    assert conv.output_shape((1, 1, 1, size))[3] == math.ceil(size / stride)


@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=small,
    output=st.integers(1, 60),
    upper=st.booleans(),
)
def test_transpose_padding_reaches_the_wanted_size(size, kernel, stride, dilation, output, upper):
    before, after, extra = transpose_padding(size, kernel, stride, dilation, 0, output, upper=upper)
    layer = ConvTranspose2d(
        np.ones((1, 1, 1, kernel), np.float32),
        stride=(1, stride),
        dilation=(1, dilation),
        pads=(0, before, 0, after),
        output_padding=(0, extra),
    )
    assert layer.output_shape((1, 1, 1, size)) == (1, 1, 1, output)
