"""Graphs of layers as ONNX models, so that whatever we can read runs on ONNX Runtime as well.

What comes back from ``graph_from_onnx`` is the same graph, but for what ONNX has no operator for:
a fused activation is a node of its own, SiLU is Sigmoid and Mul, a Linear layer over more than two
axes is MatMul and Add, nodes that read only constants are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.onnx.file import MAX_BYTES
from twinlens.engine.formats.onnx.layers import WRITERS
from twinlens.engine.formats.onnx.writer import Writer
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers.base import Layer

if TYPE_CHECKING:
    import onnx

IR_VERSION = 10
"""Of the file: ONNX 1.16, ONNX Runtime 1.18 and later."""


def onnx_from_graph(graph: Graph, *, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """Write a graph of layers as an ONNX model of opset 20 (21 where 16-bit integers are).

    Args:
        graph: optimised or not. Its value names and node names are kept; floating-point
            parameters are written as float32.
        metadata: text that goes with it (see ``models.identify.embedded.metadata_of``); wins over
            the graph's own.

    Returns:
        The model, with all shapes fixed; inputs are float32 unless a dequantiser reads them.

    Raises:
        UnsupportedOperatorError: layers that have no ONNX form; names all of them.
        ModelFileError: its parameters are more than an ONNX file holds (2 GiB).
        ModelError: a value has no name.
    """
    import onnx

    _check(graph)
    writer = Writer(graph)
    for node in graph.nodes:
        _write(writer, node)
    proto = onnx.helper.make_graph(
        writer.nodes,
        graph.name,
        [_value(writer, name) for name in graph.inputs],
        [_value(writer, name) for name in graph.outputs],
        writer.initializers,
    )
    model = onnx.helper.make_model(
        proto,
        opset_imports=[onnx.helper.make_opsetid("", writer.opset)],
        ir_version=IR_VERSION,
        producer_name="twinlens",
    )
    for key, text in (dict(graph.metadata) | dict(metadata or {})).items():
        model.metadata_props.add(key=key, value=text)
    return model


def onnx_bytes(graph: Graph, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of ``onnx_from_graph``'s file; raises as it does."""
    return bytes(onnx_from_graph(graph, metadata=metadata).SerializeToString())


def _check(graph: Graph) -> None:
    layers = [layer for node in graph.nodes for layer in (node.layer, node.activation) if layer]
    missing = sorted({layer.kind for layer in layers if _writer_of(layer) is None})
    if missing:
        raise UnsupportedOperatorError(f"{graph.name}: no ONNX form of {', '.join(missing)}")
    arrays = [*graph.constants.values()]
    arrays += [array for layer in layers for array in layer.parameters.values()]
    size = sum(array.nbytes for array in arrays)
    if size > MAX_BYTES:
        raise ModelFileError(
            f"{graph.name}: its parameters take {size:,} bytes; an ONNX file holds at most "
            f"{MAX_BYTES:,}"
        )


def _writer_of(layer: Layer) -> Callable[[Writer, Node, Any], None] | None:
    return next((WRITERS[kind] for kind in type(layer).__mro__ if kind in WRITERS), None)


def _write(writer: Writer, node: Node) -> None:
    """The layer and, as a node of its own, the activation."""
    name, output, activation = node.name, node.output, node.activation
    between = output if activation is None else writer.unique(f"{output}/before")
    # An activation leaves the shape as it is, so that what comes before it has the same.
    writer.shapes.setdefault(between, writer.shapes[output])
    _write_layer(writer, Node(name, node.layer, node.inputs, between))
    if activation is not None:
        kind = f"{name}/{activation.kind}"
        _write_layer(writer, Node(kind, activation, (between,), output))


def _write_layer(writer: Writer, node: Node) -> None:
    writer.begin(node.name, node.output, node.layer, node.inputs)
    write = _writer_of(node.layer)
    if write is not None:
        write(writer, node, node.layer)


def _value(writer: Writer, name: str) -> onnx.ValueInfoProto:
    import onnx

    stored = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(writer.dtype(name)))
    return onnx.helper.make_tensor_value_info(name, stored, writer.shapes[name])
