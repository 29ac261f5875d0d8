"""A network: layers joined by named values, checked when it is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from twinlens.engine.errors import InferenceError, ModelError, ShapeError
from twinlens.engine.graph.node import Node
from twinlens.engine.graph.plan import Plan, in_order
from twinlens.engine.graph.summary import summarize
from twinlens.engine.layers.base import Array, Shape, cast_like


class Graph:
    """Layers joined by named values; immutable.

    Everything is checked when the graph is built: names, order and shapes. The arrays are kept
    as they are (not copied) and nothing is read from disk.

    Args:
        name: shown in summaries.
        inputs: shape by input name, every axis known (batch first).
        outputs: names of the values that are returned.
        nodes: in any order.
        constants: arrays that nodes read by name, beside the layers' own parameters.
        metadata: text that came with the model.

    Raises:
        ModelError: a name is missing or given twice, or nodes form a circle.
        ShapeError: shapes do not fit; names the node.
    """

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Sequence[int]],
        outputs: Sequence[str],
        nodes: Iterable[Node],
        *,
        constants: Mapping[str, Array] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.inputs = {key: tuple(int(n) for n in shape) for key, shape in inputs.items()}
        self.outputs = tuple(outputs)
        self.constants = dict(constants or {})
        self.metadata = dict(metadata or {})
        unordered = tuple(nodes)
        self._check_sizes()
        self._check_names(unordered)
        self.nodes = in_order(unordered, {*self.inputs, *self.constants})
        self.shapes = self._infer_shapes()
        self.plan = Plan.of(self.nodes, {*self.outputs, *self.constants})

    def _check_sizes(self) -> None:
        for name, shape in self.inputs.items():
            if any(size < 1 for size in shape):
                raise ShapeError(
                    f"{self.name}: input {name!r} must have sizes of at least 1, received {shape}"
                )
        if not self.outputs:
            raise ModelError(f"{self.name}: a graph needs at least one output")

    def _check_names(self, nodes: Sequence[Node]) -> None:
        names: set[str] = set()
        written: set[str] = set()
        for name in (*self.inputs, *self.constants):
            if name in written:
                raise ModelError(f"{self.name}: {name!r} is both an input and a constant")
            written.add(name)
        for node in nodes:
            if node.name in names:
                raise ModelError(f"{self.name}: two nodes are named {node.name!r}")
            if node.output in written:
                raise ModelError(
                    f"{self.name}: node {node.name!r} writes {node.output!r}, which exists already"
                )
            names.add(node.name)
            written.add(node.output)
        for node in nodes:
            for name in node.inputs:
                if name not in written:
                    raise ModelError(
                        f"{self.name}: node {node.name!r} reads {name!r}, which nothing writes"
                    )
        for name in self.outputs:
            if name not in written:
                raise ModelError(f"{self.name}: nothing writes the output {name!r}")

    def _infer_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = dict(self.inputs)
        shapes |= {name: array.shape for name, array in self.constants.items()}
        for node in self.nodes:
            try:
                shapes[node.output] = node.output_shape(*(shapes[name] for name in node.inputs))
            except ShapeError as error:
                raise ShapeError(
                    f"{self.name}: node {node.name!r}: {error}", hint=error.hint
                ) from error
        return shapes

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """Shape by output name."""
        return {name: self.shapes[name] for name in self.outputs}

    @property
    def parameter_count(self) -> int:
        """Values in all layers' parameters and in the graph's constants."""
        own = sum(array.size for array in self.constants.values())
        return own + sum(
            array.size for node in self.nodes for array in node.layer.parameters.values()
        )

    def node_macs(self, node: Node) -> int:
        """Multiply-adds of one of the graph's nodes."""
        return node.layer.macs(*(self.shapes[name] for name in node.inputs))

    @property
    def macs(self) -> int:
        """Multiply-adds of one run."""
        return sum(self.node_macs(node) for node in self.nodes)

    def replace(
        self, nodes: Iterable[Node], *, constants: Mapping[str, Array] | None = None
    ) -> Graph:
        """The same graph with other nodes (and other constants, where given)."""
        return Graph(
            self.name,
            self.inputs,
            self.outputs,
            nodes,
            constants=self.constants if constants is None else constants,
            metadata=self.metadata,
        )

    def summary(self, kernels: Mapping[str, str] | None = None) -> str:
        """A table of all nodes: settings, output shape, parameters, multiply-adds, kernel.

        Args:
            kernels: what runs each node, by node name; nodes without an entry are marked
                ``"reference"``.
        """
        return summarize(self, kernels or {})

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once, in the float type of the inputs.

        Args:
            inputs: array by input name, of the shapes in ``inputs``.

        Returns:
            Array by output name; fresh arrays unless an output is an input or a constant.

        Raises:
            ShapeError: inputs are missing, extra or of another shape.
            InferenceError: a layer failed; names the node.
        """
        values = self._start(inputs)
        for step in self.plan.steps:
            values[step.node.output] = self._forward(step.node, values)
            for name in step.releases:
                del values[name]
        return {name: values[name] for name in self.outputs}

    def run_traced(self, inputs: Mapping[str, Array]) -> Iterator[tuple[Node, Array]]:
        """Run once and give every node with its output, in order; raises as ``run``.

        The arrays are valid as long as the caller does not write to them.
        """
        values = self._start(inputs)
        for step in self.plan.steps:
            out = values[step.node.output] = self._forward(step.node, values)
            yield step.node, out
            for name in step.releases:
                del values[name]

    def _start(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if set(inputs) != set(self.inputs):
            raise ShapeError(
                f"{self.name}: expected the inputs {sorted(self.inputs)}, received {sorted(inputs)}"
            )
        for name, shape in self.inputs.items():
            if inputs[name].shape != shape:
                raise ShapeError(
                    f"{self.name}: input {name!r} must be {shape}, received {inputs[name].shape}"
                )
        floats = [a for a in inputs.values() if np.issubdtype(a.dtype, np.floating)]
        values: dict[str, Array] = dict(inputs)
        for name, array in self.constants.items():
            values[name] = cast_like(array, floats[0]) if floats else array
        return values

    def _forward(self, node: Node, values: Mapping[str, Array]) -> Array:
        try:
            return node.forward(*(values[name] for name in node.inputs))
        except (ValueError, TypeError, ArithmeticError, IndexError, MemoryError, ModelError) as why:
            raise InferenceError(
                f"{self.name}: node {node.name!r} ({node.kind}) failed: {why}"
            ) from why
