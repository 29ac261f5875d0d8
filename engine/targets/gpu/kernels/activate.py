"""Activations as WGSL, applied to what a kernel is about to store."""

from __future__ import annotations

from math import isfinite

from twinlens.engine.layers import (
    ELU,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.targets.gpu.kernels.base import number

_KINDS = (Clip, ELU, HardSigmoid, HardSwish, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh)


def has_code(layer: Layer | None) -> bool:
    """Whether a layer can be written in a kernel; no activation can."""
    return layer is None or type(layer) in _KINDS or isinstance(layer, Clip)


def activate(name: str, layer: Layer | None) -> str:
    """Statements that apply an activation to the variable ``name``, a ``vec4<f32>``."""
    if layer is None:
        return ""
    return f"{name} = {_expression(name, layer)};"


def _sigmoid(x: str) -> str:
    # Beyond ±88 the exponential leaves float32; its clamped value decides the same.
    return (
        f"(vec4<f32>(1.0) / (vec4<f32>(1.0) + exp(-clamp({x}, vec4<f32>(-87.0), vec4<f32>(87.0)))))"
    )


def _clip(x: str, layer: Clip) -> str:
    if layer.minimum is not None and isfinite(layer.minimum):
        x = f"max({x}, vec4<f32>({number(layer.minimum)}))"
    if layer.maximum is not None and isfinite(layer.maximum):
        x = f"min({x}, vec4<f32>({number(layer.maximum)}))"
    return x


def _expression(x: str, layer: Layer) -> str:
    if isinstance(layer, ReLU):
        return f"max({x}, vec4<f32>())"
    if isinstance(layer, Clip):
        return _clip(x, layer)
    if isinstance(layer, LeakyReLU):
        return f"select({x}, {x} * {number(layer.alpha)}, {x} < vec4<f32>())"
    if isinstance(layer, ELU):
        bent = f"(exp(min({x}, vec4<f32>())) - vec4<f32>(1.0)) * {number(layer.alpha)}"
        return f"select({bent}, {x}, {x} > vec4<f32>())"
    if isinstance(layer, HardSigmoid):
        line = f"{x} * {number(layer.alpha)} + vec4<f32>({number(layer.beta)})"
        return f"clamp({line}, vec4<f32>(), vec4<f32>(1.0))"
    if isinstance(layer, HardSwish):
        line = f"{x} * {number(1 / 6)} + vec4<f32>(0.5)"
        return f"{x} * clamp({line}, vec4<f32>(), vec4<f32>(1.0))"
    if isinstance(layer, Sigmoid):
        return _sigmoid(x)
    if isinstance(layer, SiLU):
        return f"{x} * {_sigmoid(x if layer.alpha == 1 else f'({x} * {number(layer.alpha)})')}"
    # Some drivers compute tanh from exponentials that overflow.
    return f"tanh(clamp({x}, vec4<f32>(-15.0), vec4<f32>(15.0)))"
