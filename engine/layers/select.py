"""Layers that take, repeat or regroup samples without computing any."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import (
    broadcast,
    choice,
    image_input,
    input_count,
    normal_axes,
    normal_axis,
    one_input,
)

_MODES = ("DCR", "CRD")


class Slice(Layer):
    """Every ``step``-th sample from ``start`` up to but without ``end``, along some axes.

    Negative bounds count from the end, bounds beyond it are cut to it; with a negative step the
    samples come backwards. https://onnx.ai/onnx/operators/onnx__Slice.html

    Args:
        starts: first sample of each axis.
        ends: the sample before which to stop.
        axes: the axes, negative from the end; None means the first ones.
        steps: one for each axis, not 0; None means 1.

    Raises:
        ParameterError: of different lengths, or a step of 0.
    """

    def __init__(
        self,
        starts: Sequence[int],
        ends: Sequence[int],
        axes: Sequence[int] | None = None,
        steps: Sequence[int] | None = None,
    ) -> None:
        self.starts, self.ends = tuple(map(int, starts)), tuple(map(int, ends))
        count = len(self.starts)
        self.axes = tuple(map(int, range(count) if axes is None else axes))
        self.steps = tuple(map(int, [1] * count if steps is None else steps))
        if not count == len(self.ends) == len(self.axes) == len(self.steps) or 0 in self.steps:
            raise ParameterError(
                f"{self.kind}: starts {self.starts}, ends {self.ends}, axes {self.axes} and steps "
                f"{self.steps}; equally many are required, and steps other than 0"
            )

    def _ranges(self, shape: Shape) -> list[range]:
        ranges = [range(size) for size in shape]
        chosen = normal_axes(self.kind, self.axes, len(shape))
        for start, end, axis, step in zip(self.starts, self.ends, chosen, self.steps, strict=True):
            size = shape[axis]
            first = start + size if start < 0 else start
            stop = end + size if end < 0 else end
            if size == 0:
                continue
            low, high = (0, size) if step > 0 else (-1, size - 1)
            first = min(max(first, 0), high)
            ranges[axis] = range(first, min(max(stop, low), high), step)
        return ranges

    def output_shape(self, *inputs: Shape) -> Shape:
        """How many samples are taken along each axis."""
        return tuple(map(len, self._ranges(one_input(self.kind, inputs))))

    def forward(self, *inputs: Array) -> Array:
        """Take from one input; a copy."""
        (x,) = inputs
        cut = []
        for taken in self._ranges(x.shape):
            # Going backwards, "before the first" has no number of its own in Python.
            stop = None if taken.stop < 0 else taken.stop
            cut.append(slice(taken.start, stop, taken.step) if taken else slice(0, 0))
        return x[tuple(cut)].copy()

    def describe(self) -> str:
        """Axis, bounds and step of each."""
        parts = zip(self.axes, self.starts, self.ends, self.steps, strict=True)
        return ", ".join(
            f"axis {axis}: {start}:{'' if abs(end) > 1 << 30 else end}"
            + ("" if step == 1 else f":{step}")
            for axis, start, end, step in parts
        )


class Gather(Layer):
    """Slices of the first input along an axis, at the places that the second names.

    ``y[.., i, ..] = x[.., indices[i], ..]``; negative places count from the end.

    Args:
        axis: the axis, negative from the end.
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The first input's shape with the second's in place of the axis."""
        input_count(self.kind, inputs, 2)
        data, indices = inputs
        axis = normal_axis(self.kind, self.axis, len(data))
        return (*data[:axis], *indices, *data[axis + 1 :])

    def forward(self, *inputs: Array) -> Array:
        """Take from an input of any dtype; raises IndexError beyond its end."""
        data, indices = inputs
        self.output_shape(data.shape, indices.shape)
        return np.asarray(np.take(data, indices.astype(np.int64, copy=False), axis=self.axis))

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"


class GatherElements(Layer):
    """``y[i, j] = x[indices[i, j], j]`` for axis 0, and so on for the others.

    Args:
        axis: the axis, negative from the end.
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The second input's shape."""
        input_count(self.kind, inputs, 2)
        data, indices = inputs
        axis = normal_axis(self.kind, self.axis, len(data))
        rest = [(n, m) for at, (n, m) in enumerate(zip(data, indices, strict=False)) if at != axis]
        if len(data) != len(indices) or any(wanted > size for size, wanted in rest):
            raise ShapeError(
                f"{self.kind}: indices of shape {indices} do not fit {data}; as many axes are "
                f"required, and no more samples than there are but on axis {axis}"
            )
        return indices

    def forward(self, *inputs: Array) -> Array:
        """Take from an input of any dtype; raises IndexError beyond its end."""
        data, indices = inputs
        self.output_shape(data.shape, indices.shape)
        axis = self.axis % data.ndim
        cut = tuple(
            slice(None) if at == axis else slice(size) for at, size in enumerate(indices.shape)
        )
        return np.take_along_axis(data[cut], indices.astype(np.int64, copy=False), axis)

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"


