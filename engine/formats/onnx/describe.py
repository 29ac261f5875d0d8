"""What an ONNX file declares, without its weights being interpreted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.answer.answers import Answer, Answers, answers_of
from twinlens.engine.formats.described import (
    ModelFile,
    counted,
    is_channels_first,
    no_picture,
    picture_shape,
)
from twinlens.engine.formats.onnx.chart import chart_of_onnx
from twinlens.engine.formats.onnx.functions import MAX_NODES
from twinlens.engine.formats.onnx.steps import REAL, steps_of
from twinlens.engine.formats.usual import Usual, of_producer, scaled_inside

if TYPE_CHECKING:
    import onnx

    from twinlens.engine.formats.answer.chart import Chart

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
            f"{path}: {counted([value.name for value in inputs], 'input')} and "
            f"{counted([value.name for value in graph.output], 'output')}, expected one picture "
            "in and one classification out"
        )
    tensor = inputs[0].type.tensor_type
    # Paddle writes -1 for a size that is left open.
    declared = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    shape = picture_shape(declared)
    if shape is None:
        raise ModelFileError(f"{path}: {no_picture(inputs[0].name, declared)}")
    chart = chart_of_onnx(model)
    answers = _real(model, answers_of(chart))
    best = answers.best
    words, usual = _usual(model, chart, inputs[0].name, shape) or ("", {})
    return ModelFile(
        path=path,
        input_shape=shape,
        output_width=best.width if best else None,
        answers=answers,
        metadata={entry.key: entry.value for entry in model.metadata_props},
        input_dtype=_DTYPES.get(tensor.elem_type, "float32"),
        labels=best.names if best else (),
        usual=usual,
        usual_values=words,
    )


def _usual(
    model: onnx.ModelProto, chart: Chart, entering: str, shape: tuple[int | None, ...]
) -> Usual | None:
    """How such a network is mostly fed; None where nothing tells."""
    channels = shape[-3 if is_channels_first(shape) else -1]
    if channels not in (1, 3):
        return None
    inside = scaled_inside(chart, entering, channels)
    if inside is not None or channels == 1:
        return inside
    return of_producer(model.producer_name, (node.name for node in model.graph.node))


def _real(model: onnx.ModelProto, answers: Answers) -> Answers:
    """The same answers, where they are integers as the real numbers that those are worth."""
    steps = steps_of(model)

    def real(answer: Answer) -> Answer:
        if answer.value not in steps:
            return answer
        return replace(answer, value=answer.value + REAL, output="")

    return replace(answers, all=tuple(map(real, answers.all))) if steps else answers
