"""Writes an optimised graph of layers as a float TFLite file, for LiteRT.

The format is the flatbuffer schema ``tflite/schema.fbs``, version 3, whose classes LiteRT brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    AvgPool2d,
    Clip,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Softmax,
)

_OPERATOR, _OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID


def write(graph: Graph, path: Path) -> None:
    """Write a graph; raises ValueError for a node that this writer does not know."""
    path.write_bytes(_Writer(graph).bytes())


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.codes: dict[int, int] = {}
        self.part = schema.SubGraphT()
        self.part.tensors, self.part.operators = [], []
        self.index: dict[str, int] = {}
        # Rows that were pictures: TFLite lays their samples out in another order.
        self.planes: dict[str, tuple[int, ...]] = {}

    def bytes(self) -> bytes:
        for name, shape in self.graph.inputs.items():
            self.tensor(name, _nhwc(shape))
        for node in self.graph.nodes:
            self.node(node)
        self.part.inputs = [self.index[name] for name in self.graph.inputs]
        self.part.outputs = [self.index[name] for name in self.graph.outputs]
        self.model.subgraphs = [self.part]
        # Without a signature the quantiser does not know what to calibrate.
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [self.named(name) for name in self.graph.inputs]
        signature.outputs = [self.named(name) for name in self.graph.outputs]
        self.model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def tensor(
        self, name: str, shape: Sequence[int], data: np.ndarray | None = None, kind: int = 0
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.part.tensors.append(tensor)
        self.index[name] = len(self.part.tensors) - 1
        return self.index[name]

    def named(self, name: str) -> object:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, self.index[name]
        return entry

    def floats(self, name: str, data: np.ndarray) -> int:
        return self.tensor(name, data.shape, data.astype(np.float32))

    def integers(self, name: str, data: Sequence[object]) -> int:
        array = np.array(data, np.int32)
        return self.tensor(name, array.shape, array, schema.TensorType.INT32)

    def operator(
        self, code: int, inputs: Sequence[int], output: int, options_type: int, options: object
    ) -> None:
        if code not in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            self.model.operatorCodes.append(entry)
            self.codes[code] = len(self.codes)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes[code]
        operator.inputs, operator.outputs = list(inputs), [output]
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        self.part.operators.append(operator)

    def node(self, node: Node) -> None:
        writers = {
            Conv2d: self.conv,
            MaxPool2d: self.max_pool,
            AvgPool2d: self.avg_pool,
            GlobalAvgPool2d: self.global_pool,
            Flatten: self.flatten,
            Linear: self.linear,
            Add: self.add,
            Concat: self.concat,
            Softmax: self.softmax,
        }
        for layer, writer in writers.items():
            if isinstance(node.layer, layer):
                writer(node)
                return
        raise ValueError(f"TFLite writer: node {node.name!r} is a {node.kind}")

    def output(self, node: Node) -> int:
        return self.tensor(node.output, _nhwc(self.graph.shapes[node.output]))

    def conv(self, node: Node) -> None:
        layer = node.layer
        assert isinstance(layer, Conv2d)
        depthwise = layer.groups == layer.output_channels == layer.input_channels > 1
        if (layer.groups > 1 and not depthwise) or layer.dilation != (1, 1):
            raise ValueError(f"TFLite writer: {node.name!r} is grouped or dilated")
        x, padding = self.padded(node, layer.kernel, layer.stride, layer.pads)
        axes = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        weight = self.floats(f"{node.name}_weight", layer.weight.transpose(axes))
        bias = np.zeros(layer.output_channels) if layer.bias is None else layer.bias
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        if depthwise:
            options.depthMultiplier = 1
        options.padding = padding
        options.strideH, options.strideW = layer.stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = _activation(node)
        self.operator(
            _OPERATOR.DEPTHWISE_CONV_2D if depthwise else _OPERATOR.CONV_2D,
            [x, weight, self.floats(f"{node.name}_bias", bias)],
            self.output(node),
            _OPTIONS.DepthwiseConv2DOptions if depthwise else _OPTIONS.Conv2DOptions,
            options,
        )

    def padded(
        self,
        node: Node,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        pads: tuple[int, int, int, int],
    ) -> tuple[int, int]:
        """A node's input, behind a PAD where neither of TFLite's paddings is the node's."""
        name = node.inputs[0]
        shape = self.graph.shapes[name]
        grid = self.graph.shapes[node.output][2:]
        if not any(pads) and all(
            (n - k) // s + 1 == m
            for n, k, s, m in zip(shape[2:], kernel, stride, grid, strict=True)
        ):
            return self.index[name], _VALID
        same = []
        for n, k, s in zip(shape[2:], kernel, stride, strict=True):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            same.append((total // 2, total - total // 2))
        if pads == (same[0][0], same[1][0], same[0][1], same[1][1]):
            return self.index[name], _SAME
        top, left, bottom, right = pads
        amounts = self.integers(f"{node.name}_pads", [[0, 0], [top, bottom], [left, right], [0, 0]])
        _, channels, height, width = shape
        y = self.tensor(
            f"{node.name}_padded", (1, height + top + bottom, width + left + right, channels)
        )
        options = schema.PadOptionsT()
        self.operator(_OPERATOR.PAD, [self.index[name], amounts], y, _OPTIONS.PadOptions, options)
        return y, _VALID

    def max_pool(self, node: Node) -> None:
        layer = node.layer
        assert isinstance(layer, MaxPool2d)
        maker = next((n for n in self.graph.nodes if n.output == node.inputs[0]), None)
        if any(layer.pads) and not (maker and isinstance(maker.activation, ReLU)):
            raise ValueError(f"TFLite writer: {node.name!r} pads what may be negative")
        self.pool(node, layer, _OPERATOR.MAX_POOL_2D)

    def avg_pool(self, node: Node) -> None:
        layer = node.layer
        assert isinstance(layer, AvgPool2d)
        self.pool(node, layer, _OPERATOR.AVERAGE_POOL_2D)
        padding = self.part.operators[-1].builtinOptions.padding
        if any(layer.pads) and (layer.count_include_pad or padding != _SAME):
            raise ValueError(f"TFLite writer: {node.name!r} counts its border")

    def pool(self, node: Node, layer: MaxPool2d | AvgPool2d, code: int) -> None:
        x, padding = self.padded(node, layer.kernel, layer.stride, layer.pads)
        options = schema.Pool2DOptionsT()
        options.padding = padding
        options.strideH, options.strideW = layer.stride
        options.filterHeight, options.filterWidth = layer.kernel
        options.fusedActivationFunction = _activation(node)
        self.operator(code, [x], self.output(node), _OPTIONS.Pool2DOptions, options)

    def global_pool(self, node: Node) -> None:
        options = schema.ReducerOptionsT()
        options.keepDims = True
        inputs = [self.index[node.inputs[0]], self.integers(f"{node.name}_axes", [1, 2])]
        self.operator(_OPERATOR.MEAN, inputs, self.output(node), _OPTIONS.ReducerOptions, options)

    def flatten(self, node: Node) -> None:
        source = node.inputs[0]
        self.planes[node.output] = self.graph.shapes[source][1:]
        shape = self.graph.shapes[node.output]
        inputs = [self.index[source], self.integers(f"{node.name}_shape", shape)]
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        self.operator(
            _OPERATOR.RESHAPE, inputs, self.output(node), _OPTIONS.ReshapeOptions, options
        )

    def linear(self, node: Node) -> None:
        layer = node.layer
        assert isinstance(layer, Linear)
        outputs, inputs = layer.weight.shape
        planes = self.planes.get(node.inputs[0], (inputs, 1, 1))
        weight = layer.weight.reshape(outputs, *planes).transpose(0, 2, 3, 1)
        bias = np.zeros(outputs) if layer.bias is None else layer.bias
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = _activation(node)
        self.operator(
            _OPERATOR.FULLY_CONNECTED,
            [
                self.index[node.inputs[0]],
                self.floats(f"{node.name}_weight", weight.reshape(outputs, inputs)),
                self.floats(f"{node.name}_bias", bias),
            ],
            self.output(node),
            _OPTIONS.FullyConnectedOptions,
            options,
        )

    def add(self, node: Node) -> None:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = _activation(node)
        inputs = [self.index[name] for name in node.inputs]
        self.operator(_OPERATOR.ADD, inputs, self.output(node), _OPTIONS.AddOptions, options)

    def concat(self, node: Node) -> None:
        options = schema.ConcatenationOptionsT()
        options.axis = 3
        self.operator(
            _OPERATOR.CONCATENATION,
            [self.index[name] for name in node.inputs],
            self.output(node),
            _OPTIONS.ConcatenationOptions,
            options,
        )

    def softmax(self, node: Node) -> None:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        inputs = [self.index[node.inputs[0]]]
        self.operator(
            _OPERATOR.SOFTMAX, inputs, self.output(node), _OPTIONS.SoftmaxOptions, options
        )


def _activation(node: Node) -> int:
    kinds = schema.ActivationFunctionType
    act = node.activation
    if act is None:
        return kinds.NONE
    if isinstance(act, ReLU):
        return kinds.RELU
    if isinstance(act, Clip) and (act.minimum, act.maximum) == (0, 6):
        return kinds.RELU6
    raise ValueError(f"TFLite writer: node {node.name!r} ends in {act.kind}")


def _nhwc(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) == 4:
        n, c, h, w = shape
        return n, h, w, c
    return tuple(shape)
