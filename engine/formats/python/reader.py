"""Generated Python read back as data: the calls that assemble a network, and nothing else.

The module is parsed, never run: a file beside a model may be anybody's. What `writer` modules of
this package write (functions of a builder, calls of its methods, layers, numbers) is understood,
every other name or statement is refused by its line.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from twinlens.engine import layers as kinds
from twinlens.engine.errors import ModelFileError, ParameterError
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.values import LARGEST
from twinlens.engine.graph import Builder, Graph
from twinlens.engine.graph.arrays import renamed
from twinlens.engine.layers import Array, Layer

Assemble = Callable[[Mapping[str, Array]], Graph]

_MOST_BYTES = 4 << 20
_MOST_STEPS = 1_000_000
_MOST_ROUNDS = 10_000
_DEEPEST = 8
_LONGEST_TEXT = 4096
_METHODS = frozenset(
    (
        *("add", "batch_norm", "constant", "conv", "depthwise", "dequantize", "fake_quantize"),
        *("graph", "input", "linear", "parameter", "quantize"),
    )
)
_NUMBERS = {"inf": float("inf"), "-inf": float("-inf")}


def read_module(path: Path) -> Assemble:
    """The network that a generated module assembles, without running the module.

    Args:
        path: the module.

    Returns:
        What makes the graph of parameters; raises ModelFileError where the module does something
        else than to assemble a network, ParameterError where parameters do not fit.

    Raises:
        ModelFileError: it cannot be read, is too large, or has no ``assemble``.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise ModelFileError(f"{path}: {size:,} bytes are too many for a network in Python")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise ModelFileError(f"{path}: cannot be read as Python ({why})") from why
    return read_text(text, str(path))


def read_text(text: str, what: str) -> Assemble:
    """As ``read_module``, of a module's text; ``what`` is what errors call it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as why:
        raise ModelFileError(f"{what}: is no Python that can be read ({why})") from why
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "assemble" not in functions:
        raise ModelFileError(f"{what}: assembles no network")

    names = _names(tree, what)

    def assemble(parameters: Mapping[str, Array]) -> Graph:
        if names is not None:
            parameters = renamed(parameters, names)
        reader = _Reader(functions, what)
        with reading(what):
            graph = reader.call("assemble", [parameters], {})
        if not isinstance(graph, Graph):
            raise ModelFileError(f"{what}: assembles no network")
        if any(prod(shape) > LARGEST for shape in graph.shapes.values()):
            raise ModelFileError(f"{what}: its network has values of more than {LARGEST:,} samples")
        return graph

    return assemble


def _names(tree: ast.Module, what: str) -> dict[str, str] | None:
    """What the arrays are called where they are stored, if that is not what the module says."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
            continue
        if [one.id for one in node.targets if isinstance(one, ast.Name)] != ["NAMES"]:
            continue
        try:
            names = ast.literal_eval(node.value)
        except (ValueError, TypeError, RecursionError) as why:
            raise ModelFileError(f"{what}: its NAMES cannot be read ({why})") from why
        if not all(isinstance(text, str) for text in (*names, *names.values())):
            raise ModelFileError(f"{what}: its NAMES are no text")
        return dict(names)
    return None


class _Checked(Builder):
    """A builder that makes no arrays of sizes that nothing but the module asks for."""

    def parameter(self, name: str, *shape: int, dtype: DTypeLike = "float32") -> Array:
        """A trained array of a shape.

        Raises:
            ParameterError: it is missing, or of another size.
        """
        held = self._given.get(name)
        if held is None or held.size != prod(shape):
            size = "missing" if held is None else f"of shape {held.shape}"
            raise ParameterError(f"{self.name}: {name} is {size}; {shape} is required")
        return super().parameter(name, *shape, dtype=dtype)

    def __init__(self, name: str, parameters: Mapping[str, Array]) -> None:
        super().__init__(name, parameters)
        self._given = parameters


