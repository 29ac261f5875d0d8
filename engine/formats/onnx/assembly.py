"""The nodes of an ONNX graph as layers, one after the other, with those in branches and loops.

What exporters write as If and Loop is decided by shapes, which are known at import: the branch that
is taken is put in place, and all rounds of a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.onnx.functions import MAX_NODES, reads
from twinlens.engine.formats.onnx.operator import Operator, array_of, chain_errors
from twinlens.engine.formats.values import Values
from twinlens.engine.layers import Concat, Identity, Unsqueeze

if TYPE_CHECKING:
    import onnx

Builders = Mapping[str, Callable[[Operator], None]]

_STANDARD_DOMAINS = ("", "ai.onnx")
_DEEPEST = 32


class Assembly:
    """Adds nodes' layers; what cannot be is gathered, so that one error names all of it.

    Args:
        title: of the model, for errors.
        opset: version of the standard operators.
        values: where layers go.
        builders: what builds an operator's layers, by its name.
    """

    def __init__(self, title: str, opset: int, values: Values, builders: Builders) -> None:
        self._title, self._opset, self._values = title, opset, values
        self._builders = builders
        self._missing: dict[str, list[str]] = {}
        self._refused: list[tuple[str, UnsupportedOperatorError]] = []
        self._unknown: set[str] = set()
        self._count = 0
        self._deep = 0

    def add(self, graph: onnx.GraphProto, prefix: str = "") -> None:
        """Add a graph's nodes, in an order in which each stands behind those that it reads.

        Raises:
            ModelError: a node contradicts itself; names it.
        """
        read = read_names(graph)
        for node, name in in_order(graph, self._title):
            self._one_more()
            if not self._add(node, prefix + name, read):
                break

    def check(self) -> None:
        """Raise one error with all that is missing.

        Raises:
            UnsupportedOperatorError: there is something.
        """
        if self._missing or self._refused:
            raise _lacking(self._title, self._missing, self._refused)

    def _one_more(self) -> None:
        """Count a node, or a round of a loop, which may have none."""
        checkpoint()
        self._count += 1
        if self._count > MAX_NODES:
            raise ModelFileError(
                f"{self._title}: its loops come to more than {MAX_NODES:,} nodes, which is "
                "more than is read"
            )

    def _add(self, node: onnx.NodeProto, name: str, read: Collection[str]) -> bool:
        """Add one node; False where what is missing makes the rest hard to judge."""
        kind = _kind(node)
        if kind not in self._builders and kind not in _CONTROL:
            self._missing.setdefault(kind, []).append(name)
            self._unknown.update(node.output)
            return True
        if not self._unknown.isdisjoint(reads(node)):
            self._unknown.update(node.output)  # what it reads has no shape
            return True
        operator = Operator(node, name, self._opset, self._values, read)
        try:
            with reading(f"{self._title}: node {name!r} ({node.op_type})"):
                if kind in _CONTROL:
                    _CONTROL[kind](self, operator, node)
                else:
                    self._builders[kind](operator)
        except UnsupportedOperatorError as error:
            self._refused.append((kind, error))
            self._unknown.update(node.output)
        except ModelError as error:
            if self._missing or self._refused:
                return False
            raise chain_errors(operator, error) from error
        return True

    # Branches and loops.

    def _if(self, operator: Operator, node: onnx.NodeProto) -> None:
        taken = bool(operator.constant(0, "condition").reshape(-1)[0])
        wanted = "then_branch" if taken else "else_branch"
        found = [a.g for a in node.attribute if a.name == wanted]
        if not found:
            raise ModelFileError(f"node {operator.name!r} (If) has no {wanted}")
        self._put(operator, self._inner(found[0], f"{operator.name}/", {}), node.output)

    def _loop(self, operator: Operator, node: onnx.NodeProto) -> None:
        bodies = [a.g for a in node.attribute if a.name == "body"]
        rounds = operator.optional(0, "number of rounds")
        going = operator.optional(1, "condition")
        on = going is None or bool(going.reshape(-1)[0])
        state = [operator.input(place) for place in range(2, operator.input_count)]
        if not bodies or len(bodies[0].input) != len(state) + 2:
            raise ModelFileError(f"node {operator.name!r} (Loop) has no body for its inputs")
        body = bodies[0]
        gathered: list[list[str]] = []
        number = 0
        while on and (rounds is None or number < int(rounds.reshape(-1)[0])):
            self._one_more()
            given = [
                operator.keep(np.asarray(number, np.int64), f"round_{number}"),
                operator.keep(np.asarray(True), f"going_{number}"),
                *state,
            ]
            names = dict(zip((value.name for value in body.input), given, strict=True))
            made = self._inner(body, f"{operator.name}/{number}/", names)
            if made is None or len(made) <= len(state):
                break
            if made[0] not in self._values.constants:
                raise operator.unsupported("whether it goes on is computed while the network runs")
            on = bool(self._values.constants[made[0]].reshape(-1)[0])
            gathered.append(made[1 + len(state) :])
            state = made[1 : 1 + len(state)]
            number += 1
        else:
            self._put(operator, [*state, *self._stacked(operator, gathered)], node.output)
            return
        self._unknown.update(node.output)

    def _stacked(self, operator: Operator, rounds: Sequence[Sequence[str]]) -> list[str]:
        """What every round of a loop gives, side by side along a new first axis."""
        results = []
        for place, names in enumerate(zip(*rounds, strict=True)):
            rows = [
                operator.emit(Unsqueeze([0]), name, step=f"row_{place}_{number}")
                for number, name in enumerate(names)
            ]
            results.append(operator.emit(Concat(0), *rows, step=f"rows_{place}"))
        return results

    def _inner(
        self, graph: onnx.GraphProto, prefix: str, given: Mapping[str, str]
    ) -> list[str] | None:
        """Add the nodes of a branch or body; names of its outputs, None where some are missing."""
        if self._deep >= _DEEPEST:
            raise ModelFileError(f"{self._title}: branches stand {_DEEPEST} deep in each other")
        names = dict(given)
        for tensor in graph.initializer:
            names[tensor.name] = prefix + tensor.name
            self._values.add_constant(prefix + tensor.name, array_of(tensor))
        for node in graph.node:
            names.update((output, prefix + output) for output in node.output if output)
        inner = type(graph)()
        for node in graph.node:
            inner.node.add().CopyFrom(node)
            _rename(inner.node[-1], names)
        results = [names.get(output.name, output.name) for output in graph.output]
        for name in results:
            inner.output.add().name = name
        self._deep += 1
        self.add(inner, prefix)
        self._deep -= 1
        return None if not self._unknown.isdisjoint(results) else results

    def _put(
        self, operator: Operator, results: Sequence[str] | None, outputs: Sequence[str]
    ) -> None:
        """Let results be the node's outputs."""
        if results is None:
            self._unknown.update(outputs)
            return
        if len(results) < len(outputs):
            raise ModelFileError(
                f"node {operator.name!r} ({operator.type}) has {len(outputs)} outputs; its graph "
                f"gives {len(results)}"
            )
        for place, (name, output) in enumerate(zip(results, outputs, strict=False)):
            if output and name not in self._values.shapes:
                raise ModelFileError(
                    f"node {operator.name!r} ({operator.type}): nothing writes {name!r}"
                )
            if operator.uses_output(place):
                operator.emit(Identity(), name, output=place)


