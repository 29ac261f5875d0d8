"""How each layer is written in ONNX, opset 20: one function for each kind, and a table of them."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from twinlens.engine.formats.onnx import write_places, write_windows
from twinlens.engine.formats.onnx.weights import weights
from twinlens.engine.formats.onnx.writer import Writer, integers
from twinlens.engine.graph import Node
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
    ArgMax,
    ArgMin,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Attention,
    AvgPool2d,
    BatchNorm2d,
    Bitwise,
    Cast,
    Ceil,
    Clip,
    Col2Im,
    Concat,
    Constant,
    Conv2d,
    ConvInteger,
    ConvTranspose2d,
    Cos,
    Cosh,
    CumSum,
    DepthToSpace,
    DequantizeLinear,
    Div,
    Dropout,
    DynamicQuantizeLinear,
    Einsum,
    Equal,
    Erf,
    Exp,
    Expand,
    Flatten,
    Floor,
    Gather,
    GatherElements,
    GatherND,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Greater,
    GreaterOrEqual,
    GridSample,
    HardSigmoid,
    HardSwish,
    Identity,
    InstanceNorm2d,
    IsInf,
    IsNaN,
    LayerNorm,
    LeakyReLU,
    Less,
    LessOrEqual,
    Linear,
    LocalResponseNorm,
    Log,
    LogSoftmax,
    MatMul,
    MatMulInteger,
    Maximum,
    MaxPool2d,
    Minimum,
    Mish,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Pad,
    Pow,
    PReLU,
    QuantizeLinear,
    Reciprocal,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    ReLU,
    Reshape,
    Resize,
    RMSNorm,
    Round,
    ScatterElements,
    ScatterND,
    Sigmoid,
    Sign,
    SiLU,
    Sin,
    Sinh,
    Slice,
    Softmax,
    Softplus,
    Softsign,
    SpaceToDepth,
    Sqrt,
    Squeeze,
    Sub,
    Tan,
    Tanh,
    ThresholdedReLU,
    Tile,
    TopK,
    Transpose,
    Unsqueeze,
    Where,
    Xor,
)
from twinlens.engine.layers.base import Layer

WriteLayer = Callable[[Writer, Node, Any], None]

_LARGEST = float(np.finfo(np.float32).max)


def _plain(operator: str, *settings: str) -> WriteLayer:
    """A layer that is one operator; settings are attributes of the same name in both."""

    def write(to: Writer, node: Node, layer: Layer) -> None:
        to.node(operator, node.inputs, **{name: getattr(layer, name) for name in settings})

    return write


def _linear(to: Writer, node: Node, layer: Linear) -> None:
    if len(to.shape(node)) == 2:
        to.node("Gemm", [*node.inputs, *weights(to, node, layer)], transB=1)
        return
    bias = "" if layer.bias is None else to.parameter("bias", layer.bias)
    inputs = [*node.inputs, to.parameter("weight", layer.weight.T)]
    if not bias:
        to.node("MatMul", inputs)
        return
    to.node("Add", [to.node("MatMul", inputs, step="product"), bias])


def _gemm(to: Writer, node: Node, layer: Gemm) -> None:
    to.node(
        "Gemm",
        node.inputs,
        alpha=layer.alpha,
        beta=layer.beta,
        transA=int(layer.transpose_a),
        transB=int(layer.transpose_b),
    )


def _batch_norm(to: Writer, node: Node, layer: BatchNorm2d) -> None:
    arrays = [to.parameter(name, array) for name, array in layer.parameters.items()]
    to.node("BatchNormalization", [*node.inputs, *arrays], epsilon=layer.epsilon)


def _instance_norm(to: Writer, node: Node, layer: InstanceNorm2d) -> None:
    arrays = [to.parameter(name, array) for name, array in layer.parameters.items()]
    to.node("InstanceNormalization", [*node.inputs, *arrays], epsilon=layer.epsilon)


def _clip(to: Writer, node: Node, layer: Clip) -> None:
    stored = to.dtype(node.inputs[0])
    names = []
    for name, bound in (("minimum", layer.minimum), ("maximum", layer.maximum)):
        if bound is None or abs(bound) > _LARGEST:
            names.append("")
            continue
        low, high = -_LARGEST, _LARGEST
        if np.issubdtype(stored, np.integer):
            low, high = np.iinfo(stored).min, np.iinfo(stored).max
        names.append(to.parameter(name, np.asarray(min(max(bound, low), high), stored)))
    to.node("Clip", [*node.inputs, *names])


def _prelu(to: Writer, node: Node, layer: PReLU) -> None:
    to.node("PRelu", [*node.inputs, to.parameter("slope", layer.slope)])


def _silu(to: Writer, node: Node, layer: SiLU) -> None:
    (x,) = node.inputs
    scaled = x
    if layer.alpha != 1:
        scaled = to.node("Mul", [x, to.parameter("alpha", np.float32(layer.alpha))], step="scaled")
    to.node("Mul", [x, to.node("Sigmoid", [scaled], step="gate")])


def _cast(to: Writer, node: Node, layer: Cast) -> None:
    import onnx

    to.node("Cast", node.inputs, to=onnx.helper.np_dtype_to_tensor_dtype(layer.dtype))


def _is_inf(to: Writer, node: Node, layer: IsInf) -> None:
    negative, positive = int(layer.negative), int(layer.positive)
    to.node("IsInf", node.inputs, detect_negative=negative, detect_positive=positive)


def _mod(to: Writer, node: Node, layer: Mod) -> None:
    if layer.truncated or to.dtype(node.inputs[0]).kind != "f":
        to.node("Mod", node.inputs, fmod=int(layer.truncated))
        return
    # ONNX has the remainder of floats with the first's sign only.
    first, second = node.inputs
    times = to.node("Floor", [to.node("Div", [first, second], step="ratio")], step="times")
    to.node("Sub", [first, to.node("Mul", [times, second], step="whole")])


def _layer_norm(to: Writer, node: Node, layer: LayerNorm) -> None:
    inner = to.shape(node)[layer.axis % len(to.shape(node)) :]
    names = [
        to.parameter(name, np.broadcast_to(array, inner))
        for name, array in layer.parameters.items()
    ]
    to.node("LayerNormalization", [*node.inputs, *names], axis=layer.axis, epsilon=layer.epsilon)


def _rms_norm(to: Writer, node: Node, layer: RMSNorm) -> None:
    (x,) = node.inputs
    rank = len(to.shape(node))
    axes = to.parameter("axes", integers(range(layer.axis % rank, rank)))
    square = to.node("Mul", [x, x], step="square")
    mean = to.node("ReduceMean", [square, axes], step="mean")
    epsilon = to.parameter("epsilon", np.float32(layer.epsilon))
    length = to.node("Sqrt", [to.node("Add", [mean, epsilon], step="sum")], step="length")
    scaled = to.node("Div", [x, length], step="scaled")
    to.node("Mul", [scaled, to.parameter("scale", layer.scale)])


def _attention(to: Writer, node: Node, layer: Attention) -> None:
    """As operators of opset 20, which do not have it as one."""
    scores = _scores(to, node, layer)
    weights = to.node("Softmax", [scores], step="softmax", axis=-1)
    if len(node.inputs) == 4:
        # Where nothing counts, softmax divides 0 by 0.
        nothing = to.node("IsNaN", [weights], step="nothing")
        none = to.parameter("none", np.float32(0))
        weights = to.node("Where", [nothing, none, weights], step="weights")
    if layer.heads is None:
        to.node("MatMul", [weights, _by_head(to, node, layer, 2)])
        return
    answer = to.node("MatMul", [weights, _by_head(to, node, layer, 2)], step="answer")
    answer = to.node("Transpose", [answer], step="tokens", perm=(0, 2, 1, 3))
    shape = layer.output_shape(*(to.shape(node, at) for at in range(len(node.inputs))))
    to.node("Reshape", [answer, to.parameter("shape", integers(shape))])


def _scores(to: Writer, node: Node, layer: Attention) -> str:
    """What softmax gets."""
    q, k = (_by_head(to, node, layer, place) for place in (0, 1))
    shape = to.shape(node)
    size = shape[-1] // (layer.heads or 1)
    scale = 1 / sqrt(size) if layer.scale is None else layer.scale
    q = to.node("Mul", [q, to.parameter("scale", np.float32(scale))], step="scaled")
    k = to.node("Transpose", [k], step="turned", perm=(0, 1, 3, 2))
    scores = to.node("MatMul", [q, k], step="scores")
    if layer.softcap:
        cap = to.parameter("cap", np.float32(layer.softcap))
        bent = to.node("Tanh", [to.node("Div", [scores, cap], step="small")], step="bent")
        scores = to.node("Mul", [bent, cap], step="capped")
    if len(node.inputs) == 4:
        mask = node.inputs[3]
        if to.dtype(mask).kind == "b":
            never = to.parameter("never", np.float32(-np.inf))
            return to.node("Where", [mask, scores, never], step="masked")
        scores = to.node("Add", [scores, mask], step="masked")
    return scores


def _by_head(to: Writer, node: Node, layer: Attention, place: int) -> str:
    """An input as (N, heads of q, L, size)."""
    letter, x, shape = "qkv"[place], node.inputs[place], to.shape(node, place)
    heads = layer.heads if place == 0 else layer.kv_heads
    if heads is not None:
        parts = to.parameter(f"{letter}_parts", integers([*shape[:2], heads, shape[2] // heads]))
        x = to.node("Reshape", [x, parts], step=f"{letter}_parts")
        x = to.node("Transpose", [x], step=f"{letter}_heads", perm=(0, 2, 1, 3))
        shape = (shape[0], heads, shape[1], shape[2] // heads)
    wanted = layer.heads or to.shape(node)[1]
    if shape[1] == wanted:
        return x
    column = to.parameter(f"{letter}_axis", integers([2]))
    x = to.node("Unsqueeze", [x, column], step=f"{letter}_one")
    times = (shape[0], shape[1], wanted // shape[1], *shape[2:])
    x = to.node("Expand", [x, to.parameter(f"{letter}_times", integers(times))], step=f"{letter}s")
    whole = to.parameter(f"{letter}_whole", integers((shape[0], wanted, *shape[2:])))
    return to.node("Reshape", [x, whole], step=f"{letter}_whole")


def _dynamic(to: Writer, node: Node, layer: DynamicQuantizeLinear) -> None:
    place = ("values", "scale", "zero_point").index(layer.part)
    to.node("DynamicQuantizeLinear", node.inputs, output_of=(place, 3))


def _dropout(to: Writer, node: Node, layer: Dropout) -> None:
    to.node("Dropout", [*node.inputs, to.parameter("ratio", np.float32(layer.rate))])


def _constant(to: Writer, node: Node, layer: Constant) -> None:
    to.node("Identity", [to.parameter("value", layer.value)])


def _reshape(to: Writer, node: Node, layer: Reshape) -> None:
    shape = to.parameter("shape", integers(layer.shape))
    to.node("Reshape", [*node.inputs, shape], allowzero=int(layer.allow_zero))


def _squeeze(to: Writer, node: Node, layer: Squeeze) -> None:
    if layer.axes == ():
        to.node("Identity", node.inputs)
        return
    axes = "" if layer.axes is None else to.parameter("axes", integers(layer.axes))
    to.node("Squeeze", [*node.inputs, axes])


def _unsqueeze(to: Writer, node: Node, layer: Unsqueeze) -> None:
    if layer.axes == ():
        to.node("Identity", node.inputs)
        return
    to.node("Unsqueeze", [*node.inputs, to.parameter("axes", integers(layer.axes))])


def _transpose(to: Writer, node: Node, layer: Transpose) -> None:
    to.node("Transpose", node.inputs, perm=layer.permutation)


def _quantize(to: Writer, node: Node, layer: QuantizeLinear) -> None:
    import onnx

    inputs, stored = _affine(to, node, layer), None
    if layer.zero_point is None and layer.dtype != np.uint8:
        if to.opset >= 21:
            stored = onnx.helper.np_dtype_to_tensor_dtype(layer.dtype)
        else:
            shape = () if layer.scale.size == 1 else layer.scale.shape
            inputs.append(to.parameter("zero_point", np.zeros(shape, layer.dtype)))
    domain = to.quantiser_domain(layer.dtype)
    to.node("QuantizeLinear", inputs, axis=layer.axis, output_dtype=stored, domain=domain)


def _dequantize(to: Writer, node: Node, layer: DequantizeLinear) -> None:
    domain = to.quantiser_domain(to.dtype(node.inputs[0]))
    to.node("DequantizeLinear", _affine(to, node, layer), axis=layer.axis, domain=domain)


def _affine(to: Writer, node: Node, layer: QuantizeLinear | DequantizeLinear) -> list[str]:
    zero = layer.zero_point
    single = layer.scale.size == 1
    arrays = [layer.scale] if zero is None else [layer.scale, zero]
    shaped = [array.reshape(()) if single else array for array in arrays]
    names = ("scale", "zero_point")
    return [
        *node.inputs,
        *(to.parameter(name, array) for name, array in zip(names, shaped, strict=False)),
    ]


# A layer is written by its own entry, or by that of the nearest class that it derives from.
WRITERS: dict[type, WriteLayer] = {
    Abs: _plain("Abs"),
    Acos: _plain("Acos"),
    Acosh: _plain("Acosh"),
    Add: _plain("Add"),
    And: _plain("And"),
    ArgMax: write_places.extreme,
    ArgMin: write_places.extreme,
    Asin: _plain("Asin"),
    Asinh: _plain("Asinh"),
    Atan: _plain("Atan"),
    Atanh: _plain("Atanh"),
    Attention: _attention,
    AvgPool2d: write_windows.pool,
    BatchNorm2d: _batch_norm,
    Bitwise: write_places.bitwise,
    CELU: _plain("Celu", "alpha"),
    Cast: _cast,
    Ceil: _plain("Ceil"),
    Clip: _clip,
    Col2Im: write_windows.col_to_im,
    Concat: _plain("Concat", "axis"),
    Constant: _constant,
    Conv2d: write_windows.conv,
    ConvInteger: write_windows.conv_integer,
    ConvTranspose2d: write_windows.conv_transpose,
    Cos: _plain("Cos"),
    Cosh: _plain("Cosh"),
    CumSum: write_places.cum_sum,
    DepthToSpace: write_windows.depth_to_space,
    DequantizeLinear: _dequantize,
    Div: _plain("Div"),
    Dropout: _dropout,
    DynamicQuantizeLinear: _dynamic,
    ELU: _plain("Elu", "alpha"),
    Einsum: _plain("Einsum", "equation"),
    Equal: _plain("Equal"),
    Erf: _plain("Erf"),
    Exp: _plain("Exp"),
    Expand: write_places.expand,
    Flatten: _plain("Flatten", "axis"),
    Floor: _plain("Floor"),
    GELU: _plain("Gelu", "approximate"),
    Gather: write_places.gather,
    GatherElements: write_places.gather,
    GatherND: write_places.gather,
    Gemm: _gemm,
    GlobalAvgPool2d: _plain("GlobalAveragePool"),
    GlobalMaxPool2d: _plain("GlobalMaxPool"),
    Greater: _plain("Greater"),
    GreaterOrEqual: _plain("GreaterOrEqual"),
    GridSample: write_windows.grid_sample,
    HardSigmoid: _plain("HardSigmoid", "alpha", "beta"),
    HardSwish: _plain("HardSwish"),
    Identity: _plain("Identity"),
    InstanceNorm2d: _instance_norm,
    IsInf: _is_inf,
    IsNaN: _plain("IsNaN"),
    LayerNorm: _layer_norm,
    LeakyReLU: _plain("LeakyRelu", "alpha"),
    Less: _plain("Less"),
    LessOrEqual: _plain("LessOrEqual"),
    Linear: _linear,
    LocalResponseNorm: write_windows.local_response,
    Log: _plain("Log"),
    LogSoftmax: _plain("LogSoftmax", "axis"),
    MatMul: _plain("MatMul"),
    MatMulInteger: _plain("MatMulInteger"),
    MaxPool2d: write_windows.pool,
    Maximum: _plain("Max"),
    Minimum: _plain("Min"),
    Mish: _plain("Mish"),
    Mod: _mod,
    Mul: _plain("Mul"),
    Neg: _plain("Neg"),
    Not: _plain("Not"),
    Or: _plain("Or"),
    PReLU: _prelu,
    Pad: write_windows.pad,
    Pow: _plain("Pow"),
    QuantizeLinear: _quantize,
    RMSNorm: _rms_norm,
    ReLU: _plain("Relu"),
    Reciprocal: _plain("Reciprocal"),
    ReduceL1: write_places.reduce,
    ReduceL2: write_places.reduce,
    ReduceLogSum: write_places.reduce,
    ReduceLogSumExp: write_places.reduce,
    ReduceMax: write_places.reduce,
    ReduceMean: write_places.reduce,
    ReduceMin: write_places.reduce,
    ReduceProd: write_places.reduce,
    ReduceSum: write_places.reduce,
    ReduceSumSquare: write_places.reduce,
    Reshape: _reshape,
    Resize: write_windows.resize,
    Round: _plain("Round"),
    SELU: _plain("Selu", "alpha", "gamma"),
    ScatterElements: write_places.scatter,
    ScatterND: write_places.scatter,
    SiLU: _silu,
    Sigmoid: _plain("Sigmoid"),
    Sign: _plain("Sign"),
    Sin: _plain("Sin"),
    Sinh: _plain("Sinh"),
    Slice: write_places.slice_of,
    Softmax: _plain("Softmax", "axis"),
    Softplus: _plain("Softplus"),
    Softsign: _plain("Softsign"),
    SpaceToDepth: write_windows.space_to_depth,
    Sqrt: _plain("Sqrt"),
    Squeeze: _squeeze,
    Sub: _plain("Sub"),
    Tan: _plain("Tan"),
    Tanh: _plain("Tanh"),
    ThresholdedReLU: _plain("ThresholdedRelu", "alpha"),
    TopK: write_places.top_k,
    Tile: write_places.tile,
    Transpose: _transpose,
    Unsqueeze: _unsqueeze,
    Where: _plain("Where"),
    Xor: _plain("Xor"),
}
