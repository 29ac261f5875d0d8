"""What an ONNX file declares, without its weights being interpreted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.described import ModelFile, is_picture
from twinlens.engine.formats.onnx.importer import MAX_NODES

if TYPE_CHECKING:
    import onnx

# Names of TensorProto's types that pictures come in.
_DTYPES = {
    **{1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"},
    **{2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"},
    **{12: "uint32", 13: "uint64"},
}


def describe_onnx(path: Path, model: onnx.ModelProto) -> ModelFile:
    """What a parsed ONNX file declares.

    Raises:
        ModelFileError: too large, or without one picture in and one classification out.
    """
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise ModelFileError(f"{path}: {len(graph.node)} nodes, expected at most {MAX_NODES}")
    trained = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in trained]
    if len(inputs) != 1 or not graph.output:
        raise ModelFileError(
            f"{path}: {len(inputs)} inputs and {len(graph.output)} outputs, expected one picture "
            "in and one classification out"
        )
    tensor = inputs[0].type.tensor_type
    shape = tuple(dim.dim_value or None for dim in tensor.shape.dim)
    if not is_picture(shape):
        raise ModelFileError(
            f"{path}: input {inputs[0].name!r} has {len(shape)} axes, expected 4 (a picture)"
        )
    widths = [dim.dim_value or None for dim in graph.output[0].type.tensor_type.shape.dim]
    return ModelFile(
        path=path,
        input_shape=shape,
        output_width=next((w for w in reversed(widths) if w and w > 1), None),
        ends_in_softmax=_ends_in_softmax(graph),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        input_dtype=_DTYPES.get(tensor.elem_type, "float32"),
    )


def _ends_in_softmax(graph: Any) -> bool:
    producers = {name: node for node in graph.node for name in node.output}
    node = producers.get(graph.output[0].name)
    moves = ("Reshape", "Flatten", "Squeeze", "Identity", "Cast")
    passed = (*moves, "DequantizeLinear", "QuantizeLinear")
    # A file may name its nodes in a circle.
    for _ in range(len(graph.node)):
        if node is None or node.op_type not in passed or not node.input:
            break
        node = producers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"
