"""Small networks with random weights, drawn like the families that classifiers come from."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Adds nodes one after the other; each method returns the name of its output."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def constant(self, array):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        values = self.random.standard_normal(shape) / np.sqrt(fan_in)
        return self.constant(values.astype(np.float32))

    def node(self, operator, *inputs, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def conv(self, x, channels_in, channels_out, kernel=(3, 3), bias=True, **attributes):
        group = attributes.get("group", 1)
        inputs = [x, self.weight(channels_out, channels_in // group, *kernel)]
        if bias:
            inputs.append(self.weight(channels_out))
        return self.node("Conv", *inputs, kernel_shape=kernel, **attributes)

    def norm(self, x, channels):
        mean, bias = self.weight(channels), self.weight(channels)
        scale, variance = (
            self.constant(self.random.uniform(0.5, 1.5, channels).astype(np.float32))
            for _ in range(2)
        )
        return self.node("BatchNormalization", x, scale, bias, mean, variance)

    def model(self, output, shape, opset=17):
        """The finished model; the output's shape is left for others to find."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        imports = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def mobilenet_v1():
    net = Net(1)
    x = net.conv("image", 3, 8, bias=False, strides=[2, 2], auto_pad="SAME_UPPER")
    x = net.node("Relu", net.norm(x, 8))
    x = net.conv(x, 8, 8, bias=False, group=8, strides=[2, 2], auto_pad="SAME_UPPER")
    x = net.node("Relu", net.norm(x, 8))
    x = net.node("Relu", net.norm(net.conv(x, 8, 16, (1, 1), bias=False), 16))
    x = net.conv(net.node("GlobalAveragePool", x), 16, 10, (1, 1))
    x = net.node("Squeeze", x, net.constant(np.array([2, 3])))
    return net.model(net.node("Softmax", x, axis=1), [1, 3, 33, 33])


