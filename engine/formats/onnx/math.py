"""ONNX operators that compute: products, arithmetic, activations, softmax, quantisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinlens.engine.formats.onnx.operator import Operator, attributes, weight_scale
from twinlens.engine.formats.values import Steps
from twinlens.engine.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Add,
    Clip,
    DequantizeLinear,
    Div,
    Erf,
    Flatten,
    Gemm,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MatMul,
    Mish,
    Mul,
    PReLU,
    QuantizeLinear,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Sub,
    Tanh,
    ThresholdedReLU,
    Transpose,
)
from twinlens.engine.layers.base import Array, Layer

Builder = Callable[[Operator], None]

_SIMPLE: dict[str, Callable[[Operator], Layer]] = {
    "Celu": lambda op: CELU(**attributes(op, alpha=1.0)),
    "Elu": lambda op: ELU(**attributes(op, alpha=1.0)),
    "Erf": lambda op: Erf(),
    "Gelu": lambda op: GELU(op.attribute("approximate", "none")),
    "HardSigmoid": lambda op: HardSigmoid(**attributes(op, alpha=0.2, beta=0.5)),
    "HardSwish": lambda op: HardSwish(),
    "LeakyRelu": lambda op: LeakyReLU(**attributes(op, alpha=0.01)),
    "Mish": lambda op: Mish(),
    "PRelu": lambda op: PReLU(op.constant(1, "slope")),
    "Relu": lambda op: ReLU(),
    "Selu": lambda op: SELU(
        **attributes(op, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875)
    ),
    "Sigmoid": lambda op: Sigmoid(),
    "Softplus": lambda op: Softplus(),
    "Softsign": lambda op: Softsign(),
    "Swish": lambda op: SiLU(**attributes(op, alpha=1.0)),
    "Tanh": lambda op: Tanh(),
    "ThresholdedRelu": lambda op: ThresholdedReLU(**attributes(op, alpha=1.0)),
}

_BINARY: dict[str, type[Layer]] = {"Add": Add, "Div": Div, "MatMul": MatMul, "Mul": Mul, "Sub": Sub}

# Exporters write "no bound" as the largest float32.
_NO_BOUND = float(np.finfo(np.float32).max)


def one_input_layer(operator: Operator) -> None:
    """Operators that are one layer over their first input."""
    operator.emit(_SIMPLE[operator.type](operator), operator.input(0))


def two_inputs_layer(operator: Operator) -> None:
    """Arithmetic of two inputs."""
    operator.emit(_BINARY[operator.type](), operator.input(0), operator.input(1))


def matmul(operator: Operator) -> None:
    """MatMul; with a constant matrix on the right it is a Linear layer."""
    if operator.is_constant(1) and not operator.is_constant(0):
        matrix = operator.constant(1, "matrix")
        if matrix.ndim == 2 and np.issubdtype(matrix.dtype, np.floating):
            scale = weight_scale(operator, 1, axis=1)
            layer = Linear(np.ascontiguousarray(matrix.T), weight_scale=scale)
            operator.emit(layer, operator.input(0))
            return
    two_inputs_layer(operator)


def gemm(operator: Operator) -> None:
    """Gemm; with a constant matrix and bias it is a Linear layer."""
    alpha, beta = attributes(operator, alpha=1.0, beta=1.0).values()
    transpose_a = operator.attribute("transA", False)
    transpose_b = operator.attribute("transB", False)
    bias = _linear_bias(operator, transpose_b) if operator.is_constant(1) else None
    if bias is None or len(operator.shape()) != 2:
        layer = Gemm(alpha=alpha, beta=beta, transpose_a=transpose_a, transpose_b=transpose_b)
        operator.emit(layer, *(operator.input(i) for i in range(3) if operator.has(i)))
        return
    matrix = operator.constant(1, "matrix")
    weight = matrix if transpose_b else np.ascontiguousarray(matrix.T)
    source = operator.input(0)
    if transpose_a:
        source = operator.emit(Transpose((1, 0)), source, step="transpose")
    scale = weight_scale(operator, 1, axis=0 if transpose_b else 1)
    if alpha != 1.0:
        weight, scale = weight * weight.dtype.type(alpha), None
    bias = bias * bias.dtype.type(beta) if operator.has(2) else None
    operator.emit(Linear(weight, bias, weight_scale=scale), source)


def _linear_bias(operator: Operator, transpose_b: bool) -> Array | None:
    """Gemm's constant third input as one value per column, or None where it is not that."""
    matrix = operator.constant(1, "matrix")
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.floating):
        return None
    columns = matrix.shape[0 if transpose_b else 1]
    if not operator.has(2):
        return np.zeros(columns, matrix.dtype)
    if not operator.is_constant(2):
        return None
    bias = operator.constant(2, "bias")
    if bias.size not in (1, columns) or bias.shape[-1:] not in ((), (1,), (columns,)):
        return None
    return np.broadcast_to(bias.reshape(-1), (columns,)).copy()


