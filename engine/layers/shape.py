"""Layers that join, pad or rearrange samples without computing any."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import choice, normal_axes, normal_axis, one_input

_PAD_MODES = ("constant", "reflect", "edge", "wrap")


class Concat(Layer):
    """Inputs joined along one axis; all other sizes must agree.

    Args:
        axis: the axis; negative counts from the end.
    """

    def __init__(self, axis: int = 1) -> None:
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The first input's shape with the sizes along the axis added up."""
        if not inputs:
            raise ShapeError(f"{self.kind}: received no input; at least one is required")
        axis = normal_axis(self.kind, self.axis, len(inputs[0]))
        rest = [(*shape[:axis], *shape[axis + 1 :]) for shape in inputs]
        if any(len(shape) != len(inputs[0]) for shape in inputs) or len(set(rest)) > 1:
            raise ShapeError(
                f"{self.kind}: received shapes {[tuple(shape) for shape in inputs]}; "
                f"equal sizes on all axes but {axis} are required"
            )
        total = sum(shape[axis] for shape in inputs)
        return *inputs[0][:axis], total, *inputs[0][axis + 1 :]

    def forward(self, *inputs: Array) -> Array:
        """Join the inputs."""
        self.output_shape(*(x.shape for x in inputs))
        return np.concatenate(inputs, axis=self.axis)

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"


class Pad(Layer):
    """Samples added around the input, or cut from it where a pad is negative.

    Args:
        pads: (before, after) for each axis; all negative ones are cut before any are added.
        mode: ``"constant"``, ``"reflect"`` (mirrored without the edge), ``"edge"`` (repeated) or
            ``"wrap"`` (from the other end).
        value: what ``"constant"`` adds.

    Raises:
        ParameterError: not pairs of integers, or another mode.
    """

    def __init__(
        self, pads: Sequence[tuple[int, int]], *, mode: str = "constant", value: float = 0.0
    ) -> None:
        if any(len(both) != 2 or any(int(pad) != pad for pad in both) for both in pads):
            raise ParameterError(
                f"{self.kind}: pads are {list(pads)}; a pair of integers per axis is required"
            )
        self.pads = tuple((int(before), int(after)) for before, after in pads)
        self.mode = choice(self.kind, "mode", mode, _PAD_MODES)
        self.value = value

    def output_shape(self, *inputs: Shape) -> Shape:
        """Each size with its pads added."""
        shape = one_input(self.kind, inputs)
        if len(shape) != len(self.pads):
            raise ShapeError(
                f"{self.kind}: input {shape} has {len(shape)} axes; {len(self.pads)} are required"
            )
        result = tuple(
            size + before + after for size, (before, after) in zip(shape, self.pads, strict=True)
        )
        left = [size + min(b, 0) + min(a, 0) for size, (b, a) in zip(shape, self.pads, strict=True)]
        grown = [max(before, after) > 0 for before, after in self.pads]
        empty = any(size < 1 and grows for size, grows in zip(left, grown, strict=True))
        if min(left, default=0) < 0 or (empty and self.mode != "constant"):
            raise ShapeError(
                f"{self.kind}: pads {self.pads} cut input {shape} to {tuple(left)}; "
                "samples must remain to pad from"
            )
        return result

    def forward(self, *inputs: Array) -> Array:
        """Pad one input of any dtype."""
        (x,) = inputs
        self.output_shape(x.shape)
        cut = tuple(
            slice(max(0, -before), size - max(0, -after))
            for size, (before, after) in zip(x.shape, self.pads, strict=True)
        )
        added = [(max(0, before), max(0, after)) for before, after in self.pads]
        rest = x[cut]
        if self.mode == "constant":
            shape = [b + size + a for size, (b, a) in zip(rest.shape, added, strict=True)]
            result = np.full(shape, self.value, x.dtype)
            inner = tuple(
                slice(before, before + size)
                for size, (before, _) in zip(rest.shape, added, strict=True)
            )
            result[inner] = rest
            return result
        if self.mode == "reflect":
            return np.pad(rest, added, mode="reflect")
        return np.pad(rest, added, mode="edge" if self.mode == "edge" else "wrap")

    def describe(self) -> str:
        """Mode and pads."""
        return f"{self.mode}, {' '.join(f'{before},{after}' for before, after in self.pads)}"


class Flatten(Layer):
    """Two axes: all sizes before ``axis`` multiplied, and all from it on.

    Args:
        axis: 0 to the rank; negative counts from the end.
    """

    def __init__(self, axis: int = 1) -> None:
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """(product before the axis, product from the axis on)."""
        shape = one_input(self.kind, inputs)
        rank = len(shape)
        if not -rank <= self.axis <= rank:
            raise ShapeError(
                f"{self.kind}: axis {self.axis} does not exist; an input of {rank} axes "
                f"requires {-rank} to {rank}"
            )
        axis = self.axis + rank if self.axis < 0 else self.axis
        return prod(shape[:axis]), prod(shape[axis:])

    def forward(self, *inputs: Array) -> Array:
        """Reshape one input; a view where memory order allows."""
        (x,) = inputs
        return x.reshape(self.output_shape(x.shape))

    def describe(self) -> str:
        """The axis, unless it is 1."""
        return "" if self.axis == 1 else f"axis {self.axis}"