def mobilenet_v3():
    net = Net(2)
    x = net.conv("image", 3, 8, strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.node("HardSwish", x)
    y = net.node("HardSwish", net.conv(x, 8, 8, (5, 5), group=8, pads=[2, 2, 2, 2]))
    gate = net.node("Relu", net.conv(net.node("GlobalAveragePool", y), 8, 4, (1, 1)))
    gate = net.node("HardSigmoid", net.conv(gate, 4, 8, (1, 1)), alpha=1 / 6, beta=0.5)
    x = net.node("Add", net.conv(net.node("Mul", y, gate), 8, 8, (1, 1)), x)
    x = net.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    x = net.node("HardSwish", net.node("Gemm", x, net.weight(12, 8), net.weight(12), transB=1))
    x = net.node("Dropout", x)
    x = net.node("Gemm", x, net.weight(10, 12), net.weight(10), transB=1)
    return net.model(net.node("Softmax", x), [1, 3, 32, 32])


def edgetpu_mobilenet():
    """Fused inverted bottlenecks, channels last at the door, quantised values on the way."""
    net = Net(3)
    x = net.node("Transpose", "image", perm=[0, 3, 1, 2])
    x = net.conv(x, 3, 8, strides=[2, 2], auto_pad="SAME_LOWER")
    x = net.node("Clip", x, net.constant(np.float32(0)), net.constant(np.float32(6)))
    scale, zero = net.constant(np.float32(6 / 255)), net.constant(np.uint8(0))
    x = net.node("DequantizeLinear", net.node("QuantizeLinear", x, scale, zero), scale, zero)
    y = net.node("Relu", net.conv(x, 8, 32, pads=[1, 1, 1, 1]))
    x = net.node("Add", x, net.conv(y, 32, 8, (1, 1)))
    x = net.node("AveragePool", x, kernel_shape=[16, 16])
    shape = net.node("Shape", x)
    batch = net.node("Gather", shape, net.constant(np.array(0)), axis=0)
    batch = net.node("Unsqueeze", batch, net.constant(np.array([0])))
    target = net.node("Concat", batch, net.constant(np.array([-1])), axis=0)
    x = net.node("Reshape", x, target)
    return net.model(net.node("MatMul", x, net.weight(8, 10)), [1, 32, 32, 3])


def squeezenet():
    net = Net(4)
    x = net.node("Relu", net.conv("image", 3, 8, strides=[2, 2]))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    s = net.node("Relu", net.conv(x, 8, 4, (1, 1)))
    one = net.node("Relu", net.conv(s, 4, 8, (1, 1)))
    three = net.node("Relu", net.conv(s, 4, 8, pads=[1, 1, 1, 1]))
    x = net.node("Concat", one, three, axis=1)
    x = net.node("Dropout", net.node("LRN", x, size=5))
    x = net.node("GlobalAveragePool", net.node("Relu", net.conv(x, 16, 10, (1, 1))))
    return net.model(net.node("Flatten", net.node("Softmax", x, axis=1)), [1, 3, 35, 35])


def resnet():
    net = Net(5)
    x = net.conv("image", 3, 8, (7, 7), bias=False, strides=[2, 2], pads=[3, 3, 3, 3])
    x = net.node("Relu", net.norm(x, 8))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net.node("Relu", net.norm(net.conv(x, 8, 8, bias=False, pads=[1, 1, 1, 1]), 8))
    y = net.norm(net.conv(y, 8, 8, bias=False, pads=[2, 2, 2, 2], dilations=[2, 2]), 8)
    x = net.node("Relu", net.node("Add", y, x))
    y = net.norm(net.conv(x, 8, 16, bias=False, pads=[1, 1, 1, 1], strides=[2, 2]), 16)
    x = net.norm(net.conv(x, 8, 16, (1, 1), bias=False, strides=[2, 2]), 16)
    x = net.node("Relu", net.node("Add", y, x))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    x = net.node("Gemm", x, net.weight(10, 16), net.weight(10), transB=1, alpha=0.5, beta=2.0)
    return net.model(x, ["N", 3, 40, 40])


def inception():
    net = Net(6)
    x = net.node("Relu", net.conv("image", 3, 8, strides=[2, 2]))
    a = net.conv(x, 8, 4, (1, 7), pads=[0, 3, 0, 3])
    a = net.node("Relu", net.conv(a, 4, 4, (7, 1), pads=[3, 0, 3, 0]))
    pool = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
    b = net.conv(net.node("AveragePool", x, count_include_pad=1, **pool), 8, 4, (1, 1))
    c = net.conv(net.node("AveragePool", x, count_include_pad=0, **pool), 8, 4, (1, 1))
    x = net.node("Concat", a, b, c, net.node("MaxPool", x, **pool), axis=1)
    x = net.node("Pad", x, net.constant(np.array([0, 0, 0, 1, 0, 0, 1, 0])))
    x = net.node("Flatten", net.node("GlobalMaxPool", x))
    return net.model(
        net.node("LogSoftmax", net.node("MatMul", x, net.weight(20, 10))), [1, 3, 21, 27]
    )


def efficientnet():
    net = Net(7)

    def swish(value):
        return net.node("Mul", value, net.node("Sigmoid", value))

    x = swish(net.norm(net.conv("image", 3, 8, bias=False, strides=[2, 2], pads=[0, 0, 1, 1]), 8))
    y = swish(net.conv(x, 8, 8, group=8, pads=[1, 1, 1, 1]))
    gate = swish(net.conv(net.node("ReduceMean", y, axes=[2, 3]), 8, 2, (1, 1)))
    gate = net.node("Sigmoid", net.conv(gate, 2, 8, (1, 1)))
    x = net.node("Add", net.conv(net.node("Mul", gate, y), 8, 8, (1, 1)), x)
    x = net.node("Identity", net.node("GlobalAveragePool", x))
    x = net.node("Reshape", x, net.constant(np.array([0, -1])))
    return net.model(net.node("Gemm", x, net.weight(8, 10)), [1, 3, 32, 32])


def mnist():
    net = Net(8)
    x = net.node("Sub", "image", net.constant(np.float32(0.1307)))
    x = net.node("Div", x, net.constant(np.float32(0.3081)))
    x = net.node("Tanh", net.conv(x, 1, 4, (5, 5), auto_pad="SAME_UPPER"))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("PRelu", net.conv(x, 4, 6, (5, 5)), net.weight(6, 1, 1))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Elu", net.node("Gemm", net.node("Flatten", x), net.weight(150, 16)))
    return net.model(net.node("Gemm", x, net.weight(16, 10), net.weight(10)), [1, 1, 28, 28])


NETS = {
    build.__name__: build
    for build in (
        mobilenet_v1,
        mobilenet_v3,
        edgetpu_mobilenet,
        squeezenet,
        resnet,
        inception,
        efficientnet,
        mnist,
    )
}


def save(model, path):
    """Write a model and return the path."""
    onnx.save(model, str(path))
    return path
