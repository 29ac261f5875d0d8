"""Rules for pooling, elementwise layers and what only moves values; see ``rules``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    GlobalMaxPool2d,
    MaxPool2d,
    PReLU,
    ReduceMean,
    Softmax,
)
from twinlens.engine.layers.base import Array
from twinlens.engine.targets.cpu.emit import Emitter, Value
from twinlens.engine.targets.cpu.kernels.activate import activate, has_code
from twinlens.engine.targets.cpu.kernels.base import float_array
from twinlens.engine.targets.cpu.kernels.elementwise import Elementwise
from twinlens.engine.targets.cpu.kernels.gemm import Convolve
from twinlens.engine.targets.cpu.kernels.pool import GlobalMean, Pool
from twinlens.engine.targets.cpu.kernels.softmax import Softmax as SoftmaxKernel
from twinlens.engine.targets.cpu.kernels.winograd import Winograd
from twinlens.engine.targets.cpu.lower import Lowering, Stored, per_channel, pixels
from twinlens.engine.targets.cpu.tensor import Buffer, Tensor


def pool(to: Lowering, node: Node) -> bool:
    """MaxPool2d and AvgPool2d."""
    layer = node.layer
    if not isinstance(layer, (MaxPool2d, AvgPool2d)) or node.activation is not None:
        return False
    source, result = to.picture(node.inputs[0]), to.result(node.output)
    if source is None or result is None:
        return False
    mean = isinstance(layer, AvgPool2d)
    divisors = None
    if isinstance(layer, AvgPool2d):
        shape = to.shape(node.inputs[0])
        divisors = layer.counts(shape)
        if divisors.min() < 1:
            return False
    if not mean and source.dtype == result.dtype == "u8":
        result.scale, result.zero_point = source.scale, source.zero_point
    op = Pool(
        source,
        result,
        "mean" if mean else "max",
        layer.kernel,
        layer.stride,
        layer.dilation,
        layer.pads[:2],
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
    return to.emit(node.output, GlobalMean(source, result, mode, (node.name,)))


def softmax(to: Lowering, node: Node) -> bool:
    """Softmax over the channels, or over a row."""
    layer, shape = node.layer, to.shape(node.inputs[0])
    if not isinstance(layer, Softmax) or type(layer) is not Softmax:
        return False
    if len(shape) not in (2, 4) or layer.axis % len(shape) != 1:
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
    slope = per_channel(layer.slope, to.shape(node.inputs[0]))
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
            pixel = (operand.height, operand.width) == (1, 1)
            same = to.shape(name) == shape
            # A row beside a picture varies along its width, not from channel to channel.
            alike = len(to.shape(name)) == len(shape) and operand.channels == result.channels
            if not same and not (pixel and alike):
                return False
        operands.append(operand)
    if not any(isinstance(operand, Tensor) for operand in operands):
        return False
    kind = node.layer.kind

    def join(e: Emitter, values: Sequence[Value]) -> Value:
        a, b = values
        write = {"Add": e.b.fadd, "Sub": e.b.fsub, "Mul": e.b.fmul, "Div": e.b.fdiv}[kind]
        return activate(e, write(a, b), node.activation)

    op = Elementwise(tuple(operands), result, join, node.kind, (node.name,))
    return to.emit(node.output, op)


def _fused_add(to: Lowering, node: Node) -> bool:
    """Let the convolution that ran last add the other picture before it stores."""
    if node.inputs[0] == node.inputs[1] or to.shape(node.inputs[0]) != to.shape(node.inputs[1]):
        return False
    found: tuple[int, Convolve | Winograd, str, str] | None = None
    for name, other in (node.inputs, node.inputs[::-1]):
        op = to.writers.get(name)
        if (
            isinstance(op, (Convolve, Winograd))
            and op.activation is None
            and op.residual is None
            and to.readers[name] == 1
            and op.result is to.values[name].tensor
            and len(op.result.buffer.tensors) == 1
            and not op.result.buffer.flat
        ):
            position = to.steps.index(op)
            if found is None or position > found[0]:
                found = (position, op, name, other)
    if found is None:
        return False
    _, op, name, other = found
    residual, result = to.picture(other), to.result(node.output)
    if residual is None or result is None:
        return False
    # The other picture may be written after the convolution; that one moves behind it.
    to.withdraw(op, name)
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


def identity(to: Lowering, node: Node) -> bool:
    """Identity and Dropout: another name."""
    stored = to.load(node.inputs[0])
    if stored is None:
        return False
    to.values[node.output] = stored
    return True
