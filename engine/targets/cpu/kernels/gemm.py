"""Convolutions and linear layers as matrix products over the stored picture.

Rows of the product are output pixels, columns are output channels. A factor is read straight
from the padded input: a kernel row is one stretch of memory (implicit GEMM), so that nothing is
copied into columns first. A tile of sums stays in registers over the whole inner axis; bias,
residual and activation are applied before it is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.cpu.codegen.emit import PTR, Value, i64
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor, clear_halo
from twinlens.engine.targets.cpu.kernels.base import ARENA, Context, Op, float_array
from twinlens.engine.targets.cpu.kernels.product import IntegerProduct, Product, product_for
from twinlens.engine.targets.cpu.kernels.register_tile import Tile
from twinlens.engine.targets.cpu.kernels.tiles import TALLEST, Columns, Rows, choose

# Packed weights above this do not stay in a level-2 cache with the picture: then a thread
# walks the columns, and each block of weights is read once.
_LARGE_WEIGHTS = 300 * 1024


@dataclass(eq=False)
class Convolve(Op):
    """A convolution (or, on a 1 × 1 picture, a linear layer).

    Attributes:
        source, result: input and output.
        weight: (output channels, kernel height, kernel width, input channels / groups), float32.
        bias: (output channels,), float32.
        stride, dilation: (height, width).
        pads: (top, left): where the first window starts.
        groups: channel groups.
        activation: applied before storing.
        residual: added before the activation.
        precision: arithmetic that was asked for.
        weight_scale: (output channels,): what weights that were integers are multiples of.
    """

    kind: ClassVar[str] = "gemm"

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int] = (0, 0)
    groups: int = 1
    activation: Layer | None = None
    residual: Tensor | None = None
    precision: str = "fp32"
    weight_scale: Array | None = None
    nodes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture and, where there is one, what is added."""
        return (self.source,) if self.residual is None else (self.source, self.residual)

    @property
    def output(self) -> Tensor:
        """The convolved picture."""
        return self.result

    # Geometry

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width)."""
        return self.weight.shape[1], self.weight.shape[2]

    @property
    def depth(self) -> int:
        """Input channels of a group."""
        return int(self.weight.shape[3])

    @property
    def columns_per_group(self) -> int:
        """Output channels of a group."""
        return int(self.weight.shape[0]) // self.groups

    @cached_property
    def runs(self) -> tuple[int, int, int]:
        """(runs along the height, runs along the width, values of a run) of the inner axis."""
        height, width = self.kernel
        dense = self.groups == 1 and self.source.whole and self.dilation[1] == 1
        if dense or width == 1:
            return height, 1, width * self.depth
        return height, width, self.depth

    @cached_property
    def flat(self) -> bool:
        """Whether all output pixels make one run of rows."""
        sides = [self.source, self.result, *([self.residual] if self.residual else [])]
        return (
            self.kernel == (1, 1)
            and self.stride == (1, 1)
            and self.pads == (0, 0)
            and self.source.width == self.result.width
            and self.source.height == self.result.height
            and all(t.one_run and not any(t.buffer.halo) for t in sides)
        )

    def product(self, isa: Isa) -> Product:
        """The arithmetic of this layer."""
        return product_for(self.precision, self.source.dtype, self.runs[2], isa)

    def tiles(self, isa: Isa) -> tuple[Rows, Columns]:
        """How rows and columns are cut."""
        pixels = self.result.width * (self.result.height if self.flat else self.lines(isa))
        return self._cut(isa, pixels)

    def _cut(self, isa: Isa, pixels: int) -> tuple[Rows, Columns]:
        product = self.product(isa)
        narrow = product.name == "fp32"
        return choose(isa, pixels, self.columns_per_group, narrow=narrow, folds=product.folds)

    def lines(self, isa: Isa) -> int:
        """Rows of the picture that a tile spans: two or more of a small picture that fit."""
        for lines in range(min(self.result.height, TALLEST // self.result.width), 1, -1):
            if self._cut(isa, self.result.width * lines)[0].count == 1:
                return lines
        return 1

    def by_columns(self, isa: Isa) -> bool:
        """Whether units are blocks of columns."""
        _, columns = self.tiles(isa)
        size = self.weight.size * self.product(isa).item
        one_row = self.result.height * self.result.width == 1
        return columns.blocks * self.groups > 1 and (one_row or size > _LARGE_WEIGHTS)

    def units(self, isa: Isa) -> int:
        """Tiles of rows, or rows of the picture; of each block of columns, or of all at once."""
        _, columns = self.tiles(isa)
        count = self.stretches(isa)
        return count * columns.blocks * self.groups if self.by_columns(isa) else count

    def stretches(self, isa: Isa) -> int:
        """Tiles of a picture that is one run of rows, otherwise groups of its rows."""
        if self.flat:
            return self.tiles(isa)[0].count
        return -(-self.result.height // self.lines(isa))

    def work(self) -> int:
        """Multiply-adds."""
        return self.result.height * self.result.width * int(self.weight.size)

    def describe(self, isa: Isa) -> str:
        """Arithmetic and tile."""
        rows, columns = self.tiles(isa)
        name = self.product(isa).name
        added = " + add" if self.residual is not None else ""
        return f"{self.kind} {name} {rows.tall}×{columns.block}{added}"

    # Constants: 0 weights, 1 bias; int8 also 2 scales, 3 starting sums

    def constants(self, isa: Isa) -> list[Array]:
        """Packed weights; bias (and for int8 scales and starting sums) filled up per block."""
        product = self.product(isa)
        _, columns = self.tiles(isa)
        matrix, scales = self._matrix(product)
        heights, widths, run = self.runs
        per_group = self.columns_per_group
        packed, bias, scale, start = [], [], [], []
        # The input's zero point times the weights is subtracted before the sum begins.
        begin = -self.source.zero_point * matrix.astype(np.int64).sum(1) if scales.size else None
        for group in range(self.groups):
            for block in range(columns.blocks):
                first = group * per_group + block * columns.block
                last = min(first + columns.block, (group + 1) * per_group)
                width = columns.stored(block)
                packed.append(
                    product.packed(matrix[first:last], [run] * (heights * widths), width).ravel()
                )
                bias.append(_filled(self.bias[first:last], width))
                if begin is not None:
                    scale.append(_filled(scales[first:last], width))
                    start.append(_filled(begin[first:last], width).astype(np.int32))
        arrays = [np.concatenate(packed), float_array(np.concatenate(bias))]
        if begin is not None:
            arrays += [float_array(np.concatenate(scale)), np.concatenate(start)]
        return arrays

    def _matrix(self, product: Product) -> tuple[Array, Array]:
        """(columns, inner) weights and, for int8, what a step of each column's sum is worth."""
        matrix = self.weight.reshape(self.weight.shape[0], -1)
        if not isinstance(product, IntegerProduct):
            return matrix, np.empty(0, np.float32)
        largest = np.abs(matrix).max(1)
        steps = (largest / 127).astype(np.float64)
        steps = np.where(steps > 0, steps, 1.0)
        if self.weight_scale is not None:
            # Weights that were integers come back as they were, where they fit into 8 bits.
            stored = self.weight_scale.astype(np.float64)
            fits = np.isfinite(stored) & (stored > 0) & (largest <= 127.5 * stored)
            steps = np.where(fits, stored, steps)
        rounded = np.clip(np.rint(matrix / steps[:, None]), -127, 127).astype(np.int8)
        return rounded, steps * self.source.scale

    # Code

    def emit(self, c: Context) -> None:
        """Walk units, rows, tiles and blocks; the tiles are inner functions."""
        _Writer(self, c).write()


