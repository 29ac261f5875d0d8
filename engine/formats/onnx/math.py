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
    Abs,
    Acos,
    Acosh,
    Add,
    And,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Bitwise,
    Cast,
    Ceil,
    Clip,
    Cos,
    Cosh,
    DequantizeLinear,
    Div,
    Einsum,
    Equal,
    Erf,
    Exp,
    Flatten,
    Floor,
    Gemm,
    Greater,
    GreaterOrEqual,
    HardSigmoid,
    HardSwish,
    Identity,
    IsInf,
    IsNaN,
    LeakyReLU,
    Less,
    LessOrEqual,
    Linear,
    Log,
    LogSoftmax,
    MatMul,
    Maximum,
    Minimum,
    Mish,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Pow,
    PReLU,
    QuantizeLinear,
    Reciprocal,
    ReLU,
    ReLU6,
    Reshape,
    Round,
    Sigmoid,
    Sign,
    SiLU,
    Sin,
    Sinh,
    Softmax,
    Softplus,
    Softsign,
    Sqrt,
    Sub,
    Tan,
    Tanh,
    ThresholdedReLU,
    Transpose,
    Where,
    Xor,
)
from twinlens.engine.layers.base import Array, DType, Layer

Builder = Callable[[Operator], None]

_FUNCTIONS: tuple[type[Layer], ...] = (
    *(Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Cos, Cosh, Exp, Floor, IsNaN, Log, Neg),
    *(Not, Reciprocal, Round, Sign, Sin, Sinh, Sqrt, Tan),
)


def _made(kind: type[Layer]) -> Callable[[Operator], Layer]:
    """What makes a layer without settings."""
    return lambda op: kind()


_SIMPLE: dict[str, Callable[[Operator], Layer]] = {
    **{kind.__name__: _made(kind) for kind in _FUNCTIONS},
    "Celu": lambda op: CELU(**attributes(op, alpha=1.0)),
    "Elu": lambda op: ELU(**attributes(op, alpha=1.0)),
    "Erf": lambda op: Erf(),
    "Gelu": lambda op: GELU(op.attribute("approximate", "none")),
    "HardSigmoid": lambda op: HardSigmoid(**attributes(op, alpha=0.2, beta=0.5)),
    "HardSwish": lambda op: HardSwish(),
    "IsInf": lambda op: IsInf(
        negative=op.attribute("detect_negative", True),
        positive=op.attribute("detect_positive", True),
    ),
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

_BINARY: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Add, And, Div, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MatMul, Mul, Or),
        *(Pow, Sub, Xor),
    )
}


# Exporters write "no bound" as the largest float32.
_NO_BOUND = float(np.finfo(np.float32).max)

_JOINS: dict[str, type[Layer]] = {"Max": Maximum, "Mean": Add, "Min": Minimum, "Sum": Add}


def one_input_layer(operator: Operator) -> None:
    """Operators that are one layer over their first input."""
    operator.emit(_SIMPLE[operator.type](operator), operator.input(0))


def two_inputs_layer(operator: Operator) -> None:
    """Arithmetic of two inputs."""
    operator.emit(_BINARY[operator.type](), operator.input(0), operator.input(1))


def many_inputs(operator: Operator) -> None:
    """Sum, Mean, Max and Min of any number of inputs: joined one after the other."""
    names = operator.inputs()
    bound = _limit(operator)
    if bound is not None:
        operator.emit(*bound)
        return
    join, mean = _JOINS[operator.type], operator.type == "Mean"
    result = names[0]
    for place, name in enumerate(names[1:], 1):
        last = place == len(names) - 1 and not mean
        result = operator.emit(join(), result, name, step="" if last else f"first_{place + 1}")
    if mean and len(names) > 1:
        operator.emit(Div(), result, operator.keep(np.float32(len(names)), "count"))
    elif len(names) == 1:
        operator.emit(Identity(), result)


def _limit(operator: Operator) -> tuple[Layer, str] | None:
    """Max or Min of a value and one number as a Clip, with what it limits."""
    if operator.type not in ("Max", "Min") or operator.input_count != 2:
        return None
    for place in (0, 1):
        if operator.is_constant(place) or not operator.is_constant(1 - place):
            continue
        bound = operator.constant(1 - place, "bound")
        if bound.size == 1 and bound.ndim <= len(operator.shape(place)) and bound.dtype.kind == "f":
            value = float(bound.reshape(()))
            if not np.isnan(value):
                layer = Clip(value, None) if operator.type == "Max" else Clip(None, value)
                return layer, operator.input(place)
    return None


_BITS = {"BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor"}


def bits(operator: Operator) -> None:
    """BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot and BitShift."""
    first = operator.input(0)
    if operator.type == "BitwiseNot":
        dtype = operator.dtype()
        ones = np.asarray(-1 if dtype.kind == "i" else np.iinfo(dtype).max, dtype)
        operator.emit(Bitwise("xor"), first, operator.keep(ones, "ones"))
        return
    operation = _BITS.get(operator.type) or operator.attribute("direction", "").lower()
    operator.emit(Bitwise(operation), first, operator.input(1))


