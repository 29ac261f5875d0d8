"""Sums, means, extremes and places of extremes over axes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ShapeError
from twinlens.engine.layers.base import Array, DType, Layer, Shape
from twinlens.engine.layers.checks import normal_axes, normal_axis, one_input


class Reduce(Layer):
    """Some axes reduced to one sample each.

    Args:
        axes: axes to reduce, negative from the end; None means all.
        keep_dims: keep each reduced axis with size 1.
    """

    def __init__(self, axes: Sequence[int] | None = None, *, keep_dims: bool = True) -> None:
        self.axes = None if axes is None else tuple(int(axis) for axis in axes)
        self.keep_dims = bool(keep_dims)

    def _chosen(self, rank: int) -> Shape:
        return tuple(range(rank)) if self.axes is None else normal_axes(self.kind, self.axes, rank)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape with the reduced axes 1 or gone."""
        shape = one_input(self.kind, inputs)
        chosen = self._chosen(len(shape))
        if any(shape[axis] == 0 for axis in chosen):
            raise ShapeError(
                f"{self.kind}: input {shape} is empty along axes {chosen}; "
                "at least one sample is required"
            )
        if self.keep_dims:
            return tuple(1 if axis in chosen else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in chosen)

    def forward(self, *inputs: Array) -> Array:
        """Reduce one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        result = np.asarray(self.reduce(x, self._chosen(x.ndim), self.keep_dims))
        return result.astype(x.dtype, copy=False)

    @abstractmethod
    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """The reduction itself."""

    def macs(self, *inputs: Shape) -> int:
        """One addition per input sample."""
        return prod(one_input(self.kind, inputs))

    def describe(self) -> str:
        """The axes."""
        return "all axes" if self.axes is None else f"axes {', '.join(map(str, self.axes))}"


class ReduceMean(Reduce):
    """Mean over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``Σ x / n``."""
        return np.asarray(np.mean(x, axis=axes, keepdims=keep_dims, dtype=x.dtype))


class ReduceSum(Reduce):
    """Sum over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``Σ x``."""
        return np.asarray(np.sum(x, axis=axes, keepdims=keep_dims, dtype=x.dtype))


class ReduceMax(Reduce):
    """Largest sample over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``max x``."""
        return np.asarray(np.max(x, axis=axes, keepdims=keep_dims))


class ReduceMin(Reduce):
    """Smallest sample over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``min x``."""
        return np.asarray(np.min(x, axis=axes, keepdims=keep_dims))


class ReduceProd(Reduce):
    """Product over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``Π x``."""
        return np.asarray(np.prod(x, axis=axes, keepdims=keep_dims, dtype=x.dtype))


class ReduceL1(Reduce):
    """Sum of absolute values over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``Σ |x|``."""
        return np.asarray(np.sum(np.abs(x), axis=axes, keepdims=keep_dims, dtype=x.dtype))


class ReduceL2(Reduce):
    """Euclidean length over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``√Σ x²``."""
        return np.asarray(np.sqrt(_squares(x, axes, keep_dims)))


class ReduceSumSquare(Reduce):
    """Sum of squares over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``Σ x²``."""
        return _squares(x, axes, keep_dims)


class ReduceLogSum(Reduce):
    """Logarithm of the sum over some axes."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``ln Σ x``."""
        return np.asarray(np.log(np.sum(x, axis=axes, keepdims=keep_dims, dtype=x.dtype)))


class ReduceLogSumExp(Reduce):
    """Logarithm of the sum of exponentials over some axes, without overflow on the way."""

    def reduce(self, x: Array, axes: Shape, keep_dims: bool) -> Array:
        """``ln Σ eˣ``."""
        if x.dtype.kind != "f":
            x = x.astype(np.float64)
        most = np.max(x, axis=axes, keepdims=True)
        most = np.where(np.isfinite(most), most, 0).astype(x.dtype)
        total = np.log(np.sum(np.exp(x - most), axis=axes, keepdims=True, dtype=x.dtype)) + most
        return np.asarray(total if keep_dims else np.squeeze(total, axes))


def _squares(x: Array, axes: Shape, keep_dims: bool) -> Array:
    return np.asarray(np.sum(np.square(x), axis=axes, keepdims=keep_dims, dtype=x.dtype))


class Place(Layer):
    """Place of an extreme along one axis, as int64.

    Args:
        axis: the axis, negative from the end.
        keep_dims: keep it with size 1.
        last: of equal ones the last.
    """

    def __init__(self, axis: int = 0, *, keep_dims: bool = True, last: bool = False) -> None:
        self.axis, self.keep_dims, self.last = int(axis), bool(keep_dims), bool(last)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape with the axis 1 or gone."""
        shape = one_input(self.kind, inputs)
        axis = normal_axis(self.kind, self.axis, len(shape))
        if shape[axis] == 0:
            raise ShapeError(f"{self.kind}: input {shape} is empty along axis {axis}")
        return (*shape[:axis], *((1,) if self.keep_dims else ()), *shape[axis + 1 :])

    def output_dtype(self, *inputs: DType) -> DType:
        """Whole numbers."""
        return np.dtype(np.int64)

    def forward(self, *inputs: Array) -> Array:
        """Find the places in one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        if self.last:
            x = np.flip(x, self.axis)
        place = np.asarray(self.find(x), np.int64)
        if self.last:
            place = x.shape[self.axis] - 1 - place
        return np.expand_dims(place, self.axis % x.ndim) if self.keep_dims else place

    @abstractmethod
    def find(self, x: Array) -> Array:
        """The places themselves, without the axis."""

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"


class ArgMax(Place):
    """Place of the largest sample along an axis, as int64."""

    def find(self, x: Array) -> Array:
        """The first of the largest."""
        return np.asarray(np.argmax(x, self.axis))


class ArgMin(Place):
    """Place of the smallest sample along an axis, as int64."""

    def find(self, x: Array) -> Array:
        """The first of the smallest."""
        return np.asarray(np.argmin(x, self.axis))


class CumSum(Layer):
    """Sum of all samples up to each one, along an axis.

    Args:
        axis: the axis, negative from the end.
        exclusive: leave the sample itself out.
        reverse: begin at the end.
    """

    def __init__(self, axis: int = 0, *, exclusive: bool = False, reverse: bool = False) -> None:
        self.axis, self.exclusive, self.reverse = int(axis), bool(exclusive), bool(reverse)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        shape = one_input(self.kind, inputs)
        normal_axis(self.kind, self.axis, len(shape))
        return shape

    def forward(self, *inputs: Array) -> Array:
        """Add up one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        turned = np.flip(x, self.axis) if self.reverse else x
        total = np.cumsum(turned, self.axis, dtype=x.dtype)
        if self.exclusive:
            total = total - turned
        return np.ascontiguousarray(np.flip(total, self.axis) if self.reverse else total)

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"
