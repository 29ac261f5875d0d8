"""The largest or smallest samples along an axis."""

from __future__ import annotations

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, DType, Layer, Shape
from twinlens.engine.layers.checks import choice, normal_axis, one_input


class TopK(Layer):
    """The ``count`` largest samples along an axis, the largest first; of equal ones the first.

    https://onnx.ai/onnx/operators/onnx__TopK.html

    Args:
        count: how many.
        axis: the axis, negative from the end.
        part: ``"values"``, or ``"places"`` for where they stood, as int64.
        largest: False for the smallest, the smallest first.

    Raises:
        ParameterError: a negative count, or another part.
    """

    def __init__(
        self, count: int, axis: int = -1, *, part: str = "values", largest: bool = True
    ) -> None:
        self.count, self.axis, self.largest = int(count), int(axis), bool(largest)
        self.part = choice(self.kind, "part", part, ("values", "places"))
        if self.count < 0:
            raise ParameterError(f"{self.kind}: count is {count}; at least 0 is required")

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape with the axis of the count's size."""
        shape = one_input(self.kind, inputs)
        axis = normal_axis(self.kind, self.axis, len(shape))
        if shape[axis] < self.count:
            raise ShapeError(
                f"{self.kind}: {self.count} of {shape[axis]} samples along axis {axis} of {shape}"
            )
        return (*shape[:axis], self.count, *shape[axis + 1 :])

    def output_dtype(self, *inputs: DType) -> DType:
        """The input's; whole numbers for places."""
        return inputs[0] if self.part == "values" else np.dtype(np.int64)

    def forward(self, *inputs: Array) -> Array:
        """Sort one input of any type."""
        (x,) = inputs
        self.output_shape(x.shape)
        axis = self.axis % x.ndim
        if self.largest:  # backwards, so that of equal ones the first stays the first
            order = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
            order = x.shape[axis] - 1 - order
        else:
            order = np.argsort(x, axis, kind="stable")
        places = np.take(order, np.arange(self.count), axis).astype(np.int64, copy=False)
        return places if self.part == "places" else np.take_along_axis(x, places, axis)

    def describe(self) -> str:
        """How many of which."""
        which = "largest" if self.largest else "smallest"
        return f"{self.count} {which}, axis {self.axis}, {self.part}"
