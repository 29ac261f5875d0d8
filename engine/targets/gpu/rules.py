"""Which kernel computes which layer: one function for each kind, and a table of them.

A rule appends kernels and answers True, or leaves everything as it was and answers False; then
the layer's reference forward runs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    ELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    DepthwiseConv2d,
    Div,
    Dropout,
    Flatten,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MatMul,
    MaxPool2d,
    Mul,
    PReLU,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Sigmoid,
    SiLU,
    Softmax,
    Squeeze,
    Sub,
    Tanh,
    Transpose,
    Unsqueeze,
)
from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.kernels.activate import activate, has_code
from twinlens.engine.targets.gpu.kernels.depthwise import Depthwise
from twinlens.engine.targets.gpu.kernels.elementwise import Elementwise
from twinlens.engine.targets.gpu.kernels.move import Input, Join
from twinlens.engine.targets.gpu.kernels.pool import GlobalPool, Pool
from twinlens.engine.targets.gpu.kernels.product import Front, Product
from twinlens.engine.targets.gpu.kernels.softmax import Softmax as SoftmaxKernel
from twinlens.engine.targets.gpu.kernels.vector import MOST_ROWS, Vector
from twinlens.engine.targets.gpu.kernels.winograd import (
    FromTiles,
    IntoTiles,
    tile_grid,
    transformed_weights,
)
from twinlens.engine.targets.gpu.lower import Lowering, Stored, per_channel, pixels
from twinlens.engine.targets.gpu.tensor import Buffer, Tensor

Rule = Callable[[Lowering, Node], bool]

# Weights of grouped convolutions are spread out to dense ones where groups do not fit fours, up
# to so many values.
_MOST_SPREAD = 1 << 22
#: Kernels that can add another picture before they store.
FUSING = (Product, Vector, Depthwise, FromTiles)


def convolution(to: Lowering, node: Node) -> bool:
    """Conv2d and DepthwiseConv2d."""
    layer = node.layer
    if not isinstance(layer, Conv2d) or not has_code(node.activation):
        return False
    weight, groups = _float32(layer.weight.transpose(0, 2, 3, 1)), layer.groups
    single = groups == layer.input_channels == layer.output_channels > 1
    fits = weight.shape[3] % 4 == 0 and (layer.output_channels // groups) % 4 == 0
    spread = groups > 1 and not single and not fits
    if spread and weight.size * groups > _MOST_SPREAD:
        return False
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None:
        return False
    bias = _float32(np.zeros(layer.output_channels) if layer.bias is None else layer.bias)
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
    to.withdraw(before)
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


def linear(to: Lowering, node: Node) -> bool:
    """Linear over a row, or over the flattened picture."""
    layer = node.layer
    return isinstance(layer, Linear) and _product(to, node, layer.weight, layer.bias)


def gemm(to: Lowering, node: Node) -> bool:
    """Gemm of rows and a constant matrix."""
    layer = node.layer
    if not isinstance(layer, Gemm) or layer.transpose_a:
        return False
    matrix = to.constant(node.inputs[1])
    if matrix is None:
        return False
    weight = (matrix if layer.transpose_b else matrix.T) * np.float32(layer.alpha)
    bias = None
    if len(node.inputs) == 3:
        added = to.constant(node.inputs[2])
        if added is None or (added.ndim == 2 and added.shape[0] > 1):
            return False
        bias = np.broadcast_to(added, (1, weight.shape[0])).reshape(-1) * np.float32(layer.beta)
    return _product(to, node, weight, bias)


def matmul(to: Lowering, node: Node) -> bool:
    """MatMul of rows and a constant matrix."""
    matrix = to.constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2:
        return False
    return _product(to, node, matrix.T, None)


def _product(to: Lowering, node: Node, weight: Array, bias: Array | None) -> bool:
    """A matrix times the rows that a node reads."""
    if len(to.shape(node.inputs[0])) != 2 or not has_code(node.activation):
        return False
    stored = to.load(node.inputs[0])
    result = to.result(node.output)
    if stored is None or result is None:
        return False
    weight = _float32(weight)
    if stored.planes:
        channels, height, width = stored.planes
        filled = -channels % 4
        cube = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        weight = np.pad(cube, ((0, 0), (0, 0), (0, 0), (0, filled))).reshape(len(weight), -1)
    op = Product(
        stored.tensor,
        result,
        weight.reshape(weight.shape[0], 1, 1, -1),
        _float32(np.zeros(weight.shape[0]) if bias is None else bias),
        activation=node.activation,
        nodes=(node.name,),
    )
    return to.emit(node.output, _few_rows(to, op) or op)


def pool(to: Lowering, node: Node) -> bool:
    """MaxPool2d and AvgPool2d."""
    layer = node.layer
    if not isinstance(layer, (MaxPool2d, AvgPool2d)) or node.activation is not None:
        return False
    divisors = None
    if isinstance(layer, AvgPool2d):
        divisors = layer.counts(to.shape(node.inputs[0]))
        if divisors.min() < 1:
            return False
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None:
        return False
    op = Pool(
        source,
        result,
        "max" if divisors is None else "mean",
        layer.kernel,
        layer.stride,
        layer.dilation,
        (layer.pads[0], layer.pads[1]),
        divisors,
        (node.name,),
    )
    return to.emit(node.output, op)


def global_pool(to: Lowering, node: Node) -> bool:
    """GlobalAvgPool2d, GlobalMaxPool2d, and ReduceMean over height and width."""
    layer, shape = node.layer, to.shape(node.inputs[0])
    if node.activation is not None or len(shape) != 4:
        return False
    if isinstance(layer, ReduceMean):
        axes = None if layer.axes is None else sorted(axis % 4 for axis in layer.axes)
        if axes != [2, 3]:
            return False
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None:
        return False
    mode = "max" if isinstance(layer, GlobalMaxPool2d) else "mean"
    return to.emit(node.output, GlobalPool(source, result, mode, (node.name,)))


def softmax(to: Lowering, node: Node) -> bool:
    """Softmax and LogSoftmax over the channels, or over a row."""
    layer, shape = node.layer, to.shape(node.inputs[0])
    if not isinstance(layer, Softmax) or type(layer) not in (Softmax, LogSoftmax):
        return False
    if len(shape) not in (2, 4) or layer.axis % len(shape) != 1:
        return False
    source = to.picture(node.inputs[0])
    result = to.result(node.output, real=True)
    if source is None or result is None:
        return False
    op = SoftmaxKernel(source, result, isinstance(layer, LogSoftmax), (node.name,))
    return to.emit(node.output, op)


def _pointwise(to: Lowering, node: Node, arrays: Sequence[Array], title: str, text: str) -> bool:
    """A function of one picture's samples and of values per channel; ``text`` names them."""
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None or not has_code(node.activation):
        return False

    def join(names: Sequence[str]) -> str:
        return f"v = {text.format(*names)}; {activate('v', node.activation)}"

    operands: tuple[Tensor | Array, ...] = (source, *map(_float32, arrays))
    return to.emit(node.output, Elementwise(operands, result, join, title, (node.name,)))