class GatherND(Layer):
    """Slices of the first input at the places that the second's last axis names.

    Args:
        batch_dims: first axes that both inputs have in common.
    """

    def __init__(self, batch_dims: int = 0) -> None:
        self.batch_dims = int(batch_dims)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The second's shape but for its last axis, then what the places leave of the first's."""
        input_count(self.kind, inputs, 2)
        data, indices = inputs
        batch = self.batch_dims
        depth = batch + (indices[-1] if indices else 0)
        fits = len(indices) > batch >= 0 and depth <= len(data) and data[:batch] == indices[:batch]
        if not fits:
            raise ShapeError(
                f"{self.kind}: indices of shape {indices} do not fit {data} with {batch} axes "
                "in common"
            )
        return (*indices[:-1], *data[depth:])

    def forward(self, *inputs: Array) -> Array:
        """Take from an input of any dtype; raises IndexError beyond its end."""
        data, indices = inputs
        shape = self.output_shape(data.shape, indices.shape)
        batch = prod(data.shape[: self.batch_dims])
        flat = data.reshape(batch, *data.shape[self.batch_dims :])
        places = indices.reshape(batch, -1, indices.shape[-1]).astype(np.int64, copy=False)
        rows = np.broadcast_to(np.arange(batch)[:, None], places.shape[:2])
        return np.asarray(flat[(rows, *np.moveaxis(places, -1, 0))]).reshape(shape)

    def describe(self) -> str:
        """Axes in common."""
        return f"{self.batch_dims} batch axes" if self.batch_dims else ""


class Expand(Layer):
    """The input repeated along axes of size 1, until it has a shape that it broadcasts with.

    Args:
        shape: the shape; an axis of 1 leaves the input's size.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(int(size) for size in shape)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape that the input and the setting broadcast to."""
        return broadcast(self.kind, one_input(self.kind, inputs), self.shape)

    def forward(self, *inputs: Array) -> Array:
        """Repeat one input; a copy."""
        (x,) = inputs
        return np.broadcast_to(x, self.output_shape(x.shape)).copy()

    def describe(self) -> str:
        """The shape as given."""
        return "×".join(str(size) for size in self.shape)


class Tile(Layer):
    """The whole input several times along each axis.

    Args:
        repeats: how often, for each axis.
    """

    def __init__(self, repeats: Sequence[int]) -> None:
        self.repeats = tuple(int(count) for count in repeats)

    def output_shape(self, *inputs: Shape) -> Shape:
        """Each size times its repeats."""
        shape = one_input(self.kind, inputs)
        if len(shape) != len(self.repeats) or min(self.repeats, default=0) < 0:
            raise ShapeError(
                f"{self.kind}: repeats {self.repeats} for input {shape}; one of at least 0 per "
                "axis is required"
            )
        return tuple(size * count for size, count in zip(shape, self.repeats, strict=True))

    def forward(self, *inputs: Array) -> Array:
        """Repeat one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        return np.tile(x, self.repeats)

    def describe(self) -> str:
        """The repeats."""
        return "×".join(str(count) for count in self.repeats)


class _Blocks(Layer):
    """What DepthToSpace and SpaceToDepth share: the side of a block, and the order within it."""

    def __init__(self, block: int, mode: str = "DCR") -> None:
        self.block = int(block)
        self.mode = choice(self.kind, "mode", mode, _MODES)
        if self.block < 1:
            raise ParameterError(f"{self.kind}: block is {block}; at least 1 is required")

    def describe(self) -> str:
        """Block and mode."""
        return f"block {self.block}, {self.mode}"


class DepthToSpace(_Blocks):
    """Channels of (N, C, H, W) laid out as blocks of pixels: (N, C / b², H · b, W · b).

    https://onnx.ai/onnx/operators/onnx__DepthToSpace.html

    Args:
        block: side ``b`` of a block.
        mode: ``"DCR"``: the block's place is the channel's slower part; ``"CRD"``: its faster.

    Raises:
        ParameterError: a block below 1, or another mode.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C / b², H · b, W · b)."""
        n, channels, height, width = image_input(self.kind, inputs)
        if channels % self.block**2:
            raise ShapeError(
                f"{self.kind}: {channels} channels; a multiple of {self.block**2} is required"
            )
        return n, channels // self.block**2, height * self.block, width * self.block

    def forward(self, *inputs: Array) -> Array:
        """Regroup one input."""
        (x,) = inputs
        shape = self.output_shape(x.shape)
        n, channels, height, width = x.shape
        side = self.block
        if self.mode == "DCR":
            parts = x.reshape(n, side, side, channels // side**2, height, width)
            moved = parts.transpose(0, 3, 4, 1, 5, 2)
        else:
            parts = x.reshape(n, channels // side**2, side, side, height, width)
            moved = parts.transpose(0, 1, 4, 2, 5, 3)
        return np.ascontiguousarray(moved).reshape(shape)


class SpaceToDepth(_Blocks):
    """Blocks of pixels of (N, C, H, W) laid out as channels: (N, C · b², H / b, W / b).

    https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html

    Args:
        block: side ``b`` of a block.
        mode: ``"DCR"``: the block's place is the channel's slower part; ``"CRD"``: its faster.

    Raises:
        ParameterError: a block below 1, or another mode.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C · b², H / b, W / b)."""
        n, channels, height, width = image_input(self.kind, inputs)
        if height % self.block or width % self.block:
            raise ShapeError(
                f"{self.kind}: input of {height} × {width}; multiples of {self.block} are required"
            )
        return n, channels * self.block**2, height // self.block, width // self.block

    def forward(self, *inputs: Array) -> Array:
        """Regroup one input."""
        (x,) = inputs
        shape = self.output_shape(x.shape)
        n, channels, height, width = x.shape
        side = self.block
        parts = x.reshape(n, channels, height // side, side, width // side, side)
        order = (0, 3, 5, 1, 2, 4) if self.mode == "DCR" else (0, 1, 3, 5, 2, 4)
        return np.ascontiguousarray(parts.transpose(order)).reshape(shape)
