"""Softmax over the channels of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import MAX_GRID, Bindings, Grid, Op, Target, entry

_THREADS = 64
_SUBGROUP = (
    "@builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_id) subgroup: u32, "
    "@builtin(num_subgroups) subgroups: u32"
)
#: Writes how all threads get what ``"max"`` or ``"add"`` makes of a variable.
Join = Callable[[str, str], Iterator[str]]
_LOWEST = "vec4<f32>(-3.4028234e38)"


@dataclass(eq=False)
class Softmax(Op):
    """``exp(x) / sum(exp(x))`` over the channels, or its logarithm.

    Attributes:
        source, result: of one size.
        logarithm: whether the logarithm is wanted.
    """

    source: Tensor
    result: Tensor
    logarithm: bool = False
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source."""
        return (self.source,)

    def grid(self, target: Target) -> Grid:
        """A workgroup per pixel."""
        del target
        pixels = self.result.pixels
        rows = -(-pixels // MAX_GRID)
        return -(-pixels // rows), rows, 1

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return "softmax"

    def shader(self, target: Target) -> str:
        """Largest value, sum of exponentials, quotients; each by all threads of a workgroup."""
        names = Bindings(self)
        memory = f"var<workgroup> found: array<f32, {_THREADS}>;\n"
        join = _join_subgroups if target.subgroups else _join
        body = "\n".join(self._body(names, self.grid(target), join))
        text = entry(_THREADS, body, names=_SUBGROUP if target.subgroups else "")
        return f"{names.declarations()}\n{memory}{text}"

    def _body(self, names: Bindings, grid: Grid, join: Join) -> Iterator[str]:
        used = self.source.channels % 4
        quads = self.source.quads
        yield f"let pixel = group.y * {grid[0]}u + group.x;"
        # Lanes that only fill up count as the lowest value.
        lanes = ", ".join("true" if not used or lane < used else "false" for lane in range(4))
        read = names.load(self.source, "pixel", "q")
        turn = f"for (var q = thread; q < {quads}u; q += {_THREADS}u) {{"
        value = (
            f"let a = select({_LOWEST}, {read}, "
            f"select(vec4<bool>(true), vec4<bool>({lanes}), q == {quads - 1}u));"
        )
        yield "var top = -3.4028234e38;"
        yield turn + value
        yield "top = max(top, max(max(a.x, a.y), max(a.z, a.w))); }"
        yield from join("top", "max")
        yield "var sum = 0.0;"
        yield turn + value
        yield "let e = exp(max(a - vec4<f32>(top), vec4<f32>(-100.0)));"
        yield (
            "let kept = select(vec4<f32>(), e, a > vec4<f32>(-3.4e38)); "
            "sum += kept.x + kept.y + kept.z + kept.w; }"
        )
        yield from join("sum", "add")
        yield turn + value
        if self.logarithm:
            yield "let v = a - vec4<f32>(top + log(sum));"
        else:
            yield "let v = exp(max(a - vec4<f32>(top), vec4<f32>(-100.0))) / sum;"
        guard = f"if (pixel < {self.result.pixels}u) "
        yield f"{guard}{{ {names.store(self.result, 'pixel', 'q', 'v')} }} }}"


def _join(name: str, how: str) -> Iterator[str]:
    """All threads get the largest or the sum of a variable."""
    yield "workgroupBarrier();"
    yield f"found[thread] = {name};"
    half = _THREADS // 2
    while half:
        yield "workgroupBarrier();"
        other = f"found[thread + {half}u]"
        joined = f"max({name}, {other})" if how == "max" else f"{name} + {other}"
        yield f"if (thread < {half}u) {{ {name} = {joined}; found[thread] = {name}; }}"
        half //= 2
    yield "workgroupBarrier();"
    yield f"{name} = found[0];"


def _join_subgroups(name: str, how: str) -> Iterator[str]:
    """The same, with two barriers: subgroups join among themselves first."""
    yield f"{name} = {'subgroupMax' if how == 'max' else 'subgroupAdd'}({name});"
    yield "workgroupBarrier();"
    yield f"if (lane == 0u) {{ found[subgroup] = {name}; }}"
    yield "workgroupBarrier();"
    yield f"{name} = found[0];"
    other = "found[i]"
    joined = f"max({name}, {other})" if how == "max" else f"{name} + {other}"
    yield f"for (var i = 1u; i < subgroups; i++) {{ {name} = {joined}; }}"
