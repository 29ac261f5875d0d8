"""ONNX operators whose windows move over a picture or a row: convolutions and pools.

What moves over a row (N, C, L), as channel attention does, is done on pictures of height 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twinlens.engine.formats.onnx.operator import Operator, weight_scale
from twinlens.engine.layers import (
    Abs,
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
    Pad,
    Pow,
    ReduceL1,
    ReduceL2,
    ReduceSum,
    Reshape,
    Squeeze,
    Transpose,
    Unsqueeze,
    same_padding,
    transpose_padding,
)
from twinlens.engine.layers.base import Array, Layer

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def conv(operator: Operator) -> None:
    """Conv: weights and bias are constants; pads may be negative (the input is cut)."""
    weight, bias = operator.constant(1, "weight"), operator.optional(2, "bias")
    if len(operator.shape()) == 5 and weight.ndim == 5 and 1 in weight.shape[2:]:
        _convolve_slices(operator, weight, bias)
        return
    convolve(operator, operator.input(0), weight, bias, weight_scale(operator, 1, axis=0))


def convolve(
    operator: Operator,
    source: str,
    weight: Array,
    bias: Array | None,
    scale: Array | None,
    step: str = "",
) -> str:
    """Emit a convolution of a picture or row, with the settings of the operator.

    Args:
        operator: the node; its first input has the picture's shape.
        source: the picture, or the row.
        weight: (outputs, inputs / groups, height, width), or without the height.
        bias: (outputs,), or None.
        scale: steps that the weights were stored with, or None.
        step: as of ``Operator.emit``.

    Returns:
        Name of the convolution's value.
    """
    source, weight, settings = window(operator, source, weight)
    groups = settings["groups"]
    if groups > 1 and groups == operator.shape()[1] and weight.shape[1] == 1:
        del settings["groups"]
        multiplier = max(1, weight.shape[0] // groups)
        layer: Layer = DepthwiseConv2d(
            weight, bias, multiplier=multiplier, weight_scale=scale, **settings
        )
    else:
        layer = Conv2d(weight, bias, weight_scale=scale, **settings)
    return emit_window(operator, layer, source, step=step)


def _convolve_slices(operator: Operator, weight: Array, bias: Array | None) -> None:
    """A convolution of a volume that keeps to slices of it, as lambda networks have: of pictures.

    Raises:
        UnsupportedOperatorError: it moves along all three axes.
    """
    stride, dilation = (operator.attribute(key, [1, 1, 1]) for key in ("strides", "dilations"))
    pads = operator.attribute("pads", [0] * 6)
    explicit = operator.attribute("auto_pad", "NOTSET") == "NOTSET" and min(pads) >= 0
    still = [
        axis
        for axis in range(3)
        if weight.shape[axis + 2] == stride[axis] == 1 and pads[axis] == pads[axis + 3] == 0
    ]
    if not still or not explicit:
        lifted(operator, operator.input(0))  # says what is required
    axis = still[-1]
    first, second = (at for at in range(3) if at != axis)
    n, channels, *sizes = operator.shape()
    x = operator.emit(
        Transpose((0, axis + 2, 1, first + 2, second + 2)), operator.input(0), step="slices"
    )
    flat = Reshape((n * sizes[axis], channels, sizes[first], sizes[second]), allow_zero=True)
    layer = Conv2d(
        weight.squeeze(axis + 2),
        bias,
        stride=(stride[first], stride[second]),
        dilation=(dilation[first], dilation[second]),
        groups=operator.attribute("group", 1),
        pads=(pads[first], pads[second], pads[first + 3], pads[second + 3]),
    )
    x = operator.emit(layer, operator.emit(flat, x, step="pictures"), step="conv")
    outputs, height, width = operator.shape_of(x)[1:]
    back = Reshape((n, sizes[axis], outputs, height, width), allow_zero=True)
    order = {axis + 2: 1, first + 2: 3, second + 2: 4}
    turned = Transpose((0, 2, *(order[at] for at in (2, 3, 4))))
    operator.emit(turned, operator.emit(back, x, step="volume"))


def window(operator: Operator, source: str, weight: Array) -> tuple[str, Array, dict[str, Any]]:
    """(The picture, cut where pads are negative; weights; stride, dilation, groups and pads)."""
    source, weight = lifted(operator, source), _check_weight(operator, weight)
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = _pairs(operator, "strides"), _pairs(operator, "dilations")
    pads = _window_pads(operator, kernel, stride, dilation)
    if min(pads) < 0:
        source = operator.emit(_cut(pads), source, step="pad")
        pads = (0, 0, 0, 0)
    groups = operator.attribute("group", 1)
    return source, weight, {"stride": stride, "dilation": dilation, "groups": groups, "pads": pads}


def lifted(operator: Operator, source: str, step: str = "row") -> str:
    """A picture as it is; a row (N, C, L) as a picture of height 1.

    Raises:
        UnsupportedOperatorError: neither; says what it is.
    """
    shape = operator.shape()
    if len(shape) not in (3, 4):
        what = " (a volume or a video)" if len(shape) == 5 else ""
        raise operator.unsupported(
            f"its input is {shape}{what}; (batch, channels, height, width) or (batch, channels, "
            "length) is required"
        )
    return source if len(shape) == 4 else operator.emit(Unsqueeze([2]), source, step=step)


def emit_window(operator: Operator, layer: Layer, *inputs: str, step: str = "") -> str:
    """Emit a layer of pictures; where the operator has rows, its answer is rows again."""
    if len(operator.shape()) == 4:
        return operator.emit(layer, *inputs, step=step)
    picture = operator.emit(layer, *inputs, step=f"{step}_row" if step else "of_row")
    return operator.emit(Squeeze([2]), picture, step=step)


def conv_transpose(operator: Operator) -> None:
    """ConvTranspose, with explicit pads, ``auto_pad`` or ``output_shape``."""
    source = lifted(operator, operator.input(0))
    weight = _check_weight(operator, operator.constant(1, "weight"))
    stride, dilation = _pairs(operator, "strides"), _pairs(operator, "dilations")
    extra = _pair(operator, operator.attribute("output_padding", None), 0)
    auto, sizes = operator.attribute("auto_pad", "NOTSET"), _sizes(operator)
    wanted = None
    if operator.has_attribute("output_shape"):
        wanted = [1, 1, *operator.attribute("output_shape", [0])][-2:]
    elif auto.startswith("SAME"):
        wanted = [size * s for size, s in zip(sizes, stride, strict=True)]
    pads = _explicit_pads(operator) if auto == "NOTSET" else (0, 0, 0, 0)
    if wanted is not None:
        axes = [
            transpose_padding(
                sizes[axis],
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
    emit_window(operator, layer, source)


def max_pool(operator: Operator) -> None:
    """MaxPool; its second output (indices) is not implemented where something reads it."""
    if operator.uses_output(1):
        raise operator.unsupported("its second output (indices) is not implemented")
    source = lifted(operator, operator.input(0))
    emit_window(operator, MaxPool2d(**pool_settings(operator)), source)


def average_pool(operator: Operator) -> None:
    """AveragePool."""
    source = lifted(operator, operator.input(0))
    layer = AvgPool2d(
        **pool_settings(operator),
        count_include_pad=operator.attribute("count_include_pad", False),
    )
    emit_window(operator, layer, source)


def global_average_pool(operator: Operator) -> None:
    """GlobalAveragePool."""
    operator.emit(GlobalAvgPool2d(), operator.input(0))


def global_max_pool(operator: Operator) -> None:
    """GlobalMaxPool."""
    operator.emit(GlobalMaxPool2d(), operator.input(0))


def lp_pool(operator: Operator) -> None:
    """LpPool: the root of a sum of powers, the sum being a convolution with ones."""
    source = lifted(operator, operator.input(0))
    settings = pool_settings(operator)
    kernel, channels = settings.pop("kernel"), operator.shape()[1]
    if settings.pop("ceil_mode"):
        raise operator.unsupported("ceil_mode is not implemented")
    power = operator.attribute("p", 2)
    ones = np.ones((channels, 1, *kernel), np.float32)
    x = _powers(operator, source, power)
    x = operator.emit(DepthwiseConv2d(ones, **settings), x, step="sum")
    emit_window(operator, Pow(), x, operator.keep(np.float32(1 / power), "root"))


def global_lp_pool(operator: Operator) -> None:
    """GlobalLpPool."""
    power, axes = operator.attribute("p", 2), tuple(range(2, len(operator.shape())))
    if power in (1, 2):
        operator.emit((ReduceL1 if power == 1 else ReduceL2)(axes), operator.input(0))
        return
    total = operator.emit(ReduceSum(axes), _powers(operator, operator.input(0), power), step="sum")
    operator.emit(Pow(), total, operator.keep(np.float32(1 / power), "root"))


def _powers(operator: Operator, source: str, power: int) -> str:
    if power < 1:
        raise operator.unsupported(f"p is {power}; at least 1 is required")
    x = operator.emit(Abs(), source, step="size")
    return operator.emit(Pow(), x, operator.keep(np.float32(power), "power"), step="powers")


def pool_settings(operator: Operator) -> dict[str, Any]:
    """Kernel, stride, dilation, pads and ceil mode of a pool."""
    kernel = _pair(operator, operator.attribute("kernel_shape", None), 1)
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
            _sizes(operator)[axis],
            kernel[axis],
            stride[axis],
            dilation[axis],
            upper=auto == "SAME_UPPER",
        )
        for axis in (0, 1)
    )
    return top, left, bottom, right


def _sizes(operator: Operator) -> Pair:
    """(Height, width) of the operator's picture; a row has height 1."""
    height, width = (1, 1, *operator.shape()[2:])[-2:]
    return height, width


