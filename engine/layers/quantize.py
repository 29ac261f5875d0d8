"""Between real numbers and small integers: ``real = (integer - zero_point) * scale``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, DType, Layer, Shape, cast_like
from twinlens.engine.layers.checks import normal_axis, one_input
from twinlens.engine.layers.saturate import saturated

_STORED = ("uint8", "int8", "uint16", "int16")
_READ = (*_STORED, "int32")


class _Affine(Layer):
    """Scale and zero point, one for all or one per slice of an axis."""

    def __init__(self, scale: Array, zero_point: Array | None, axis: int) -> None:
        self.scale = np.asarray(scale)
        if self.scale.ndim > 1 or not np.issubdtype(self.scale.dtype, np.floating):
            raise ParameterError(
                f"{self.kind}: scale has shape {self.scale.shape} and dtype {self.scale.dtype}; "
                "a float scalar or one float per slice is required"
            )
        self.zero_point = None if zero_point is None else np.asarray(zero_point)
        if self.zero_point is not None and self.zero_point.shape != self.scale.shape:
            raise ParameterError(
                f"{self.kind}: zero_point has shape {self.zero_point.shape}; the scale's "
                f"{self.scale.shape} is required"
            )
        self.axis = int(axis)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``scale`` and, where there is one, ``zero_point``."""
        if self.zero_point is None:
            return {"scale": self.scale}
        return {"scale": self.scale, "zero_point": self.zero_point}

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        shape = one_input(self.kind, inputs)
        if self.scale.size > 1:
            axis = normal_axis(self.kind, self.axis, len(shape))
            if shape[axis] != self.scale.size:
                raise ShapeError(
                    f"{self.kind}: input {shape} has {shape[axis]} slices on axis {axis}; "
                    f"{self.scale.size} are required, one per scale"
                )
        return shape

    def _along_axis(self, values: Array, rank: int) -> Array:
        """Values shaped so that they broadcast along the axis."""
        if values.size == 1:
            return values.reshape(())
        shape = [1] * rank
        shape[self.axis] = values.size
        return values.reshape(shape)

    def describe(self) -> str:
        """One scale, or how many along which axis."""
        if self.scale.size == 1:
            return f"scale {float(self.scale.reshape(())):g}"
        return f"{self.scale.size} scales, axis {self.axis}"


class QuantizeLinear(_Affine):
    """``saturate(round(x / scale) + zero_point)``, rounding halves to even.

    What is not a number becomes 0, that is the zero point.

    Args:
        scale: float scalar, or (slices,) for one per slice of ``axis``.
        zero_point: like ``scale``; its dtype is the output's. None means 0.
        axis: axis of the slices.
        dtype: uint8, int8, uint16 or int16; uint8 when there is neither it nor a zero point.

    Raises:
        ParameterError: a parameter of the wrong shape or dtype.
    """

    def __init__(
        self,
        scale: Array,
        zero_point: Array | None = None,
        *,
        axis: int = 1,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(scale, zero_point, axis)
        stored = np.dtype(np.uint8) if dtype is None else np.dtype(dtype)
        if self.zero_point is not None:
            stored = self.zero_point.dtype if dtype is None else stored
            if stored != self.zero_point.dtype:
                raise ParameterError(
                    f"{self.kind}: zero_point is {self.zero_point.dtype}; {stored} is required"
                )
        if stored.name not in _STORED:
            raise ParameterError(
                f"{self.kind}: output dtype is {stored}; one of {', '.join(_STORED)} is required"
            )
        self.dtype = stored

    def output_dtype(self, *inputs: DType) -> DType:
        """The integers' type."""
        return self.dtype

    def forward(self, *inputs: Array) -> Array:
        """Quantise one float input."""
        (x,) = inputs
        self.output_shape(x.shape)
        steps = np.rint(x / self._along_axis(cast_like(self.scale, x), x.ndim))
        if self.zero_point is not None:
            # Float16 cannot count up to 65,535, so that the sum is taken in at least float32.
            real = np.promote_types(x.dtype, np.float32)
            steps = np.where(np.isnan(steps), 0, steps).astype(real)
            steps = steps + self._along_axis(self.zero_point, x.ndim).astype(real)
        return saturated(steps, self.dtype)

    def describe(self) -> str:
        """Scales and dtype."""
        return f"{super().describe()}, {self.dtype}"


class DequantizeLinear(_Affine):
    """``(x - zero_point) * scale`` in the dtype of ``scale``.

    Args:
        scale: float scalar, or (slices,) for one per slice of ``axis``.
        zero_point: like ``scale``, in the input's dtype. None means 0.
        axis: axis of the slices.

    Raises:
        ParameterError: a parameter of the wrong shape.
    """

    def __init__(self, scale: Array, zero_point: Array | None = None, *, axis: int = 1) -> None:
        super().__init__(scale, zero_point, axis)

    def output_dtype(self, *inputs: DType) -> DType:
        """The scale's type."""
        return self.scale.dtype

    def forward(self, *inputs: Array) -> Array:
        """Dequantise one input of uint8, int8, uint16, int16 or int32."""
        (x,) = inputs
        self.output_shape(x.shape)
        if x.dtype.name not in _READ:
            raise ShapeError(
                f"{self.kind}: input dtype is {x.dtype}; one of {', '.join(_READ)} is required"
            )
        steps = x.astype(np.int64)
        if self.zero_point is not None:
            steps = steps - self._along_axis(self.zero_point, x.ndim).astype(np.int64)
        return np.asarray(steps.astype(self.scale.dtype) * self._along_axis(self.scale, x.ndim))
