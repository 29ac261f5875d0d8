"""3 × 3 convolutions with 36 products instead of 144 for every 4 × 4 output pixels, and 5 × 5 ones
with 36 instead of 100 for every 2 × 2.

F(4×4, 3×3) and F(2×2, 5×5) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks"
(CVPR 2016), both with the points 0, ±1, ±2 and infinity: patches of 6 × 6 input pixels that
overlap are transformed, multiplied by transformed weights channel by channel (36 matrix
products), and transformed back. Rounding errors are a few times those of the direct sum.

Large pictures are computed in blocks of tiles that stay in a thread's cache; small ones in three
kernels, so that each thread reads only its share of the transformed weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.cpu.codegen.emit import Value
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, aligned
from twinlens.engine.targets.cpu.kernels.base import (
    ARENA,
    SCRATCH,
    Context,
    Op,
    float_array,
)
from twinlens.engine.targets.cpu.kernels.product import FloatProduct
from twinlens.engine.targets.cpu.kernels.tiles import Columns, Rows, choose
from twinlens.engine.targets.cpu.kernels.winograd_code import (
    PATCH,
    POINTS,
    emit_gather,
    emit_products,
    emit_spread,
    pitch,
)

# Up to so many tiles the stages are kernels of their own.
_FEW_TILES = 64
# Tiles that a thread works on at once; a multiple of the tallest register tile.
_BLOCK = 14

# The points, but infinity, with the factor of each that leaves the other transforms whole numbers.
_FINITE = ((0, 1 / 4), (1, -1 / 6), (-1, -1 / 6), (2, 1 / 24), (-2, 1 / 24))


def transformed(weight: Array) -> Array:
    """Weights (out, k, k, in) as 36 matrices (36, out, in), computed in float64."""
    taps = weight.shape[1]
    rows = [[factor * point**i for i in range(taps)] for point, factor in _FINITE]
    g = np.array([*rows, [0.0] * (taps - 1) + [1.0]])
    points = np.einsum("ia,oabc,jb->ijoc", g, weight.astype(np.float64), g, optimize=True)
    return float_array(points.reshape(POINTS, weight.shape[0], weight.shape[3]))


def suits(kernel: tuple[int, int], size: tuple[int, int], channels: tuple[int, int]) -> bool:
    """Whether a stride-1 convolution gains: 3 × 3 on a map of 13 or more, 5 × 5 on one of 7.

    Args:
        kernel: (height, width).
        size: (height, width) of the output.
        channels: (input, output); fewer than 8 make the transforms cost more than they save.
    """
    smallest = {(3, 3): 13, (5, 5): 7}.get(kernel)
    return smallest is not None and min(size) >= smallest and min(channels) >= 8


@dataclass(eq=False)
class Winograd(Op):
    """A 3 × 3 or 5 × 5 convolution, stride 1.

    The source needs a border of zeros as wide as ``border`` says.

    Attributes:
        source, result: input and output.
        weight: (output channels, k, k, input channels), float32.
        bias: (output channels,), float32.
        pads: (top, left).
        activation: applied before storing.
        residual: added before the activation.
    """

    kind: ClassVar[str] = "winograd"

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    pads: tuple[int, int] = (0, 0)
    activation: Layer | None = None
    residual: Tensor | None = None
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture and, where there is one, what is added."""
        return (self.source,) if self.residual is None else (self.source, self.residual)

    @property
    def output(self) -> Tensor:
        """The convolved picture."""
        return self.result

    @cached_property
    def out(self) -> int:
        """Output pixels along a tile's side."""
        return PATCH + 1 - int(self.weight.shape[1])

    @property
    def across(self) -> int:
        """Tiles along the width."""
        return -(-self.result.width // self.out)

    @property
    def count(self) -> int:
        """Tiles altogether."""
        return self.across * -(-self.result.height // self.out)

    @property
    def blocks(self) -> Rows:
        """The tiles cut into blocks that a thread works on at once."""
        return Rows.cut(self.count, _BLOCK)

    def border(self) -> tuple[int, int, int, int]:
        """Border (top, left, bottom, right) of the source that the patches reach."""
        top, left = self.pads
        beyond = PATCH - self.out
        down = -(-self.result.height // self.out) * self.out + beyond - top - self.source.height
        right = self.across * self.out + beyond - left - self.source.width
        return top, left, max(0, down), max(0, right)

    def parts(self) -> tuple[Op, ...]:
        """This kernel, or one for each of its three stages."""
        if self.count > _FEW_TILES:
            return (self,)
        spread = Tensor.new(POINTS, pitch(self.count, self.source.channels), self.source.channels)
        summed = Tensor.new(POINTS, pitch(self.count, self.result.channels), self.result.channels)
        return (
            Spread(self, self.source, spread),
            Multiply(self, spread, summed),
            Gather(self, summed, self.result),
        )

    def units(self, isa: Isa) -> int:
        """Blocks of tiles."""
        del isa
        return self.blocks.count

    def work(self) -> int:
        """Multiply-adds that are left."""
        return self.count * POINTS * self.source.channels * self.result.channels

    def describe(self, isa: Isa) -> str:
        """Method and register tile."""
        rows = self.blocks.tall if self.count > _FEW_TILES else self.count
        tile, columns = choose(isa, rows, self.result.channels)
        added = " + add" if self.residual is not None else ""
        return f"{self.kind} {self.out}×{self.out} {tile.tall}×{columns.block}{added}"

    def constants(self, isa: Isa) -> list[Array]:
        """0 transformed weights, 1 zeros to start sums with, 2 bias."""
        rows = self.blocks.tall
        return [*self._packed(choose(isa, rows, self.result.channels)[1]), float_array(self.bias)]

    def packed(self, isa: Isa) -> list[Array]:
        """0 transformed weights, 1 zeros, for the product as a kernel of its own."""
        return self._packed(choose(isa, self.count, self.result.channels)[1])

    def _packed(self, columns: Columns) -> list[Array]:
        product = FloatProduct()
        depth = self.weight.shape[3]
        arrays = []
        for matrix in transformed(self.weight):
            for block in range(columns.blocks):
                part = matrix[block * columns.block : (block + 1) * columns.block]
                arrays.append(product.packed(part, [depth], columns.stored(block)).ravel())
        return [np.concatenate(arrays), np.zeros(columns.block + 16, np.float32)]

    def scratch(self, isa: Isa) -> int:
        """The transformed patches of a block, and their sums."""
        del isa
        spread, summed = self._pitches()
        return aligned(POINTS * spread) + aligned(POINTS * summed)

    def _pitches(self) -> tuple[int, int]:
        """Bytes from one of the 36 matrices of a block to the next: patches, sums."""
        tall = self.blocks.tall
        taken, made = self.source.channels, self.result.channels
        return pitch(tall, taken) * taken * 4, pitch(tall, made) * made * 4

    def emit(self, c: Context) -> None:
        """Per block: transform patches, multiply, transform back."""
        e, blocks = c.e, self.blocks
        spread_pitch, summed_pitch = self._pitches()
        spread = e.at(c.address(SCRATCH), e.mul(c.thread, c.scratch))
        summed = e.at(spread, aligned(POINTS * spread_pitch))
        packed, zeros, bias = (c.constant(i) for i in range(3))

        def block(first: Value, tiles: int) -> None:
            last = e.add(first, tiles)
            emit_spread(self, c, first, last, spread, spread_pitch)
            rows, columns = choose(e.isa, blocks.tall, self.result.channels)
            rows = Rows.cut(tiles, rows.tall)
            sides = (spread, spread_pitch, summed, summed_pitch)
            emit_products(self, c, (e.i64(0), e.i64(POINTS)), rows, columns, sides, packed, zeros)
            emit_gather(self, c, first, last, summed, summed_pitch, bias)

        with e.loop(c.low, e.least(c.high, blocks.talls)) as turn:
            block(e.mul(turn.index, blocks.tall), blocks.tall)
        if blocks.talls < blocks.count:
            with e.loop(e.most(c.low, blocks.talls), c.high) as turn:
                block(e.add(e.mul(turn.index, blocks.tall - 1), blocks.talls), blocks.tall - 1)
        e.return_()


@dataclass(eq=False)
class _Stage(Op):
    """One of the three stages of a convolution, as a kernel.

    Attributes:
        base: the convolution.
        taken, made: what it reads and writes.
    """

    kind: ClassVar[str] = "winograd"

    base: Winograd
    taken: Tensor
    made: Tensor

    def __post_init__(self) -> None:
        self.nodes = self.base.nodes

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the stage before made."""
        return (self.taken,)

    @property
    def output(self) -> Tensor:
        """What the next stage reads, or the result."""
        return self.made

    def units(self, isa: Isa) -> int:
        """Tiles."""
        del isa
        return self.base.count

    def describe(self, isa: Isa) -> str:
        """As the whole convolution."""
        return self.base.describe(isa)


class Spread(_Stage):
    """Patches to 36 matrices (tiles, input channels)."""

    def work(self) -> int:
        """Values."""
        return self.base.count * POINTS * self.taken.channels

    def emit(self, c: Context) -> None:
        """Transform the patches of some tiles."""
        e = c.e
        place = e.at(c.address(ARENA), self.made.start())
        place = e.at(place, e.mul(c.low, self.made.pixel_bytes))
        emit_spread(self.base, c, c.low, c.high, place, self.made.row_bytes)
        e.return_()


class Multiply(_Stage):
    """36 matrix products."""

    def units(self, isa: Isa) -> int:
        """Matrices."""
        del isa
        return POINTS

    def work(self) -> int:
        """Multiply-adds."""
        return self.base.work()

    def constants(self, isa: Isa) -> list[Array]:
        """0 transformed weights, 1 zeros."""
        return self.base.packed(isa)

    def emit(self, c: Context) -> None:
        """Multiply some of the matrices."""
        e, arena = c.e, c.address(ARENA)
        rows, columns = choose(e.isa, self.base.count, self.made.channels)
        sides = (
            e.at(arena, self.taken.start()),
            self.taken.row_bytes,
            e.at(arena, self.made.start()),
            self.made.row_bytes,
        )
        ends = (c.low, c.high)
        emit_products(self.base, c, ends, rows, columns, sides, c.constant(0), c.constant(1))
        e.return_()


class Gather(_Stage):
    """36 sums of each tile to 4 × 4 pixels."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The sums and, where there is one, what is added."""
        residual = self.base.residual
        return (self.taken,) if residual is None else (self.taken, residual)

    def work(self) -> int:
        """Values."""
        return self.base.count * POINTS * self.made.channels

    def constants(self, isa: Isa) -> list[Array]:
        """0 bias."""
        del isa
        return [float_array(self.base.bias)]

    def emit(self, c: Context) -> None:
        """Transform some tiles back."""
        e = c.e
        place = e.at(c.address(ARENA), self.taken.start())
        place = e.at(place, e.mul(c.low, self.taken.pixel_bytes))
        emit_gather(self.base, c, c.low, c.high, place, self.taken.row_bytes, c.constant(0))
        e.return_()
