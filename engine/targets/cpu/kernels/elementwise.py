"""Sample by sample: activations, sums, products, scaling, copies between layouts and types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from twinlens.engine.layers.base import Array
from twinlens.engine.targets.cpu.codegen.emit import F32, Emitter, Value, i64, vector
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, Op, float_array

#: Joins the operands' vectors to the vector that is stored.
Join = Callable[[Emitter, Sequence[Value]], Value]


@dataclass(eq=False)
class Elementwise(Op):
    """A function of each sample of one or more operands.

    Attributes:
        operands: tensors of the result's size, tensors of one pixel (used for every pixel), or
            arrays of one value per channel.
        result: output.
        join: the function.
        title: what is shown.
    """

    kind: ClassVar[str] = "elementwise"

    operands: tuple[Tensor | Array, ...]
    result: Tensor
    join: Join
    title: str
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Operands that are tensors."""
        return tuple(o for o in self.operands if isinstance(o, Tensor))

    @property
    def output(self) -> Tensor:
        """What is stored."""
        return self.result

    def units(self, isa: Isa) -> int:
        """Rows."""
        del isa
        return self.result.height

    def constants(self, isa: Isa) -> list[Array]:
        """Operands that are arrays."""
        del isa
        return [float_array(o) for o in self.operands if not isinstance(o, Tensor)]

    def describe(self, isa: Isa) -> str:
        """The function and the vector."""
        return f"{self.title}, {isa.lanes} channels"

    def emit(self, c: Context) -> None:
        """Loop over rows, pixels, vectors of channels."""
        e, result = c.e, self.result
        arena = c.address(ARENA)
        with e.loop(c.low, c.high) as turn:
            clear_halo(e, result, arena, turn.index)
            target = e.at(e.at(arena, result.start()), e.mul(turn.index, result.row_bytes))
            with e.loop(0, result.width) as pixel:
                sources = self._places(c, arena, turn.index, pixel.index)
                out = e.at(target, e.mul(pixel.index, result.pixel_bytes))
                whole, rest = divmod(result.channels, e.lanes)
                with e.loop(0, whole) as block:
                    self._vector(e, sources, out, e.mul(block.index, e.lanes), e.lanes)
                if rest:
                    self._vector(e, sources, out, i64(whole * e.lanes), rest)
        e.return_()

    def _places(self, c: Context, arena: Value, y: Value, x: Value) -> list[Value]:
        """Where each operand's values for a pixel begin."""
        e = c.e
        places = []
        position = 0
        for operand in self.operands:
            if not isinstance(operand, Tensor):
                places.append(c.constant(position))
                position += 1
                continue
            place = e.at(arena, operand.start())
            if (operand.height, operand.width) == (self.result.height, self.result.width):
                place = e.at(place, e.mul(y, operand.row_bytes))
                place = e.at(place, e.mul(x, operand.pixel_bytes))
            places.append(place)
        return places

    def _vector(
        self, e: Emitter, places: Sequence[Value], out: Value, first: Value, lanes: int
    ) -> None:
        values = []
        for operand, place in zip(self.operands, places, strict=True):
            if isinstance(operand, Tensor):
                here = e.at(place, e.mul(first, operand.item))
                values.append(operand.read(e, here, lanes))
            else:
                values.append(e.load(e.at(place, e.mul(first, 4)), vector(F32, lanes), 4))
        done = self.join(e, values)
        self.result.write(e, done, e.at(out, e.mul(first, self.result.item)), lanes)


def copied(e: Emitter, values: Sequence[Value]) -> Value:
    """The join of a copy."""
    del e
    return values[0]
