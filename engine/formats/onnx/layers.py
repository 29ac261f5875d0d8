"""How each layer is written in ONNX, opset 20: one function for each kind, and a table of them."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Any

import numpy as np

from twinlens.engine.formats.onnx.weights import weights
from twinlens.engine.formats.onnx.writer import Writer
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
    AvgPool2d,
    BatchNorm2d,
    Cast,
    Ceil,
    Clip,
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
    Transpose,
    Unsqueeze,
    Where,
    Xor,
)
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.reduce import Reduce

WriteLayer = Callable[[Writer, Node, Any], None]

_LARGEST = float(np.finfo(np.float32).max)


def _plain(operator: str, *settings: str) -> WriteLayer:
    """A layer that is one operator; settings are attributes of the same name in both."""

    def write(to: Writer, node: Node, layer: Layer) -> None:
        to.node(operator, node.inputs, **{name: getattr(layer, name) for name in settings})

    return write


def _conv(to: Writer, node: Node, layer: Conv2d) -> None:
    to.node(
        "Conv",
        [*node.inputs, *weights(to, node, layer)],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        dilations=layer.dilation,
        group=layer.groups,
        pads=layer.pads,
    )


def _conv_transpose(to: Writer, node: Node, layer: ConvTranspose2d) -> None:
    bias = "" if layer.bias is None else to.parameter("bias", layer.bias)
    to.node(
        "ConvTranspose",
        [*node.inputs, to.parameter("weight", layer.weight), bias],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        dilations=layer.dilation,
        group=layer.groups,
        pads=layer.pads,
        output_padding=layer.output_padding,
    )


def _pool(to: Writer, node: Node, layer: MaxPool2d | AvgPool2d) -> None:
    mean = isinstance(layer, AvgPool2d)
    pads, ceil_mode = _edges(to.shape(node), layer)
    if any(pad >= layer.kernel[side % 2] for side, pad in enumerate(pads)):
        _pool_of_padded(to, node, layer)
        return
    inputs = list(node.inputs)
    counted = isinstance(layer, AvgPool2d) and layer.count_include_pad
    if counted and pads != layer.pads:
        # The layer's own pads are counted and the wider ones are not, so that they part.
        inner = layer.pads
        ends = to.parameter("pads", _integers([0, 0, *inner[:2], 0, 0, *inner[2:]]))
        inputs = [to.node("Pad", [*inputs, ends], step="pad")]
        pads = (0, 0, pads[2] - inner[2], pads[3] - inner[3])
        counted = False
    to.node(
        "AveragePool" if mean else "MaxPool",
        inputs,
        kernel_shape=layer.kernel,
        strides=layer.stride,
        # ONNX Runtime 1.32 refuses them on average pools of integers, even when they are 1.
        dilations=None if layer.dilation == (1, 1) else layer.dilation,
        pads=pads,
        ceil_mode=int(ceil_mode),
        count_include_pad=int(counted) if mean else None,
    )


def _pool_of_padded(to: Writer, node: Node, layer: MaxPool2d | AvgPool2d) -> None:
    """A dilated pool whose pads are as wide as its kernel, which ONNX Runtime refuses in pools."""
    shape, stored = to.shape(node), to.dtype(node.inputs[0])
    grid = layer.output_shape(shape)[2:]
    sides = [0, 0]
    for axis in (0, 1):
        extent = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        reached = (grid[axis] - 1) * layer.stride[axis] + extent
        sides[axis] = max(0, reached - shape[axis + 2] - layer.pads[axis])
    ends = to.parameter("pads", _integers([0, 0, *layer.pads[:2], 0, 0, *sides]))
    value = 0.0 if isinstance(layer, AvgPool2d) else -np.inf
    if stored.kind in "iu":
        value = np.iinfo(stored).min
    filled = to.parameter("value", np.asarray(value, stored))
    padded = to.node("Pad", [*node.inputs, ends, filled], step="pad")
    mean = isinstance(layer, AvgPool2d)
    pooled = to.node(
        "AveragePool" if mean else "MaxPool",
        [padded],
        step="mean" if mean else "",
        kernel_shape=layer.kernel,
        strides=layer.stride,
        dilations=layer.dilation,
    )
    if not isinstance(layer, AvgPool2d):
        return
    area = np.float32(layer.kernel[0] * layer.kernel[1])
    with np.errstate(all="ignore"):
        share = area / layer.counts(shape).astype(np.float32)
    to.node("Mul", [pooled, to.parameter("share", share)])


def _edges(shape: Shape, layer: MaxPool2d | AvgPool2d) -> tuple[tuple[int, ...], bool]:
    """Pads and ceil mode of a pool.

    Readers of ONNX do not agree on leaving out windows that start beyond the input. Where rounding
    up would make one, the windows are given by wider pads instead.
    """
    pads, beyond = list(layer.pads), False
    grid = layer.output_shape(shape)[2:]
    for axis in (0, 1):
        size, stride = shape[axis + 2] + layer.pads[axis], layer.stride[axis]
        extent = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        room = size + layer.pads[axis + 2] - extent
        beyond = beyond or -(-room // stride) + 1 > grid[axis]
        pads[axis + 2] = max(pads[axis + 2], (grid[axis] - 1) * stride + extent - size)
    if not layer.ceil_mode or not beyond:
        return layer.pads, layer.ceil_mode
    return tuple(pads), False


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


def _local_response(to: Writer, node: Node, layer: LocalResponseNorm) -> None:
    if layer.size % 2:
        alpha, beta, bias = layer.alpha, layer.beta, layer.bias
        to.node("LRN", node.inputs, size=layer.size, alpha=alpha, beta=beta, bias=bias)
        return
    # ONNX Runtime 1.32 takes odd sizes only; a mean over channels is an average pool of rows.
    (x,) = node.inputs
    shape = to.shape(node)
    before = (layer.size - 1) // 2
    rows = to.parameter("rows", _integers([shape[0], 1, shape[1], -1]))
    squares = to.node("Reshape", [to.node("Mul", [x, x], step="squares"), rows], step="rows")
    mean = to.node(
        "AveragePool",
        [squares],
        step="mean",
        kernel_shape=(layer.size, 1),
        pads=(before, 0, layer.size - 1 - before, 0),
        count_include_pad=1,
    )
    mean = to.node("Reshape", [mean, to.parameter("shape", _integers(shape))], step="planes")
    numbers = {"alpha": layer.alpha, "bias": layer.bias, "beta": layer.beta}
    names = [to.parameter(name, np.float32(number)) for name, number in numbers.items()]
    scaled = to.node("Mul", [mean, names[0]], step="scaled")
    total = to.node("Add", [scaled, names[1]], step="sum")
    power = to.node("Pow", [total, names[2]], step="power")
    to.node("Div", [x, power])


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


def _reduce(to: Writer, node: Node, layer: Reduce) -> None:
    if layer.axes == ():
        inputs = [*node.inputs, *node.inputs] if layer.kind == "ReduceSumSquare" else node.inputs
        to.node(_REDUCED_BY_NONE.get(layer.kind, "Identity"), inputs)
        return
    axes = "" if layer.axes is None else to.parameter("axes", _integers(layer.axes))
    to.node(layer.kind, [*node.inputs, axes], keepdims=int(layer.keep_dims))


_REDUCED_BY_NONE = {
    "ReduceL1": "Abs",
    "ReduceL2": "Abs",
    "ReduceLogSum": "Log",
    "ReduceSumSquare": "Mul",
}


def _extreme(to: Writer, node: Node, layer: ArgMax | ArgMin) -> None:
    to.node(
        layer.kind,
        node.inputs,
        axis=layer.axis,
        keepdims=int(layer.keep_dims),
        select_last_index=int(layer.last),
    )


def _cum_sum(to: Writer, node: Node, layer: CumSum) -> None:
    axis = to.parameter("axis", _integers(layer.axis))
    exclusive, reverse = int(layer.exclusive), int(layer.reverse)
    to.node("CumSum", [*node.inputs, axis], exclusive=exclusive, reverse=reverse)


def _slice(to: Writer, node: Node, layer: Slice) -> None:
    settings = {
        "starts": layer.starts,
        "ends": layer.ends,
        "axes": layer.axes,
        "steps": layer.steps,
    }
    names = [to.parameter(name, _integers(values)) for name, values in settings.items()]
    to.node("Slice", [*node.inputs, *names])


def _gather(to: Writer, node: Node, layer: Gather | GatherElements | GatherND) -> None:
    import onnx

    data, places = node.inputs
    if to.dtype(places) != np.int64:
        # GatherND takes nothing else, the others not all integers.
        whole = onnx.TensorProto.INT64
        places = to.node("Cast", [places], step="places", to=whole)
    if isinstance(layer, GatherND):
        to.node("GatherND", [data, places], batch_dims=layer.batch_dims)
    else:
        to.node(layer.kind, [data, places], axis=layer.axis)


def _expand(to: Writer, node: Node, layer: Expand) -> None:
    to.node("Expand", [*node.inputs, to.parameter("shape", _integers(layer.shape))])


def _tile(to: Writer, node: Node, layer: Tile) -> None:
    to.node("Tile", [*node.inputs, to.parameter("repeats", _integers(layer.repeats))])


def _depth_to_space(to: Writer, node: Node, layer: DepthToSpace) -> None:
    to.node("DepthToSpace", node.inputs, blocksize=layer.block, mode=layer.mode)


def _space_to_depth(to: Writer, node: Node, layer: SpaceToDepth) -> None:
    if layer.mode == "DCR":
        to.node("SpaceToDepth", node.inputs, blocksize=layer.block)
        return
    # ONNX has the other order of channels from opset 26 on.
    n, channels, height, width = to.shape(node)
    side = layer.block
    parts = _integers([n, channels, height // side, side, width // side, side])
    x = to.node("Reshape", [*node.inputs, to.parameter("parts", parts)], step="parts")
    x = to.node("Transpose", [x], step="moved", perm=(0, 1, 3, 5, 2, 4))
    shape = _integers(layer.output_shape(to.shape(node)))
    to.node("Reshape", [x, to.parameter("shape", shape)])


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
    axes = to.parameter("axes", _integers(range(layer.axis % rank, rank)))
    square = to.node("Mul", [x, x], step="square")
    mean = to.node("ReduceMean", [square, axes], step="mean")
    epsilon = to.parameter("epsilon", np.float32(layer.epsilon))
    length = to.node("Sqrt", [to.node("Add", [mean, epsilon], step="sum")], step="length")
    scaled = to.node("Div", [x, length], step="scaled")
    to.node("Mul", [scaled, to.parameter("scale", layer.scale)])


def _dynamic(to: Writer, node: Node, layer: DynamicQuantizeLinear) -> None:
    place = ("values", "scale", "zero_point").index(layer.part)
    to.node("DynamicQuantizeLinear", node.inputs, output_of=(place, 3))


def _conv_integer(to: Writer, node: Node, layer: ConvInteger) -> None:
    zero = layer.weight_zero_point
    if zero is None or zero.ndim == 0:
        _convolve_integers(to, node, layer, layer.weight, zero)
        return
    # ONNX Runtime 1.32 has one zero point for all weights: the others' share is taken off again.
    product = _convolve_integers(to, node, layer, layer.weight, None, step="product")
    ones = np.ones_like(layer.weight)
    sums = _convolve_integers(to, node, layer, ones, None, step="sums")
    zeros = to.parameter("zeros", zero.astype(np.int32).reshape(-1, 1, 1))
    to.node("Sub", [product, to.node("Mul", [sums, zeros], step="share")])


def _convolve_integers(
    to: Writer, node: Node, layer: ConvInteger, weight: Array, zero: Array | None, step: str = ""
) -> str:
    inputs = [node.inputs[0], to.parameter("weight", weight), *node.inputs[1:]]
    if zero is not None:
        none = np.zeros((), to.dtype(node.inputs[0]))
        inputs += [] if len(node.inputs) == 2 else [to.parameter("zero_point", none)]
        inputs.append(to.parameter("weight_zero_point", zero))
    return to.node(
        "ConvInteger",
        inputs,
        step=step,
        kernel_shape=weight.shape[2:],
        strides=layer.stride,
        dilations=layer.dilation,
        group=layer.groups,
        pads=layer.pads,
    )


def _dropout(to: Writer, node: Node, layer: Dropout) -> None:
    to.node("Dropout", [*node.inputs, to.parameter("ratio", np.float32(layer.rate))])


def _constant(to: Writer, node: Node, layer: Constant) -> None:
    to.node("Identity", [to.parameter("value", layer.value)])


def _pad(to: Writer, node: Node, layer: Pad) -> None:
    pads = [before for before, _ in layer.pads] + [after for _, after in layer.pads]
    value = ""
    if layer.mode == "constant" and layer.value != 0:
        value = to.parameter("value", np.asarray(layer.value, to.dtype(node.inputs[0])))
    to.node("Pad", [*node.inputs, to.parameter("pads", _integers(pads)), value], mode=layer.mode)


def _reshape(to: Writer, node: Node, layer: Reshape) -> None:
    shape = to.parameter("shape", _integers(layer.shape))
    to.node("Reshape", [*node.inputs, shape], allowzero=int(layer.allow_zero))


def _squeeze(to: Writer, node: Node, layer: Squeeze) -> None:
    if layer.axes == ():
        to.node("Identity", node.inputs)
        return
    axes = "" if layer.axes is None else to.parameter("axes", _integers(layer.axes))
    to.node("Squeeze", [*node.inputs, axes])


def _unsqueeze(to: Writer, node: Node, layer: Unsqueeze) -> None:
    if layer.axes == ():
        to.node("Identity", node.inputs)
        return
    to.node("Unsqueeze", [*node.inputs, to.parameter("axes", _integers(layer.axes))])


def _transpose(to: Writer, node: Node, layer: Transpose) -> None:
    to.node("Transpose", node.inputs, perm=layer.permutation)


def _resize(to: Writer, node: Node, layer: Resize) -> None:
    region = scales = sizes = ""
    if layer.coordinates == "tf_crop_and_resize" and layer.region is not None:
        ends = np.asarray(layer.region, np.float32).T.reshape(-1)
        region = to.parameter("region", ends)
    if layer.scales is not None:
        rank = len(to.shape(node))
        axes = range(rank) if layer.axes is None else [axis % rank for axis in layer.axes]
        lengths = [to.shape(node)[axis] for axis in axes]
        rounded = [_scale(*pair) for pair in zip(layer.scales, lengths, strict=True)]
        scales = to.parameter("scales", np.asarray(rounded, np.float32))
    if layer.sizes is not None:
        sizes = to.parameter("sizes", _integers(layer.sizes))
    to.node(
        "Resize",
        [*node.inputs, region, scales, sizes],
        axes=layer.axes,
        mode=layer.mode,
        coordinate_transformation_mode=layer.coordinates,
        nearest_mode=layer.nearest_mode,
        cubic_coeff_a=layer.cubic_a,
        exclude_outside=int(layer.exclude_outside),
        antialias=int(layer.antialias),
        extrapolation_value=layer.extrapolation_value,
        # Without sizes there is no aspect to keep, and ONNX Runtime says so.
        keep_aspect_ratio_policy=layer.keep_aspect if sizes else None,
    )


def _scale(scale: float, size: int) -> np.float32:
    """A factor in single precision that gives the same output size."""
    single = np.float32(scale)
    wanted = floor(size * scale)
    if floor(size * float(single)) != wanted:
        away = np.float32(np.inf) if floor(size * float(single)) < wanted else np.float32(0)
        single = np.nextafter(single, away)
    return single


def _quantize(to: Writer, node: Node, layer: QuantizeLinear) -> None:
    import onnx

    inputs, stored = _affine(to, node, layer), None
    if layer.zero_point is None and layer.dtype != np.uint8:
        if to.opset >= 21:
            stored = onnx.helper.np_dtype_to_tensor_dtype(layer.dtype)
        else:
            shape = () if layer.scale.size == 1 else layer.scale.shape
            inputs.append(to.parameter("zero_point", np.zeros(shape, layer.dtype)))
    to.node("QuantizeLinear", inputs, axis=layer.axis, output_dtype=stored)


def _dequantize(to: Writer, node: Node, layer: DequantizeLinear) -> None:
    to.node("DequantizeLinear", _affine(to, node, layer), axis=layer.axis)


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


def _integers(values: Any) -> Any:
    return np.asarray(values, np.int64)


# A layer is written by its own entry, or by that of the nearest class that it derives from.
WRITERS: dict[type, WriteLayer] = {
    Abs: _plain("Abs"),
    Acos: _plain("Acos"),
    Acosh: _plain("Acosh"),
    Add: _plain("Add"),
    And: _plain("And"),
    ArgMax: _extreme,
    ArgMin: _extreme,
    Asin: _plain("Asin"),
    Asinh: _plain("Asinh"),
    Atan: _plain("Atan"),
    Atanh: _plain("Atanh"),
    AvgPool2d: _pool,
    BatchNorm2d: _batch_norm,
    CELU: _plain("Celu", "alpha"),
    Cast: _cast,
    Ceil: _plain("Ceil"),
    Clip: _clip,
    Concat: _plain("Concat", "axis"),
    Constant: _constant,
    Conv2d: _conv,
    ConvInteger: _conv_integer,
    ConvTranspose2d: _conv_transpose,
    Cos: _plain("Cos"),
    Cosh: _plain("Cosh"),
    CumSum: _cum_sum,
    DepthToSpace: _depth_to_space,
    DequantizeLinear: _dequantize,
    Div: _plain("Div"),
    Dropout: _dropout,
    DynamicQuantizeLinear: _dynamic,
    ELU: _plain("Elu", "alpha"),
    Einsum: _plain("Einsum", "equation"),
    Equal: _plain("Equal"),
    Erf: _plain("Erf"),
    Exp: _plain("Exp"),
    Expand: _expand,
    Flatten: _plain("Flatten", "axis"),
    Floor: _plain("Floor"),
    GELU: _plain("Gelu", "approximate"),
    Gather: _gather,
    GatherElements: _gather,
    GatherND: _gather,
    Gemm: _gemm,
    GlobalAvgPool2d: _plain("GlobalAveragePool"),
    GlobalMaxPool2d: _plain("GlobalMaxPool"),
    Greater: _plain("Greater"),
    GreaterOrEqual: _plain("GreaterOrEqual"),
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
    LocalResponseNorm: _local_response,
    Log: _plain("Log"),
    LogSoftmax: _plain("LogSoftmax", "axis"),
    MatMul: _plain("MatMul"),
    MatMulInteger: _plain("MatMulInteger"),
    MaxPool2d: _pool,
    Maximum: _plain("Max"),
    Minimum: _plain("Min"),
    Mish: _plain("Mish"),
    Mod: _mod,
    Mul: _plain("Mul"),
    Neg: _plain("Neg"),
    Not: _plain("Not"),
    Or: _plain("Or"),
    PReLU: _prelu,
    Pad: _pad,
    Pow: _plain("Pow"),
    QuantizeLinear: _quantize,
    RMSNorm: _rms_norm,
    ReLU: _plain("Relu"),
    Reciprocal: _plain("Reciprocal"),
    ReduceL1: _reduce,
    ReduceL2: _reduce,
    ReduceLogSum: _reduce,
    ReduceLogSumExp: _reduce,
    ReduceMax: _reduce,
    ReduceMean: _reduce,
    ReduceMin: _reduce,
    ReduceProd: _reduce,
    ReduceSum: _reduce,
    ReduceSumSquare: _reduce,
    Reshape: _reshape,
    Resize: _resize,
    Round: _plain("Round"),
    SELU: _plain("Selu", "alpha", "gamma"),
    SiLU: _silu,
    Sigmoid: _plain("Sigmoid"),
    Sign: _plain("Sign"),
    Sin: _plain("Sin"),
    Sinh: _plain("Sinh"),
    Slice: _slice,
    Softmax: _plain("Softmax", "axis"),
    Softplus: _plain("Softplus"),
    Softsign: _plain("Softsign"),
    SpaceToDepth: _space_to_depth,
    Sqrt: _plain("Sqrt"),
    Squeeze: _squeeze,
    Sub: _plain("Sub"),
    Tan: _plain("Tan"),
    Tanh: _plain("Tanh"),
    ThresholdedReLU: _plain("ThresholdedRelu", "alpha"),
    Tile: _tile,
    Transpose: _transpose,
    Unsqueeze: _unsqueeze,
    Where: _plain("Where"),
    Xor: _plain("Xor"),
}
