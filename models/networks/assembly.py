"""What hand-assembled networks share: layers one after the other, with sizes worked out.

A network is assembled without a trained number: its weights are placeholders that hold no memory
and answer NaN, so that what was not loaded can never pass for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Literal

import numpy as np

from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    Array,
    AvgPool2d,
    Concat,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Shape,
    Softmax,
    same_padding,
)
from twinlens.engine.params import OWN, PYTORCH, Naming, with_parameters

Padding = Literal["half", "same", "valid"]
"""Zeros around a map: half the kernel on each side (PyTorch's habit), as many as make the output
``ceil(size / stride)`` (TensorFlow's SAME), or none."""

Size = int | tuple[int, int]
"""Of a kernel or stride: one number, or (height, width)."""


class Assembly:
    """A network in the making; ``value`` is the name of what the next layer reads.

    Args:
        name: of the network.
        shape: of its input, (1, C, H, W).
        padding: what layers use that give none of their own.
    """

    def __init__(self, name: str, shape: Sequence[int], *, padding: Padding = "half") -> None:
        self.name = name
        self.input = tuple(shape)
        self.padding = padding
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {"input": self.input}
        self.value = "input"

    @property
    def shape(self) -> Shape:
        """Shape of the last value."""
        return self.shapes[self.value]

    @property
    def channels(self) -> int:
        """Channels of the last value."""
        return self.shape[1]

    def add(self, name: str, layer: Layer, *more: str) -> str:
        """Append a layer that reads the last value, and `more` with it; returns its value."""
        return self.join(name, layer, self.value, *more)

    def join(self, name: str, layer: Layer, *values: str) -> str:
        """Append a layer that reads these values; returns its value."""
        self.shapes[name] = layer.output_shape(*(self.shapes[value] for value in values))
        self.nodes.append(Node(name, layer, values, name))
        self.value = name
        return name

    def conv(
        self,
        name: str,
        outputs: int,
        kernel: Size,
        stride: Size = 1,
        *,
        padding: Padding | None = None,
        then: Layer | None = None,
    ) -> str:
        """A convolution and, where given, an activation."""
        size = _pair(kernel)
        weight = placeholder(outputs, self.channels, *size)
        steps, pads = _pair(stride), self._pads(size, _pair(stride), padding)
        self.add(name, Conv2d(weight, placeholder(outputs), stride=steps, pads=pads))
        return self._then(name, then)

    def depthwise(
        self,
        name: str,
        kernel: Size,
        stride: Size = 1,
        *,
        padding: Padding | None = None,
        then: Layer | None = None,
    ) -> str:
        """A convolution of each channel on its own and, where given, an activation."""
        size, steps = _pair(kernel), _pair(stride)
        weight, bias = placeholder(self.channels, 1, *size), placeholder(self.channels)
        pads = self._pads(size, steps, padding)
        self.add(name, DepthwiseConv2d(weight, bias, stride=steps, pads=pads))
        return self._then(name, then)

    def max_pool(
        self,
        name: str,
        kernel: Size,
        stride: Size,
        *,
        padding: Padding | None = None,
        ceil_mode: bool = False,
    ) -> str:
        """The largest sample of each window."""
        size, steps = _pair(kernel), _pair(stride)
        pads = self._pads(size, steps, padding)
        return self.add(name, MaxPool2d(size, stride=steps, pads=pads, ceil_mode=ceil_mode))

    def avg_pool(
        self,
        name: str,
        kernel: Size,
        stride: Size,
        *,
        padding: Padding | None = None,
        count_padding: bool = False,
    ) -> str:
        """The mean of each window, over samples that exist, or over zeros around them too."""
        size, steps = _pair(kernel), _pair(stride)
        pads = self._pads(size, steps, padding)
        layer = AvgPool2d(size, stride=steps, pads=pads, count_include_pad=count_padding)
        return self.add(name, layer)

    def dense(self, name: str, outputs: int, *, then: Layer | None = None) -> str:
        """A linear layer over all of the last value and, where given, an activation."""
        if len(self.shape) != 2:
            self.add(f"{name}_flat", Flatten())
        weight = placeholder(outputs, prod(self.shape[1:]))
        self.add(name, Linear(weight, placeholder(outputs)))
        return self._then(name, then)

    def concat(self, name: str, *values: str) -> str:
        """Channels of several values, one after the other."""
        return self.join(name, Concat(axis=1), *values)

    def classifier(self, name: str, classes: int) -> None:
        """Mean of each channel, a linear layer, softmax."""
        self.add("pooled", GlobalAvgPool2d())
        self.dense(name, classes)
        self.add("probabilities", Softmax(axis=1))

    def inverted_residual(
        self,
        name: str,
        outputs: int,
        stride: int,
        *,
        expansion: int,
        then: Layer,
        kernel: int = 3,
    ) -> None:
        """MobileNet-v2's block: expand 1×1, filter each channel, project 1×1, add where it fits."""
        before, part = self.value, 0
        same = stride == 1 and self.channels == outputs
        if expansion != 1:
            self.conv(f"{name}_0", self.channels * expansion, 1, then=then)
            part = 1
        self.depthwise(f"{name}_{part}", kernel, stride, then=then)
        self.conv(f"{name}_{part + 1}", outputs, 1)
        if same:
            self.add(f"{name}_add", Add(), before)

    def graph(self, parameters: Mapping[str, Array] | None = None, naming: Naming = OWN) -> Graph:
        """The finished network, with its parameters where they are given.

        Raises:
            ParameterError: parameters are missing, not expected or of the wrong size; names all.
        """
        graph = Graph(self.name, {"input": self.input}, [self.value], self.nodes)
        return graph if parameters is None else with_parameters(graph, parameters, naming)

    def _then(self, name: str, activation: Layer | None) -> str:
        if activation is not None:
            self.add(f"{name}_{activation.kind.lower()}", activation)
        return self.value

    def _pads(
        self, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding | None
    ) -> tuple[int, int, int, int]:
        kind = padding or self.padding
        if kind == "valid":
            return 0, 0, 0, 0
        if kind == "half":
            return kernel[0] // 2, kernel[1] // 2, kernel[0] // 2, kernel[1] // 2
        height, width = self.shape[2:]
        top, bottom = same_padding(height, kernel[0], stride[0])
        left, right = same_padding(width, kernel[1], stride[1])
        return top, left, bottom, right


def placeholder(*shape: int) -> Array:
    """NaN of a shape, in the memory of one value."""
    return np.broadcast_to(np.float32(np.nan), shape)


def random_parameters(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Numbers of a trained network's size, to run one whose own are not at hand.

    Weights are normal with a variance of 2 over their inputs (He et al. 2015), which keeps the
    values of deep networks in range; biases are small. The same seed gives the same numbers.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for node in graph.nodes:
        for name, array in node.layer.parameters.items():
            spread = np.sqrt(2 / prod(array.shape[1:])) if array.ndim > 1 else 0.01
            values = rng.standard_normal(array.shape, np.float32) * np.float32(spread)
            arrays[f"{node.name}_{name}"] = values
    return arrays


def pytorch(
    title: str,
    layer: Callable[[str], str] = lambda layer: layer,
    norm: Callable[[str], str | None] = lambda _: None,
    epsilon: float = 1e-5,
) -> Naming:
    """How a collection of PyTorch models names and lays out a network.

    Args:
        title: the collection.
        layer: the module of a layer, by the layer's name here.
        norm: the module of the batch normalisation that follows a layer.
        epsilon: of the batch normalisation.
    """
    return Naming(
        title,
        PYTORCH,
        weight=("{}.weight",),
        bias=("{}.bias",),
        layer=layer,
        norm=norm,
        gamma="{}.weight",
        beta="{}.bias",
        mean="{}.running_mean",
        variance="{}.running_var",
        epsilon=epsilon,
        ignored=("*.num_batches_tracked",),
    )


def timm_block(block: int, part: int, stages: Sequence[int], parts: Sequence[str]) -> str:
    """timm's name of a convolution: it counts blocks within their stage, and names their parts.

    Args:
        block: from 1 on, through all stages.
        part: from 0 on, in the block.
        stages: blocks in each stage.
        parts: names of the block's convolutions.
    """
    place, stage = block - 1, 0
    while place >= stages[stage]:
        place -= stages[stage]
        stage += 1
    return f"blocks.{stage}.{place}.{parts[part]}"


SEPARABLE, INVERTED = ("conv_dw", "conv_pw"), ("conv_pw", "conv_dw", "conv_pwl")
"""What timm calls the convolutions of a block without and with an expansion."""


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple, never below 90 %: how MobileNets scale their width."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