def activation(to: Lowering, node: Node) -> bool:
    """A function of each sample that could not be fused."""
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None or not has_code(node.layer):
        return False

    def join(names: Sequence[str]) -> str:
        return f"v = {names[0]}; {activate('v', node.layer)}"

    op = Elementwise((source,), result, join, node.layer.kind, (node.name,))
    return to.emit(node.output, op)


def batch_norm(to: Lowering, node: Node) -> bool:
    """BatchNorm2d that could not be folded: factor and shift per channel."""
    layer = node.layer
    if not isinstance(layer, BatchNorm2d):
        return False
    return _pointwise(to, node, layer.scale_shift(), node.kind, "{0} * {1} + {2}")


def prelu(to: Lowering, node: Node) -> bool:
    """PReLU with one slope, or one per channel."""
    layer = node.layer
    if not isinstance(layer, PReLU):
        return False
    slope = per_channel(layer.slope, to.shape(node.inputs[0]))
    if slope is None:
        return False
    return _pointwise(to, node, (slope,), layer.kind, "select({0}, {0} * {1}, {0} < vec4<f32>())")


_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


def arithmetic(to: Lowering, node: Node) -> bool:
    """Add, Sub, Mul and Div of pictures, a picture and a pixel, or a picture and a constant."""
    if not has_code(node.activation):
        return False
    if isinstance(node.layer, Add) and _fused_add(to, node):
        return True
    shape = to.shape(node.output)
    result = to.result(node.output)
    if result is None:
        return False
    operands: list[Tensor | Array] = []
    for name in node.inputs:
        constant = to.constant(name)
        operand = to.picture(name) if constant is None else per_channel(constant, shape)
        if operand is None:
            return False
        if isinstance(operand, Tensor):
            pixel = (operand.height, operand.width) == (1, 1) and operand.batch == result.batch
            same = to.shape(name) == shape
            if not same and not (pixel and operand.channels == result.channels):
                return False
        operands.append(operand)
    if not any(isinstance(operand, Tensor) for operand in operands):
        return False
    sign = _SIGNS[node.layer.kind]

    def join(names: Sequence[str]) -> str:
        return f"v = {names[0]} {sign} {names[1]}; {activate('v', node.activation)}"

    op = Elementwise(tuple(operands), result, join, node.kind, (node.name,))
    return to.emit(node.output, op)


