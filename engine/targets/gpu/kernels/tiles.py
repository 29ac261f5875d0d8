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
        """For summaries; no two tiles have the same: ``"64×64 (8×4, depth 16)"``."""
        block = f"{self.thread_rows}×{self.thread_columns}"
        parts = [f"{self.rows}×{self.columns} ({block}, depth {self.depth})"]
        if self.slices > 1:
            parts.append(f"{self.slices} slices")
        if not self.shared:
            parts.append("registers only")
        return ", ".join(parts)


# Small to large. A thread's block decides how often a fetched value is used, a workgroup's how
# many there are to share among a GPU's units.
SHARED = (
    Tile(8, 32, 16, 2, 4, 8),
    Tile(8, 32, 32, 2, 4, 8),
    Tile(16, 16, 16, 2, 4, 4),
    Tile(16, 16, 16, 2, 4, 8),
    Tile(16, 16, 32, 2, 4, 8),
    Tile(16, 32, 16, 2, 4, 2),
    Tile(16, 32, 16, 4, 4, 4),
    Tile(16, 32, 16, 4, 4, 8),
    Tile(16, 32, 32, 4, 4, 4),
    Tile(16, 32, 32, 2, 4, 4),
    Tile(16, 64, 16, 4, 4, 4),
    Tile(32, 32, 16, 4, 4),
    Tile(32, 32, 16, 4, 4, 2),
    Tile(32, 32, 16, 4, 4, 4),
    Tile(32, 32, 32, 4, 4, 4),
    Tile(64, 32, 16, 4, 4),
    Tile(32, 64, 16, 4, 4),
    Tile(32, 64, 16, 4, 4, 2),
    Tile(32, 64, 32, 4, 4, 2),
    Tile(32, 64, 16, 4, 8, 4),
    Tile(64, 64, 16, 4, 4),
    Tile(64, 64, 16, 8, 4, 2),
    Tile(64, 64, 16, 8, 8),
    Tile(64, 64, 16, 8, 8, 2),
    Tile(128, 32, 16, 8, 4),
    Tile(128, 64, 16, 8, 8),
    Tile(64, 128, 16, 8, 8),
    Tile(128, 128, 16, 8, 8),
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


# Fitted to times of all tiles on the products of ResNet-50 and MobileNet-v2, batch 1 and 32, on an
# NVIDIA H100: of the first four by this cost, the best is within 6 % of the best of all for nearly
# every product. In cycles: what fetching a value costs against a product, the latency of a turn,
# the start of a workgroup, and adding a slice's sums.
_FETCH, _LATENCY, _START, _JOIN = 1.05, 270.0, 4100.0, 53.0
# Of a unit: products a cycle, threads with small and large blocks, workgroup memory to share.
_PRODUCTS, _THREADS, _SHARED_BYTES = 128, (1536, 768), 64e3


def _cost(tile: Tile, target: Target, rows: int, columns: int, depth: int) -> float:
    """A rough time in cycles: a unit's arithmetic, and the latency of what it cannot overlap."""
    groups = -(-columns // tile.columns) * -(-rows // tile.rows)
    turns = -(-depth // (tile.depth * tile.slices))
    block, fetched = tile.thread_rows * tile.thread_columns, tile.thread_rows + tile.thread_columns
    each = max(1.0, groups / target.units)
    most = _THREADS[block > 16] / tile.threads
    at_once = max(1.0, min(most, _SHARED_BYTES / tile.bytes(4)))
    rounds = max(1.0, math.ceil(groups / target.units) / at_once)
    terms = turns * tile.depth * tile.threads
    work = each * terms * (block + _FETCH * fetched) / _PRODUCTS
    return work + rounds * (turns * _LATENCY + _START + _JOIN * (tile.slices - 1) * block)


def _shrunk(tile: Tile, columns: int) -> Tile:
    """The same for few columns."""
    if columns >= tile.columns:
        return tile
    fewer = max(4, -(-columns // 4) * 4)
    lanes = fewer // tile.thread_columns
    rows = tile.thread_rows * max(1, tile.threads // lanes)
    return Tile(rows, fewer, tile.depth, tile.thread_rows, tile.thread_columns, shared=False)
