"""A function for each kind of runs: what they share stands in it, the rest are arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from twinlens.engine.formats.python.calls import Constant, Line
from twinlens.engine.formats.python.layout import (
    Argument,
    Call,
    annotation,
    arguments,
    lines,
    literal,
)
from twinlens.engine.formats.python.naming import Naming
from twinlens.engine.formats.python.repeats import Repeat, settings
from twinlens.engine.formats.python.statements import call_of, prefixed
from twinlens.engine.formats.python.variables import Step, name_values


@dataclass(frozen=True)
class Parameter:
    """An argument of a function.

    Attributes:
        name: its name.
        values: what each run gives.
        default: source text of what most runs give; None where it is always given.
    """

    name: str
    values: tuple[object, ...]
    default: str | None


@dataclass(frozen=True)
class Function:
    """A kind of runs as source text.

    Attributes:
        name: of the function.
        repeat: the runs.
        naming: how its layers are named.
        parameters: beside the network, the value and the name.
        text: its lines.
    """

    name: str
    repeat: Repeat
    naming: Naming
    parameters: tuple[Parameter, ...]
    text: tuple[str, ...]

    def call(self, run: int, x: str, name: str) -> Call:
        """The call of one run; ``name`` is source text."""
        given = [Argument("net"), Argument(x), Argument(name)]
        named = []
        for parameter in self.parameters:
            text = literal(parameter.values[run])
            if parameter.default is None:
                given.append(Argument(text))
            elif text != parameter.default:
                named.append(Argument(text, parameter.name))
        return Call(self.name, (*given, *named))


def make_functions(
    network: Sequence[Line], repeats: Sequence[Repeat], namings: Sequence[Naming]
) -> list[Function]:
    """Write one function for each kind of runs."""
    titles = [_title(network, repeat) for repeat in repeats]
    total, seen = Counter(titles), Counter[str]()
    made = []
    for repeat, naming, title in zip(repeats, namings, titles, strict=True):
        seen[title] += 1
        name = f"_{title}" if total[title] == 1 else f"_{title}{seen[title]}"
        made.append(_function(name, network, repeat, naming))
    return made


def _function(name: str, network: Sequence[Line], repeat: Repeat, naming: Naming) -> Function:
    runs = [network[at : at + repeat.length] for at in repeat.starts]
    parameters, chosen = _parameters(runs)
    required = [p for p in parameters if p.default is None]
    optional = [p for p in parameters if p.default is not None]
    signature: list[Call | str] = ["net: Builder", "x: str", "name: str"]
    signature += [f"{p.name}: {annotation(p.values)}" for p in required]
    signature += ["*"] if optional else []
    signature += [f"{p.name}: {annotation(p.values)} = {p.default}" for p in optional]
    text = lines(f"def {name}", Call("", arguments(signature)), " -> str:")
    text += _body(runs[0], repeat.starts[0], naming, chosen)
    return Function(name, repeat, naming, (*required, *optional), tuple(text))


def _body(
    run: Sequence[Line], start: int, naming: Naming, chosen: Sequence[Sequence[str | None]]
) -> list[str]:
    """The function's statements, indented."""
    steps = [Step(reads_of(line), start + k) for k, line in enumerate(run)]
    entry = next(value for step in steps for value in step.reads if value < start)
    last = steps[-1].writes
    variables = name_values([entry], steps, [last])
    text: list[str] = []
    at = 0
    for line, step, settings_of in zip(run, steps, chosen, strict=True):
        count = 1 + sum(isinstance(one, Constant) for one in line.inputs)
        shared = {p - at: n for p, n in naming.shared.items() if at <= p < at + count}
        names = prefixed(naming.endings[at : at + count], shared)
        at += count
        call = call_of(line, names, variables, settings_of)
        head = "return " if step.writes == last else f"{variables[step.writes]} = "
        text += lines(head, call, indent=4)
    return text


def reads_of(line: Line) -> tuple[int, ...]:
    """Numbers of the values that a line reads."""
    return tuple(one for one in line.inputs if not isinstance(one, Constant))


def _parameters(
    runs: Sequence[Sequence[Line]],
) -> tuple[list[Parameter], list[list[str | None]]]:
    """The arguments, and for each line of a run which setting is which argument."""
    columns = [
        list(zip(*(settings(run[place]) for run in runs), strict=True))
        for place in range(len(runs[0]))
    ]
    keys = [_keys(line) for line in runs[0]]
    names: dict[tuple[str, tuple[str, ...]], str] = {}
    found: dict[str, list[tuple[str, ...]]] = {}
    values: dict[tuple[str, tuple[str, ...]], tuple[object, ...]] = {}
    for column, key in _pairs(columns, keys):
        texts = tuple(literal(value) for value in column)
        if len(set(texts)) > 1 and (key, texts) not in values:
            values[key, texts] = column
            found.setdefault(key, []).append(texts)
    for key, several in found.items():
        for number, texts in enumerate(several, start=1):
            names[key, texts] = key if len(several) == 1 else f"{key}{number}"
    chosen = [
        [
            names.get((key, tuple(literal(value) for value in column)))
            for column, key in zip(places, line_keys, strict=True)
        ]
        for places, line_keys in zip(columns, keys, strict=True)
    ]
    parameters = [
        Parameter(name, values[at], _default(at[0], values[at])) for at, name in names.items()
    ]
    return parameters, chosen


def _pairs(
    columns: Sequence[Sequence[tuple[object, ...]]], keys: Sequence[Sequence[str]]
) -> list[tuple[tuple[object, ...], str]]:
    return [
        pair
        for places, names in zip(columns, keys, strict=True)
        for pair in zip(places, names, strict=True)
    ]


def _keys(line: Line) -> list[str]:
    """A name for each of a line's settings."""
    found = [slot.key for slot in line.slots]
    for made in (line.made, line.then):
        arrays = {key for key, _, _ in made.arrays} if made else set()
        slots = made.slots if made else ()
        found += [f"{slot.key}_shape" if slot.key in arrays else slot.key for slot in slots]
    return found + ["shape" for one in line.inputs if isinstance(one, Constant)]


def _default(key: str, values: tuple[object, ...]) -> str | None:
    """What most runs give, unless it is a width, which is told each time."""
    text, count = Counter(literal(value) for value in values).most_common(1)[0]
    return text if key != "outputs" and count * 2 >= len(values) else None


def _title(network: Sequence[Line], repeat: Repeat) -> str:
    """What such a run is called."""
    start = repeat.starts[0]
    run = network[start : start + repeat.length]
    kinds = {line.made.kind if line.made else line.method for line in run}
    entry = next(value for line in run for value in reads_of(line) if value < start)
    adds = [line for line in run if line.made and line.made.kind == "Add"]
    if any(entry in reads_of(line) for line in adds) or (adds and "conv" in kinds):
        return "residual"
    if "Concat" in kinds:
        return "branches"
    return "separable" if "depthwise" in kinds else "block"
