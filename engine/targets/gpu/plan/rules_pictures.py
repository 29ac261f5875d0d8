"""Rules for pooling, elementwise layers and what only moves values; see ``rules``."""

from __future__ import annotations

from collections.abc import Sequence

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    Concat,
    LogSoftmax,
    PReLU,
    Softmax,
    Transpose,
)
from twinlens.engine.layers.base import Array
from twinlens.engine.targets import rules as shared
from twinlens.engine.targets.gpu.codegen.tensor import Buffer, Tensor
from twinlens.engine.targets.gpu.kernels.activate import activate, has_code
from twinlens.engine.targets.gpu.kernels.depthwise import Depthwise
from twinlens.engine.targets.gpu.kernels.elementwise import Elementwise
from twinlens.engine.targets.gpu.kernels.move import Input, Join
from twinlens.engine.targets.gpu.kernels.pool import GlobalPool, Pool
from twinlens.engine.targets.gpu.kernels.product import Product
from twinlens.engine.targets.gpu.kernels.softmax import Softmax as SoftmaxKernel
from twinlens.engine.targets.gpu.kernels.vector import Vector
from twinlens.engine.targets.gpu.kernels.winograd import FromTiles
from twinlens.engine.targets.gpu.plan.lower import Lowering, Stored, pixels

# Kernels that can add another picture before they store.
_FUSING = (Product, Vector, Depthwise, FromTiles)
_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


def pool(to: Lowering, node: Node) -> bool:
    """MaxPool2d and AvgPool2d."""
    return shared.pool(to, node, Pool)


def global_pool(to: Lowering, node: Node) -> bool:
    """GlobalAvgPool2d, GlobalMaxPool2d, and ReduceMean over height and width."""
    return shared.global_pool(to, node, GlobalPool)


def softmax(to: Lowering, node: Node) -> bool:
    """Softmax and LogSoftmax over the channels, or over a row."""
    layer, shape = node.layer, to.shape(node.inputs[0])
    if not isinstance(layer, Softmax) or type(layer) not in (Softmax, LogSoftmax):
        return False
    if not shared.over_channels(layer.axis, shape):
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

    operands: tuple[Tensor | Array, ...] = (source, *map(shared.float_array, arrays))
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
    slope = shared.per_channel(layer.slope, to.shape(node.inputs[0]))
    if slope is None:
        return False
    return _pointwise(to, node, (slope,), layer.kind, "select({0}, {0} * {1}, {0} < vec4<f32>())")


def arithmetic(to: Lowering, node: Node) -> bool:
    """Add, Sub, Mul and Div of pictures, a picture and a pixel, or a picture and a constant."""
    if not has_code(node.activation):
        return False
    if isinstance(node.layer, Add) and shared.fused_add(to, node, _FUSING):
        return True
    result = to.result(node.output)
    operands = None if result is None else shared.operands(to, node)
    if result is None or operands is None:
        return False
    sign = _SIGNS[node.layer.kind]

    def join(names: Sequence[str]) -> str:
        return f"v = {names[0]} {sign} {names[1]}; {activate('v', node.activation)}"

    return to.emit(node.output, Elementwise(operands, result, join, node.kind, (node.name,)))


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
