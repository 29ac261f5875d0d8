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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.cpu.emit import F32, PTR, Emitter, Value, vector
from twinlens.engine.targets.cpu.isa import Isa
from twinlens.engine.targets.cpu.kernels.activate import activate
from twinlens.engine.targets.cpu.kernels.base import (
    ARENA,
    SCRATCH,
    Context,
    Op,
    activation_key,
    float_array,
)
from twinlens.engine.targets.cpu.kernels.gemm import Tile
from twinlens.engine.targets.cpu.kernels.product import FloatProduct
from twinlens.engine.targets.cpu.kernels.tiles import Columns, Rows, choose
from twinlens.engine.targets.cpu.tensor import Tensor, aligned, clear_halo

#: Input pixels along a patch's side.
PATCH = 6
_POINTS = PATCH * PATCH

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
    return float_array(points.reshape(_POINTS, weight.shape[0], weight.shape[3]))


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
        spread = Tensor.new(_POINTS, _pitch(self.count, self.source.channels), self.source.channels)
        summed = Tensor.new(_POINTS, _pitch(self.count, self.result.channels), self.result.channels)
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
        return self.count * _POINTS * self.source.channels * self.result.channels

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
        return aligned(_POINTS * spread) + aligned(_POINTS * summed)

    def _pitches(self) -> tuple[int, int]:
        """Bytes from one of the 36 matrices of a block to the next: patches, sums."""
        tall = self.blocks.tall
        taken, made = self.source.channels, self.result.channels
        return _pitch(tall, taken) * taken * 4, _pitch(tall, made) * made * 4

    def emit(self, c: Context) -> None:
        """Per block: transform patches, multiply, transform back."""
        e, blocks = c.e, self.blocks
        spread_pitch, summed_pitch = self._pitches()
        spread = e.at(c.address(SCRATCH), e.mul(c.thread, c.scratch))
        summed = e.at(spread, aligned(_POINTS * spread_pitch))
        packed, zeros, bias = (c.constant(i) for i in range(3))

        def block(first: Value, tiles: int) -> None:
            last = e.add(first, tiles)
            _emit_spread(self, c, first, last, spread, spread_pitch)
            rows, columns = choose(e.isa, blocks.tall, self.result.channels)
            rows = Rows.cut(tiles, rows.tall)
            sides = (spread, spread_pitch, summed, summed_pitch)
            _emit_products(self, c, (e.i64(0), e.i64(_POINTS)), rows, columns, sides, packed, zeros)
            _emit_gather(self, c, first, last, summed, summed_pitch, bias)

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
        return self.base.count * _POINTS * self.taken.channels

    def emit(self, c: Context) -> None:
        """Transform the patches of some tiles."""
        e = c.e
        place = e.at(c.address(ARENA), self.made.start())
        place = e.at(place, e.mul(c.low, self.made.pixel_bytes))
        _emit_spread(self.base, c, c.low, c.high, place, self.made.row_bytes)
        e.return_()


class Multiply(_Stage):
    """36 matrix products."""

    def units(self, isa: Isa) -> int:
        """Matrices."""
        del isa
        return _POINTS

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
        _emit_products(self.base, c, ends, rows, columns, sides, c.constant(0), c.constant(1))
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
        return self.base.count * _POINTS * self.made.channels

    def constants(self, isa: Isa) -> list[Array]:
        """0 bias."""
        del isa
        return [float_array(self.base.bias)]

    def emit(self, c: Context) -> None:
        """Transform some tiles back."""
        e = c.e
        place = e.at(c.address(ARENA), self.taken.start())
        place = e.at(place, e.mul(c.low, self.taken.pixel_bytes))
        _emit_gather(self.base, c, c.low, c.high, place, self.taken.row_bytes, c.constant(0))
        e.return_()


def _pitch(tiles: int, channels: int) -> int:
    """Tiles to leave room for, so that the 36 matrices do not all fall on one set of the cache."""
    return tiles + (tiles * channels * 4 % 4096 == 0)


def _vectors(e: Emitter, channels: int, run: Callable[[Value, int], None]) -> None:
    """Go through channels: (byte offset, how many) of every vector."""
    whole, rest = divmod(channels, e.lanes)
    with e.loop(0, whole) as turn:
        run(e.mul(turn.index, 4 * e.lanes), e.lanes)
    if rest:
        run(e.i64(4 * e.lanes * whole), rest)


def _scaled(e: Emitter, offset: Value, tensor: Tensor) -> Value:
    """A byte offset into float32 channels as one into a tensor's."""
    return e.b.lshr(offset, e.i64({4: 0, 2: 1, 1: 2}[tensor.item]))


