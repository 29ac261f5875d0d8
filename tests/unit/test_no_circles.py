"""No file imports one that imports it again, by however many steps.

Imports inside functions count: they put the circle off until the first call. Those that only the
type checker reads may make a pair of files that name each other, and no more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import twinlens.engine

ROOT = Path(twinlens.engine.__file__).parents[1]
ROOMS = ("app", "assets", "engine", "models")


@cache
def modules() -> dict[str, Path]:
    """Every module of the project by its name."""
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = ("twinlens", *path.relative_to(ROOT).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST, *, typing: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports in a part of a file, wherever they stand."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not typing:
            for other in child.orelse:
                yield from statements(ast.Module([other], []), typing=typing)
        elif isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        else:
            yield from statements(child, typing=typing)


def imported(name: str, source: str, known: set[str], *, typing: bool) -> set[str]:
    """What a file imports of the project."""
    package = name if modules().get(name, Path()).name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for statement in statements(ast.parse(source), typing=typing):
        if isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
            continue
        base = statement.module or ""
        if statement.level:
            above = package.split(".")[: len(package.split(".")) - statement.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        for alias in statement.names:
            whole = f"{base}.{alias.name}"
            found.add(whole if whole in known else base)
    return (found & known) - {name}


@cache
def graph(typing: bool) -> dict[str, set[str]]:
    """What each module imports."""
    known = set(modules())
    return {
        name: imported(name, path.read_text("utf-8"), known, typing=typing)
        for name, path in modules().items()
    }


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Modules that reach each other, by sets as large as can be."""
    reach: dict[str, set[str]] = {}
    for start in edges:
        seen, left = set(), [start]
        while left:
            following = edges.get(left.pop(), set()) - seen
            seen |= following
            left += following
        reach[start] = seen
    together = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in edges
        if name in reach[name]
    }
    return sorted(sorted(circle) for circle in together)


def of(room: str, found: list[list[str]]) -> str:
    """Circles that a room has a part in, one a line."""
    mine = [each for each in found if any(name.split(".")[1] == room for name in each)]
    return "\n".join(" ↔ ".join(each) for each in mine)


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_reaches_itself(room):
    assert of(room, circles(graph(typing=False))) == ""


@pytest.mark.parametrize("room", ROOMS)
def test_types_make_pairs_at_most(room):
    large = [circle for circle in circles(graph(typing=True)) if len(circle) > 2]
    assert of(room, large) == ""


def test_all_ways_to_import_are_seen():
    source = (
        "import twinlens.engine.errors\n"
        "from twinlens.engine import graph\n"
        "from . import image\n"
        "from .layers.base import Layer\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from twinlens.engine.sidecar import x\n"
        "else:\n"
        "    from twinlens.engine.params import y\n"
        "def late():\n"
        "    with open(''):\n"
        "        from twinlens.engine.found import z\n"
    )
    parts = ("errors", "graph", "image", "layers.base", "params", "found")
    expected = {f"twinlens.engine.{part}" for part in parts}
    known = {*expected, "twinlens.engine.sidecar", "twinlens.engine"}
    assert imported("twinlens.engine.here", source, known, typing=False) == expected
    typed = imported("twinlens.engine.here", source, known, typing=True)
    assert typed == {*expected, "twinlens.engine.sidecar"}


def test_circles_are_found_whole():
    edges = {
        "a": {"b"},
        "b": {"c"},
        "c": {"a", "d"},
        "d": {"e"},
        "e": {"d"},
        "f": {"a"},
        "g": set(),
    }
    assert circles(edges) == [["a", "b", "c"], ["d", "e"]]


def test_the_whole_project_is_read():
    assert len(modules()) > 300
    assert {name.split(".")[1] for name in modules()} == set(ROOMS)
