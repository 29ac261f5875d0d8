"""Pools over (N, C, H, W) and over all of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import channel_input, four_pads, image_input, pair
from twinlens.engine.layers.windows import Window, kernel_extent, padded


class _Pool2d(Layer):
    """Settings and shape rule that both pools share."""

    def __init__(
        self,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        ceil_mode: bool = False,
    ) -> None:
        self.kernel = pair(self.kind, "kernel", kernel)
        self.stride = pair(self.kind, "stride", stride)
        self.dilation = pair(self.kind, "dilation", dilation)
        self.pads = four_pads(self.kind, pads)
        self.ceil_mode = bool(ceil_mode)
        for axis, name in enumerate(("height", "width")):
            extent = kernel_extent(self.kernel[axis], self.dilation[axis])
            if max(self.pads[axis], self.pads[axis + 2]) >= extent:
                # A window that holds nothing but padding has no maximum and no mean.
                raise ParameterError(
                    f"{self.kind}: pads {self.pads} (top, left, bottom, right) reach the "
                    f"kernel's {name} of {extent}; smaller pads are required"
                )

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C, output height, output width)."""
        shape = image_input(self.kind, inputs)
        window = Window(self.kernel, self.stride, self.dilation, self.pads, self.ceil_mode)
        return *shape[:2], *window.grid(self.kind, shape)

    def _reach(self, shape: Shape, grid: Shape) -> tuple[int, int, int, int]:
        """Pads that cover every window, a hanging last one included."""
        ends = [
            (grid[axis] - 1) * self.stride[axis]
            + kernel_extent(self.kernel[axis], self.dilation[axis])
            - shape[axis + 2]
            - self.pads[axis]
            for axis in (0, 1)
        ]
        return self.pads[0], self.pads[1], max(0, ends[0]), max(0, ends[1])

    def _reduce(self, x: Array, grid: Shape, join: Callable[..., Array]) -> Array:
        """Join each window's samples, first down the rows, then along the columns."""
        for axis in (0, 1):
            taps = [
                _every(x, axis + 2, tap * self.dilation[axis], self.stride[axis], grid[axis])
                for tap in range(self.kernel[axis])
            ]
            if len(taps) == 1:
                x = taps[0]
                continue
            x = join(taps[0], taps[1])
            for tap in taps[2:]:
                join(x, tap, out=x)
        return np.ascontiguousarray(x)

    def describe(self) -> str:
        """Kernel, stride and, where set, dilation and ceil mode."""
        parts = [f"{self.kernel[0]}×{self.kernel[1]}", f"stride {self.stride[0]}"]
        if self.stride[0] != self.stride[1]:
            parts[1] += f"×{self.stride[1]}"
        if self.dilation != (1, 1):
            parts.append(f"dilation {self.dilation[0]}×{self.dilation[1]}")
        if self.ceil_mode:
            parts.append("ceil")
        return ", ".join(parts)


class MaxPool2d(_Pool2d):
    """Largest sample of each window; padding never wins.

    Output height = floor((H + top + bottom - (d*(kh - 1) + 1)) / s) + 1, width alike; with
    ``ceil_mode`` the division rounds up, as long as the last window starts inside the input or
    its leading pad.

    Args:
        kernel: (height, width).
        stride: (height, width).
        dilation: (height, width).
        pads: (top, left, bottom, right), each smaller than the kernel's extent.
        ceil_mode: let a last window hang over the end.

    Raises:
        ParameterError: a setting out of range.
    """

    def forward(self, *inputs: Array) -> Array:
        """Pool one input (N, C, H, W) of any real dtype."""
        (x,) = inputs
        grid = self.output_shape(x.shape)[2:]
        lowest = -np.inf if np.issubdtype(x.dtype, np.floating) else float(np.iinfo(x.dtype).min)
        result = self._reduce(padded(x, self._reach(x.shape, grid), lowest), grid, np.maximum)
        return result.copy() if np.shares_memory(result, x) else result


