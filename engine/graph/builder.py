"""A graph assembled line by line, whose layers take their trained numbers by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.errors import ModelError
from twinlens.engine.graph.arrays import Taker
from twinlens.engine.graph.graph import Graph
from twinlens.engine.graph.node import Node
from twinlens.engine.layers import (
    Array,
    BatchNorm2d,
    Conv2d,
    DepthwiseConv2d,
    DequantizeLinear,
    Layer,
    Linear,
    QuantizeLinear,
    Shape,
)
from twinlens.engine.layers.checks import channel_input, image_input

Size = int | tuple[int, int]
"""Of a kernel, stride or dilation: one number, or (height, width)."""

Sides = int | tuple[int, int, int, int]
"""Zeros around a map: one number, or (top, left, bottom, right)."""


class Builder:
    """A network in the making. Every method that appends a layer returns the name of its value.

    Layers are named; the layer ``conv1`` takes ``conv1_weight`` and ``conv1_bias``. Nothing is
    told before ``graph``, which names everything that was missing, left over or of another shape.

    Args:
        name: of the network.
        parameters: trained arrays by name, in the layers' axis order: (outputs, inputs / groups,
            height, width) for convolutions, (outputs, inputs) for linear layers. Floats of any
            precision are brought to float32.
    """

    def __init__(self, name: str, parameters: Mapping[str, Array]) -> None:
        self.name = name
        self.inputs: dict[str, Shape] = {}
        self.shapes: dict[str, Shape] = {}
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}
        self._taker = Taker(name, parameters)

    def input(self, name: str, *shape: int) -> str:
        """An input of the network, batch first."""
        self.inputs[name] = self.shapes[name] = shape
        return name

    def parameter(self, name: str, *shape: int, dtype: DTypeLike = "float32") -> Array:
        """A trained array of a shape."""
        return self._taker.take(name, shape, np.dtype(dtype))

    def constant(self, name: str, *shape: int, dtype: DTypeLike = "float32") -> str:
        """A trained array that layers read as they read a value."""
        if name not in self._constants:
            self._constants[name] = self.parameter(name, *shape, dtype=dtype)
            self.shapes[name] = shape
        return name

    def add(self, name: str, layer: Layer, *inputs: str, then: Layer | None = None) -> str:
        """Append any layer.

        Args:
            name: of the layer, and of its value.
            layer: what is computed.
            inputs: names of the values that it reads.
            then: an activation that follows.

        Raises:
            ModelError: an input does not exist.
            ShapeError: the inputs do not fit the layer.
        """
        node = Node(name, layer, inputs, name, then)
        self.shapes[name] = node.output_shape(*map(self._shape, inputs))
        self._nodes.append(node)
        return name

    def conv(
        self,
        name: str,
        x: str,
        outputs: int,
        kernel: Size,
        *,
        stride: Size = 1,
        pads: Sides = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        quantized: bool = False,
        then: Layer | None = None,
    ) -> str:
        """A convolution of (N, C, H, W); raises as ``add``.

        Args:
            name: of the layer.
            x: what it reads.
            outputs: output channels.
            kernel: size of the kernel.
            stride: of the kernel.
            pads: zeros around the map.
            dilation: of the kernel.
            groups: channel groups.
            bias: whether there is one.
            quantized: whether ``{name}_weight_scale`` tells what one step of the weights is worth.
            then: an activation that follows.
        """
        channels = image_input(Conv2d.kind, [self._shape(x)])[1]
        layer = Conv2d(
            self.parameter(f"{name}_weight", outputs, channels // groups, *_pair(kernel)),
            self._bias(name, outputs, bias),
            stride=_pair(stride),
            dilation=_pair(dilation),
            groups=groups,
            pads=_sides(pads),
            weight_scale=self._scale(name, outputs, quantized),
        )
        return self.add(name, layer, x, then=then)

    def depthwise(
        self,
        name: str,
        x: str,
        kernel: Size,
        *,
        stride: Size = 1,
        pads: Sides = 0,
        dilation: Size = 1,
        multiplier: int = 1,
        bias: bool = True,
        quantized: bool = False,
        then: Layer | None = None,
    ) -> str:
        """A convolution of each channel on its own, ``multiplier`` outputs each; see ``conv``."""
        outputs = image_input(DepthwiseConv2d.kind, [self._shape(x)])[1] * multiplier
        layer = DepthwiseConv2d(
            self.parameter(f"{name}_weight", outputs, 1, *_pair(kernel)),
            self._bias(name, outputs, bias),
            stride=_pair(stride),
            dilation=_pair(dilation),
            pads=_sides(pads),
            multiplier=multiplier,
            weight_scale=self._scale(name, outputs, quantized),
        )
        return self.add(name, layer, x, then=then)

    def linear(
        self,
        name: str,
        x: str,
        outputs: int,
        *,
        bias: bool = True,
        quantized: bool = False,
        then: Layer | None = None,
    ) -> str:
        """A fully connected layer over the last axis; see ``conv``."""
        inputs = (self._shape(x) or (0,))[-1]
        layer = Linear(
            self.parameter(f"{name}_weight", outputs, inputs),
            self._bias(name, outputs, bias),
            weight_scale=self._scale(name, outputs, quantized),
        )
        return self.add(name, layer, x, then=then)

    def batch_norm(
        self, name: str, x: str, *, epsilon: float = 1e-5, then: Layer | None = None
    ) -> str:
        """Batch normalisation with ``scale``, ``bias``, ``mean`` and ``variance``."""
        channels = channel_input(BatchNorm2d.kind, [self._shape(x)])[1]
        parts = ("scale", "bias", "mean", "variance")
        arrays = [self.parameter(f"{name}_{part}", channels) for part in parts]
        return self.add(name, BatchNorm2d(*arrays, epsilon=epsilon), x, then=then)

    def quantize(
        self,
        name: str,
        x: str,
        *,
        dtype: str = "uint8",
        zero_point: bool = True,
        slices: int | None = None,
        axis: int = 1,
    ) -> str:
        """To integers, with ``scale`` and ``zero_point``: one each, or one a slice of an axis."""
        scale, zero = self._scaling(name, dtype if zero_point else None, slices)
        return self.add(name, QuantizeLinear(scale, zero, axis=axis, dtype=dtype), x)

    def dequantize(
        self,
        name: str,
        x: str,
        *,
        dtype: str = "uint8",
        zero_point: bool = True,
        slices: int | None = None,
        axis: int = 1,
    ) -> str:
        """Back from integers of a type; see ``quantize``."""
        scale, zero = self._scaling(name, dtype if zero_point else None, slices)
        return self.add(name, DequantizeLinear(scale, zero, axis=axis), x)

    def fake_quantize(
        self,
        name: str,
        x: str,
        *,
        dtype: str = "uint8",
        zero_point: bool = True,
        slices: int | None = None,
        axis: int = 1,
    ) -> str:
        """To integers and back, with one ``scale`` and ``zero_point``: what int8 would compute.

        Appends the layers ``{name}_quantize`` and ``{name}_dequantize``; see ``quantize``.
        """
        scale, zero = self._scaling(name, dtype if zero_point else None, slices)
        there = QuantizeLinear(scale, zero, axis=axis, dtype=dtype)
        stored = self.add(f"{name}_quantize", there, x)
        return self.add(f"{name}_dequantize", DequantizeLinear(scale, zero, axis=axis), stored)

    def graph(self, *outputs: str) -> Graph:
        """The finished network.

        Raises:
            ParameterError: names all parameters that are missing, not expected or of another
                shape.
            ModelError: a name is given twice, or an output does not exist.
        """
        self._taker.check()
        return Graph(self.name, self.inputs, outputs, self._nodes, constants=self._constants)

    def _shape(self, name: str) -> Shape:
        if name not in self.shapes:
            raise ModelError(f"{self.name}: nothing writes {name!r}, which a layer reads")
        return self.shapes[name]

    def _scaling(
        self, name: str, zeros: str | None, slices: int | None
    ) -> tuple[Array, Array | None]:
        """``scale`` and, of a type, ``zero_point``: one each, or one a slice."""
        shape = () if slices is None else (slices,)
        scale = self.parameter(f"{name}_scale", *shape)
        return scale, self.parameter(f"{name}_zero_point", *shape, dtype=zeros) if zeros else None

    def _bias(self, name: str, outputs: int, there: bool) -> Array | None:
        return self.parameter(f"{name}_bias", outputs) if there else None

    def _scale(self, name: str, outputs: int, there: bool) -> Array | None:
        return self.parameter(f"{name}_weight_scale", outputs) if there else None


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _sides(pads: Sides) -> tuple[int, int, int, int]:
    return (pads, pads, pads, pads) if isinstance(pads, int) else pads