_CONTROL: dict[str, Callable[[Assembly, Operator, onnx.NodeProto], None]] = {
    "If": Assembly._if,
    "Loop": Assembly._loop,
}


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Give what a node reads and writes other names, in its branches as well."""
    for values in (node.input, node.output):
        for place, name in enumerate(values):
            values[place] = names.get(name, name)
    for attribute in node.attribute:
        if not attribute.HasField("g"):
            continue
        graph = attribute.g
        own = {value.name for value in (*graph.input, *graph.initializer)}
        own.update(name for inner in graph.node for name in inner.output)
        outer = {name: new for name, new in names.items() if name not in own}
        for inner in graph.node:
            _rename(inner, outer)
        for output in graph.output:
            output.name = outer.get(output.name, output.name)


def _kind(node: onnx.NodeProto) -> str:
    """The operator's name, with its domain unless that is the standard one."""
    return node.op_type if node.domain in _STANDARD_DOMAINS else f"{node.domain}::{node.op_type}"


def _lacking(
    title: str,
    missing: Mapping[str, Sequence[str]],
    refused: Sequence[tuple[str, UnsupportedOperatorError]],
) -> UnsupportedOperatorError:
    """One error for everything that the layers lack, with the engine that may have it."""
    lines = []
    if missing:
        kinds = [f"{kind} at {node_list(nodes)}" for kind, nodes in sorted(missing.items())]
        lines.append(f"operators that the layers do not implement: {'; '.join(kinds)}")
    counts = Counter({kind: len(nodes) for kind, nodes in missing.items()})
    counts.update(kind for kind, _ in refused)
    lines += [error.message for _, error in refused[:8]]
    lines += [f"and {len(refused) - 8} more"] if len(refused) > 8 else []
    foreign = sorted({kind for kind in missing if "::" in kind and not _runs_on_vision(kind)})
    hint = _ON_VISION if not foreign else f"No engine here has {', '.join(foreign)}."
    return UnsupportedOperatorError(
        f"{title}: {'; '.join(lines)}", hint=hint, operators=dict(counts)
    )


