"""ONNX operators of integers: QOperator form, and scales that are found while the network runs.

A QLinear operator is its operator on real numbers between a DequantizeLinear and a QuantizeLinear,
the form in which ONNX Runtime and we compute in integers anyway ("QDQ"). The QLinear operators of
``com.microsoft`` are those that ONNX Runtime's quantiser writes:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinlens.engine.formats.onnx.operator import Operator, attributes
from twinlens.engine.formats.onnx.windows import (
    convolve,
    emit_window,
    pool_settings,
    window,
)
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    Concat,
    ConvInteger,
    DequantizeLinear,
    DynamicQuantizeLinear,
    GlobalAvgPool2d,
    LeakyReLU,
    Linear,
    MatMul,
    MatMulInteger,
    Mul,
    QuantizeLinear,
    Sigmoid,
    Softmax,
    Transpose,
)
from twinlens.engine.layers.base import Array, Layer


def qlinear_conv(operator: Operator) -> None:
    """QLinearConv: x, w and y, each with scale and zero point, then a bias of int32."""
    weight, scale = _weight(operator, 3, axis=0)
    x_scale = operator.constant(1, "scale").reshape(-1)[:1]
    bias = operator.optional(8, "bias")
    if bias is not None:
        bias = (bias.astype(np.float64) * (x_scale * scale)).astype(np.float32)
    y = convolve(operator, _real(operator, 0), weight, bias, scale, step="real")
    _rounded(operator, y, 6)


def qlinear_matmul(operator: Operator) -> None:
    """QLinearMatMul: a, b and y, each with scale and zero point."""
    x = _real(operator, 0)
    if operator.is_constant(3) and len(operator.shape(3)) == 2:
        weight, scale = _weight(operator, 3, axis=1)
        layer: Layer = Linear(np.ascontiguousarray(weight.T), weight_scale=scale)
        y = operator.emit(layer, x, step="real")
    else:
        y = operator.emit(MatMul(), x, _real(operator, 3), step="real")
    _rounded(operator, y, 6)


def qgemm(operator: Operator) -> None:
    """QGemm: a and b with scale and zero point, a bias of int32, and y's if y is integers."""
    x = _real(operator, 0)
    if operator.attribute("transA", False):
        x = operator.emit(Transpose((1, 0)), x, step="transpose")
    turned = operator.attribute("transB", False)
    weight, scale = _weight(operator, 3, axis=0 if turned else 1)
    weight = weight if turned else np.ascontiguousarray(weight.T)
    alpha = np.float32(operator.attribute("alpha", 1.0))
    bias = operator.optional(6, "bias")
    if bias is not None:
        step = operator.constant(1, "scale").reshape(-1)[:1] * scale * alpha
        bias = np.broadcast_to(bias.reshape(-1) * step, (len(weight),)).astype(np.float32)
    kept = operator.has(7)
    layer = Linear(weight * alpha, bias, weight_scale=scale * alpha)
    y = operator.emit(layer, x, step="real" if kept else "")
    if kept:
        _rounded(operator, y, 7)


def qlinear_pair(operator: Operator) -> None:
    """QLinearAdd and QLinearMul: a, b and y, each with scale and zero point."""
    layer = Add() if operator.type == "QLinearAdd" else Mul()
    y = operator.emit(layer, _real(operator, 0), _real(operator, 3), step="real")
    _rounded(operator, y, 6)


def qlinear_function(operator: Operator) -> None:
    """QLinear operators of one input: x and y, each with scale and zero point."""
    y = operator.emit(_ONE[operator.type](operator), _real(operator, 0), step="real")
    _rounded(operator, y, 3)


def qlinear_concat(operator: Operator) -> None:
    """QLinearConcat: y's scale and zero point, then each input with its own."""
    parts = [_real(operator, place) for place in range(2, operator.input_count, 3)]
    y = operator.emit(Concat(operator.attribute("axis", 1)), *parts, step="real")
    _rounded(operator, y, 0)


def dynamic_quantize(operator: Operator) -> None:
    """DynamicQuantizeLinear: each output that something reads is found by itself."""
    for output, part in enumerate(("values", "scale", "zero_point")):
        if operator.uses_output(output):
            operator.emit(DynamicQuantizeLinear(part), operator.input(0), output=output)


