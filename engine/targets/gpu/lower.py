"""From a graph of layers to kernels: which kernel computes which nodes, and where values live.

Nodes without a kernel become steps that run the layer's reference forward on the processor;
everything around them stays on the GPU.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers.base import Array, Shape
from twinlens.engine.targets.gpu.kernels.base import Op, Target
from twinlens.engine.targets.gpu.kernels.elementwise import Elementwise, copied
from twinlens.engine.targets.gpu.kernels.move import Input
from twinlens.engine.targets.gpu.tensor import Tensor

Size = tuple[int, int, int, int]


@dataclass(eq=False)
class Stored:
    """Where a graph's value is.

    Attributes:
        shape: as the graph has it.
        tensor: its pixels.
        planes: (channels, height, width) of the pictures whose samples a flattened value has,
            pixel by pixel; None where the order is the graph's own.
    """

    shape: Shape
    tensor: Tensor
    planes: tuple[int, int, int] | None = None


@dataclass(eq=False)
class Reference:
    """A step that runs a node's reference forward on the processor.

    Attributes:
        node: the node.
        stored: which of its inputs lie on the GPU.
        result: where its answer goes there, if a kernel reads it.
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


def pixels(shape: Shape) -> Size | None:
    """(batch, height, width, channels) of a value that kernels can hold, otherwise None."""
    if len(shape) == 4 and 0 not in shape:
        return shape[0], shape[2], shape[3], shape[1]
    if len(shape) == 2 and 0 not in shape:
        return shape[0], 1, 1, shape[1]
    return None


class Lowering:
    """The state of a translation; rules (see ``rules``) call its methods.

    Args:
        graph: what is translated, already optimised.
        target: what kernels are for.
        winograd: multiply-adds from which on 3×3 convolutions go by Winograd's tiles; 0: none.
        most_front: outputs up to which a 1×1 convolution computes the depthwise one before it.
    """

    def __init__(
        self, graph: Graph, target: Target, winograd: int = 0, most_front: int = 0
    ) -> None:
        self.graph, self.target, self.winograd = graph, target, winograd
        self.most_front = most_front
        self.steps: list[Step] = []
        self.values: dict[str, Stored] = {}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.readers.update(graph.outputs)
        self.writers: dict[str, Op] = {}
        self._references: dict[str, Reference] = {}
        self._integers: set[str] = set()

    def run(self) -> Lowered:
        """Translate all nodes."""
        from twinlens.engine.targets.gpu.rules import RULES

        for node in self.graph.nodes:
            rule = RULES.get(type(node.layer))
            if rule is None or not rule(self, node):
                self._refer(node)
        outputs = {name: self.floats(name) for name in self.graph.outputs if name in self.values}
        return Lowered(self.steps, outputs, self.values)

    # What rules ask

    def shape(self, name: str) -> Shape:
        """Shape of a value in the graph."""
        return self.graph.shapes[name]

    def constant(self, name: str) -> Array | None:
        """A constant's array, or None for a computed value."""
        return self.graph.constants.get(name)

    def load(self, name: str) -> Stored | None:
        """A value on the GPU; None if kernels cannot hold it."""
        if name in self.values:
            return self.values[name]
        size = pixels(self.shape(name))
        if size is None:
            return None
        if self.is_only_input(name):
            tensor = Tensor.new(*size, self.target.dtype)
            self.steps.insert(0, Input(tensor))
            self.values[name] = Stored(self.shape(name), tensor)
            return self.values[name]
        reference = self._references.get(name)
        if reference is None or name in self._integers:
            return None
        result = Stored(self.shape(name), Tensor.new(*size, self.target.dtype))
        reference.result = self.values[name] = result
        return result

    def picture(self, name: str) -> Tensor | None:
        """A value in the graph's own order; None if it cannot be had."""
        stored = self.load(name)
        return None if stored is None or stored.planes else stored.tensor

    def is_only_input(self, name: str) -> bool:
        """Whether a value is what the graph is given, and all of it."""
        return name in self.graph.inputs and len(self.graph.inputs) == 1

    def copy(self, tensor: Tensor, dtype: str) -> Tensor:
        """A copy in a buffer of its own."""
        buffer = tensor.buffer
        result = Tensor.new(buffer.batch, tensor.height, tensor.width, tensor.channels, dtype)
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
        return Tensor.new(*size, "f32" if real or name in self.graph.outputs else self.target.dtype)

    # What rules do

    def emit(self, name: str, op: Op, stored: Stored | None = None) -> bool:
        """Append a kernel that writes a value."""
        self.steps.append(op)
        self.writers[name] = op
        self.values[name] = stored or Stored(self.shape(name), op.output)
        return True

    def withdraw(self, op: Op) -> None:
        """Take a kernel out again, to put a fused one in its place."""
        self.steps.remove(op)
        gone = [name for name, stored in self.values.items() if stored.tensor is op.output]
        for name in gone:
            del self.values[name]

    def _refer(self, node: Node) -> None:
        stored = {
            name: self.floats(name)
            for name in dict.fromkeys(node.inputs)
            if name in self.values and name not in self.graph.inputs
        }
        # Whole numbers, and truth values, are no business of kernels.
        if self._integers.intersection(node.inputs) or node.kind == "QuantizeLinear":
            self._integers.add(node.output)
        if node.kind == "DequantizeLinear":
            self._integers.discard(node.output)
        reference = Reference(node, stored)
        self.steps.append(reference)
        self._references[node.output] = reference


def per_channel(array: Array, shape: Shape) -> Array | None:
    """An array that broadcasts over a picture, as one value per channel; None if it varies more."""
    if array.size == 1:
        return np.full(shape[1], array.reshape(()), np.float32)
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if len(full) == len(shape) and full[1] == array.size == shape[1]:
        return np.ascontiguousarray(array.reshape(-1), np.float32)
    return None
