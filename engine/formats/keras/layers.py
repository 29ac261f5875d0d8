"""Keras layers as ours: one function for each kind, and a table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.formats.keras.activations import OBJECTS, activate
from twinlens.engine.formats.keras.layer import PICTURE_AXES, Call, Place, float32, whole
from twinlens.engine.formats.keras.pictures import PICTURES
from twinlens.engine.formats.keras.weights import NORMS
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    InstanceNorm2d,
    Linear,
    MaxPool2d,
    Mul,
    PReLU,
    ReLU,
    Reshape,
    Sub,
    Transpose,
    same_padding,
)
from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.layers.checks import normal_axis

Builder = Callable[[Call], None]
Pair = tuple[int, int]


def conv(call: Call) -> None:
    """Conv2D: kernel (height, width, inputs / groups, outputs)."""
    x = call.picture()
    channels, groups = call.net.values.shapes[x][1], whole(call.setting("groups", 1))
    outputs, kernel = whole(call.setting("filters")), call.pair("kernel_size", 1)
    if groups < 1 or channels % groups:
        raise call.unsupported(f"it has {groups} groups for {channels} channels")
    stride, dilation = call.pair("strides", 1), call.pair("dilation_rate", 1)
    weight = call.array("kernel", *kernel, channels // groups, outputs)
    layer = Conv2d(
        weight.transpose(3, 2, 0, 1),
        _bias(call, outputs),
        stride=stride,
        dilation=dilation,
        groups=groups,
        pads=pads_of(call, x, kernel, stride, dilation),
    )
    _activated(call, call.emit(layer, x))


def depthwise(call: Call) -> None:
    """DepthwiseConv2D: kernel (height, width, inputs, multiplier)."""
    x = call.picture()
    layer = _depthwise(call, x, biased=True)
    _activated(call, call.emit(layer, x))


def _depthwise(call: Call, x: str, *, biased: bool) -> DepthwiseConv2d:
    channels, kernel = call.net.values.shapes[x][1], call.pair("kernel_size", 1)
    multiplier = whole(call.setting("depth_multiplier", 1))
    stride, dilation = call.pair("strides", 1), call.pair("dilation_rate", 1)
    weight = call.array("depthwise_kernel", *kernel, channels, multiplier)
    flat = weight.reshape(*kernel, channels * multiplier)
    return DepthwiseConv2d(
        flat.transpose(2, 0, 1)[:, None],
        _bias(call, channels * multiplier) if biased else None,
        stride=stride,
        dilation=dilation,
        pads=pads_of(call, x, kernel, stride, dilation),
        multiplier=multiplier,
    )


def separable(call: Call) -> None:
    """SeparableConv2D: each channel on its own, then a convolution of 1 × 1."""
    x = call.picture()
    apart = _depthwise(call, x, biased=False)
    outputs = whole(call.setting("filters"))
    weight = call.array("pointwise_kernel", 1, 1, apart.output_channels, outputs)
    joined = Conv2d(weight.transpose(3, 2, 0, 1), _bias(call, outputs))
    _activated(call, call.emit(joined, call.emit(apart, x, step="depthwise")))


def conv_transpose(call: Call) -> None:
    """Conv2DTranspose: kernel (height, width, outputs, inputs).

    With the kernel's extent k and stride s, "valid" gives s (n - 1) + max(k, s) samples and "same"
    s n, cut from the full s (n - 1) + k, the odd sample at the end; an output padding p that is
    given makes it s (n - 1) + k + p, or s (n - 1) + k % 2 + p.
    """
    x = call.picture()
    channels, outputs = call.net.values.shapes[x][1], whole(call.setting("filters"))
    kernel, stride = call.pair("kernel_size", 1), call.pair("strides", 1)
    dilation = call.pair("dilation_rate", 1)
    given = call.setting("output_padding")
    added = (None, None) if given is None else call.pair("output_padding", 0)
    sides = [
        _transposed(call, (kernel[axis] - 1) * dilation[axis] + 1, stride[axis], added[axis])
        for axis in (0, 1)
    ]
    (top, bottom), (left, right) = sides
    layer = ConvTranspose2d(
        call.array("kernel", *kernel, outputs, channels).transpose(3, 2, 0, 1),
        _bias(call, outputs),
        stride=stride,
        dilation=dilation,
        pads=(top, left, max(0, bottom), max(0, right)),
        output_padding=(max(0, -bottom), max(0, -right)),
    )
    _activated(call, call.emit(layer, x))


def _transposed(call: Call, extent: int, stride: int, added: int | None) -> tuple[int, int]:
    """Samples cut from both ends of an axis; below 0 they are added."""
    padding = str(call.setting("padding", "valid")).lower()
    if padding == "valid":
        return 0, -(max(stride - extent, 0) if added is None else added)
    if padding != "same":
        raise call.unsupported(f"padding {padding!r}")
    total = stride + extent - 2 if added is None else extent + extent % 2 - 2 + added
    before = min(total // 2 + total % 2, extent - 1)
    return extent - 1 - before, extent - 1 - (total - before)


def dense(call: Call) -> None:
    """Dense: kernel (inputs, outputs), over the last axis."""
    place = call.place()
    outputs, inputs = whole(call.setting("units")), (call.shape(place) or (0,))[-1]
    weight, bias = call.array("kernel", inputs, outputs).T, _bias(call, outputs)
    if place.picture:
        layer: Layer = Conv2d(weight[:, :, None, None], bias)
    else:
        layer = Linear(weight, bias)
    value = call.emit(layer, place.name)
    value = activate(call, value, call.setting("activation"), picture=place.picture)
    call.finish(value, picture=place.picture)


def batch_norm(call: Call) -> None:
    """BatchNormalization over one axis."""
    if call.flag("renorm", False) or call.setting("virtual_batch_size") is not None:
        raise call.unsupported("batch renormalisation and virtual batches are not implemented")
    place = call.place()
    axis = _axis(call, place, -1)
    shape = call.shape(place)
    size = shape[axis]
    scale = call.array("gamma", size) if call.flag("scale", True) else np.ones(size, np.float32)
    bias = call.array("beta", size) if call.flag("center", True) else np.zeros(size, np.float32)
    mean, variance = call.array("moving_mean", size), call.array("moving_variance", size)
    layer = BatchNorm2d(scale, bias, mean, variance, epsilon=call.number("epsilon", 1e-3))
    if axis == 3 and len(shape) == 4:
        call.finish(call.emit(layer, call.picture(place, first=False)), picture=True)
    elif axis == 1:
        call.finish(call.emit(layer, call.plain(place)), picture=False)
    else:
        factor, shift = layer.scale_shift()
        wide = [size if one == axis else 1 for one in range(len(shape))]
        value = call.affine(call.plain(place), factor.reshape(wide), shift.reshape(wide))
        call.finish(value, picture=False)


def layer_norm(call: Call) -> None:
    """LayerNormalization over the last axis, as an instance norm of (1, everything else, axis)."""
    place = call.place()
    shape = call.shape(place)
    if _axis(call, place, -1) != len(shape) - 1 or call.flag("rms_scaling", False):
        raise call.unsupported(f"it is over axis {call.setting('axis')} of {len(shape)}")
    rows, size = prod(shape[:-1]), shape[-1]
    ones, zeros = np.ones(rows, np.float32), np.zeros(rows, np.float32)
    norm = InstanceNorm2d(ones, zeros, epsilon=call.number("epsilon", 1e-3))
    flat = call.emit(Reshape((1, rows, size)), call.plain(place), step="rows")
    value = call.emit(Reshape(shape), call.emit(norm, flat), step="shape")
    scale = call.array("gamma", size) if call.flag("scale", True) else 1.0
    shift = call.array("beta", size) if call.flag("center", True) else 0.0
    call.finish(call.affine(value, scale, shift), picture=False)


def layer_scale(call: Call) -> None:
    """LayerScale of ConvNeXt: one factor for each channel."""
    place = call.place()
    factor = call.array("gamma", call.shape(place)[-1])
    shape = (-1, 1, 1) if place.picture else (-1,)
    call.finish(call.affine(place.name, factor.reshape(shape), 0.0), picture=place.picture)


def pool(call: Call) -> None:
    """MaxPooling2D and AveragePooling2D, in which padding is not counted."""
    x, kernel = call.picture(), call.pair("pool_size", 2)
    stride = call.pair("strides", kernel)
    pads = pads_of(call, x, kernel, stride, (1, 1))
    mean = call.kind.startswith("Average")
    if kernel == call.net.values.shapes[x][2:] and not any(pads):
        layer: Layer = GlobalAvgPool2d() if mean else GlobalMaxPool2d()
    else:
        layer = (AvgPool2d if mean else MaxPool2d)(kernel, stride=stride, pads=pads)
    call.finish(call.emit(layer, x), picture=not call.channels_first)


def global_pool(call: Call) -> None:
    """GlobalAveragePooling2D and GlobalMaxPooling2D."""
    x = call.picture()
    layer = GlobalAvgPool2d() if "Average" in call.kind else GlobalMaxPool2d()
    value = call.emit(layer, x)
    if call.flag("keepdims", False):
        call.finish(value, picture=not call.channels_first)
        return
    flat = Reshape(call.net.values.shapes[x][:2])
    call.finish(call.emit(flat, value, step="flat"), picture=False)


def flatten(call: Call) -> None:
    """Flatten: the channels come last, whichever order the layer takes."""
    place = call.place()
    shape = call.shape(place)
    value = call.plain(place)
    if len(shape) > 2 and call.layer.settings.get("data_format") == "channels_first":
        order = (0, *range(2, len(shape)), 1)
        value = call.emit(Transpose(order), value, step="channels_last")
    call.finish(call.emit(Reshape((shape[0], prod(shape[1:]))), value), picture=False)


def reshape(call: Call) -> None:
    """Reshape: the batch stays."""
    place = call.place()
    after = [whole(size) for size in call.setting("target_shape")]
    layer = Reshape((call.shape(place)[0], *after), allow_zero=True)
    call.finish(call.emit(layer, call.plain(place)), picture=False)


def permute(call: Call) -> None:
    """Permute: axes are counted from 1, after the batch."""
    order = [0, *(whole(axis) for axis in call.setting("dims"))]
    call.finish(call.emit(Transpose(order), call.plain()), picture=False)


def activation(call: Call) -> None:
    """Activation."""
    place = call.place()
    value = activate(call, place.name, call.setting("activation"), picture=place.picture)
    call.finish(value, picture=place.picture)


def activation_layer(call: Call) -> None:
    """Layers that are activations: ReLU, LeakyReLU, ELU, Softmax."""
    place = call.place()
    value = OBJECTS[call.kind](call, place.name, call.layer.settings, place.picture)
    call.finish(value, picture=place.picture)


def prelu(call: Call) -> None:
    """PReLU: one slope for each sample, or shared along axes that are counted from 1."""
    place = call.place()
    shape = call.shape(place)
    shared = {whole(axis) for axis in call.setting("shared_axes", ())}
    sizes = [1 if axis in shared else size for axis, size in enumerate(shape)][1:]
    slope = call.array("alpha", *sizes)
    if place.picture:
        slope = slope.transpose(2, 0, 1)
    call.finish(call.emit(PReLU(slope), place.name), picture=place.picture)


def merge(call: Call) -> None:
    """Add, Subtract, Multiply, Average, Maximum and Minimum of layers' outputs."""
    places = _raised(call, call.places())
    names, picture = call.same_order(places)
    if call.kind == "Subtract" and len(names) != 2:
        raise call.unsupported(f"it has {len(names)} inputs; two are required")
    value = names[0]
    for name in names[1:]:
        value = join(call, call.kind, value, name)
    if call.kind == "Average":
        value = call.affine(value, 1 / len(names), 0.0)
    call.finish(value, picture=picture)