def _explicit_pads(operator: Operator) -> Pads:
    """Pads as they are given, for each axis one at the front, then for each one at the end."""
    axes = len(operator.shape()) - 2
    pads = operator.attribute("pads", [0] * (2 * axes))
    if len(pads) != 2 * axes:
        raise operator.unsupported(f"pads are {pads}; {2 * axes} are required")
    if axes == 1:
        return 0, pads[0], 0, pads[1]
    return pads[0], pads[1], pads[2], pads[3]


def _pairs(operator: Operator, attribute: str) -> Pair:
    given: Sequence[int] | None = operator.attribute(attribute, None)
    return _pair(operator, given, 1)


def _pair(operator: Operator, values: Sequence[int] | None, default: int) -> Pair:
    """(Vertical, horizontal) of an attribute, both ``default`` where it is left out.

    Of a row there is one value; along its height nothing moves.

    Raises:
        UnsupportedOperatorError: it is for another number of axes.
    """
    axes = len(operator.shape()) - 2
    if values is None:
        return default, default
    if len(values) != axes:
        raise operator.unsupported(f"{len(values)} spatial axes; {axes} are required")
    still = 0 if default == 0 else 1
    return (still, int(values[0])) if axes == 1 else (int(values[0]), int(values[1]))


def _cut(pads: Pads) -> Pad:
    top, left, bottom, right = pads
    return Pad([(0, 0), (0, 0), (top, bottom), (left, right)])


def _check_weight(operator: Operator, weight: Array) -> Array:
    """Weights of four axes."""
    axes = len(operator.shape())
    if weight.ndim != axes:
        raise operator.unsupported(f"its weight has shape {weight.shape}; {axes} axes are required")
    declared = operator.attribute("kernel_shape", list(weight.shape[2:]))
    if tuple(declared) != weight.shape[2:]:
        raise operator.unsupported(
            f"kernel_shape {declared} is not that of its weight {weight.shape}"
        )
    return weight if axes == 4 else weight[:, :, None]


BUILDERS: dict[str, Callable[[Operator], None]] = {
    "AveragePool": average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_average_pool,
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": global_max_pool,
    "LpPool": lp_pool,
    "MaxPool": max_pool,
}
