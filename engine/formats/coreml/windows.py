"""Operations of ML Programs that slide a window over a picture: convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinlens.engine.formats.coreml.operation import OperationStep
from twinlens.engine.layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    MaxPool2d,
    same_padding,
)

Pads = tuple[int, int, int, int]


def conv(op: OperationStep) -> None:
    """Convolution: weights (outputs, inputs / groups, H, W)."""
    x, weight = op.value("x"), op.array("weight")
    _check_picture(op, x)
    if weight.ndim != 4:
        raise op.unsupported(f"its weight has shape {weight.shape}; four axes are required")
    stride, dilation = _pair(op, "strides"), _pair(op, "dilations")
    groups, bias = int(op.number("groups", 1)), op.optional("bias")
    pads = _pads(op, x, weight.shape[2:], stride, dilation)
    if groups > 1 and weight.shape[1] == 1 and groups == op.shape_of(x)[1]:
        deep = DepthwiseConv2d(
            weight,
            bias,
            stride=stride,
            dilation=dilation,
            pads=pads,
            multiplier=max(1, weight.shape[0] // groups),
        )
        op.finish(op.emit(deep, x))
        return
    layer = Conv2d(weight, bias, stride=stride, dilation=dilation, groups=groups, pads=pads)
    op.finish(op.emit(layer, x))


def conv_transpose(op: OperationStep) -> None:
    """Transposed convolution with explicit pads."""
    if op.text("pad_type", "valid") not in ("valid", "custom") or op.has("output_shape"):
        raise op.unsupported("an output size that is not that of its pads is not implemented")
    x, weight = op.value("x"), op.array("weight")
    stride, dilation = _pair(op, "strides"), _pair(op, "dilations")
    layer = ConvTranspose2d(
        weight,
        op.optional("bias"),
        stride=stride,
        dilation=dilation,
        groups=int(op.number("groups", 1)),
        pads=_pads(op, x, weight.shape[2:], stride, dilation),
    )
    op.finish(op.emit(layer, x))


def pool(op: OperationStep) -> None:
    """Max and average pools."""
    x = op.value("x")
    _check_picture(op, x)
    kernel = _pair(op, "kernel_sizes")
    stride = _pair(op, "strides")
    window: dict[str, Any] = {
        "stride": stride,
        "pads": _pads(op, x, kernel, stride, (1, 1)),
        "ceil_mode": op.flag("ceil_mode"),
    }
    if op.kind == "max_pool":
        op.finish(op.emit(MaxPool2d(kernel, **window), x))
        return
    counted = not op.flag("exclude_padding_from_average")
    op.finish(op.emit(AvgPool2d(kernel, **window, count_include_pad=counted), x))


def _pair(op: OperationStep, name: str) -> tuple[int, int]:
    values = op.numbers(name, (1, 1))
    if len(values) != 2 or min(values) < 1:
        raise op.unsupported(f"its {name} are {values}; two are required")
    return values[0], values[1]


def _check_picture(op: OperationStep, value: str) -> None:
    shape = op.shape_of(value)
    if len(shape) != 4:
        raise op.unsupported(f"its input is {shape}; a picture is required")


def _pads(
    op: OperationStep,
    value: str,
    kernel: Sequence[int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Pads:
    kind = op.text("pad_type", "valid")
    if kind == "valid":
        return 0, 0, 0, 0
    if kind == "custom":
        pads = op.numbers("pad")
        if len(pads) != 4:
            raise op.unsupported(f"its pads are {pads}; four are required")
        return pads[0], pads[2], pads[1], pads[3]
    if kind not in ("same", "same_lower"):
        raise op.unsupported(f"pad_type {kind!r}")
    sizes = op.shape_of(value)[2:]
    (top, bottom), (left, right) = (
        same_padding(sizes[axis], kernel[axis], stride[axis], dilation[axis], upper=kind == "same")
        for axis in (0, 1)
    )
    return top, left, bottom, right
