"""The ten digits as a hand draws them: strokes, as golden pictures for networks that read digits.

Each stroke is a chain of places in a square from (0, 0), top left, to (1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from twinlens.app.core.drawing.board import HEIGHT, WIDTH, Board, Point
from twinlens.engine.image import Recipe

SMALL_PX = 64
"""Largest input of a grey network that reads single signs, as MNIST's do."""

Stroke = tuple[Point, ...]


def reads_signs(recipe: Recipe) -> bool:
    """Whether a network is one for single signs: grey, and no larger than ``SMALL_PX``."""
    return recipe.color == "GRAY" and max(recipe.width, recipe.height) <= SMALL_PX


def _arc(
    x: float, y: float, width: float, height: float, start: float, end: float, steps: int = 24
) -> Stroke:
    """Part of an ellipse around (x, y); degrees, 0 on the right, clockwise on the board."""
    angles = [math.radians(start + (end - start) * n / steps) for n in range(steps + 1)]
    return tuple((x + width * math.cos(a), y + height * math.sin(a)) for a in angles)


STROKES: dict[str, tuple[Stroke, ...]] = {
    "0": (_arc(0.5, 0.5, 0.3, 0.46, -90, 270),),
    "1": (((0.53, 0.05), (0.5, 0.95)),),
    "2": ((*_arc(0.48, 0.3, 0.28, 0.25, -170, 35), (0.45, 0.72), (0.2, 0.94), (0.82, 0.92)),),
    "3": ((*_arc(0.46, 0.28, 0.27, 0.23, -150, 95), *_arc(0.46, 0.73, 0.31, 0.24, -80, 150)),),
    "4": (((0.3, 0.08), (0.2, 0.55), (0.8, 0.55)), ((0.66, 0.12), (0.62, 0.96))),
    "5": (
        ((0.3, 0.08), (0.27, 0.45), *_arc(0.45, 0.68, 0.31, 0.26, -115, 145)),
        ((0.3, 0.08), (0.76, 0.07)),
    ),
    "6": (
        (
            (0.62, 0.04),
            (0.42, 0.25),
            (0.3, 0.5),
            *_arc(0.5, 0.71, 0.23, 0.23, 180, -180),
        ),
    ),
    "7": (((0.2, 0.08), (0.78, 0.08), (0.62, 0.45), (0.46, 0.96)),),
    "8": (
        (
            *_arc(0.5, 0.28, 0.24, 0.22, -60, -270),
            *_arc(0.5, 0.73, 0.28, 0.23, -90, 270),
            *_arc(0.5, 0.28, 0.24, 0.22, 90, -60),
        ),
    ),
    "9": ((*_arc(0.48, 0.3, 0.24, 0.23, -10, -370), (0.7, 0.5), (0.6, 0.96)),),
}
"""By digit."""


def placed(
    strokes: Sequence[Stroke], x: float, y: float, width: float, height: float
) -> tuple[Stroke, ...]:
    """Strokes in a box of a board, its top left corner at (x, y)."""
    return tuple(
        tuple((x + width * px, y + height * py) for px, py in stroke) for stroke in strokes
    )


def drawn(digit: str, size: float = 0.62) -> Board:
    """A board with a digit in its middle.

    Args:
        digit: ``"0"`` to ``"9"``.
        size: its height, as a share of the board's.
    """
    board = Board()
    height = HEIGHT * size
    width = height * 0.8
    box = ((WIDTH - width) / 2, (HEIGHT - height) / 2, width, height)
    for stroke in placed(STROKES[digit], *box):
        board.draw(stroke)
    return board