def scaled_sum(call: Call) -> None:
    """CustomScaleLayer of Inception-ResNet: the first input, and the second times a number."""
    (first, second), picture = call.same_order(call.places())
    scale = call.keep(float32(call.number("scale", 1.0)), "scale")
    value = call.emit(Add(), first, call.emit(Mul(), second, scale, step="scaled"))
    call.finish(value, picture=picture)


def join(call: Call, kind: str, first: str, second: str) -> str:
    """Two values, sample by sample."""
    joined: dict[str, type[Layer]] = {
        "Add": Add,
        "Average": Add,
        "Multiply": Mul,
        "Subtract": Sub,
    }
    if kind in joined:
        return call.emit(joined[kind](), first, second)
    # The larger is a + max(b - a, 0), and the smaller a - max(a - b, 0).
    larger = kind == "Maximum"
    pair = (second, first) if larger else (first, second)
    rest = call.emit(ReLU(), call.emit(Sub(), *pair, step="difference"), step="rest")
    return call.emit(Add() if larger else Sub(), first, rest)


def _raised(call: Call, places: Sequence[Place]) -> list[Place]:
    """Values of fewer axes get axes of size 1 behind the batch."""
    shapes = [call.shape(place) for place in places]
    rank = max((len(shape) for shape in shapes), default=0)
    raised = []
    for place, shape in zip(places, shapes, strict=True):
        if shape and len(shape) < rank:
            wide = (shape[0], *[1] * (rank - len(shape)), *shape[1:])
            raised.append(Place(call.emit(Reshape(wide), call.plain(place), step="axes")))
        else:
            raised.append(place)
    return raised


