"""Depthwise convolution: each thread makes some pixels of a row, four channels at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.activate import activate
from twinlens.engine.targets.gpu.kernels.base import (
    THREADS,
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    in_quads,
    index_of,
    packed,
    spread,
)

Pair = tuple[int, int]


@dataclass(eq=False)
class Depthwise(Op):
    """One kernel per channel.

    Attributes:
        source, result: with equal channels.
        weight: (kernel height, kernel width, channels), float32.
        bias: (channels,), float32.
        stride, dilation: (height, width).
        pads: (top, left).
        activation: applied to what is stored.
        residual: added before the activation.
    """

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: Pair = (0, 0)
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
        return self.result.pixels * self.result.quads * 4 * int(np.prod(self.weight.shape[:2]))

    def constants(self, target: Target) -> Sequence[Array]:
        """Weights as [tap][channel], biases."""
        rows, columns, channels = self.weight.shape
        filled = np.zeros((rows * columns, self.result.quads * 4), np.float32)
        filled[:, :channels] = self.weight.reshape(rows * columns, channels)
        return packed(filled, target), in_quads(self.bias)

    def _run(self, target: Target) -> int:
        """Pixels of a row that a thread makes: more share what they read, fewer fill a GPU."""
        threads = self.result.pixels * self.result.quads
        enough = target.units * 512
        for run in (4, 2):
            if self.result.width >= run and threads // run >= enough:
                return run
        return 1

    def _count(self, run: int) -> int:
        result = self.result
        return result.batch * result.height * -(-result.width // run) * result.quads

    def grid(self, target: Target) -> Grid:
        """Threads by the run, then the channel."""
        return spread(self._count(self._run(target)))

    def describe(self, target: Target) -> str:
        """The kernel and its run of pixels."""
        run = self._run(target)
        return f"depthwise ×{run}" if run > 1 else "depthwise"

    def shader(self, target: Target) -> str:
        """One thread per run of pixels and group of four channels."""
        names = Bindings(self, (f"vec4<{target.dtype}>", "vec4<f32>"))
        body = "\n".join(self._body(names, self._run(target), self.grid(target)))
        return f"{names.declarations()}\n{entry(THREADS, body)}"

    def _body(self, names: Bindings, run: int, grid: Grid) -> Iterator[str]:
        result = self.result
        width = -(-result.width // run)
        yield f"let index = {index_of(grid)};"
        yield f"if (index >= {self._count(run)}u) {{ return; }}"
        yield f"let q = index % {result.quads}u;"
        yield f"let place = index / {result.quads}u;"
        yield f"let x = place % {width}u * {run}u;"
        yield f"let line = place / {width}u;"
        yield f"let y = line % {result.height}u;"
        yield f"let image = line / {result.height}u;"
        for p in range(run):
            yield f"var s{p} = w1[q];"
        yield f"let left = i32(x) * {self.stride[1]} - {self.pads[1]};"
        for tap in range(self.weight.shape[0]):
            yield from self._line(names, tap, run)
        for p in range(run):
            guard = f"if (x + {p}u < {result.width}u) " if result.width % run else ""
            yield f"{guard}{{ var v = s{p};"
            yield f"let pixel = line * {result.width}u + x + {p}u;"
            if self.residual is not None:
                yield f"v += {names.load(self.residual, 'pixel', 'q')};"
            yield activate("v", self.activation)
            yield names.store(result, "pixel", "q", "v") + " }"

    def _line(self, names: Bindings, tap: int, run: int) -> Iterator[str]:
        """One row of taps: each sample is read once and used by all pixels that it touches."""
        source, (_, columns) = self.source, self.weight.shape[:2]
        row = f"i32(y) * {self.stride[0]} + {tap * self.dilation[0] - self.pads[0]}"
        yield f"{{ let sy = {row};"
        yield f"if (u32(sy) < {source.height}u) {{"
        yield f"let start = (image * {source.height}u + u32(sy)) * {source.width}u;"
        for kx in range(columns):
            yield f"let k{kx} = vec4<f32>(w0[{tap * columns + kx}u * {self.result.quads}u + q]);"
        users: dict[int, list[tuple[int, int]]] = {}
        for p in range(run):
            for kx in range(columns):
                users.setdefault(p * self.stride[1] + kx * self.dilation[1], []).append((p, kx))
        for offset in sorted(users):
            yield f"{{ let sx = left + {offset}; if (u32(sx) < {source.width}u) {{"
            yield f"let a = {names.load(source, 'start + u32(sx)', 'q')};"
            for p, kx in users[offset]:
                yield f"s{p} += a * k{kx};"
            yield "} }"
        yield "} }"
