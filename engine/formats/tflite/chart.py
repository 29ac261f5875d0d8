"""A TensorFlow Lite file as a chart of operators. A value is named by its tensor's number."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from twinlens.engine.errors import ModelError
from twinlens.engine.formats.answer.chart import Chart, Drawing, End, Sizes
from twinlens.engine.formats.tflite.file import Operation, Tensor, TFLiteFile
from twinlens.engine.formats.tflite.operator import constant_of
from twinlens.engine.layers.base import Array

_SMALL = 1 << 14

# ONNX's names; an operator that is not here goes by its own.
_KINDS = {
    **{name: name.title() for name in ("ADD", "CAST", "DIV", "EXP", "LOG", "MUL", "NEG", "POW")},
    **{name: name.title() for name in ("RELU", "RESHAPE", "SQRT", "SQUEEZE", "SUB", "TANH")},
    **dict.fromkeys(("ADD_N",), "Sum"),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), "Slice"),
    **dict.fromkeys(("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"), "NonMaxSuppression"),
    "CUSTOM:PosenetDecoderOp": "PosenetDecoderOp",
    "CUSTOM:TFLite_Detection_PostProcess": "NonMaxSuppression",
    "ARG_MAX": "ArgMax",
    "AVERAGE_POOL_2D": "AveragePool",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN": "RNN",
    "CONCATENATION": "Concat",
    "CONV_2D": "Conv",
    "DEQUANTIZE": "DequantizeLinear",
    "EXPAND_DIMS": "Unsqueeze",
    "FAKE_QUANT": "FakeQuant",
    "FULLY_CONNECTED": "FullyConnected",
    "GATHER": "Gather",
    "L2_NORMALIZATION": "L2Normalization",
    "LOGISTIC": "Sigmoid",
    "LOG_SOFTMAX": "LogSoftmax",
    "LSTM": "LSTM",
    "MAXIMUM": "Max",
    "MEAN": "ReduceMean",
    "MINIMUM": "Min",
    "QUANTIZE": "QuantizeLinear",
    "REDUCE_MAX": "ReduceMax",
    "RNN": "RNN",
    "RSQRT": "Rsqrt",
    "SOFTMAX": "Softmax",
    "SPLIT": "Split",
    "SQUARE": "Square",
    "SUM": "ReduceSum",
    "TOPK_V2": "TopK",
    "TRANSPOSE": "Transpose",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "RNN",
}
_LIMITS = {"RELU6": (0.0, 6.0), "RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0)}
_FUSED = {1: "Relu", 2: (-1.0, 1.0), 3: (0.0, 6.0), 4: "Tanh"}
# Number of the field that says what is applied to the result.
_FUSED_FIELD = {"CONV_2D": 3, "FULLY_CONNECTED": 0, "ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0}


def chart_of_tflite(file: TFLiteFile) -> Chart:
    """The operators and outputs of a parsed file."""
    drawing = Drawing()
    for operation in file.operations:
        _draw(drawing, operation)

    @cache
    def constant(name: str) -> Array | None:
        if name in drawing.constants:
            return drawing.constants[name]
        tensor = file.tensors[int(name)] if name.isdigit() else None
        if tensor is None or tensor.data is None or tensor.data.size > 8 * _SMALL:
            return None
        try:
            return constant_of(tensor, file.title)
        except ModelError:
            return None  # whoever builds the graph says what is wrong with it

    def sizes(name: str) -> Sizes | None:
        return _sizes(file.tensors[int(name)]) if name.isdigit() else None

    entering = file.tensors[file.inputs[0]] if file.inputs else None
    return Chart(
        drawing.steps,
        [_end(file.tensors[index]) for index in file.outputs],
        sizes=sizes,
        constant=constant,
        input_sizes=() if entering is None else _sizes(entering) or (),
    )


def cut_tflite(file: TFLiteFile, value: str) -> TFLiteFile:
    """The same file with one value as its only output."""
    return replace(file, outputs=(int(value),))


def _draw(drawing: Drawing, operation: Operation) -> None:
    inputs = tuple("" if index < 0 else str(index) for index in operation.inputs)
    if operation.kind == "SPLIT":
        inputs = inputs[::-1]  # the axis comes first
    outputs = [str(index) for index in operation.outputs]
    output = outputs[0]
    if operation.kind in _LIMITS:
        low, high = _LIMITS[operation.kind]
        drawing.add("Clip", inputs[:1], output, {"min": low, "max": high})
        return
    field = _FUSED_FIELD.get(operation.kind)
    options = operation.options
    applied: Any = None
    if field is not None and options is not None:
        applied = _FUSED.get(options.integer(field, "b"))
    raw = f"{output}#plain" if applied else output
    for name in (raw, *outputs[1:]):
        drawing.add(_KINDS.get(operation.kind, operation.kind), inputs, name)
    if isinstance(applied, str):
        drawing.add(applied, (raw,), output)
    elif applied:
        drawing.add("Clip", (raw,), output, {"min": applied[0], "max": applied[1]})


def _end(tensor: Tensor) -> End:
    # Integers with a scale stand for real numbers.
    whole = tensor.dtype is not None and tensor.dtype.kind in "iu" and tensor.scale is None
    texts = tensor.dtype is None
    holds = "texts" if texts else "integers" if whole else "numbers"
    title = tensor.name or f"output {tensor.index}"
    return End(str(tensor.index), title, _sizes(tensor), holds)


def _sizes(tensor: Tensor) -> Sizes | None:
    # A shape that is left out looks like that of one number.
    if not tensor.shape:
        return None
    return tuple(None if a in tensor.open_axes else n for a, n in enumerate(tensor.shape))
