"""When values are needed, so that those that never live at the same time can share memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Life:
    """The steps, first and last, at which a buffer must keep its contents."""

    born: int
    last: int

    def meets(self, other: Life) -> bool:
        """Whether both are needed at some step."""
        return self.born <= other.last and other.born <= self.last


def lives(
    writes: Iterable[tuple[int, Value]], reads: Iterable[tuple[int, Value]]
) -> dict[Value, Life]:
    """From the step that first writes each buffer to the last that touches it."""
    result: dict[Value, Life] = {}
    for step, buffer in (*writes, *reads):
        known = result.get(buffer, Life(step, step))
        result[buffer] = Life(min(known.born, step), max(known.last, step))
    return result
