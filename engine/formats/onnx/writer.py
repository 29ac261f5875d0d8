"""The ONNX graph while it is written: unique names, initialisers, element types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from twinlens.engine.errors import ModelError
from twinlens.engine.formats.values import Names
from twinlens.engine.graph import Graph, Node
from twinlens.engine.graph.types import input_types
from twinlens.engine.layers import DequantizeLinear, Layer, QuantizeLinear
from twinlens.engine.layers.base import Array, DType, Shape

if TYPE_CHECKING:
    import onnx


class Writer:
    """Collects the nodes and initialisers of one graph.

    Floating-point arrays are written as float32, integers as they are.

    Attributes:
        opset: version of the standard operators: 20, or 21 where integers of 16 bits are quantised.

    Args:
        graph: what is written; its value names are kept.

    Raises:
        ModelError: a value has no name, which ONNX reads as "left out".
    """

    def __init__(self, graph: Graph) -> None:
        self.shapes: dict[str, Shape] = dict(graph.shapes)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._taken = set(graph.shapes)
        if "" in self._taken:
            raise ModelError(f"{graph.name}: a value has no name; ONNX needs one for each")
        self._dtypes: dict[str, DType] = input_types(graph)
        for name, array in graph.constants.items():
            self._dtypes[name] = self._initializer(name, array)
        self.opset = _opset(graph)
        self._writers = {node.output: node for node in graph.nodes}
        self._place = ("", "")
        self._called = Names()

    def quantiser_domain(self, stored: DType) -> str | None:
        """Domain of what quantises to a type: opset 20 has none of 16 bits."""
        return "com.microsoft" if self.opset < 21 and stored.name in _WIDE else None

    def writer_of(self, name: str) -> Node | None:
        """The node that writes a value; None for an input or a constant."""
        return self._writers.get(name)

    def dtype(self, name: str) -> DType:
        """Element type of a value of the graph."""
        return self._dtypes[name]

    def shape(self, node: Node, index: int = 0) -> Shape:
        """Shape of one of a node's inputs."""
        return self.shapes[node.inputs[index]]

    def begin(self, name: str, output: str, layer: Layer, inputs: Sequence[str]) -> None:
        """Start on a layer: where its last operator goes.

        Args:
            name: name of that operator.
            output: value that it writes.
            layer: tells the output's element type.
            inputs: names of what the layer reads.
        """
        self._place = (name, output)
        stored = layer.output_dtype(*(self._dtypes[name] for name in inputs))
        real = np.issubdtype(stored, np.floating)
        self._dtypes[output] = np.dtype(np.float32) if real else stored

    def node(
        self,
        operator: str,
        inputs: Iterable[str],
        step: str = "",
        output_of: tuple[int, int] = (0, 1),
        **attributes: Any,
    ) -> str:
        """Write one operator of the layer that was begun; return the name of its output.

        Args:
            operator: ONNX operator of the standard domain.
            inputs: names of values; "" leaves one out.
            step: "" for the operator that writes the layer's output, otherwise a word that names
                one on the way to it.
            output_of: which output it is, and of how many that the operator has.
            attributes: attributes; None leaves one out.
        """
        import onnx

        name, output = self._place
        if step:
            name, output = f"{name}/{step}", self.unique(f"{output}/{step}")
        listed = list(inputs)
        while listed and listed[-1] == "":
            listed.pop()
        given = {key: value for key, value in attributes.items() if value is not None}
        place, count = output_of
        # Nodes of the graph may be called as steps are.
        name = self._called.unique(name)
        names = [output if at == place else self.unique(f"{output}/unread") for at in range(count)]
        self.nodes.append(onnx.helper.make_node(operator, listed, names, name=name, **given))
        return output

    def beside(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Write an operator that makes a parameter of the layer; return its output."""
        import onnx

        output = self.unique(f"{self._place[0]}.{name}")
        name = self._called.unique(output)
        node = onnx.helper.make_node(operator, list(inputs), [output], name=name, **attributes)
        self.nodes.append(node)
        return output

    def parameter(self, name: str, array: Any) -> str:
        """Write a parameter of the layer that was begun; return the initialiser's name."""
        unique = self.unique(f"{self._place[0]}.{name}")
        self._initializer(unique, np.asarray(array))
        return unique

    def unique(self, name: str) -> str:
        """A name that no value has; known as taken from now on."""
        number, result = 1, name
        while result in self._taken:
            number += 1
            result = f"{name}_{number}"
        self._taken.add(result)
        return result

    def _initializer(self, name: str, array: Array) -> DType:
        import onnx

        if np.issubdtype(array.dtype, np.floating):
            array = array.astype(np.float32, copy=False)
        shaped = np.ascontiguousarray(array).reshape(array.shape)
        self.initializers.append(onnx.numpy_helper.from_array(shaped, name))
        return shaped.dtype


def integers(values: Any) -> Array:
    """Whole numbers as operators take them."""
    return np.asarray(values, np.int64)


def _opset(graph: Graph) -> int:
    """20: ONNX Runtime 1.32 fails on 8-bit graphs of 21 where a Reshape stands between integers.

    It then writes ``output_dtype`` into a quantiser whose zero point it changes to unsigned, see
    https://github.com/microsoft/onnxruntime/issues/25526. The attribute does not exist before.
    """
    stored = []
    for node in graph.nodes:
        if isinstance(node.layer, QuantizeLinear):
            stored.append(node.layer.dtype)
        elif isinstance(node.layer, DequantizeLinear) and node.layer.zero_point is not None:
            stored.append(node.layer.zero_point.dtype)
    names = {dtype.name for dtype in stored}
    # Beside signed integers of 8 bits, those of 16 are written as operators of ONNX Runtime's own.
    return 21 if names & _WIDE and "int8" not in names else 20


_WIDE = {"int16", "uint16"}
