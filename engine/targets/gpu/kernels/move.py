"""Samples that change their place: the picture at the door, and channels that do not fit four."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import (
    THREADS,
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    index_of,
    spread,
)


@dataclass(eq=False)
class Input(Op):
    """The float32 array that the program is given, as pictures in NHWC.

    The array is bound as a constant (the last binding); its memory is the program's.

    Attributes:
        result: what is written.
        planar: whether the array is NCHW; otherwise NHWC.
    """

    result: Tensor
    planar: bool = True
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """None: what is read is no tensor."""
        return ()

    def grid(self, target: Target) -> Grid:
        """A thread per pixel and group of four channels."""
        del target
        return spread(self.result.pixels * self.result.quads)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return "input"

    def shader(self, target: Target) -> str:
        """One thread per pixel and group of four channels."""
        names = Bindings(self, ("f32",))
        result = self.result
        image, channels = result.height * result.width, result.channels
        lines = [
            f"let index = {index_of(self.grid(target))};",
            f"if (index >= {result.pixels * result.quads}u) {{ return; }}",
            # Neighbouring threads read neighbouring samples of a plane.
            f"let pixel = index % {result.pixels}u;"
            if self.planar
            else f"let pixel = index / {result.quads}u;",
            f"let q = index / {result.pixels}u;"
            if self.planar
            else f"let q = index % {result.quads}u;",
            "var v = vec4<f32>();",
        ]
        for lane in range(4):
            channel = f"(q * 4u + {lane}u)"
            if self.planar:
                place = (
                    f"(pixel / {image}u * {channels}u + {channel}) * {image}u + pixel % {image}u"
                )
            else:
                place = f"pixel * {channels}u + {channel}"
            read = f"v[{lane}] = w0[{place}];"
            lines.append(f"if ({channel} < {channels}u) {{ {read} }}")
        lines.append(names.store(result, "pixel", "q", "v"))
        return f"{names.declarations()}\n{entry(THREADS, chr(10).join(lines))}"


@dataclass(eq=False)
class Join(Op):
    """Concatenation of channels whose counts are no multiples of four.

    Attributes:
        parts: pictures of one size.
        result: their channels, one after the other.
    """

    parts: tuple[Tensor, ...]
    result: Tensor
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The parts."""
        return self.parts

    def grid(self, target: Target) -> Grid:
        """A thread per pixel and group of four channels."""
        del target
        return spread(self.result.pixels * self.result.quads)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return "joined"

    def shader(self, target: Target) -> str:
        """One thread per pixel and group of four channels."""
        names = Bindings(self)
        result = self.result
        lines = [
            f"let index = {index_of(self.grid(target))};",
            f"if (index >= {result.pixels * result.quads}u) {{ return; }}",
            f"let q = index % {result.quads}u;",
            f"let pixel = index / {result.quads}u;",
            "var v = vec4<f32>();",
            "for (var lane = 0u; lane < 4u; lane++) {",
            "let c = q * 4u + lane;",
        ]
        first = 0
        for part in self.parts:
            end = first + part.channels
            read = names.load(part, "pixel", f"(c - {first}u) / 4u")
            lines.append(
                f"if (c >= {first}u && c < {end}u) {{ let a = {read}; "
                f"v[lane] = a[(c - {first}u) % 4u]; }}"
            )
            first = end
        lines += ["}", names.store(result, "pixel", "q", "v")]
        return f"{names.declarations()}\n{entry(THREADS, chr(10).join(lines))}"
