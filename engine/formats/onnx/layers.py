"""How each layer is written in ONNX, opset 21: one function for each kind, and a table of them."""

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
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Constant,
    Conv2d,
    ConvTranspose2d,
    DequantizeLinear,
    Div,
    Dropout,
    Erf,
    Flatten,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSigmoid,
    HardSwish,
    Identity,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    MatMul,
    MaxPool2d,
    Mish,
    Mul,
    Pad,
    PReLU,
    QuantizeLinear,
    ReduceMean,
    ReLU,
    Reshape,
    Resize,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Squeeze,
    Sub,
    Tanh,
    ThresholdedReLU,
    Transpose,
    Unsqueeze,
)
from twinlens.engine.layers.base import Layer, Shape

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


def _reduce_mean(to: Writer, node: Node, layer: ReduceMean) -> None:
    if layer.axes == ():
        to.node("Identity", node.inputs)
        return
    axes = "" if layer.axes is None else to.parameter("axes", _integers(layer.axes))
    to.node("ReduceMean", [*node.inputs, axes], keepdims=int(layer.keep_dims))


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

    stored = None
    if layer.zero_point is None:
        stored = onnx.helper.np_dtype_to_tensor_dtype(layer.dtype)
    to.node("QuantizeLinear", _affine(to, node, layer), axis=layer.axis, output_dtype=stored)


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
    Add: _plain("Add"),
    AvgPool2d: _pool,
    BatchNorm2d: _batch_norm,
    CELU: _plain("Celu", "alpha"),
    Clip: _clip,
    Concat: _plain("Concat", "axis"),
    Constant: _constant,
    Conv2d: _conv,
    ConvTranspose2d: _conv_transpose,
    DequantizeLinear: _dequantize,
    Div: _plain("Div"),
    Dropout: _dropout,
    ELU: _plain("Elu", "alpha"),
    Erf: _plain("Erf"),
    Flatten: _plain("Flatten", "axis"),
    GELU: _plain("Gelu", "approximate"),
    Gemm: _gemm,
    GlobalAvgPool2d: _plain("GlobalAveragePool"),
    GlobalMaxPool2d: _plain("GlobalMaxPool"),
    HardSigmoid: _plain("HardSigmoid", "alpha", "beta"),
    HardSwish: _plain("HardSwish"),
    Identity: _plain("Identity"),
    InstanceNorm2d: _instance_norm,
    LeakyReLU: _plain("LeakyRelu", "alpha"),
    Linear: _linear,
    LocalResponseNorm: _plain("LRN", "size", "alpha", "beta", "bias"),
    LogSoftmax: _plain("LogSoftmax", "axis"),
    MatMul: _plain("MatMul"),
    MaxPool2d: _pool,
    Mish: _plain("Mish"),
    Mul: _plain("Mul"),
    PReLU: _prelu,
    Pad: _pad,
    QuantizeLinear: _quantize,
    ReLU: _plain("Relu"),
    ReduceMean: _reduce_mean,
    Reshape: _reshape,
    Resize: _resize,
    SELU: _plain("Selu", "alpha", "gamma"),
    SiLU: _silu,
    Sigmoid: _plain("Sigmoid"),
    Softmax: _plain("Softmax", "axis"),
    Softplus: _plain("Softplus"),
    Softsign: _plain("Softsign"),
    Squeeze: _squeeze,
    Sub: _plain("Sub"),
    Tanh: _plain("Tanh"),
    ThresholdedReLU: _plain("ThresholdedRelu", "alpha"),
    Transpose: _transpose,
    Unsqueeze: _unsqueeze,
}
