"""Networks at their real sizes with random weights, as graphs: what is timed, not what is known."""

from __future__ import annotations

import numpy as np

from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)


class _Builder:
    """Appends layers; ``value`` is what the next one reads."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.value = "input"

    def add(self, layer, *more, reads=None):
        name = f"{layer.kind.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, layer, (reads or self.value, *more), name))
        self.value = name
        return name

    def weights(self, *shape):
        # Keeps the size of values through many layers with ReLU.
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def bias(self, count):
        return (self.random.standard_normal(count) * 0.1).astype(np.float32)

    def conv(self, inputs, outputs, kernel, stride=1, act=ReLU, reads=None):
        layer = Conv2d(
            self.weights(outputs, inputs, kernel, kernel),
            self.bias(outputs),
            stride=(stride, stride),
            pads=(kernel // 2,) * 4,
        )
        name = self.add(layer, reads=reads)
        return self.add(act()) if act else name

    def depthwise(self, channels, kernel, stride, act=ReLU6):
        layer = DepthwiseConv2d(
            self.weights(channels, 1, kernel, kernel),
            self.bias(channels),
            stride=(stride, stride),
            pads=(kernel // 2,) * 4,
        )
        self.add(layer)
        return self.add(act())

    def linear(self, inputs, outputs):
        return self.add(Linear(self.weights(outputs, inputs), self.bias(outputs)))

    def graph(self, name, shape):
        return Graph(name, {"input": shape}, [self.value], self.nodes)


def resnet50(batch=1, size=224):
    """He et al. 2015, table 1, the stride in the 3×3 convolution (as torchvision has it)."""
    net = _Builder(50)
    net.conv(3, 64, 7, 2)
    net.add(MaxPool2d((3, 3), stride=(2, 2), pads=(1, 1, 1, 1)))
    channels = 64
    for width, repeats, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for repeat in range(repeats):
            stride = first if repeat == 0 else 1
            before = net.value
            net.conv(channels, width, 1)
            net.conv(width, width, 3, stride)
            after = net.conv(width, width * 4, 1, act=None)
            shortcut = before
            if repeat == 0:
                shortcut = net.conv(channels, width * 4, 1, stride, act=None, reads=before)
            net.add(Add(), shortcut, reads=after)
            net.add(ReLU())
            channels = width * 4
    net.add(GlobalAvgPool2d())
    net.add(Flatten())
    net.linear(2048, 1000)
    net.add(Softmax(1))
    return net.graph("ResNet-50", (batch, 3, size, size))


def mobilenet_v2(batch=1, size=224, width=1.0):
    """Sandler et al. 2018, table 2."""

    def wide(channels):
        return max(8, int(channels * width + 4) // 8 * 8)

    net = _Builder(2)
    channels = wide(32)
    net.conv(3, channels, 3, 2, ReLU6)
    for factor, outputs, repeats, first in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for repeat in range(repeats):
            stride, before, inner = first if repeat == 0 else 1, net.value, channels * factor
            if factor > 1:
                net.conv(channels, inner, 1, 1, ReLU6)
            net.depthwise(inner, 3, stride)
            net.conv(inner, wide(outputs), 1, 1, None)
            if stride == 1 and channels == wide(outputs):
                net.add(Add(), before)
            channels = wide(outputs)
    last = max(1280, wide(1280))
    net.conv(channels, last, 1, 1, ReLU6)
    net.add(GlobalAvgPool2d())
    net.add(Flatten())
    net.linear(last, 1000)
    net.add(Softmax(1))
    return net.graph("MobileNet-v2", (batch, 3, size, size))


def mnist(batch=1):
    """Two 5×5 convolutions with pools, two linear layers; 28×28 grey."""
    net = _Builder(28)
    net.conv(1, 20, 5)
    net.add(MaxPool2d((2, 2), stride=(2, 2)))
    net.conv(20, 50, 5)
    net.add(MaxPool2d((2, 2), stride=(2, 2)))
    net.add(Flatten())
    net.linear(2450, 320)
    net.add(ReLU())
    net.linear(320, 10)
    net.add(Softmax(1))
    return net.graph("MNIST", (batch, 1, 28, 28))