def shrink(operator: Operator) -> None:
    """Shrink: towards 0 by the bias, 0 where the size is at most lambd."""
    given = attributes(operator, lambd=0.5, bias=0.0)
    dtype, x = operator.dtype(), operator.input(0)
    numbers = {"low": -given["lambd"], "high": given["lambd"], "bias": given["bias"], "zero": 0}
    low, high, bias, zero = (
        operator.keep(np.asarray(number, dtype), name) for name, number in numbers.items()
    )
    below = operator.emit(Less(), x, low, step="below")
    above = operator.emit(Greater(), x, high, step="above")
    less = operator.emit(Sub(), x, bias, step="less")
    more = operator.emit(Add(), x, bias, step="more")
    rest = operator.emit(Where(), above, less, zero, step="rest")
    operator.emit(Where(), below, more, rest)


def mod(operator: Operator) -> None:
    """Mod."""
    layer = Mod(truncated=operator.attribute("fmod", False))
    operator.emit(layer, operator.input(0), operator.input(1))


def where(operator: Operator) -> None:
    """Where."""
    operator.emit(Where(), *operator.inputs())


def einsum(operator: Operator) -> None:
    """Einsum."""
    operator.emit(Einsum(operator.attribute("equation", "")), *operator.inputs())


def cast(operator: Operator) -> None:
    """Cast, and CastLike; floats of any width stay in the float type that the network runs in."""
    import onnx

    if operator.type == "CastLike":
        wanted = operator.dtype(1)
    else:
        number = operator.attribute("to", int(onnx.TensorProto.FLOAT))
        try:
            wanted = onnx.helper.tensor_dtype_to_np_dtype(number)
        except KeyError:
            raise operator.unsupported(f"a cast to type {number} is not implemented") from None
    if number_kind(wanted) is None:
        raise operator.unsupported(f"a cast to {wanted} is not implemented")
    given = operator.dtype()
    if operator.is_constant(0) and wanted == np.float64:
        operator.emit_constant(operator.constant(0, "data").astype(np.float64))
    elif given.kind == "f" and wanted.kind == "f":
        operator.emit(Identity(), operator.input(0))
    else:
        operator.emit(Cast(np.float32 if wanted.kind == "f" else wanted), operator.input(0))


def number_kind(dtype: DType) -> str | None:
    """``"f"``, ``"i"``, ``"u"`` or ``"b"`` of a type that layers compute in; None of others."""
    plain = dtype.kind in "fiub" and dtype.itemsize <= 8 and dtype.isbuiltin == 1
    return dtype.kind if plain else None


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


def product(operator: Operator) -> None:
    """Gemm."""
    gemm(operator)


def gemm(operator: Operator, step: str = "") -> str:
    """Emit Gemm as a step; with a constant matrix and bias it is a Linear layer."""
    alpha, beta = attributes(operator, alpha=1.0, beta=1.0).values()
    transpose_a = operator.attribute("transA", False)
    transpose_b = operator.attribute("transB", False)
    bias = _linear_bias(operator, transpose_b) if operator.is_constant(1) else None
    if bias is None or len(operator.shape()) != 2:
        layer = Gemm(alpha=alpha, beta=beta, transpose_a=transpose_a, transpose_b=transpose_b)
        inputs = (operator.input(i) for i in range(3) if operator.has(i))
        return operator.emit(layer, *inputs, step=step)
    matrix = operator.constant(1, "matrix")
    weight = matrix if transpose_b else np.ascontiguousarray(matrix.T)
    source = operator.input(0)
    if transpose_a:
        source = operator.emit(Transpose((1, 0)), source, step="transpose")
    scale = weight_scale(operator, 1, axis=0 if transpose_b else 1)
    if alpha != 1.0:
        weight, scale = weight * weight.dtype.type(alpha), None
    bias = bias * bias.dtype.type(beta) if operator.has(2) else None
    return operator.emit(Linear(weight, bias, weight_scale=scale), source, step=step)


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
    if operator.attribute("block_size", 0) and operator.is_constant(0):
        _dequantize_blocks(operator)
        return
    scale, zero_point = _affine(operator)
    axis = operator.attribute("axis", 1)
    if operator.is_constant(0) and operator.constant(0, "integers").dtype.itemsize == 1:
        operator.note_steps(Steps(scale, axis % max(1, len(operator.shape()))))
    operator.emit(DequantizeLinear(scale, zero_point, axis=axis), operator.input(0))


def _dequantize_blocks(operator: Operator) -> None:
    """Constant weights with a scale for each block of them along an axis."""
    stored, scale = operator.constant(0, "integers"), operator.constant(1, "scale")
    zero = operator.constant(2, "zero point") if operator.has(2) else np.zeros_like(scale)
    block, axis = operator.attribute("block_size", 0), operator.attribute("axis", 1)
    sizes = [-(-n // block) if at == axis % stored.ndim else n for at, n in enumerate(stored.shape)]
    if block < 1 or not -stored.ndim <= axis < stored.ndim or list(scale.shape) != sizes:
        raise operator.unsupported(
            f"scales of {scale.shape} for {stored.shape} in blocks of {block}"
        )
    each, less = (
        np.take(array.astype(np.float32), np.arange(stored.shape[axis]) // block, axis)
        for array in (scale, zero)
    )
    operator.emit_constant((stored.astype(np.float32) - less) * each)


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
    **dict.fromkeys(_JOINS, many_inputs),
    **dict.fromkeys((*_BITS, "BitwiseNot", "BitShift"), bits),
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "DequantizeLinear": dequantize_linear,
    "com.microsoft::DequantizeLinear": dequantize_linear,
    "com.microsoft::QuantizeLinear": quantize_linear,
    "Einsum": einsum,
    "Gemm": product,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "Mod": mod,
    "QuantizeLinear": quantize_linear,
    "Shrink": shrink,
    "Softmax": softmax,
    "Where": where,
}
