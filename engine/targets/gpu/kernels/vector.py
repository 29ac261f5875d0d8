"""Products of few rows: every weight is used once or a few times, so that memory decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.codegen.tensor import Tensor, quads
from twinlens.engine.targets.gpu.kernels.activate import activate
from twinlens.engine.targets.gpu.kernels.base import (
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    in_quads,
    packed,
)

#: Rows up to which this kernel serves.
MOST_ROWS = 4
# Side by side, threads read 128 bytes of weights in one go; the others split the sum.
_COLUMNS, _SLICES = 8, 32


@dataclass(eq=False)
class Vector(Op):
    """A few rows times a matrix.

    Attributes:
        source: pixels are the rows; 1×1 pictures or flattened ones.
        result: as many pixels.
        weight: (outputs, inputs), float32.
        bias: (outputs,), float32.
        activation: applied to what is stored.
        residual: added before the activation.
    """

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    activation: Layer | None = None
    residual: Tensor | None = None
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source, and the residual if there is one."""
        return (self.source,) if self.residual is None else (self.source, self.residual)

    @property
    def macs(self) -> int:
        """Multiply-adds that the shader does."""
        return self.result.pixels * int(self.weight.size)

    def constants(self, target: Target) -> Sequence[Array]:
        """Weights as [input][output], filled up with zeros to groups of four; biases."""
        outputs, inputs = self.weight.shape
        matrix = np.zeros((quads(inputs) * 4, quads(outputs) * 4), np.float32)
        matrix[:inputs, :outputs] = self.weight.T
        return packed(matrix, target), in_quads(self.bias)

    def grid(self, target: Target) -> Grid:
        """Groups of columns."""
        del target
        return -(-self.result.quads // _COLUMNS), 1, 1

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return "vector product"

    def shader(self, target: Target) -> str:
        """Each thread sums up some inputs for four outputs; then the sums are added."""
        names = Bindings(self, (f"vec4<{target.dtype}>", "vec4<f32>"))
        rows = self.result.pixels
        count = rows * _COLUMNS * _SLICES
        memory = f"var<workgroup> sums: array<vec4<f32>, {count}>;\n"
        body = "\n".join(self._body(names))
        return f"{names.declarations()}\n{memory}{entry(_COLUMNS * _SLICES, body)}"

    def _body(self, names: Bindings) -> Iterator[str]:
        rows, terms, width = self.result.pixels, quads(self.weight.shape[1]), self.result.quads
        yield f"let column = thread % {_COLUMNS}u;"
        yield f"let slice = thread / {_COLUMNS}u;"
        yield f"let q = group.x * {_COLUMNS}u + column;"
        for m in range(rows):
            yield f"var s{m} = vec4<f32>();"
        yield f"if (q < {width}u) {{ for (var k = slice; k < {terms}u; k += {_SLICES}u) {{"
        for lane in range(4):
            yield f"let v{lane} = vec4<f32>(w0[(k * 4u + {lane}u) * {width}u + q]);"
        for m in range(rows):
            yield f"let a{m} = {names.load(self.source, f'{m}u', 'k')};"
            yield f"s{m} += a{m}.x * v0 + a{m}.y * v1 + a{m}.z * v2 + a{m}.w * v3;"
        yield "} }"
        for m in range(rows):
            yield f"sums[{m * _SLICES * _COLUMNS}u + thread] = s{m};"
        half = _SLICES // 2
        while half:
            yield "workgroupBarrier();"
            yield f"if (slice < {half}u) {{"
            for m in range(rows):
                first = f"{m * _SLICES * _COLUMNS}u + thread"
                yield f"s{m} += sums[{first} + {half * _COLUMNS}u]; sums[{first}] = s{m};"
            yield "}"
            half //= 2
        yield f"if (slice == 0u && q < {width}u) {{ let bias = w1[q];"
        for m in range(rows):
            yield f"{{ var v = s{m} + bias;"
            if self.residual is not None:
                yield f"v += {names.load(self.residual, f'{m}u', 'q')};"
            yield activate("v", self.activation)
            yield names.store(self.result, f"{m}u", "q", "v") + " }"
        yield "}"
