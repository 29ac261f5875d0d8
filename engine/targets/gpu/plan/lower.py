"""From a graph of layers to kernels: which kernel computes which nodes, and where values live.

Nodes without a kernel become steps that run the layer's reference forward on the processor;
everything around them stays on the GPU.
"""

from __future__ import annotations

from typing import TypeAlias

from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import Shape
from twinlens.engine.targets import lowering
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.activate import has_code
from twinlens.engine.targets.gpu.kernels.base import Op, Target
from twinlens.engine.targets.gpu.kernels.elementwise import Elementwise, copied
from twinlens.engine.targets.gpu.kernels.move import Input
from twinlens.engine.targets.lowering import Reference

Size = tuple[int, int, int, int]
Stored: TypeAlias = lowering.Stored[Tensor]
Step: TypeAlias = Op | Reference[Tensor]
Lowered: TypeAlias = lowering.Lowered[Tensor, Op]


def pixels(shape: Shape) -> Size | None:
    """(batch, height, width, channels) of a value that kernels can hold, otherwise None."""
    if len(shape) == 4 and 0 not in shape:
        return shape[0], shape[2], shape[3], shape[1]
    if len(shape) == 2 and 0 not in shape:
        return shape[0], 1, 1, shape[1]
    return None


class Lowering(lowering.Lowering[Tensor, Op]):
    """The state of a translation; rules (see ``rules``) call its methods.

    Args:
        graph: what is translated, already optimised.
        target: what kernels are for.
        winograd: multiply-adds from which on 3×3 convolutions go by Winograd's tiles; 0: none.
        most_front: outputs up to which a 1×1 convolution computes the depthwise one before it.
    """

    def __init__(
        self, graph: Graph, target: Target, winograd: int = 0, most_front: int = 0
    ) -> None:
        super().__init__(graph, has_code)
        self.target, self.winograd, self.most_front = target, winograd, most_front

    def fresh(self, name: str) -> Tensor | None:
        """A tensor for a value that no kernel writes; None if kernels cannot hold it."""
        size = pixels(self.shape(name))
        return None if size is None else Tensor.new(*size, self.target.dtype)

    def input(self, tensor: Tensor) -> Op:
        """The kernel that brings what the graph is given into a tensor."""
        return Input(tensor)

    def result(self, name: str, *, real: bool = False) -> Tensor | None:
        """A tensor for a value that a kernel is about to write; see the base class."""
        size = pixels(self.shape(name))
        if size is None:
            return None
        return Tensor.new(*size, "f32" if real or name in self.graph.outputs else self.target.dtype)

    def copy(self, tensor: Tensor, dtype: str) -> Tensor:
        """A copy in a buffer of its own."""
        buffer = tensor.buffer
        result = Tensor.new(buffer.batch, tensor.height, tensor.width, tensor.channels, dtype)
        self.steps.append(Elementwise((tensor,), result, copied, "copy"))
        return result
