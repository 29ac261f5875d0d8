"""Rewrites that make a graph smaller and leave its outputs as they were.

Each pass takes a graph and returns another; none changes a layer that it was given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.graph.graph import Graph
from twinlens.engine.graph.node import Node
from twinlens.engine.graph.types import value_types
from twinlens.engine.layers import (
    Activation,
    Add,
    BatchNorm2d,
    Cast,
    Clip,
    Conv2d,
    ConvTranspose2d,
    Gemm,
    Identity,
    Linear,
    MatMul,
    Mul,
    Pad,
    ReLU,
    ReLU6,
    Sub,
)
from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.layers.checks import four_pads

Pass = Callable[[Graph], Graph]

# Layers whose output nobody else holds, so that an activation may overwrite it.
_FRESH = (Conv2d, ConvTranspose2d, Linear, Gemm, MatMul, BatchNorm2d, Add, Sub, Mul)


def remove_identities(graph: Graph) -> Graph:
    """Take out Identity, Dropout and casts of floats to floats; what read them reads their input.

    One stays where a graph output would otherwise have to be another output, an input or a
    constant.
    """
    renamed: dict[str, str] = {}
    producers = {node.output for node in graph.nodes}
    kept = []
    casts = any(isinstance(node.layer, Cast) for node in graph.nodes)
    types = value_types(graph) if casts else {}
    for node in graph.nodes:
        cast = isinstance(node.layer, Cast) and types[node.inputs[0]] == types[node.output]
        same = cast or isinstance(node.layer, Identity)
        if not same or node.activation is not None:
            kept.append(node)
            continue
        source = _resolve(renamed, node.inputs[0])
        if node.output not in graph.outputs:
            renamed[node.output] = source
        elif source in producers and source not in graph.outputs:
            # The value takes the output's name from where it is written.
            renamed[source] = node.output
        else:
            kept.append(node)
    return graph.replace(
        replace(
            node,
            inputs=tuple(_resolve(renamed, name) for name in node.inputs),
            output=_resolve(renamed, node.output),
        )
        for node in kept
    )


def fold_constants(graph: Graph) -> Graph:
    """Replace every node that reads only constants by its answer."""
    constants = dict(graph.constants)
    kept = []
    for node in graph.nodes:
        checkpoint()
        if all(name in constants for name in node.inputs):
            constants[node.output] = node.forward(*(constants[name] for name in node.inputs))
        else:
            kept.append(node)
    return graph.replace(kept, constants=constants)


def remove_unused(graph: Graph) -> Graph:
    """Take out nodes and constants that no output depends on."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    constants = {name: array for name, array in graph.constants.items() if name in needed}
    return graph.replace(reversed(kept), constants=constants)


def fold_padding(graph: Graph) -> Graph:
    """Let a convolution pad for itself where a Pad of zeros around the picture stands before it."""
    return _merge_into_producer(graph, _with_padding)


def fold_batch_norm(graph: Graph) -> Graph:
    """Merge each BatchNorm2d into the convolution or linear layer that only it reads."""

    def merge(producer: Node, node: Node) -> Node | None:
        # Over other than two axes, a linear layer's outputs are not the norm's channels.
        if isinstance(producer.layer, Linear) and len(graph.shapes[node.output]) != 2:
            return None
        return _with_batch_norm(producer, node)

    return _merge_into_producer(graph, merge)


def name_activations(graph: Graph) -> Graph:
    """Turn Clip from 0 to 6 into ReLU6, and Clip from 0 on into ReLU."""
    return graph.replace(replace(node, layer=_named(node.layer)) for node in graph.nodes)


def fuse_activations(graph: Graph) -> Graph:
    """Attach each activation to the node that only it reads, to run in that node's memory."""
    return _merge_into_producer(graph, _with_activation)


PASSES: tuple[Pass, ...] = (
    remove_identities,
    fold_constants,
    remove_unused,
    fold_padding,
    fold_batch_norm,
    name_activations,
    fuse_activations,
)


