"""Small networks, and the same with one setting or one array changed."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from helpers.cpu_check import Layers
from helpers.cpu_nets import ACTIVATIONS, Weights, conv, depthwise
from twinlens.engine.errors import ModelError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Gemm,
    GlobalAvgPool2d,
    HardSigmoid,
    LocalResponseNorm,
    MaxPool2d,
    Mul,
    Pad,
    PReLU,
    ReduceMean,
    ReLU6,
    Reshape,
    Resize,
    Softmax,
)


def samples(seed: int) -> Iterator[Graph]:
    """Small networks that have every layer with a kernel, and some without."""
    w = Weights(seed)
    for make in ACTIVATIONS:
        net = Layers(x=(1, 2, 3, 4))
        net.add(conv(w, 2, 3, (2, 1)), "x", activation=make())
        yield net.graph()
    net = Layers(x=(1, 8, 14, 13))
    net.add(conv(w, 8, 9, pads=(1, 1, 1, 1)), "x", activation=ReLU6())
    yield net.graph()
    net = Layers(x=(1, 8, 9, 8))
    name = net.add(MaxPool2d((2, 3), stride=(2, 1), pads=(1, 0, 0, 1)), "x")
    net.add(AvgPool2d((3, 2), pads=(0, 1, 1, 0)), net.add(HardSigmoid(), name))
    yield net.graph()
    net = Layers(x=(1, 8, 9, 8))
    name = net.add(conv(w, 8, 8, (1, 1)), net.add(depthwise(w, 8, pads=(1, 1, 1, 1)), "x"))
    name = net.add(Mul(), name, net.add(GlobalAvgPool2d(), name))
    name = net.add(Concat(1), net.add(Add(), name, "x"), name)
    net.add(PReLU(w(4, 1, 1)), net.add(conv(w, 16, 4, groups=4, stride=(2, 2)), name))
    yield net.graph()
    net = Layers(x=(1, 8, 9, 8))
    name = net.add(BatchNorm2d(w.positive(8), w(8), w(8), w.positive(8)), "x")
    name = net.add(Add(), name, net.constant(w.positive(8, 1, 1)))
    name = net.add(Pad(((0, 0), (0, 0), (1, 0), (0, 1))), net.add(LocalResponseNorm(3), name))
    name = net.add(conv(w, 8, 4), net.add(Resize(scales=(1.0, 1.0, 2.0, 1.0)), name))
    row = net.add(Reshape((1, 4)), net.add(ReduceMean((2, 3)), name))
    matrix, bias = net.constant(w(5, 4)), net.constant(w(5))
    net.add(Softmax(1), net.add(Gemm(alpha=0.5, beta=0.25, transpose_b=True), row, matrix, bias))
    yield net.graph()


def changed(value: Any) -> list[Any]:
    """Other values of the same kind that a setting could have."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, np.ndarray):
        return [(value * 1.5 + 0.25).astype(value.dtype)]
    if isinstance(value, float):
        return [value + 0.25, np.float32(-value - 0.5)]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, tuple) and value and all(isinstance(n, int) for n in value):
        return [(*value[:i], n + 1, *value[i + 1 :]) for i, n in enumerate(value)]
    return []


def variants(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """The graph with one setting of one layer changed, or the values of one array."""
    for position, node in enumerate(graph.nodes):
        for layer in (node.layer, node.activation):
            for name, value in [] if layer is None else list(vars(layer).items()):
                for other in changed(value):
                    twin = copy(layer)
                    setattr(twin, name, other)
                    fields = {"layer" if layer is node.layer else "activation": twin}
                    nodes: list[Node] = list(graph.nodes)
                    nodes[position] = replace(node, **fields)
                    try:
                        yield f"{layer.kind}.{name} {value} → {other}", graph.replace(nodes)
                    except (ModelError, ValueError, TypeError, ArithmeticError):
                        continue
    for name, array in graph.constants.items():
        yield name, graph.replace(graph.nodes, constants={**graph.constants, name: array + 1})
