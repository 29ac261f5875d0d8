"""ONNX models with their kernels and matrices as float16, at half the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twinlens.engine.errors import ParameterError

if TYPE_CHECKING:
    import onnx


def halve(model: onnx.ModelProto) -> None:
    """Store float32 initialisers of at least two axes as float16, and cast them when it is loaded.

    Everything is computed in float32 as before; runtimes do the casts once.

    Args:
        model: changed in place; each array ``w`` becomes ``w_half`` and a Cast that writes ``w``.

    Raises:
        ParameterError: a value is too large for float16; names the array.
    """
    import onnx

    graph = model.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    names = {node.name for node in graph.node}
    limit = float(np.finfo(np.float16).max)
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        array = onnx.numpy_helper.to_array(tensor)
        largest = float(np.abs(array[np.isfinite(array)]).max(initial=0))
        if largest > limit:
            raise ParameterError(
                f"{tensor.name} has the value {largest:g}, float16 ends at {limit:g}",
                hint="Write float32: leave out --half.",
            )
        name, stored = tensor.name, _unique(f"{tensor.name}_half", taken)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16), stored))
        node = _unique(f"{name}_cast", names)
        to = onnx.TensorProto.FLOAT
        casts.append(onnx.helper.make_node("Cast", [stored], [name], name=node, to=to))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _unique(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found
