"""Activations as vector code, applied to what a kernel is about to store."""

from __future__ import annotations

from collections.abc import Callable
from math import log, log2

from twinlens.engine.layers import (
    ELU,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.targets.cpu.codegen.emit import F32, I32, Emitter, Value, vector

# ln 2 in two parts: the first has few bits, so that n * HIGH is exact.
_LN2_HIGH = 0.693359375
_LN2_LOW = log(2) - _LN2_HIGH
# Taylor coefficients of exp, from 1/7! down to 1/2!; on |r| ≤ ln(2)/2 the rest is below 1e-8.
_TAYLOR = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)


def exponential(e: Emitter, x: Value) -> Value:
    """``exp(x)``, within 2 units in the last place; 0 below -87.3, as large as it gets above 88.

    ``exp(x) = 2**n * exp(r)`` with ``n = round(x / ln 2)``: the power is set as an exponent, the
    rest is a polynomial.
    """
    power, rest = _power_and_rest(e, x)
    return e.b.fmul(e.b.fadd(rest, e.splat(1.0, x.type.count)), power)


def less_one(e: Emitter, x: Value) -> Value:
    """``exp(x) - 1``, as exact near 0 as elsewhere: ``2**n * (exp(r) - 1) + (2**n - 1)``."""
    power, rest = _power_and_rest(e, x)
    return e.fma(power, rest, e.b.fsub(power, e.splat(1.0, x.type.count)))


def _power_and_rest(e: Emitter, x: Value) -> tuple[Value, Value]:
    """``2**n`` and ``exp(r) - 1``."""
    count = x.type.count
    x = e.minimum(e.maximum(x, -87.3), 88.3)
    # What is not a number stays none in the rest, whatever its power.
    n, steps = e.nearest(x, by=log2(2.718281828459045))
    r = e.fma(n, e.splat(-_LN2_HIGH, count), x)
    r = e.fma(n, e.splat(-_LN2_LOW, count), r)
    p = e.splat(_TAYLOR[0], count)
    for coefficient in _TAYLOR[1:]:
        p = e.fma(p, r, e.splat(coefficient, count))
    rest = e.fma(e.b.fmul(p, r), r, r)
    biased = e.b.add(steps, e.splat_int(127, I32, count))
    power = e.b.bitcast(e.b.shl(biased, e.splat_int(23, I32, count)), vector(F32, count))
    return power, rest


def _sigmoid(e: Emitter, x: Value) -> Value:
    one = e.splat(1.0, x.type.count)
    return e.b.fdiv(one, e.b.fadd(one, exponential(e, e.b.fneg(x))))


def _clip(e: Emitter, x: Value, layer: Layer) -> Value:
    if isinstance(layer, ReLU):
        return e.maximum(x, 0.0)
    minimum, maximum = getattr(layer, "minimum", None), getattr(layer, "maximum", None)
    if minimum is not None:
        x = e.maximum(x, float(minimum))
    return x if maximum is None else e.minimum(x, float(maximum))


def _leaky(e: Emitter, x: Value, layer: Layer) -> Value:
    scaled = e.b.fmul(x, e.splat(float(getattr(layer, "alpha", 0.0)), x.type.count))
    return e.b.select(e.b.fcmp_ordered("<", x, e.splat(0.0, x.type.count)), scaled, x)


def _elu(e: Emitter, x: Value, layer: Layer) -> Value:
    count = x.type.count
    below = e.b.fmul(less_one(e, x), e.splat(float(getattr(layer, "alpha", 1.0)), count))
    return e.b.select(e.b.fcmp_ordered("<", x, e.splat(0.0, count)), below, x)


def _hard_sigmoid(e: Emitter, x: Value, layer: Layer) -> Value:
    count = x.type.count
    alpha, beta = float(getattr(layer, "alpha", 0.2)), float(getattr(layer, "beta", 0.5))
    line = e.fma(x, e.splat(alpha, count), e.splat(beta, count))
    return e.minimum(e.maximum(line, 0.0), 1.0)


def _hard_swish(e: Emitter, x: Value, layer: Layer) -> Value:
    del layer
    count = x.type.count
    line = e.fma(x, e.splat(1 / 6, count), e.splat(0.5, count))
    return e.b.fmul(x, e.minimum(e.maximum(line, 0.0), 1.0))


def _tanh(e: Emitter, x: Value, layer: Layer) -> Value:
    del layer
    count = x.type.count
    two = e.splat(2.0, count)
    # As a quotient of exp(2x) - 1 it loses nothing near 0.
    grown = less_one(e, e.b.fmul(x, two))
    return e.b.fdiv(grown, e.b.fadd(grown, two))


def _silu(e: Emitter, x: Value, layer: Layer) -> Value:
    gate = e.b.fmul(x, e.splat(float(getattr(layer, "alpha", 1.0)), x.type.count))
    return e.b.fmul(x, _sigmoid(e, gate))


_WRITERS: dict[type[Layer], Callable[[Emitter, Value, Layer], Value]] = {
    ReLU: _clip,
    ReLU6: _clip,
    Clip: _clip,
    LeakyReLU: _leaky,
    ELU: _elu,
    HardSigmoid: _hard_sigmoid,
    HardSwish: _hard_swish,
    Sigmoid: lambda e, x, layer: _sigmoid(e, x),
    SiLU: _silu,
    Tanh: _tanh,
}


def has_code(layer: Layer | None) -> bool:
    """Whether there is vector code for an activation (none at all counts)."""
    return layer is None or type(layer) in _WRITERS


def activate(e: Emitter, x: Value, layer: Layer | None) -> Value:
    """Apply an activation to a float32 vector of a native length."""
    return x if layer is None else _WRITERS[type(layer)](e, x, layer)


def tag(layer: Layer | None) -> str:
    """The activation's name behind a plus, for descriptions."""
    return "" if layer is None else f" + {layer.kind}"