def _emit_spread(
    op: Winograd, c: Context, first: Value, last: Value, place: Value, pitch: int
) -> None:
    """Transform the patches of tiles ``first`` to ``last``; ``place`` is the first tile's."""
    e, source = c.e, op.source
    start = e.at(c.address(ARENA), source.start(-op.pads[0], -op.pads[1]))
    key = ("spread", source.row_bytes, source.pixel_bytes, source.channels, source.dtype, pitch)
    row_bytes, pixel_bytes = source.row_bytes, source.pixel_bytes

    def write(inner: Emitter) -> None:
        taken, made = inner.function.args

        def run(offset: Value, count: int) -> None:
            here = inner.at(taken, _scaled(inner, offset, source))
            patch = [
                [
                    source.read(
                        inner,
                        inner.at(here, i * row_bytes + j * pixel_bytes),
                        count,
                    )
                    for j in range(PATCH)
                ]
                for i in range(PATCH)
            ]
            columns = [_forward(inner, [patch[i][j] for i in range(PATCH)]) for j in range(PATCH)]
            for i in range(PATCH):
                values = _forward(inner, [columns[j][i] for j in range(PATCH)])
                for j, value in enumerate(values):
                    where = inner.at(inner.at(made, offset), (i * PATCH + j) * pitch)
                    inner.store(value, where, 4)

        _vectors(inner, source.channels, run)
        inner.return_()

    function = c.helper(key, [PTR] * 2, write)
    with e.loop(first, last) as turn:
        y, x = e.b.sdiv(turn.index, e.i64(op.across)), e.b.srem(turn.index, e.i64(op.across))
        offset = e.add(e.mul(y, op.out * row_bytes), e.mul(x, op.out * pixel_bytes))
        tile = e.b.sub(turn.index, first)
        e.b.call(function, [e.at(start, offset), e.at(place, e.mul(tile, source.channels * 4))])


def _emit_products(
    op: Winograd,
    c: Context,
    ends: tuple[Value, Value],
    rows: Rows,
    columns: Columns,
    sides: tuple[Value, int, Value, int],
    packed: Value,
    zeros: Value,
) -> None:
    """Multiply matrices ``ends``; ``sides`` are patches, their pitch, sums, their pitch."""
    e, product = c.e, FloatProduct()
    depth, width = op.source.channels, op.result.channels
    taken, taken_pitch, made, made_pitch = sides
    summed = Tensor.new(1, rows.count * rows.tall, width)
    stored = columns.full * columns.block + sum(columns.widths(columns.rest))

    def call(height: int, x: Value, w: Value, y: Value, wide: int) -> None:
        tile = Tile(
            product=product,
            height=height,
            width=wide,
            lengths=columns.widths(wide),
            row=depth * 4,
            runs=(1, 1, depth),
            run_strides=(0, 0),
            result=summed,
            residual=None,
            activation=None,
        )
        function = c.helper(tile.key(), [PTR] * 5, tile.write)
        e.b.call(function, [x, w, y, y, zeros])

    def all_rows(x: Value, w: Value, y: Value, wide: int) -> None:
        row = 0
        for height, many in ((rows.tall, rows.talls), (rows.tall - 1, rows.count - rows.talls)):
            if many and height:
                with e.loop(0, many) as turn:
                    here = e.add(e.mul(turn.index, height), row)
                    source = e.at(x, e.mul(here, depth * 4))
                    call(height, source, w, e.at(y, e.mul(here, width * 4)), wide)
            row += height * many

    with e.loop(*ends) as point:
        x = e.at(taken, e.mul(point.index, taken_pitch))
        y = e.at(made, e.mul(point.index, made_pitch))
        w = e.at(packed, e.mul(point.index, stored * depth * 4))
        with e.loop(0, columns.full) as block:
            column = e.mul(block.index, columns.block * 4)
            all_rows(x, e.at(w, e.mul(column, depth)), e.at(y, column), columns.block)
        if columns.rest:
            column = columns.full * columns.block * 4
            all_rows(x, e.at(w, column * depth), e.at(y, column), columns.rest)


def _emit_gather(
    op: Winograd, c: Context, first: Value, last: Value, place: Value, pitch: int, bias: Value
) -> None:
    """Transform sums of tiles ``first`` to ``last`` back; ``place`` is the first tile's."""
    e, result, residual = c.e, op.result, op.residual
    arena = c.address(ARENA)
    target = e.at(arena, result.start())
    other = target if residual is None else e.at(arena, residual.start())
    other_row = 0 if residual is None else residual.row_bytes
    other_pixel = 0 if residual is None else residual.pixel_bytes
    with e.loop(first, last) as turn:
        y, x = e.b.sdiv(turn.index, e.i64(op.across)), e.b.srem(turn.index, e.i64(op.across))
        top, left = e.mul(y, op.out), e.mul(x, op.out)
        with e.when(e.b.icmp_signed("==", x, e.i64(0))):
            bottom = e.least(e.add(top, op.out), result.height)
            with e.loop(top, bottom) as line:
                clear_halo(e, result, arena, line.index)
        offset = e.mul(e.b.sub(turn.index, first), result.channels * 4)
        arguments = [
            e.at(place, offset),
            bias,
            e.at(target, _place(e, top, left, result.row_bytes, result.pixel_bytes)),
            e.at(other, _place(e, top, left, other_row, other_pixel)),
        ]
        for condition, height, width in _cases(op, e, y, x):
            with e.when(condition):
                key = _gather_key(op, pitch, height, width)
                write = _Gathering(op, pitch, height, width).write
                e.b.call(c.helper(key, [PTR] * 4, write), arguments)