def clip(operator: Operator) -> None:
    """Clip: bounds are attributes before opset 11 and inputs from it on; 0 to 6 is ReLU6."""
    if operator.opset < 11:
        low = operator.attribute("min", -_NO_BOUND)
        high = operator.attribute("max", _NO_BOUND)
    else:
        low, high = (_bound(operator, index) for index in (1, 2))
    if (low, high) == (0, 6):
        operator.emit(ReLU6(), operator.input(0))
        return
    operator.emit(
        Clip(None if low <= -_NO_BOUND else low, None if high >= _NO_BOUND else high),
        operator.input(0),
    )


def _bound(operator: Operator, index: int) -> float:
    array = operator.optional(index, "minimum" if index == 1 else "maximum")
    if array is None:
        return -_NO_BOUND if index == 1 else _NO_BOUND
    bound: float = array.reshape(-1)[0].item()
    return bound


def softmax(operator: Operator) -> None:
    """Softmax and LogSoftmax; before opset 13 over all axes from ``axis`` on."""
    kind = Softmax if operator.type == "Softmax" else LogSoftmax
    shape = operator.shape()
    if operator.opset >= 13:
        operator.emit(kind(operator.attribute("axis", -1)), operator.input(0))
        return
    axis = operator.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    wide = [at for at in range(axis, len(shape)) if shape[at] > 1]
    if len(shape) > axis and len(wide) <= 1:
        operator.emit(kind(wide[0] if wide else axis), operator.input(0))
        return
    flat = operator.emit(Flatten(axis), operator.input(0), step="flatten")
    answer = operator.emit(kind(-1), flat, step="softmax")
    operator.emit(Reshape(shape, allow_zero=True), answer)


def reduce_mean(operator: Operator) -> None:
    """ReduceMean: axes are an attribute before opset 18 and an input from it on."""
    axes = operator.integers("axes", 1, since=18)
    if not axes and operator.attribute("noop_with_empty_axes", False):
        operator.emit(Identity(), operator.input(0))
        return
    layer = ReduceMean(axes or None, keep_dims=operator.attribute("keepdims", True))
    operator.emit(layer, operator.input(0))


def quantize_linear(operator: Operator) -> None:
    """QuantizeLinear, per tensor or per axis, to 8 or 16 bits."""
    import onnx

    scale, zero_point = _affine(operator)
    stored = operator.attribute("output_dtype", 0)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(stored) if stored else None
    axis = operator.attribute("axis", 1)
    operator.emit(QuantizeLinear(scale, zero_point, axis=axis, dtype=dtype), operator.input(0))


def dequantize_linear(operator: Operator) -> None:
    """DequantizeLinear, per tensor or per axis; of a constant it gives a constant."""
    scale, zero_point = _affine(operator)
    axis = operator.attribute("axis", 1)
    if operator.is_constant(0) and operator.constant(0, "integers").dtype.itemsize == 1:
        operator.note_steps(Steps(scale, axis % max(1, len(operator.shape()))))
    operator.emit(DequantizeLinear(scale, zero_point, axis=axis), operator.input(0))


def _affine(operator: Operator) -> tuple[Array, Array | None]:
    if operator.attribute("block_size", 0):
        raise operator.unsupported("scales per block are not implemented")
    scale = operator.constant(1, "scale")
    zero_point = operator.constant(2, "zero point") if operator.has(2) else None
    if zero_point is not None and zero_point.dtype.name not in _INTEGERS:
        raise operator.unsupported(f"a zero point of type {zero_point.dtype} is not implemented")
    if scale.size == 1:
        # One value may come as a scalar or as a vector of one, in any mixture.
        scale = scale.reshape(())
        zero_point = None if zero_point is None else zero_point.reshape(())
    return scale, zero_point


_INTEGERS = ("uint8", "int8", "uint16", "int16", "int32")

BUILDERS: dict[str, Builder] = {
    **dict.fromkeys(_SIMPLE, one_input_layer),
    **dict.fromkeys(_BINARY, two_inputs_layer),
    "Clip": clip,
    "DequantizeLinear": dequantize_linear,
    "Gemm": gemm,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "QuantizeLinear": quantize_linear,
    "ReduceMean": reduce_mean,
    "Softmax": softmax,
}
