"""Functions that a model brings of its own, put in place where they are called.

PyTorch's exporters write modules as functions, and others their activations. Branches and loops
may read whatever stands around them, so that what a node reads is asked for here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from twinlens.engine.errors import ModelFileError

if TYPE_CHECKING:
    import onnx

MAX_NODES = 50_000

Key = tuple[str, str, str]


def without_functions(model: onnx.ModelProto, title: str) -> onnx.ModelProto:
    """The same model with its own functions in place of their calls.

    A function that follows another version of the standard operators than the model stays, and is
    then named as an operator that nobody has.

    Raises:
        ModelFileError: functions that call each other in a circle, or that come to too many nodes.
    """
    if not model.functions:
        return model
    _check_size(model, title)
    from onnx import inliner  # late: most models have no functions

    bare = _without_weights(model)
    _spell_out_defaults(bare)
    try:
        result: onnx.ModelProto = inliner.inline_local_functions(bare)
    except (RuntimeError, ValueError) as why:
        raise ModelFileError(f"{title}: its functions cannot be read: {why}") from why
    result.graph.initializer.extend(model.graph.initializer)
    return result


def _spell_out_defaults(model: onnx.ModelProto) -> None:
    """Give calls the attributes that they leave out: onnx 1.23 drops a function's defaults."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    for nodes in (model.graph.node, *(f.node for f in model.functions)):
        for node in _all(nodes):
            function = functions.get(_called(node))
            if function is None:
                continue
            given = {attribute.name for attribute in node.attribute}
            node.attribute.extend(a for a in function.attribute_proto if a.name not in given)


def _called(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initialisers, which need not go through it; no function can name them."""
    bare = type(model)()
    for field, value in model.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated:
            getattr(bare, field.name).extend(value)
        else:
            setattr(bare, field.name, value)
    for field, value in model.graph.ListFields():
        if field.name == "initializer":
            continue
        if field.is_repeated:
            getattr(bare.graph, field.name).extend(value)
        else:
            setattr(bare.graph, field.name, value)
    return bare


def _check_size(model: onnx.ModelProto, title: str) -> None:
    """Refuse what would grow without end before it does."""
    known = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[Key, int] = {}
    open_calls: list[Key] = []

    def size(nodes: Iterator[onnx.NodeProto]) -> int:
        total = 0
        for node in nodes:
            key = _called(node)
            total += 1 if key not in known else called(key)
            if total > MAX_NODES:
                raise ModelFileError(
                    f"{title}: its functions come to more than {MAX_NODES:,} nodes, which is more "
                    "than is read"
                )
        return total

    def called(key: Key) -> int:
        if key in open_calls or len(open_calls) > _DEEPEST:
            names = ", ".join(name for _, name, _ in [*open_calls[-3:], key])
            raise ModelFileError(f"{title}: its functions call each other in a circle: {names}")
        if key not in sizes:
            open_calls.append(key)
            sizes[key] = size(_all(known[key].node))
            open_calls.pop()
        return sizes[key]

    size(_all(model.graph.node))
    for key in known:
        called(key)


_DEEPEST = 100


def _all(nodes: Iterable[onnx.NodeProto], depth: int = 0) -> Iterator[onnx.NodeProto]:
    """Nodes, with those of their branches."""
    for node in nodes:
        yield node
        for branch in branches(node):
            if depth < _DEEPEST:
                yield from _all(branch.node, depth + 1)


def branches(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs within a node: branches of If, the body of a loop."""
    found = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found += attribute.graphs
    return found


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, its branches included, which may read whatever stands around them."""
    names = list(node.input)
    for branch in branches(node):
        names += [name for inner in branch.node for name in reads(inner)]
        names += [output.name for output in branch.output]
    return names
