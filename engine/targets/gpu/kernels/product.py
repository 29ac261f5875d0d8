"""Convolutions and matrix products as one tiled product.

The result has a row for each output pixel and a column for each output channel; the sum runs over
the taps of the kernel and, within a tap, over the input channels, four at a time. A matrix product
is the convolution with one tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.gpu.codegen.tensor import Tensor, quads
from twinlens.engine.targets.gpu.kernels.base import (
    Grid,
    Op,
    Target,
    in_quads,
    packed,
)
from twinlens.engine.targets.gpu.kernels.tiled import Registers, Shared
from twinlens.engine.targets.gpu.kernels.tiles import Tile, candidates

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Front:
    """A depthwise convolution that is computed on the way into a product of one tap.

    Attributes:
        weight: (kernel height, kernel width, channels), float32.
        bias: (channels,), float32.
        stride, dilation: (height, width).
        pads: (top, left).
        activation: applied to what the product reads.
    """

    weight: Array
    bias: Array
    stride: Pair
    dilation: Pair
    pads: Pair
    activation: Layer | None

    def packed(self) -> Array:
        """Weights as [tap][channel], filled up with zeros to groups of four."""
        rows, columns, channels = self.weight.shape
        filled = np.zeros((rows * columns, quads(channels) * 4), np.float32)
        filled[:, :channels] = self.weight.reshape(rows * columns, channels)
        return filled

    def signature(self) -> object:
        """What its time depends on."""
        return self.weight.shape, self.stride, self.dilation, self.pads


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
        front: makes what the product reads from the source; only with one tap.
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
    front: Front | None = None
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
        before = 0 if self.front is None else rows * int(self.front.weight.size)
        return rows * columns * depth * self.groups + before

    @property
    def plain(self) -> bool:
        """Whether result pixel ``m`` reads source pixel ``m`` and no other."""
        if self.front is not None:
            return False
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
        front = None if self.front is None else self.front.signature()
        return repr((self.size, self.weight.shape, sizes, place, self.residual is not None, front))

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
        own = (packed(matrix, target), in_quads(self.bias))
        if self.front is None:
            return own
        return *own, packed(self.front.packed(), target), in_quads(self.front.bias)

    def grid(self, target: Target) -> Grid:
        """Tiles down the rows, along the columns, channel groups."""
        tile = self.chosen(target)
        rows, columns, _ = self.size
        return -(-rows // tile.rows), -(-columns // tile.columns), self.groups

    def describe(self, target: Target) -> str:
        """The kernel and its tile."""
        kind = "product" if self.taps == 1 else "implicit product"
        if self.front is not None:
            kind = "depthwise and product"
        return f"{kind} {self.chosen(target).text()}"

    def shader(self, target: Target) -> str:
        """The shader of the chosen tile."""
        tile = self.chosen(target)
        return (Shared if tile.shared else Registers)(self, target, tile).text()