def conv_integer(operator: Operator) -> None:
    """ConvInteger: weights are constants, the picture's zero point may be found while it runs."""
    weight = operator.constant(1, "weight")
    zero = operator.optional(3, "weight's zero point")
    source, weight, settings = window(operator, operator.input(0), weight)
    if zero is not None and zero.size == 1:
        zero = zero.reshape(())
    inputs = [source, operator.input(2)] if operator.has(2) else [source]
    emit_window(operator, ConvInteger(weight, zero, **settings), *inputs)


def matmul_integer(operator: Operator) -> None:
    """MatMulInteger."""
    inputs = [operator.input(0), operator.input(1)]
    if operator.has(2) or operator.has(3):
        none = np.zeros((), operator.dtype(0))
        inputs.append(operator.input(2) if operator.has(2) else operator.keep(none, "zero"))
    if operator.has(3):
        inputs.append(operator.input(3))
    operator.emit(MatMulInteger(), *inputs)


def _real(operator: Operator, index: int) -> str:
    """An input of integers as real numbers; its scale and zero point stand behind it."""
    layer = DequantizeLinear(*_affine(operator, index + 1, operator.dtype(index).name))
    return operator.emit(layer, operator.input(index), step=f"real_{index}")


def _weight(operator: Operator, index: int, axis: int) -> tuple[Array, Array]:
    """A constant input of integers as real numbers, and what a step is worth for each output."""
    stored = operator.constant(index, "weight")
    scale = operator.constant(index + 1, "weight's scale").reshape(-1).astype(np.float32)
    zero = operator.optional(index + 2, "weight's zero point")
    shape = [1] * stored.ndim
    shape[axis] = -1
    steps = stored.astype(np.int64)
    if zero is not None:
        steps = steps - zero.astype(np.int64).reshape(shape)
    weight = steps.astype(np.float32) * scale.reshape(shape)
    return weight, np.broadcast_to(scale, (stored.shape[axis],)).copy()


def _rounded(operator: Operator, value: str, index: int) -> None:
    """Round to the output's integers; its scale stands at an index, its zero point behind it."""
    scale, zero = _affine(operator, index, "uint8")
    operator.emit(QuantizeLinear(scale, zero), value)


def _affine(operator: Operator, index: int, dtype: str) -> tuple[Array, Array]:
    scale = operator.constant(index, "scale").reshape(-1)
    zero = operator.optional(index + 1, "zero point")
    zero = np.zeros(1, dtype) if zero is None else zero.reshape(-1)
    if scale.size != 1 or zero.size != 1:
        raise operator.unsupported(f"{scale.size} scales of a picture; one is required")
    return scale.reshape(()), zero.reshape(())


def _global_pool(operator: Operator) -> Layer:
    if operator.attribute("channels_last", False):
        raise operator.unsupported("channels in the last axis are not implemented")
    return GlobalAvgPool2d()


def _average_pool(operator: Operator) -> Layer:
    if operator.attribute("channels_last", False):
        raise operator.unsupported("channels in the last axis are not implemented")
    counted = operator.attribute("count_include_pad", False)
    return AvgPool2d(**pool_settings(operator), count_include_pad=counted)


_ONE: dict[str, Callable[[Operator], Layer]] = {
    "QLinearAveragePool": _average_pool,
    "QLinearGlobalAveragePool": _global_pool,
    "QLinearLeakyRelu": lambda op: LeakyReLU(**attributes(op, alpha=0.01)),
    "QLinearSigmoid": lambda op: Sigmoid(),
    "QLinearSoftmax": lambda op: Softmax(op.attribute("axis", -1)),
}

BUILDERS: dict[str, Callable[[Operator], None]] = {
    "ConvInteger": conv_integer,
    "DynamicQuantizeLinear": dynamic_quantize,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    **{f"com.microsoft::{kind}": qlinear_function for kind in _ONE},
    "com.microsoft::QGemm": qgemm,
    "com.microsoft::QLinearAdd": qlinear_pair,
    "com.microsoft::QLinearConcat": qlinear_concat,
    "com.microsoft::QLinearMul": qlinear_pair,
}
