"""Convolutions and matrix products as one tiled product.

The result has a row for each output pixel and a column for each output channel; the sum runs over
the taps of the kernel and, within a tap, over the input channels, four at a time. A matrix product
is the convolution with one tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.kernels.activate import activate
from twinlens.engine.targets.gpu.kernels.base import (
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    in_quads,
    packed,
)
from twinlens.engine.targets.gpu.kernels.tiles import Tile, candidates
from twinlens.engine.targets.gpu.tensor import Tensor, quads

Pair = tuple[int, int]
_LANES = "xyzw"


@dataclass(eq=False)
class Product(Op):
    """A dense or grouped convolution, or a matrix product of rows.

    Attributes:
        source: what is convolved.
        result: what is written.
        weight: (outputs, kernel height, kernel width, inputs per group), float32; groups, if
            several, have a multiple of four inputs and outputs.
        bias: (outputs,), float32.
        stride, dilation: (height, width).
        pads: (top, left).
        groups: channel groups.
        activation: applied to what is stored.
        residual: added before the activation.
        tile: how the product is cut up; None takes the one that is expected to be best.
    """

    source: Tensor
    result: Tensor
    weight: Array
    bias: Array
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: Pair = (0, 0)
    groups: int = 1
    activation: Layer | None = None
    residual: Tensor | None = None
    nodes: tuple[str, ...] = ()
    tile: Tile | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source, and the residual if there is one."""
        return (self.source,) if self.residual is None else (self.source, self.residual)

    @property
    def taps(self) -> int:
        """Samples of the kernel."""
        return int(self.weight.shape[1] * self.weight.shape[2])

    @property
    def source_quads(self) -> int:
        """Groups of four input channels of one channel group."""
        return quads(self.weight.shape[3])

    @property
    def result_quads(self) -> int:
        """Groups of four output channels of one channel group."""
        return quads(self.weight.shape[0] // self.groups)

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the product of one channel group."""
        return self.result.pixels, self.result_quads * 4, self.taps * self.source_quads * 4

    @property
    def macs(self) -> int:
        """Multiply-adds that the shader does."""
        rows, columns, depth = self.size
        return rows * columns * depth * self.groups

    @property
    def plain(self) -> bool:
        """Whether result pixel ``m`` reads source pixel ``m`` and no other."""
        same = (self.source.height, self.source.width) == (self.result.height, self.result.width)
        return self.taps == 1 and self.stride == (1, 1) and self.pads == (0, 0) and same

    def candidates(self, target: Target) -> list[Tile]:
        """Tiles worth trying, the one that is expected to be best first."""
        return candidates(target, *self.size)

    def chosen(self, target: Target) -> Tile:
        """The tile in use."""
        return self.tile or self.candidates(target)[0]

    def variants(self, target: Target) -> Sequence[Op]:
        """The same product, cut up in other ways."""
        return [replace(self, tile=tile) for tile in self.candidates(target)]

    def signature(self) -> str:
        """Sizes, the way through the source, and what is done at the end."""
        source, result = self.source, self.result
        sizes = (source.height, source.width, source.channels, result.height, result.width)
        place = (self.stride, self.dilation, self.pads, self.groups)
        return repr((self.size, self.weight.shape, sizes, place, self.residual is not None))

    def turns(self, tile: Tile) -> int:
        """Fetches of ``depth`` terms that each slice does."""
        return -(-self.size[2] // (tile.depth * tile.slices))

    def constants(self, target: Target) -> Sequence[Array]:
        """Weights as [group][term][output], filled up with zeros to whole tiles; biases."""
        tile = self.chosen(target)
        outputs, rows, columns, inputs = self.weight.shape
        per_group = outputs // self.groups
        terms = self.turns(tile) * tile.slices * tile.depth
        width = -(-per_group // tile.columns) * tile.columns
        filled = np.zeros((self.groups, rows * columns, self.source_quads * 4, width), np.float32)
        weight = self.weight.reshape(self.groups, per_group, rows * columns, inputs)
        filled[:, :, :inputs, :per_group] = weight.transpose(0, 2, 3, 1)
        matrix = np.zeros((self.groups, terms, width), np.float32)
        used = rows * columns * self.source_quads * 4
        matrix[:, :used] = filled.reshape(self.groups, used, width)
        return packed(matrix, target), in_quads(self.bias)

    def grid(self, target: Target) -> Grid:
        """Tiles down the rows, along the columns, channel groups."""
        tile = self.chosen(target)
        rows, columns, _ = self.size
        return -(-rows // tile.rows), -(-columns // tile.columns), self.groups

    def describe(self, target: Target) -> str:
        """The kernel and its tile."""
        kind = "product" if self.taps == 1 else "implicit product"
        return f"{kind} {self.chosen(target).text()}"

    def shader(self, target: Target) -> str:
        """The shader of the chosen tile."""
        tile = self.chosen(target)
        return (_Shared if tile.shared else _Registers)(self, target, tile).text()


class _Writer:
    """What both ways of writing the product have in common."""

    def __init__(self, op: Product, target: Target, tile: Tile) -> None:
        self.op, self.tile, self.real = op, tile, target.dtype
        self.names = Bindings(op, (f"vec4<{target.dtype}>", "vec4<f32>"))
        self.columns = tile.thread_columns // 4
        self.width = -(-op.size[1] // tile.columns) * tile.columns // 4

    # Rows of the source

    def row(self, name: str, row: str) -> Iterator[str]:
        """Statements that say where a row's window begins."""
        op = self.op
        yield f"let {name}m = {row};"
        if op.plain:
            return
        image = op.result.height * op.result.width
        yield f"let {name}p = {name}m % {image}u;"
        yield f"let {name}b = {name}m / {image}u * {op.source.height * op.source.width}u;"
        for axis, (letter, place) in enumerate(
            (("y", f"{name}p / {op.result.width}u"), ("x", f"{name}p % {op.result.width}u"))
        ):
            yield f"let {name}{letter} = i32({place}) * {op.stride[axis]} - {op.pads[axis]};"

    def tap(self, term: str, aligned: str | None = None) -> Iterator[str]:
        """Statements that find a term's tap (``ky``, ``kx``) and channel (``kc``).

        Args:
            term: number of the group of four terms.
            aligned: a number that is the same for all threads and has the same tap.
        """
        op = self.op
        if op.taps == 1:
            yield f"let kc = {term};"
            return
        step = op.source_quads
        yield f"let kt = ({aligned or term}) / {step}u;"
        yield f"let kc = {term} - kt * {step}u;"
        across = op.weight.shape[2]
        yield f"let ky = i32(kt / {across}u) * {op.dilation[0]};"
        yield f"let kx = i32(kt % {across}u) * {op.dilation[1]};"

    def fetch(self, value: str, name: str, also: str = "") -> Iterator[str]:
        """Statements that read four terms of a row into ``value``, zeros where there are none."""
        op = self.op
        group = f" + group.z * {op.source_quads}u" if op.groups > 1 else ""
        conditions = []
        if op.size[0] % self.tile.rows:
            conditions.append(f"{name}m < {op.size[0]}u")
        if op.size[2] % (self.tile.depth * self.tile.slices):
            inside = f"kt < {op.taps}u" if op.taps > 1 else f"kc < {op.source_quads}u"
            conditions.append(inside)
        if op.plain:
            pixel = f"{name}m"
        else:
            yield f"let {value}y = {name}y{' + ky' if op.taps > 1 else ''};"
            yield f"let {value}x = {name}x{' + kx' if op.taps > 1 else ''};"
            conditions += [
                f"u32({value}y) < {op.source.height}u",
                f"u32({value}x) < {op.source.width}u",
            ]
            pixel = f"{name}b + u32({value}y) * {op.source.width}u + u32({value}x)"
        if also:
            conditions.append(also)
        place = self.names.at(op.source, pixel, f"kc{group}")
        stored = place if op.source.dtype == self.real else f"vec4<{self.real}>({place})"
        if not conditions:
            yield f"{value} = {stored};"
            return
        yield f"{value} = vec4<{self.real}>();"
        yield f"if ({' && '.join(conditions)}) {{ {value} = {stored}; }}"

    # Sums

    def sums(self, prefix: str, real: str) -> Iterator[str]:
        """Declarations of a thread's block of sums."""
        for i in range(self.tile.thread_rows):
            for j in range(self.columns):
                yield f"var {prefix}{i}_{j} = vec4<{real}>();"

    def multiply(self, prefix: str) -> Iterator[str]:
        """Add products of four terms ``a…`` of each row and four rows ``v…`` of weights."""
        for q, lane in enumerate(_LANES):
            for i in range(self.tile.thread_rows):
                for j in range(self.columns):
                    yield f"{prefix}{i}_{j} += a{i}.{lane} * v{q}_{j};"

    def widen(self) -> Iterator[str]:
        """Add short sums in f16 to the long ones in f32."""
        for i in range(self.tile.thread_rows):
            for j in range(self.columns):
                yield f"s{i}_{j} += vec4<f32>(h{i}_{j});"

    def finish(self) -> Iterator[str]:
        """Bias, residual, activation and the stores."""
        op, tile = self.op, self.tile
        down, across = tile.lanes
        group = f" + group.z * {op.result_quads}u" if op.groups > 1 else ""
        for j in range(self.columns):
            yield f"let n{j} = group.y * {tile.columns // 4}u + column + {j * across}u;"
        for j in range(self.columns):
            yield f"if (n{j} < {op.result_quads}u) {{ let q = n{j}{group}; let bias = w1[q];"
            for i in range(tile.thread_rows):
                yield f"let m{i} = group.x * {tile.rows}u + row + {i * down}u;"
                yield f"if (m{i} < {op.size[0]}u) {{"
                yield f"var v = s{i}_{j} + bias;"
                if op.residual is not None:
                    yield f"v += {self.names.load(op.residual, f'm{i}', 'q')};"
                yield activate("v", op.activation)
                yield f"{self.names.store(op.result, f'm{i}', 'q', 'v')} }}"
            yield "}"

    def module(self, memory: Sequence[str], body: Iterator[str]) -> str:
        """The whole shader."""
        lines = [self.names.declarations(), *memory]
        return "\n".join(lines) + "\n" + entry(self.tile.threads, "\n".join(body))


class _Registers(_Writer):
    """Each thread reads its operands itself: no workgroup memory, no barriers."""

    def text(self) -> str:
        return self.module((), self._body())

    def _body(self) -> Iterator[str]:
        op, tile = self.op, self.tile
        down, across = tile.lanes
        yield f"let column = thread % {across}u;"
        yield f"let row = thread / {across}u;"
        for i in range(tile.thread_rows):
            yield from self.row(f"r{i}", f"group.x * {tile.rows}u + row + {i * down}u")
        yield from self.sums("s", "f32")
        terms = op.taps * op.source_quads
        half = self.real == "f16"
        yield f"for (var k = 0u; k < {terms}u; k++) {{"
        yield from self.tap("k")
        for i in range(tile.thread_rows):
            yield f"var a{i}: vec4<{self.real}>;"
            yield from self.fetch(f"a{i}", f"r{i}")
        group = f" + group.z * {self.op.turns(tile) * tile.depth}u" if op.groups > 1 else ""
        yield f"let wk = (k * 4u{group}) * {self.width}u + group.y * {tile.columns // 4}u + column;"
        for q in range(4):
            for j in range(self.columns):
                yield f"let v{q}_{j} = w0[wk + {q * self.width + j * across}u];"
        if half:
            yield from self.sums("h", "f16")
        yield from self.multiply("h" if half else "s")
        if half:
            yield from self.widen()
        yield "}"
        yield from self.finish()


class _Shared(_Writer):
    """A workgroup fetches tiles of both operands into its memory, and threads share them.

    The next tile is fetched into registers while the current one is used, so that memory and
    arithmetic overlap also where few workgroups run.
    """

    def __init__(self, op: Product, target: Target, tile: Tile) -> None:
        super().__init__(op, target, tile)
        self.deep = tile.depth // 4
        self.wide = tile.columns // 4
        count = tile.slice_threads
        self.row_loads = -(-tile.rows * self.deep // count)
        self.column_loads = -(-tile.depth * self.wide // count)

    def text(self) -> str:
        tile, kind = self.tile, f"vec4<{self.real}>"
        memory = [
            f"var<workgroup> ta: array<{kind}, {tile.slices * tile.rows * self.deep}>;",
            f"var<workgroup> tb: array<{kind}, {tile.slices * tile.depth * self.wide}>;",
        ]
        if tile.slices > 1:
            count = (tile.slices - 1) * tile.rows * self.wide
            memory.append(f"var<workgroup> ts: array<vec4<f32>, {count}>;")
        return self.module(memory, self._body())

    def _body(self) -> Iterator[str]:
        op, tile = self.op, self.tile
        count, across = tile.slice_threads, tile.lanes[1]
        yield f"let slice = thread / {count}u;" if tile.slices > 1 else "let slice = 0u;"
        yield f"let t = thread % {count}u;" if tile.slices > 1 else "let t = thread;"
        yield f"let column = t % {across}u;"
        yield f"let row = t / {across}u;"
        yield f"let fk = t % {self.deep}u;"
        yield f"let fr = t / {self.deep}u;"
        for i in range(self.row_loads):
            step = i * (count // self.deep)
            yield from self.row(f"r{i}", f"group.x * {tile.rows}u + fr + {step}u")
            yield f"var f{i} = vec4<{self.real}>();"
        for i in range(self.column_loads):
            yield f"var g{i} = vec4<{self.real}>();"
        yield from self.sums("s", "f32")
        turns = op.turns(tile)
        yield f"var turn = slice * {turns}u;"
        yield f"let last = turn + {turns}u;"
        yield "{"
        yield from self._fetch()
        yield "}"
        yield f"for (var i = 0u; i < {turns}u; i++) {{"
        yield "workgroupBarrier();"
        yield from self._keep()
        yield "workgroupBarrier();"
        yield "turn++;"
        yield "if (turn < last) {"
        yield from self._fetch()
        yield "}"
        yield from self._use()
        yield "}"
        yield from self._join()
        if tile.slices > 1:
            yield "if (slice == 0u) {"
        yield from self.finish()
        if tile.slices > 1:
            yield "}"

    def _fetch(self) -> Iterator[str]:
        """Read the next tiles into registers."""
        op, tile, count = self.op, self.tile, self.tile.slice_threads
        aligned = f"turn * {self.deep}u" if op.source_quads % self.deep == 0 else None
        yield from self.tap(f"(turn * {self.deep}u + fk)", aligned)
        for i in range(self.row_loads):
            step = i * (count // self.deep)
            over = (i + 1) * count > tile.rows * self.deep
            yield from self.fetch(f"f{i}", f"r{i}", f"fr + {step}u < {tile.rows}u" if over else "")
        terms = op.turns(tile) * tile.slices * tile.depth
        group = f" + group.z * {terms}u" if op.groups > 1 else ""
        for i in range(self.column_loads):
            place = f"t + {i * count}u"
            over = (i + 1) * count > tile.depth * self.wide
            term = f"(turn * {tile.depth}u + ({place}) / {self.wide}u{group}) * {self.width}u"
            column = f"group.y * {self.wide}u + ({place}) % {self.wide}u"
            read = f"g{i} = w0[{term} + {column}];"
            yield f"if ({place} < {tile.depth * self.wide}u) {{ {read} }}" if over else read

    def _keep(self) -> Iterator[str]:
        """Put what was fetched into workgroup memory."""
        tile, count = self.tile, self.tile.slice_threads
        for i in range(self.row_loads):
            size = tile.rows * self.deep
            over = (i + 1) * count > size
            write = f"ta[slice * {size}u + t + {i * count}u] = f{i};"
            yield f"if (t + {i * count}u < {size}u) {{ {write} }}" if over else write
        for i in range(self.column_loads):
            size = tile.depth * self.wide
            over = (i + 1) * count > size
            write = f"tb[slice * {size}u + t + {i * count}u] = g{i};"
            yield f"if (t + {i * count}u < {size}u) {{ {write} }}" if over else write

    def _use(self) -> Iterator[str]:
        """Multiply the tiles in workgroup memory."""
        tile = self.tile
        down, across = tile.lanes
        half = self.real == "f16"
        if half:
            yield from self.sums("h", "f16")
        yield f"let pa = slice * {tile.rows * self.deep}u + row * {self.deep}u;"
        yield f"let pb = slice * {tile.depth * self.wide}u + column;"
        for k in range(self.deep):
            yield "{"
            for i in range(tile.thread_rows):
                yield f"let a{i} = ta[pa + {i * down * self.deep + k}u];"
            for q in range(4):
                for j in range(self.columns):
                    yield f"let v{q}_{j} = tb[pb + {(k * 4 + q) * self.wide + j * across}u];"
            yield from self.multiply("h" if half else "s")
            yield "}"
        if half:
            yield from self.widen()

    def _join(self) -> Iterator[str]:
        """Add the slices' sums."""
        tile, count = self.tile, self.tile.slice_threads
        if tile.slices == 1:
            return
        block = tile.thread_rows * self.columns
        names = [f"s{i}_{j}" for i in range(tile.thread_rows) for j in range(self.columns)]
        yield "if (slice > 0u) {"
        for place, name in enumerate(names):
            yield f"ts[((slice - 1u) * {block}u + {place}u) * {count}u + t] = {name};"
        yield "}"
        yield "workgroupBarrier();"
        yield "if (slice == 0u) {"
        for other in range(tile.slices - 1):
            for place, name in enumerate(names):
                yield f"{name} += ts[{(other * block + place) * count}u + t];"
        yield "}"