class Reshape(Layer):
    """The same samples in another shape.

    Args:
        shape: new sizes; one may be -1 (what remains), and 0 copies the input's size at its
            place unless ``allow_zero``.
        allow_zero: 0 means an empty axis.

    Raises:
        ParameterError: two sizes of -1, one below -1, or -1 beside a literal 0.
    """

    def __init__(self, shape: Sequence[int], *, allow_zero: bool = False) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.allow_zero = bool(allow_zero)
        both = self.allow_zero and 0 in self.shape and -1 in self.shape
        if self.shape.count(-1) > 1 or any(size < -1 for size in self.shape) or both:
            raise ParameterError(
                f"{self.kind}: shape is {self.shape}; sizes of at least 0 and at most one -1 "
                "are required, and no -1 beside an empty axis"
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        """The new shape with -1 and 0 filled in."""
        shape = one_input(self.kind, inputs)
        copied = [at for at, size in enumerate(self.shape) if size == 0 and not self.allow_zero]
        if copied and copied[-1] >= len(shape):
            raise ShapeError(
                f"{self.kind}: input {shape} has no axis {copied[-1]}, which the 0 in "
                f"{self.shape} copies; at least {copied[-1] + 1} axes are required"
            )
        sizes = [shape[at] if at in copied else size for at, size in enumerate(self.shape)]
        if -1 in sizes:
            known = prod(size for size in sizes if size != -1)
            fits = known > 0 and prod(shape) % known == 0
            sizes[sizes.index(-1)] = prod(shape) // known if fits else 0
        if prod(sizes) != prod(shape):
            raise ShapeError(
                f"{self.kind}: input {shape} has {prod(shape)} samples; "
                f"they do not fit the required shape {self.shape}"
            )
        return tuple(sizes)

    def forward(self, *inputs: Array) -> Array:
        """Reshape one input; a view where memory order allows."""
        (x,) = inputs
        return x.reshape(self.output_shape(x.shape))

    def describe(self) -> str:
        """The shape as given."""
        return "×".join(str(size) for size in self.shape)


class Squeeze(Layer):
    """Axes of size 1 taken away.

    Args:
        axes: which, negative from the end; None means all of size 1.
    """

    def __init__(self, axes: Sequence[int] | None = None) -> None:
        self.axes = None if axes is None else tuple(int(axis) for axis in axes)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape without those axes."""
        shape = one_input(self.kind, inputs)
        if self.axes is None:
            return tuple(size for size in shape if size != 1)
        chosen = normal_axes(self.kind, self.axes, len(shape))
        if any(shape[axis] != 1 for axis in chosen):
            raise ShapeError(
                f"{self.kind}: input {shape} has other sizes on axes {chosen}; 1 is required"
            )
        return tuple(size for axis, size in enumerate(shape) if axis not in chosen)

    def forward(self, *inputs: Array) -> Array:
        """Reshape one input; a view where memory order allows."""
        (x,) = inputs
        return x.reshape(self.output_shape(x.shape))

    def describe(self) -> str:
        """The axes."""
        return "" if self.axes is None else f"axes {', '.join(map(str, self.axes))}"


class Unsqueeze(Layer):
    """Axes of size 1 put in.

    Args:
        axes: their places in the output, negative from its end.
    """

    def __init__(self, axes: Sequence[int]) -> None:
        self.axes = tuple(int(axis) for axis in axes)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape with a 1 at each of the axes."""
        shape = one_input(self.kind, inputs)
        rank = len(shape) + len(self.axes)
        chosen = normal_axes(self.kind, self.axes, rank)
        rest = iter(shape)
        return tuple(1 if axis in chosen else next(rest) for axis in range(rank))

    def forward(self, *inputs: Array) -> Array:
        """Reshape one input; a view where memory order allows."""
        (x,) = inputs
        return x.reshape(self.output_shape(x.shape))

    def describe(self) -> str:
        """The axes."""
        return f"axes {', '.join(map(str, self.axes))}"


class Transpose(Layer):
    """Axes in another order.

    Args:
        permutation: for each output axis the input axis it is; None reverses all.

    Raises:
        ParameterError: not a permutation of 0 .. n-1.
    """

    def __init__(self, permutation: Sequence[int] | None = None) -> None:
        self.permutation = None if permutation is None else tuple(int(p) for p in permutation)
        if self.permutation is not None:
            count = len(self.permutation)
            if sorted(self.permutation) != list(range(count)):
                raise ParameterError(
                    f"{self.kind}: permutation is {self.permutation}; each of 0 to {count - 1} "
                    "is required once"
                )

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's sizes in the new order."""
        shape = one_input(self.kind, inputs)
        if self.permutation is None:
            return shape[::-1]
        if len(shape) != len(self.permutation):
            raise ShapeError(
                f"{self.kind}: input {shape} has {len(shape)} axes; "
                f"{len(self.permutation)} are required"
            )
        return tuple(shape[axis] for axis in self.permutation)

    def forward(self, *inputs: Array) -> Array:
        """Rearrange one input; the result is contiguous."""
        (x,) = inputs
        self.output_shape(x.shape)
        return np.ascontiguousarray(np.transpose(x, self.permutation)).reshape(
            self.output_shape(x.shape)
        )

    def describe(self) -> str:
        """The permutation."""
        return "reversed" if self.permutation is None else " ".join(map(str, self.permutation))