def _runs_on_vision(kind: str) -> bool:
    """Whether ONNX Runtime knows the domain of an operator."""
    return kind.split("::", maxsplit=1)[0] in ("ai.onnx.ml", "com.microsoft")


_ON_VISION = "Runs on Vision (--engine vision), which hands the file to ONNX Runtime as it is."


def read_names(proto: onnx.GraphProto) -> frozenset[str]:
    """Names of the values that a node reads or the model gives."""
    read = {name for node in proto.node for name in reads(node)}
    return frozenset(read | {output.name for output in proto.output})


def in_order(proto: onnx.GraphProto, title: str) -> list[tuple[onnx.NodeProto, str]]:
    """All nodes with unique names, each behind those that it reads; the file's order otherwise.

    Raises:
        ModelFileError: a value is written twice, or nodes wait for each other; names them.
    """
    names = _node_names(proto)
    writers: dict[str, int] = {}
    for place, node in enumerate(proto.node):
        for output in node.output:
            if output and writers.setdefault(output, place) != place:
                raise ModelFileError(f"{title}: two nodes write {output!r}")
    waiting: dict[int, list[int]] = {}
    needed = []
    for place, node in enumerate(proto.node):
        before = {writers[name] for name in reads(node) if name in writers}
        needed.append(len(before))
        for one in before:
            waiting.setdefault(one, []).append(place)
    ready = [place for place, count in enumerate(needed) if count == 0]
    order: list[int] = []
    while ready:
        place = heappop(ready)
        order.append(place)
        for reader in waiting.get(place, ()):
            needed[reader] -= 1
            if needed[reader] == 0:
                heappush(ready, reader)
    if len(order) < len(names):
        stuck = [name for name, count in zip(names, needed, strict=True) if count]
        raise ModelFileError(
            f"{title}: its nodes read each other in a circle, at or before {node_list(stuck)}"
        )
    return [(proto.node[place], names[place]) for place in order]


def node_list(names: Sequence[str]) -> str:
    """Some nodes by name, for errors."""
    word = "node" if len(names) == 1 else "nodes"
    shown = ", ".join(repr(name) for name in names[:8])
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{word} {shown}{rest}"


def _node_names(proto: onnx.GraphProto) -> list[str]:
    """A unique name for each node: its own, or its operator and position."""
    if len(proto.node) > MAX_NODES:
        raise ModelFileError(
            f"{proto.name}: has {len(proto.node):,} nodes; at most {MAX_NODES:,} are read"
        )
    taken: set[str] = set()
    names = []
    for position, node in enumerate(proto.node):
        name = node.name or f"{node.op_type}_{position}"
        while name in taken:
            name += f"_{position}"
        taken.add(name)
        names.append(name)
    return names
