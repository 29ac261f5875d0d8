"""The code of Winograd's algorithm: patches to 36 matrices, their products, and sums to pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinlens.engine.targets.cpu.codegen.emit import F32, PTR, Emitter, Value, vector
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.activate import activate
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, activation_key
from twinlens.engine.targets.cpu.kernels.product import FloatProduct
from twinlens.engine.targets.cpu.kernels.register_tile import Tile
from twinlens.engine.targets.cpu.kernels.tiles import Columns, Rows

if TYPE_CHECKING:
    from twinlens.engine.targets.cpu.kernels.winograd import Winograd

#: Input pixels along a patch's side, and matrices.
PATCH = 6
POINTS = PATCH * PATCH


def pitch(tiles: int, channels: int) -> int:
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


def emit_spread(
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


def emit_products(
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


def emit_gather(
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
