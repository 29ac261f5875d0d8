"""Functions of the samples at one place, copies included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twinlens.engine.layers.base import Array
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import (
    THREADS,
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    in_quads,
    index_of,
    mask_tail,
    spread,
)

Operand = Tensor | Array
#: Gets the names of the operands, all ``vec4<f32>``; gives statements that set ``v``.
Join = Callable[[Sequence[str]], str]


@dataclass(eq=False)
class Elementwise(Op):
    """Each sample of the result is a function of the operands' samples.

    Attributes:
        operands: pictures of the result's size, pictures of one pixel, or one value per channel.
        result: what is written.
        join: writes the function.
        title: for the summary.
    """

    operands: tuple[Operand, ...]
    result: Tensor
    join: Join
    title: str
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The operands that are tensors."""
        return tuple(x for x in self.operands if isinstance(x, Tensor))

    def constants(self, target: Target) -> Sequence[Array]:
        """The operands that are values per channel, as float32."""
        del target
        return [in_quads(x) for x in self.operands if not isinstance(x, Tensor)]

    def grid(self, target: Target) -> Grid:
        """A thread per pixel and group of four channels."""
        del target
        return spread(self.result.pixels * self.result.quads)

    def describe(self, target: Target) -> str:
        """The function."""
        del target
        return f"elementwise {self.title}"

    def shader(self, target: Target) -> str:
        """One thread per pixel and group of four channels."""
        constants = [x for x in self.operands if not isinstance(x, Tensor)]
        names = Bindings(self, ["vec4<f32>"] * len(constants))
        result = self.result
        lines = [
            f"let index = {index_of(self.grid(target))};",
            f"if (index >= {result.pixels * result.quads}u) {{ return; }}",
            f"let q = index % {result.quads}u;",
            f"let pixel = index / {result.quads}u;",
        ]
        place = 0
        for number, x in enumerate(self.operands):
            if not isinstance(x, Tensor):
                value = f"w{place}[q]"
                place += 1
            elif x.pixels == result.pixels:
                value = names.load(x, "pixel", "q")
            else:
                value = names.load(x, f"pixel / {result.height * result.width}u", "q")
            lines.append(f"let o{number} = {value};")
        lines.append("var v: vec4<f32>;")
        lines.append(self.join([f"o{n}" for n in range(len(self.operands))]))
        # What fills up may be 0 / 0 here, and would spoil the sums of whoever reads it.
        lines.append(mask_tail(result.channels, "q", "v"))
        lines.append(names.store(result, "pixel", "q", "v"))
        return f"{names.declarations()}\n{entry(THREADS, chr(10).join(lines))}"


def copied(values: Sequence[str]) -> str:
    """The function that leaves samples as they are."""
    return f"v = {values[0]};"
