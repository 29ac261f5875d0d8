"""A board that somebody draws on."""

from __future__ import annotations

import time

from twinlens.app.core.drawing.board import Board
from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame

_FPS = 60.0
_AT_REST_S = 0.1
"""A board at rest is shown as often as a still picture, so that a new engine gets a frame."""


class Drawing:
    """Pictures of a board: one whenever the drawing has changed, ten a second when it rests.

    What is drawn while a picture is taken is in the next one; none is queued.

    Args:
        board: what is drawn on.
    """

    def __init__(self, board: Board | None = None) -> None:
        self.title = "Drawing pad"
        self.board = board or Board()
        self._stopped = False
        self._seen = -1
        self._index = 0
        self._due_s = self._started_s = 0.0

    def open(self) -> SourceInfo:
        """A board is always there."""
        self._started_s = time.perf_counter()
        return SourceInfo(
            kind="drawing",
            title=self.title,
            width=self.board.width,
            height=self.board.height,
            fps=_FPS,
            live=True,
        )

    def read(self) -> Frame | None:
        """Wait for the drawing to change, or a moment; None when interrupted."""
        with self.board.changed:
            # No faster than it is shown, however fast a mouse reports its moves.
            self.board.changed.wait_for(lambda: self._stopped, self._due_s - time.perf_counter())
            self.board.changed.wait_for(
                lambda: self._stopped or self.board.change != self._seen, _AT_REST_S
            )
            if self._stopped:
                return None
            look = self.board.look()
        self._seen = look.change
        now_s = time.perf_counter()
        self._due_s = now_s + 1 / _FPS
        frame = Frame(look.buffer, self._index, now_s, now_s - self._started_s)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        with self.board.changed:
            self._stopped = True
            self.board.changed.notify_all()

    def close(self) -> None:
        """Nothing to release; the drawing stays."""