class AvgPool2d(_Pool2d):
    """Mean of each window; output size as ``MaxPool2d``.

    Args:
        kernel: (height, width).
        stride: (height, width).
        dilation: (height, width).
        pads: (top, left, bottom, right), each smaller than the kernel's extent.
        ceil_mode: let a last window hang over the end; what hangs over is never counted.
        count_include_pad: count padding as samples of value 0.

    Raises:
        ParameterError: a setting out of range.
    """

    def __init__(
        self,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        ceil_mode: bool = False,
        count_include_pad: bool = False,
    ) -> None:
        super().__init__(kernel, stride=stride, dilation=dilation, pads=pads, ceil_mode=ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, *inputs: Array) -> Array:
        """Pool one float input (N, C, H, W)."""
        (x,) = inputs
        grid = self.output_shape(x.shape)[2:]
        total = self._reduce(padded(x, self._reach(x.shape, grid)), grid, np.add)
        counts = self.counts(x.shape)
        if counts.min() < 1:
            raise ShapeError(
                f"{self.kind}: a window over input {x.shape} holds only padding; "
                "at least one sample per window is required"
            )
        return np.asarray(total / counts.astype(x.dtype))

    def counts(self, shape: Shape) -> Array:
        """How many samples each window's mean is taken over.

        Args:
            shape: of the input (N, C, H, W).

        Returns:
            (output height, output width), int64.
        """
        grid = self.output_shape(shape)[2:]
        rows = self._counts(0, shape[2], grid[0])
        columns = self._counts(1, shape[3], grid[1])
        result: Array = np.multiply.outer(np.asarray(rows), np.asarray(columns))
        return result

    def _counts(self, axis: int, size: int, windows: int) -> list[int]:
        """Counted samples of each window along one axis."""
        before, after = self.pads[axis], self.pads[axis + 2]
        low, high = (-before, size + after) if self.count_include_pad else (0, size)
        return [
            sum(
                low <= window * self.stride[axis] - before + tap * self.dilation[axis] < high
                for tap in range(self.kernel[axis])
            )
            for window in range(windows)
        ]

    def macs(self, *inputs: Shape) -> int:
        """Additions: output samples times kernel samples."""
        return prod(self.output_shape(*inputs)) * prod(self.kernel)


class _GlobalPool(Layer):
    """Shape rule of the pools that reduce each channel to one sample."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C, 1, 1): every axis after the channels becomes 1."""
        shape = channel_input(self.kind, inputs)
        if 0 in shape[2:]:
            raise ShapeError(
                f"{self.kind}: input shape is {shape}; at least one sample per channel is required"
            )
        return *shape[:2], *(1 for _ in shape[2:])

    def _axes(self, x: Array) -> tuple[int, ...]:
        self.output_shape(x.shape)
        return tuple(range(2, x.ndim))


class GlobalAvgPool2d(_GlobalPool):
    """Mean of each channel: (N, C, H, W) → (N, C, 1, 1)."""

    def forward(self, *inputs: Array) -> Array:
        """Pool one float input."""
        (x,) = inputs
        return np.asarray(x.mean(axis=self._axes(x), keepdims=True))

    def macs(self, *inputs: Shape) -> int:
        """One addition per sample."""
        return prod(channel_input(self.kind, inputs))


class GlobalMaxPool2d(_GlobalPool):
    """Largest sample of each channel: (N, C, H, W) → (N, C, 1, 1)."""

    def forward(self, *inputs: Array) -> Array:
        """Pool one input."""
        (x,) = inputs
        return np.asarray(x.max(axis=self._axes(x), keepdims=True))


def _every(x: Array, axis: int, start: int, step: int, count: int) -> Array:
    """``count`` samples along an axis, from ``start`` on, ``step`` apart."""
    index: list[slice] = [slice(None)] * x.ndim
    index[axis] = slice(start, start + (count - 1) * step + 1, step)
    return x[tuple(index)]
