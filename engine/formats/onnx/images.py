"""ONNX operators over pictures: normalisation, resampling, pads, blocks of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinlens.engine.formats.onnx.operator import Operator, attributes
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    DepthToSpace,
    Div,
    Identity,
    InstanceNorm2d,
    LayerNorm,
    LocalResponseNorm,
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
    Transpose,
)
from twinlens.engine.layers.base import Array


def batch_normalization(operator: Operator) -> None:
    """BatchNormalization at inference, per channel."""
    if any(operator.uses_output(index) for index in range(1, 5)):
        raise operator.unsupported("statistics as outputs belong to training")
    if not operator.attribute("spatial", True):
        raise operator.unsupported("statistics per pixel (spatial = 0) are not implemented")
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (
        operator.constant(index, name) for index, name in enumerate(names, 1)
    )
    if operator.attribute("training_mode", False):
        _own_statistics(operator, scale, bias)
        return
    layer = BatchNorm2d(scale, bias, mean, variance, **attributes(operator, epsilon=1e-5))
    operator.emit(layer, operator.input(0))


def _own_statistics(operator: Operator, scale: Array, bias: Array) -> None:
    """BatchNormalization by what it is given, as standardised weights are exported."""
    norm = InstanceNorm2d(scale, bias, **attributes(operator, epsilon=1e-5))
    shape, x = operator.shape(), operator.input(0)
    if shape[0] == 1:
        operator.emit(norm, x)
        return
    turned = (1, 0, *range(2, len(shape)))
    x = operator.emit(Transpose(turned), x, step="channels")
    moved = operator.shape_of(x)
    x = operator.emit(Reshape((1, shape[1], -1)), x, step="flat")
    x = operator.emit(norm, x, step="norm")
    operator.emit(Transpose(turned), operator.emit(Reshape(moved), x, step="back"))


def mean_variance(operator: Operator) -> None:
    """MeanVarianceNormalization: less the mean, by the deviation, over some axes."""
    axes, x = operator.attribute("axes", [0, 2, 3]), operator.input(0)
    mean = operator.emit(ReduceMean(axes), x, step="mean")
    centred = operator.emit(Sub(), x, mean, step="centred")
    square = operator.emit(Mul(), centred, centred, step="square")
    variance = operator.emit(ReduceMean(axes), square, step="variance")
    deviation = operator.emit(Sqrt(), variance, step="deviation")
    small = operator.keep(np.float32(1e-9), "small")
    operator.emit(Div(), centred, operator.emit(Add(), deviation, small, step="divisor"))


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


BUILDERS: dict[str, Callable[[Operator], None]] = {
    "BatchNormalization": batch_normalization,
    "DepthToSpace": depth_to_space,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LRN": lrn,
    "MeanVarianceNormalization": mean_variance,
    "Pad": pad,
    "RMSNormalization": rms_normalization,
    "Resize": resize,
    "SpaceToDepth": space_to_depth,
    "Upsample": upsample,
}
