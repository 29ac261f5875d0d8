"""Depthwise convolution: every channel by its own small filter, channels side by side in lanes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.cpu.codegen.emit import F32, Emitter, Value, i64, vector
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.activate import activate
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, Op, float_array


@dataclass(eq=False)
class Depthwise(Op):
    """One filter per channel.

    Two output rows are computed at once, because neighbouring windows share input rows.

    Attributes:
        source, result: input and output, equally many channels.
        weight: (kernel height, kernel width, channels), float32.
        bias: (channels,), float32.
        stride, dilation: (height, width).
        pads: (top, left).
        activation: applied before storing.
    """

    kind: ClassVar[str] = "depthwise"

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    activation: Layer | None = None
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture."""
        return (self.source,)

    @property
    def output(self) -> Tensor:
        """The convolved picture."""
        return self.result

    @property
    def _together(self) -> int:
        """Rows computed at once: two where they share input rows."""
        shares = self.weight.shape[0] > self.stride[0] and self.dilation[0] == 1
        return 2 if shares and self.result.height > 1 else 1

    def units(self, isa: Isa) -> int:
        """Pairs of rows."""
        del isa
        return -(-self.result.height // self._together)

    def work(self) -> int:
        """Multiply-adds, weighted by how much slower than a matrix product they are."""
        return 2 * self.result.height * self.result.width * int(self.weight.size)

    def constants(self, isa: Isa) -> list[Array]:
        """Filter taps, then the bias."""
        del isa
        weight = self.weight
        if self.source.dtype == "u8":
            weight = weight * np.float32(self.source.scale)
        return [float_array(weight), float_array(self.bias)]

    def describe(self, isa: Isa) -> str:
        """Filter and rows."""
        height, width = self.weight.shape[:2]
        return f"{self.kind} {height}×{width}, {isa.lanes} channels × {self._together} rows"

    def emit(self, c: Context) -> None:
        """Loop over pairs of rows; a last single row is a case of its own."""
        e, together = c.e, self._together
        whole = self.result.height // together
        with e.loop(c.low, e.least(c.high, whole)) as turn:
            self._rows(c, e.mul(turn.index, together), together)
        if self.result.height % together:
            with e.when(e.b.icmp_signed(">", c.high, i64(whole))):
                self._rows(c, e.i64(whole * together), 1)
        e.return_()

    def _rows(self, c: Context, y: Value, count: int) -> None:
        e = c.e
        arena = c.address(ARENA)
        top, left = self.pads
        row = e.mul(y, self.stride[0] * self.source.row_bytes)
        source = e.at(e.at(arena, self.source.start(-top, -left)), row)
        target = e.at(e.at(arena, self.result.start()), e.mul(y, self.result.row_bytes))
        for q in range(count):
            clear_halo(e, self.result, arena, e.add(y, q))
        whole, rest = divmod(self.source.channels, e.lanes)
        weights, bias = c.constant(0), c.constant(1)
        with e.loop(0, whole) as block:
            self._channels(
                e,
                e.at(source, e.mul(block.index, e.lanes * self.source.item)),
                e.at(target, e.mul(block.index, e.lanes * self.result.item)),
                e.at(weights, e.mul(block.index, 4 * e.lanes)),
                e.at(bias, e.mul(block.index, 4 * e.lanes)),
                e.lanes,
                count,
            )
        if rest:
            first = whole * e.lanes
            self._channels(
                e,
                e.at(source, first * self.source.item),
                e.at(target, first * self.result.item),
                e.at(weights, 4 * first),
                e.at(bias, 4 * first),
                rest,
                count,
            )

    def _channels(
        self,
        e: Emitter,
        source: Value,
        target: Value,
        weights: Value,
        bias: Value,
        lanes: int,
        count: int,
    ) -> None:
        """All pixels of ``count`` rows for one vector of channels."""
        height, width = self.weight.shape[:2]
        channels = self.source.channels

        def tap(ky: int, kx: int) -> Value:
            place = e.at(weights, 4 * (ky * width + kx) * channels)
            return e.load(place, vector(F32, lanes), 4)

        # Few taps stay in registers over the row; many are loaded where they are used.
        stay = height * width <= (e.isa.registers * 3) // 4
        taps = {}
        if stay:
            taps = {(ky, kx): tap(ky, kx) for ky in range(height) for kx in range(width)}
        start = e.load(bias, vector(F32, lanes), 4)
        with e.loop(0, self.result.width) as pixel:
            here = e.at(source, e.mul(pixel.index, self.stride[1] * self.source.pixel_bytes))
            sums = [start] * count
            for kx in range(width):
                for line in range(
                    (count - 1) * self.stride[0] + (height - 1) * self.dilation[0] + 1
                ):
                    used = [
                        (q, (line - q * self.stride[0]) // self.dilation[0])
                        for q in range(count)
                        if (line - q * self.stride[0]) % self.dilation[0] == 0
                        and 0 <= (line - q * self.stride[0]) // self.dilation[0] < height
                    ]
                    if not used:
                        continue
                    offset = line * self.source.row_bytes
                    offset += kx * self.dilation[1] * self.source.pixel_bytes
                    value = self._sample(e, e.at(here, offset), lanes)
                    for q, ky in used:
                        weight = taps[ky, kx] if stay else tap(ky, kx)
                        sums[q] = e.fma(value, weight, sums[q])
            out = e.at(target, e.mul(pixel.index, self.result.pixel_bytes))
            for q, value in enumerate(sums):
                done = activate(e, value, self.activation)
                self.result.write(e, done, e.at(out, q * self.result.row_bytes), lanes)

    def _sample(self, e: Emitter, pointer: Value, lanes: int) -> Value:
        """Input values; an integer's scale is part of the taps."""
        value = e.load_floats(pointer, lanes, self.source.dtype)
        if self.source.dtype == "u8" and self.source.zero_point:
            value = e.b.fsub(value, e.splat(float(self.source.zero_point), lanes))
        return value
