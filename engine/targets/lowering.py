"""From a graph of layers to kernels: what the targets' translations have in common.

Each target brings its tensors (``T``), its kernels (``K``) and a table of rules that turn nodes
into kernels. Nodes without a kernel become steps that run the layer's reference forward.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from twinlens.engine.cancel import checkpoint
from twinlens.engine.graph import Graph, Node, part_activations, value_types
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.targets.liveness import Life, lives


class Placed(Protocol):
    """What is asked of a target's tensor."""

    buffer: Any

    @property
    def dtype(self) -> str:
        """How values are stored; ``"f32"`` is what Python reads."""
        ...


class Kernel(Protocol):
    """What is asked of a target's kernel."""

    @property
    def inputs(self) -> Sequence[Any]:
        """The tensors that it reads, of the target's type."""
        ...

    @property
    def output(self) -> Any:
        """The tensor that it writes."""
        ...


#: ``rule(lowering, node)`` of each kind of layer.
Rules: TypeAlias = Mapping[type[Layer], Callable[..., bool]]

T = TypeVar("T", bound=Placed)
K = TypeVar("K", bound=Kernel)


@dataclass(eq=False)
class Stored(Generic[T]):
    """Where a graph's value is.

    Attributes:
        shape: as the graph has it.
        tensor: its pixels.
        planes: (channels, height, width) of the picture whose samples a flattened value has,
            pixel by pixel; None where the order is the graph's own.
    """

    shape: Shape
    tensor: T
    planes: tuple[int, int, int] | None = None


@dataclass(eq=False)
class Reference(Generic[T]):
    """A step that runs a node's reference forward.

    Attributes:
        node: the node.
        stored: which of its inputs kernels hold.
        result: where its answer goes, if a kernel reads it.
    """

    node: Node
    stored: dict[str, Stored[T]] = field(default_factory=dict)
    result: Stored[T] | None = None


@dataclass
class Lowered(Generic[T, K]):
    """What a graph became.

    Attributes:
        steps: kernels and reference nodes, in order.
        outputs: where the graph's outputs are; those that are missing come from reference nodes
            or are inputs or constants.
        values: where all values are that kernels hold.
    """

    steps: list[K | Reference[T]]
    outputs: dict[str, Stored[T]]
    values: dict[str, Stored[T]]


class Lowering(ABC, Generic[T, K]):
    """The state of a translation; rules call its methods.

    A rule appends kernels and answers True, or leaves everything as it was and answers False; then
    the layer's reference forward runs instead.

    Args:
        graph: what is translated, already optimised.
        has_code: whether kernels can compute an activation; others become steps of their own, so
            that the layer before keeps its kernel.
    """

    def __init__(self, graph: Graph, has_code: Callable[[Layer], bool]) -> None:
        self.graph = graph = part_activations(graph, has_code)
        self.steps: list[K | Reference[T]] = []
        self.values: dict[str, Stored[T]] = {}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.readers.update(graph.outputs)
        self.writers: dict[str, K] = {}
        self._references: dict[str, Reference[T]] = {}
        # Whole numbers, and truth values, are no business of kernels.
        types = value_types(graph)
        self._integers = {name for name, dtype in types.items() if dtype.kind != "f"}

    def translate(self, rules: Rules) -> Lowered[T, K]:
        """Translate all nodes.

        Args:
            rules: ``rule(lowering, node)`` of each kind of layer.
        """
        for node in self.graph.nodes:
            checkpoint()
            rule = rules.get(type(node.layer))
            if rule is None or not rule(self, node):
                self._refer(node)
        outputs = {name: self.floats(name) for name in self.graph.outputs if name in self.values}
        return Lowered(self.steps, outputs, self.values)

    # What a target brings

    @abstractmethod
    def fresh(self, name: str) -> T | None:
        """A tensor for a value that no kernel writes; None if kernels cannot hold it."""

    @abstractmethod
    def input(self, tensor: T) -> K:
        """The kernel that brings what the graph is given into a tensor."""

    @abstractmethod
    def result(self, name: str, *, real: bool = False) -> T | None:
        """A tensor for a value that a kernel is about to write; None if kernels cannot hold it.

        Args:
            name: the value.
            real: store it as float32 whatever the precision is.
        """

    @abstractmethod
    def copy(self, tensor: T, dtype: str) -> T:
        """A copy in a buffer of its own."""

    # What rules ask

    def shape(self, name: str) -> Shape:
        """Shape of a value in the graph."""
        return self.graph.shapes[name]

    def constant(self, name: str) -> Array | None:
        """A constant's array, or None for a computed value."""
        return self.graph.constants.get(name)

    def load(self, name: str) -> Stored[T] | None:
        """A value that kernels can read; None if they cannot hold it."""
        if name in self.values:
            return self.values[name]
        given, reference = self.is_only_input(name), self._references.get(name)
        if not given and (reference is None or name in self._integers):
            return None
        tensor = self.fresh(name)
        if tensor is None:
            return None
        stored = self.values[name] = Stored(self.shape(name), tensor)
        if given:
            self.steps.insert(0, self.input(tensor))
        elif reference is not None:
            reference.result = stored
        return stored

    def picture(self, name: str) -> T | None:
        """A value in the graph's own order; None if it cannot be had."""
        stored = self.load(name)
        return None if stored is None or stored.planes else stored.tensor

    def is_only_input(self, name: str) -> bool:
        """Whether a value is what the graph is given, and all of it."""
        return name in self.graph.inputs and len(self.graph.inputs) == 1

    def floats(self, name: str) -> Stored[T]:
        """A value stored as float32, for whoever reads it in Python."""
        stored = self.values[name]
        if stored.tensor.dtype == "f32":
            return stored
        return Stored(stored.shape, self.copy(stored.tensor, "f32"), stored.planes)

    # What rules do

    def emit(self, name: str, op: K, stored: Stored[T] | None = None) -> bool:
        """Append a kernel that writes a value."""
        self.steps.append(op)
        self.writers[name] = op
        self.values[name] = stored or Stored(self.shape(name), op.output)
        return True

    def withdraw(self, op: K, name: str) -> None:
        """Take a kernel out again, to put a fused one in its place; its value is not kept."""
        self.steps.remove(op)
        del self.values[name], self.writers[name]

    def _refer(self, node: Node) -> None:
        stored = {
            name: self.floats(name)
            for name in dict.fromkeys(node.inputs)
            if name in self.values and name not in self.graph.inputs
        }
        reference = Reference(node, stored)
        self.steps.append(reference)
        self._references[node.output] = reference


def needed(lowered: Lowered[T, K]) -> dict[Any, Life]:
    """When each of the target's buffers is needed; a step is a position in the plan."""
    writes: list[tuple[int, Any]] = []
    reads: list[tuple[int, Any]] = []
    for position, step in enumerate(lowered.steps):
        if isinstance(step, Reference):
            reads += [(position, stored.tensor.buffer) for stored in step.stored.values()]
            if step.result is not None:
                writes.append((position, step.result.tensor.buffer))
        else:
            reads += [(position, tensor.buffer) for tensor in step.inputs]
            writes.append((position, step.output.buffer))
    end = len(lowered.steps)
    reads += [(end, stored.tensor.buffer) for stored in lowered.outputs.values()]
    return lives(writes, reads)
