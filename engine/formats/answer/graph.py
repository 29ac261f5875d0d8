"""A graph of our layers as a chart of operators, for formats that are read as graphs at once."""

from __future__ import annotations

from twinlens.engine.formats.answer.chart import Chart, Drawing, End, Sizes
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Clip, Constant
from twinlens.engine.layers.base import Array, Layer

_SMALL = 1 << 14
_KINDS = {
    "AvgPool2d": "AveragePool",
    "BatchNorm2d": "BatchNormalization",
    "Conv2d": "Conv",
    "DepthwiseConv2d": "Conv",
    "GlobalAvgPool2d": "GlobalAveragePool",
    "Linear": "FullyConnected",
    "Maximum": "Max",
    "Minimum": "Min",
    "ReLU": "Relu",
    "ReLU6": "Clip",
}


def chart_of_graph(graph: Graph) -> Chart:
    """The operators and outputs of a graph."""
    drawing = Drawing()
    drawing.constants |= {n: a for n, a in graph.constants.items() if a.size <= _SMALL}
    for node in graph.nodes:
        if isinstance(node.layer, Constant):
            drawing.constants[node.output] = node.layer.value
            continue
        plain = node.output if node.activation is None else f"{node.output}#plain"
        inputs = list(node.inputs)
        weight = node.layer.parameters.get("weight")
        if weight is not None:
            drawing.shapes[f"{plain}#weight"] = weight.shape
            inputs.append(f"{plain}#weight")
        _draw(drawing, node.layer, inputs, plain)
        if node.activation is not None:
            _draw(drawing, node.activation, [plain], node.output)

    def sizes(name: str) -> Sizes | None:
        return graph.shapes.get(name) or drawing.shapes.get(name)

    def constant(name: str) -> Array | None:
        return drawing.constants.get(name)

    shapes = tuple(graph.inputs.values())
    ends = [End(name, name, graph.shapes[name]) for name in graph.outputs]
    picture = shapes[0] if len(shapes) == 1 else ()
    return Chart(drawing.steps, ends, sizes=sizes, constant=constant, input_sizes=picture)


def cut_graph(graph: Graph, value: str) -> Graph:
    """What of a graph a value is computed by, with that as its only output."""
    if graph.outputs == (value,):
        return graph
    needed, nodes = {value}, []
    for node in reversed(graph.nodes):
        if node.output in needed:
            nodes.append(node)
            needed.update(node.inputs)
    constants = {name: array for name, array in graph.constants.items() if name in needed}
    inputs, metadata = graph.inputs, graph.metadata
    return Graph(graph.name, inputs, [value], nodes[::-1], constants=constants, metadata=metadata)


def _draw(drawing: Drawing, layer: Layer, inputs: list[str], output: str) -> None:
    settings = {}
    if isinstance(layer, Clip):
        settings = {"min": layer.minimum, "max": layer.maximum}
    elif hasattr(layer, "axis") and isinstance(layer.axis, int):
        settings = {"axis": layer.axis}
    drawing.add(_KINDS.get(layer.kind, layer.kind), inputs, output, settings)
