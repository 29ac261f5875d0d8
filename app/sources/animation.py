"""A picture that moves, at its own pace; round and round, or each frame once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.pacing import Pacer
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.files import shown_name
from twinlens.engine.image import PixelBuffer
from twinlens.engine.image.animation import frames

_GIVE_UP_S = 1.0
_Shown = tuple[NDArray[np.uint8], float]


class Animation:
    """A GIF, WebP, APNG or AVIF with more than one frame.

    Args:
        path: the file.
        realtime: at its own pace, again and again; otherwise each frame comes once.
        pacer: clock and sleep.
        opener: gives the frames, and how long each stays; tests bring their own.
    """

    def __init__(
        self,
        path: Path,
        *,
        realtime: bool = True,
        pacer: Pacer | None = None,
        opener: Callable[[Path], Iterator[_Shown]] = frames,
    ) -> None:
        self.path, self.title = path, shown_name(path.name)
        self._realtime = realtime
        self._pacer = pacer or Pacer()
        self._opener = opener
        self._frames: Iterator[_Shown] | None = None
        self._next: _Shown | None = None
        self._index = 0
        self._position_s = 0.0

    def open(self) -> SourceInfo:
        """Open the file and decode its first frame.

        Raises:
            SourceError: it cannot be decoded.
        """
        self._next = self._rewound()
        if self._next is None:
            raise SourceError(f"{self.title}: has no frames", hint="Choose another picture.")
        pixels, shown_s = self._next
        return SourceInfo(
            kind="file",
            title=self.title,
            width=pixels.shape[1],
            height=pixels.shape[0],
            fps=1 / shown_s,
            live=False,
        )

    def read(self) -> Frame | None:
        """Next frame, when it is due; None at the end or when interrupted.

        Raises:
            SourceError: it cannot be decoded any more.
        """
        if self._frames is None or self._pacer.interrupted():
            return None
        now = self._next or next(self._frames, None)
        self._next = None
        if now is None and self._realtime:
            now = self._rewound()
        if now is None:
            return None
        if self._realtime:
            if self._pacer.late_s(self._position_s) > _GIVE_UP_S:
                self._pacer.restart()
            self._pacer.wait_for(self._position_s)
            if self._pacer.interrupted():
                return None
        pixels, shown_s = now
        at_s = time.perf_counter()
        buffer = PixelBuffer.from_array(pixels, timestamp_s=at_s)
        frame = Frame(buffer, self._index, at_s, self._position_s)
        self._index += 1
        self._position_s += shown_s
        return frame

    def _rewound(self) -> _Shown | None:
        self._frames = self._opener(self.path)
        try:
            return next(self._frames, None)
        except ImageError as why:
            raise SourceError(why.message, hint=why.hint) from why

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        self._frames = self._next = None
