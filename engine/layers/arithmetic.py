"""Arithmetic of two inputs, means over axes, and layers that hand their input on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import broadcast, input_count, normal_axes, one_input


class _Binary(Layer):
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


class Add(_Binary):
    """``first + second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first + second``."""
        return np.asarray(first + second)


class Sub(_Binary):
    """``first - second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first - second``."""
        return np.asarray(first - second)


class Mul(_Binary):
    """``first * second``."""

    def join(self, first: Array, second: Array) -> Array:
        """``first * second``."""
        return np.asarray(first * second)


class Div(_Binary):
    """``first / second``; integers divide towards zero, as in ONNX."""

    def join(self, first: Array, second: Array) -> Array:
        """``first / second``."""
        if np.issubdtype(first.dtype, np.floating):
            return np.asarray(first / second)
        # Floor division is off by one where the signs differ and there is a remainder.
        floor = first // second
        off = (first % second != 0) & ((first < 0) != (second < 0))
        return np.asarray(floor + off.astype(floor.dtype))


class ReduceMean(Layer):
    """Mean over some axes.

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
        """Reduce one float input."""
        (x,) = inputs
        self.output_shape(x.shape)
        result = np.mean(x, axis=self._chosen(x.ndim), keepdims=self.keep_dims, dtype=x.dtype)
        return np.asarray(result)

    def macs(self, *inputs: Shape) -> int:
        """One addition per input sample."""
        return prod(one_input(self.kind, inputs))

    def describe(self) -> str:
        """The axes."""
        return "all axes" if self.axes is None else f"axes {', '.join(map(str, self.axes))}"


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

    def forward(self, *inputs: Array) -> Array:
        """Return the array itself; callers must not write into it."""
        input_count(self.kind, [x.shape for x in inputs], 0)
        return self.value

    def describe(self) -> str:
        """Shape and dtype."""
        return f"{'×'.join(map(str, self.value.shape)) or 'scalar'} {self.value.dtype}"