@dataclass(frozen=True)
class _Block:
    """A block of columns: where its weights are and where its results go.

    Attributes:
        group: channel group.
        number: position among the group's blocks.
        column: first column in the group.
        weights: packed weights.
        vectors: bias, and for int8 scales and starting sums.
        width: columns.
    """

    group: Value
    number: Value
    column: Value
    weights: Value
    vectors: list[Value]
    width: int


#: A tile of rows: height, and byte offsets in source, target and residual.
_TileCode = Callable[[int, Value, Value, Value], None]


class _Writer:
    """Writes the code of one convolution."""

    def __init__(self, op: Convolve, c: Context) -> None:
        self.op, self.c, self.e = op, c, c.e
        isa = c.e.isa
        self.product = op.product(isa)
        self.rows, self.columns = op.tiles(isa)
        heights, widths, run = op.runs
        self.inner = heights * widths * -(-run // self.product.step) * self.product.step
        arena = c.address(ARENA)
        self.arena = arena
        top, left = op.pads
        self.source = c.e.at(arena, op.source.start(-top, -left))
        self.target = c.e.at(arena, op.result.start())
        other = op.residual
        self.other = self.target if other is None else c.e.at(arena, other.start())
        self.other_pixel = 0 if other is None else other.pixel_bytes
        self.other_row = 0 if other is None else other.row_bytes
        self.weights = c.constant(0)
        integer = isinstance(self.product, IntegerProduct)
        self.vectors = [c.constant(i) for i in ((1, 2, 3) if integer else (1,))]

    def write(self) -> None:
        """Share the work by blocks of columns, tiles of rows, or rows of the picture."""
        e, op, c = self.e, self.op, self.c
        if op.by_columns(e.isa):
            self._units_of_columns()
        elif op.flat:
            self._tiles(c.low, c.high, self._all_blocks)
        else:
            self._groups_of_rows(c.low, c.high, e.i64(0), None, self._all_blocks)
        e.return_()

    def _units_of_columns(self) -> None:
        """A unit is a tile of rows (or a row of the picture) of a block of columns."""
        e, blocks = self.e, self.columns.blocks
        lines = i64(self.op.stretches(e.isa))
        first = e.b.sdiv(self.c.low, lines)
        last = e.b.sdiv(e.add(e.add(self.c.high, lines), -1), lines)

        def rows(block: _Block) -> None:
            start = e.b.mul(e.add(e.mul(block.group, blocks), block.number), lines)
            low = e.most(e.b.sub(self.c.low, start), 0)
            self._some_rows(block, low, e.least(e.b.sub(self.c.high, start), lines))

        if self.op.groups == 1:
            self._blocks(first, last, e.i64(0), rows)
            return
        with e.loop(first, last) as turn:
            group = e.b.sdiv(turn.index, i64(blocks))
            block = e.b.srem(turn.index, i64(blocks))
            self._blocks(block, e.add(block, 1), group, rows)

    def _some_rows(self, block: _Block, low: Value, high: Value) -> None:
        """Some tiles of rows, or rows of the picture, of a block of columns."""
        e, op = self.e, self.op

        def tile(height: int, source: Value, target: Value, other: Value) -> None:
            self._call(height, source, target, other, block)

        if op.flat:
            self._tiles(low, high, tile)
            return
        first = e.add(e.mul(block.group, op.columns_per_group), block.column)
        self._groups_of_rows(low, high, first, block.width, tile)

    def _all_blocks(self, height: int, source: Value, target: Value, other: Value) -> None:
        """All columns of a tile of rows."""
        e, op = self.e, self.op
        blocks = e.i64(self.columns.blocks)

        def tile(block: _Block) -> None:
            self._call(height, source, target, other, block)

        if op.groups == 1:
            self._blocks(e.i64(0), blocks, e.i64(0), tile)
            return
        with e.loop(0, op.groups) as group:
            self._blocks(e.i64(0), blocks, group.index, tile)

    def _tiles(self, low: Value, high: Value, run: _TileCode) -> None:
        """Tiles ``low`` to ``high`` of a picture that is one run of rows."""
        e, tiles, op = self.e, self.rows, self.op
        sizes = (op.source.pixel_bytes, op.result.pixel_bytes, self.other_pixel)

        def tile(index: Value, height: int, before: int) -> None:
            row = e.add(e.mul(e.add(index, -before), height), before * tiles.tall)
            run(height, *(e.mul(row, size) for size in sizes))

        with e.loop(low, e.least(high, tiles.talls)) as turn:
            tile(turn.index, tiles.tall, 0)
        if tiles.talls < tiles.count:
            with e.loop(e.most(low, tiles.talls), high) as turn:
                tile(turn.index, tiles.tall - 1, tiles.talls)

    def _groups_of_rows(
        self, low: Value, high: Value, first: Value, channels: int | None, run: _TileCode
    ) -> None:
        """Groups ``low`` to ``high`` of the picture's rows; clears some channels' borders."""
        e, result, lines = self.e, self.op.result, self.op.lines(self.e.isa)

        def group(y: Value, count: int) -> None:
            for line in range(count):
                clear_halo(e, result, self.arena, e.add(y, line), first, channels)
            tiles = self.rows if lines == 1 else Rows.cut(count * result.width, TALLEST)
            self._tiles_of_row(y, tiles, run)

        whole, rest = divmod(result.height, lines)
        with e.loop(low, e.least(high, whole)) as turn:
            group(e.mul(turn.index, lines), lines)
        if rest:
            with e.when(e.b.icmp_signed(">", high, i64(whole))):
                group(e.i64(whole * lines), rest)

    def _tiles_of_row(self, y: Value, tiles: Rows, run: _TileCode) -> None:
        """All tiles of a row of the picture, or the one of a few rows."""
        e, op = self.e, self.op
        starts = (
            e.mul(y, op.stride[0] * op.source.row_bytes),
            e.mul(y, op.result.row_bytes),
            e.mul(y, self.other_row),
        )
        sizes = (op.stride[1] * op.source.pixel_bytes, op.result.pixel_bytes, self.other_pixel)
        low = 0
        for height, many in (
            (tiles.tall, tiles.talls),
            (tiles.tall - 1, tiles.count - tiles.talls),
        ):
            if many and height:
                with e.loop(0, many) as turn:
                    column = e.add(e.mul(turn.index, height), low)
                    places = zip(starts, sizes, strict=True)
                    run(height, *(e.add(start, e.mul(column, size)) for start, size in places))
            low += height * many

    def _blocks(self, low: Value, high: Value, group: Value, run: Callable[[_Block], None]) -> None:
        """Blocks ``low`` to ``high`` of a group's columns."""
        e, columns = self.e, self.columns
        column_bytes = self.inner * self.product.item
        rest_width = sum(columns.widths(columns.rest)) if columns.rest else 0
        of_group = columns.full * columns.block + rest_width
        weights = e.at(self.weights, e.mul(group, of_group * column_bytes))
        vectors = [e.at(v, e.mul(group, 4 * of_group)) for v in self.vectors]

        def block(number: Value, width: int) -> None:
            column = e.mul(number, columns.block)
            packed = e.at(weights, e.mul(column, column_bytes))
            starts = [e.at(v, e.mul(column, 4)) for v in vectors]
            run(_Block(group, number, column, packed, starts, width))

        if columns.full:
            with e.loop(low, e.least(high, columns.full)) as turn:
                block(turn.index, columns.block)
        if columns.rest:
            with e.when(e.b.icmp_signed(">", high, i64(columns.full))):
                block(e.i64(columns.full), columns.rest)

    def _call(self, height: int, source: Value, target: Value, other: Value, block: _Block) -> None:
        """Call the tile's function."""
        e, op = self.e, self.op
        depth = e.mul(block.group, op.depth * op.source.item)
        out = e.add(e.mul(block.group, op.columns_per_group), block.column)
        residual = op.residual
        other_offset = e.i64(0) if residual is None else e.mul(out, residual.item)
        tile = _tile(op, self.product, height, block.width, self.columns)
        arguments = [PTR] * (4 + len(block.vectors))
        function = self.c.helper(tile.key(), arguments, tile.write)
        e.b.call(
            function,
            [
                e.at(self.source, e.add(source, depth)),
                block.weights,
                e.at(self.target, e.add(target, e.mul(out, op.result.item))),
                e.at(self.other, e.add(other, other_offset)),
                *block.vectors,
            ],
        )


def _filled(values: Array, width: int) -> Array:
    result = np.zeros(width, values.dtype)
    result[: len(values)] = values
    return result


def _tile(op: Convolve, product: Product, height: int, width: int, columns: Columns) -> Tile:
    """The tile of a convolution."""
    source = op.source
    wraps = not op.flat and height > op.result.width
    return Tile(
        product=product,
        height=height,
        width=width,
        lengths=columns.widths(width),
        row=op.stride[1] * source.pixel_bytes,
        runs=op.runs,
        run_strides=(op.dilation[0] * source.row_bytes, op.dilation[1] * source.pixel_bytes),
        result=op.result,
        residual=op.residual,
        activation=op.activation,
        line=op.result.width if wraps else 0,
        line_bytes=op.stride[0] * source.row_bytes if wraps else 0,
    )