def optimize(graph: Graph) -> Graph:
    """Apply all passes, in order."""
    for apply in PASSES:
        checkpoint()
        graph = apply(graph)
    return graph


def _resolve(renamed: Mapping[str, str], name: str) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _merge_into_producer(graph: Graph, merge: Callable[[Node, Node], Node | None]) -> Graph:
    """Merge nodes of one input with the node that writes it, where nobody else reads that.

    Args:
        graph: what is rewritten.
        merge: given the producer and its reader, the node that replaces both, or None.
    """
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(graph.outputs)
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        producer = nodes.get(node.inputs[0]) if len(node.inputs) == 1 else None
        merged = None
        if producer is not None and readers[producer.output] == 1:
            merged = merge(producer, node)
        if producer is not None and merged is not None:
            del nodes[producer.output]
            nodes[node.output] = merged
        else:
            nodes[node.output] = node
    return graph.replace(nodes.values())


def _with_padding(producer: Node, node: Node) -> Node | None:
    pad, layer = producer.layer, node.layer
    if not isinstance(pad, Pad) or not isinstance(layer, Conv2d) or len(pad.pads) != 4:
        return None
    sides = [side for both in pad.pads for side in both]
    zeros = pad.mode == "constant" and pad.value == 0 and not any(sides[:4])
    if producer.activation is not None or not zeros or min(sides) < 0:
        return None
    padded = copy(layer)
    (top, bottom), (left, right) = pad.pads[2:]
    added = zip(layer.pads, (top, left, bottom, right), strict=True)
    padded.pads = four_pads(layer.kind, [own + other for own, other in added])
    return replace(node, layer=padded, inputs=producer.inputs)


def _with_batch_norm(producer: Node, node: Node) -> Node | None:
    layer, norm = producer.layer, node.layer
    if producer.activation is not None or not isinstance(norm, BatchNorm2d):
        return None
    if isinstance(layer, Linear):
        per_output: tuple[int, ...] = (-1, 1)
    elif isinstance(layer, Conv2d):
        per_output = (-1, 1, 1, 1)
    else:
        return None
    factor, shift = norm.scale_shift()
    folded = copy(layer)
    stored = layer.weight.dtype
    folded.weight = (layer.weight * factor.reshape(per_output)).astype(stored)
    if layer.weight_scale is not None:
        folded.weight_scale = layer.weight_scale * np.abs(factor)
    bias: Array | float = 0.0 if layer.bias is None else layer.bias
    folded.bias = np.asarray(bias * factor + shift).astype(stored)
    return replace(producer, layer=folded, output=node.output, activation=node.activation)


def _with_activation(producer: Node, node: Node) -> Node | None:
    fits = (
        isinstance(producer.layer, _FRESH)
        and producer.activation is None
        and isinstance(node.layer, Activation)
        and node.activation is None
    )
    return replace(producer, output=node.output, activation=node.layer) if fits else None


def _named(layer: Layer) -> Layer:
    if type(layer) is not Clip or layer.minimum != 0:
        return layer
    if layer.maximum == 6:
        return ReLU6()
    return ReLU() if layer.maximum is None or layer.maximum == np.inf else layer


def part_activations(graph: Graph, stays: Callable[[Layer], bool]) -> Graph:
    """Make activations nodes of their own where they cannot be computed with the layer before.

    Args:
        graph: any graph.
        stays: whether an activation can.
    """
    taken = {*graph.inputs, *graph.constants}
    taken |= {name for node in graph.nodes for name in (node.name, node.output)}
    nodes: list[Node] = []
    for node in graph.nodes:
        activation = node.activation
        if activation is None or stays(activation):
            nodes.append(node)
            continue
        before = _unused(f"{node.output}/before", taken)
        after = _unused(f"{node.name}/{activation.kind}", taken)
        nodes.append(replace(node, output=before, activation=None))
        nodes.append(Node(after, activation, (before,), node.output))
    return graph if len(nodes) == len(graph.nodes) else graph.replace(nodes)


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
