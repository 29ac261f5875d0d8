"""ONNX models as graphs of layers.

Every operator is looked at before anything is built, so that a model that cannot run says at
once which operators are missing, all of them, with their nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import (
    ModelError,
    ModelFileError,
    ShapeError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.onnx import images as onnx_images
from twinlens.engine.formats.onnx import integers as onnx_integers
from twinlens.engine.formats.onnx import math as onnx_math
from twinlens.engine.formats.onnx import select as onnx_select
from twinlens.engine.formats.onnx import shapes as onnx_shapes
from twinlens.engine.formats.onnx.file import read_model
from twinlens.engine.formats.onnx.operator import Operator, array_of, chain_errors
from twinlens.engine.formats.values import Values
from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import DType, Shape

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7
MAX_NODES = 50_000

BUILDERS: dict[str, Callable[[Operator], None]] = {
    **onnx_images.BUILDERS,
    **onnx_integers.BUILDERS,
    **onnx_math.BUILDERS,
    **onnx_select.BUILDERS,
    **onnx_shapes.BUILDERS,
}

_STANDARD_DOMAINS = ("", "ai.onnx")


def load_onnx(
    path: str | Path,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    open_sizes: Sequence[int] | None = None,
) -> Graph:
    """Read an ONNX file (opset 7 or newer) as a graph of layers.

    Args:
        path: the file; data that it keeps beside itself are read from its own folder only.
        input_shapes: shape by input name, where the file leaves one open or it shall be another.
        open_sizes: sizes for the axes that the file leaves open, for inputs with that many axes.

    Returns:
        The graph as the file says, not optimised; its ``metadata`` are the file's.

    Raises:
        ModelFileError: missing, truncated, too large, not ONNX, or contradicting itself.
        UnsupportedOperatorError: operators that are not implemented; names all, with nodes.
        ShapeError: shapes do not fit, or an input's size is left open; names it.
        ParameterError: parameters do not fit their operator; names the node.
    """
    path = Path(path)
    return graph_from_onnx(
        read_model(path), name=path.stem, input_shapes=input_shapes, open_sizes=open_sizes
    )


def graph_from_onnx(
    model: onnx.ModelProto,
    *,
    name: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    open_sizes: Sequence[int] | None = None,
) -> Graph:
    """Turn an ONNX model in memory into a graph of layers; as ``load_onnx``.

    Initialisers are not copied where their data allow it.
    """
    proto = model.graph
    title = name or proto.name or "model"
    opset = _opset(model, title)
    steps = _in_order(proto, title)
    values = Values()
    for tensor in proto.initializer:
        values.add_constant(tensor.name, array_of(tensor))
    inputs = _input_shapes(proto, title, input_shapes or {}, open_sizes)
    for key, shape in inputs.items():
        values.add_input(key, shape, _input_dtype(proto, key))
    _build(steps, title, opset, values, _read_names(proto))
    return _finish(model, title, inputs, values)


def _build(
    steps: Sequence[tuple[onnx.NodeProto, str]],
    title: str,
    opset: int,
    values: Values,
    read: Collection[str],
) -> None:
    """Add all nodes' layers; what cannot be is gathered, so that one error names all of it."""
    missing: dict[str, list[str]] = {}
    refused: list[tuple[str, UnsupportedOperatorError]] = []
    unknown: set[str] = set()
    for node, node_name in steps:
        checkpoint()
        kind = _kind(node)
        if kind not in BUILDERS:
            missing.setdefault(kind, []).append(node_name)
            unknown.update(node.output)
        elif not unknown.isdisjoint(node.input):
            # What it reads has no shape.
            unknown.update(node.output)
        else:
            operator = Operator(node, node_name, opset, values, read)
            try:
                with reading(f"{title}: node {node_name!r} ({node.op_type})"):
                    BUILDERS[kind](operator)
            except UnsupportedOperatorError as error:
                refused.append((kind, error))
                unknown.update(node.output)
            except ModelError as error:
                if missing or refused:
                    break
                raise chain_errors(operator, error) from error
    if missing or refused:
        raise _lacking(title, missing, refused)


def _kind(node: onnx.NodeProto) -> str:
    """The operator's name, with its domain unless that is the standard one."""
    return node.op_type if node.domain in _STANDARD_DOMAINS else f"{node.domain}::{node.op_type}"


def _lacking(
    title: str,
    missing: Mapping[str, Sequence[str]],
    refused: Sequence[tuple[str, UnsupportedOperatorError]],
) -> UnsupportedOperatorError:
    """One error for everything that the layers lack, with the engine that may have it."""
    lines = []
    if missing:
        kinds = [f"{kind} at {node_list(nodes)}" for kind, nodes in sorted(missing.items())]
        lines.append(f"operators that the layers do not implement: {'; '.join(kinds)}")
    counts = Counter({kind: len(nodes) for kind, nodes in missing.items()})
    counts.update(kind for kind, _ in refused)
    lines += [error.message for _, error in refused[:8]]
    lines += [f"and {len(refused) - 8} more"] if len(refused) > 8 else []
    foreign = sorted({kind for kind in missing if "::" in kind and not _runs_on_vision(kind)})
    hint = _ON_VISION if not foreign else f"No engine here has {', '.join(foreign)}."
    return UnsupportedOperatorError(
        f"{title}: {'; '.join(lines)}", hint=hint, operators=dict(counts)
    )


