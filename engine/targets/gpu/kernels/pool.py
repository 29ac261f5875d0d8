"""Pools: over windows, and over whole pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers.base import Array
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import (
    THREADS,
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    index_of,
    number,
    spread,
)

Pair = tuple[int, int]
# Of a global pool: groups of channels side by side, and parts of the picture.
_COLUMNS, _PARTS = 4, 16
_LOWEST = "vec4<f32>(-3.4028234e38)"


@dataclass(eq=False)
class Pool(Op):
    """Largest sample or mean of each window.

    Attributes:
        source, result: with equal channels.
        mode: ``"max"`` or ``"mean"``.
        kernel, stride, dilation: (height, width).
        pads: (top, left).
        divisors: for means, samples to divide by, (output height, output width).
    """

    source: Tensor
    result: Tensor
    mode: str
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pair
    divisors: Array | None = None
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source."""
        return (self.source,)

    def constants(self, target: Target) -> Sequence[Array]:
        """One over each divisor."""
        del target
        if self.divisors is None:
            return ()
        return (np.ascontiguousarray(1.0 / self.divisors, np.float32),)

    def grid(self, target: Target) -> Grid:
        """A thread per pixel and group of four channels."""
        del target
        return spread(self.result.pixels * self.result.quads)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return f"{self.mode} pool"

    def shader(self, target: Target) -> str:
        """One thread per pixel and group of four channels."""
        names = Bindings(self, () if self.divisors is None else ("f32",))
        body = "\n".join(self._body(names, self.grid(target)))
        return f"{names.declarations()}\n{entry(THREADS, body)}"

    def _body(self, names: Bindings, grid: Grid) -> Iterator[str]:
        source, result = self.source, self.result
        image = result.height * result.width
        yield f"let index = {index_of(grid)};"
        yield f"if (index >= {result.pixels * result.quads}u) {{ return; }}"
        yield f"let q = index % {result.quads}u;"
        yield f"let pixel = index / {result.quads}u;"
        yield f"let place = pixel % {image}u;"
        yield f"let top = i32(place / {result.width}u) * {self.stride[0]} - {self.pads[0]};"
        yield f"let left = i32(place % {result.width}u) * {self.stride[1]} - {self.pads[1]};"
        yield f"let first = pixel / {image}u * {source.height * source.width}u;"
        yield f"var v = {_LOWEST if self.mode == 'max' else 'vec4<f32>()'};"
        yield f"for (var ky = 0; ky < {self.kernel[0]}; ky++) {{"
        yield f"let y = top + ky * {self.dilation[0]};"
        yield f"if (u32(y) < {source.height}u) {{"
        yield f"for (var kx = 0; kx < {self.kernel[1]}; kx++) {{"
        yield f"let x = left + kx * {self.dilation[1]};"
        yield f"if (u32(x) < {source.width}u) {{"
        a = names.load(source, f"first + u32(y) * {source.width}u + u32(x)", "q")
        yield f"v = max(v, {a});" if self.mode == "max" else f"v += {a};"
        yield "} } } }"
        if self.divisors is not None:
            yield "v *= w0[place];"
        yield names.store(result, "pixel", "q", "v")


@dataclass(eq=False)
class GlobalPool(Op):
    """Mean or largest sample of each channel.

    Attributes:
        source: pictures.
        result: one pixel a picture.
        mode: ``"max"`` or ``"mean"``.
    """

    source: Tensor
    result: Tensor
    mode: str
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source."""
        return (self.source,)

    def grid(self, target: Target) -> Grid:
        """Groups of channels, pictures."""
        del target
        return -(-self.result.quads // _COLUMNS), self.result.batch, 1

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return f"global {self.mode}"

    def shader(self, target: Target) -> str:
        """Threads take parts of the picture, then join what they found."""
        del target
        names = Bindings(self)
        memory = f"var<workgroup> found: array<vec4<f32>, {_COLUMNS * _PARTS}>;\n"
        body = "\n".join(self._body(names))
        return f"{names.declarations()}\n{memory}{entry(_COLUMNS * _PARTS, body)}"

    def _body(self, names: Bindings) -> Iterator[str]:
        largest = self.mode == "max"
        pixels = self.source.height * self.source.width
        yield f"let part = thread / {_COLUMNS}u;"
        yield f"let q = group.x * {_COLUMNS}u + thread % {_COLUMNS}u;"
        yield f"var v = {_LOWEST if largest else 'vec4<f32>()'};"
        yield f"if (q < {self.result.quads}u) {{"
        yield f"for (var p = part; p < {pixels}u; p += {_PARTS}u) {{"
        a = names.load(self.source, f"group.y * {pixels}u + p", "q")
        yield f"v = max(v, {a});" if largest else f"v += {a};"
        yield "} }"
        yield "found[thread] = v;"
        half = _PARTS // 2
        while half:
            other = f"found[thread + {half * _COLUMNS}u]"
            join = f"max(v, {other})" if largest else f"v + {other}"
            yield "workgroupBarrier();"
            yield f"if (part < {half}u) {{ v = {join}; found[thread] = v; }}"
            half //= 2
        yield f"if (part == 0u && q < {self.result.quads}u) {{"
        if not largest:
            yield f"v *= {number(1 / pixels)};"
        yield names.store(self.result, "group.y", "q", "v") + " }"
