"""Element types of a graph's values, for a run in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twinlens.engine.layers import DequantizeLinear
from twinlens.engine.layers.base import DType

if TYPE_CHECKING:
    from twinlens.engine.graph.graph import Graph

_MOVES = (
    *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Concat", "Slice"),
    *("Pad", "DepthToSpace", "SpaceToDepth"),
)


def input_types(graph: Graph) -> dict[str, DType]:
    """Element type of each of a graph's inputs: float32 unless a dequantiser reads it.

    Layers that only move samples are looked through.
    """
    found: dict[str, DType] = {}
    origin = {name: name for name in graph.inputs}
    for node in graph.nodes:
        sources = [origin[name] for name in node.inputs if name in origin]
        if not sources:
            continue
        layer = node.layer
        if isinstance(layer, DequantizeLinear):
            zero = layer.zero_point
            stored = np.dtype(np.uint8) if zero is None else zero.dtype
            found.update(dict.fromkeys(sources, stored))
        elif layer.kind in _MOVES and node.activation is None:
            origin[node.output] = sources[0]
    return {name: found.get(name, np.dtype(np.float32)) for name in graph.inputs}


def value_types(graph: Graph) -> dict[str, DType]:
    """Element type of every value; floats are float32."""
    found = input_types(graph)
    found |= {name: _single(array.dtype) for name, array in graph.constants.items()}
    for node in graph.nodes:
        given = [found[name] for name in node.inputs]
        found[node.output] = _single(node.layer.output_dtype(*given))
    return found


def _single(dtype: DType) -> DType:
    return np.dtype(np.float32) if np.issubdtype(dtype, np.floating) else dtype
