"""The register tile: sums of a few rows and columns of a product that stay in registers."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.layers.base import Layer
from twinlens.engine.targets.cpu.codegen.emit import F32, I32, Emitter, Value, vector
from twinlens.engine.targets.cpu.codegen.tensor import Tensor
from twinlens.engine.targets.cpu.kernels.activate import activate
from twinlens.engine.targets.cpu.kernels.base import activation_key
from twinlens.engine.targets.cpu.kernels.product import IntegerProduct, Product

# Bytes that weights are asked for before they are read: processors follow a stream by themselves
# only to the end of a page. 8 KiB measured best of 1 to 32 (Zen 5): 141 G/s instead of 126.
_AHEAD = 8192


@dataclass(frozen=True)
class Tile:
    """One register tile: ``height`` rows by ``width`` columns, over the whole inner axis.

    Attributes:
        product: the arithmetic.
        height: output pixels.
        width: output channels.
        lengths: vector lengths that the channels are computed in.
        row: bytes from one pixel's window to the next's.
        runs: see ``Convolve.runs``.
        run_strides: bytes from one run to the next along the height and the width.
        result, residual, activation: as the convolution's.
        line: pixels of a picture's row, where the tile spans several; else 0.
        line_bytes: from a window to the one below it.
    """

    product: Product
    height: int
    width: int
    lengths: tuple[int, ...]
    row: int
    runs: tuple[int, int, int]
    run_strides: tuple[int, int]
    result: Tensor
    residual: Tensor | None
    activation: Layer | None
    line: int = 0
    line_bytes: int = 0

    def _offset(self, row: int, pixel_bytes: int, line_bytes: int) -> int:
        """Bytes from the first row's pixel to another's."""
        if not self.line:
            return row * pixel_bytes
        return row // self.line * line_bytes + row % self.line * pixel_bytes

    def key(self) -> object:
        """What two tiles must share to be the same code."""

        def stored(tensor: Tensor | None) -> object:
            if tensor is None:
                return None
            line = tensor.row_bytes if self.line else 0
            return tensor.dtype, tensor.pixel_bytes, line, tensor.scale, tensor.zero_point

        product = (self.product.name, getattr(self.product, "source", ""))
        sizes = (self.height, self.width, self.lengths, self.runs)
        rest = (*sizes, self.row, self.run_strides, self.line, self.line_bytes)
        ends = (stored(self.result), stored(self.residual), activation_key(self.activation))
        return ("tile", product, rest, ends)

    def write(self, e: Emitter) -> None:
        """Write the function (source, weights, target, other, bias[, scales, starts])."""
        source, weights, _, _, *vectors = e.function.args
        integer = isinstance(self.product, IntegerProduct)
        begin, element = (vectors[2], I32) if integer else (vectors[0], F32)
        first = [
            e.load(e.at(begin, 4 * sum(self.lengths[:j])), vector(element, length), 4)
            for j, length in enumerate(self.lengths)
        ]
        sums = [first[j] for _ in range(self.height) for j in range(len(self.lengths))]
        sums = self._all_runs(e, source, weights, sums)
        self._finish(e, sums)
        e.return_()

    def _all_runs(
        self, e: Emitter, source: Value, weights: Value, sums: list[Value]
    ) -> list[Value]:
        heights, widths, run = self.runs
        steps = -(-run // self.product.step)
        run_bytes = steps * sum(self.lengths) * self.product.step * self.product.item
        if heights * widths == 1:
            return self._run(e, source, weights, sums, steps)
        with e.loop(0, heights, carry=sums) as down:
            row = e.at(source, e.mul(down.index, self.run_strides[0]))
            of_row = e.at(weights, e.mul(down.index, widths * run_bytes))
            if widths == 1:
                down.carry = self._run(e, row, of_row, down.carry, steps)
            else:
                with e.loop(0, widths, carry=down.carry) as across:
                    pixel = e.at(row, e.mul(across.index, self.run_strides[1]))
                    packed = e.at(of_row, e.mul(across.index, run_bytes))
                    across.carry = self._run(e, pixel, packed, across.carry, steps)
                down.carry = across.carry
        return down.carry

    def _run(
        self, e: Emitter, source: Value, weights: Value, sums: list[Value], steps: int
    ) -> list[Value]:
        """One stretch of the inner axis."""
        product, lengths = self.product, self.lengths
        step_bytes = sum(lengths) * product.step * product.item
        item = {"f32": 4, "bf16": 2}.get(getattr(product, "source", ""), 0)
        step = item if item else product.step * product.item
        with e.loop(0, steps, carry=sums) as loop:
            row = e.at(weights, e.mul(loop.index, step_bytes))
            packed = [
                product.weight(e, e.at(row, sum(lengths[:j]) * product.step * product.item), length)
                for j, length in enumerate(lengths)
            ]
            for line in range(0, step_bytes, 64):
                e.prefetch(e.at(row, _AHEAD + line))
            here = e.at(source, e.mul(loop.index, step))
            following = []
            for i in range(self.height):
                factors: dict[int, Value] = {}
                for j, length in enumerate(lengths):
                    if length not in factors:
                        offset = self._offset(i, self.row, self.line_bytes)
                        factors[length] = product.factor(e, e.at(here, offset), length)
                    total = loop.carry[i * len(lengths) + j]
                    following.append(product.accumulate(e, total, factors[length], packed[j]))
            loop.carry = following
        return loop.carry

    def _finish(self, e: Emitter, sums: list[Value]) -> None:
        """Scale, add, activate, store."""
        _, _, target, other, *vectors = e.function.args
        result, residual = self.result, self.residual
        integer = isinstance(self.product, IntegerProduct)
        for j, length in enumerate(self.lengths):
            first = sum(self.lengths[:j])
            count = min(length, self.width - first)
            scale = bias = None
            if integer:
                bias = e.load(e.at(vectors[0], 4 * first), vector(F32, length), 4)
                scale = e.load(e.at(vectors[1], 4 * first), vector(F32, length), 4)
            for i in range(self.height):
                value = sums[i * len(self.lengths) + j]
                if integer:
                    value = e.fma(e.b.sitofp(value, vector(F32, length)), scale, bias)
                if residual is not None:
                    before = self._offset(i, residual.pixel_bytes, residual.row_bytes)
                    place = e.at(other, before + first * residual.item)
                    value = e.b.fadd(value, e.widened(residual.read(e, place, count), length))
                value = activate(e, value, self.activation)
                before = self._offset(i, result.pixel_bytes, result.row_bytes)
                place = e.at(target, before + first * result.item)
                result.write(e, value, place, count)
