"""A Core ML model as a chart of operators: the layers of a network, or a program's operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinlens.engine.errors import ModelError
from twinlens.engine.formats.answer.chart import Chart, Drawing, End, Sizes
from twinlens.engine.formats.coreml.file import CoreMLFile, input_shape
from twinlens.engine.formats.coreml.importer import kind_of, output_name
from twinlens.engine.formats.coreml.operation import Constants
from twinlens.engine.formats.coreml.program import (
    classify_operation,
    main_block,
    probabilities_name,
)
from twinlens.engine.formats.coreml.weights import weights

_SMALL = 1 << 14

# ONNX's names of layers and of operations; what is not here goes by its own.
_LAYERS = {
    **dict.fromkeys(("add", "addBroadcastable"), "Add"),
    **dict.fromkeys(("multiply", "multiplyBroadcastable"), "Mul"),
    **dict.fromkeys(("max", "maxBroadcastable"), "Max"),
    **dict.fromkeys(("min", "minBroadcastable"), "Min"),
    **dict.fromkeys(("softmax", "softmaxND"), "Softmax"),
    **dict.fromkeys(("flatten", "flattenTo2D"), "Flatten"),
    **dict.fromkeys(("reshape", "reshapeStatic", "rankPreservingReshape"), "Reshape"),
    **dict.fromkeys(("permute", "transpose"), "Transpose"),
    **dict.fromkeys(("concat", "concatND"), "Concat"),
    **dict.fromkeys(("uniDirectionalLSTM", "biDirectionalLSTM"), "LSTM"),
    **dict.fromkeys(("slice", "sliceStatic", "sliceDynamic", "sliceBySize"), "Slice"),
    **dict.fromkeys(("split", "splitND"), "Split"),
    "NonMaximumSuppression": "NonMaxSuppression",
    "argMax": "ArgMax",
    "average": "Mean",
    "batchnorm": "BatchNormalization",
    "copy": "Identity",
    "divideBroadcastable": "Div",
    "expandDims": "Unsqueeze",
    "gather": "Gather",
    "gru": "GRU",
    "l2normalize": "L2Normalization",
    "reduceL1": "ReduceL1",
    "reduceL2": "ReduceL2",
    "reduceLogSum": "ReduceLogSum",
    "reduceLogSumExp": "ReduceLogSumExp",
    "reduceMax": "ReduceMax",
    "reduceMean": "ReduceMean",
    "reduceSum": "ReduceSum",
    "reduceSumSquare": "ReduceSumSquare",
    "simpleRecurrent": "RNN",
    "squeeze": "Squeeze",
    "subtractBroadcastable": "Sub",
    "tanh": "Tanh",
    "topK": "TopK",
}
_OPERATIONS = {
    **{kind: kind.title() for kind in ("add", "cast", "exp", "log", "mul", "pow", "relu", "sub")},
    **{kind: kind.title() for kind in ("concat", "gather", "identity", "reshape", "sigmoid")},
    **{kind: kind.title() for kind in ("softmax", "split", "sqrt", "square", "squeeze", "tanh")},
    **{kind: kind.title() for kind in ("softplus", "transpose", "conv")},
    **dict.fromkeys(("slice_by_index", "slice_by_size"), "Slice"),
    "batch_norm": "BatchNormalization",
    "dequantize": "DequantizeLinear",
    "expand_dims": "Unsqueeze",
    "flatten2d": "Flatten",
    "gru": "GRU",
    "inverse": "Reciprocal",
    "l2_norm": "L2Normalization",
    "linear": "FullyConnected",
    "lstm": "LSTM",
    "matmul": "MatMul",
    "maximum": "Max",
    "minimum": "Min",
    "non_maximum_suppression": "NonMaxSuppression",
    "quantize": "QuantizeLinear",
    "real_div": "Div",
    "reduce_argmax": "ArgMax",
    "reduce_l1_norm": "ReduceL1",
    "reduce_l2_norm": "ReduceL2",
    "reduce_log_sum": "ReduceLogSum",
    "reduce_log_sum_exp": "ReduceLogSumExp",
    "reduce_max": "ReduceMax",
    "reduce_mean": "ReduceMean",
    "reduce_sum": "ReduceSum",
    "reduce_sum_square": "ReduceSumSquare",
    "rnn": "RNN",
    "rsqrt": "Rsqrt",
    "topk": "TopK",
}
_UNARY = {0: "Sqrt", 1: "Rsqrt", 2: "Reciprocal", 4: "Exp", 5: "Log", 6: "Abs"}
_REDUCE = {
    **{0: "ReduceSum", 1: "ReduceMean", 3: "ReduceLogSum", 4: "ReduceSumSquare"},
    **{5: "ReduceL1", 6: "ReduceL2", 7: "ReduceMax", 9: "ArgMax"},
}
_ACTIVATIONS = {
    **{"sigmoid": "Sigmoid", "sigmoidHard": "HardSigmoid", "tanh": "Tanh", "ReLU": "Relu"},
    **{"softplus": "Softplus"},
}
_FIRST_INPUTS = ("x", "values", "input", "data", "logits", "boxes", "probabilities")


def chart_of_coreml(file: CoreMLFile) -> Chart:
    """The operators and outputs of a parsed file."""
    drawing = Drawing()
    draw = _program if file.kind == "mlProgram" else _network
    ends = draw(drawing, file)
    return Chart(
        drawing.steps,
        ends,
        sizes=drawing.shapes.get,
        constant=drawing.constants.get,
        input_sizes=input_shape(file),
    )


def cut_coreml(file: CoreMLFile, value: str) -> CoreMLFile:
    """Make one value the only output of a file; in place."""
    if file.kind != "mlProgram":
        file.network.probabilitiesName = value
        return file
    block = main_block(file)
    for index in reversed(range(len(block.operations))):
        if block.operations[index].type == "classify":
            del block.operations[index]
    del block.outputs[:]
    block.outputs.append(value)
    return file


def _network(drawing: Drawing, file: CoreMLFile) -> list[End]:
    for layer in file.network.layers:
        if layer.output:
            _layer(drawing, layer, kind_of(layer))
    described = {f.name: _declared(f) for f in file.model.description.output}
    chosen = output_name(file)
    written = {name for step in drawing.steps for name in step.outputs}
    if file.network.probabilitiesName:
        return [End(chosen, chosen, described.get(chosen))]
    names = [name for name in described if name in written] or [chosen]
    return [End(name, name, described.get(name)) for name in names]


def _declared(feature: Any) -> Sizes | None:
    shape = tuple(int(size) for size in feature.type.array.shape)
    # An array of one axis has no batch in front.
    return ((1, *shape) if len(shape) != 2 and len(shape) != 4 else shape) if shape else None


def _layer(drawing: Drawing, layer: Any, kind: str) -> None:
    inputs, output = tuple(layer.input), layer.output[0]
    s: Any = getattr(layer, kind, None)
    first = inputs[0] if inputs else ""
    if kind == "activation":
        _activation(drawing, s, first, output)
    elif kind == "unary":
        x = drawing.affine(first, f"{output}#inner", s.scale or 1.0, s.shift)
        if s.type == 3:
            drawing.add("Pow", (x, drawing.number(f"{output}#power", s.alpha)), output)
        else:
            drawing.add(_UNARY.get(s.type, "unary"), (x,), output)
    elif kind in ("add", "multiply") and len(inputs) == 1:
        pair = (s.alpha, 0.0) if kind == "multiply" else (1.0, s.alpha)
        drawing.affine(first, output, *pair)
    elif kind == "clip":
        drawing.add("Clip", inputs, output, {"min": s.low, "max": s.high})
    elif kind == "reduce":
        drawing.add(_REDUCE.get(s.mode, "reduce"), inputs, output)
    elif kind in ("loadConstant", "loadConstantND"):
        _constant(drawing, s, output)
    elif kind in ("scale", "bias"):
        _scaled(drawing, s, kind, first, output)
    elif kind in ("innerProduct", "convolution", "batchedMatmul"):
        width = s.outputChannels if kind != "batchedMatmul" else s.columns
        weight = f"{output}#weights"
        drawing.shapes[weight] = (int(width),)
        drawing.add("FullyConnected", (first, weight), output)
    else:
        for name in layer.output:
            drawing.add(_LAYERS.get(kind, kind), inputs, name)


def _activation(drawing: Drawing, s: Any, x: str, output: str) -> None:
    found = s.ListFields()
    name = found[0][0].name if found else ""
    if name == "linear":
        drawing.affine(x, output, found[0][1].alpha, found[0][1].beta)
    elif name == "scaledTanh":
        drawing.affine(drawing.add("Tanh", (x,), f"{output}#tanh"), output, found[0][1].alpha, 0.0)
    else:
        drawing.add(_ACTIVATIONS.get(name, name or "activation"), (x,), output)


def _constant(drawing: Drawing, s: Any, output: str) -> None:
    shape = tuple(int(size) for size in s.shape)
    array = _array(s.data, shape)
    if array is not None:
        drawing.constants[output] = array


def _scaled(drawing: Drawing, s: Any, kind: str, x: str, output: str) -> None:
    """Layers that multiply with an array and add one."""
    product = x
    if kind == "scale":
        name = f"{output}#factor"
        array = _array(s.scale, tuple(int(n) for n in s.shapeScale))
        drawing.constants[name] = np.zeros(2) if array is None else array
        last = f"{output}#scaled" if s.hasBias else output
        product = drawing.add("Mul", (x, name), last)
        if not s.hasBias:
            return
    shape = s.shapeBias if kind == "scale" else s.shape
    array = _array(s.bias, tuple(int(n) for n in shape))
    name = f"{output}#bias"
    if array is not None:
        drawing.constants[name] = array
    drawing.add("Add", (product, name), output)


def _array(params: Any, shape: tuple[int, ...]) -> Any:
    if np.prod(shape, dtype=np.float64) > _SMALL:
        return None
    try:
        return weights(params, shape, "a constant")
    except ModelError:
        return None  # whoever builds the graph says what is wrong with it


def _program(drawing: Drawing, file: CoreMLFile) -> list[End]:
    constants = Constants(file)
    block = main_block(file)
    for operation in block.operations:
        _operation(drawing, constants, operation)
    name = probabilities_name(file)
    names = [name] if classify_operation(file) is not None else [str(n) for n in block.outputs]
    return [End(n, n, drawing.shapes.get(n)) for n in names or [name]]


def _operation(drawing: Drawing, constants: Constants, operation: Any) -> None:
    for named in operation.outputs:
        if named.type.HasField("tensor"):
            drawing.shapes[named.name] = tuple(
                int(d.constant.size) if d.HasField("constant") else None
                for d in named.type.tensor.dimensions
            )
    if not operation.outputs:
        return
    output = operation.outputs[0].name
    given = {entry.key: entry.value for entry in operation.inputs}
    if operation.type == "const":
        attributes = {entry.key: entry.value for entry in operation.attributes}
        _keep(drawing, constants, attributes.get("val"), output)
        return
    names = {
        key: _bound(drawing, constants, value, f"{output}#{key}") for key, value in given.items()
    }
    first = next((names[key][0] for key in _FIRST_INPUTS if names.get(key)), "")
    if operation.type in ("clip", "relu6", "linear_activation", "scaled_tanh"):
        _limited(drawing, operation.type, names, first, output)
        return
    inputs = [*names.get("values", []), first] if not names.get("values") else names["values"]
    for key in ("y", "weight"):
        inputs = [*inputs, *names.get(key, [])]
    kind = _OPERATIONS.get(operation.type, operation.type)
    if operation.type == "sigmoid_hard":
        kind = "HardSigmoid"
    axis = drawing.constants.get((names.get("axis") or [""])[0])
    settings = {} if axis is None or axis.size != 1 else {"axis": int(axis.reshape(-1)[0])}
    for named in operation.outputs:
        drawing.add(kind, inputs, named.name, settings)


def _limited(drawing: Drawing, kind: str, names: dict[str, list[str]], x: str, output: str) -> None:
    def number(key: str, default: float) -> float:
        array = drawing.constants.get((names.get(key) or [""])[0])
        return default if array is None or array.size != 1 else float(array.reshape(-1)[0])

    if kind == "relu6":
        drawing.add("Clip", (x,), output, {"min": 0.0, "max": 6.0})
    elif kind == "clip":
        limits = {"min": number("alpha", -np.inf), "max": number("beta", np.inf)}
        drawing.add("Clip", (x,), output, limits)
    elif kind == "linear_activation":
        drawing.affine(x, output, number("alpha", 1.0), number("beta", 0.0))
    else:
        inner = drawing.add("Tanh", (x,), f"{output}#tanh")
        drawing.affine(inner, output, number("alpha", 1.0), 0.0)


def _bound(drawing: Drawing, constants: Constants, argument: Any, name: str) -> list[str]:
    """Names of what an input is bound to; a value that stands there itself gets one."""
    names = []
    for index, binding in enumerate(argument.bindings):
        if binding.HasField("value"):
            own = f"{name}{index or ''}"
            _keep(drawing, constants, binding.value, own)
            names.append(own)
        else:
            names.append(str(binding.name))
    return names


def _keep(drawing: Drawing, constants: Constants, value: Any, name: str) -> None:
    if value is None or not value.type.HasField("tensor"):
        return
    sizes = [int(d.constant.size) for d in value.type.tensor.dimensions]
    drawing.shapes[name] = tuple(sizes)
    if value.HasField("file") or np.prod(sizes, dtype=np.float64) > _SMALL:
        return
    try:
        found = constants.read(value)
    except ModelError:
        return  # whoever builds the graph says what is wrong with it
    if not isinstance(found, list):
        drawing.constants[name] = found
