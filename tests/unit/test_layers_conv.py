"""Convolutions and matrix products: values by hand, settings, errors, summaries."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.compare import check_layer
from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Linear,
    MatMul,
    MaxPool2d,
)

RAMP = np.arange(9.0).reshape(1, 1, 3, 3)
ONES = np.ones((1, 1, 2, 2))


def test_conv2d_is_a_correlation():
    weight = np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
    check_layer(Conv2d(weight, np.array([100.0])), [[[[140, 151], [173, 184]]]] + 0 * ONES, RAMP)


def test_conv2d_pads_are_top_left_bottom_right():
    weight = np.ones((1, 1, 1, 1))
    result = Conv2d(weight, pads=(1, 0, 0, 2)).forward(RAMP)
    assert result.shape == (1, 1, 4, 5)
    np.testing.assert_array_equal(result[0, 0, 1:, :3], RAMP[0, 0])
    assert result[0, 0, 0].sum() == 0
    assert result[0, 0, :, 3:].sum() == 0


def test_depthwise_with_a_multiplier():
    x = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 2.0)])[None]
    weight = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(4, 1, 1, 1)
    layer = DepthwiseConv2d(weight, multiplier=2)
    expected = np.array([1.0, 10.0, 200.0, 2000.0]).reshape(1, 4, 1, 1) * np.ones((1, 4, 2, 2))
    check_layer(layer, expected, x)


def test_depthwise_blocks_cover_all_channels_of_a_large_image():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 5, 130, 150))  # two channels fit one block
    weight = rng.standard_normal((5, 1, 3, 3))
    result = DepthwiseConv2d(weight, stride=(2, 2), pads=(1, 1, 1, 1)).forward(x)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = sum(
        padded[:, :, i : i + 130 : 2, j : j + 150 : 2] * weight[:, 0, i, j, None, None]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def test_conv_transpose_spreads_the_kernel():
    x = np.array([[[[1.0, 2.0]]]])
    weight = np.array([[[[1.0, 1.0, 1.0]]]])
    layer = ConvTranspose2d(weight, np.array([0.5]), stride=(1, 2), output_padding=(0, 1))
    check_layer(layer, np.array([[[[1.5, 1.5, 3.5, 2.5, 2.5, 0.5]]]]), x)


def test_parameters_are_cast_so_that_float64_stays_exact():
    weight = np.full((1, 1, 1, 1), 0.1, np.float32)
    result = Conv2d(weight).forward(np.full((1, 1, 1, 1), 3.0))
    assert result.item() == float(np.float32(0.1)) * 3.0


def test_linear_and_its_leading_axes():
    layer = Linear(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([0.0, 10.0, 20.0]))
    check_layer(layer, np.array([[3.0, 17.0, 31.0]]), np.ones((1, 2)))
    check_layer(layer, np.broadcast_to([3.0, 17.0, 31.0], (2, 4, 3)), np.ones((2, 4, 2)))


def test_gemm_scales_transposes_and_adds():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])
    layer = Gemm(alpha=2.0, beta=3.0, transpose_a=True, transpose_b=True)
    # a.T @ b.T = [[1+3, 6], [2+4, 8]]
    check_layer(layer, np.array([[11.0, 15.0], [15.0, 19.0]]), a, b, np.array([1.0, 1.0]))
    check_layer(Gemm(), np.array([[1.0, 5.0], [3.0, 11.0]]), a, b)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((2, 3), (3, 4), (2, 4)),
        ((5, 1, 2, 3), (7, 3, 4), (5, 7, 2, 4)),
        ((3,), (3,), ()),
        ((3,), (2, 3, 4), (2, 4)),
        ((2, 4, 3), (3,), (2, 4)),
    ],
)
def test_matmul_shapes(first, second, expected):
    layer = MatMul()
    assert layer.output_shape(first, second) == expected
    result = layer.forward(np.ones(first, np.float32), np.ones(second, np.float32))
    assert result.shape == expected
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.full(expected, 3))


def test_pools_by_hand():
    check_layer(MaxPool2d((2, 2)), np.array([[[[4.0, 5.0], [7.0, 8.0]]]]), RAMP)
    check_layer(AvgPool2d((2, 2)), np.array([[[[2.0, 3.0], [5.0, 6.0]]]]), RAMP)
    check_layer(
        AvgPool2d((2, 2), stride=(2, 2), ceil_mode=True), np.array([[[[2, 3.5], [6.5, 8]]]]), RAMP
    )
    check_layer(GlobalAvgPool2d(), np.array([[[[4.0]]]]), RAMP)
    check_layer(GlobalMaxPool2d(), np.array([[[[8.0]]]]), RAMP)


def test_max_pool_padding_never_wins():
    layer = MaxPool2d((3, 3), pads=(1, 1, 1, 1))
    check_layer(layer, np.full((1, 1, 2, 2), -1.0), np.full((1, 1, 2, 2), -1.0))
    signed = np.full((1, 1, 2, 2), -7, np.int8)
    np.testing.assert_array_equal(layer.forward(signed), signed)


def test_max_pool_of_one_sample_is_a_copy():
    x = np.ones((1, 1, 2, 2))
    assert not np.shares_memory(MaxPool2d((1, 1)).forward(x), x)


def test_macs_and_summaries():
    conv = Conv2d(np.zeros((32, 3, 3, 3), np.float32), stride=(2, 2), pads=(0, 0, 1, 1))
    assert conv.describe() == "3×3, stride 2, 3 → 32"
    assert conv.macs((1, 3, 224, 224)) == 112 * 112 * 32 * 27
    wise = DepthwiseConv2d(np.zeros((8, 1, 3, 3), np.float32), dilation=(2, 2))
    assert wise.describe() == "3×3, dilation 2×2, depthwise, 8 → 8"
    assert wise.macs((1, 8, 5, 5)) == 8 * 9
    grouped = ConvTranspose2d(np.zeros((4, 3, 2, 2), np.float32), groups=2)
    assert grouped.describe() == "2×2, 2 groups, 4 → 6"
    assert grouped.macs((1, 4, 5, 5)) == 4 * 25 * 3 * 4
    assert Linear(np.zeros((10, 7))).macs((2, 7)) == 140
    assert Gemm(transpose_a=True).macs((7, 2), (7, 10)) == 140
    assert MatMul().macs((2, 7), (7, 10)) == 140


WEIGHT = np.zeros((4, 2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: Conv2d(np.zeros((4, 2, 3))), "(4, 2, 3)"),
        (lambda: Conv2d(np.zeros((4, 0, 3, 3))), "(4, 0, 3, 3)"),
        (lambda: Conv2d(WEIGHT, np.zeros(3)), "bias has shape (3,)"),
        (lambda: Conv2d(WEIGHT, stride=(0, 1)), "stride is (0, 1)"),
        (lambda: Conv2d(WEIGHT, stride=(1, 1.5)), "stride is (1, 1.5)"),
        (lambda: Conv2d(WEIGHT, dilation=(1,)), "dilation is (1,)"),
        (lambda: Conv2d(WEIGHT, groups=3), "groups is 3"),
        (lambda: Conv2d(WEIGHT, pads=(0, 0, -1, 0)), "(0, 0, -1, 0)"),
        (lambda: DepthwiseConv2d(WEIGHT), "(4, 2, 3, 3)"),
        (lambda: DepthwiseConv2d(WEIGHT[:, :1], multiplier=3), "multiplier is 3"),
        (lambda: ConvTranspose2d(WEIGHT, groups=3), "groups is 3"),
        (lambda: ConvTranspose2d(WEIGHT, np.zeros(4)), "bias has shape (4,)"),
        (lambda: ConvTranspose2d(WEIGHT, output_padding=(-1, 0)), "(-1, 0)"),
        (lambda: Linear(np.zeros(3)), "(3,)"),
        (lambda: Linear(np.zeros((3, 2)), np.zeros(2)), "bias has shape (2,)"),
        (lambda: MaxPool2d((2, 0)), "kernel is (2, 0)"),
        (lambda: MaxPool2d((2, 2), pads=(2, 0, 0, 0)), "(2, 0, 0, 0)"),
    ],
)
def test_wrong_parameters_are_named(make, received):
    with pytest.raises(ParameterError, match="required") as caught:
        make()
    assert received in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (Conv2d(WEIGHT), [(1, 3, 8, 8)]),
        (Conv2d(WEIGHT), [(2, 8, 8)]),
        (Conv2d(WEIGHT), [(1, 2, 2, 8)]),
        (ConvTranspose2d(WEIGHT), [(1, 2, 8, 8)]),
        (ConvTranspose2d(WEIGHT, pads=(2, 0, 2, 0)), [(1, 4, 1, 8)]),
        (Linear(np.zeros((3, 2))), [(1, 3)]),
        (Linear(np.zeros((3, 2))), [()]),
        (MatMul(), [(2, 3), (2, 3)]),
        (MatMul(), [(2, 3)]),
        (MatMul(), [(2, 2, 3), (3, 3, 2)]),
        (Gemm(), [(2, 3), (2, 3)]),
        (Gemm(), [(2, 3, 1), (3, 2)]),
        (Gemm(), [(2, 3), (3, 2), (3,)]),
        (Gemm(), [(2, 3), (3, 2), (5, 2, 2)]),
        (MaxPool2d((9, 9)), [(1, 1, 8, 8)]),
        (GlobalMaxPool2d(), [(3,)]),
        (GlobalAvgPool2d(), [(1, 3, 0, 0)]),
    ],
)
def test_wrong_inputs_are_named(layer, shapes):
    with pytest.raises(ShapeError) as rule:
        layer.output_shape(*shapes)
    assert layer.kind in str(rule.value)
    with pytest.raises(ShapeError):
        layer.forward(*(np.zeros(shape, np.float32) for shape in shapes))
