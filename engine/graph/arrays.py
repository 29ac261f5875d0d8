"""All trained numbers of a graph by name, and the strict way back.

An array is named ``{layer}_{parameter}`` (``conv1_weight``), a constant as the graph names it.
Where two would have one name, the later ones get ``_2``, ``_3`` ....
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ParameterError
from twinlens.engine.graph.graph import Graph
from twinlens.engine.graph.node import Node
from twinlens.engine.layers import Array, Layer, Shape


@dataclass(frozen=True)
class Named:
    """One array of a graph.

    Attributes:
        name: unique in its graph.
        array: the numbers.
        node: the layer that it belongs to; None for a constant.
        attribute: the layer's attribute that holds it; for a constant the graph's own name.
        of_activation: whether it belongs to the activation that is fused with the layer.
    """

    name: str
    array: Array
    node: Node | None
    attribute: str
    of_activation: bool = False


def named_arrays(graph: Graph) -> tuple[Named, ...]:
    """All arrays of a graph: layers in order, then constants."""
    taken: set[str] = set()
    found = []
    for one in _all(graph):
        number, name = 1, one.name
        while name in taken:
            number += 1
            name = f"{one.name}_{number}"
        taken.add(name)
        found.append(replace(one, name=name))
    return tuple(found)


def layer_arrays(layer: Layer) -> dict[str, Array]:
    """A layer's parameters by attribute and, where weights were integers, their scale."""
    arrays = dict(layer.parameters)
    scale = getattr(layer, "weight_scale", None)
    return arrays if scale is None else arrays | {"weight_scale": scale}


def with_arrays(graph: Graph, arrays: Mapping[str, Array]) -> Graph:
    """Put arrays, by the names of ``named_arrays``, into a graph.

    Args:
        graph: the network; its own values do not matter, their shapes and types do.
        arrays: every array of the graph, in the layers' own axis order; floats of any precision.

    Returns:
        The same graph with arrays of its own; floats in the precision that the graph had.

    Raises:
        ParameterError: names all arrays that are missing, not expected or of the wrong shape.
    """
    taker = Taker(graph.name, arrays)
    constants = dict(graph.constants)
    layers: dict[tuple[str, bool], Layer] = {}
    for one in named_arrays(graph):
        array = taker.take(one.name, one.array.shape, one.array.dtype)
        if one.node is None:
            constants[one.attribute] = array
            continue
        key = (one.node.name, one.of_activation)
        own = one.node.activation if one.of_activation else one.node.layer
        layers.setdefault(key, copy(own) if own is not None else one.node.layer)
        setattr(layers[key], one.attribute, array)
    taker.check()
    nodes = [
        replace(
            node,
            layer=layers.get((node.name, False), node.layer),
            activation=layers.get((node.name, True), node.activation),
        )
        for node in graph.nodes
    ]
    return graph.replace(nodes, constants=constants)


class Taker:
    """Takes arrays by name, one by one, so that what does not fit can be told in one error.

    Args:
        title: of the network, for the error.
        arrays: what is at hand.
    """

    def __init__(self, title: str, arrays: Mapping[str, Array]) -> None:
        self._title = title
        self._arrays = arrays
        self._taken: set[str] = set()
        self._missing: list[str] = []
        self._wrong: list[str] = []

    def take(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """An array of this shape; floats are cast, integers have to be of the type.

        What is missing or does not fit is replaced by ones and told by ``check``.
        """
        checkpoint()
        expected = f"{_shape_text(shape)} {dtype}, {prod(shape) * dtype.itemsize:,} bytes"
        self._taken.add(name)
        if name not in self._arrays:
            self._missing.append(f"{name} ({expected})")
            return np.ones(shape, dtype)
        array = self._arrays[name]
        real = np.issubdtype(dtype, np.floating)
        # bfloat16 is no floating type to NumPy.
        fits = array.dtype.kind not in "iub" if real else array.dtype == dtype
        if array.shape != shape or not fits:
            received = f"{_shape_text(array.shape)} {array.dtype}, {array.nbytes:,} bytes"
            self._wrong.append(f"{name} has {received}; expected {expected}")
            return np.ones(shape, dtype)
        # A copy of our own: what is mapped may change or vanish under us.
        return np.array(array, dtype, order="C")

    def check(self) -> None:
        """Raise one error with all that is missing, not expected or of the wrong shape.

        Raises:
            ParameterError: there is something.
        """
        extra = [name for name in self._arrays if name not in self._taken]
        groups = {
            "missing": self._missing,
            "not expected": extra,
            "of the wrong shape or type": self._wrong,
        }
        found = {what: lines for what, lines in groups.items() if lines}
        if not found:
            return
        counts = ", ".join(f"{len(lines)} {what}" for what, lines in found.items())
        listed = [f"{what}: {line}" for what, lines in found.items() for line in lines]
        source = getattr(self._arrays, "source", "")
        origin = f" from {source}" if source else ""
        title = f"{self._title}: parameters{origin} do not fit: {counts}"
        raise ParameterError("\n  ".join((title, *listed)))


def renamed(parameters: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, Array]:
    """Arrays by other names.

    Args:
        parameters: by the names under which they are stored.
        names: wanted name → stored name; what is not wanted is left out.

    Raises:
        ParameterError: some are not there; names all of them.
    """
    missing = [stored for stored in names.values() if stored not in parameters]
    if missing:
        source = getattr(parameters, "source", "parameters")
        raise ParameterError(f"{source}: lacks {', '.join(missing)}")
    return {name: parameters[stored] for name, stored in names.items()}


def _all(graph: Graph) -> Iterator[Named]:
    for node in graph.nodes:
        for attribute, array in layer_arrays(node.layer).items():
            yield Named(f"{node.name}_{attribute}", array, node, attribute)
        if node.activation is not None:
            kind = node.activation.kind.lower()
            for attribute, array in layer_arrays(node.activation).items():
                yield Named(f"{node.name}_{kind}_{attribute}", array, node, attribute, True)
    for name, array in graph.constants.items():
        yield Named(name, array, None, name)


def _shape_text(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"
