"""Lines of Python as a formatter would write them (black's rules, 100 columns)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

WIDTH = 100
_STEP = 4


@dataclass(frozen=True)
class Call:
    """``head(parts)``; the parts are text or calls again, each with an optional ``name=``.

    Attributes:
        head: what stands before the bracket.
        parts: arguments.
        brackets: the two brackets.
    """

    head: str
    parts: tuple[Argument, ...]
    brackets: tuple[str, str] = ("(", ")")


@dataclass(frozen=True)
class Argument:
    """An argument: ``value``, or ``name=value``."""

    value: Call | str
    name: str = ""


def flat(value: Call | str) -> str:
    """The expression on one line."""
    if isinstance(value, str):
        return value
    opening, closing = value.brackets
    body = ", ".join(_flat_argument(part) for part in value.parts)
    # A tuple of one needs its comma.
    comma = "," if not value.head and opening == "(" and len(value.parts) == 1 else ""
    return f"{value.head}{opening}{body}{comma}{closing}"


def lines(prefix: str, value: Call | str, suffix: str = "", indent: int = 0) -> list[str]:
    """``prefix value suffix``, on as many lines as it needs.

    Args:
        prefix: what stands before, spaces included (``"x = "``).
        value: the expression.
        suffix: what stands behind (``":"``).
        indent: columns that all lines start with.
    """
    space = " " * indent
    whole = f"{space}{prefix}{flat(value)}{suffix}"
    if len(whole) <= WIDTH or isinstance(value, str) or not value.parts:
        return [whole]
    opening, closing = value.brackets
    first, last = f"{space}{prefix}{value.head}{opening}", f"{space}{closing}{suffix}"
    body = " " * (indent + _STEP) + ", ".join(_flat_argument(part) for part in value.parts)
    if len(body) <= WIDTH and not (len(value.parts) == 1 and not value.head):
        return [first, body, last]
    inner: list[str] = []
    for part in value.parts:
        name = f"{part.name}=" if part.name else ""
        # The star of a signature is an argument like others.
        inner += lines(name, part.value, ",", indent + _STEP)
    return [first, *inner, last]


def arguments(values: Sequence[Call | str]) -> tuple[Argument, ...]:
    """Plain arguments, without names."""
    return tuple(Argument(value) for value in values)


def _flat_argument(part: Argument) -> str:
    return f"{part.name}={flat(part.value)}" if part.name else flat(part.value)


def literal(value: object) -> str:
    """A setting as source text: numbers, booleans, None, words, and tuples of them."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        inner = ", ".join(literal(part) for part in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, float) and not isfinite(value):
        return f'float("{value}")'
    return repr(value)


def annotation(values: Sequence[object]) -> str:
    """The type of a parameter that takes these settings."""
    kinds: list[str] = []
    for value in values:
        kind = _kind(value)
        if kind not in kinds:
            kinds.append(kind)
    if "float" in kinds and "int" in kinds:
        kinds.remove("int")
    return " | ".join(sorted(kinds, key=lambda kind: kind == "None"))


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_kind(part) for part in value) or '()'}]"
    return type(value).__name__
