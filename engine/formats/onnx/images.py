"""ONNX operators over pictures: convolutions, pools, normalisation, resampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twinlens.engine.formats.onnx.operator import Operator, attributes, spatial_pair, weight_scale
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthToSpace,
    DepthwiseConv2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    InstanceNorm2d,
    LayerNorm,
    LocalResponseNorm,
    MaxPool2d,
    Mul,
    Pad,
    Reciprocal,
    ReduceMean,
    Reshape,
    Resize,
    RMSNorm,
    SpaceToDepth,
    Sqrt,
    Sub,
    same_padding,
    transpose_padding,
)
from twinlens.engine.layers.base import Array, Layer

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def conv(operator: Operator) -> None:
    """Conv: weights and bias are constants; pads may be negative (the input is cut)."""
    weight, bias = operator.constant(1, "weight"), operator.optional(2, "bias")
    convolve(operator, operator.input(0), weight, bias, weight_scale(operator, 1, axis=0))


def convolve(
    operator: Operator,
    source: str,
    weight: Array,
    bias: Array | None,
    scale: Array | None,
    step: str = "",
) -> str:
    """Emit a convolution of a picture, with the settings of the operator.

    Args:
        operator: the node; its first input has the picture's shape.
        source: the picture.
        weight: (outputs, inputs / groups, height, width).
        bias: (outputs,), or None.
        scale: steps that the weights were stored with, or None.
        step: as of ``Operator.emit``.

    Returns:
        Name of the convolution's value.
    """
    source, settings = window(operator, source, weight)
    groups = settings["groups"]
    if groups > 1 and groups == operator.shape()[1] and weight.shape[1] == 1:
        del settings["groups"]
        multiplier = max(1, weight.shape[0] // groups)
        layer: Layer = DepthwiseConv2d(
            weight, bias, multiplier=multiplier, weight_scale=scale, **settings
        )
    else:
        layer = Conv2d(weight, bias, weight_scale=scale, **settings)
    return operator.emit(layer, source, step=step)


def window(operator: Operator, source: str, weight: Array) -> tuple[str, dict[str, Any]]:
    """(The picture, cut where pads are negative; stride, dilation, groups and pads)."""
    _check_picture(operator)
    _check_weight(operator, weight)
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = _pairs(operator, "strides"), _pairs(operator, "dilations")
    pads = _window_pads(operator, kernel, stride, dilation)
    if min(pads) < 0:
        source = operator.emit(_cut(pads), source, step="pad")
        pads = (0, 0, 0, 0)
    groups = operator.attribute("group", 1)
    return source, {"stride": stride, "dilation": dilation, "groups": groups, "pads": pads}


def conv_transpose(operator: Operator) -> None:
    """ConvTranspose, with explicit pads, ``auto_pad`` or ``output_shape``."""
    weight = operator.constant(1, "weight")
    _check_picture(operator)
    _check_weight(operator, weight)
    stride, dilation = _pairs(operator, "strides"), _pairs(operator, "dilations")
    extra = spatial_pair(operator, operator.attribute("output_padding", [0, 0]), 0)
    auto = operator.attribute("auto_pad", "NOTSET")
    wanted = operator.attribute("output_shape", [0])[-2:] if _gives_size(operator) else None
    if wanted is None and auto.startswith("SAME"):
        wanted = [size * s for size, s in zip(operator.shape()[2:], stride, strict=True)]
    pads = _explicit_pads(operator) if auto == "NOTSET" else (0, 0, 0, 0)
    if wanted is not None:
        axes = [
            transpose_padding(
                operator.shape()[axis + 2],
                weight.shape[axis + 2],
                stride[axis],
                dilation[axis],
                extra[axis],
                int(wanted[axis]),
                upper=auto == "SAME_UPPER",
            )
            for axis in (0, 1)
        ]
        pads = (axes[0][0], axes[1][0], axes[0][1], axes[1][1])
        extra = (axes[0][2], axes[1][2])
    layer = ConvTranspose2d(
        weight,
        operator.optional(2, "bias"),
        stride=stride,
        dilation=dilation,
        groups=operator.attribute("group", 1),
        pads=pads,
        output_padding=extra,
    )
    operator.emit(layer, operator.input(0))


def max_pool(operator: Operator) -> None:
    """MaxPool; its second output (indices) is not implemented where something reads it."""
    if operator.uses_output(1):
        raise operator.unsupported("its second output (indices) is not implemented")
    operator.emit(MaxPool2d(**pool_settings(operator)), operator.input(0))


def average_pool(operator: Operator) -> None:
    """AveragePool."""
    layer = AvgPool2d(
        **pool_settings(operator),
        count_include_pad=operator.attribute("count_include_pad", False),
    )
    operator.emit(layer, operator.input(0))


def global_average_pool(operator: Operator) -> None:
    """GlobalAveragePool."""
    operator.emit(GlobalAvgPool2d(), operator.input(0))


def global_max_pool(operator: Operator) -> None:
    """GlobalMaxPool."""
    operator.emit(GlobalMaxPool2d(), operator.input(0))


def batch_normalization(operator: Operator) -> None:
    """BatchNormalization at inference, per channel."""
    training = operator.attribute("training_mode", False)
    if training or any(operator.uses_output(index) for index in range(1, 5)):
        raise operator.unsupported("training mode is not implemented")
    if not operator.attribute("spatial", True):
        raise operator.unsupported("statistics per pixel (spatial = 0) are not implemented")
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (
        operator.constant(index, name) for index, name in enumerate(names, 1)
    )
    layer = BatchNorm2d(scale, bias, mean, variance, **attributes(operator, epsilon=1e-5))
    operator.emit(layer, operator.input(0))


def instance_normalization(operator: Operator) -> None:
    """InstanceNormalization."""
    scale, bias = operator.constant(1, "scale"), operator.constant(2, "bias")
    layer = InstanceNorm2d(scale, bias, **attributes(operator, epsilon=1e-5))
    operator.emit(layer, operator.input(0))


def layer_normalization(operator: Operator) -> None:
    """LayerNormalization; its mean and inverse deviation where something reads them."""
    axis, epsilon = operator.attribute("axis", -1), operator.attribute("epsilon", 1e-5)
    scale, bias = operator.constant(1, "scale"), operator.optional(2, "bias")
    x = operator.input(0)
    operator.emit(LayerNorm(scale, bias, axis=axis, epsilon=epsilon), x)
    if not operator.uses_output(1) and not operator.uses_output(2):
        return
    rank = len(operator.shape())
    axes = tuple(range(axis % rank, rank))
    mean = operator.emit(ReduceMean(axes), x, output=1)
    if operator.uses_output(2):
        centred = operator.emit(Sub(), x, mean, step="centred")
        square = operator.emit(Mul(), centred, centred, step="square")
        variance = operator.emit(ReduceMean(axes), square, step="variance")
        small = operator.keep(np.float32(epsilon), "epsilon")
        variance = operator.emit(Add(), variance, small, step="widened")
        deviation = operator.emit(Sqrt(), variance, step="deviation")
        operator.emit(Reciprocal(), deviation, output=2)


def rms_normalization(operator: Operator) -> None:
    """RMSNormalization."""
    scale, axis = operator.constant(1, "scale"), operator.attribute("axis", -1)
    layer = RMSNorm(scale, axis=axis, **attributes(operator, epsilon=1e-5))
    operator.emit(layer, operator.input(0))


def group_normalization(operator: Operator) -> None:
    """GroupNormalization: one scale and bias a group before opset 21, one a channel from it on."""
    shape = operator.shape()
    groups = operator.attribute("num_groups", 1)
    scale, bias = operator.constant(1, "scale"), operator.constant(2, "bias")
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise operator.unsupported(f"{groups} groups of {shape}")
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    x = operator.emit(Reshape((shape[0], groups, -1)), operator.input(0), step="groups")
    norm = InstanceNorm2d(ones, zeros, **attributes(operator, epsilon=1e-5))
    x = operator.emit(norm, x, step="norm")
    x = operator.emit(Reshape(shape), x, step="channels")
    each = (-1, *([1] * (len(shape) - 2)))
    if operator.opset < 21:
        scale, bias = (np.repeat(array, shape[1] // groups) for array in (scale, bias))
    x = operator.emit(Mul(), x, operator.keep(scale.reshape(each), "scale"), step="scaled")
    operator.emit(Add(), x, operator.keep(bias.reshape(each), "bias"))


def depth_to_space(operator: Operator) -> None:
    """DepthToSpace."""
    block, mode = operator.attribute("blocksize", 0), operator.attribute("mode", "DCR")
    operator.emit(DepthToSpace(block, mode), operator.input(0))


def space_to_depth(operator: Operator) -> None:
    """SpaceToDepth."""
    block, mode = operator.attribute("blocksize", 0), operator.attribute("mode", "DCR")
    operator.emit(SpaceToDepth(block, mode), operator.input(0))


def lrn(operator: Operator) -> None:
    """LRN."""
    settings = attributes(operator, alpha=1e-4, beta=0.75, bias=1.0)
    operator.emit(LocalResponseNorm(operator.attribute("size", 0), **settings), operator.input(0))


def resize(operator: Operator) -> None:
    """Resize of opset 10 (scales only) and of 11 to 19."""
    if operator.opset < 11:
        _resample(operator, operator.constant(1, "scales"))
        return
    axes = operator.attribute("axes", None)
    count = len(operator.shape()) if axes is None else len(axes)
    coordinates = operator.attribute("coordinate_transformation_mode", "half_pixel")
    region = None
    if coordinates == "tf_crop_and_resize":
        ends = operator.constant(1, "roi").reshape(2, count).astype(float)
        region = [(float(start), float(end)) for start, end in ends.T]
    sizes = operator.optional(3, "sizes")
    scales = operator.optional(2, "scales") if sizes is None else None
    layer = Resize(
        scales=None if scales is None else [float(scale) for scale in scales],
        sizes=None if sizes is None else [int(size) for size in sizes],
        axes=axes,
        mode=operator.attribute("mode", "nearest"),
        coordinates=coordinates,
        nearest_mode=operator.attribute("nearest_mode", "round_prefer_floor"),
        exclude_outside=operator.attribute("exclude_outside", False),
        antialias=operator.attribute("antialias", False),
        cubic_a=operator.attribute("cubic_coeff_a", -0.75),
        extrapolation_value=operator.attribute("extrapolation_value", 0.0),
        region=region,
        keep_aspect=operator.attribute("keep_aspect_ratio_policy", "stretch"),
    )
    operator.emit(layer, operator.input(0))


def upsample(operator: Operator) -> None:
    """Upsample: scales are an attribute in opset 7 and an input in opset 9."""
    if operator.opset < 9:
        _resample(operator, np.asarray(operator.attribute("scales", [1.0])))
    else:
        _resample(operator, operator.constant(1, "scales"))


def _resample(operator: Operator, scales: Array) -> None:
    """What Upsample and the first Resize do: coordinates from the corner, nearest rounds down."""
    layer = Resize(
        scales=[float(scale) for scale in scales],
        mode=operator.attribute("mode", "nearest"),
        coordinates="asymmetric",
        nearest_mode="floor",
    )
    operator.emit(layer, operator.input(0))


def pad(operator: Operator) -> None:
    """Pad: pads and value are attributes before opset 11 and inputs from it on."""
    given = operator.integers("pads", 1, since=11) or []
    rank = len(operator.shape())
    axes = list(range(rank))
    if operator.opset >= 11 and operator.has(3):
        axes = [int(axis) % rank for axis in operator.constant(3, "axes").reshape(-1)]
    if len(given) != 2 * len(axes):
        raise operator.unsupported(f"{len(given)} pads; {2 * len(axes)} are required")
    pads = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        pads[axis] = (given[place], given[place + len(axes)])
    value = operator.attribute("value", 0.0)
    if operator.opset >= 11 and (array := operator.optional(2, "value")) is not None:
        value = array.reshape(-1)[0].item()
    if not any(before or after for before, after in pads):
        operator.emit(Identity(), operator.input(0))
        return
    mode = operator.attribute("mode", "constant")
    operator.emit(Pad(pads, mode=mode, value=value), operator.input(0))


def pool_settings(operator: Operator) -> dict[str, Any]:
    """Kernel, stride, dilation, pads and ceil mode of a pool."""
    _check_picture(operator)
    kernel = spatial_pair(operator, operator.attribute("kernel_shape", [0]), 1)
    stride, dilation = _pairs(operator, "strides"), _pairs(operator, "dilations")
    return {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pads": _window_pads(operator, kernel, stride, dilation),
        "ceil_mode": operator.attribute("ceil_mode", False),
    }


def _window_pads(operator: Operator, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    """Pads (top, left, bottom, right) of a convolution or pool, by its ``auto_pad``."""
    auto = operator.attribute("auto_pad", "NOTSET")
    if auto == "NOTSET":
        return _explicit_pads(operator)
    if auto == "VALID":
        return 0, 0, 0, 0
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise operator.unsupported(f"auto_pad is {auto!r}")
    (top, bottom), (left, right) = (
        same_padding(
            operator.shape()[axis + 2],
            kernel[axis],
            stride[axis],
            dilation[axis],
            upper=auto == "SAME_UPPER",
        )
        for axis in (0, 1)
    )
    return top, left, bottom, right


def _explicit_pads(operator: Operator) -> Pads:
    pads = operator.attribute("pads", [0, 0, 0, 0])
    if len(pads) != 4:
        raise operator.unsupported(f"pads are {pads}; (top, left, bottom, right) are required")
    return pads[0], pads[1], pads[2], pads[3]


def _pairs(operator: Operator, attribute: str) -> Pair:
    given: Sequence[int] | None = operator.attribute(attribute, None)
    return spatial_pair(operator, given, 1)


def _cut(pads: Pads) -> Pad:
    top, left, bottom, right = pads
    return Pad([(0, 0), (0, 0), (top, bottom), (left, right)])


def _gives_size(operator: Operator) -> bool:
    return operator.has_attribute("output_shape")


def _check_picture(operator: Operator) -> None:
    if len(operator.shape()) != 4:
        raise operator.unsupported(
            f"its input is {operator.shape()}; (batch, channels, height, width) is required"
        )


def _check_weight(operator: Operator, weight: Array) -> None:
    if weight.ndim != 4:
        raise operator.unsupported(f"its weight has shape {weight.shape}; 4 axes are required")
    declared = operator.attribute("kernel_shape", list(weight.shape[2:]))
    if tuple(declared) != weight.shape[2:]:
        raise operator.unsupported(
            f"kernel_shape {declared} is not that of its weight {weight.shape}"
        )


BUILDERS: dict[str, Callable[[Operator], None]] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LRN": lrn,
    "MaxPool": max_pool,
    "Pad": pad,
    "RMSNormalization": rms_normalization,
    "Resize": resize,
    "SpaceToDepth": space_to_depth,
    "Upsample": upsample,
}
