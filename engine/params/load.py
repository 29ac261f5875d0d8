"""Parameters into a graph, strictly: one error says everything that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ParameterError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import Array, BatchNorm2d, Conv2d, Flatten, Linear, Shape
from twinlens.engine.params.order import PYTORCH, AxisOrder
from twinlens.engine.params.parameters import Parameters, shape_text


def _same(layer: str) -> str:
    return layer


def _no_norm(layer: str) -> None:
    del layer


@dataclass(frozen=True)
class Naming:
    """How a file names and lays out what the layers of a network need.

    ``{}`` stands for the layer's name in the file (for the last four, for its batch
    normalisation's). Where there are several patterns, the first that the file has is taken.

    Attributes:
        title: whose naming it is.
        order: axis order of the kernels.
        weight: patterns of a weight's name.
        bias: patterns of a bias's name.
        layer: the file's name of a layer, by its name in the graph.
        norm: the file's name of the batch normalisation that follows a layer, to be folded into
            it; None where there is none. A file without its numbers is taken as folded already.
        gamma: pattern of its scale.
        beta: pattern of its shift.
        mean: pattern of its running mean.
        variance: pattern of its running variance.
        epsilon: added to the variance.
        ignored: patterns (with ``*``) of names in the file that no layer needs.
    """

    title: str
    order: AxisOrder
    weight: tuple[str, ...] = ("{}_weight",)
    bias: tuple[str, ...] = ("{}_bias",)
    layer: Callable[[str], str] = _same
    norm: Callable[[str], str | None] = _no_norm
    gamma: str = "{}_gamma"
    beta: str = "{}_beta"
    mean: str = "{}_mean"
    variance: str = "{}_variance"
    epsilon: float = 1e-5
    ignored: tuple[str, ...] = ()

    def norm_names(self, layer: str) -> tuple[str, ...]:
        """Names of scale, shift, mean and variance that belong to a layer; empty without."""
        norm = self.norm(layer)
        if norm is None:
            return ()
        return tuple(p.format(norm) for p in (self.gamma, self.beta, self.mean, self.variance))


OWN = Naming("Twinlens", PYTORCH)
"""As the networks name their own: ``conv1_weight`` (O, I, H, W), ``conv1_bias``."""


@dataclass
class _Source:
    """Where the numbers of one layer lie."""

    node: Node
    shape: Shape
    groups: int
    weight: str
    bias: str | None
    norm: tuple[str, ...]


@dataclass
class _Plan:
    """What is taken from where, and everything that does not fit."""

    parameters: Parameters
    naming: Naming
    sources: list[_Source] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, node: Node, shape: Shape) -> None:
        """Find the numbers of one layer; `shape` is its weight's, as (O, I, H, W)."""
        layer = node.layer
        name = self.naming.layer(node.name)
        groups = layer.groups if isinstance(layer, Conv2d) else 1
        linear = isinstance(layer, Linear)
        stored = self.naming.order.stored_shape(shape, groups)
        matrix = _as_matrix(stored, self.naming.order)
        accepted = (matrix, stored) if linear else (stored,)
        if not linear and groups == 1 and prod(shape[2:]) == 1:
            accepted = (stored, matrix)  # a last layer of 1×1 may be a linear one elsewhere
        weight = self._take(_names(self.naming.weight, name), accepted)
        outputs = ((shape[0],),)
        norm = self.naming.norm_names(node.name)
        norm = norm if any(part in self.parameters for part in norm) else ()
        for part in norm:
            self._take((part,), outputs)
        biases = _names(self.naming.bias, name)
        bias = None
        has_bias = isinstance(layer, Conv2d | Linear) and layer.bias is not None
        if has_bias and (not norm or any(one in self.parameters for one in biases)):
            bias = self._take(biases, outputs)
        self.sources.append(_Source(node, shape, groups, weight, bias, norm))

    def _take(self, names: tuple[str, ...], shapes: tuple[Shape, ...]) -> str:
        """The first of these names that there is; notes it where its size is not right."""
        count = prod(shapes[0])
        name = next((one for one in names if one in self.parameters), None)
        if name is None:
            expected = f"{shape_text(shapes[0])}, {count * 4:,} bytes as float32"
            self.missing.append(f"{' or '.join(names)} ({expected})")
            return names[0]
        self.used.add(name)
        entry = self.parameters.entries[name]
        if entry.shape is None:
            fits = entry.nbytes in (count * 2, count * 4)
        else:
            fits = entry.shape in shapes
        if not fits:
            expected = f"{shape_text(shapes[0])}, {count * 4:,} bytes as float32"
            if entry.shape is None:
                expected += f" or {count * 2:,} as float16"
            self.wrong.append(f"{name} has {entry}; expected {expected}")
        return name

    def extra(self) -> list[str]:
        """What no layer needs."""
        return [
            f"{name} ({entry})"
            for name, entry in self.parameters.entries.items()
            if name not in self.used
            and not any(fnmatchcase(name, pattern) for pattern in self.naming.ignored)
        ]

    def check(self, graph: Graph) -> None:
        """Raise one error with all that is missing, extra or of the wrong size."""
        groups = {
            "missing": self.missing,
            "not expected": self.extra(),
            "of the wrong size": self.wrong,
        }
        found = {what: lines for what, lines in groups.items() if lines}
        if not found:
            return
        counts = ", ".join(f"{len(lines)} {what}" for what, lines in found.items())
        listed = [f"{what}: {line}" for what, lines in found.items() for line in lines]
        title = f"{graph.name}: parameters from {self.parameters.source} do not fit: {counts}"
        raise ParameterError(
            "\n  ".join((title, *listed)),
            hint=f"Names and axes are expected as {self.naming.title} has them.",
        )

    def filled(self, source: _Source) -> Node:
        """The node with its numbers."""
        checkpoint()
        layer: Any = copy(source.node.layer)
        kernel = self._read(source.weight, prod(source.shape))
        kernel = self.naming.order.to_layers(kernel, source.shape, source.groups)
        bias = None if source.bias is None else self._read(source.bias, source.shape[0])
        if source.norm:
            kernel, bias = self._fold(source, kernel, bias)
        # A copy of our own: what is mapped may change or vanish under us.
        layer.weight = np.array(kernel, np.float32, order="C").reshape(layer.weight.shape)
        layer.bias = None if bias is None else np.array(bias, np.float32)
        return replace(source.node, layer=layer)

    def _fold(self, source: _Source, kernel: Array, bias: Array | None) -> tuple[Array, Array]:
        count = source.shape[0]
        numbers = [self._read(name, count) for name in source.norm]
        norm = BatchNorm2d(*numbers, epsilon=self.naming.epsilon)
        factor, shift = norm.scale_shift()
        folded = kernel.astype(np.float64) * factor.reshape(-1, 1, 1, 1)
        return folded, shift if bias is None else bias * factor + shift

    def _read(self, name: str, count: int) -> Array:
        entry = self.parameters.entries[name]
        half = entry.dtype is None and entry.nbytes == count * 2
        return self.parameters.read(name, np.dtype("<f2" if half else "<f4"))


