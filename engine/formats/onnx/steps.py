"""Outputs that are integers: what one step of them is worth, where the model says it.

A model whose last operator quantises gives steps. As scores they would be read wrongly, since
softmax of steps is not that of what they are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

REAL = "#real"
"""Behind an output's name: the same, as real numbers."""

# Where the scale of what an operator gives stands among its inputs; the zero point is behind it.
_SCALE_AT = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), 6),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu"), 3),
    **dict.fromkeys(("QLinearSigmoid", "QLinearSoftmax", "QLinearReduceMean"), 3),
    "QGemm": 7,
    "QLinearConcat": 0,
    "QuantizeLinear": 1,
}
_MOVES = frozenset(
    [
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose", "Dropout"),
        *("MaxPool", "Slice", "Gather", "Split"),
    ]
)
_SMALL = frozenset((2, 3, 4, 5))  # TensorProto's integers of 8 and 16 bits


def steps_of(model: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """(Scale, zero point or "") by name of each output of small integers that has them."""
    writers = {name: node for node in model.graph.node for name in node.output}
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = {}
    for output in model.graph.output:
        if output.type.tensor_type.elem_type in _SMALL:
            scale = _scale(writers, output.name)
            if scale is not None and sizes.get(scale[0], ()) in ((), (1,)):
                found[output.name] = scale
    return found


def _scale(writers: Mapping[str, onnx.NodeProto], value: str) -> tuple[str, str] | None:
    """Names of scale and zero point of what writes a value, behind what only moves it."""
    for _ in range(len(writers)):  # a file may name its operators in a circle
        node = writers.get(value)
        if node is None or not node.input:
            return None
        at = _SCALE_AT.get(node.op_type)
        if at is not None:
            names = [*node.input, "", ""][at : at + 2]
            return (names[0], names[1]) if at < len(node.input) and names[0] else None
        if node.op_type not in _MOVES:
            return None
        value = node.input[0]
    return None


def add_real(model: onnx.ModelProto, value: str) -> None:
    """Add what gives an output as real numbers, called as the output with ``REAL`` behind it."""
    from onnx import helper  # late: this module is read before a model is

    output = value.removesuffix(REAL)
    given = steps_of(model).get(output)
    if given is None or any(value in node.output for node in model.graph.node):
        return
    declared = next(one for one in model.graph.output if one.name == output)
    opset = max(e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
    wide = declared.type.tensor_type.elem_type in (4, 5) and opset < 21
    inputs = [output, *(name for name in given if name)]
    domain = "com.microsoft" if wide else ""
    node = helper.make_node("DequantizeLinear", inputs, [value], name=value, domain=domain)
    model.graph.node.append(node)
    real = model.graph.output.add()
    real.CopyFrom(declared)
    real.name = value
    real.type.tensor_type.elem_type = 1
    if wide and not any(e.domain == domain for e in model.opset_import):
        model.opset_import.append(helper.make_opsetid(domain, 1))
