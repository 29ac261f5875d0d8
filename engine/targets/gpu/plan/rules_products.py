"""Rules for layers that are matrix products: convolutions and linear layers; see ``rules``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twinlens.engine.graph import Node
from twinlens.engine.layers import Conv2d
from twinlens.engine.layers.base import Array
from twinlens.engine.targets import rules as shared
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.activate import has_code
from twinlens.engine.targets.gpu.kernels.depthwise import Depthwise
from twinlens.engine.targets.gpu.kernels.product import Front, Product
from twinlens.engine.targets.gpu.kernels.vector import MOST_ROWS, Vector
from twinlens.engine.targets.gpu.kernels.winograd import (
    FromTiles,
    IntoTiles,
    tile_grid,
    transformed_weights,
)
from twinlens.engine.targets.gpu.plan.lower import Lowering

# Weights of grouped convolutions are spread out to dense ones where groups do not fit fours, up
# to so many values.
_MOST_SPREAD = 1 << 22


def convolution(to: Lowering, node: Node) -> bool:
    """Conv2d and DepthwiseConv2d."""
    layer = node.layer
    if not isinstance(layer, Conv2d) or not has_code(node.activation):
        return False
    weight, groups = shared.float_array(layer.weight.transpose(0, 2, 3, 1)), layer.groups
    single = groups == layer.input_channels == layer.output_channels > 1
    fits = weight.shape[3] % 4 == 0 and (layer.output_channels // groups) % 4 == 0
    spread = groups > 1 and not single and not fits
    if spread and weight.size * groups > _MOST_SPREAD:
        return False
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None:
        return False
    bias = shared.float_array(np.zeros(layer.output_channels) if layer.bias is None else layer.bias)
    place = (layer.stride, layer.dilation, (layer.pads[0], layer.pads[1]))
    last = (node.activation, None, (node.name,))
    if single:
        kernel = np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0))
        return to.emit(node.output, Depthwise(source, result, kernel, bias, *place, *last))
    if spread:
        weight, groups = _dense(weight, groups), 1
    product = Product(source, result, weight, bias, *place, groups, *last)
    if to.winograd and _suits_winograd(product, to.winograd):
        return _by_tiles(to, node, product)
    return to.emit(node.output, _few_rows(to, product) or _with_front(to, node, product))


def _with_front(to: Lowering, node: Node, op: Product) -> Product:
    """The product with the depthwise convolution that only it reads, where that pays."""
    name = node.inputs[0]
    before = to.writers.get(name)
    if (
        not isinstance(before, Depthwise)
        or to.target.software
        or not op.plain
        or op.groups > 1
        or before.residual is not None
        or to.readers[name] > 1
        or op.source is not before.result
        or len(before.result.buffer.tensors) > 1
        # Many pictures keep a GPU busy, which is then better not given work twice.
        or op.result.batch > 1
        or op.result.channels > to.most_front
    ):
        return op
    to.withdraw(before, name)
    front = Front(
        before.weight,
        before.bias,
        before.stride,
        before.dilation,
        before.pads,
        before.activation,
    )
    return replace(op, source=before.source, front=front, nodes=(*before.nodes, *op.nodes))


def _suits_winograd(op: Product, least_macs: int) -> bool:
    """Whether a convolution can go by Winograd's tiles, and is large enough for that to pay."""
    outputs, rows, columns, inputs = op.weight.shape
    plain = op.stride == op.dilation == (1, 1) and op.groups == 1
    fits = (rows, columns) == (3, 3) and outputs % 4 == 0 and inputs % 4 == 0
    return plain and fits and op.macs >= least_macs


def _by_tiles(to: Lowering, node: Node, op: Product) -> bool:
    """A convolution as three kernels: into tiles, products, and back."""
    # In f16 the larger tiles' factors would cost too many digits.
    side = 2 if to.target.dtype == "f16" else 4
    places, (outputs, _, _, inputs) = (side + 2) ** 2, op.weight.shape
    tiles = tile_grid(op.result, side)
    count = op.result.batch * tiles[0] * tiles[1]
    cut = Tensor.new(1, 1, count, places * inputs, to.target.dtype)
    multiplied = Tensor.new(1, 1, count, places * outputs, to.target.dtype)
    weight = transformed_weights(op.weight, side)
    none = np.zeros(places * outputs, np.float32)
    to.steps.append(IntoTiles(op.source, cut, side, tiles, op.pads, op.nodes))
    to.steps.append(Product(cut, multiplied, weight, none, groups=places, nodes=op.nodes))
    back = FromTiles(multiplied, op.result, op.bias, side, tiles, op.activation, None, op.nodes)
    return to.emit(node.output, back)


def _dense(weight: Array, groups: int) -> Array:
    """Grouped weights (O, kh, kw, I / groups) with zeros between the groups."""
    outputs, rows, columns, inputs = weight.shape
    each = outputs // groups
    result = np.zeros((outputs, rows, columns, inputs * groups), np.float32)
    for group in range(groups):
        chosen = slice(group * each, (group + 1) * each)
        result[chosen, :, :, group * inputs : (group + 1) * inputs] = weight[chosen]
    return result


def _few_rows(to: Lowering, op: Product) -> Vector | None:
    """The kernel for few rows, where there are few."""
    if to.target.software or op.result.pixels > MOST_ROWS or not op.plain or op.groups > 1:
        return None
    weight = op.weight.reshape(op.weight.shape[0], -1)
    return Vector(op.source, op.result, weight, op.bias, op.activation, op.residual, op.nodes)


def product(to: Lowering, node: Node) -> bool:
    """Linear, Gemm and MatMul: the rows that a node reads, times a constant matrix."""
    if len(to.shape(node.inputs[0])) != 2 or not has_code(node.activation):
        return False
    matrix = shared.matrix(to, node)
    if matrix is None:
        return False
    stored, result = to.load(node.inputs[0]), to.result(node.output)
    if stored is None or result is None:
        return False
    weight = shared.float_array(matrix.weight)
    if stored.planes:
        weight = shared.pixel_by_pixel(weight, stored.planes, -stored.planes[0] % 4)
    op = Product(
        stored.tensor,
        result,
        weight.reshape(weight.shape[0], 1, 1, -1),
        matrix.filled_bias(),
        activation=node.activation,
        nodes=(node.name,),
    )
    return to.emit(node.output, _few_rows(to, op) or op)
