"""How a matrix product is cut into register tiles."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.targets.cpu.codegen.isa import Isa

#: Rows of the tallest tile: 14 divides the sides of common pictures, 112 to 14.
TALLEST = 14

# Cycles that repeating a value takes where the product cannot: a 14 × 16 tile of bf16 products
# measured 82 G/s, a 7 × 64 tile 112 (Zen 4).
_REPEAT = 0.35
# Cycles that each vector of weights takes on top of the products, because it comes from a further
# level of the cache: 7 × 64 and 13 × 32 are otherwise equal, but measured 106 and 137 G/s (Zen 5).
_STREAM = 0.25


@dataclass(frozen=True)
class Rows:
    """A run of rows cut into tiles of ``tall`` rows, then tiles of one row less.

    Attributes:
        count: tiles.
        tall: rows of the tallest tile.
        talls: how many are that tall; they come first.
    """

    count: int
    tall: int
    talls: int

    @classmethod
    def cut(cls, rows: int, limit: int) -> Rows:
        """Cut ``rows`` into the fewest tiles of at most ``limit`` rows, as even as can be."""
        count = -(-rows // limit)
        tall = -(-rows // count)
        return cls(count, tall, rows - count * (tall - 1))


@dataclass(frozen=True)
class Columns:
    """Columns cut into blocks of some vectors, the last one narrower.

    Attributes:
        count: columns.
        vectors: vectors of a full block.
        lanes: columns of a vector.
        narrow: whether the last vector of the last block may be shorter than ``lanes``.
    """

    count: int
    vectors: int
    lanes: int
    narrow: bool

    @property
    def block(self) -> int:
        """Columns of a full block."""
        return self.vectors * self.lanes

    @property
    def full(self) -> int:
        """Number of full blocks."""
        return self.count // self.block

    @property
    def rest(self) -> int:
        """Columns of the last block; 0 when all are full."""
        return self.count % self.block

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.full + (self.rest > 0)

    def widths(self, columns: int) -> tuple[int, ...]:
        """Vector lengths that a block of so many columns is computed in."""
        whole, rest = divmod(columns, self.lanes)
        if not rest:
            return (self.lanes,) * whole
        last = max(4, 1 << (rest - 1).bit_length()) if self.narrow else self.lanes
        return (*(self.lanes,) * whole, last)

    def stored(self, block: int) -> int:
        """Packed columns of a block, padding included."""
        return sum(self.widths(self.block if block < self.full else self.rest))


def choose(
    isa: Isa, rows: int, columns: int, *, narrow: bool = True, folds: bool = True
) -> tuple[Rows, Columns]:
    """Pick the tile that needs the fewest cycles, by counting instructions.

    A tile of R rows and V vectors does R*V products per step and loads V vectors and R single
    values; two loads and two products go each cycle (on processors that multiply in halves one),
    and fewer than 8 running sums leave the multipliers idle between dependent products (Fog,
    "Instruction tables", 2024: 4 cycles).

    Args:
        isa: gives vector length and registers.
        rows: rows of one run.
        columns: columns of the product.
        narrow: whether a last vector may be shorter.
        folds: whether a product repeats a single value from memory by itself; otherwise that is
            an instruction more for each row.
    """
    best: tuple[float, Rows, Columns] | None = None
    for vectors in range(1, 9):
        limit = (isa.registers - 1 - vectors) // vectors
        # A product may take one factor from memory, which frees the register of the other.
        if isa.registers == 32 and folds:
            limit = max(limit, isa.registers // vectors - 1)
        if limit < 1 or (vectors > 4 and rows > 1):
            break
        cut = Rows.cut(rows, min(limit, TALLEST))
        over = Columns(columns, vectors, isa.lanes, narrow)
        cost = 0.0
        for height, many in ((cut.tall, cut.talls), (cut.tall - 1, cut.count - cut.talls)):
            for width, blocks in ((over.block, over.full), (over.rest, min(1, over.rest))):
                if height and many and blocks:
                    cycles = _cycles(isa, height, over.widths(width))
                    cost += many * blocks * (cycles + (0 if folds else _REPEAT * height))
        if best is None or cost < best[0] * 0.98:
            best = (cost, cut, over)
    if best is None:
        raise AssertionError("one vector always fits")
    return best[1], best[2]


def _cycles(isa: Isa, height: int, widths: tuple[int, ...]) -> float:
    """Cycles of one step of a tile."""
    loads = (height + len(widths)) / 2
    products = height * len(widths) / 2
    if isa.halves:
        short = sum(0.5 if width * 2 <= isa.lanes else 1.0 for width in widths)
        products = max(products, height * short)
    return max(products, loads, 4.0) + 0.5 + _STREAM * len(widths)