def _place(e: Emitter, y: Value, x: Value, row_bytes: int, pixel_bytes: int) -> Value:
    return e.add(e.mul(y, row_bytes), e.mul(x, pixel_bytes))


def _cases(op: Winograd, e: Emitter, y: Value, x: Value) -> Iterator[tuple[Value, int, int]]:
    """(condition, height, width) of whole tiles and of those cut by the picture's edge."""
    down = -(-op.result.height // op.out)
    heights = {op.out, op.result.height - (down - 1) * op.out}
    widths = {op.out, op.result.width - (op.across - 1) * op.out}
    last_row = e.b.icmp_signed("==", y, e.i64(down - 1))
    last_column = e.b.icmp_signed("==", x, e.i64(op.across - 1))

    def holds(size: int, sizes: set[int], last: Value) -> Value:
        if len(sizes) == 1:
            return e.b.icmp_signed("==", e.i64(0), e.i64(0))
        return e.b.not_(last) if size == op.out else last

    for height in sorted(heights, reverse=True):
        for width in sorted(widths, reverse=True):
            here = e.b.and_(holds(height, heights, last_row), holds(width, widths, last_column))
            yield here, height, width


def _gather_key(op: Winograd, pitch: int, height: int, width: int) -> object:
    def stored(tensor: Tensor | None) -> object:
        if tensor is None:
            return None
        rows = (tensor.row_bytes, tensor.pixel_bytes)
        return (*rows, tensor.dtype, tensor.channels, tensor.scale, tensor.zero_point)

    ends = (stored(op.result), stored(op.residual), activation_key(op.activation))
    return ("gather", op.out, pitch, height, width, ends)


@dataclass(frozen=True)
class _Gathering:
    """The function that makes one tile's pixels: (sums, bias, target, other)."""

    op: Winograd
    pitch: int
    height: int
    width: int

    def write(self, e: Emitter) -> None:
        """Write it."""
        sums, bias, target, other = e.function.args

        def run(offset: Value, count: int) -> None:
            start = e.at(sums, offset)
            kind = vector(F32, count)
            rows = []
            for i in range(PATCH):
                points = [
                    e.load(e.at(start, (i * PATCH + j) * self.pitch), kind, 4) for j in range(PATCH)
                ]
                rows.append(_backward(e, points, self.op.out))
            added = e.load(e.at(bias, offset), kind, 4)
            for x in range(self.width):
                column = _backward(e, [rows[i][x] for i in range(PATCH)], self.op.out)
                for y in range(self.height):
                    value = e.b.fadd(column[y], added)
                    self._finish(e, value, (y, x), offset, (target, other))

        _vectors(e, self.op.result.channels, run)
        e.return_()

    def _finish(
        self,
        e: Emitter,
        value: Value,
        at: tuple[int, int],
        offset: Value,
        ends: tuple[Value, Value],
    ) -> None:
        """Add, activate and store the channels of one pixel."""
        result, residual, count = self.op.result, self.op.residual, value.type.count
        y, x = at

        def place(base: Value, tensor: Tensor) -> Value:
            channel = e.at(base, _scaled(e, offset, tensor))
            return e.at(channel, y * tensor.row_bytes + x * tensor.pixel_bytes)

        if residual is not None:
            value = e.b.fadd(value, residual.read(e, place(ends[1], residual), count))
        value = activate(e, e.widened(value, e.lanes), self.op.activation)
        result.write(e, value, place(ends[0], result), count)


def _forward(e: Emitter, v: Sequence[Value]) -> list[Value]:
    """Six input values of a line, transformed."""
    a, b, c, d, f, g = v
    count = a.type.count

    def times(k: float) -> Value:
        return e.splat(k, count)

    even, odd = e.fma(c, times(-4.0), f), e.fma(b, times(-4.0), d)
    outer, inner = e.b.fsub(f, c), e.b.fsub(d, b)
    return [
        e.fma(a, times(4.0), e.fma(c, times(-5.0), f)),
        e.b.fadd(even, odd),
        e.b.fsub(even, odd),
        e.fma(inner, times(2.0), outer),
        e.fma(inner, times(-2.0), outer),
        e.fma(b, times(4.0), e.fma(d, times(-5.0), g)),
    ]


def _backward(e: Emitter, m: Sequence[Value], out: int) -> list[Value]:
    """Six sums of a line, transformed to two or four pixels."""
    count = m[0].type.count
    a, b = e.b.fadd(m[1], m[2]), e.b.fsub(m[1], m[2])
    c, d = e.b.fadd(m[3], m[4]), e.b.fsub(m[3], m[4])
    first, second = e.b.fadd(e.b.fadd(m[0], a), c), e.fma(d, e.splat(2.0, count), b)
    if out == 2:
        return [first, e.b.fadd(second, m[5])]
    return [
        first,
        second,
        e.fma(c, e.splat(4.0, count), a),
        e.b.fadd(e.fma(d, e.splat(8.0, count), b), m[5]),
    ]