def _fused_add(to: Lowering, node: Node) -> bool:
    """Let the convolution that ran last add the other picture before it stores."""
    if node.inputs[0] == node.inputs[1] or to.shape(node.inputs[0]) != to.shape(node.inputs[1]):
        return False
    found: tuple[int, Product | Vector | Depthwise | FromTiles, str] | None = None
    for name, other in (node.inputs, node.inputs[::-1]):
        op = to.writers.get(name)
        if (
            isinstance(op, FUSING)
            and op.activation is None
            and op.residual is None
            and to.readers[name] == 1
            and op.result is to.values[name].tensor
            and len(op.result.buffer.tensors) == 1
        ):
            position = to.steps.index(op)
            if found is None or position > found[0]:
                found = (position, op, other)
    if found is None or to.constant(found[2]) is not None:
        return False
    residual, result = to.picture(found[2]), to.result(node.output)
    if residual is None or result is None:
        return False
    # The other picture may be written after the convolution; that one moves behind it.
    op = found[1]
    to.withdraw(op)
    fused = replace(
        op,
        result=result,
        residual=residual,
        activation=node.activation,
        nodes=(*op.nodes, node.name),
    )
    return to.emit(node.output, fused)


def concat(to: Lowering, node: Node) -> bool:
    """Concat of channels: the inputs become channels of one buffer, and nothing is copied."""
    layer, shape = node.layer, to.shape(node.output)
    size = pixels(shape)
    if not isinstance(layer, Concat) or layer.axis % len(shape) != 1 or size is None:
        return False
    tensors = [tensor for name in node.inputs if (tensor := to.picture(name)) is not None]
    result = to.result(node.output)
    if result is None or len(tensors) < len(node.inputs):
        return False
    if any(tensor.channels % 4 for tensor in tensors[:-1]):
        return to.emit(node.output, Join(tuple(tensors), result, (node.name,)))
    first = 0
    for name, tensor in zip(node.inputs, tensors, strict=True):
        movable = (
            name in to.writers
            and node.inputs.count(name) == 1
            and tensor.whole
            and tensor.dtype == result.dtype
            and not any(view.flat for view in tensor.buffer.tensors)
            and name not in to.graph.outputs
        )
        part = tensor if movable else to.copy(tensor, result.dtype)
        _move(part.buffer, result.buffer, first)
        first += part.quads
    to.values[node.output] = Stored(shape, result)
    return True


def _move(old: Buffer, new: Buffer, first: int) -> None:
    """Make all tensors of a buffer channels of another."""
    for view in old.tensors:
        view.buffer = new
        view.first += first
        new.tensors.append(view)
    old.tensors = []


def reshape(to: Lowering, node: Node) -> bool:
    """Flatten, Reshape, Squeeze and Unsqueeze that move nothing in memory."""
    stored = to.load(node.inputs[0])
    shape = to.shape(node.output)
    size = pixels(shape)
    if stored is None or size is None or stored.planes:
        return False
    tensor = stored.tensor
    if (tensor.batch, tensor.height, tensor.width, tensor.channels) == size:
        to.values[node.output] = Stored(shape, tensor)
        return True
    if size[0] != tensor.batch or size[1:3] != (1, 1) or len(shape) != 2:
        return False
    if not tensor.whole or len(tensor.buffer.tensors) > 1:
        tensor = to.copy(tensor, tensor.dtype)
    samples = tensor.height * tensor.width * tensor.quads * 4
    view = Tensor(tensor.buffer, 1, 1, samples, flat=True)
    planes = (tensor.channels, tensor.height, tensor.width)
    to.values[node.output] = Stored(shape, view, planes)
    return True


def transpose(to: Lowering, node: Node) -> bool:
    """The Transpose that networks with channels last begin with."""
    layer, name = node.layer, node.inputs[0]
    size = pixels(to.shape(node.output))
    if not isinstance(layer, Transpose) or layer.permutation != (0, 3, 1, 2) or size is None:
        return False
    if not to.is_only_input(name) or node.activation is not None:
        return False
    result = Tensor.new(*size, to.target.dtype)
    return to.emit(node.output, Input(result, planar=False, nodes=(node.name,)))


def identity(to: Lowering, node: Node) -> bool:
    """Identity and Dropout: another name."""
    stored = to.load(node.inputs[0])
    if stored is None:
        return False
    to.values[node.output] = stored
    return True


def _float32(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)


_ACTIVATIONS: tuple[type[Layer], ...] = (
    Clip,
    ELU,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)

RULES: dict[type[Layer], Rule] = {
    Conv2d: convolution,
    DepthwiseConv2d: convolution,
    Linear: linear,
    Gemm: gemm,
    MatMul: matmul,
    MaxPool2d: pool,
    AvgPool2d: pool,
    GlobalAvgPool2d: global_pool,
    GlobalMaxPool2d: global_pool,
    ReduceMean: global_pool,
    Softmax: softmax,
    LogSoftmax: softmax,
    BatchNorm2d: batch_norm,
    PReLU: prelu,
    Add: arithmetic,
    Sub: arithmetic,
    Mul: arithmetic,
    Div: arithmetic,
    Concat: concat,
    Flatten: reshape,
    Reshape: reshape,
    Squeeze: reshape,
    Unsqueeze: reshape,
    Transpose: transpose,
    Identity: identity,
    Dropout: identity,
    **dict.fromkeys(_ACTIVATIONS, activation),
}
