"""Runs of lines that a network repeats, so that each kind can be written once, as a function.

A run can be a function when it reads one value from outside and gives one value on; two are of one
kind when their lines have the same forms and read each other in the same way. Of all kinds those
are chosen that save the most lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from twinlens.engine.formats.python.calls import Constant, Line

_SHORTEST, _LONGEST = 3, 40
_FUNCTION = 3
"""Lines that a function costs beside its body: signature, and two empty lines in front."""
_LEAST_GAIN = 2
_TRIED, _FIRST = 200, 10
_WEIGHTED = ("conv", "depthwise", "linear")
_UNNAMED = 2
"""Lines that it is worth that layers keep their names."""
_ON_ONE_LINE = 6
"""Settings of a call that still fit on its line."""


@dataclass(frozen=True)
class Repeat:
    """Runs of one kind.

    Attributes:
        starts: place of the first line of each run, in order.
        length: lines in a run.
    """

    starts: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class _Candidate:
    """Runs of one kind, and lines that each of them counts less than others."""

    repeat: Repeat
    fine: int


def find_repeats(
    lines: Sequence[Line], outputs: Iterable[int], named: Callable[[Repeat], bool]
) -> list[Repeat]:
    """The kinds of runs that are worth a function; none overlaps another.

    Args:
        lines: in order.
        outputs: places of the lines whose values the network gives.
        named: whether the layers of such runs can keep their names.
    """
    kinds = _candidates(lines, outputs)
    found = sorted(kinds, key=lambda one: -_gain(lines, one, set()))[:_TRIED]
    candidates = [_Candidate(one, 0 if named(one) else _UNNAMED) for one in found]
    candidates.sort(key=lambda one: _rank(lines, one, set()), reverse=True)
    best: list[Repeat] = []
    most: int | None = None
    # The kind that saves most at once may break up others that save more together.
    for first in candidates[:_FIRST]:
        chosen, gain = _greedy(lines, candidates, first)
        if chosen and (most is None or gain > most):
            best, most = chosen, gain
    return sorted(best, key=lambda repeat: repeat.starts)


def _greedy(
    lines: Sequence[Line], candidates: Sequence[_Candidate], first: _Candidate
) -> tuple[list[Repeat], int]:
    used: set[int] = set()
    chosen: list[Repeat] = []
    total = 0
    best: _Candidate | None = first
    while best is not None:
        if _gain(lines, best.repeat, used) < _LEAST_GAIN:
            break
        total += _rank(lines, best, used)[0]
        length = best.repeat.length
        chosen.append(Repeat(_free(best.repeat, used), length))
        used.update(at + k for at in chosen[-1].starts for k in range(length))
        best = max(candidates, key=lambda one: _rank(lines, one, used), default=None)
    return chosen, total


def _free(repeat: Repeat, used: set[int]) -> tuple[int, ...]:
    """Those runs that overlap neither each other nor what is used."""
    found: list[int] = []
    for start in repeat.starts:
        if found and start < found[-1] + repeat.length:
            continue
        if not any(start + k in used for k in range(repeat.length)):
            found.append(start)
    return tuple(found)


def _rank(lines: Sequence[Line], one: _Candidate, used: set[int]) -> tuple[int, bool]:
    """Lines that are saved; among equals, runs that start with weights come first."""
    gain = _gain(lines, one.repeat, used) - one.fine * len(_free(one.repeat, used))
    return gain, lines[one.repeat.starts[0]].method in _WEIGHTED


def _gain(lines: Sequence[Line], repeat: Repeat, used: set[int]) -> int:
    """Lines that are saved."""
    starts = _free(repeat, used)
    if len(starts) < 2:
        return 0
    count, length = len(starts), repeat.length
    # Calls with many settings take a line for each bracket as well.
    wide = len(varying(lines, Repeat(starts, length))) > _ON_ONE_LINE
    return count * length - (length + _FUNCTION) - count * (3 if wide else 1)


def varying(lines: Sequence[Line], repeat: Repeat) -> set[tuple[object, ...]]:
    """The settings in which the runs differ, each as its values over the runs."""
    return {
        column
        for k in range(repeat.length)
        for column in zip(*(settings(lines[at + k]) for at in repeat.starts), strict=True)
        if len(set(column)) > 1
    }


def settings(line: Line) -> list[object]:
    """All settings of a line, in a fixed order."""
    found = [slot.value for slot in line.slots]
    for made in (line.made, line.then):
        found += [slot.value for slot in made.slots] if made else []
    return found + [tuple(one.array.shape) for one in line.inputs if isinstance(one, Constant)]


def _candidates(lines: Sequence[Line], outputs: Iterable[int]) -> list[Repeat]:
    """All runs that could be a function and stand more than once, by kind."""
    last = _last_uses(lines, outputs)
    kinds: dict[tuple[int, object], int] = {}
    runs: dict[tuple[int, int], list[int]] = {}
    for start in range(len(lines)):
        kind, entry, reach = 0, None, -1
        for place in range(start, min(len(lines), start + _LONGEST)):
            token, read = _token(lines[place], place, start)
            if entry is None and read:
                entry = read[0]
            if any(one != entry for one in read):
                break
            kind = kinds.setdefault((kind, token), len(kinds) + 1)
            length = place - start + 1
            if length >= _SHORTEST and reach <= place and entry is not None:
                runs.setdefault((length, kind), []).append(start)
            reach = max(reach, last[place])
    return [Repeat(tuple(at), length) for (length, _), at in runs.items() if len(at) > 1]


def _token(line: Line, place: int, start: int) -> tuple[object, list[int]]:
    """A line's form with what it reads, seen from a run's start; and what it reads outside."""
    wires: list[object] = []
    outside: list[int] = []
    for one in line.inputs:
        if isinstance(one, Constant):
            wires.append((one.dtype, one.array.ndim))
        elif one >= start:
            wires.append(place - one)
        else:
            wires.append("x")
            outside.append(one)
    return (line.form, tuple(wires)), outside


def _last_uses(lines: Sequence[Line], outputs: Iterable[int]) -> list[int]:
    """Place of the last line that reads each line's value."""
    last = list(range(len(lines)))
    for place, line in enumerate(lines):
        for one in line.inputs:
            if isinstance(one, int) and one >= 0:
                last[one] = place
    for place in outputs:
        if place >= 0:
            last[place] = len(lines)
    return last
