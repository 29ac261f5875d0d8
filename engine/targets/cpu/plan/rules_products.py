"""Rules for layers that are matrix products: convolutions and linear layers; see ``rules``."""

from __future__ import annotations

import numpy as np

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    Conv2d,
)
from twinlens.engine.layers.base import Array
from twinlens.engine.targets import rules as shared
from twinlens.engine.targets.cpu.codegen.tensor import Tensor
from twinlens.engine.targets.cpu.kernels.activate import has_code
from twinlens.engine.targets.cpu.kernels.base import float_array
from twinlens.engine.targets.cpu.kernels.depthwise import Depthwise
from twinlens.engine.targets.cpu.kernels.gemm import Convolve
from twinlens.engine.targets.cpu.kernels.winograd import Winograd, suits
from twinlens.engine.targets.cpu.plan.lower import Lowering


def convolution(to: Lowering, node: Node) -> bool:
    """Conv2d and DepthwiseConv2d."""
    layer = node.layer
    if not isinstance(layer, Conv2d) or not has_code(node.activation):
        return False
    if not _packs(to, layer.weight):
        return False
    single = layer.groups == layer.input_channels == layer.output_channels > 1
    source = to.wide_input(node.inputs[0]) if layer.groups == 1 else None
    if source is None:
        source = to.picture(node.inputs[0])
    result = to.result(node.output)
    if source is None or result is None:
        return False
    top, left = layer.pads[:2]
    source = to.padded(source, _border(layer, source, result))
    bias = np.zeros(layer.output_channels) if layer.bias is None else layer.bias
    if single:
        weight = float_array(layer.weight[:, 0].transpose(1, 2, 0))
        return to.emit(
            node.output,
            Depthwise(
                source,
                result,
                weight,
                float_array(bias),
                layer.stride,
                layer.dilation,
                (top, left),
                node.activation,
                (node.name,),
            ),
        )
    weight = float_array(layer.weight.transpose(0, 2, 3, 1))
    if layer.groups == 1 and source.channels > weight.shape[3]:
        unused = source.channels - weight.shape[3]
        weight = np.pad(weight, ((0, 0), (0, 0), (0, 0), (0, unused)))
    if source.dtype != "u8" and _gains_from_winograd(layer, result, to.precision):
        small = Winograd(
            source,
            result,
            weight,
            float_array(bias),
            (top, left),
            node.activation,
            nodes=(node.name,),
        )
        small.source = to.padded(source, small.border())
        return to.emit(node.output, small)
    op = Convolve(
        source,
        result,
        weight,
        float_array(bias),
        layer.stride,
        layer.dilation,
        (top, left),
        layer.groups,
        node.activation,
        precision=to.precision,
        weight_scale=layer.weight_scale,
        nodes=(node.name,),
    )
    return to.emit(node.output, op)


def _gains_from_winograd(layer: Conv2d, result: Tensor, precision: str) -> bool:
    """Whether Winograd's algorithm computes a convolution, and faster.

    Where products of bfloat16 are twice as fast, it gains nothing on 5 × 5 filters.
    """
    if precision != "fp32" and layer.kernel != (3, 3):
        return False
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1:
        return False
    channels = (layer.input_channels, layer.output_channels)
    return suits(layer.kernel, (result.height, result.width), channels)


def _packs(to: Lowering, weight: Array) -> bool:
    """Whether the arithmetic has all of a layer's weights: integers have no infinity, no NaN."""
    return to.precision != "int8" or bool(np.isfinite(weight).all())


def _border(layer: Conv2d, source: Tensor, result: Tensor) -> tuple[int, int, int, int]:
    """Border that the windows reach: the pads, less what no window touches."""
    ends = []
    for axis, (size, count) in enumerate(
        ((source.height, result.height), (source.width, result.width))
    ):
        extent = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        reach = (count - 1) * layer.stride[axis] - layer.pads[axis] + extent - size
        ends.append(max(0, reach))
    return layer.pads[0], layer.pads[1], ends[0], ends[1]


def product(to: Lowering, node: Node) -> bool:
    """Linear, Gemm and MatMul: the row that a node reads, times a constant matrix."""
    if len(to.shape(node.inputs[0])) != 2 or not has_code(node.activation):
        return False
    matrix = shared.matrix(to, node)
    if matrix is None or not _packs(to, matrix.weight):
        return False
    stored, result = to.load(node.inputs[0]), to.result(node.output)
    if stored is None or result is None:
        return False
    weight = matrix.weight
    if stored.planes:
        weight = shared.pixel_by_pixel(weight, stored.planes)
    op = Convolve(
        stored.tensor,
        result,
        float_array(weight).reshape(weight.shape[0], 1, 1, weight.shape[1]),
        matrix.filled_bias(),
        activation=node.activation,
        precision=to.precision,
        weight_scale=matrix.scale,
        nodes=(node.name,),
    )
    return to.emit(node.output, op)
