"""From a graph of layers to kernels: which kernel computes which nodes, and where values live.

Nodes without a kernel become steps that run the layer's reference forward; everything around
them stays compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import DequantizeLinear, QuantizeLinear
from twinlens.engine.layers.base import Array, Shape
from twinlens.engine.targets.cpu.isa import Isa
from twinlens.engine.targets.cpu.kernels.base import Op
from twinlens.engine.targets.cpu.kernels.elementwise import Elementwise, copied
from twinlens.engine.targets.cpu.kernels.move import Input
from twinlens.engine.targets.cpu.tensor import Tensor

# Steps below this have no float32 reciprocal that can still be multiplied with.
_SMALLEST_STEP = 2.0**-100


@dataclass(eq=False)
class Stored:
    """Where a graph's value is in the arena.

    Attributes:
        shape: as the graph has it.
        tensor: its pixels.
        planes: (channels, height, width) of the picture whose samples a flattened value has,
            pixel by pixel; None where the order is the graph's own.
    """

    shape: Shape
    tensor: Tensor
    planes: tuple[int, int, int] | None = None


@dataclass(eq=False)
class Reference:
    """A step that runs a node's reference forward.

    Attributes:
        node: the node.
        stored: which of its inputs lie in the arena.
        result: where its answer goes in the arena, if a kernel reads it.
    """

    node: Node
    stored: dict[str, Stored] = field(default_factory=dict)
    result: Stored | None = None


Step: TypeAlias = Op | Reference


@dataclass
class Lowered:
    """What a graph became.

    Attributes:
        steps: kernels and reference nodes, in order.
        outputs: where the graph's outputs are; those that are missing come from reference nodes
            or are inputs or constants.
        values: where all values are that kernels hold.
    """

    steps: list[Step]
    outputs: dict[str, Stored]
    values: dict[str, Stored]


def pixels(shape: Shape) -> tuple[int, int, int] | None:
    """(height, width, channels) of a value that kernels can hold, otherwise None."""
    if len(shape) == 4 and shape[0] == 1 and 0 not in shape:
        return shape[2], shape[3], shape[1]
    if len(shape) == 2 and shape[0] == 1 and shape[1]:
        return 1, 1, shape[1]
    return None


class Lowering:
    """The state of a translation; rules (see ``rules``) call its methods.

    Args:
        graph: what is translated, already optimised.
        isa: what kernels are for.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        ranges: for int8: smallest and largest sample of each value, on real pictures.
    """

    def __init__(
        self,
        graph: Graph,
        isa: Isa,
        precision: str = "fp32",
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.graph, self.isa, self.precision = graph, isa, precision
        self.ranges = dict(ranges or {})
        self.steps: list[Step] = []
        self.values: dict[str, Stored] = {}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.readers.update(graph.outputs)
        self.writers: dict[str, Op] = {}
        self._references: dict[str, Reference] = {}
        self._integers: set[str] = set()

    def run(self) -> Lowered:
        """Translate all nodes."""
        from twinlens.engine.targets.cpu.rules import RULES

        for node in self.graph.nodes:
            rule = RULES.get(type(node.layer))
            if rule is None or not rule(self, node):
                self._refer(node)
        outputs = {name: self.floats(name) for name in self.graph.outputs if name in self.values}
        steps: list[Step] = []
        for step in self.steps:
            steps += step.parts() if isinstance(step, Op) else (step,)
        return Lowered(steps, outputs, self.values)

    # What rules ask

    def shape(self, name: str) -> Shape:
        """Shape of a value in the graph."""
        return self.graph.shapes[name]

    def constant(self, name: str) -> Array | None:
        """A constant's array, or None for a computed value."""
        return self.graph.constants.get(name)

    def load(self, name: str) -> Stored | None:
        """A value in the arena; None if kernels cannot hold it."""
        if name in self.values:
            return self.values[name]
        reference = self._references.get(name)
        size = pixels(self.shape(name))
        if size is not None and self._is_only_input(name):
            stored = Stored(self.shape(name), Tensor.new(*size))
            self.steps.insert(0, Input(stored.tensor, size[2]))
            self.values[name] = stored
            return stored
        if reference is None or size is None or name in self._integers:
            return None
        reference.result = self.values[name] = Stored(self.shape(name), Tensor.new(*size))
        return reference.result

    def picture(self, name: str) -> Tensor | None:
        """A value as a picture in the graph's own order; None if it cannot be had."""
        stored = self.load(name)
        return None if stored is None or stored.planes else stored.tensor

    def wide_input(self, name: str) -> Tensor | None:
        """The colour picture that the graph is given, with a fourth channel of zeros.

        Products that take two or four values at a time then find each pixel at a whole number of
        them. None where that is of no use.
        """
        if self.precision == "fp32" or not self._is_only_input(name):
            return None
        size = pixels(self.shape(name))
        if size is None or size[2] != 3:
            return None
        if self.precision == "bf16":
            tensor = Tensor.new(*size[:2], 4, "bf16")
        elif name in self.ranges:
            tensor = Tensor.new(*size[:2], 4, "u8")
            tensor.scale, tensor.zero_point = steps_of(*self.ranges[name])
        else:
            return None
        self.steps.insert(0, Input(tensor, size[2]))
        return tensor

    def _is_only_input(self, name: str) -> bool:
        return name in self.graph.inputs and len(self.graph.inputs) == 1

    def padded(self, tensor: Tensor, halo: tuple[int, int, int, int]) -> Tensor:
        """The same values with a border of zeros at least so wide."""
        if not any(halo):
            return tensor
        if tensor.buffer.flat:
            tensor = self.copy(tensor, tensor.dtype)
        tensor.buffer.add_halo(halo)
        return tensor

    def copy(self, tensor: Tensor, dtype: str) -> Tensor:
        """A copy in a buffer of its own."""
        result = Tensor.new(tensor.height, tensor.width, tensor.channels, dtype)
        if dtype == "u8":
            result.scale, result.zero_point = tensor.scale, tensor.zero_point
        self.steps.append(Elementwise((tensor,), result, copied, "copy"))
        return result

    def floats(self, name: str) -> Stored:
        """A value stored as float32, for whoever reads it in Python."""
        stored = self.values[name]
        if stored.tensor.dtype == "f32":
            return stored
        return Stored(stored.shape, self.copy(stored.tensor, "f32"), stored.planes)

    def result(self, name: str, *, real: bool = False) -> Tensor | None:
        """A tensor for a value that a kernel is about to write; None if kernels cannot hold it.

        Args:
            name: the value.
            real: store it as float32 whatever the precision is.
        """
        size = pixels(self.shape(name))
        if size is None:
            return None
        if real or name in self.graph.outputs:
            return Tensor.new(*size)
        if self.precision == "bf16":
            return Tensor.new(*size, "bf16")
        if self.precision == "int8" and name in self.ranges:
            tensor = Tensor.new(*size, "u8")
            tensor.scale, tensor.zero_point = steps_of(*self.ranges[name])
            return tensor
        return Tensor.new(*size)

    # What rules do

    def emit(self, name: str, op: Op, stored: Stored | None = None) -> bool:
        """Append a kernel that writes a value."""
        self.steps.append(op)
        self.writers[name] = op
        self.values[name] = stored or Stored(self.shape(name), op.output)
        return True

    def withdraw(self, op: Op, name: str) -> None:
        """Take a kernel out again, to put a fused one in its place; its value is not kept."""
        self.steps.remove(op)
        del self.values[name], self.writers[name]

    def _refer(self, node: Node) -> None:
        stored = {
            name: self.floats(name)
            for name in dict.fromkeys(node.inputs)
            if name in self.values and name not in self.graph.inputs
        }
        takes_integers = not self._integers.isdisjoint(node.inputs)
        if isinstance(node.layer, QuantizeLinear) or (
            takes_integers and not isinstance(node.layer, DequantizeLinear)
        ):
            self._integers.add(node.output)
        reference = Reference(node, stored)
        self.steps.append(reference)
        self._references[node.output] = reference


def steps_of(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point that map a range onto 0 to 255, 0 exactly on a step.

    A range too small for float32 to divide by counts as nothing but zeros.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    scale = scale if scale > _SMALLEST_STEP else 1.0
    return scale, int(np.clip(round(-low / scale), 0, 255))


def per_channel(array: Array, shape: Shape) -> Array | None:
    """An array that broadcasts over a picture, as one value per channel; None if it varies more."""
    if array.size == 1:
        return np.full(shape[1], array.reshape(()), np.float32)
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if len(full) == len(shape) and full[1] == array.size == shape[1]:
        return np.ascontiguousarray(array.reshape(-1), np.float32)
    return None
