"""Layers of Core ML neural networks: one function for each kind, and a table of them.

What they mean is said in the comments of Apple's ``NeuralNetwork.proto``
(https://apple.github.io/coremltools/mlmodel/Format/NeuralNetwork.html).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.formats.coreml_layer import Net, Step
from twinlens.engine.formats.coreml_weights import floats, weights
from twinlens.engine.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Div,
    Erf,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSigmoid,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MatMul,
    MaxPool2d,
    Mul,
    Pad,
    PReLU,
    ReduceMean,
    ReLU,
    Reshape,
    Resize,
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
    same_padding,
    transpose_padding,
)
from twinlens.engine.layers.base import Array, Layer

Pads = tuple[int, int, int, int]


class LayerStep(Step):
    """A layer of a neural network.

    Args:
        net: where inputs come from and layers go.
        proto: the ``Layer`` message.
        kind: name of its settings' field.
        exact: whether arrays have the axes that the file says; otherwise rows stand for pictures
            of one pixel.
    """

    def __init__(self, net: Net, proto: Any, kind: str, exact: bool) -> None:
        output = proto.output[0] if proto.output else ""
        super().__init__(net, kind, proto.name or output, tuple(proto.input), output)
        self.settings: Any = getattr(proto, kind)
        self.exact = exact

    def weights(self, field: str, *shape: int) -> Array:
        """One of the settings' arrays."""
        return weights(getattr(self.settings, field), shape, f"{self.what}: {field}")


Builder = Callable[[LayerStep], None]


