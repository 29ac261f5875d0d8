"""Pools: the largest or the mean of windows, and the mean of whole channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from twinlens.engine.layers.base import Array
from twinlens.engine.targets.cpu.codegen.emit import F32, Emitter, Value, i64
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, Op, float_array


@dataclass(eq=False)
class Pool(Op):
    """Windows of a picture reduced to one sample each; what lies outside takes no part.

    Attributes:
        source, result: input and output, equally many channels.
        mode: ``"max"`` or ``"mean"``.
        kernel, stride, dilation: (height, width).
        pads: (top, left).
        divisors: for the mean: (output height, output width), how many samples each window
            counts.
    """

    kind: ClassVar[str] = "pool"

    source: Tensor
    result: Tensor
    mode: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    divisors: Array | None = None
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture."""
        return (self.source,)

    @property
    def output(self) -> Tensor:
        """The pooled picture."""
        return self.result

    def units(self, isa: Isa) -> int:
        """Rows."""
        del isa
        return self.result.height

    def work(self) -> int:
        """Samples read, weighted."""
        taps = self.kernel[0] * self.kernel[1]
        return 2 * self.result.height * self.result.width * self.result.channels * taps

    def constants(self, isa: Isa) -> list[Array]:
        """For the mean: one factor per output pixel."""
        del isa
        return [] if self.divisors is None else [float_array(1.0 / self.divisors)]

    def describe(self, isa: Isa) -> str:
        """Mode and window."""
        return f"{self.kind} {self.mode} {self.kernel[0]}×{self.kernel[1]}, {isa.lanes} channels"

    def emit(self, c: Context) -> None:
        """Loop over rows; where all windows lie inside, the taps are written out."""
        e = c.e
        arena = c.address(ARENA)
        with e.loop(c.low, c.high) as turn:
            y = turn.index
            clear_halo(e, self.result, arena, y)
            first, last = self._bounds(e, y, 0, self.source.height)
            inside = e.b.icmp_signed("==", e.b.sub(last, first), i64(self.kernel[0]))
            with e.b.if_else(inside) as (then, otherwise):
                with then:
                    self._row(c, arena, y, None)
                with otherwise:
                    self._row(c, arena, y, (first, last))
        e.return_()

    def _bounds(self, e: Emitter, index: Value, axis: int, size: int) -> tuple[Value, Value]:
        """First tap inside the picture, and the one behind the last."""
        start = e.add(e.mul(index, self.stride[axis]), -self.pads[axis])
        dilation = self.dilation[axis]
        before = e.b.sub(i64(dilation - 1), start)
        first = e.most(e.b.sdiv(before, i64(dilation)), 0)
        room = e.b.sub(i64(size + dilation - 1), start)
        last = e.least(e.b.sdiv(room, i64(dilation)), self.kernel[axis])
        return first, last

    def _inside_columns(self) -> tuple[int, int]:
        """Range of output columns whose windows lie inside the picture."""
        reach = (self.kernel[1] - 1) * self.dilation[1]
        first = -(-self.pads[1] // self.stride[1])
        last = (self.source.width - 1 - reach + self.pads[1]) // self.stride[1] + 1
        first = min(first, self.result.width)
        return first, max(first, min(last, self.result.width))

    def _row(self, c: Context, arena: Value, y: Value, rows: tuple[Value, Value] | None) -> None:
        e = c.e
        low, high = self._inside_columns()
        for start, stop, whole in ((0, low, False), (low, high, True), (high, None, False)):
            end = self.result.width if stop is None else stop
            if start < end:
                with e.loop(start, end) as pixel:
                    columns = None
                    if not whole:
                        columns = self._bounds(e, pixel.index, 1, self.source.width)
                    self._pixel(c, arena, y, pixel.index, rows, columns)

    def _pixel(
        self,
        c: Context,
        arena: Value,
        y: Value,
        x: Value,
        rows: tuple[Value, Value] | None,
        columns: tuple[Value, Value] | None,
    ) -> None:
        e = c.e
        top, left = self.pads
        place = e.add(
            e.mul(y, self.stride[0] * self.source.row_bytes),
            e.mul(x, self.stride[1] * self.source.pixel_bytes),
        )
        source = e.at(e.at(arena, self.source.start(-top, -left)), place)
        out = e.add(e.mul(y, self.result.row_bytes), e.mul(x, self.result.pixel_bytes))
        target = e.at(e.at(arena, self.result.start()), out)
        factor = None
        if self.divisors is not None:
            index = e.add(e.mul(y, self.result.width), x)
            factor = e.load(e.at(c.constant(0), e.mul(index, 4)), F32, 4)
        whole, rest = divmod(self.source.channels, e.lanes)
        with e.loop(0, whole) as block:
            self._window(
                e,
                e.at(source, e.mul(block.index, e.lanes * self.source.item)),
                e.at(target, e.mul(block.index, e.lanes * self.result.item)),
                (rows, columns),
                factor,
                e.lanes,
            )
        if rest:
            first = whole * e.lanes
            self._window(
                e,
                e.at(source, first * self.source.item),
                e.at(target, first * self.result.item),
                (rows, columns),
                factor,
                rest,
            )

    def _window(
        self,
        e: Emitter,
        source: Value,
        target: Value,
        bounds: tuple[tuple[Value, Value] | None, tuple[Value, Value] | None],
        factor: Value | None,
        lanes: int,
    ) -> None:
        """Reduce one window for one vector of channels."""
        steps = (
            self.dilation[0] * self.source.row_bytes,
            self.dilation[1] * self.source.pixel_bytes,
        )
        start = e.splat(-np.inf if self.mode == "max" else 0.0, lanes)

        def join(total: Value, ky: Value | int, kx: Value | int) -> Value:
            offsets = [
                k * s if isinstance(k, int) else e.mul(k, s)
                for k, s in zip((ky, kx), steps, strict=True)
            ]
            value = self.source.read(e, e.at(e.at(source, offsets[0]), offsets[1]), lanes)
            return e.maximum(value, total) if self.mode == "max" else e.b.fadd(total, value)

        if bounds == (None, None):
            total = start
            for ky in range(self.kernel[0]):
                for kx in range(self.kernel[1]):
                    total = join(total, ky, kx)
        else:
            rows, columns = (
                limits or (0, size) for limits, size in zip(bounds, self.kernel, strict=True)
            )
            with e.loop(rows[0], rows[1], carry=[start]) as down:
                with e.loop(columns[0], columns[1], carry=down.carry) as across:
                    across.carry = [join(across.carry[0], down.index, across.index)]
                down.carry = across.carry
            total = down.carry[0]
        if factor is not None:
            total = e.b.fmul(total, e.splat(factor, lanes))
        self.result.write(e, total, target, lanes)


@dataclass(eq=False)
class GlobalMean(Op):
    """Mean (or maximum) of each channel over the whole picture."""

    kind: ClassVar[str] = "global pool"

    source: Tensor
    result: Tensor
    mode: str = "mean"
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture."""
        return (self.source,)

    @property
    def output(self) -> Tensor:
        """One pixel."""
        return self.result

    def units(self, isa: Isa) -> int:
        """Vectors of channels."""
        return -(-self.source.channels // isa.lanes)

    def work(self) -> int:
        """Samples read, weighted."""
        return 2 * self.source.height * self.source.width * self.source.channels

    def emit(self, c: Context) -> None:
        """Loop over vectors of channels."""
        e = c.e
        arena = c.address(ARENA)
        source, target = e.at(arena, self.source.start()), e.at(arena, self.result.start())
        whole, rest = divmod(self.source.channels, e.lanes)
        with e.loop(c.low, e.least(c.high, whole)) as turn:
            self._channels(
                e,
                e.at(source, e.mul(turn.index, e.lanes * self.source.item)),
                e.at(target, e.mul(turn.index, e.lanes * self.result.item)),
                e.lanes,
            )
        if rest:
            with e.when(e.b.icmp_signed(">", c.high, i64(whole))):
                first = whole * e.lanes
                self._channels(
                    e,
                    e.at(source, first * self.source.item),
                    e.at(target, first * self.result.item),
                    rest,
                )
        # A border around a single pixel; rare, and cleared by whoever has the first channels.
        with e.when(e.b.icmp_signed("==", c.low, i64(0))):
            clear_halo(e, self.result, arena, e.i64(0))
        e.return_()

    def _channels(self, e: Emitter, source: Value, target: Value, lanes: int) -> None:
        """Reduce one vector of channels; a running sum per row keeps rounding small."""
        peak = self.mode == "max"
        start = e.splat(-np.inf if peak else 0.0, lanes)
        with e.loop(0, self.source.height, carry=[start]) as down:
            row = e.at(source, e.mul(down.index, self.source.row_bytes))
            begin = down.carry if peak else [e.splat(0.0, lanes)]
            with e.loop(0, self.source.width, carry=begin) as across:
                value = self.source.read(
                    e, e.at(row, e.mul(across.index, self.source.pixel_bytes)), lanes
                )
                so_far = across.carry[0]
                across.carry = [e.maximum(value, so_far) if peak else e.b.fadd(so_far, value)]
            total = across.carry[0]
            down.carry = [total if peak else e.b.fadd(down.carry[0], total)]
        result = down.carry[0]
        if not peak:
            count = float(self.source.height * self.source.width)
            result = e.b.fdiv(result, e.splat(count, lanes))
        self.result.write(e, result, target, lanes)