def concatenate(call: Call) -> None:
    """Concatenate along one axis."""
    places = call.places()
    names, picture = call.same_order(places)
    axis = normal_axis(call.what, whole(call.setting("axis", -1)), len(call.shape(places[0])))
    value = call.emit(Concat(PICTURE_AXES[axis] if picture else axis), *names)
    call.finish(value, picture=picture)


def same(call: Call) -> None:
    """What only does something in training."""
    place = call.place()
    call.finish(place.name, picture=place.picture)


def pads_of(
    call: Call, x: str, kernel: Pair, stride: Pair, dilation: Pair
) -> tuple[int, int, int, int]:
    """Zeros (top, left, bottom, right) for "valid" and "same", as TensorFlow has it.

    Raises:
        UnsupportedOperatorError: another padding.
    """
    padding = str(call.setting("padding", "valid")).lower()
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same" or min(*kernel, *stride, *dilation) < 1:
        raise call.unsupported(
            f"padding {padding!r}, kernel {kernel}, stride {stride}, dilation {dilation}"
        )
    shape = call.net.values.shapes[x]
    (top, bottom), (left, right) = (
        same_padding(shape[axis + 2], kernel[axis], stride[axis], dilation[axis]) for axis in (0, 1)
    )
    return top, left, bottom, right


