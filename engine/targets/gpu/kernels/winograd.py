"""3×3 convolutions by Winograd's F(m×m, 3×3): fewer products, more additions.

Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks". The picture is cut into
tiles of m + 2 samples a side that overlap by two; each is transformed, multiplied and transformed
back. The products of one place in all tiles are a matrix product of their own, so that together
they are a grouped product (``product.Product``) between the two kernels of this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.activate import activate
from twinlens.engine.targets.gpu.kernels.base import (
    THREADS,
    Bindings,
    Grid,
    Op,
    Target,
    entry,
    in_quads,
    index_of,
    number,
    spread,
)

# By outputs of a tile's side: transforms of the picture, of the weights, and back.
_PICTURE = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
_WEIGHTS = {
    2: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
}
_BACK = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
}


def transformed_weights(weight: Array, side: int) -> Array:
    """Weights (outputs, 3, 3, inputs) as those of a grouped product, a group for each place.

    Returns:
        (places · outputs, 1, 1, inputs), float32.
    """
    g = np.asarray(_WEIGHTS[side])
    places = np.einsum("ai,bj,oijc->aboc", g, g, weight.astype(np.float64))
    return np.ascontiguousarray(places.reshape(-1, 1, 1, weight.shape[3]), np.float32)


def tile_grid(result: Tensor, side: int) -> tuple[int, int]:
    """Tiles down and across a picture."""
    return -(-result.height // side), -(-result.width // side)


def _sum(row: Sequence[float], names: Sequence[str]) -> str:
    """A linear combination."""
    terms = [
        name if factor == 1 else f"-{name}" if factor == -1 else f"{number(factor)} * {name}"
        for factor, name in zip(row, names, strict=True)
        if factor
    ]
    return " + ".join(terms)


@dataclass(eq=False)
class IntoTiles(Op):
    """Cut a picture into tiles and transform each.

    Attributes:
        source: the picture.
        result: a pixel for each tile, whose channels are the source's, place by place.
        side: outputs of a tile's side.
        tiles: (down, across) of one picture.
        pads: (top, left).
    """

    source: Tensor
    result: Tensor
    side: int
    tiles: tuple[int, int]
    pads: tuple[int, int]
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The picture."""
        return (self.source,)

    def grid(self, target: Target) -> Grid:
        """A thread per tile and group of four channels."""
        del target
        return spread(self.result.pixels * self.source.quads)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return f"Winograd F({self.side},3), in"

    def shader(self, target: Target) -> str:
        """Transform down each column as it is read, then along the rows."""
        names = Bindings(self)
        body = "\n".join(self._body(names, self.grid(target)))
        return f"{names.declarations()}\n{entry(THREADS, body)}"

    def _body(self, names: Bindings, grid: Grid) -> Iterator[str]:
        source, matrix = self.source, _PICTURE[self.side]
        size, (down, across) = len(matrix), self.tiles
        yield f"let index = {index_of(grid)};"
        yield f"if (index >= {self.result.pixels * source.quads}u) {{ return; }}"
        yield f"let q = index % {source.quads}u;"
        yield f"let tile = index / {source.quads}u;"
        yield f"let first = tile / {down * across}u * {source.height * source.width}u;"
        yield f"let top = i32(tile / {across}u % {down}u) * {self.side} - {self.pads[0]};"
        yield f"let left = i32(tile % {across}u) * {self.side} - {self.pads[1]};"
        for x in range(size):
            yield f"let x{x} = left + {x};"
            for y in range(size):
                yield f"var d{y} = vec4<f32>();" if x == 0 else f"d{y} = vec4<f32>();"
            yield f"if (u32(x{x}) < {source.width}u) {{"
            for y in range(size):
                place = f"first + u32(top + {y}) * {source.width}u + u32(x{x})"
                read = names.load(source, place, "q")
                yield f"if (u32(top + {y}) < {source.height}u) {{ d{y} = {read}; }}"
            yield "}"
            for row in range(size):
                yield f"let t{row}_{x} = {_sum(matrix[row], [f'd{y}' for y in range(size)])};"
        for row in range(size):
            for column in range(size):
                value = _sum(matrix[column], [f"t{row}_{x}" for x in range(size)])
                place = f"{(row * size + column) * source.quads}u + q"
                yield names.store(self.result, "tile", place, value)


@dataclass(eq=False)
class FromTiles(Op):
    """Transform the products of each tile back into the picture.

    Attributes:
        source: a pixel for each tile, whose channels are the result's, place by place.
        result: the picture.
        bias: (channels,), float32.
        side: outputs of a tile's side.
        tiles: (down, across) of one picture.
        activation: applied to what is stored.
        residual: added before the activation.
    """

    source: Tensor
    result: Tensor
    bias: Array
    side: int
    tiles: tuple[int, int]
    activation: Layer | None = None
    residual: Tensor | None = None
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The source, and the residual if there is one."""
        return (self.source,) if self.residual is None else (self.source, self.residual)

    def constants(self, target: Target) -> Sequence[Array]:
        """Biases."""
        del target
        return (in_quads(self.bias),)

    def grid(self, target: Target) -> Grid:
        """A thread per tile and group of four channels."""
        del target
        return spread(self.source.pixels * self.result.quads)

    def describe(self, target: Target) -> str:
        """The kernel."""
        del target
        return f"Winograd F({self.side},3)"

    def shader(self, target: Target) -> str:
        """Transform along each row as it is read, then down the columns."""
        names = Bindings(self, ("vec4<f32>",))
        body = "\n".join(self._body(names, self.grid(target)))
        return f"{names.declarations()}\n{entry(THREADS, body)}"

    def _body(self, names: Bindings, grid: Grid) -> Iterator[str]:
        result, matrix = self.result, _BACK[self.side]
        size, side, (down, across) = len(matrix[0]), self.side, self.tiles
        yield f"let index = {index_of(grid)};"
        yield f"if (index >= {self.source.pixels * result.quads}u) {{ return; }}"
        yield f"let q = index % {result.quads}u;"
        yield f"let tile = index / {result.quads}u;"
        yield f"let first = tile / {down * across}u * {result.height * result.width}u;"
        yield f"let top = tile / {across}u % {down}u * {side}u;"
        yield f"let left = tile % {across}u * {side}u;"
        for row in range(size):
            for column in range(size):
                place = f"{(row * size + column) * result.quads}u + q"
                yield f"let m{row}_{column} = {names.load(self.source, 'tile', place)};"
            for x in range(side):
                value = _sum(matrix[x], [f"m{row}_{column}" for column in range(size)])
                yield f"let t{row}_{x} = {value};"
        yield "let bias = w0[q];"
        for y in range(side):
            for x in range(side):
                guards = [f"top + {y}u < {result.height}u"] if result.height % side else []
                guards += [f"left + {x}u < {result.width}u"] if result.width % side else []
                yield (f"if ({' && '.join(guards)}) {{" if guards else "{")
                yield f"let pixel = first + (top + {y}u) * {result.width}u + left + {x}u;"
                value = _sum(matrix[y], [f"t{row}_{x}" for row in range(size)])
                yield f"var v = bias + {value};"
                if self.residual is not None:
                    yield f"v += {names.load(self.residual, 'pixel', 'q')};"
                yield activate("v", self.activation)
                yield names.store(result, "pixel", "q", "v") + " }"
