"""Names of the layers in runs that are written as functions: a prefix of the run, an ending each.

Where the model's own names have that form (``block3_0``, ``block3_0_relu`` and ``block4_0`` ...)
they stay; otherwise the layers of a run are named anew, by what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from twinlens.engine.formats.python.calls import Constant, Line
from twinlens.engine.formats.python.repeats import Repeat

_PREFIXES = ("block", "part", "stage", "run", "group")


@dataclass(frozen=True)
class Naming:
    """How the names of a kind of runs are made.

    Attributes:
        prefixes: of each run.
        endings: of each name in a run: its lines, in order, each followed by its constants; None
            for a constant that all runs share.
        shared: name of each shared constant, by its place among the names.
    """

    prefixes: tuple[str, ...]
    endings: tuple[str | None, ...]
    shared: dict[int, str]


def well_named(lines: Sequence[Line], repeats: Sequence[Repeat]) -> list[Repeat]:
    """The repeats, each without the few runs whose names have another form than those of most."""
    return [_well_named(lines, repeat) for repeat in repeats]


def keeps_names(lines: Sequence[Line], repeat: Repeat) -> bool:
    """Whether the layers of most of the runs can keep their names."""
    return _own(lines, _well_named(lines, repeat)) is not None


def _well_named(lines: Sequence[Line], repeat: Repeat) -> Repeat:
    runs = _names(lines, repeat)
    shared = _shared(runs)
    forms = [_form(run, shared)[1] for run in runs]
    usual, count = Counter(forms).most_common(1)[0]
    if count < 2 or count * 3 < len(runs) * 2:
        return repeat
    kept = [at for at, form in zip(repeat.starts, forms, strict=True) if form == usual]
    return replace(repeat, starts=tuple(kept))


def name_runs(lines: list[Line], repeats: Sequence[Repeat]) -> list[Naming]:
    """Names for all runs; renames ``lines`` where their own do not have a common form."""
    found: dict[int, Naming] = {}
    unfit = []
    for index, repeat in enumerate(repeats):
        naming = _own(lines, repeat)
        if naming is None:
            unfit.append(index)
        else:
            found[index] = naming
    taken = {name for line in lines for name in names_in(line)}
    word = next(
        (w for w in _PREFIXES if not any(name.startswith(w) for name in taken)), "block_of_layers_"
    )
    places = sorted((start, index) for index in unfit for start in repeats[index].starts)
    numbers = {start: number for number, (start, _) in enumerate(places, start=1)}
    for index in unfit:
        found[index] = _rename(lines, repeats[index], word, numbers)
    return [found[index] for index in range(len(repeats))]


def names_in(line: Line) -> list[str]:
    """The line's own name, then those of its constants."""
    return [line.name, *(one.name for one in line.inputs if isinstance(one, Constant))]


def _names(lines: Sequence[Line], repeat: Repeat) -> list[list[str]]:
    """All names of each run."""
    return [
        [name for line in lines[at : at + repeat.length] for name in names_in(line)]
        for at in repeat.starts
    ]


def _shared(runs: list[list[str]]) -> dict[int, str]:
    """Names that are the same in all runs; those are constants."""
    return {
        place: column[0]
        for place, column in enumerate(zip(*runs, strict=True))
        if len(set(column)) == 1
    }


def _own(lines: Sequence[Line], repeat: Repeat) -> Naming | None:
    runs = _names(lines, repeat)
    shared = _shared(runs)
    formed = [_form(run, shared) for run in runs]
    if len({endings for _, endings in formed}) > 1:
        return None
    return Naming(tuple(prefix for prefix, _ in formed), formed[0][1], shared)


def _form(run: Sequence[str], shared: Mapping[int, str]) -> tuple[str, tuple[str | None, ...]]:
    """What the names of a run have in common, and what each has beside it."""
    own = [name for place, name in enumerate(run) if place not in shared]
    prefix = _common_start(own)
    endings = (None if at in shared else name[len(prefix) :] for at, name in enumerate(run))
    return prefix, tuple(endings)


def _common_start(names: Sequence[str]) -> str:
    """Letters that all names start with."""
    first, last = min(names, default=""), max(names, default="")
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in same)


def _rename(lines: list[Line], repeat: Repeat, word: str, numbers: dict[int, int]) -> Naming:
    runs = _names(lines, repeat)
    shared = _shared(runs)
    first = lines[repeat.starts[0] : repeat.starts[0] + repeat.length]
    roles = [role for line in first for role in _roles(line)]
    total, seen = Counter(roles), Counter[str]()
    endings: list[str | None] = []
    for place, role in enumerate(roles):
        seen[role] += 1
        ending = role if total[role] == 1 else f"{role}{seen[role]}"
        endings.append(None if place in shared else ending)
    prefixes = tuple(f"{word}{numbers[at]}_" for at in repeat.starts)
    for at, prefix in zip(repeat.starts, prefixes, strict=True):
        names = iter(
            shared[place] if ending is None else f"{prefix}{ending}"
            for place, ending in enumerate(endings)
        )
        for place in range(at, at + repeat.length):
            lines[place] = _with_names(lines[place], [next(names) for _ in names_in(lines[place])])
    return Naming(prefixes, tuple(endings), shared)


def _with_names(line: Line, names: list[str]) -> Line:
    constants = iter(names[1:])
    inputs = tuple(
        replace(one, name=next(constants)) if isinstance(one, Constant) else one
        for one in line.inputs
    )
    return replace(line, name=names[0], inputs=inputs)


def _roles(line: Line) -> list[str]:
    role = line.made.kind.lower() if line.made else line.method
    constants = sum(isinstance(one, Constant) for one in line.inputs)
    return [role, *["constant"] * constants]