def _runs_on_vision(kind: str) -> bool:
    """Whether ONNX Runtime knows the domain of an operator."""
    return kind.split("::", maxsplit=1)[0] in ("ai.onnx.ml", "com.microsoft")


_ON_VISION = "Runs on Vision (--engine vision), which hands the file to ONNX Runtime as it is."


def _read_names(proto: onnx.GraphProto) -> frozenset[str]:
    """Names of the values that a node reads or the model gives."""
    read = {name for node in proto.node for name in node.input}
    return frozenset(read | {output.name for output in proto.output})


def _in_order(proto: onnx.GraphProto, title: str) -> list[tuple[onnx.NodeProto, str]]:
    """All nodes with unique names, each behind those that it reads; the file's order otherwise.

    Raises:
        ModelFileError: a value is written twice, or nodes wait for each other; names them.
    """
    names = _node_names(proto)
    writers: dict[str, int] = {}
    for place, node in enumerate(proto.node):
        for output in node.output:
            if output and writers.setdefault(output, place) != place:
                raise ModelFileError(f"{title}: two nodes write {output!r}")
    waiting: dict[int, list[int]] = {}
    needed = []
    for place, node in enumerate(proto.node):
        before = {writers[name] for name in node.input if name in writers}
        needed.append(len(before))
        for one in before:
            waiting.setdefault(one, []).append(place)
    ready = [place for place, count in enumerate(needed) if count == 0]
    order: list[int] = []
    while ready:
        place = heappop(ready)
        order.append(place)
        for reader in waiting.get(place, ()):
            needed[reader] -= 1
            if needed[reader] == 0:
                heappush(ready, reader)
    if len(order) < len(names):
        stuck = [name for name, count in zip(names, needed, strict=True) if count]
        raise ModelFileError(
            f"{title}: its nodes read each other in a circle, at or before {node_list(stuck)}"
        )
    return [(proto.node[place], names[place]) for place in order]


def _input_dtype(proto: onnx.GraphProto, name: str) -> DType:
    """Type that an input is declared with; floats of any width count as float32."""
    import onnx

    (value,) = [value for value in proto.input if value.name == name]
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    except KeyError:
        return np.dtype(np.float32)
    return dtype if dtype.kind in "iub" else np.dtype(np.float32)


def _finish(
    model: onnx.ModelProto, title: str, inputs: Mapping[str, Shape], values: Values
) -> Graph:
    outputs = [output.name for output in model.graph.output]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return values.graph(title, inputs, outputs, metadata)


def node_list(names: Sequence[str]) -> str:
    """Some nodes by name, for errors."""
    word = "node" if len(names) == 1 else "nodes"
    shown = ", ".join(repr(name) for name in names[:8])
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{word} {shown}{rest}"


def _opset(model: onnx.ModelProto, title: str) -> int:
    import onnx

    versions = [e.version for e in model.opset_import if e.domain in _STANDARD_DOMAINS]
    newest = int(onnx.defs.onnx_opset_version())
    if not versions or not OLDEST_OPSET <= max(versions) <= newest:
        received = max(versions) if versions else "none"
        raise ModelFileError(
            f"{title}: its operators are of version (opset) {received}; "
            f"{OLDEST_OPSET} to {newest} are known"
        )
    return int(max(versions))


def _node_names(proto: onnx.GraphProto) -> list[str]:
    """A unique name for each node: its own, or its operator and position."""
    if len(proto.node) > MAX_NODES:
        raise ModelFileError(
            f"{proto.name}: has {len(proto.node):,} nodes; at most {MAX_NODES:,} are read"
        )
    taken: set[str] = set()
    names = []
    for position, node in enumerate(proto.node):
        name = node.name or f"{node.op_type}_{position}"
        while name in taken:
            name += f"_{position}"
        taken.add(name)
        names.append(name)
    return names


def _input_shapes(
    proto: onnx.GraphProto,
    title: str,
    given: Mapping[str, Sequence[int]],
    open_sizes: Sequence[int] | None,
) -> dict[str, Shape]:
    trained = {tensor.name for tensor in proto.initializer}
    inputs = [value for value in proto.input if value.name not in trained]
    unknown = sorted(set(given) - {value.name for value in inputs})
    if unknown:
        raise ShapeError(f"{title}: has no inputs named {', '.join(unknown)}")
    shapes = {}
    for value in inputs:
        declared = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        fill = open_sizes
        if fill is not None and len(fill) == 4 and len(declared) == 3:
            fill = fill[1:]  # a picture without a batch
        if fill is not None and len(fill) != len(declared):
            fill = None
        sizes = list(given.get(value.name, declared))
        for axis, size in enumerate(sizes):
            if size < 1 and fill is not None:
                sizes[axis] = fill[axis]
            elif size < 1 and axis == 0:
                sizes[axis] = 1  # A left-open first axis is the batch.
            elif size < 1:
                raise ShapeError(
                    f"{title}: input {value.name!r} leaves the size of axis {axis} open",
                    hint="Give the input's shape, or a model with fixed sizes.",
                )
        shapes[value.name] = tuple(int(size) for size in sizes)
    return shapes
