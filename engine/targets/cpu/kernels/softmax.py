"""Softmax over the channels of each pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from twinlens.engine.targets.cpu.codegen.emit import Emitter, Value
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.activate import exponential
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, Op


@dataclass(eq=False)
class Softmax(Op):
    """``exp(x - max) / sum``, channels side by side; the result is stored as float32."""

    kind: ClassVar[str] = "softmax"

    source: Tensor
    result: Tensor
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Logits."""
        return (self.source,)

    @property
    def output(self) -> Tensor:
        """Probabilities."""
        return self.result

    def units(self, isa: Isa) -> int:
        """Rows."""
        del isa
        return self.result.height

    def work(self) -> int:
        """An exponential is worth about twenty multiply-adds."""
        return 20 * super().work()

    def emit(self, c: Context) -> None:
        """Three passes over the channels of each pixel: largest, exponentials, division."""
        e, source, result = c.e, self.source, self.result
        arena = c.address(ARENA)
        with e.loop(c.low, c.high) as turn:
            clear_halo(e, result, arena, turn.index)
            with e.loop(0, result.width) as pixel:
                start = e.at(arena, source.start())
                start = e.at(start, e.mul(turn.index, source.row_bytes))
                start = e.at(start, e.mul(pixel.index, source.pixel_bytes))
                out = e.at(arena, result.start())
                out = e.at(out, e.mul(turn.index, result.row_bytes))
                out = e.at(out, e.mul(pixel.index, result.pixel_bytes))
                self._pixel(e, start, out)
        e.return_()

    def _pixel(self, e: Emitter, source: Value, target: Value) -> None:
        lanes, item = e.lanes, self.source.item
        whole, rest = divmod(self.source.channels, lanes)
        with e.loop(0, whole, carry=[e.splat(-np.inf, lanes)]) as loop:
            here = e.at(source, e.mul(loop.index, lanes * item))
            loop.carry = [e.maximum(loop.carry[0], self.source.read(e, here, lanes))]
        largest = reduced(e, loop.carry[0], lambda a, b: e.maximum(a, b))
        if rest:
            tail = self.source.read(e, e.at(source, whole * lanes * item), rest)
            largest = e.maximum(largest, reduced(e, tail, lambda a, b: e.maximum(a, b)))
        single = e.b.extract_element(largest, e.i64(0))

        def grown(place: Value, count: int, out: Value) -> Value:
            value = self.source.read(e, place, count)
            value = exponential(e, e.b.fsub(value, e.splat(single, count)))
            e.store_floats(value, out, count)
            return value

        with e.loop(0, whole, carry=[e.splat(0.0, lanes)]) as loop:
            here = e.at(source, e.mul(loop.index, lanes * item))
            there = e.at(target, e.mul(loop.index, 4 * lanes))
            loop.carry = [e.b.fadd(loop.carry[0], grown(here, lanes, there))]
        total = reduced(e, loop.carry[0], e.b.fadd)
        if rest:
            tail = grown(e.at(source, whole * lanes * item), rest, e.at(target, 4 * whole * lanes))
            total = e.b.fadd(total, reduced(e, tail, e.b.fadd))
        factor = e.b.extract_element(e.b.fdiv(e.splat(1.0, 1), total), e.i64(0))
        with e.loop(0, whole) as loop:
            there = e.at(target, e.mul(loop.index, 4 * lanes))
            value = e.b.fmul(e.load_floats(there, lanes), e.splat(factor, lanes))
            e.store_floats(value, there, lanes)
        if rest:
            there = e.at(target, 4 * whole * lanes)
            value = e.b.fmul(e.load_floats(there, rest), e.splat(factor, rest))
            e.store_floats(value, there, rest)


def reduced(e: Emitter, value: Value, join: object) -> Value:
    """Join all lanes of a vector, halves first; answers a vector of one lane."""
    count = value.type.count
    while count > 1:
        half = count // 2
        low = e.shuffle(value, value, range(half))
        high = e.shuffle(value, value, range(half, 2 * half))
        joined = join(low, high)  # type: ignore[operator]
        if count % 2:
            last = e.shuffle(value, value, [count - 1])
            first = join(e.shuffle(joined, joined, [0]), last)  # type: ignore[operator]
            rest = e.widened(first, half) if half > 1 else first
            joined = e.shuffle(joined, rest, [half, *range(1, half)]) if half > 1 else first
        value, count = joined, half
    return value
