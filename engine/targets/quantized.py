"""Networks that come quantised: their QuantizeLinear and DequantizeLinear pairs become ranges."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import isfinite

import numpy as np

from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.layers import (
    Add,
    BatchNorm2d,
    Clip,
    Conv2d,
    ConvTranspose2d,
    DequantizeLinear,
    Gemm,
    Linear,
    MatMul,
    Mul,
    QuantizeLinear,
    Sub,
)

Ranges = dict[str, tuple[float, float]]

# Layers whose answer may be negative, and which take an activation.
_SUMS = (Add, BatchNorm2d, Conv2d, ConvTranspose2d, Gemm, Linear, MatMul, Mul, Sub)


def without_pairs(graph: Graph) -> tuple[Graph, Ranges]:
    """Take out the pairs that only round a value to 8 bits.

    The weights are floats already (the importer multiplies them out); kernels pack them to int8
    again, without loss where a channel uses its whole range.

    Quantisers leave out a ReLU or ReLU6 where rounding to a range that begins at 0 does the same.
    Such a range is set as the limits of the layer that makes the value, so that floats keep to it.

    Args:
        graph: as imported or optimised.

    Returns:
        The graph without them, optimised again, and the range that each such value was quantised
        over; the graph itself and no ranges where there is no pair. A pair with a scale per
        slice or one that is not finite, or of other than 8 bits, stays.
    """
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    ranges: Ranges = {}
    renamed: dict[str, str] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        ends = _ends(node)
        back = readers[node.output]
        if ends is None or node.output in graph.outputs or not back:
            continue
        if not all(_undoes(other, node) and other.output not in graph.outputs for other in back):
            continue
        source = renamed.get(node.inputs[0], node.inputs[0])
        known = ranges.get(source, ends)
        ranges[source] = (min(known[0], ends[0]), max(known[1], ends[1]))
        renamed.update((other.output, source) for other in back)
        gone.update((node.name, *(other.name for other in back)))
    if not gone:
        return graph, {}
    kept = [
        replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        for node in graph.nodes
        if node.name not in gone
    ]
    unrounded = {n.inputs[0] for n in graph.nodes if n.name in gone} - set(graph.outputs)
    unrounded = {name for name in unrounded if all(n.name in gone for n in readers[name])}
    limited = [
        _limited(node, ranges[node.output]) if node.output in unrounded else node for node in kept
    ]
    return optimize(graph.replace(limited)), ranges


def _limited(node: Node, ends: tuple[float, float]) -> Node:
    """A node that keeps to a range from 0 on, if its layer adds up and nothing limits it yet."""
    if ends[0] != 0 or node.activation is not None or not isinstance(node.layer, _SUMS):
        return node
    return replace(node, activation=Clip(*ends))


def _ends(node: Node) -> tuple[float, float] | None:
    """Smallest and largest value that a node can give after a way back; None if it has several."""
    layer = node.layer
    if not isinstance(layer, QuantizeLinear) or layer.scale.size != 1 or layer.dtype.itemsize != 1:
        return None
    info = np.iinfo(layer.dtype)
    zero = 0 if layer.zero_point is None else int(layer.zero_point.reshape(()))
    scale = float(layer.scale.reshape(()))
    if not isfinite(scale):
        return None
    return (info.min - zero) * scale, (info.max - zero) * scale


def _undoes(other: Node, node: Node) -> bool:
    """Whether a node dequantises what ``node`` quantised, by the same numbers."""
    layer, first = other.layer, node.layer
    if not isinstance(layer, DequantizeLinear) or not isinstance(first, QuantizeLinear):
        return False
    zeros = [0 if z is None else int(z.reshape(())) for z in (layer.zero_point, first.zero_point)]
    same = layer.scale.size == 1 and float(layer.scale) == float(first.scale)
    return same and zeros[0] == zeros[1]
