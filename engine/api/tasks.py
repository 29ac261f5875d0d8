"""What a network is that classifies no pictures, told by the shapes of what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod

from twinlens.engine.errors import ShapeError

Sizes = Sequence[int | None]
"""Sizes of axes; None for one that is left open."""

ROW = ""
"""What ``task_of`` says of one row of numbers, which may be classes."""

DETECTOR = "a detector (a row of numbers for each box)"
SEGMENTER = "a segmenter (numbers for each point of the picture)"
RECOGNISER = "a text recogniser (scores for each of several positions)"
FEATURES = "a network without its classifier (it gives features of parts of the picture)"

_BOX_NUMBERS = (4, 5, 6, 7)
_STRIDES = (8, 16, 32, 64)
_CELLS = 100  # so many positions are more than a line of text has
_OPEN = 1 << 30
"""Stands for a size that is left open: it is more than one."""


def row_width(sizes: Sizes, picture: Sizes = ()) -> int | None:
    """Number of values in a row; None where it is left open, or where it is no row.

    Args:
        sizes: a shape; its first axis is the batch, where there are several.
        picture: shape of what goes in, as far as it is known.
    """
    if len(sizes) == 1:
        return sizes[0]
    wide = [n for n in _own(sizes, picture) if n != 1]
    if not wide:
        return 1
    return wide[0] if len(wide) == 1 and wide[0] != _OPEN else None


def task_of(sizes: Sizes, picture: Sizes = (), *, positions: bool = False) -> str:
    """What gives an output of this shape: ``ROW``, or words such as ``"a detector (...)"``.

    Args:
        sizes: the shape; its first axis is the batch, where there are several.
        picture: (N, C, H, W) or (N, H, W, C) of what goes in, as far as it is known.
        positions: whether it is known to be one answer for each of several positions.
    """
    own = _own(sizes, picture)
    wide = [n for n in own if n != 1]
    if len(wide) <= 1 or all(n == _OPEN for n in wide):
        return ROW
    into = _sides([_OPEN if n is None else n for n in picture[1:]])
    if len(wide) > 3:
        return "a detector (numbers for each cell of a grid)"
    if len(own) >= 3 and (len(wide) == 3 or _is_picture(wide, into)):
        return _of_map(wide, into)
    if len(wide) == 2 and len(own) == 2 and _is_picture(wide, into):
        return SEGMENTER
    return _of_rows(wide[0], wide[1], into, positions)


def check_answer(name: str, shape: Sequence[int], picture: Sizes) -> None:
    """Refuse what a network really answers with, where it is no row of numbers.

    Args:
        name: what errors call the network.
        shape: of its answer to one picture.
        picture: shape of that picture.

    Raises:
        ShapeError: says what it is instead of a classifier.
    """
    if prod(shape) < 1 or prod(shape) != max(shape, default=1):
        task = task_of(shape, picture) or "no classifier of single pictures"
        raise ShapeError(
            f"{name} answers with {tuple(shape)}; one value per class is required: it is {task}"
        )


def _own(sizes: Sizes, picture: Sizes) -> list[int]:
    """Sizes without that of the batch."""
    batch = (1, None, picture[0]) if picture else sizes[:1]
    own = sizes[1:] if len(sizes) > 1 and sizes[0] in batch else sizes
    return [_OPEN if n is None else n for n in own]


def _of_map(wide: list[int], into: tuple[int, int] | None) -> str:
    """Two axes of a picture, and perhaps one of channels before or behind them."""
    sides = _sides(wide) if len(wide) == 3 else (wide[0], wide[1])
    if sides is None or into is None or _OPEN in (*into, *sides):
        return SEGMENTER
    channels = prod(wide) // prod(sides)
    shrink = into[0] / sides[0]
    if shrink < 1 or (shrink <= 1.5 and channels == 3):
        return "a network that makes pictures"
    if shrink <= 6:  # an eighth is the grid of boxes as often
        return SEGMENTER
    if channels >= 128:
        return FEATURES
    return "a detector or segmenter (numbers for each cell of a grid)"


def _of_rows(rows: int, width: int, into: tuple[int, int] | None, positions: bool) -> str:
    few, many = sorted((rows, width))
    broad = into is not None and _OPEN not in into and into[1] >= 2 * into[0]
    if positions and rows >= 1024 and rows != _OPEN:
        return SEGMENTER
    if positions or (broad and few >= 8):
        return RECOGNISER
    if width in _BOX_NUMBERS or few in _BOX_NUMBERS or _is_grid(many, into):
        return DETECTOR
    if few <= 3:
        return f"no single classifier (it answers {many} questions at once)"
    if rows >= 1000 and rows != _OPEN:
        return DETECTOR
    square = any(isqrt(rows - more) ** 2 == rows - more for more in (0, 1, 2) if rows > more)
    if square and width >= 128 and width % 64 == 0:
        return FEATURES
    return DETECTOR if _is_grid(rows, into, single=True) and rows >= _CELLS else RECOGNISER


def _is_grid(many: int, into: tuple[int, int] | None, *, single: bool = False) -> bool:
    """Whether so many boxes are those of a detector's grids, with one or three a cell.

    ``single``: whether it may also be one grid, with one box a cell.
    """
    if into is None or _OPEN in into:
        return False
    cells = [(into[0] // s) * (into[1] // s) for s in _STRIDES]
    several = [sum(cells[:n]) for n in (2, 3, 4)] if cells[0] else []
    return many in (*several, *(3 * n for n in several)) or (single and many in cells)


def _is_picture(sides: list[int], into: tuple[int, int] | None) -> bool:
    """Whether two sizes are those of the picture that goes in, an eighth, or the eightfold."""
    if len(sides) != 2 or into is None or _OPEN in (*into, *sides) or min(sides) < 16:
        return False
    if sides[0] * into[1] != sides[1] * into[0]:
        return False
    return sides[0] <= into[0] <= 8 * sides[0] or sides[0] in range(into[0], 9 * into[0], into[0])


def _sides(own: Sequence[int]) -> tuple[int, int] | None:
    """(height, width) of three axes, of which one is that of the channels."""
    if len(own) != 3:
        return None
    if own[1] == own[2]:
        return own[1], own[2]
    first, last = own[0] <= 4, own[2] <= 4
    if own[0] == own[1] or (last and not first):
        return own[0], own[1]
    return own[1], own[2]
