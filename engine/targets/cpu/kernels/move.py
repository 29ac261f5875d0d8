"""The way in: planes of a picture (NCHW) become pixels (NHWC) with a border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from twinlens.engine.targets.cpu.codegen.emit import F32, Value, vector
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.base import ARENA, INPUT, Context, Op

# Up to so many planes are woven together in registers.
_WOVEN = 4


@dataclass(eq=False)
class Input(Op):
    """Copies the caller's float32 planes into the arena.

    Attributes:
        result: the picture; channels beyond the caller's are zeros.
        planes: how many planes the caller has.
    """

    kind: ClassVar[str] = "input"

    result: Tensor
    planes: int
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """None: it reads the caller's array."""
        return ()

    @property
    def output(self) -> Tensor:
        """The picture."""
        return self.result

    def units(self, isa: Isa) -> int:
        """Rows."""
        del isa
        return self.result.height

    def emit(self, c: Context) -> None:
        """Loop over rows."""
        e, result = c.e, self.result
        arena, planes = c.address(ARENA), c.address(INPUT)
        plane = 4 * result.height * result.width
        with e.loop(c.low, c.high) as turn:
            clear_halo(e, result, arena, turn.index)
            source = e.at(planes, e.mul(turn.index, 4 * result.width))
            target = e.at(e.at(arena, result.start()), e.mul(turn.index, result.row_bytes))
            if result.width == result.height == 1 and result.channels == self.planes:
                self._run(c, source, target, result.channels)
            elif result.channels <= _WOVEN:
                self._woven(c, source, target, plane)
            else:
                with e.loop(0, result.width) as pixel:
                    here = e.at(source, e.mul(pixel.index, 4))
                    out = e.at(target, e.mul(pixel.index, result.pixel_bytes))
                    with e.loop(0, result.channels) as channel:
                        value = e.load_floats(e.at(here, e.mul(channel.index, plane)), 1)
                        place = e.at(out, e.mul(channel.index, result.item))
                        result.write(e, value, place, 1)
        e.return_()

    def _run(self, c: Context, source: Value, target: Value, count: int) -> None:
        """Copy values that follow each other."""
        e, result = c.e, self.result
        whole, rest = divmod(count, e.lanes)
        with e.loop(0, whole) as block:
            value = e.load_floats(e.at(source, e.mul(block.index, 4 * e.lanes)), e.lanes)
            place = e.at(target, e.mul(block.index, e.lanes * result.item))
            result.write(e, value, place, e.lanes)
        if rest:
            value = e.load_floats(e.at(source, 4 * whole * e.lanes), rest)
            result.write(e, value, e.at(target, whole * e.lanes * result.item), rest)

    def _woven(self, c: Context, source: Value, target: Value, plane: int) -> None:
        """Copy a row, weaving the planes together."""
        e, result = c.e, self.result
        whole, rest = divmod(result.width, e.lanes)

        def weave(first: Value | int, count: int) -> None:
            offset = 4 * first if isinstance(first, int) else e.mul(first, 4)
            values = [
                e.load(e.at(e.at(source, offset), q * plane), vector(F32, count), 4)
                for q in range(self.planes)
            ]
            values += [e.splat(0.0, count)] * (result.channels - self.planes)
            value = values[0]
            for q, more in enumerate(values[1:], 1):
                # Rows of q values per pixel become rows of q + 1.
                wide = e.widened(more, q * count) if q > 1 else more
                order = [
                    i * q + k if k < q else q * count + i
                    for i in range(count)
                    for k in range(q + 1)
                ]
                value = e.shuffle(value, wide, order)
            size = result.pixel_bytes
            out = first * size if isinstance(first, int) else e.mul(first, size)
            result.write(e, value, e.at(target, out), count * result.channels)

        with e.loop(0, whole) as block:
            weave(e.mul(block.index, e.lanes), e.lanes)
        if rest:
            weave(whole * e.lanes, rest)