def convolution(step: LayerStep) -> None:
    """Convolution and deconvolution: weights (outputs, inputs / groups, H, W)."""
    s = step.settings
    if len(step.names) != 1:
        raise step.unsupported("its weights are computed while the network runs")
    x = step.picture()
    kernel, stride, dilation = (
        _pair(step, s.kernel, 3),
        _pair(step, s.stride),
        _pair(step, s.dilation),
    )
    groups, outputs = max(1, int(s.groups)), int(s.outputChannels)
    bias = step.weights("bias", outputs) if s.hasBias else None
    if s.isDeconvolution:
        weight = step.weights("weights", int(s.kernelChannels), outputs // groups, *kernel)
        step.finish(step.emit(_transposed(step, weight, bias, stride, dilation, groups), x))
        return
    weight = step.weights("weights", outputs, int(s.kernelChannels), *kernel)
    pads = _pads(step, kernel, stride, dilation)
    if groups > 1 and weight.shape[1] == 1 and groups == step.shape_of(x)[1]:
        deep = DepthwiseConv2d(
            weight,
            bias,
            stride=stride,
            dilation=dilation,
            pads=pads,
            multiplier=max(1, outputs // groups),
        )
        step.finish(step.emit(deep, x))
        return
    layer = Conv2d(weight, bias, stride=stride, dilation=dilation, groups=groups, pads=pads)
    step.finish(step.emit(layer, x))


def _transposed(
    step: LayerStep,
    weight: Array,
    bias: Array | None,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> ConvTranspose2d:
    s = step.settings
    pads, extra = _pads(step, weight.shape[2:], stride, dilation, transposed=True), (0, 0)
    wanted = [int(size) for size in s.outputShape]
    sizes = step.shape_of(step.picture())[2:]
    if s.HasField("same") and not wanted:
        wanted = [size * by for size, by in zip(sizes, stride, strict=True)]
    if len(wanted) == 2:
        axes = [
            transpose_padding(
                sizes[axis],
                weight.shape[axis + 2],
                stride[axis],
                dilation[axis],
                0,
                wanted[axis],
                upper=s.same.asymmetry == 0,
            )
            for axis in (0, 1)
        ]
        pads = (axes[0][0], axes[1][0], axes[0][1], axes[1][1])
        extra = (axes[0][2], axes[1][2])
    return ConvTranspose2d(
        weight,
        bias,
        stride=stride,
        dilation=dilation,
        groups=groups,
        pads=pads,
        output_padding=extra,
    )


def pooling(step: LayerStep) -> None:
    """Max and average pools, over windows or the whole picture."""
    s, x = step.settings, step.picture()
    if s.type not in (0, 1):
        raise step.unsupported("L2 pooling is not implemented")
    if s.globalPooling:
        step.finish(step.emit(GlobalAvgPool2d() if s.type else GlobalMaxPool2d(), x))
        return
    kernel, stride = _pair(step, s.kernel, 3), _pair(step, s.stride)
    complete = s.HasField("complete")
    if complete:
        down, across = _pair(step, s.complete.amounts, 0, least=0)
        pads: Pads = (down, across, down, across)
    else:
        pads = _pads(step, kernel, stride, (1, 1))
    window: dict[str, Any] = {"stride": stride, "pads": pads, "ceil_mode": complete}
    if s.type:
        mean = AvgPool2d(kernel, **window, count_include_pad=not s.excludePadding)
        step.finish(step.emit(mean, x))
    else:
        step.finish(step.emit(MaxPool2d(kernel, **window), x))


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


def batch_norm(step: LayerStep) -> None:
    """Batch normalisation with known statistics, or instance normalisation."""
    s, channels = step.settings, int(step.settings.channels)
    scale, bias = step.weights("gamma", channels), step.weights("beta", channels)
    epsilon = float(s.epsilon) or 1e-5
    if s.instance:
        step.finish(step.emit(InstanceNorm2d(scale, bias, epsilon=epsilon), step.picture()))
        return
    if s.computeMeanVar:
        raise step.unsupported("statistics of the batch itself are not implemented")
    mean, variance = step.weights("mean", channels), step.weights("variance", channels)
    layer = BatchNorm2d(scale, bias, mean, variance, epsilon=epsilon)
    step.finish(step.emit(layer, step.input()))


def lrn(step: LayerStep) -> None:
    """Local response normalisation over neighbouring channels."""
    s = step.settings
    layer = LocalResponseNorm(int(s.size), alpha=s.alpha, beta=s.beta, bias=s.k)
    step.finish(step.emit(layer, step.picture()))


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


def padding(step: LayerStep) -> None:
    """A border around the picture: a number, a mirror image or the edge."""
    s, x = step.settings, step.picture()
    (top, bottom), (left, right) = _borders(step, s.amounts)
    pads = [(0, 0), (0, 0), (top, bottom), (left, right)]
    mode = "reflect" if s.HasField("reflection") else "constant"
    mode = "edge" if s.HasField("replication") else mode
    step.finish(step.emit(Pad(pads, mode=mode, value=s.constant.alpha), x))


def constant_pad(step: LayerStep) -> None:
    """A border of a number around any axes."""
    s, rank = step.settings, len(step.shape())
    amounts = [int(size) for size in s.amounts]
    if s.toSize or len(amounts) != 2 * rank:
        raise step.unsupported(f"{len(amounts)} amounts; {2 * rank} are required")
    pads = list(zip(amounts[::2], amounts[1::2], strict=True))
    step.finish(step.emit(Pad(pads, value=s.value), step.input()))


def crop(step: LayerStep) -> None:
    """A border cut away."""
    if len(step.names) != 1:
        raise step.unsupported("cutting to the size of another input is not implemented")
    (top, bottom), (left, right) = _borders(step, step.settings.amounts)
    pads = [(0, 0), (0, 0), (-top, -bottom), (-left, -right)]
    step.finish(step.emit(Pad(pads), step.picture()))


def upsample(step: LayerStep) -> None:
    """Enlarged by whole or fractional factors, repeated or interpolated."""
    s = step.settings
    scales = [float(f) for f in s.factors]
    if s.fractions:
        scales = floats(s.fractions, "<f4", None, f"{step.what}: factors").tolist()
    if len(scales) != 2:
        raise step.unsupported(f"{len(scales)} factors; 2 are required")
    coordinates = {0: "asymmetric", 1: "align_corners", 2: "half_pixel"}.get(s.linearMode)
    if s.mode == 0 or coordinates is None:
        layer = Resize(scales=scales, axes=(2, 3), coordinates="asymmetric", nearest_mode="floor")
    else:
        layer = Resize(scales=scales, axes=(2, 3), mode="linear", coordinates=coordinates)
    step.finish(step.emit(layer, step.picture()))


def resize_bilinear(step: LayerStep) -> None:
    """Interpolated to a size."""
    s = step.settings
    sizes = [int(size) for size in s.size]
    coordinates = {2: "asymmetric", 3: "half_pixel"}.get(s.mode.method, "align_corners")
    layer = Resize(sizes=sizes, axes=(2, 3), mode="linear", coordinates=coordinates)
    step.finish(step.emit(layer, step.picture()))


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


def scale(step: LayerStep) -> None:
    """A factor and a summand for each channel or sample."""
    s = step.settings
    factor = _shaped(step, "scale", s.shapeScale)
    shift: Any = _shaped(step, "bias", s.shapeBias) if s.hasBias else 0
    step.finish(step.affine(step.picture(), factor, shift))


def bias(step: LayerStep) -> None:
    """A summand for each channel or sample."""
    shift = _shaped(step, "bias", step.settings.shape)
    step.finish(step.affine(step.picture(), 1, shift))


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


def clamped_relu(step: LayerStep) -> None:
    """Leaky below 0, limited above."""
    s = step.settings
    x = step.emit(LeakyReLU(float(s.alpha)), step.input(), step="leaky")
    step.finish(step.emit(Clip(None, float(s.beta)), x))


def same(step: LayerStep) -> None:
    """The input under another name."""
    step.finish(step.input())


def _shaped(step: LayerStep, field: str, shape: Sequence[int]) -> Array:
    sizes = [int(size) for size in shape]
    array = step.weights(field, *sizes)
    return array.reshape(-1, 1, 1) if len(sizes) == 1 and sizes[0] > 1 else array


def _pair(
    step: LayerStep, values: Sequence[int], default: int = 1, least: int = 1
) -> tuple[int, int]:
    sizes = [int(value) for value in values] or [default, default]
    if len(sizes) != 2 or not all(least <= size < 1 << 16 for size in sizes):
        raise step.unsupported(f"{sizes} are no two sizes")
    return sizes[0], sizes[1]


def _borders(step: LayerStep, borders: Any) -> list[tuple[int, int]]:
    """[(top, bottom), (left, right)]; none given means none wanted."""
    edges = [(int(edge.start), int(edge.end)) for edge in borders.amounts]
    edges = edges or [(0, 0), (0, 0)]
    if len(edges) != 2 or any(size >= 1 << 16 for edge in edges for size in edge):
        raise step.unsupported(f"borders {edges}; two are required")
    return edges


def _pads(
    step: LayerStep,
    kernel: Sequence[int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    *,
    transposed: bool = False,
) -> Pads:
    """(top, left, bottom, right), as given or such that the size divides by the stride."""
    s = step.settings
    if not s.HasField("same"):
        (top, bottom), (left, right) = _borders(step, s.valid.padding)
        return top, left, bottom, right
    if transposed:
        return 0, 0, 0, 0
    sizes = step.shape_of(step.picture())[2:]
    (top, bottom), (left, right) = (
        same_padding(
            sizes[axis], kernel[axis], stride[axis], dilation[axis], upper=s.same.asymmetry == 0
        )
        for axis in (0, 1)
    )
    return top, left, bottom, right


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
    "gelu": lambda s: GELU("none" if s.mode == 0 else "tanh"),
    "tanh": lambda s: Tanh(),
}

BUILDERS: dict[str, Builder] = {
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
    "batchnorm": batch_norm,
    "bias": bias,
    "clampedReLU": clamped_relu,
    "concat": concat,
    "concatND": concat_nd,
    "constantPad": constant_pad,
    "convolution": convolution,
    "copy": same,
    "crop": crop,
    "divideBroadcastable": divide,
    "expandDims": expand,
    "flatten": flatten,
    "flattenTo2D": flatten_2d,
    "innerProduct": inner_product,
    "lrn": lrn,
    "padding": padding,
    "pooling": pooling,
    "reduce": reduce,
    "reduceMean": reduce_mean,
    "reshape": reshape,
    "resizeBilinear": resize_bilinear,
    "scale": scale,
    "squeeze": squeeze,
    "subtractBroadcastable": subtract,
    "unary": unary,
    "upsample": upsample,
}
