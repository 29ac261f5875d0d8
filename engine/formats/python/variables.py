"""Which Python variable holds which value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Without l, O and I, which look like digits; n, s and the like mean something else.
_SHORT = ("x", "y", "z", "a", "b", "c", "d", "e", "f", "g", "h")
_POOL = (*_SHORT, *(f"x{number}" for number in range(2, 2000)))


@dataclass(frozen=True)
class Step:
    """A statement, as far as variables go.

    Attributes:
        reads: values, by number.
        writes: value.
    """

    reads: tuple[int, ...]
    writes: int


def name_values(given: Sequence[int], steps: Sequence[Step], kept: Iterable[int]) -> dict[int, str]:
    """A variable for each value, reused as soon as its value is not needed any more.

    Args:
        given: values that exist before the first step.
        steps: statements in order.
        kept: values that have to be there at the end.
    """
    last = {value: at for at, step in enumerate(steps) for value in step.reads}
    last |= dict.fromkeys(kept, len(steps))
    names: dict[int, str] = {}
    free = _Free()
    for value in given:
        names[value] = free.take()
    for at, step in enumerate(steps):
        ending = {value for value in step.reads if last[value] == at}
        for value in ending:
            free.give(names[value])
        # A chain stays in its variable; a branch off a value that lives on gets another.
        names[step.writes] = free.take()
        if step.writes not in last:
            free.give(names[step.writes])
    return names


class _Free:
    """Variables that hold nothing."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    def take(self) -> str:
        """The first that is free."""
        name = next(name for name in _POOL if name not in self._busy)
        self._busy.add(name)
        return name

    def give(self, name: str) -> None:
        """Make one free."""
        self._busy.discard(name)
