"""Convolutions over (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape, cast_like
from twinlens.engine.layers.checks import four_pads, image_input, optional_vector, pair, vector
from twinlens.engine.layers.windows import Window, kernel_extent, padded

# Samples per block of channels in the depthwise loop: two float32 blocks stay in a level-2 cache.
_BLOCK_SAMPLES = 32_768


class Conv2d(Layer):
    """Two-dimensional convolution (cross-correlation), grouped and dilated.

    ``y[n, o] = bias[o] + sum_c sum_kh,kw weight[o, c, kh, kw] * x[n, c, oh*s + kh*d, ...]``;
    output height = floor((H + top + bottom - (d*(kh - 1) + 1)) / s) + 1, width alike.

    Args:
        weight: (output channels, input channels / groups, kernel height, kernel width).
        bias: (output channels,) or None.
        stride: (height, width).
        dilation: (height, width).
        groups: channel groups; equal to the input channels for a depthwise convolution.
        pads: zeros around the input: (top, left, bottom, right); see ``same_padding``.
        weight_scale: (output channels,), for weights that were stored as integers: each weight is
            a whole multiple of its channel's scale. Engines that compute in integers get them back
            by it without loss; the forward does not need it.

    Raises:
        ParameterError: a parameter of the wrong shape or a setting out of range.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
        weight_scale: Array | None = None,
    ) -> None:
        self.weight = _kernel(self.kind, weight, "OIHW")
        outputs = self.weight.shape[0]
        if groups < 1 or outputs % groups:
            raise ParameterError(
                f"{self.kind}: groups is {groups}; a divisor of the {outputs} output channels "
                "is required"
            )
        self.groups = groups
        self.bias = optional_vector(self.kind, "bias", bias, outputs)
        self.stride = pair(self.kind, "stride", stride)
        self.dilation = pair(self.kind, "dilation", dilation)
        self.pads = four_pads(self.kind, pads)
        self.weight_scale = optional_vector(self.kind, "weight_scale", weight_scale, outputs)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``weight`` and, where there is one, ``bias``."""
        return _weights(self.weight, self.bias)

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel (height, width)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def input_channels(self) -> int:
        """Channels that the input must have."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def output_channels(self) -> int:
        """Channels of the output."""
        return int(self.weight.shape[0])

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, output channels, output height, output width)."""
        shape = image_input(self.kind, inputs, self.input_channels)
        window = Window(self.kernel, self.stride, self.dilation, self.pads)
        return shape[0], self.output_channels, *window.grid(self.kind, shape)

    def forward(self, *inputs: Array) -> Array:
        """Convolve one input (N, C, H, W)."""
        (x,) = inputs
        shape = self.output_shape(x.shape)
        weight = cast_like(self.weight, x)
        if self.weight.shape[1] == 1 and self.groups == self.output_channels > 1:
            result = self._depthwise(padded(x, self.pads), weight, shape)
        elif self.kernel == (1, 1) and self.groups == 1:
            result = self._pointwise(padded(x, self.pads), weight, shape)
        else:
            result = self._columns(padded(x, self.pads), weight, shape)
        if self.bias is not None:
            result += cast_like(self.bias, x)[:, None, None]
        return result

    def _pointwise(self, x: Array, weight: Array, shape: Shape) -> Array:
        picked = x[:, :, :: self.stride[0], :: self.stride[1]]
        columns = picked.reshape(shape[0], self.input_channels, -1)
        matrix = weight.reshape(self.output_channels, self.input_channels)
        result: Array = np.matmul(matrix, columns)
        return result.reshape(shape)

    def _columns(self, x: Array, weight: Array, shape: Shape) -> Array:
        """One matrix product per group over windows that are laid out as columns."""
        extents = (
            kernel_extent(self.kernel[0], self.dilation[0]),
            kernel_extent(self.kernel[1], self.dilation[1]),
        )
        windows = sliding_window_view(x, extents, axis=(2, 3))[
            :,
            :,
            :: self.stride[0],
            :: self.stride[1],
            :: self.dilation[0],
            :: self.dilation[1],
        ]
        depth = prod(self.weight.shape[1:])
        columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(
            shape[0], self.groups, depth, shape[2] * shape[3]
        )
        matrix = weight.reshape(self.groups, self.output_channels // self.groups, depth)
        result: Array = np.matmul(matrix, columns)
        return result.reshape(shape)

    def _depthwise(self, x: Array, weight: Array, shape: Shape) -> Array:
        """Sum of shifted copies, block by block of channels.

        Each stride phase of the padded input is laid out flat, so that a kernel tap is one
        contiguous run per channel instead of many short rows; what the runs compute beyond the
        right edge is cropped away.
        """
        batch, channels, rows, columns = shape
        phases = _phases(x, self.kernel, self.stride, self.dilation)
        height, width = next(iter(phases.values())).shape[2:]
        result = np.empty(shape, x.dtype)
        run = (rows - 1) * width + columns
        block = max(1, _BLOCK_SAMPLES // (height * width))
        total = np.empty((min(block, channels), rows * width), x.dtype)
        term = np.empty((min(block, channels), run), x.dtype)
        for image in range(batch):
            for start in range(0, channels, block):
                count = min(block, channels - start)
                chosen = slice(start, start + count)
                out, part = total[:count, :run], term[:count]
                first = True
                for kh in range(self.kernel[0]):
                    for kw in range(self.kernel[1]):
                        row, row_phase = divmod(kh * self.dilation[0], self.stride[0])
                        column, column_phase = divmod(kw * self.dilation[1], self.stride[1])
                        flat = phases[row_phase, column_phase][image, chosen].reshape(count, -1)
                        offset = row * width + column
                        taps = flat[:, offset : offset + run]
                        factor = weight[chosen, 0, kh, kw, None]
                        np.multiply(taps, factor, out=out if first else part)
                        if not first:
                            np.add(out, part, out=out)
                        first = False
                result[image, chosen] = total[:count].reshape(count, rows, width)[:, :, :columns]
        return result

    def macs(self, *inputs: Shape) -> int:
        """Output samples times kernel samples per group."""
        return prod(self.output_shape(*inputs)) * prod(self.weight.shape[1:])

    def describe(self) -> str:
        """Kernel, stride, dilation, groups and channels."""
        return _describe(self)


class DepthwiseConv2d(Conv2d):
    """Convolution of each channel on its own: a Conv2d with as many groups as input channels.

    Args:
        weight: (input channels * multiplier, 1, kernel height, kernel width).
        bias: (input channels * multiplier,) or None.
        stride: (height, width).
        dilation: (height, width).
        pads: (top, left, bottom, right).
        multiplier: outputs per input channel.
        weight_scale: (output channels,); see ``Conv2d``.

    Raises:
        ParameterError: a parameter of the wrong shape or a setting out of range.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        multiplier: int = 1,
        weight_scale: Array | None = None,
    ) -> None:
        array = _kernel(self.kind, weight, "OIHW")
        if array.shape[1] != 1:
            raise ParameterError(
                f"{self.kind}: weight has shape {array.shape}; "
                "(channels * multiplier, 1, kernel height, kernel width) is required"
            )
        if multiplier < 1 or array.shape[0] % multiplier:
            raise ParameterError(
                f"{self.kind}: multiplier is {multiplier}; a divisor of the "
                f"{array.shape[0]} output channels is required"
            )
        groups = array.shape[0] // multiplier
        super().__init__(
            array,
            bias,
            stride=stride,
            dilation=dilation,
            groups=groups,
            pads=pads,
            weight_scale=weight_scale,
        )


