"""One node of a graph: a layer, and the names of what it reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers import Clip, ReLU
from twinlens.engine.layers.base import Array, Layer, Shape


@dataclass(frozen=True)
class Node:
    """A layer placed in a graph.

    Attributes:
        name: unique in its graph; shown in summaries and errors.
        layer: what is computed.
        inputs: names of the values that it reads, in the layer's order.
        output: name of the value that it writes.
        activation: an elementwise layer that is applied to the output, in its memory where that
            can be; set by the pass that fuses activations.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    output: str
    activation: Layer | None = None

    @property
    def kind(self) -> str:
        """The layer's kind, with the activation (``"Conv2d + ReLU6"``)."""
        if self.activation is None:
            return self.layer.kind
        return f"{self.layer.kind} + {self.activation.kind}"

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the output for these input shapes; raises ShapeError."""
        shape = self.layer.output_shape(*inputs)
        return shape if self.activation is None else self.activation.output_shape(shape)

    def forward(self, *inputs: Array) -> Array:
        """The layer, then the activation, in the float type of the inputs."""
        out = self.layer.forward(*inputs)
        return out if self.activation is None else _activate(self.activation, out)


def _activate(activation: Layer, x: Array) -> Array:
    """Apply an activation to an array that nobody else holds."""
    # The common ones work in place: a fresh array of a large map costs as much as the limit.
    if isinstance(activation, ReLU) and x.ndim:
        return np.asarray(np.maximum(x, x.dtype.type(0), out=x))
    if isinstance(activation, Clip) and x.ndim:
        if activation.minimum is not None:
            np.maximum(x, x.dtype.type(activation.minimum), out=x)
        if activation.maximum is not None:
            np.minimum(x, x.dtype.type(activation.maximum), out=x)
        return x
    return activation.forward(x)
