"""What an ONNX file declares, without its weights being interpreted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.answer.answers import answers_of
from twinlens.engine.formats.described import ModelFile, is_picture
from twinlens.engine.formats.onnx.chart import chart_of_onnx
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
    answers = answers_of(chart_of_onnx(model))
    best = answers.best
    return ModelFile(
        path=path,
        input_shape=shape,
        output_width=best.width if best else None,
        answers=answers,
        metadata={entry.key: entry.value for entry in model.metadata_props},
        input_dtype=_DTYPES.get(tensor.elem_type, "float32"),
        labels=best.names if best else (),
    )
