"""Comparisons and truth values, what chooses by them, and changes of type."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.errors import ParameterError
from twinlens.engine.layers.base import Array, DType, Layer, Shape
from twinlens.engine.layers.checks import broadcast, input_count, one_input
from twinlens.engine.layers.saturate import saturated

_TRUTH = np.dtype(bool)
_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


class Truth(Layer):
    """Two inputs joined to truth values; shapes broadcast by NumPy's rule."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape that both inputs broadcast to."""
        input_count(self.kind, inputs, 2)
        return broadcast(self.kind, *inputs)

    def output_dtype(self, *inputs: DType) -> DType:
        """Truth values."""
        return _TRUTH

    def forward(self, *inputs: Array) -> Array:
        """Join two inputs of one dtype."""
        self.output_shape(*(x.shape for x in inputs))
        return np.asarray(self.join(inputs[0], inputs[1]))

    @abstractmethod
    def join(self, first: Array, second: Array) -> Array:
        """The operation itself."""


class Equal(Truth):
    """``first == second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first == second``."""
        return np.equal(first, second)


class Greater(Truth):
    """``first > second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first > second``."""
        return np.greater(first, second)


class GreaterOrEqual(Truth):
    """``first >= second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first >= second``."""
        return np.greater_equal(first, second)


class Less(Truth):
    """``first < second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first < second``."""
        return np.less(first, second)


class LessOrEqual(Truth):
    """``first <= second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first <= second``."""
        return np.less_equal(first, second)


class And(Truth):
    """Whether both hold."""

    def join(self, first: Array, second: Array) -> Array:
        """``first and second``."""
        return np.logical_and(first, second)


class Or(Truth):
    """Whether one or both hold."""

    def join(self, first: Array, second: Array) -> Array:
        """``first or second``."""
        return np.logical_or(first, second)


class Xor(Truth):
    """Whether exactly one holds."""

    def join(self, first: Array, second: Array) -> Array:
        """``first != second``."""
        return np.logical_xor(first, second)


class _Question(Layer):
    """A truth value for each sample."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return one_input(self.kind, inputs)

    def output_dtype(self, *inputs: DType) -> DType:
        """Truth values."""
        return _TRUTH


class Not(_Question):
    """Whether it does not hold."""

    def forward(self, *inputs: Array) -> Array:
        """``not x``."""
        (x,) = inputs
        return np.asarray(np.logical_not(x))


class IsNaN(_Question):
    """Whether a sample is not a number."""

    def forward(self, *inputs: Array) -> Array:
        """Look at one float input."""
        (x,) = inputs
        return np.asarray(np.isnan(x))


class IsInf(_Question):
    """Whether a sample is infinite.

    Args:
        negative: whether minus infinity counts.
        positive: whether plus infinity counts.
    """

    def __init__(self, *, negative: bool = True, positive: bool = True) -> None:
        self.negative, self.positive = bool(negative), bool(positive)

    def forward(self, *inputs: Array) -> Array:
        """Look at one float input."""
        (x,) = inputs
        wanted = np.where(x > 0, self.positive, self.negative)
        return np.asarray(np.isinf(x) & wanted)


class Where(Layer):
    """``second`` where ``first`` holds, ``third`` elsewhere; shapes broadcast."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape that all three inputs broadcast to."""
        input_count(self.kind, inputs, 3)
        return broadcast(self.kind, *inputs)

    def output_dtype(self, *inputs: DType) -> DType:
        """That of what is chosen from."""
        return inputs[1]

    def forward(self, *inputs: Array) -> Array:
        """Choose; the last two inputs have one dtype."""
        self.output_shape(*(x.shape for x in inputs))
        condition, first, second = inputs
        return np.where(condition.astype(bool), first, second)


class Cast(Layer):
    """Samples in another type: numbers, whole numbers or truth values.

    Floats become whole numbers by leaving out what follows the point; what a type cannot hold
    becomes its nearest value, and what is not a number 0. Floats that are cast to floats stay as
    they are: a network runs in the float type of its input.

    Args:
        dtype: ``"float32"``, ``"bool"`` or a type of integers.

    Raises:
        ParameterError: another type.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.name not in (*_TYPES, "float32"):
            raise ParameterError(
                f"{self.kind}: dtype is {self.dtype}; float32 or one of {', '.join(_TYPES)} is "
                "required"
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return one_input(self.kind, inputs)

    def output_dtype(self, *inputs: DType) -> DType:
        """The type, or the input's own float type."""
        return inputs[0] if self._stays(inputs[0]) else self.dtype

    def forward(self, *inputs: Array) -> Array:
        """Cast one input; the input itself where nothing changes."""
        (x,) = inputs
        if self._stays(x.dtype):
            return x
        if x.dtype.kind == "f" and self.dtype.kind in "iu":
            return saturated(np.trunc(x), self.dtype)
        return x.astype(self.dtype)

    def _stays(self, given: DType) -> bool:
        return given == self.dtype or (given.kind == "f" and self.dtype.kind == "f")

    def describe(self) -> str:
        """The type."""
        return f"to {self.dtype}"
