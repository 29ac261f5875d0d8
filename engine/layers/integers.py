"""Integers that are scaled while the network runs, and products of them.

As exporters write dynamic quantisation: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, DType, Layer, Shape
from twinlens.engine.layers.checks import broadcast, choice, one_input
from twinlens.engine.layers.conv import Conv2d
from twinlens.engine.layers.saturate import saturated

_PARTS = ("values", "scale", "zero_point")


class DynamicQuantizeLinear(Layer):
    """uint8 over the input's own range, from its smallest sample to its largest and 0.

    ``scale = (max - min) / 255``, ``zero_point = round(-min / scale)``,
    ``values = saturate(round(x / scale) + zero_point)``; halves go to the even one. Where all
    samples are 0 the scale is 1.

    Args:
        part: which of the three the output is: ``"values"``, ``"scale"`` or ``"zero_point"``.

    Raises:
        ParameterError: another part.
    """

    def __init__(self, part: str = "values") -> None:
        self.part = choice(self.kind, "part", part, _PARTS)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape, or that of a scalar."""
        shape = one_input(self.kind, inputs)
        return shape if self.part == "values" else ()

    def output_dtype(self, *inputs: DType) -> DType:
        """uint8; of the scale the input's."""
        return inputs[0] if self.part == "scale" else np.dtype(np.uint8)

    def forward(self, *inputs: Array) -> Array:
        """Quantise one float input."""
        (x,) = inputs
        low, high = (x.dtype.type(end(x, initial=0)) for end in (np.min, np.max))
        scale = (high - low) / x.dtype.type(255) if high > low else x.dtype.type(1)
        if self.part == "scale":
            return np.asarray(scale, x.dtype)
        zero = saturated(np.rint(np.asarray(-low / scale)).reshape(1), np.uint8).reshape(())
        if self.part == "zero_point":
            return zero
        return saturated(np.rint(x / scale) + zero.astype(x.dtype), np.uint8)

    def describe(self) -> str:
        """The part."""
        return self.part


class ConvInteger(Layer):
    """A convolution of integers, added up in int32; inputs: picture, and its zero point or none.

    ``y = conv(x - zero_point, weight - weight_zero_point)``, padded with the zero point.

    Args:
        weight: (outputs, inputs / groups, height, width), uint8 or int8.
        weight_zero_point: of the weight's type, scalar or (outputs,); None means 0.
        stride: (vertical, horizontal).
        dilation: (vertical, horizontal).
        groups: channel groups.
        pads: (top, left, bottom, right).

    Raises:
        ParameterError: settings that ``Conv2d`` refuses, or a zero point of another shape.
    """

    def __init__(
        self,
        weight: Array,
        weight_zero_point: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        self.weight = np.asarray(weight)
        zero = weight_zero_point
        self.weight_zero_point = None if zero is None else np.asarray(zero)
        shape = () if zero is None else np.shape(zero)
        if shape not in ((), self.weight.shape[:1]):
            raise ParameterError(
                f"{self.kind}: weight_zero_point has shape {shape}; a scalar or one per output "
                "is required"
            )
        conv = Conv2d(self.weight, stride=stride, dilation=dilation, groups=groups, pads=pads)
        self.stride, self.dilation = conv.stride, conv.dilation
        self.groups, self.pads = conv.groups, conv.pads

    def _conv(self) -> Conv2d:
        """The same convolution in float64, where every sum of 8-bit products is exact."""
        steps = self.weight.astype(np.float64)
        if self.weight_zero_point is not None:
            steps = steps - self.weight_zero_point.astype(np.float64).reshape(-1, 1, 1, 1)
        return Conv2d(
            steps, stride=self.stride, dilation=self.dilation, groups=self.groups, pads=self.pads
        )

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``weight`` and, where there is one, ``weight_zero_point``."""
        zero = self.weight_zero_point
        return {"weight": self.weight} | ({} if zero is None else {"weight_zero_point": zero})

    def output_shape(self, *inputs: Shape) -> Shape:
        """As of ``Conv2d``."""
        if len(inputs) == 2 and prod(inputs[1]) != 1:
            raise ShapeError(f"{self.kind}: zero point has shape {inputs[1]}; one is required")
        return self._conv().output_shape(*(inputs[:1] if len(inputs) == 2 else inputs))

    def output_dtype(self, *inputs: DType) -> DType:
        """int32."""
        return np.dtype(np.int32)

    def forward(self, *inputs: Array) -> Array:
        """Convolve one picture of integers."""
        self.output_shape(*(x.shape for x in inputs))
        steps = inputs[0].astype(np.float64)
        if len(inputs) == 2:
            steps = steps - inputs[1].astype(np.float64).reshape(())
        return self._conv().forward(steps).astype(np.int64).astype(np.int32)

    def macs(self, *inputs: Shape) -> int:
        """As of ``Conv2d``."""
        return self._conv().macs(*inputs[:1])

    def describe(self) -> str:
        """As of ``Conv2d``."""
        return self._conv().describe()


class MatMulInteger(Layer):
    """``(a - a_zero) @ (b - b_zero)`` of integers, added up in int32.

    Inputs: a, b, and the zero points of both, of the first or of none; one for all, one for each
    row of ``a``, one for each column of ``b``.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        """(..., rows, columns)."""
        if not 2 <= len(inputs) <= 4:
            raise ShapeError(f"{self.kind}: received {len(inputs)} inputs; 2 to 4 are required")
        first, second = inputs[:2]
        if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
            raise ShapeError(
                f"{self.kind}: matrices {first} and {second} do not fit; equal inner sizes are "
                "required"
            )
        return *broadcast(self.kind, first[:-2], second[:-2]), first[-2], second[-1]

    def output_dtype(self, *inputs: DType) -> DType:
        """int32."""
        return np.dtype(np.int32)

    def forward(self, *inputs: Array) -> Array:
        """Multiply two matrices of integers."""
        self.output_shape(*(x.shape for x in inputs))
        sides = []
        for place, x in enumerate(inputs[:2]):
            steps = x.astype(np.float64)
            if len(inputs) > place + 2:
                zero = inputs[place + 2].astype(np.float64)
                rows = place == 0 and zero.ndim == 1 and zero.size > 1
                steps = steps - (zero[:, None] if rows else zero)
            sides.append(steps)
        return np.matmul(*sides).astype(np.int64).astype(np.int32)

    def macs(self, *inputs: Shape) -> int:
        """One per product."""
        return prod(self.output_shape(*inputs)) * inputs[0][-1]
