"""The tiled product as WGSL: how operands are fetched, multiplied, added up and stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from twinlens.engine.targets.gpu.kernels.activate import activate
from twinlens.engine.targets.gpu.kernels.base import Bindings, Target, entry
from twinlens.engine.targets.gpu.kernels.tiles import Tile

if TYPE_CHECKING:
    from twinlens.engine.targets.gpu.kernels.product import Front, Product

_LANES = "xyzw"


class _Writer:
    """What both ways of writing the product have in common."""

    def __init__(self, op: Product, target: Target, tile: Tile) -> None:
        self.op, self.tile, self.real = op, tile, target.dtype
        kinds = (f"vec4<{target.dtype}>", "vec4<f32>")
        self.names = Bindings(op, kinds if op.front is None else kinds * 2)
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
        walk: Product | Front = op.front or op
        for axis, (letter, place) in enumerate(
            (("y", f"{name}p / {op.result.width}u"), ("x", f"{name}p % {op.result.width}u"))
        ):
            yield f"let {name}{letter} = i32({place}) * {walk.stride[axis]} - {walk.pads[axis]};"

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
        if op.front is not None:
            conditions += [also] if also else []
            yield from self.filtered(value, name, op.front, conditions)
            return
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

    def filtered(
        self, value: str, name: str, front: Front, conditions: Sequence[str]
    ) -> Iterator[str]:
        """Statements that compute four channels of a depthwise convolution at a row's pixel."""
        source, (rows, columns, _) = self.op.source, front.weight.shape
        yield f"{value} = vec4<{self.real}>();"
        yield f"if ({' && '.join(conditions) or 'true'}) {{ var v = w3[kc];"
        for ky in range(rows):
            yield f"{{ let sy = {name}y + {ky * front.dilation[0]};"
            yield f"if (u32(sy) < {source.height}u) {{"
            yield f"let line = {name}b + u32(sy) * {source.width}u;"
            for kx in range(columns):
                yield f"{{ let sx = {name}x + {kx * front.dilation[1]};"
                read = self.names.load(source, "line + u32(sx)", "kc")
                weight = f"vec4<f32>(w2[{(ky * columns + kx) * source.quads}u + kc])"
                yield f"if (u32(sx) < {source.width}u) {{ v += {read} * {weight}; }} }}"
            yield "} }"
        yield activate("v", front.activation)
        yield f"{value} = vec4<{self.real}>(v); }}"

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


class Registers(_Writer):
    """Each thread reads its operands itself: no workgroup memory, no barriers."""

    def text(self) -> str:
        """The whole shader."""
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


class Shared(_Writer):
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
        """The whole shader."""
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
