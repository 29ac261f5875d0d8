"""The embedded default, assembled by hand: the low-level way to the network that the file holds.

MobileNet-v2 1.0 (Sandler et al. 2018, table 2), layer by layer. The trained numbers come as plain
named arrays; where they were stored does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twinlens.engine.errors import ParameterError
from twinlens.engine.formats.onnx_file import read_model
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    Array,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    ReLU6,
    Softmax,
)

STAGES = (
    # expansion, channels, repeats, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class _Assembly:
    """Nodes in the order in which they run; `value` is what the next one reads."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = parameters
        self.nodes: list[Node] = []
        self.value = "input"

    def add(self, name: str, layer: Layer, *more: str) -> None:
        """Append a layer that reads the last value, and `more` beside it."""
        self.nodes.append(Node(name, layer, (self.value, *more), name))
        self.value = name

    def numbers(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a layer."""
        try:
            return self.parameters[f"{name}_weight"], self.parameters[f"{name}_bias"]
        except KeyError as missing:
            raise ParameterError(
                f"MobileNet-v2: no parameter {missing}; every layer needs a weight and a bias"
            ) from missing

    def conv(self, name: str, kernel: int, stride: int = 1, *, relu: bool = True) -> None:
        """A convolution that keeps the picture's size (or halves it), and ReLU6."""
        weight, bias = self.numbers(name)
        depthwise = weight.shape[1] == 1
        kind = DepthwiseConv2d if depthwise else Conv2d
        pads = (kernel // 2,) * 4
        self.add(name, kind(weight, bias, stride=(stride, stride), pads=pads))
        if relu:
            self.add(f"{name}_relu6", ReLU6())

    def inverted_residual(self, name: str, stride: int, expansion: int, *, shortcut: bool) -> None:
        """Expand 1x1, filter each channel 3x3, project 1x1, and add the input where it fits."""
        before, part = self.value, 0
        if expansion != 1:
            self.conv(f"{name}_0", 1)
            part = 1
        self.conv(f"{name}_{part}", 3, stride)
        self.conv(f"{name}_{part + 1}", 1, relu=False)
        if shortcut:
            self.add(f"{name}_add", Add(), before)


def mobilenet_v2(parameters: Mapping[str, Array], size: int = 208) -> Graph:
    """Assemble the network.

    Args:
        parameters: weights OIHW (Linear: outputs, inputs) and biases (outputs,), named
            `conv0_weight`, `conv0_bias`, `block1_0_weight` … `classifier_bias`; batch
            normalisation is multiplied into them already.
        size: height and width of the input picture in pixels.

    Returns:
        A graph from "input", (1, 3, size, size) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: a parameter is missing or has the wrong shape.
    """
    net = _Assembly(parameters)
    net.conv("conv0", 3, 2)
    channels, number = 32, 0
    for expansion, outputs, repeats, first in STAGES:
        for repeat in range(repeats):
            number += 1
            stride = first if repeat == 0 else 1
            same = stride == 1 and channels == outputs
            net.inverted_residual(f"block{number}", stride, expansion, shortcut=same)
            channels = outputs
    net.conv(f"conv{number + 1}", 1)
    net.add("pooled", GlobalAvgPool2d())
    net.add("flat", Flatten())
    net.add("logits", Linear(*net.numbers("classifier")))
    net.add("probabilities", Softmax(axis=1))
    return Graph("MobileNet-v2", {"input": (1, 3, size, size)}, ["probabilities"], net.nodes)


def read_parameters(path: Path) -> dict[str, Array]:
    """The trained arrays of the embedded ONNX file by name, as float32.

    Raises:
        ModelFileError: the file cannot be read.
    """
    from onnx import numpy_helper

    tensors = read_model(path).graph.initializer
    # The file stores each array as float16, under its name and "_half".
    return {
        tensor.name.removesuffix("_half"): numpy_helper.to_array(tensor).astype("float32")
        for tensor in tensors
    }
