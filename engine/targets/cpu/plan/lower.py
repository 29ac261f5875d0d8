"""From a graph of layers to kernels: which kernel computes which nodes, and where values live.

Nodes without a kernel become steps that run the layer's reference forward; everything around
them stays compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TypeAlias

import numpy as np

from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import Shape
from twinlens.engine.targets import lowering
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor
from twinlens.engine.targets.cpu.kernels.activate import has_code
from twinlens.engine.targets.cpu.kernels.base import Op
from twinlens.engine.targets.cpu.kernels.elementwise import Elementwise, copied
from twinlens.engine.targets.cpu.kernels.move import Input
from twinlens.engine.targets.lowering import Reference

# Steps below this have no float32 reciprocal that can still be multiplied with.
_SMALLEST_STEP = 2.0**-100

Stored: TypeAlias = lowering.Stored[Tensor]
Step: TypeAlias = Op | Reference[Tensor]
Lowered: TypeAlias = lowering.Lowered[Tensor, Op]


def pixels(shape: Shape) -> tuple[int, int, int] | None:
    """(height, width, channels) of a value that kernels can hold, otherwise None."""
    if len(shape) == 4 and shape[0] == 1 and 0 not in shape:
        return shape[2], shape[3], shape[1]
    if len(shape) == 2 and shape[0] == 1 and shape[1]:
        return 1, 1, shape[1]
    return None


class Lowering(lowering.Lowering[Tensor, Op]):
    """The state of a translation; rules (see ``rules``) call its methods.

    Args:
        graph: what is translated, already optimised.
        isa: what kernels are for.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        ranges: for int8: smallest and largest sample of each value, on real pictures.
    """

    def __init__(
        self,
        graph: Graph,
        isa: Isa,
        precision: str = "fp32",
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(graph, has_code)
        self.isa, self.precision = isa, precision
        # A value without a finite range stays in floats.
        self.ranges = {
            name: ends for name, ends in (ranges or {}).items() if all(map(isfinite, ends))
        }

    def translate(self, rules: lowering.Rules) -> Lowered:
        """Translate all nodes; a kernel that runs in stages becomes several."""
        lowered = super().translate(rules)
        steps: list[Step] = []
        for step in lowered.steps:
            steps += step.parts() if isinstance(step, Op) else (step,)
        lowered.steps = steps
        return lowered

    def fresh(self, name: str) -> Tensor | None:
        """A tensor for a value that no kernel writes; None if kernels cannot hold it."""
        size = pixels(self.shape(name))
        return None if size is None else Tensor.new(*size)

    def input(self, tensor: Tensor) -> Op:
        """The kernel that brings what the graph is given into a tensor."""
        return Input(tensor, tensor.channels)

    def result(self, name: str, *, real: bool = False) -> Tensor | None:
        """A tensor for a value that a kernel is about to write; see the base class."""
        size = pixels(self.shape(name))
        if size is None:
            return None
        if real or name in self.graph.outputs:
            return Tensor.new(*size)
        if self.precision == "bf16":
            return Tensor.new(*size, "bf16")
        if self.precision == "int8" and name in self.ranges:
            tensor = Tensor.new(*size, "u8")
            tensor.scale, tensor.zero_point = steps_of(*self.ranges[name])
            return tensor
        return Tensor.new(*size)

    def wide_input(self, name: str) -> Tensor | None:
        """The colour picture that the graph is given, with a fourth channel of zeros.

        Products that take two or four values at a time then find each pixel at a whole number of
        them. None where that is of no use.
        """
        if self.precision == "fp32" or not self.is_only_input(name):
            return None
        size = pixels(self.shape(name))
        if size is None or size[2] != 3:
            return None
        if self.precision == "bf16":
            tensor = Tensor.new(*size[:2], 4, "bf16")
        elif name in self.ranges:
            tensor = Tensor.new(*size[:2], 4, "u8")
            tensor.scale, tensor.zero_point = steps_of(*self.ranges[name])
        else:
            return None
        self.steps.insert(0, Input(tensor, size[2]))
        return tensor

    def padded(self, tensor: Tensor, halo: tuple[int, int, int, int]) -> Tensor:
        """The same values with a border of zeros at least so wide."""
        if not any(halo):
            return tensor
        if tensor.buffer.flat:
            tensor = self.copy(tensor, tensor.dtype)
        tensor.buffer.add_halo(halo)
        return tensor

    def copy(self, tensor: Tensor, dtype: str) -> Tensor:
        """A copy in a buffer of its own."""
        result = Tensor.new(tensor.height, tensor.width, tensor.channels, dtype)
        if dtype == "u8":
            result.scale, result.zero_point = tensor.scale, tensor.zero_point
        self.steps.append(Elementwise((tensor,), result, copied, "copy"))
        return result


def steps_of(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point that map a range onto 0 to 255, 0 exactly on a step.

    A range too small for float32 to divide by counts as nothing but zeros.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    scale = scale if scale > _SMALLEST_STEP else 1.0
    return scale, int(np.clip(round(-low / scale), 0, 255))
