"""A graph as a table of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.engine.graph.graph import Graph

HEADERS = ("node", "layer", "settings", "output", "parameters", "MACs", "runs as")
RIGHT_ALIGNED = frozenset({4, 5})


def summarize(graph: Graph, kernels: Mapping[str, str]) -> str:
    """The table that ``Graph.summary`` returns."""
    rows = [
        (
            node.name,
            node.kind,
            node.layer.describe(),
            _sizes(graph.shapes[node.output]),
            f"{sum(array.size for array in node.layer.parameters.values()):,}",
            f"{graph.node_macs(node):,}",
            kernels.get(node.name, "reference"),
        )
        for node in graph.nodes
    ]
    inputs = ", ".join(f"{name} {_sizes(shape)}" for name, shape in graph.inputs.items())
    outputs = ", ".join(f"{name} {_sizes(shape)}" for name, shape in graph.output_shapes.items())
    totals = (
        f"{len(graph.nodes)} layers · {graph.parameter_count:,} parameters · {graph.macs:,} MACs"
    )
    return "\n".join([f"{graph.name}: {inputs} → {outputs}", *_table(rows), totals])


def _sizes(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEADERS, *rows, strict=True)]
    lines = [HEADERS, tuple("─" * width for width in widths), *rows]
    return ["  ".join(_cells(line, widths)).rstrip() for line in lines]


def _cells(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if column in RIGHT_ALIGNED else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
