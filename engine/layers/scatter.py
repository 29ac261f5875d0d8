"""Samples written into a copy of an array, and columns of windows added up to a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import (
    choice,
    four_pads,
    input_count,
    normal_axis,
    one_input,
    pair,
)

_JOINS: dict[str, Callable[..., None]] = {
    "add": np.add.at,
    "mul": np.multiply.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


class _Scatter(Layer):
    """What both scatters share: three inputs (data, indices, updates), the first one's shape.

    Args:
        reduction: ``"none"``: an update takes the sample's place; ``"add"``, ``"mul"``, ``"max"``,
            ``"min"``: it is joined with it, and so are several updates of one sample.

    Raises:
        ParameterError: another reduction.
    """

    def __init__(self, reduction: str = "none") -> None:
        self.reduction = choice(self.kind, "reduction", reduction, ("none", *_JOINS))

    def _write(self, result: Array, places: tuple[Array, ...], updates: Array) -> Array:
        if self.reduction == "none":
            result[places] = updates
        else:
            _JOINS[self.reduction](result, places, updates)
        return result


class ScatterElements(_Scatter):
    """``y = x; y[indices[i, j], j] = updates[i, j]`` for axis 0, and so on for the others.

    Negative indices count from the end. https://onnx.ai/onnx/operators/onnx__ScatterElements.html

    Args:
        axis: the axis, negative from the end.
        reduction: how an update and the sample are joined.
    """

    def __init__(self, axis: int = 0, reduction: str = "none") -> None:
        super().__init__(reduction)
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The first input's shape."""
        input_count(self.kind, inputs, 3)
        data, indices, updates = inputs
        axis = normal_axis(self.kind, self.axis, len(data))
        rest = [(n, m) for at, (n, m) in enumerate(zip(data, indices, strict=False)) if at != axis]
        fits = len(data) == len(indices) and all(wanted <= size for size, wanted in rest)
        if not fits or indices != updates:
            raise ShapeError(
                f"{self.kind}: indices of shape {indices} and updates of {updates} for {data}; "
                f"equal shapes that fit it but on axis {axis} are required"
            )
        return data

    def forward(self, *inputs: Array) -> Array:
        """Write into a copy; raises IndexError beyond its end."""
        data, indices, updates = inputs
        self.output_shape(data.shape, indices.shape, updates.shape)
        places: list[Array] = list(np.indices(indices.shape, sparse=True))
        places[self.axis % data.ndim] = indices.astype(np.int64, copy=False)
        return self._write(data.copy(), tuple(places), updates)

    def describe(self) -> str:
        """Axis and reduction."""
        return f"axis {self.axis}" + ("" if self.reduction == "none" else f", {self.reduction}")


class ScatterND(_Scatter):
    """``y = x; y[indices[i]] = updates[i]``: the last axis of the indices names a slice.

    https://onnx.ai/onnx/operators/onnx__ScatterND.html

    Args:
        reduction: how an update and what is there are joined.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        """The first input's shape."""
        input_count(self.kind, inputs, 3)
        data, indices, updates = inputs
        depth = indices[-1] if indices else len(data) + 1
        if depth > len(data) or updates != (*indices[:-1], *data[depth:]):
            raise ShapeError(
                f"{self.kind}: indices of shape {indices} and updates of {updates} do not fit "
                f"{data}; updates of {(*indices[:-1], *data[depth:])} are required"
            )
        return data

    def forward(self, *inputs: Array) -> Array:
        """Write into a copy; raises IndexError beyond its end."""
        data, indices, updates = inputs
        self.output_shape(data.shape, indices.shape, updates.shape)
        places = tuple(np.moveaxis(indices.astype(np.int64, copy=False), -1, 0))
        return self._write(data.copy(), places, updates)

    def describe(self) -> str:
        """The reduction."""
        return "" if self.reduction == "none" else self.reduction


class Col2Im(Layer):
    """Columns (N, C · kh · kw, L) as a picture (N, C, H, W): windows added where they overlap.

    The inverse of taking windows of a picture, PyTorch's ``fold``:
    https://onnx.ai/onnx/operators/onnx__Col2Im.html

    Args:
        size: (height, width) of the picture.
        kernel: (height, width) of a window.
        stride: (vertical, horizontal).
        dilation: (vertical, horizontal).
        pads: (top, left, bottom, right), which are cut off again.

    Raises:
        ParameterError: settings of another count or size.
    """

    def __init__(
        self,
        size: Sequence[int],
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        self.size = pair(self.kind, "size", size)
        self.kernel = pair(self.kind, "kernel", kernel)
        self.stride = pair(self.kind, "stride", stride)
        self.dilation = pair(self.kind, "dilation", dilation)
        self.pads = four_pads(self.kind, pads)
        if min(self._grid()) < 1:
            raise ParameterError(f"{self.kind}: no window of {self.kernel} fits {self.size}")

    def _grid(self) -> tuple[int, int]:
        """How many windows lie (below, beside) each other."""
        rows, columns = (
            (self.size[a] + self.pads[a] + self.pads[a + 2] - self.dilation[a] * (k - 1) - 1)
            // self.stride[a]
            + 1
            for a, k in enumerate(self.kernel)
        )
        return rows, columns

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C, height, width)."""
        shape = one_input(self.kind, inputs)
        area, count = prod(self.kernel), prod(self._grid())
        if len(shape) != 3 or shape[1] % area or shape[2] != count:
            raise ShapeError(
                f"{self.kind}: input {shape}; (N, C · {area}, {count}) is required for windows of "
                f"{self.kernel} on {self.size}"
            )
        return shape[0], shape[1] // area, *self.size

    def forward(self, *inputs: Array) -> Array:
        """Add up one input."""
        (x,) = inputs
        n, channels, height, width = self.output_shape(x.shape)
        rows, columns = self._grid()
        top, left, bottom, right = self.pads
        full = np.zeros((n, channels, height + top + bottom, width + left + right), x.dtype)
        parts = x.reshape(n, channels, *self.kernel, rows, columns)
        for i, j in np.ndindex(*self.kernel):
            down, across = i * self.dilation[0], j * self.dilation[1]
            full[
                :,
                :,
                down : down + rows * self.stride[0] : self.stride[0],
                across : across + columns * self.stride[1] : self.stride[1],
            ] += parts[:, :, i, j]
        return np.ascontiguousarray(full[:, :, top : top + height, left : left + width])

    def macs(self, *inputs: Shape) -> int:
        """One addition per input sample."""
        return prod(one_input(self.kind, inputs))

    def describe(self) -> str:
        """Window and picture."""
        return f"{self.kernel[0]}×{self.kernel[1]} → {self.size[0]}×{self.size[1]}"
