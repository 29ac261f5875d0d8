"""Layers of Core ML neural networks: one function for each kind, and a table of them.

What they mean is said in the comments of Apple's ``NeuralNetwork.proto``
(https://apple.github.io/coremltools/mlmodel/Format/NeuralNetwork.html).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.formats.coreml import images as coreml_images
from twinlens.engine.formats.coreml.layer import LayerStep, gelu_of
from twinlens.engine.formats.coreml.weights import weights
from twinlens.engine.layers import (
    ELU,
    Add,
    Clip,
    Concat,
    Div,
    Erf,
    Flatten,
    GlobalMaxPool2d,
    HardSigmoid,
    LeakyReLU,
    Linear,
    MatMul,
    Mul,
    PReLU,
    ReduceMean,
    ReLU,
    Reshape,
    Sigmoid,
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
from twinlens.engine.layers.base import Array, Layer

Builder = Callable[[LayerStep], None]


def inner_product(step: LayerStep) -> None:
    """A matrix times each row; a picture is one row, channels first."""
    s = step.settings
    inputs, outputs = int(s.inputChannels), int(s.outputChannels)
    layer = Linear(
        step.weights("weights", outputs, inputs),
        step.weights("bias", outputs) if s.hasBias else None,
    )
    exact = step.exact and step.shape()[-1:] == (inputs,)
    step.finish(step.emit(layer, step.input() if exact else step.row()))


def activation(step: LayerStep) -> None:
    """Functions of each sample, some with trained slopes."""
    found = step.settings.ListFields()
    if not found:
        raise step.unsupported("no function is given")
    field, s = found[0]
    x = step.input()
    if field.name == "linear":
        step.finish(step.affine(x, s.alpha, s.beta))
    elif field.name == "scaledTanh":
        inner = step.affine(x, s.beta, 0, "inner_")
        step.finish(step.affine(step.emit(Tanh(), inner), s.alpha, 0, "outer_"))
    elif field.name in ("PReLU", "parametricSoftplus"):
        step.finish(_with_slopes(step, field.name, s, x))
    else:
        step.finish(step.emit(_ACTIVATIONS[field.name](s), x))


def _with_slopes(step: LayerStep, kind: str, s: Any, x: str) -> str:
    channels = step.shape_of(x)[1] if len(step.shape_of(x)) > 1 else 1
    axes = (1,) * (len(step.shape_of(x)) - 2)

    def slopes(field: str) -> Array:
        params = getattr(s, field)
        single = len(params.floats) == 4 or len(params.halves) == 2
        count = 1 if single else channels
        return weights(params, (count,), f"{step.what}: {field}").reshape(-1, *axes)

    if kind == "PReLU":
        return step.emit(PReLU(slopes("alpha")), x)
    inner = step.affine(x, slopes("beta"), 0, "inner_")
    return step.affine(step.emit(Softplus(), inner), slopes("alpha"), 0, "outer_")


def arithmetic(step: LayerStep) -> None:
    """Sums and products of all inputs, or of one input and a number."""
    kind: type[Layer] = Mul if step.kind.startswith("multiply") else Add
    if len(step.names) == 1 and step.kind in ("add", "multiply"):
        alpha = step.settings.alpha
        pair = (alpha, 0) if kind is Mul else (1, alpha)
        step.finish(step.affine(step.input(), *pair))
        return
    step.finish(_folded(step, kind))


def subtract(step: LayerStep) -> None:
    """First minus second."""
    step.finish(step.emit(Sub(), *_same_rank(step)[:2]))


def divide(step: LayerStep) -> None:
    """First divided by second."""
    step.finish(step.emit(Div(), *_same_rank(step)[:2]))


def average(step: LayerStep) -> None:
    """Mean of the inputs, sample by sample."""
    step.finish(step.affine(_folded(step, Add), 1 / max(1, len(step.names)), 0, "mean_"))


def _folded(step: LayerStep, kind: type[Layer]) -> str:
    names = _same_rank(step)
    value = names[0]
    for number, name in enumerate(names[1:]):
        last = number == len(names) - 2
        value = step.emit(kind(), value, name, step="" if last else f"of_{number + 2}")
    return value


def _same_rank(step: LayerStep) -> list[str]:
    """All inputs; without exact axes, rows beside pictures become pictures of one pixel."""
    count = range(len(step.names))
    ranks = {len(step.shape(i)) for i in count}
    if not step.exact and ranks == {2, 4}:
        return [step.picture(i) for i in count]
    return [step.input(i) for i in count]


def bound(step: LayerStep) -> None:
    """The larger or the smaller of an input and a number."""
    for index in (1, 0):
        limit = step.constant(index) if len(step.names) == 2 else None
        if limit is not None and limit.size == 1:
            value = float(limit.reshape(()))
            layer = Clip(value, None) if step.kind.startswith("max") else Clip(None, value)
            step.finish(step.emit(layer, step.input(1 - index)))
            return
    raise step.unsupported("the larger or smaller of two values is implemented for numbers only")


def concat(step: LayerStep) -> None:
    """Inputs joined along the channels."""
    if step.settings.sequence:
        raise step.unsupported("joining along the sequence is not implemented")
    names = _same_rank(step)
    axis = -3 if len(step.shape_of(names[0])) > 2 else -1
    step.finish(step.emit(Concat(axis), *names))


def concat_nd(step: LayerStep) -> None:
    """Inputs joined along an axis."""
    if step.settings.interleave:
        raise step.unsupported("interleaving is not implemented")
    names = (step.input(i) for i in range(len(step.names)))
    step.finish(step.emit(Concat(int(step.settings.axis)), *names))


def softmax(step: LayerStep) -> None:
    """Softmax over the channels, or over an axis that is given."""
    rank = len(step.shape())
    axis = int(step.settings.axis) if step.kind == "softmaxND" else (-3 if rank > 2 else -1)
    step.finish(step.emit(Softmax(axis), step.input()))


def flatten(step: LayerStep) -> None:
    """All samples of a picture in a row, channels first or last."""
    x = step.input()
    if step.settings.mode == 1:
        x = step.emit(Transpose((0, 2, 3, 1)), step.picture(), step="channels_last")
    step.finish(step.emit(Flatten(), x))


def flatten_2d(step: LayerStep) -> None:
    """Two axes: all before the given one, and all from it on."""
    step.finish(step.emit(Flatten(int(step.settings.axis)), step.input()))


def reshape(step: LayerStep) -> None:
    """Another shape (C, H, W), read channels first or last."""
    shape = [int(size) for size in step.settings.shape]
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3:
        raise step.unsupported(f"its shape is {shape}; (C, H, W) is required")
    if step.settings.mode == 1:
        channels, height, width = shape
        x = step.emit(Transpose((0, 2, 3, 1)), step.picture(), step="channels_last")
        x = step.emit(Reshape((1, height, width, channels)), x, step="reshape")
        step.finish(step.emit(Transpose((0, 3, 1, 2)), x))
        return
    step.finish(step.emit(Reshape((1, *shape)), step.input()))


def reshape_static(step: LayerStep) -> None:
    """Another shape; where ranks stay, 0 keeps an axis."""
    shape = [int(size) for size in step.settings.shape]
    keeps = step.kind == "rankPreservingReshape"
    step.finish(step.emit(Reshape(shape, allow_zero=not keeps), step.input()))


def transpose(step: LayerStep) -> None:
    """Axes in another order; a permutation names (sequence, C, H, W)."""
    axes = [int(axis) for axis in step.settings.axes]
    x = step.picture() if step.kind == "permute" else step.input()
    step.finish(step.emit(Transpose(axes), x))


def squeeze(step: LayerStep) -> None:
    """Axes of size 1 taken away."""
    s = step.settings
    step.finish(step.emit(Squeeze(None if s.all else [int(a) for a in s.axes]), step.input()))


def expand(step: LayerStep) -> None:
    """Axes of size 1 put in."""
    step.finish(step.emit(Unsqueeze([int(a) for a in step.settings.axes]), step.input()))


def unary(step: LayerStep) -> None:
    """``f(scale * x + shift)`` for those functions that the layers have."""
    s = step.settings
    names = ("SQRT", "RSQRT", "INVERSE", "POWER", "EXP", "LOG", "ABS", "THRESHOLD")
    name = names[s.type] if 0 <= s.type < len(names) else str(s.type)
    # A scale of 0 is how the default, 1, is left out.
    x = step.affine(step.input(), s.scale or 1.0, s.shift, "inner_")
    if name == "THRESHOLD":
        step.finish(step.emit(Clip(float(s.alpha), None), x))
    elif name == "POWER" and s.alpha == 1:
        step.finish(x)
    elif name == "POWER" and s.alpha == 2:
        step.finish(step.emit(Mul(), x, x))
    elif name == "INVERSE":
        one = step.keep(np.float32(1), "one")
        step.finish(step.emit(Div(), one, step.affine(x, 1, s.epsilon, "divisor_")))
    else:
        raise step.unsupported(f"the function {name} is not implemented")


def reduce(step: LayerStep) -> None:
    """Mean or sum over some axes, largest sample over height and width."""
    s, x = step.settings, step.picture()
    axes = {0: (1, 2, 3), 1: (2, 3), 2: (1,), 3: (2,), 4: (3,)}.get(s.axis, ())
    if s.mode == 7 and s.axis == 1:
        step.finish(step.emit(GlobalMaxPool2d(), x))
        return
    if s.mode not in (0, 1) or not axes:
        raise step.unsupported(f"reduction {s.mode} over axes {s.axis} is not implemented")
    count = prod(step.shape_of(x)[axis] for axis in axes) if s.mode == 0 else 1
    step.finish(step.affine(step.emit(ReduceMean(axes), x), count, 0, "sum_"))


def reduce_mean(step: LayerStep) -> None:
    """Mean over axes."""
    s = step.settings
    axes = None if s.all else [int(axis) for axis in s.axes]
    step.finish(step.emit(ReduceMean(axes, keep_dims=s.keep), step.input()))


def constant(step: LayerStep) -> None:
    """An array that the file brings."""
    shape = [int(size) for size in step.settings.shape]
    array = step.weights("data", *shape)
    wide = step.kind == "loadConstant" and len(shape) == 3
    step.finish(step.keep(array[None] if wide else array, "data"))


def matmul(step: LayerStep) -> None:
    """Product of two inputs, or of one and the file's matrix (inputs, outputs)."""
    s = step.settings
    if len(step.names) == 1 and not s.transposeA:
        inputs, outputs = int(s.rows), int(s.columns)
        matrix = step.weights("weights", inputs, outputs)
        added = step.weights("bias", outputs) if s.hasBias else None
        layer = Linear(np.ascontiguousarray(matrix.T), added)
        step.finish(step.emit(layer, step.input()))
        return
    if len(step.names) != 2 or s.transposeA or s.transposeB:
        raise step.unsupported("products of transposed inputs are not implemented")
    step.finish(step.emit(MatMul(), step.input(0), step.input(1)))