class ConvTranspose2d(Layer):
    """Transposed convolution: the gradient of ``Conv2d`` with respect to its input.

    Output height = s * (H - 1) + output_padding + d * (kh - 1) + 1 - top - bottom, width alike.

    Args:
        weight: (input channels, output channels / groups, kernel height, kernel width).
        bias: (output channels,) or None.
        stride: (height, width).
        dilation: (height, width).
        groups: channel groups.
        pads: samples cut from the full output: (top, left, bottom, right).
        output_padding: samples added at the bottom and right of the full output.

    Raises:
        ParameterError: a parameter of the wrong shape or a setting out of range.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
        output_padding: Sequence[int] = (0, 0),
    ) -> None:
        self.weight = _kernel(self.kind, weight, "IOHW")
        if groups < 1 or self.weight.shape[0] % groups:
            raise ParameterError(
                f"{self.kind}: groups is {groups}; a divisor of the {self.weight.shape[0]} "
                "input channels is required"
            )
        self.groups = groups
        self.bias = None if bias is None else vector(self.kind, "bias", bias, self.output_channels)
        self.stride = pair(self.kind, "stride", stride)
        self.dilation = pair(self.kind, "dilation", dilation)
        self.pads = four_pads(self.kind, pads)
        self.output_padding = pair(self.kind, "output_padding", output_padding, 0)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``weight`` and, where there is one, ``bias``."""
        return _weights(self.weight, self.bias)

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel (height, width)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def input_channels(self) -> int:
        """Channels that the input must have."""
        return int(self.weight.shape[0])

    @property
    def output_channels(self) -> int:
        """Channels of the output."""
        return int(self.weight.shape[1]) * self.groups

    def _full_size(self, size: int, axis: int) -> int:
        """Output size of one axis before ``pads`` are cut."""
        extent = kernel_extent(self.kernel[axis], self.dilation[axis])
        return self.stride[axis] * (size - 1) + self.output_padding[axis] + extent

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, output channels, output height, output width)."""
        shape = image_input(self.kind, inputs, self.input_channels)
        height = self._full_size(shape[2], 0) - self.pads[0] - self.pads[2]
        width = self._full_size(shape[3], 1) - self.pads[1] - self.pads[3]
        if min(height, width, shape[2], shape[3]) < 1:
            raise ShapeError(
                f"{self.kind}: input {shape} with pads {self.pads} leaves an output of "
                f"{height} × {width}; at least 1 × 1 is required"
            )
        return shape[0], self.output_channels, height, width

    def forward(self, *inputs: Array) -> Array:
        """Convolve one input (N, C, H, W)."""
        (x,) = inputs
        batch, _, out_height, out_width = self.output_shape(x.shape)
        height, width = x.shape[2:]
        per_group = self.input_channels // self.groups
        matrix = cast_like(self.weight, x).reshape(self.groups, per_group, -1).transpose(0, 2, 1)
        spread = np.matmul(matrix, x.reshape(batch, self.groups, per_group, -1)).reshape(
            batch, self.output_channels, *self.kernel, height, width
        )
        full = np.zeros(
            (
                batch,
                self.output_channels,
                self._full_size(height, 0),
                self._full_size(width, 1),
            ),
            x.dtype,
        )
        for kh in range(self.kernel[0]):
            for kw in range(self.kernel[1]):
                top, left = kh * self.dilation[0], kw * self.dilation[1]
                full[
                    :,
                    :,
                    top : top + self.stride[0] * (height - 1) + 1 : self.stride[0],
                    left : left + self.stride[1] * (width - 1) + 1 : self.stride[1],
                ] += spread[:, :, kh, kw]
        top, left = self.pads[:2]
        result = full[:, :, top : top + out_height, left : left + out_width]
        if self.bias is not None:
            result = result + cast_like(self.bias, x)[:, None, None]
        return np.ascontiguousarray(result)

    def macs(self, *inputs: Shape) -> int:
        """Input samples times kernel samples per group."""
        return prod(image_input(self.kind, inputs)) * prod(self.weight.shape[1:])

    def describe(self) -> str:
        """Kernel, stride, dilation, groups and channels."""
        return _describe(self)


def transpose_padding(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    output_padding: int,
    output_size: int,
    *,
    upper: bool,
) -> tuple[int, int, int]:
    """Pads of one axis of ConvTranspose2d for a wanted output size.

    Args:
        size: input size.
        kernel: kernel size.
        stride: stride.
        dilation: dilation.
        output_padding: the file's own output padding.
        output_size: wanted output size.
        upper: put an odd sample after (ONNX ``SAME_UPPER``) instead of before.

    Returns:
        (before, after, output_padding); the last grows when the full output is too small.
    """
    full = stride * (size - 1) + output_padding + kernel_extent(kernel, dilation)
    total = full - output_size
    if total < 0:
        return 0, 0, output_padding - total
    small, large = total // 2, total - total // 2
    before, after = (small, large) if upper else (large, small)
    return before, after, output_padding


def _phases(
    x: Array, kernel: Shape, stride: Shape, dilation: Shape
) -> dict[tuple[int, int], Array]:
    """Contiguous stride phases of (N, C, H, W) that the kernel touches, all of one size."""
    height, width = -(-x.shape[2] // stride[0]), -(-x.shape[3] // stride[1])
    rows = {kh * dilation[0] % stride[0] for kh in range(kernel[0])}
    columns = {kw * dilation[1] % stride[1] for kw in range(kernel[1])}
    if tuple(stride) == (1, 1):
        return {(0, 0): np.ascontiguousarray(x)}
    result = {}
    for row in rows:
        for column in columns:
            phase = x[:, :, row :: stride[0], column :: stride[1]]
            flat = np.zeros((*x.shape[:2], height, width), x.dtype)
            flat[:, :, : phase.shape[2], : phase.shape[3]] = phase
            result[row, column] = flat
    return result


def _kernel(layer: str, weight: Array, order: str) -> Array:
    array = np.asarray(weight)
    if array.ndim != 4 or 0 in array.shape:
        raise ParameterError(
            f"{layer}: weight has shape {array.shape}; four non-empty axes ({order}) are required"
        )
    return array


def _weights(weight: Array, bias: Array | None) -> Mapping[str, Array]:
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}


def _describe(layer: Conv2d | ConvTranspose2d) -> str:
    parts = [f"{layer.kernel[0]}×{layer.kernel[1]}"]
    if layer.stride != (1, 1):
        rows, columns = layer.stride
        parts.append(f"stride {rows}" if rows == columns else f"stride {rows}×{columns}")
    if layer.dilation != (1, 1):
        parts.append(f"dilation {layer.dilation[0]}×{layer.dilation[1]}")
    if layer.groups > 1:
        depthwise = layer.groups == layer.input_channels
        parts.append("depthwise" if depthwise else f"{layer.groups} groups")
    parts.append(f"{layer.input_channels} → {layer.output_channels}")
    return ", ".join(parts)
