"""A graph as functions that assemble it, with what it repeats written once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from twinlens.engine.errors import UnsupportedOperatorError
from twinlens.engine.formats.python.calls import Constant, Line, input_names, lines_of
from twinlens.engine.formats.python.functions import Function, make_functions, reads_of
from twinlens.engine.formats.python.layout import Argument, Call, arguments, flat, lines
from twinlens.engine.formats.python.naming import keeps_names, name_runs, names_in, well_named
from twinlens.engine.formats.python.repeats import find_repeats
from twinlens.engine.formats.python.statements import call_of, quoted
from twinlens.engine.formats.python.variables import Step, name_values
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array

_MOST, _LEAST = 40, 12
"""Statements of a function."""
_LOOP = 3
"""Equal calls in a row that become a loop."""


@dataclass(frozen=True)
class Source:
    """A network as source text.

    Attributes:
        functions: each as its lines; the last is ``assemble``.
        layers: names of the layer classes that are used.
        arrays: trained numbers by the names that the functions ask for.
    """

    functions: tuple[tuple[str, ...], ...]
    layers: tuple[str, ...]
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class _Statement:
    """``target = call``, or a loop of it.

    Attributes:
        step: what it reads and writes.
        target: variable.
        call: the call; that of a loop names its layers by ``number``.
        loop: range of ``number``; None for a single call.
    """

    step: Step
    target: str
    call: Call
    loop: tuple[int, int] | None = None

    def text(self, indent: int = 4) -> list[str]:
        """Its lines."""
        if self.loop is None:
            return lines(f"{self.target} = ", self.call, indent=indent)
        head = " " * indent + f"for number in range({self.loop[0]}, {self.loop[1]}):"
        return [head, *lines(f"{self.target} = ", self.call, indent=indent + 4)]


def write_network(graph: Graph, title: str, docstring: Sequence[str]) -> Source:
    """Write the functions that assemble a graph.

    Args:
        graph: what is written.
        title: text between quotes that names it.
        docstring: lines of ``assemble``'s docstring, quotes included.

    Raises:
        UnsupportedOperatorError: it has layers without a Python form; names all. Or one of its
            outputs is a constant.
    """
    network, places = lines_of(graph)
    if constant := [name for name in graph.outputs if name not in places]:
        raise UnsupportedOperatorError(
            f"{graph.name}: its output {constant[0]!r} is a constant, which has no Python form"
        )
    outputs = [places[name] for name in graph.outputs]
    found = find_repeats(network, outputs, partial(keeps_names, network))
    repeats = well_named(network, found)
    functions = make_functions(network, repeats, name_runs(network, repeats))
    inputs = list(range(-1, -1 - len(graph.inputs), -1))
    statements, variables = _statements(network, functions, inputs, outputs)
    head = [f'    net = Builder("{title}", parameters)']
    for value, name, shape in zip(inputs, input_names(graph), graph.inputs.values(), strict=True):
        sizes = [f'"{name}"', *map(str, shape)]
        head += lines(f"{variables[value]} = ", Call("net.input", arguments(sizes)), indent=4)
    parts, rest = _parts(statements, variables, outputs)
    given = arguments([variables[value] for value in outputs])
    tail = lines("return ", Call("net.graph", given), indent=4)
    body = [line for statement in rest for line in statement.text()]
    signature = "def assemble(parameters: Mapping[str, Array]) -> Graph:"
    assemble = [signature, *docstring, *head, *body, *tail]
    texts = [function.text for function in functions]
    return Source((*texts, *map(tuple, parts), tuple(assemble)), _layers(network), _arrays(network))


def _statements(
    network: Sequence[Line],
    functions: Sequence[Function],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> tuple[list[_Statement], dict[int, str]]:
    """What ``assemble`` consists of, and the variable of each value."""
    runs = {at: (f, n) for f in functions for n, at in enumerate(f.repeat.starts)}
    steps: list[Step] = []
    place = 0
    while place < len(network):
        length = runs[place][0].repeat.length if place in runs else 1
        reads = [one for line in network[place : place + length] for one in reads_of(line)]
        outside = tuple(dict.fromkeys(one for one in reads if one < place))
        steps.append(Step(outside, place + length - 1))
        place += length
    variables = name_values(inputs, steps, outputs)
    found = []
    place = 0
    for step in steps:
        if place in runs:
            function, run = runs[place]
            name = f'"{function.naming.prefixes[run]}"'
            call = function.call(run, variables[step.reads[0]], name)
        else:
            line = network[place]
            call = call_of(line, quoted(names_in(line)), variables)
        found.append(_Statement(step, variables[step.writes], call))
        place = step.writes + 1
    return _with_loops(found), variables


def _with_loops(statements: Sequence[_Statement]) -> list[_Statement]:
    """The statements, equal calls in a row as loops."""
    found: list[_Statement] = []
    at = 0
    while at < len(statements):
        count, name = _row(statements[at:])
        if count >= _LOOP:
            found.append(_loop(statements[at : at + count], name))
        else:
            count = 1
            found.append(statements[at])
        at += count
    return found


def _row(statements: Sequence[_Statement]) -> tuple[int, tuple[str, int, str]]:
    """How many calls from the first on are equal but for a number that counts up in the name.

    Returns:
        Their count; and what stands before the number, its first value, what stands behind.
    """
    first = statements[0]
    name = _counted(first, statements[1]) if len(statements) > 1 else None
    if name is None:
        return 1, ("", 0, "")
    before, start, after = name
    count = 1
    for one, other in pairwise(statements):
        wanted = f"{before}{start + count}{after}"
        if not _chained(one, other) or flat(other.call.parts[2].value) != wanted:
            break
        count += 1
    return count, name


def _chained(one: _Statement, other: _Statement) -> bool:
    """Whether a call is the one before, but for the name, on what that one gave."""
    calls = (one.call, other.call)
    return (
        one.call.head.startswith("_")
        and one.call.head == other.call.head
        and other.step.reads == (one.step.writes,)
        and all(call.parts[1].value == one.target == other.target for call in calls)
        and one.call.parts[3:] == other.call.parts[3:]
    )


def _counted(one: _Statement, other: _Statement) -> tuple[str, int, str] | None:
    """Two names that differ in one number, which is one more: the first, split around it."""
    if not _chained(one, other):
        return None
    first, second = (re.split(r"(\d+)", flat(s.call.parts[2].value)) for s in (one, other))
    if len(first) != len(second):
        return None
    differ = [k for k, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(differ) != 1 or differ[0] % 2 == 0:
        return None
    k = differ[0]
    if first[k] != str(int(first[k])) or second[k] != str(int(first[k]) + 1):
        return None
    return "".join(first[:k]), int(first[k]), "".join(first[k + 1 :])


def _loop(statements: Sequence[_Statement], name: tuple[str, int, str]) -> _Statement:
    first = statements[0]
    before, start, after = name
    parts = list(first.call.parts)
    parts[2] = Argument(f"f{before}{{number}}{after}")
    step = Step(first.step.reads, statements[-1].step.writes)
    call = Call(first.call.head, tuple(parts))
    return _Statement(step, first.target, call, (start, start + len(statements)))


def _parts(
    statements: Sequence[_Statement], variables: Mapping[int, str], outputs: Sequence[int]
) -> tuple[list[list[str]], list[_Statement]]:
    """Functions for all but what ``assemble`` has room for, and what it then consists of."""
    if len(statements) <= _MOST:
        return [], list(statements)
    found: list[list[str]] = []
    calls: list[_Statement] = []
    rest = list(statements)
    while rest:
        count = _cut(rest, outputs) if len(rest) > _MOST else len(rest)
        chunk, rest = rest[:count], rest[count:]
        name = f"_part{len(found) + 1}"
        text, call = _part(name, chunk, rest, variables, outputs)
        found.append(text)
        calls.append(call)
    return found, calls


def _live(
    chunk: Sequence[_Statement], rest: Sequence[_Statement], outputs: Sequence[int]
) -> list[int]:
    """Values of a chunk that are needed after it."""
    needed = {*outputs, *(value for statement in rest for value in statement.step.reads)}
    return [statement.step.writes for statement in chunk if statement.step.writes in needed]


def _cut(statements: Sequence[_Statement], outputs: Sequence[int]) -> int:
    """After how many statements fewest values are needed later; the later of equals."""
    counts = range(_LEAST, min(_MOST, len(statements) - 1) + 1)
    return min(counts, key=lambda n: (len(_live(statements[:n], statements[n:], outputs)), -n))


def _part(
    name: str,
    chunk: Sequence[_Statement],
    rest: Sequence[_Statement],
    variables: Mapping[int, str],
    outputs: Sequence[int],
) -> tuple[list[str], _Statement]:
    """A function of some statements, and its call."""
    written = {statement.step.writes for statement in chunk}
    reads = [value for statement in chunk for value in statement.step.reads]
    given = list(dict.fromkeys(value for value in reads if value not in written))
    live = _live(chunk, rest, outputs)
    names = [variables[value] for value in given]
    back = ", ".join(variables[value] for value in live)
    kind = "str" if len(live) == 1 else f"tuple[{', '.join(['str'] * len(live))}]"
    signature = ["net: Builder", *(f"{variable}: str" for variable in names)]
    text = lines(f"def {name}", Call("", arguments(signature)), f" -> {kind}:")
    for statement in chunk[:-1]:
        text += statement.text()
    last = chunk[-1]
    if last.loop is None and live == [last.step.writes]:
        text += lines("return ", last.call, indent=4)
    else:
        text += [*last.text(), f"    return {back}"]
    step = Step(tuple(given), chunk[-1].step.writes)
    return text, _Statement(step, back, Call(name, arguments(["net", *names])))


def _layers(network: Sequence[Line]) -> tuple[str, ...]:
    kinds = {made.kind for line in network for made in (line.made, line.then) if made}
    return tuple(sorted(kinds))


def _arrays(network: Sequence[Line]) -> dict[str, Array]:
    """Arrays by the names that the builder asks for; floats in single precision."""
    found: dict[str, Array] = {}
    for line in network:
        found |= {f"{line.name}_{key}": array for key, array in line.arrays.items()}
        for one in line.inputs:
            if isinstance(one, Constant):
                found[one.name] = one.array
    return {
        name: array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in found.items()
    }
