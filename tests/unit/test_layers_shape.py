"""Layers that rearrange, quantise, normalise or join samples: values by hand and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers.compare import check_layer
from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Constant,
    DequantizeLinear,
    Div,
    Dropout,
    Flatten,
    Identity,
    InstanceNorm2d,
    LocalResponseNorm,
    Mul,
    Pad,
    QuantizeLinear,
    ReduceMean,
    Reshape,
    Squeeze,
    Sub,
    Transpose,
    Unsqueeze,
)

CUBE = np.arange(24.0).reshape(2, 3, 4)
ROW = np.array([[1.0, 2.0, 3.0, 4.0]])


def test_batch_norm_by_hand():
    layer = BatchNorm2d(
        np.array([1.0, 2.0]), np.array([0.5, 0.0]), np.array([1.0, 3.0]), np.array([3.0, 0.0]),
        epsilon=1.0,
    )  # fmt: skip
    x = np.array([3.0, 5.0]).reshape(1, 2, 1, 1) * np.ones((2, 2, 1, 3))
    expected = np.array([1.5, 4.0]).reshape(1, 2, 1, 1) * np.ones((2, 2, 1, 3))
    check_layer(layer, expected, x)
    factor, shift = layer.scale_shift()
    np.testing.assert_array_equal(factor, [0.5, 2.0])
    np.testing.assert_array_equal(shift, [0.0, -6.0])


def test_instance_norm_by_hand():
    x = np.array([[[[1.0, 3.0]], [[10.0, 10.0]]]])
    layer = InstanceNorm2d(np.array([2.0, 5.0]), np.array([1.0, -1.0]), epsilon=3.0)
    check_layer(layer, np.array([[[[0.0, 2.0]], [[-1.0, -1.0]]]]), x)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_local_response_norm_equals_the_loop(size):
    x = np.random.default_rng(size).standard_normal((1, 5, 2, 2)) * 3
    expected = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*x.shape):
        low = max(0, c - math.floor((size - 1) / 2))
        high = min(4, c + math.ceil((size - 1) / 2))
        total = sum(x[n, k, i, j] ** 2 for k in range(low, high + 1))
        expected[n, c, i, j] = x[n, c, i, j] / (2 + 0.3 / size * total) ** 0.6
    check_layer(LocalResponseNorm(size, alpha=0.3, beta=0.6, bias=2.0), expected, x)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Add(), [[11, 22], [13, 24]]),
        (Sub(), [[-9, -18], [-7, -16]]),
        (Mul(), [[10, 40], [30, 80]]),
        (Div(), [[0.1, 0.1], [0.3, 0.2]]),
    ],
)
def test_arithmetic_broadcasts(layer, expected):
    first, second = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])
    check_layer(layer, np.array(expected, np.float64), first, second)
    assert layer.output_shape((2, 1, 3), (4, 1)) == (2, 4, 3)
    assert layer.macs((2, 1, 3), (4, 1)) == 24
    with pytest.raises(ShapeError, match="do not broadcast"):
        layer.forward(np.ones(2), np.ones(3))


def test_integers_divide_towards_zero():
    result = Div().forward(np.array([7, -7, 7, -7, 6]), np.array([2, 2, -2, -2, -3]))
    np.testing.assert_array_equal(result, [3, -3, -3, 3, -2])


def test_reduce_mean():
    check_layer(ReduceMean([0, -1]), CUBE.mean((0, 2), keepdims=True), CUBE)
    check_layer(ReduceMean([1], keep_dims=False), CUBE.mean(1), CUBE)
    check_layer(ReduceMean(keep_dims=False), np.array(11.5), CUBE)


def test_identity_and_dropout_hand_on_uncopied():
    assert Identity().forward(CUBE) is CUBE
    assert Dropout(0.2).forward(CUBE) is CUBE
    assert Dropout(0.2).output_shape((2, 3)) == (2, 3)


def test_constant_takes_no_input():
    layer = Constant(np.array([1, 2], np.int64))
    assert layer.output_shape() == (2,)
    np.testing.assert_array_equal(layer.forward(), [1, 2])
    with pytest.raises(ShapeError, match="received 1 inputs; 0 are required"):
        layer.output_shape((1,))


def test_concat():
    check_layer(Concat(1), np.concatenate([CUBE, -CUBE], 1), CUBE, -CUBE)
    assert Concat(-1).output_shape((1, 2), (1, 3), (1, 4)) == (1, 9)


@pytest.mark.parametrize(
    ("mode", "pads", "expected"),
    [
        ("constant", (2, 1), [9, 9, 1, 2, 3, 4, 9]),
        ("reflect", (2, 1), [3, 2, 1, 2, 3, 4, 3]),
        ("edge", (2, 1), [1, 1, 1, 2, 3, 4, 4]),
        ("wrap", (2, 1), [3, 4, 1, 2, 3, 4, 1]),
        ("constant", (-1, 2), [2, 3, 4, 9, 9]),
        ("edge", (-1, -2), [2]),
        ("reflect", (-2, 1), [3, 4, 3]),
    ],
)
def test_pad(mode, pads, expected):
    check_layer(Pad([(0, 0), pads], mode=mode, value=9.0), np.array([expected], np.float64), ROW)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Flatten(), (2, 12)),
        (Flatten(0), (1, 24)),
        (Flatten(3), (24, 1)),
        (Flatten(-1), (6, 4)),
        (Reshape([4, -1]), (4, 6)),
        (Reshape([0, 0, 2, 2]), (2, 3, 2, 2)),
        (Reshape([-1]), (24,)),
        (Unsqueeze([0, -1]), (1, 2, 3, 4, 1)),
        (Unsqueeze([1, 3]), (2, 1, 3, 1, 4)),
    ],
)
def test_reshaping_keeps_the_samples_in_order(layer, expected):
    check_layer(layer, CUBE.reshape(expected), CUBE)


def test_empty_reshapes():
    assert Reshape([3, 0], allow_zero=True).output_shape((0, 5)) == (3, 0)
    assert Reshape([0, -1]).output_shape((2, 0)) == (2, 0)


def test_squeeze():
    x = CUBE.reshape(1, 2, 1, 12)
    check_layer(Squeeze(), CUBE.reshape(2, 12), x)
    check_layer(Squeeze([-2]), CUBE.reshape(1, 2, 12), x)


def test_transpose_is_contiguous():
    check_layer(Transpose(), CUBE.T, CUBE)
    check_layer(Transpose([0, 2, 1]), np.swapaxes(CUBE, 1, 2), CUBE)
    assert Transpose([0, 2, 1]).forward(CUBE).flags["C_CONTIGUOUS"]
    assert Transpose([]).forward(np.array(1.0)).shape == ()


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_quantize_rounds_halves_to_even_and_saturates(real):
    x = np.array([0.0, 1.0, 3.0, 5.0, -1.0, 999.0, -999.0], real)
    layer = QuantizeLinear(np.float32(2.0), np.uint8(128))
    result = layer.forward(x)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, [128, 128, 130, 130, 128, 255, 0])
    signed = QuantizeLinear(np.float32(2.0), dtype=np.int8).forward(x)
    assert signed.dtype == np.int8
    np.testing.assert_array_equal(signed, [0, 0, 2, 2, 0, 127, -128])


def test_quantization_per_axis_there_and_back():
    scale = np.array([0.5, 4.0], np.float32)
    zero = np.array([10, 0], np.int8)
    x = np.array([[[1.0, -1.5], [8.0, -400.0]]], np.float32)
    stored = QuantizeLinear(scale, zero, axis=-2).forward(x)
    np.testing.assert_array_equal(stored, np.array([[[12, 7], [2, -100]]], np.int8))
    back = DequantizeLinear(scale, zero, axis=1).forward(stored)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, x)


def test_dequantize_int32_without_a_zero_point():
    x = np.array([2**24 + 2, -3], np.int32)
    result = DequantizeLinear(np.float32(0.5)).forward(x)
    np.testing.assert_array_equal(result, np.array([2**23 + 1, -1.5], np.float32))


def test_uint16_zero_point_survives_float16():
    layer = QuantizeLinear(np.float16(1.0), np.uint16(65_000))
    np.testing.assert_array_equal(layer.forward(np.array([100.0], np.float16)), [65_100])


THREE = np.ones(3)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: BatchNorm2d(THREE, np.ones(2), THREE, THREE), "bias has shape (2,)"),
        (lambda: BatchNorm2d(THREE, THREE, THREE, -THREE), "-1.0"),
        (lambda: InstanceNorm2d(THREE, THREE, epsilon=0), "epsilon is 0"),
        (lambda: LocalResponseNorm(0), "size is 0"),
        (lambda: Pad([(1, 2)], mode="mirror"), "'mirror'"),
        (lambda: Pad([(1, 2, 3)]), "(1, 2, 3)"),
        (lambda: Reshape([-1, -1]), "(-1, -1)"),
        (lambda: Reshape([-2]), "(-2,)"),
        (lambda: Reshape([0, -1], allow_zero=True), "(0, -1)"),
        (lambda: Transpose([0, 0]), "(0, 0)"),
        (lambda: QuantizeLinear(np.float32(1), dtype=np.int64), "int64"),
        (lambda: QuantizeLinear(np.float32(1), np.int8(0), dtype=np.uint8), "int8"),
        (lambda: QuantizeLinear(np.int32(1)), "int32"),
        (lambda: DequantizeLinear(np.ones(3), np.zeros(2, np.int8)), "(2,)"),
    ],
)
def test_wrong_parameters_are_named(make, received):
    with pytest.raises(ParameterError, match="required") as caught:
        make()
    assert received in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (BatchNorm2d(THREE, THREE, THREE, THREE), [(1, 4, 2, 2)]),
        (InstanceNorm2d(THREE, THREE), [(3,)]),
        (LocalResponseNorm(3), [(3,)]),
        (Concat(2), [(1, 2), (1, 2)]),
        (Concat(), []),
        (Concat(1), [(1, 2), (2, 2)]),
        (Concat(1), [(1, 2), (1, 2, 1)]),
        (Pad([(1, 1)]), [(2, 2)]),
        (Pad([(-2, -1)]), [(2,)]),
        (Pad([(-2, 1)], mode="edge"), [(2,)]),
        (Flatten(4), [(1, 2, 3)]),
        (Reshape([5, -1]), [(2, 3)]),
        (Reshape([6, 0, 0]), [(6, 1)]),
        (Reshape([7]), [(2, 3)]),
        (Squeeze([0]), [(2, 1)]),
        (Squeeze([1, -1]), [(2, 1)]),
        (Unsqueeze([5]), [(2,)]),
        (Unsqueeze([0, 0]), [(2,)]),
        (Transpose([0, 1]), [(2,)]),
        (ReduceMean([3]), [(2, 2)]),
        (ReduceMean([1]), [(2, 0)]),
        (Add(), [(2,)]),
        (QuantizeLinear(np.ones(3, np.float32)), [(1, 4)]),
        (DequantizeLinear(np.ones(3, np.float32), axis=2), [(1, 3)]),
    ],
)
def test_wrong_inputs_are_named(layer, shapes):
    with pytest.raises(ShapeError) as rule:
        layer.output_shape(*shapes)
    assert layer.kind in str(rule.value)
    with pytest.raises(ShapeError):
        layer.forward(*(np.zeros(shape, np.float32) for shape in shapes))


def test_dequantize_refuses_floats():
    with pytest.raises(ShapeError, match="input dtype is float32"):
        DequantizeLinear(np.float32(1)).forward(np.ones(3, np.float32))


def test_every_summary_line_names_the_settings():
    assert Pad([(0, 0), (1, 2)]).describe() == "constant, 0,0 1,2"
    assert Reshape([0, -1]).describe() == "0×-1"
    assert QuantizeLinear(np.float32(0.5), np.int8(0)).describe() == "scale 0.5, int8"
    assert ReduceMean([2, 3]).describe() == "axes 2, 3"
    assert Constant(np.ones((2, 3), np.float32)).describe() == "2×3 float32"
