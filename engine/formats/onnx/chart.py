"""An ONNX model as a chart of operators, and the same model cut where its answer is."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from twinlens.engine.errors import ModelError
from twinlens.engine.formats.answer.chart import Chart, End, Sizes, Step
from twinlens.engine.formats.onnx.functions import reads
from twinlens.engine.formats.onnx.operator import array_of
from twinlens.engine.formats.onnx.steps import REAL, add_real
from twinlens.engine.layers.base import Array

if TYPE_CHECKING:
    import onnx

_SMALL = 1 << 14
_FLOAT, _STRING = 1, 8
_INTEGERS = (2, 3, 4, 5, 6, 7, 12, 13)
_SETTINGS = (
    *("axis", "min", "max", "p", "transB", "norm", "post_transform", "prob_a"),
    *("classlabels_strings", "classlabels_int64s", "classlabels_ints"),
)


def chart_of_onnx(model: onnx.ModelProto) -> Chart:
    """The operators and outputs of a parsed model."""
    graph = model.graph
    trained = {tensor.name: tensor for tensor in graph.initializer}
    made = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "Constant" and len(node.output) == 1
    }
    declared = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}

    def sizes(name: str) -> Sizes | None:
        if name in trained:
            return tuple(int(size) for size in trained[name].dims)
        return _sizes(declared[name]) if name in declared else None

    def tensor(name: str) -> onnx.TensorProto | None:
        if name in trained:
            found: onnx.TensorProto = trained[name]
            return found
        node = made.get(name)
        values: list[onnx.TensorProto] = []
        if node is not None:
            values = [a.t for a in node.attribute if a.name == "value"]
        return values[0] if values else None

    @cache
    def constant(name: str) -> Array | None:
        if name in made:
            for attribute in made[name].attribute:
                if attribute.name in ("value_float", "value_int"):
                    return np.asarray(attribute.f or attribute.i)
        found = tensor(name)
        if found is None or found.data_type == _STRING or prod(found.dims) > _SMALL:
            return None
        try:
            return array_of(found)
        except ModelError:
            return None  # whoever builds the graph says what is wrong with it

    @cache
    def texts(name: str) -> tuple[str, ...]:
        found = tensor(name)
        if found is None:
            return ()
        if found.data_type == _STRING:
            return tuple(text.decode("utf-8", "replace") for text in found.string_data)
        array = constant(name)
        integers = array is not None and array.size > 1 and np.issubdtype(array.dtype, np.integer)
        return tuple(str(n) for n in array.reshape(-1)) if integers and array is not None else ()

    inputs = [v for v in graph.input if v.name not in trained]
    ends = [End(v.name, v.name, _sizes(v), _holds(v)) for v in graph.output]
    return Chart(
        (_step(node) for node in graph.node),
        ends,
        sizes=sizes,
        constant=constant,
        texts=texts,
        input_sizes=(_sizes(inputs[0]) or ()) if len(inputs) == 1 else (),
    )


def cut_onnx(model: onnx.ModelProto, value: str) -> onnx.ModelProto:
    """Leave of a model what a value is computed by, and make that its only output; in place."""
    graph = model.graph
    if value.endswith(REAL):
        add_real(model, value)
    if [output.name for output in graph.output] == [value]:
        return model
    declared = next((v for v in (*graph.output, *graph.value_info) if v.name == value), None)
    kept = None if declared is None else declared.SerializeToString()
    del graph.output[:]
    output = graph.output.add()
    if kept is not None:
        output.ParseFromString(kept)
    else:
        output.name = value
        output.type.tensor_type.elem_type = _FLOAT
    writers = {name: node for node in graph.node for name in node.output}
    needed: set[str] = set()
    waiting = [value]
    while waiting:
        name = waiting.pop()
        if name and name not in needed:
            needed.add(name)
            waiting += reads(writers[name]) if name in writers else ()
    for index in reversed(range(len(graph.node))):
        if needed.isdisjoint(graph.node[index].output):
            del graph.node[index]
    return model


def _step(node: Any) -> Step:
    settings: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name in _SETTINGS:
            settings[attribute.name] = _plain(attribute)
    return Step(node.op_type, tuple(node.input), tuple(node.output), settings)


def _plain(attribute: Any) -> Any:
    if attribute.strings:
        return tuple(text.decode("utf-8", "replace") for text in attribute.strings)
    if attribute.ints:
        return tuple(attribute.ints)
    if attribute.floats:
        return tuple(attribute.floats)
    if attribute.s:
        return attribute.s.decode("utf-8", "replace")
    return attribute.f or attribute.i


def _sizes(value: Any) -> Sizes | None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)


def _holds(value: Any) -> str:
    if not value.type.HasField("tensor_type"):
        return "map"
    kind = value.type.tensor_type.elem_type
    if kind == _STRING:
        return "texts"
    return "integers" if kind in _INTEGERS else "numbers"
