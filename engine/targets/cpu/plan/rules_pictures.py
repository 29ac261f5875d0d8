"""Rules for pooling, elementwise layers and what only moves values; see ``rules``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    Concat,
    PReLU,
    Softmax,
)
from twinlens.engine.targets import rules as shared
from twinlens.engine.targets.cpu.codegen.emit import Emitter, Value
from twinlens.engine.targets.cpu.codegen.tensor import Buffer, Tensor
from twinlens.engine.targets.cpu.kernels.activate import activate, has_code
from twinlens.engine.targets.cpu.kernels.base import float_array
from twinlens.engine.targets.cpu.kernels.elementwise import Elementwise
from twinlens.engine.targets.cpu.kernels.gemm import Convolve
from twinlens.engine.targets.cpu.kernels.pool import GlobalMean, Pool
from twinlens.engine.targets.cpu.kernels.softmax import Softmax as SoftmaxKernel
from twinlens.engine.targets.cpu.kernels.winograd import Winograd
from twinlens.engine.targets.cpu.plan.lower import Lowering, Stored, pixels


def pool(to: Lowering, node: Node) -> bool:
    """MaxPool2d and AvgPool2d."""
    return shared.pool(to, node, _pool)


def _pool(source: Tensor, result: Tensor, mode: str, *rest: Any) -> Pool:
    if mode == "max" and source.dtype == result.dtype == "u8":
        result.scale, result.zero_point = source.scale, source.zero_point
    return Pool(source, result, mode, *rest)


def global_pool(to: Lowering, node: Node) -> bool:
    """GlobalAvgPool2d, GlobalMaxPool2d, and ReduceMean over height and width."""
    return shared.global_pool(to, node, GlobalMean)


def softmax(to: Lowering, node: Node) -> bool:
    """Softmax over the channels, or over a row."""
    layer, shape = node.layer, to.shape(node.inputs[0])
    if not isinstance(layer, Softmax) or type(layer) is not Softmax:
        return False
    if not shared.over_channels(layer.axis, shape):
        return False
    stored = to.load(node.inputs[0])
    result = to.result(node.output, real=True)
    if stored is None or result is None:
        return False
    op = SoftmaxKernel(stored.tensor, result, (node.name,))
    return to.emit(node.output, op, Stored(shape, result, stored.planes))


def activation(to: Lowering, node: Node) -> bool:
    """A function of each sample that could not be fused."""
    layer = node.layer
    stored = to.load(node.inputs[0])
    result = to.result(node.output)
    if stored is None or result is None or not has_code(layer):
        return False

    def join(e: Emitter, values: Sequence[Value]) -> Value:
        return activate(e, values[0], layer)

    op = Elementwise((stored.tensor,), result, join, layer.kind, (node.name,))
    return to.emit(node.output, op, Stored(to.shape(node.output), result, stored.planes))


def batch_norm(to: Lowering, node: Node) -> bool:
    """BatchNorm2d that could not be folded: factor and shift per channel."""
    layer = node.layer
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if (
        not isinstance(layer, BatchNorm2d)
        or source is None
        or result is None
        or not has_code(node.activation)
    ):
        return False
    factor, shift = layer.scale_shift()

    def join(e: Emitter, values: Sequence[Value]) -> Value:
        x, by, plus = values
        return activate(e, e.fma(x, by, plus), node.activation)

    op = Elementwise(
        (source, float_array(factor), float_array(shift)), result, join, node.kind, (node.name,)
    )
    return to.emit(node.output, op)


def prelu(to: Lowering, node: Node) -> bool:
    """PReLU with one slope, or one per channel."""
    layer = node.layer
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if not isinstance(layer, PReLU) or source is None or result is None:
        return False
    slope = shared.per_channel(layer.slope, to.shape(node.inputs[0]))
    if slope is None:
        return False

    def join(e: Emitter, values: Sequence[Value]) -> Value:
        x, by = values
        below = e.b.fcmp_ordered("<", x, e.splat(0.0, x.type.count))
        return e.b.select(below, e.b.fmul(x, by), x)

    op = Elementwise((source, slope), result, join, layer.kind, (node.name,))
    return to.emit(node.output, op)


def arithmetic(to: Lowering, node: Node) -> bool:
    """Add, Sub, Mul and Div of pictures, a picture and a pixel, or a picture and a constant."""
    if not has_code(node.activation):
        return False
    if isinstance(node.layer, Add) and shared.fused_add(to, node, (Convolve, Winograd)):
        return True
    result = to.result(node.output)
    operands = None if result is None else shared.operands(to, node)
    if result is None or operands is None:
        return False
    kind = node.layer.kind

    def join(e: Emitter, values: Sequence[Value]) -> Value:
        a, b = values
        write = {"Add": e.b.fadd, "Sub": e.b.fsub, "Mul": e.b.fmul, "Div": e.b.fdiv}[kind]
        return activate(e, write(a, b), node.activation)

    op = Elementwise(operands, result, join, node.kind, (node.name,))
    return to.emit(node.output, op)


def concat(to: Lowering, node: Node) -> bool:
    """Concat of channels: the inputs become channels of one buffer, and nothing is copied."""
    layer, shape = node.layer, to.shape(node.output)
    size = pixels(shape)
    if not isinstance(layer, Concat) or layer.axis % len(shape) != 1 or size is None:
        return False
    tensors = [to.picture(name) for name in node.inputs]
    if any(tensor is None for tensor in tensors):
        return False
    result = to.result(node.output)
    if result is None:
        return False
    first = 0
    for name, given in zip(node.inputs, tensors, strict=True):
        if given is None:
            return False
        tensor = given
        movable = (
            name in to.writers
            and node.inputs.count(name) == 1
            and not tensor.buffer.flat
            and tensor.whole
            and tensor.dtype == result.dtype
            and name not in to.graph.inputs
            and (tensor.height, tensor.width) == (result.height, result.width)
        )
        if not movable:
            tensor = to.copy(tensor, result.dtype)
        if result.dtype == "u8":
            for view in tensor.buffer.tensors:
                view.scale, view.zero_point = result.scale, result.zero_point
        _move(tensor.buffer, result.buffer, first)
        first += tensor.channels
    to.values[node.output] = Stored(shape, result)
    return True


def _move(old: Buffer, new: Buffer, first: int) -> None:
    """Make all tensors of a buffer channels of another."""
    new.add_halo(old.halo)
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
    if stored is None or size is None:
        return False
    tensor = stored.tensor
    if stored.planes:
        return False
    if (tensor.height, tensor.width, tensor.channels) == size:
        to.values[node.output] = Stored(shape, tensor)
        return True
    single = tensor.height * tensor.width == 1 or tensor.channels == 1
    if size[:2] != (1, 1) or len(shape) != 2:
        return False
    if any(tensor.buffer.halo) or not tensor.whole or len(tensor.buffer.tensors) > 1:
        tensor = to.copy(tensor, tensor.dtype)
    tensor.buffer.flat = True
    view = Tensor(tensor.buffer, 1, 1, size[2])
    view.scale, view.zero_point = tensor.scale, tensor.zero_point
    planes = None if single else (tensor.channels, tensor.height, tensor.width)
    to.values[node.output] = Stored(shape, view, planes)
    return True
