"""What runs in which order, and when each value can be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from twinlens.engine.errors import ModelError
from twinlens.engine.graph.node import Node


@dataclass(frozen=True)
class Step:
    """One node of a plan.

    Attributes:
        node: what runs.
        releases: names of the values that nothing reads after this step.
    """

    node: Node
    releases: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All steps, in an order in which every value is written before it is read."""

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, nodes: Sequence[Node], keep: Collection[str]) -> Plan:
        """Plan nodes that are already in order.

        Args:
            nodes: in topological order.
            keep: names of values that are never released (the graph's outputs and constants).
        """
        last: dict[str, int] = {}
        for position, node in enumerate(nodes):
            # A value that nobody reads is released by the step that writes it.
            for name in (*node.inputs, node.output):
                last[name] = position
        releases: list[list[str]] = [[] for _ in nodes]
        for name, position in last.items():
            if name not in keep:
                releases[position].append(name)
        return cls(tuple(map(Step, nodes, map(tuple, releases))))


def in_order(nodes: Sequence[Node], known: Collection[str]) -> tuple[Node, ...]:
    """Sort nodes topologically; among nodes that are ready, the given order is kept.

    Args:
        nodes: in any order; their outputs are unique and their inputs exist.
        known: names that exist before any node has run.

    Raises:
        ModelError: nodes wait for each other in a circle; names them.
    """
    waiting_for: dict[str, list[int]] = {}
    missing: list[int] = []
    for position, node in enumerate(nodes):
        needed = {name for name in node.inputs if name not in known}
        missing.append(len(needed))
        for name in needed:
            waiting_for.setdefault(name, []).append(position)
    ready = [position for position, count in enumerate(missing) if count == 0]
    heapify(ready)
    order: list[Node] = []
    while ready:
        node = nodes[heappop(ready)]
        order.append(node)
        for position in waiting_for.get(node.output, ()):
            missing[position] -= 1
            if missing[position] == 0:
                heappush(ready, position)
    if len(order) < len(nodes):
        stuck = [node.name for node, count in zip(nodes, missing, strict=True) if count]
        raise ModelError(f"the graph has a circle through or before {', '.join(stuck[:8])}")
    return tuple(order)
