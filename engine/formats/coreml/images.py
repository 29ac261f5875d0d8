"""Layers of Core ML neural networks over pictures: convolutions, pools, borders, resampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twinlens.engine.formats.coreml.layer import LayerStep
from twinlens.engine.formats.coreml.weights import floats
from twinlens.engine.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    InstanceNorm2d,
    LocalResponseNorm,
    MaxPool2d,
    Pad,
    Resize,
    same_padding,
    transpose_padding,
)
from twinlens.engine.layers.base import Array

Pads = tuple[int, int, int, int]


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


BUILDERS: dict[str, Callable[[LayerStep], None]] = {
    "batchnorm": batch_norm,
    "bias": bias,
    "constantPad": constant_pad,
    "convolution": convolution,
    "crop": crop,
    "lrn": lrn,
    "padding": padding,
    "pooling": pooling,
    "resizeBilinear": resize_bilinear,
    "scale": scale,
    "upsample": upsample,
}
