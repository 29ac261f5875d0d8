"""What the targets' rules have in common; each target's own choose which kernels they make.

A rule appends kernels and answers True, or leaves everything as it was and answers False; then
the layer's reference forward runs instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    ELU,
    Add,
    AvgPool2d,
    Clip,
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
    MatMul,
    MaxPool2d,
    Mul,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Sigmoid,
    SiLU,
    Squeeze,
    Sub,
    Tanh,
    Unsqueeze,
)
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.targets.lowering import K, Lowering, T

Kinds = tuple[type[Layer], ...]

# Layers of one rule, for the targets' tables.
CONVOLUTIONS: Kinds = (Conv2d, DepthwiseConv2d)
PRODUCTS: Kinds = (Linear, Gemm, MatMul)
POOLS: Kinds = (MaxPool2d, AvgPool2d)
GLOBAL_POOLS: Kinds = (GlobalAvgPool2d, GlobalMaxPool2d, ReduceMean)
ARITHMETIC: Kinds = (Add, Sub, Mul, Div)
RESHAPES: Kinds = (Flatten, Reshape, Squeeze, Unsqueeze)
NAMES: Kinds = (Identity, Dropout)
ACTIVATIONS: Kinds = (
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


def float_array(values: Array) -> Array:
    """A C-contiguous float32 copy or view."""
    return np.ascontiguousarray(values, np.float32)


@dataclass(frozen=True)
class Matrix:
    """What rows are multiplied with.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,), or None.
        scale: steps that the weights were stored with, one per output or one for all, or None.
    """

    weight: Array
    bias: Array | None = None
    scale: Array | None = None

    def filled_bias(self) -> Array:
        """The bias as float32, zeros where there is none."""
        return float_array(np.zeros(len(self.weight)) if self.bias is None else self.bias)


def matrix(to: Lowering[T, K], node: Node) -> Matrix | None:
    """The constant matrix of a Linear, Gemm or MatMul; None if there is no such."""
    layer = node.layer
    if isinstance(layer, Linear):
        return Matrix(layer.weight, layer.bias, layer.weight_scale)
    second = to.constant(node.inputs[1])
    if second is None or second.ndim != 2:
        return None
    if not isinstance(layer, Gemm):
        return Matrix(second.T)
    if layer.transpose_a:
        return None
    weight = (second if layer.transpose_b else second.T) * np.float32(layer.alpha)
    if len(node.inputs) < 3:
        return Matrix(weight)
    added = to.constant(node.inputs[2])
    if added is None or (added.ndim == 2 and added.shape[0] > 1):
        return None
    bias = np.broadcast_to(added, (1, len(weight))).reshape(-1) * np.float32(layer.beta)
    return Matrix(weight, bias)


def pixel_by_pixel(weight: Array, planes: tuple[int, int, int], filled: int = 0) -> Array:
    """Columns for flattened planes, put in the order of a picture's pixels.

    Args:
        weight: (outputs, channels · height · width).
        planes: (channels, height, width).
        filled: channels of zeros to put behind each pixel's.
    """
    cube = weight.reshape(-1, *planes).transpose(0, 2, 3, 1)
    if filled:
        cube = np.pad(cube, ((0, 0), (0, 0), (0, 0), (0, filled)))
    return cube.reshape(len(weight), -1)


def pool(to: Lowering[T, K], node: Node, kernel: Callable[..., K]) -> bool:
    """MaxPool2d and AvgPool2d.

    Args:
        to: the translation.
        node: the node.
        kernel: made of source, result, ``"max"`` or ``"mean"``, window, stride, dilation, pads
            (top, left), divisors (None for max) and nodes.
    """
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
    mode = "max" if divisors is None else "mean"
    windows = (layer.kernel, layer.stride, layer.dilation, layer.pads[:2])
    return to.emit(node.output, kernel(source, result, mode, *windows, divisors, (node.name,)))


def global_pool(to: Lowering[T, K], node: Node, kernel: Callable[..., K]) -> bool:
    """GlobalAvgPool2d, GlobalMaxPool2d, and ReduceMean over height and width.

    Args:
        to: the translation.
        node: the node.
        kernel: made of source, result, ``"max"`` or ``"mean"``, and nodes.
    """
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
    return to.emit(node.output, kernel(source, result, mode, (node.name,)))


def over_channels(axis: int, shape: Shape) -> bool:
    """Whether an axis is that of the channels, of a picture or of a row."""
    return len(shape) in (2, 4) and axis % len(shape) == 1


def per_channel(array: Array, shape: Shape) -> Array | None:
    """An array that broadcasts over a picture, as one value per channel; None if it varies more."""
    if array.size == 1:
        return np.full(shape[1], array.reshape(()), np.float32)
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if len(full) == len(shape) and full[1] == array.size == shape[1]:
        return float_array(array.reshape(-1))
    return None


def operands(to: Lowering[T, K], node: Node) -> tuple[T | Array, ...] | None:
    """What an elementwise layer reads: pictures, single pixels, and arrays of one per channel.

    None where an input is something else, and where all are constants.
    """
    shape = to.shape(node.output)
    found: list[T | Array] = []
    for name in node.inputs:
        constant = to.constant(name)
        operand = to.picture(name) if constant is None else per_channel(constant, shape)
        if operand is None or (constant is None and not _spreads(to.shape(name), shape)):
            return None
        found.append(operand)
    return None if all(isinstance(operand, np.ndarray) for operand in found) else tuple(found)


def _spreads(given: Shape, shape: Shape) -> bool:
    """Whether a value is a picture of a shape, or one pixel for each picture of it.

    A row with a picture is neither: it varies along its width, not from channel to channel.
    """
    pixel = len(given) == len(shape) and given[:2] == shape[:2] and set(given[2:]) <= {1}
    return given == shape or pixel


def fused_add(to: Lowering[T, K], node: Node, kinds: tuple[type[Any], ...]) -> bool:
    """Let the convolution that ran last add the other picture before it stores.

    Args:
        to: the translation.
        node: what adds.
        kinds: kernels that can: data classes with ``result``, ``residual``, ``activation`` and
            ``nodes``.
    """
    if node.inputs[0] == node.inputs[1] or to.shape(node.inputs[0]) != to.shape(node.inputs[1]):
        return False
    found: tuple[int, Any, str, str] | None = None
    for name, other in (node.inputs, node.inputs[::-1]):
        op: Any = to.writers.get(name)
        if (
            isinstance(op, kinds)
            and op.activation is None
            and op.residual is None
            and to.readers[name] == 1
            and op.result is to.values[name].tensor
            and len(op.result.buffer.tensors) == 1
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


def identity(to: Lowering[T, K], node: Node) -> bool:
    """Identity and Dropout: another name."""
    stored = to.load(node.inputs[0])
    if stored is None:
        return False
    to.values[node.output] = stored
    return True
