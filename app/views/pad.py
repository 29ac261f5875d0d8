"""The drawing pad: what the network looks at of a board, and how the board looks."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.app.core.drawing.board import Board
from twinlens.app.core.drawing.digits import reads_signs
from twinlens.app.views.view import Command, Group, Inputs, Place, View
from twinlens.engine.image import Region


@dataclass(frozen=True)
class PadShown:
    """The pad.

    Attributes:
        looks_at: the part of the board that the network gets; None is all of it.
        marked: the same, where it is to be marked; None where the board is empty.
        black: the board looks black.
    """

    looks_at: Region | None
    marked: Region | None
    black: bool

    @property
    def other_board(self) -> str:
        """What the board can be turned into."""
        return "White board" if self.black else "Black board"


def pad_shown(inputs: Inputs[Board]) -> PadShown | None:
    """What is shown of a board; None until it is known what the network reads."""
    if inputs.state is None:
        return None
    board = inputs.own
    looks_at = board.region() if reads_signs(inputs.state.spec.recipe) else None
    return PadShown(
        looks_at=looks_at,
        marked=None if board.empty else looks_at,
        black=inputs.settings.board == "black",
    )


UNDO = Command("pad-undo", ("Ctrl+Z",), "undo a stroke", Group.PICTURE)
CLEAR = Command("pad-clear", ("Del",), "wipe the board", Group.PICTURE)

PAD = View(
    id="pad",
    title="Drawing pad",
    place=Place.PICTURE,
    data=PadShown,
    snapshot=pad_shown,
    key="D",
    words="drawing pad",
    group=Group.PICTURE,
    more=(UNDO, CLEAR),
)
