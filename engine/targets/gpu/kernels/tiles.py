"""Tiles of matrix products: what one workgroup and one thread compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twinlens.engine.targets.gpu.kernels.base import Target


@dataclass(frozen=True)
class Tile:
    """How a product is cut up.

    Attributes:
        rows, columns: of the result, by one workgroup; columns are a multiple of 4.
        depth: terms that are fetched at a time; a multiple of 4.
        thread_rows, thread_columns: of the result, by one thread.
        slices: parts of the sum that threads of one workgroup take; they are added at the end.
        shared: whether operands go through workgroup memory; without, threads read them each.
    """

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    slices: int = 1
    shared: bool = True

    @property
    def lanes(self) -> tuple[int, int]:
        """Threads down the rows and along the columns."""
        return self.rows // self.thread_rows, self.columns // self.thread_columns

    @property
    def slice_threads(self) -> int:
        """Threads of one slice."""
        return self.lanes[0] * self.lanes[1]

    @property
    def threads(self) -> int:
        """Threads of a workgroup."""
        return self.slice_threads * self.slices

    def bytes(self, item: int) -> int:
        """Workgroup memory, for values of so many bytes."""
        fetched = self.slices * self.depth * (self.rows + self.columns) * item if self.shared else 0
        sums = (self.slices - 1) * self.rows * self.columns * 4
        return fetched + sums

    def text(self) -> str:
        """For summaries: ``"64×64"``, with what is not usual."""
        parts = [f"{self.rows}×{self.columns}"]
        if self.slices > 1:
            parts.append(f"{self.slices} slices")
        if not self.shared:
            parts.append("registers only")
        return ", ".join(parts)


# Small to large. A thread's block decides how often a fetched value is used, a workgroup's how
# many there are to share among a GPU's units.
SHARED = (
    Tile(16, 16, 16, 2, 4, 4),
    Tile(16, 32, 16, 4, 4, 4),
    Tile(16, 32, 16, 2, 4, 2),
    Tile(32, 32, 16, 4, 4, 4),
    Tile(32, 32, 16, 4, 4, 2),
    Tile(32, 32, 16, 4, 4),
    Tile(32, 64, 16, 4, 4, 2),
    Tile(32, 64, 16, 4, 4),
    Tile(64, 32, 16, 4, 4),
    Tile(64, 64, 16, 4, 8, 2),
    Tile(64, 64, 16, 4, 4),
    Tile(64, 64, 16, 8, 8, 4),
    Tile(64, 64, 16, 8, 8),
    Tile(128, 32, 16, 8, 4),
    Tile(128, 64, 16, 8, 8),
    Tile(64, 128, 16, 8, 8),
    Tile(128, 128, 16, 8, 8),
    Tile(128, 128, 8, 8, 8),
)
SOFTWARE = Tile(32, 32, 4, 4, 4, shared=False)


def candidates(target: Target, rows: int, columns: int, depth: int) -> list[Tile]:
    """Tiles worth trying for a product, the one that is expected to be best first."""
    if target.software:
        return [_shrunk(SOFTWARE, columns)]
    item = 2 if target.dtype == "f16" else 4
    fitting = [
        tile
        for tile in SHARED
        if tile.bytes(item) <= target.shared_bytes
        and (tile.columns <= 32 or tile.columns < 2 * columns)
        and tile.slices * tile.depth <= max(64, depth)
    ]
    return sorted(fitting, key=lambda tile: _cost(tile, target, rows, columns, depth))


def _cost(tile: Tile, target: Target, rows: int, columns: int, depth: int) -> float:
    """A rough time: rounds of workgroups times what one of them does.

    Arithmetic counts by the block; each fetched value costs more than one product does, and each
    round of fetching has a latency that only more threads hide.
    """
    across, down = -(-columns // tile.columns), -(-rows // tile.rows)
    turns = -(-depth // (tile.depth * tile.slices))
    groups = across * down
    # A unit that holds few threads waits for memory most of the time.
    per_unit = max(1.0, groups / target.units)
    busy = min(1.0, per_unit * tile.threads / 512)
    block = tile.thread_rows * tile.thread_columns
    loads = tile.thread_rows + tile.thread_columns
    work: float = tile.depth * (block + 2.0 * loads) * tile.threads / 128
    latency = 300.0
    return per_unit * (turns * (work / math.sqrt(busy) + latency / per_unit) + 100 * tile.slices)


def _shrunk(tile: Tile, columns: int) -> Tile:
    """The same for few columns."""
    if columns >= tile.columns:
        return tile
    fewer = max(4, -(-columns // 4) * 4)
    lanes = fewer // tile.thread_columns
    rows = tile.thread_rows * max(1, tile.threads // lanes)
    return Tile(rows, fewer, tile.depth, tile.thread_rows, tile.thread_columns, shared=False)