class _Reader:
    """Walks the functions of a module; knows tuples, numbers, text, layers and one builder."""

    def __init__(self, functions: Mapping[str, ast.FunctionDef], what: str) -> None:
        self._functions, self._what = functions, what
        self._steps = self._depth = 0

    def call(self, name: str, given: list[Any], named: dict[str, Any]) -> Any:
        """What a function of the module returns."""
        function = self._functions[name]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refused(function, "functions that call each other without an end")
        names = self._arguments(function, given, named)
        for statement in function.body:
            if isinstance(statement, ast.Return):
                value = None if statement.value is None else self._value(statement.value, names)
                self._depth -= 1
                return value
            self._run(statement, names)
        raise self._refused(function, "a function that returns nothing")

    def _arguments(
        self, function: ast.FunctionDef, given: list[Any], named: dict[str, Any]
    ) -> dict[str, Any]:
        arguments = function.args
        if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
            raise self._refused(function, "arguments of this kind")
        positional = [one.arg for one in arguments.args]
        if len(given) > len(positional):
            raise self._refused(function, "more arguments than it has")
        names = dict(
            zip(
                positional[len(positional) - len(arguments.defaults) :],
                (self._value(one, {}) for one in arguments.defaults),
                strict=True,
            )
        )
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if default is not None:
                names[one.arg] = self._value(default, {})
        known = {*positional, *(one.arg for one in arguments.kwonlyargs)}
        names |= dict(zip(positional, given, strict=False)) | named
        if names.keys() != known:
            raise self._refused(function, "other arguments than it has")
        return names

    def _run(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        self._count(statement)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self._assign(statement.targets[0], self._value(statement.value, names), names)
            return
        if isinstance(statement, ast.For) and not statement.orelse:
            rounds = self._value(statement.iter, names)
            if not isinstance(rounds, range | tuple) or len(rounds) > _MOST_ROUNDS:
                raise self._refused(statement, "a loop over something else than a range")
            for one in rounds:
                self._assign(statement.target, one, names)
                for inner in statement.body:
                    self._run(inner, names)
            return
        raise self._refused(statement, f"a statement ({type(statement).__name__})")

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple):
            for one, part in zip(target.elts, value, strict=True):
                self._assign(one, part, names)
        else:
            raise self._refused(target, "an assignment to something else than a name")

    def _value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        self._count(node)
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.Tuple):
            return tuple(self._values(node.elts, names))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self._value(node.operand, names)
            if isinstance(number, int | float):
                return -number
        if isinstance(node, ast.JoinedStr):
            return self._text(node, names)
        if isinstance(node, ast.Call):
            return self._called(node, names)
        raise self._refused(node, f"an expression ({ast.unparse(node)[:60]})")

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        large = isinstance(value, int) and abs(value) >= 1 << 63
        if large or not isinstance(value, str | int | float | bool | None):
            raise self._refused(node, "a constant of this kind")
        return value

    def _values(self, nodes: list[ast.expr], names: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                several = self._value(node.value, names)
                if not isinstance(several, tuple):
                    raise self._refused(node, "a star before something else than a tuple")
                found += several
            else:
                found.append(self._value(node, names))
        return found

    def _text(self, node: ast.JoinedStr, names: Mapping[str, Any]) -> str:
        parts = []
        for part in node.values:
            plain = part.value if isinstance(part, ast.FormattedValue) else part
            value = self._value(plain, names)
            if not isinstance(value, str | int):
                raise self._refused(node, "text of something else than text and whole numbers")
            parts.append(str(value))
        text = "".join(parts)
        if len(text) > _LONGEST_TEXT:
            raise self._refused(node, "a text that is too long")
        return text

    def _called(self, node: ast.Call, names: Mapping[str, Any]) -> Any:
        given = self._values(node.args, names)
        named = {}
        for one in node.keywords:
            if one.arg is None:
                raise self._refused(node, "two stars")
            named[one.arg] = self._value(one.value, names)
        head = node.func
        if isinstance(head, ast.Attribute) and isinstance(head.value, ast.Name):
            net = names.get(head.value.id)
            if isinstance(net, _Checked) and head.attr in _METHODS:
                return getattr(net, head.attr)(*given, **named)
        if isinstance(head, ast.Name) and head.id not in names:
            return self._made(node, head.id, given, named)
        raise self._refused(node, f"a call of {ast.unparse(head)[:60]}")

    def _made(self, node: ast.Call, name: str, given: list[Any], named: dict[str, Any]) -> Any:
        if name in self._functions and name != "assemble":
            return self.call(name, given, named)
        if name == "Builder":
            return _Checked(*given, **named)
        if name == "range" and not named:
            return range(*given)
        if name == "float" and len(given) == 1 and given[0] in _NUMBERS:
            return _NUMBERS[given[0]]
        kind = getattr(kinds, name, None) if name in kinds.__all__ else None
        if isinstance(kind, type) and issubclass(kind, Layer):
            return kind(*given, **named)
        raise self._refused(node, f"a call of {name}")

    def _count(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise self._refused(node, "more steps than a network has")

    def _refused(self, node: ast.AST, what: str) -> ModelFileError:
        line = getattr(node, "lineno", "?")
        return ModelFileError(
            f"{self._what}: line {line} has {what}, which is not read",
            hint="Only modules as `twinlens convert` writes them are read; none is ever run.",
        )
