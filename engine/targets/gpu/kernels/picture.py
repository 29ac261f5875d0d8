"""A picture's bytes made the network's input: crop, scale, colours and values in one dispatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twinlens.engine.image import PixelFormat
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

#: Names of the numbers that describe a geometry, in the order in which they are given.
NUMBERS = (
    "stride",  # bytes of a row of the first plane
    "chroma",  # where the second plane begins, in bytes
    "third",  # where the third does
    "chroma_stride",  # bytes of a row of the further planes
    "shift_x",  # columns and rows before the part that counts
    "shift_y",
    "left",  # where the picture lies in the input
    "top",
    "width",
    "height",
    "taps_x",  # weights of each column and row
    "taps_y",
    "orientation",
    "padding",
)

# Bytes of a pixel, and which of them are red, green and blue.
_PACKED = {
    PixelFormat.BGR8: (3, (2, 1, 0)),
    PixelFormat.RGB8: (3, (0, 1, 2)),
    PixelFormat.BGRA8: (4, (2, 1, 0)),
    PixelFormat.RGBA8: (4, (0, 1, 2)),
    PixelFormat.GRAY8: (1, (0, 0, 0)),
}
# BT.601 limited range in 20 bits, with the coefficients that OpenCV uses.
_YUV = """
fn rgb(luma: u32, u: u32, v: u32) -> vec3<f32> {
    let y = max(0, i32(luma) - 16) * 1220542 + 524288;
    let cu = i32(u) - 128;
    let cv = i32(v) - 128;
    let red = (y + 1673527 * cv) >> 20u;
    let green = (y - 852492 * cv - 409993 * cu) >> 20u;
    let blue = (y + 2116026 * cu) >> 20u;
    return clamp(vec3<f32>(vec3<i32>(red, green, blue)), vec3<f32>(), vec3<f32>(255.0));
}
"""


@dataclass(eq=False)
class Picture(Op):
    """Crop, resize, turn upright, colours, values.

    Attributes:
        result: the network's input.
        format: of the picture.
        color: ``"RGB"``, ``"BGR"`` or ``"GRAY"``.
    """

    result: Tensor
    format: PixelFormat
    color: str
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """None: what is read is no tensor."""
        return ()

    def grid(self, target: Target) -> Grid:
        """A thread per pixel."""
        del target
        return spread(self.result.height * self.result.width)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return f"picture from {self.format.value}"

    def shader(self, target: Target) -> str:
        """Bindings after the result: bytes, numbers, first sources, weights, values."""
        names = Bindings(self, ("u32", "u32", "u32", "f32", "f32"))
        fields = "\n".join(
            f"fn {name}() -> u32 {{ return w1[{place}]; }}" for place, name in enumerate(NUMBERS)
        )
        parts = [names.declarations(), fields, _BYTE, "\n".join(self._pixel())]
        body = "\n".join(self._body(names, self.grid(target)))
        return "\n".join(parts) + "\n" + entry(THREADS, body)

    def _pixel(self) -> Iterator[str]:
        """``pixel(x, y)``: red, green and blue, 0 to 255, of a stored pixel."""
        known = _PACKED.get(self.format)
        if known is None:
            yield _YUV
        yield "fn pixel(x: u32, y: u32) -> vec3<f32> {"
        if known is not None:
            size, places = known
            yield f"let start = y * stride() + x * {size}u;"
            each = ", ".join(f"f32(byte(start + {place}u))" for place in places)
            yield f"return vec3<f32>({each});"
        elif self.format.is_planar:
            yield "let luma = byte(y * stride() + x);"
            line = "(y / 2u) * chroma_stride()"
            if self.format is PixelFormat.NV12:
                yield f"let c = chroma() + {line} + x / 2u * 2u;"
                yield "return rgb(luma, byte(c), byte(c + 1u));"
            else:
                yield f"let c = {line} + x / 2u;"
                yield "return rgb(luma, byte(chroma() + c), byte(third() + c));"
        else:
            first = self.format is PixelFormat.YUYV
            luma, u, v = ("x * 2u", 1, 3) if first else ("x * 2u + 1u", 0, 2)
            yield "let start = y * stride();"
            yield "let pair = start + x / 2u * 4u;"
            yield f"return rgb(byte(start + {luma}), byte(pair + {u}u), byte(pair + {v}u));"
        yield "}"

    def _body(self, names: Bindings, grid: Grid) -> Iterator[str]:
        result = self.result
        yield f"let index = {index_of(grid)};"
        yield f"if (index >= {result.height * result.width}u) {{ return; }}"
        yield "let o = orientation();"
        # Beside the picture these wrap around to large numbers.
        yield f"var x = index % {result.width}u - left();"
        yield f"var y = index / {result.width}u - top();"
        yield "var sum = vec3<f32>(f32(padding()));"
        yield "if (x < width() && y < height()) {"
        yield "if (o == 3u || o == 4u || o == 7u || o == 8u) { y = height() - 1u - y; }"
        yield "if (o == 2u || o == 3u || o == 6u || o == 7u) { x = width() - 1u - x; }"
        yield "let turned = o >= 5u;"
        yield "let column = select(x, y, turned);"
        yield "let row = select(y, x, turned);"
        yield "let columns = select(width(), height(), turned);"
        yield "let first_x = w2[column] + shift_x();"
        yield "let first_y = w2[columns + row] + shift_y();"
        yield "let weights_y = columns * taps_x() + row * taps_y();"
        yield "sum = vec3<f32>();"
        yield "for (var j = 0u; j < taps_y(); j++) {"
        yield "var line = vec3<f32>();"
        yield "for (var i = 0u; i < taps_x(); i++) {"
        yield "line += w3[column * taps_x() + i] * pixel(first_x + i, first_y + j); }"
        yield "sum += w3[weights_y + j] * line; }"
        yield "}"
        yield "let grey = vec3<u32>(clamp(floor(sum + 0.5), vec3<f32>(), vec3<f32>(255.0)));"
        if self.color == "GRAY":
            yield "let luma = (grey.x * 4899u + grey.y * 9617u + grey.z * 1868u + 8192u) >> 14u;"
            yield "let v = vec4<f32>(w4[luma], 0.0, 0.0, 0.0);"
        else:
            channels = "xyz" if self.color == "RGB" else "zyx"
            each = ", ".join(f"w4[{256 * c}u + grey.{name}]" for c, name in enumerate(channels))
            yield f"let v = vec4<f32>({each}, 0.0);"
        yield names.store(result, "index", "0u", "v")


_BYTE = "fn byte(i: u32) -> u32 { return (w0[i >> 2u] >> ((i & 3u) * 8u)) & 255u; }"
