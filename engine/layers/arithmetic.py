"""Arithmetic of two inputs, and layers that hand their input on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from twinlens.engine.layers.base import Array, DType, Layer, Shape
from twinlens.engine.layers.checks import broadcast, choice, input_count, one_input


class Binary(Layer):
    """Two inputs joined sample by sample; shapes broadcast by NumPy's rule."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape that both inputs broadcast to."""
        input_count(self.kind, inputs, 2)
        return broadcast(self.kind, *inputs)

    def forward(self, *inputs: Array) -> Array:
        """Join two inputs of one dtype."""
        self.output_shape(*(x.shape for x in inputs))
        return np.asarray(self.join(inputs[0], inputs[1]))

    @abstractmethod
    def join(self, first: Array, second: Array) -> Array:
        """The operation itself."""

    def macs(self, *inputs: Shape) -> int:
        """One per output sample."""
        return prod(self.output_shape(*inputs))


class Add(Binary):
    """``first + second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first + second``."""
        return np.asarray(first + second)


class Sub(Binary):
    """``first - second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first - second``."""
        return np.asarray(first - second)


class Mul(Binary):
    """``first * second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first * second``."""
        return np.asarray(first * second)


class Div(Binary):
    """``first / second``; integers divide towards zero, as in ONNX."""

    def join(self, first: Array, second: Array) -> Array:
        """``first / second``."""
        if np.issubdtype(first.dtype, np.floating):
            return np.asarray(first / second)
        # Floor division is off by one where the signs differ and there is a remainder.
        floor = first // second
        off = (first % second != 0) & ((first < 0) != (second < 0))
        return np.asarray(floor + off.astype(floor.dtype))


class Pow(Binary):
    """``first ** second``, in the first's type."""

    def join(self, first: Array, second: Array) -> Array:
        """``first ** second``."""
        whole = first.dtype.kind in "iu"
        # NumPy refuses whole numbers with negative exponents.
        base = first.astype(np.float64) if whole and second.dtype.kind == "f" else first
        return np.asarray(np.power(base, second)).astype(first.dtype, copy=False)


class Maximum(Binary):
    """The larger of both; not a number where one is not."""

    def join(self, first: Array, second: Array) -> Array:
        """``max(first, second)``."""
        return np.asarray(np.maximum(first, second))


class Minimum(Binary):
    """The smaller of both; not a number where one is not."""

    def join(self, first: Array, second: Array) -> Array:
        """``min(first, second)``."""
        return np.asarray(np.minimum(first, second))


class Mod(Binary):
    """What remains of ``first / second``.

    Args:
        truncated: the remainder has the first's sign (C's ``fmod``) instead of the second's.
    """

    def __init__(self, *, truncated: bool = False) -> None:
        self.truncated = bool(truncated)

    def join(self, first: Array, second: Array) -> Array:
        """``first mod second``."""
        if self.truncated:
            return np.asarray(np.fmod(first, second))
        return np.asarray(np.mod(first, second))


_BITS: dict[str, Callable[[Array, Array], Array]] = {
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "left": np.left_shift,
    "right": np.right_shift,
}


class Bitwise(Binary):
    """Two whole numbers joined bit by bit.

    Args:
        operation: ``"and"``, ``"or"``, ``"xor"``, or ``"left"`` and ``"right"`` for the first
            shifted by the second.

    Raises:
        ParameterError: another operation.
    """

    def __init__(self, operation: str) -> None:
        self.operation = choice(self.kind, "operation", operation, tuple(_BITS))

    def join(self, first: Array, second: Array) -> Array:
        """The operation."""
        return np.asarray(_BITS[self.operation](first, second))

    def describe(self) -> str:
        """The operation."""
        return self.operation


class Identity(Layer):
    """Hands its input on, uncopied."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return one_input(self.kind, inputs)

    def forward(self, *inputs: Array) -> Array:
        """Return the input itself."""
        (x,) = inputs
        return x


class Dropout(Identity):
    """Drops samples in training; at inference it hands its input on, uncopied.

    Args:
        rate: share that was dropped in training, for the summary only.
    """

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = float(rate)

    def describe(self) -> str:
        """The rate."""
        return f"rate {self.rate:g}"


class Constant(Layer):
    """A fixed array that takes no input.

    The forward returns it in its own dtype: there is no input to be like. A graph that runs in
    another float type casts it.

    Args:
        value: the array, any dtype and shape.
    """

    def __init__(self, value: Array) -> None:
        self.value = np.asarray(value)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``value``."""
        return {"value": self.value}

    def output_shape(self, *inputs: Shape) -> Shape:
        """The array's shape."""
        input_count(self.kind, inputs, 0)
        return tuple(self.value.shape)

    def output_dtype(self, *inputs: DType) -> DType:
        """The array's type."""
        return self.value.dtype

    def forward(self, *inputs: Array) -> Array:
        """Return the array itself; callers must not write into it."""
        input_count(self.kind, [x.shape for x in inputs], 0)
        return self.value

    def describe(self) -> str:
        """Shape and dtype."""
        return f"{'×'.join(map(str, self.value.shape)) or 'scalar'} {self.value.dtype}"
