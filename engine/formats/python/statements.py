"""Lines of a network as statements, with variables for what they read and for settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twinlens.engine.formats.python.calls import Constant, Line, Made, Slot
from twinlens.engine.formats.python.layout import Argument, Call, arguments, literal

Names = Callable[[int, str], str]
"""Source text of a line's names: place among them (0 is the layer's own), ending to append."""


def quoted(line_names: Sequence[str]) -> Names:
    """Names as words."""
    return lambda place, ending: f'"{line_names[place]}{ending}"'


def prefixed(endings: Sequence[str | None], shared: Mapping[int, str]) -> Names:
    """Names that start with the value of the variable ``name``."""

    def text(place: int, ending: str) -> str:
        own = endings[place]
        if own is None:
            return f'"{shared[place]}{ending}"'
        return f'f"{{name}}{own}{ending}"' if own or ending else "name"

    return text


@dataclass
class _Settings:
    """Gives the settings of a line one by one, as literals or variables."""

    chosen: Sequence[str | None]
    at: int = 0

    def next(self) -> str | None:
        """Variable of the next setting; None for a literal."""
        self.at += 1
        return self.chosen[self.at - 1] if self.chosen else None


def call_of(
    line: Line, names: Names, variables: Mapping[int, str], chosen: Sequence[str | None] = ()
) -> Call:
    """The call that appends a line.

    Args:
        line: what is appended.
        names: its names.
        variables: variable of each value, by number.
        chosen: variable of each of its settings (see ``repeats.settings``), None for a literal;
            empty where all are literals.
    """
    settings = _Settings(chosen)
    own = [argument for slot in line.slots for argument in _setting(slot, settings.next())]
    made = None if line.made is None else _made(line.made, names, settings)
    then = None if line.then is None else _made(line.then, names, settings)
    read: list[Call | str] = []
    for one in _with_places(line):
        if isinstance(one, int):
            read.append(variables[one])
        else:
            read.append(_constant(one[1], names(one[0], ""), settings.next()))
    parts = [Argument(names(0, ""))]
    parts += [Argument(made)] if made is not None else []
    parts += [*arguments(read), *own]
    parts += [Argument(then, "then")] if then is not None else []
    return Call(f"net.{line.method}", tuple(parts))


def _with_places(line: Line) -> list[int | tuple[int, Constant]]:
    """Inputs, constants with their place among the line's names."""
    found: list[int | tuple[int, Constant]] = []
    count = 0
    for one in line.inputs:
        if isinstance(one, Constant):
            count += 1
            found.append((count, one))
        else:
            found.append(one)
    return found


def _constant(constant: Constant, name: str, variable: str | None) -> Call:
    return _array("net.constant", name, constant.array.shape, constant.dtype, variable)


def _array(head: str, name: str, shape: Sequence[int], dtype: str, variable: str | None) -> Call:
    sizes = [str(int(size)) for size in shape] if variable is None else [f"*{variable}"]
    parts = [Argument(name), *arguments(sizes)]
    if dtype != "float32":
        parts.append(Argument(f'"{dtype}"', "dtype"))
    return Call(head, tuple(parts))


def _made(made: Made, names: Names, settings: _Settings) -> Call:
    """The call of a layer's constructor."""
    types = {key: (shape, dtype) for key, shape, dtype in made.arrays}
    parts: list[Argument] = []
    left_out = False
    for slot in made.slots:
        variable = settings.next()
        if slot.key in types:
            shape, dtype = types[slot.key]
            array = _array("net.parameter", names(0, f"_{slot.key}"), shape, dtype, variable)
            parts.append(Argument(array, slot.key if slot.named or left_out else ""))
            continue
        written = _setting(slot, variable, left_out)
        # What comes behind a default has to be named.
        left_out = left_out or not written
        parts += written
    return Call(made.kind, tuple(parts))


def _setting(slot: Slot, variable: str | None, named: bool = False) -> list[Argument]:
    """A setting as an argument; none where it is the default."""
    if variable is None and same(slot.value, slot.default):
        return []
    text = literal(slot.value) if variable is None else variable
    return [Argument(text, slot.key if slot.named or named else "")]


def same(one: object, other: object) -> bool:
    """Whether two settings are written alike: 1, 1.0 and True are not."""
    return other is not ... and literal(one) == literal(other)
