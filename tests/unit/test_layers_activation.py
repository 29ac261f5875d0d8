"""Activations and softmax against Python's own math, sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers.compare import check_layer
from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Clip,
    Erf,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedReLU,
)

SAMPLES = np.array(
    [[-30.0, -6.5, -3.0, -1.0, -0.5, -1e-3], [0.0, 1e-3, 0.25, 1.0, 4.0, 30.0]]
)  # fmt: skip


def logistic(x):
    return 1 / (1 + math.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


CASES = [
    (ReLU(), lambda x: max(x, 0.0)),
    (ReLU6(), lambda x: min(max(x, 0.0), 6.0)),
    (Clip(-1.5, 0.75), lambda x: min(max(x, -1.5), 0.75)),
    (Clip(minimum=-2.0), lambda x: max(x, -2.0)),
    (Clip(maximum=2.0), lambda x: min(x, 2.0)),
    (Clip(), lambda x: x),
    (Clip(3.0, 1.0), lambda x: 1.0),
    (LeakyReLU(0.1), lambda x: x if x >= 0 else 0.1 * x),
    (ThresholdedReLU(0.25), lambda x: x if x > 0.25 else 0.0),
    (ELU(1.5), lambda x: x if x > 0 else 1.5 * math.expm1(x)),
    (CELU(2.0), lambda x: max(x, 0) + min(0, 2 * math.expm1(x / 2))),
    (CELU(-2.0), lambda x: max(x, 0) + min(0, -2 * math.expm1(x / -2))),
    (SELU(2.0, 3.0), lambda x: 3 * x if x > 0 else 6 * math.expm1(x)),
    (PReLU(np.array([0.25])), lambda x: x if x >= 0 else 0.25 * x),
    (Sigmoid(), logistic),
    (HardSigmoid(0.3, 0.4), lambda x: min(max(0.3 * x + 0.4, 0), 1)),
    (HardSwish(), lambda x: x * min(max(x / 6 + 0.5, 0), 1)),
    (SiLU(), lambda x: x * logistic(x)),
    (SiLU(1.7), lambda x: x * logistic(1.7 * x)),
    (Mish(), lambda x: x * math.tanh(math.log1p(math.exp(x)))),
    (GELU(), lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
    (GELU("tanh"), gelu_tanh),
    (Erf(), math.erf),
    (Tanh(), math.tanh),
    (Softplus(), lambda x: math.log1p(math.exp(x))),
    (Softsign(), lambda x: x / (1 + abs(x))),
]


@pytest.mark.parametrize(
    ("layer", "function"), CASES, ids=[f"{layer.kind}-{layer.describe()}" for layer, _ in CASES]
)
def test_activation_equals_its_formula(layer, function):
    expected = np.array([[function(float(x)) for x in row] for row in SAMPLES])
    check_layer(layer, expected, SAMPLES)


def test_erf_is_within_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-7, 7, 20_001), [0.46875, 4.0, 1e-300, -0.0, np.inf, -np.inf]])
    expected = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(Erf().forward(x), expected, rtol=5e-16, atol=0)
    assert np.isnan(Erf().forward(np.array([np.nan]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [Sigmoid(), SiLU(), ELU(), SELU(), CELU(), Softplus(), Mish()])
def test_extreme_samples_neither_overflow_nor_warn(layer, dtype):
    result = layer.forward(np.array([-1e4, 1e4], dtype))
    assert np.isfinite(result).all()


def test_zero_dimensional_input_keeps_its_dtype():
    result = ReLU6().forward(np.array(7.5, np.float32))
    assert result.shape == ()
    assert result.dtype == np.float32
    assert result == 6


def test_clip_limits_integers_within_their_range():
    x = np.array([-100, 0, 100], np.int8)
    np.testing.assert_array_equal(Clip(-5, 1000).forward(x), np.array([-5, 0, 100], np.int8))


def test_prelu_slope_per_channel():
    x = -np.ones((1, 2, 2, 2))
    expected = x * np.array([0.5, 2.0]).reshape(1, 2, 1, 1)
    check_layer(PReLU(np.array([0.5, 2.0], np.float32).reshape(2, 1, 1)), expected, x)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_softmax_equals_the_quotient_of_powers(axis):
    x = np.random.default_rng(1).standard_normal((2, 3, 4)) * 5
    powers = np.vectorize(math.exp)(x)
    expected = powers / np.expand_dims(np.add.reduce(powers, axis=axis), axis)
    check_layer(Softmax(axis), expected, x)
    check_layer(LogSoftmax(axis), np.vectorize(math.log)(expected), x)


def test_softmax_of_large_logits_is_finite():
    x = np.array([[1e4, 1e4, -1e4]], np.float32)
    np.testing.assert_allclose(Softmax().forward(x), [[0.5, 0.5, 0.0]])
    expected = np.array([[-math.log(2), -math.log(2), -2e4 - math.log(2)]])
    np.testing.assert_allclose(LogSoftmax().forward(x), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: GELU("sigmoid"), "'sigmoid'"),
        (lambda: ELU(float("nan")), "nan"),
        (lambda: CELU(0.0), "alpha is 0"),
        (lambda: SELU(float("inf")), "inf"),
        (lambda: HardSigmoid(float("nan")), "nan"),
        (lambda: SiLU(float("inf")), "inf"),
        (lambda: Clip(float("nan")), "nan"),
        (lambda: PReLU(np.zeros(0)), "(0,)"),
    ],
)
def test_wrong_settings_are_named(make, received):
    with pytest.raises(ParameterError, match="required") as caught:
        make()
    assert received in str(caught.value)


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="axis 2 does not exist"):
        Softmax(2).output_shape((1, 3))
    with pytest.raises(ShapeError, match=r"slope has shape \(3,\)"):
        PReLU(np.ones(3)).output_shape((3, 1))
    with pytest.raises(ShapeError, match="received 2 inputs"):
        ReLU().output_shape((1,), (1,))
