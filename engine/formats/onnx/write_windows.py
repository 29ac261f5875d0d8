"""How layers whose windows move over pictures, and those that resample, are written in ONNX."""

from __future__ import annotations

from math import floor

import numpy as np

from twinlens.engine.formats.onnx.weights import weights
from twinlens.engine.formats.onnx.writer import Writer, integers
from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    AvgPool2d,
    Col2Im,
    Conv2d,
    ConvInteger,
    ConvTranspose2d,
    DepthToSpace,
    GridSample,
    LocalResponseNorm,
    MaxPool2d,
    Pad,
    Resize,
    SpaceToDepth,
)
from twinlens.engine.layers.base import Array, Shape


def conv(to: Writer, node: Node, layer: Conv2d) -> None:
    """Conv."""
    to.node(
        "Conv",
        [*node.inputs, *weights(to, node, layer)],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        dilations=layer.dilation,
        group=layer.groups,
        pads=layer.pads,
    )


def conv_transpose(to: Writer, node: Node, layer: ConvTranspose2d) -> None:
    """ConvTranspose."""
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


def pool(to: Writer, node: Node, layer: MaxPool2d | AvgPool2d) -> None:
    """MaxPool and AveragePool."""
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
        ends = to.parameter("pads", integers([0, 0, *inner[:2], 0, 0, *inner[2:]]))
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
    ends = to.parameter("pads", integers([0, 0, *layer.pads[:2], 0, 0, *sides]))
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


def local_response(to: Writer, node: Node, layer: LocalResponseNorm) -> None:
    """LRN."""
    if layer.size % 2:
        alpha, beta, bias = layer.alpha, layer.beta, layer.bias
        to.node("LRN", node.inputs, size=layer.size, alpha=alpha, beta=beta, bias=bias)
        return
    # ONNX Runtime 1.32 takes odd sizes only; a mean over channels is an average pool of rows.
    (x,) = node.inputs
    shape = to.shape(node)
    before = (layer.size - 1) // 2
    rows = to.parameter("rows", integers([shape[0], 1, shape[1], -1]))
    squares = to.node("Reshape", [to.node("Mul", [x, x], step="squares"), rows], step="rows")
    mean = to.node(
        "AveragePool",
        [squares],
        step="mean",
        kernel_shape=(layer.size, 1),
        pads=(before, 0, layer.size - 1 - before, 0),
        count_include_pad=1,
    )
    mean = to.node("Reshape", [mean, to.parameter("shape", integers(shape))], step="planes")
    numbers = {"alpha": layer.alpha, "bias": layer.bias, "beta": layer.beta}
    names = [to.parameter(name, np.float32(number)) for name, number in numbers.items()]
    scaled = to.node("Mul", [mean, names[0]], step="scaled")
    total = to.node("Add", [scaled, names[1]], step="sum")
    power = to.node("Pow", [total, names[2]], step="power")
    to.node("Div", [x, power])


def depth_to_space(to: Writer, node: Node, layer: DepthToSpace) -> None:
    """DepthToSpace."""
    to.node("DepthToSpace", node.inputs, blocksize=layer.block, mode=layer.mode)


def space_to_depth(to: Writer, node: Node, layer: SpaceToDepth) -> None:
    """SpaceToDepth."""
    if layer.mode == "DCR":
        to.node("SpaceToDepth", node.inputs, blocksize=layer.block)
        return
    # ONNX has the other order of channels from opset 26 on.
    n, channels, height, width = to.shape(node)
    side = layer.block
    parts = integers([n, channels, height // side, side, width // side, side])
    x = to.node("Reshape", [*node.inputs, to.parameter("parts", parts)], step="parts")
    x = to.node("Transpose", [x], step="moved", perm=(0, 1, 3, 5, 2, 4))
    shape = integers(layer.output_shape(to.shape(node)))
    to.node("Reshape", [x, to.parameter("shape", shape)])


def conv_integer(to: Writer, node: Node, layer: ConvInteger) -> None:
    """ConvInteger."""
    zero = layer.weight_zero_point
    if zero is None or zero.ndim == 0:
        _convolveintegers(to, node, layer, layer.weight, zero)
        return
    # ONNX Runtime 1.32 has one zero point for all weights: the others' share is taken off again.
    product = _convolveintegers(to, node, layer, layer.weight, None, step="product")
    ones = np.ones_like(layer.weight)
    sums = _convolveintegers(to, node, layer, ones, None, step="sums")
    zeros = to.parameter("zeros", zero.astype(np.int32).reshape(-1, 1, 1))
    to.node("Sub", [product, to.node("Mul", [sums, zeros], step="share")])


def _convolveintegers(
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


def pad(to: Writer, node: Node, layer: Pad) -> None:
    """Pad."""
    pads = [before for before, _ in layer.pads] + [after for _, after in layer.pads]
    value = ""
    if layer.mode == "constant" and layer.value != 0:
        value = to.parameter("value", np.asarray(layer.value, to.dtype(node.inputs[0])))
    to.node("Pad", [*node.inputs, to.parameter("pads", integers(pads)), value], mode=layer.mode)


def resize(to: Writer, node: Node, layer: Resize) -> None:
    """Resize."""
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
        sizes = to.parameter("sizes", integers(layer.sizes))
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


def grid_sample(to: Writer, node: Node, layer: GridSample) -> None:
    """GridSample."""
    to.node(
        "GridSample",
        node.inputs,
        mode=layer.mode,
        padding_mode=layer.padding,
        align_corners=int(layer.align_corners),
    )


def col_to_im(to: Writer, node: Node, layer: Col2Im) -> None:
    """Col2Im."""
    size, kernel = (
        to.parameter(name, integers(pair))
        for name, pair in (("size", layer.size), ("window", layer.kernel))
    )
    to.node(
        "Col2Im",
        [*node.inputs, size, kernel],
        strides=layer.stride,
        dilations=layer.dilation,
        pads=layer.pads,
    )