def with_parameters(graph: Graph, parameters: Mapping[str, Array], naming: Naming = OWN) -> Graph:
    """Give every convolution and linear layer of a graph its weight and bias.

    All names and sizes are checked before a single value is read. Batch normalisation that the
    naming speaks of is folded into the layer in front of it, in float64.

    Args:
        graph: the network; its own values do not matter, their shapes do.
        parameters: arrays by the file's names, or `Parameters`.
        naming: how the file names and lays them out.

    Returns:
        The same graph with float32 parameters of its own.

    Raises:
        ParameterError: names all tensors that are missing, not expected or of the wrong size, with
            shapes and bytes received and expected; or a layer whose kind is not loaded by name.
        ModelFileError: the file cannot be read.
    """
    plan = _plan(graph, Parameters.of(parameters), naming)
    plan.check(graph)
    filled = {source.node.name: plan.filled(source) for source in plan.sources}
    return graph.replace(filled.get(node.name, node) for node in graph.nodes)


def check_parameters(graph: Graph, parameters: Parameters, naming: Naming) -> None:
    """Raise what `with_parameters` would, without reading a value."""
    _plan(graph, parameters, naming).check(graph)


def similarity(graph: Graph, parameters: Parameters, naming: Naming) -> float:
    """How much of all tensors, wanted and given, fit each other by name and size: 0 to 1."""
    plan = _plan(graph, parameters, naming)
    tensors = len(plan.used) + len(plan.missing) + len(plan.extra())
    return (len(plan.used) - len(plan.wrong)) / max(1, tensors)


def _plan(graph: Graph, parameters: Parameters, naming: Naming) -> _Plan:
    plan = _Plan(parameters, naming)
    writers = {node.output: node for node in graph.nodes}
    for node in graph.nodes:
        layer = node.layer
        if isinstance(layer, Conv2d):
            plan.add(node, layer.weight.shape)
        elif isinstance(layer, Linear):
            plan.add(node, _kernel_shape(graph, node, layer, writers))
        elif layer.parameters:
            raise ParameterError(
                f"{graph.name}: {node.name!r} is a {layer.kind} with parameters of its own; only "
                "convolutions and linear layers are loaded by name"
            )
    return plan


def _kernel_shape(graph: Graph, node: Node, layer: Linear, writers: Mapping[str, Node]) -> Shape:
    """A linear layer's weight as (O, I, H, W): over a flattened map, a kernel of its size."""
    before = writers.get(node.inputs[0])
    outputs, inputs = layer.weight.shape
    if before is not None and isinstance(before.layer, Flatten):
        shape = graph.shapes[before.inputs[0]]
        if len(shape) == 4:
            return outputs, *shape[1:]
    return outputs, inputs, 1, 1


def _as_matrix(stored: Shape, order: AxisOrder) -> Shape:
    """Shape of a linear layer's weight as tools write it: two axes, in the kernel's order."""
    if order.kernel.startswith("O"):
        return stored[0], prod(stored[1:])
    return prod(stored[:-1]), stored[-1]


def _names(patterns: Iterable[str], layer: str) -> tuple[str, ...]:
    return tuple(pattern.format(layer) for pattern in patterns)