def _bias(call: Call, outputs: int) -> Array | None:
    return call.array("bias", outputs) if call.flag("use_bias", True) else None


def _activated(call: Call, value: str) -> None:
    value = activate(call, value, call.setting("activation"), picture=not call.channels_first)
    call.finish(value, picture=not call.channels_first)


def _axis(call: Call, place: Place, default: int) -> int:
    """The one axis that a layer works along, which Keras may write as a list."""
    given: Any = call.setting("axis", default)
    axes = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(axes) != 1:
        raise call.unsupported(f"it is over axes {axes}; one is required")
    return normal_axis(call.what, whole(axes[0]), len(call.shape(place)))


# FixedDropout and StochasticDepth are of networks that are published with Keras.
_TRAINING_ONLY = (
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout", "GaussianNoise"),
    *("ActivityRegularization", "FixedDropout", "StochasticDepth", "Identity"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomTranslation"),
    *("RandomBrightness", "RandomHeight", "RandomWidth", "RandomShear", "RandomSaturation"),
    *("RandomHue", "RandomColorJitter", "RandomColorDegeneration", "RandomErasing"),
    *("RandomSharpness", "RandomGrayscale", "RandomInvert", "RandomPosterization"),
    *("RandomGaussianBlur", "RandomPerspective", "RandomElasticTransform"),
    *("MixUp", "CutMix", "RandAugment", "AugMix"),
)

LAYERS: dict[str, Builder] = {
    **PICTURES,
    **dict.fromkeys(OBJECTS, activation_layer),
    **dict.fromkeys(NORMS, batch_norm),
    **dict.fromkeys(_TRAINING_ONLY, same),
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), merge),
    **dict.fromkeys(("AveragePooling2D", "MaxPooling2D"), pool),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D"), global_pool),
    "Activation": activation,
    "Concatenate": concatenate,
    "Conv2D": conv,
    "Conv2DTranspose": conv_transpose,
    "CustomScaleLayer": scaled_sum,
    "Dense": dense,
    "DepthwiseConv2D": depthwise,
    "Flatten": flatten,
    "LayerNormalization": layer_norm,
    "LayerScale": layer_scale,
    "PReLU": prelu,
    "Permute": permute,
    "Reshape": reshape,
    "SeparableConv2D": separable,
}
