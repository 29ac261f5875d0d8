"""What is known of a network while its file is read: values, their shapes, the layers so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.errors import ModelFileError, ShapeError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import AvgPool2d, Conv2d, ConvTranspose2d, MaxPool2d, Resize
from twinlens.engine.layers.base import Array, DType, Layer, Shape

LARGEST = 1 << 28
"""Samples of one value: 1 GiB in float32. A file that asks for more is refused."""

# What may be computed from constants beyond what the file brings: samples, multiply-adds.
_MOST_COMPUTED, _MOST_WORK = 1 << 24, 1 << 30
_MOST_AXES = 16
_WIDEST_PAD = 4096
_WITH_PADS = (Conv2d, ConvTranspose2d, MaxPool2d, AvgPool2d)
_LARGEST_MATRIX = 1 << 25


@dataclass(frozen=True)
class Steps:
    """How a constant was stored as integers.

    Attributes:
        scale: what one step is worth: a float scalar, or one for each slice of ``axis``.
        axis: axis of the slices.
    """

    scale: Array
    axis: int


class Names:
    """Names that are given once each."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """A name that nothing has yet: the wanted one, or with ``_2``, ``_3`` ... behind it."""
        name, number = wanted, self._next.get(wanted, 2)
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        # A file that calls everything the same must not make every name count from the start.
        self._next[wanted] = number
        self._taken.add(name)
        return name


class Values:
    """What is known of a network while it is imported.

    Attributes:
        constants: arrays by value name.
        shapes: shape by value name, of constants as well.
        dtypes: type by value name, likewise.
        nodes: the layers so far.
        steps: for constants that were stored as small integers, how.
    """

    def __init__(self) -> None:
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, Shape] = {}
        self.dtypes: dict[str, DType] = {}
        self.nodes: list[Node] = []
        self.steps: dict[str, Steps] = {}
        self._computed = 0

    def add_input(self, name: str, shape: Shape, dtype: DTypeLike = np.float32) -> None:
        """Make a runtime input known."""
        _check_size(name, shape)
        self.shapes[name], self.dtypes[name] = shape, np.dtype(dtype)

    def add_constant(self, name: str, array: Array) -> None:
        """Make an array known."""
        self.constants[name] = array
        self.shapes[name], self.dtypes[name] = array.shape, array.dtype

    def emit(self, name: str, layer: Layer, inputs: Sequence[str], output: str) -> str:
        """Add a layer; one that reads only constants is computed at once.

        Args:
            name: of the node.
            layer: the layer.
            inputs: names of what it reads.
            output: name of what it writes.

        Returns:
            ``output``.

        Raises:
            ShapeError: the shapes do not fit, or the output has more than ``LARGEST`` samples.
        """
        shapes = [self.shapes[name] for name in inputs]
        shape = layer.output_shape(*shapes)
        _check_size(output, shape)
        _check_work(output, layer, shapes, shape)
        if all(name in self.constants for name in inputs):
            self._compute(layer, inputs, output, prod(shape))
            return output
        self.nodes.append(Node(name, layer, tuple(inputs), output))
        self.shapes[output] = shape
        self.dtypes[output] = layer.output_dtype(*(self.dtypes[name] for name in inputs))
        return output

    def _compute(self, layer: Layer, inputs: Sequence[str], output: str, size: int) -> None:
        arrays = [self.constants[name] for name in inputs]
        self._computed += size
        given = sum(array.size for array in self.constants.values())
        work = layer.macs(*(array.shape for array in arrays))
        if self._computed > _MOST_COMPUTED + 4 * given or work > _MOST_WORK:
            raise ShapeError(
                f"value {output!r} is computed from constants, with {size:,} samples and {work:,} "
                "multiply-adds; a file that asks for so much is not read"
            )
        with np.errstate(all="ignore"):
            self.add_constant(output, np.asarray(layer.forward(*arrays)))

    def graph(
        self,
        title: str,
        inputs: Mapping[str, Shape],
        outputs: Sequence[str],
        metadata: Mapping[str, str],
    ) -> Graph:
        """The finished graph, with those constants that something reads.

        Raises:
            ModelFileError: nothing writes an output.
        """
        for output in outputs:
            if output not in self.shapes:
                raise ModelFileError(f"{title}: nothing writes its output {output!r}")
        read = {name for node in self.nodes for name in node.inputs} | set(outputs)
        constants = {name: array for name, array in self.constants.items() if name in read}
        return Graph(title, inputs, outputs, self.nodes, constants=constants, metadata=metadata)


def _check_work(name: str, layer: Layer, shapes: Sequence[Shape], output: Shape) -> None:
    """Refuse settings that no classifier has, and that would take all memory or time to run."""
    if isinstance(layer, _WITH_PADS) and max(layer.pads) > _WIDEST_PAD:
        raise ShapeError(
            f"value {name!r}: {layer.kind} has pads {layer.pads}; at most {_WIDEST_PAD} are read"
        )
    if isinstance(layer, Resize):
        pairs = zip(shapes[0], output, strict=True)
        if any(before * after > _LARGEST_MATRIX for before, after in pairs if before != after):
            raise ShapeError(f"value {name!r}: {layer.kind} from {shapes[0]} to {output}")


def _check_size(name: str, shape: Shape) -> None:
    if len(shape) > _MOST_AXES:
        raise ShapeError(f"value {name!r} would have {len(shape)} axes; {_MOST_AXES} are computed")
    if prod(shape) > LARGEST:
        raise ShapeError(
            f"value {name!r} would have {prod(shape):,} samples {shape}; at most {LARGEST:,} are "
            "computed"
        )