def function(step: LayerStep) -> None:
    """Functions of each sample that are layers of their own."""
    step.finish(step.emit(_FUNCTIONS[step.kind](step.settings), step.input()))


def gelu(step: LayerStep) -> None:
    """Gaussian error linear unit, exact or approximated."""
    step.finish(step.emit(gelu_of(step, int(step.settings.mode)), step.input()))


def clamped_relu(step: LayerStep) -> None:
    """Leaky below 0, limited above."""
    s = step.settings
    x = step.emit(LeakyReLU(float(s.alpha)), step.input(), step="leaky")
    step.finish(step.emit(Clip(None, float(s.beta)), x))


def same(step: LayerStep) -> None:
    """The input under another name."""
    step.finish(step.input())


_ACTIVATIONS: dict[str, Callable[[Any], Layer]] = {
    "ReLU": lambda s: ReLU(),
    "leakyReLU": lambda s: LeakyReLU(s.alpha),
    "thresholdedReLU": lambda s: ThresholdedReLU(s.alpha),
    "tanh": lambda s: Tanh(),
    "sigmoid": lambda s: Sigmoid(),
    "sigmoidHard": lambda s: HardSigmoid(s.alpha, s.beta),
    "ELU": lambda s: ELU(s.alpha),
    "softsign": lambda s: Softsign(),
    "softplus": lambda s: Softplus(),
}
_FUNCTIONS: dict[str, Callable[[Any], Layer]] = {
    "clip": lambda s: Clip(s.low, s.high),
    "erf": lambda s: Erf(),
    "tanh": lambda s: Tanh(),
}

BUILDERS: dict[str, Builder] = {
    **coreml_images.BUILDERS,
    **dict.fromkeys(_FUNCTIONS, function),
    **dict.fromkeys(("add", "addBroadcastable", "multiply", "multiplyBroadcastable"), arithmetic),
    **dict.fromkeys(("loadConstant", "loadConstantND"), constant),
    **dict.fromkeys(("maxBroadcastable", "minBroadcastable", "max", "min"), bound),
    **dict.fromkeys(("permute", "transpose"), transpose),
    **dict.fromkeys(("rankPreservingReshape", "reshapeStatic"), reshape_static),
    **dict.fromkeys(("softmax", "softmaxND"), softmax),
    "activation": activation,
    "average": average,
    "batchedMatmul": matmul,
    "clampedReLU": clamped_relu,
    "concat": concat,
    "concatND": concat_nd,
    "copy": same,
    "divideBroadcastable": divide,
    "expandDims": expand,
    "flatten": flatten,
    "gelu": gelu,
    "flattenTo2D": flatten_2d,
    "innerProduct": inner_product,
    "reduce": reduce,
    "reduceMean": reduce_mean,
    "reshape": reshape,
    "squeeze": squeeze,
    "subtractBroadcastable": subtract,
    "unary": unary,
}
