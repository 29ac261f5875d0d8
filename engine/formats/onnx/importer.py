"""ONNX models as graphs of layers.

Every operator is looked at before anything is built, so that a model that cannot run says at
once which operators are missing, all of them, with their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinlens.engine.errors import ModelFileError, ShapeError
from twinlens.engine.formats.onnx import images as onnx_images
from twinlens.engine.formats.onnx import integers as onnx_integers
from twinlens.engine.formats.onnx import math as onnx_math
from twinlens.engine.formats.onnx import places as onnx_places
from twinlens.engine.formats.onnx import select as onnx_select
from twinlens.engine.formats.onnx import shapes as onnx_shapes
from twinlens.engine.formats.onnx import tokens as onnx_tokens
from twinlens.engine.formats.onnx import windows as onnx_windows
from twinlens.engine.formats.onnx.assembly import Assembly
from twinlens.engine.formats.onnx.file import read_model
from twinlens.engine.formats.onnx.functions import without_functions
from twinlens.engine.formats.onnx.operator import Operator, array_of
from twinlens.engine.formats.values import Values
from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import DType, Shape

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7

BUILDERS: dict[str, Callable[[Operator], None]] = {
    **onnx_images.BUILDERS,
    **onnx_integers.BUILDERS,
    **onnx_math.BUILDERS,
    **onnx_places.BUILDERS,
    **onnx_select.BUILDERS,
    **onnx_shapes.BUILDERS,
    **onnx_tokens.BUILDERS,
    **onnx_windows.BUILDERS,
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
    title = name or model.graph.name or "model"
    model = without_functions(model, title)
    proto = model.graph
    opset = _opset(model, title)
    values = Values()
    for tensor in proto.initializer:
        values.add_constant(tensor.name, array_of(tensor))
    inputs = _input_shapes(proto, title, input_shapes or {}, open_sizes)
    for key, shape in inputs.items():
        values.add_input(key, shape, _input_dtype(proto, key))
    assembly = Assembly(title, opset, values, BUILDERS)
    assembly.add(proto)
    assembly.check()
    return _finish(model, title, inputs, values)


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
