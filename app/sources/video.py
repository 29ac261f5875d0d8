"""Video files: at their own pace, looped or once; or every frame as fast as it is wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.pacing import Pacer, Positions
from twinlens.app.sources.room import placed
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.files import reading, shown_name
from twinlens.engine.image import PixelBuffer
from twinlens.engine.image.video import VideoFacts, VideoReader

VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv"),
        *(".ts", ".mts", ".m2ts", ".vob", ".3gp", ".flv", ".asf", ".dv", ".mxf", ".y4m"),
        *(".h264", ".hevc", ".mjpeg", ".gifv"),
    )
)

# A file that was stopped (paused, a debugger) starts afresh instead of being rushed through.
_GIVE_UP_S = 1.0
# So many are left out in a row at most: where decoding is slower than the file, some are shown.
_MOST_SKIPPED = 8
_USUAL_FPS = 30.0
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """The part of ``VideoReader`` that files and streams use; tests bring their own."""

    facts: VideoFacts
    damaged: int

    def grab(self) -> float | None:
        """Time of the next picture; NaN where it has none, None at the end."""
        ...

    def pixels(self) -> NDArray[np.uint8]:
        """The picture that was grabbed."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class VideoFile:
    """A video file.

    Args:
        path: the file.
        realtime: keep the file's own pace and skip frames that are late; otherwise every frame
            comes as soon as it is read.
        loop: start again at the end (real time only).
        kind: ``"file"``, or ``"clip"`` for the bundled one.
        title: name that is shown; None is the file's.
        pacer: clock and sleep.
        opener: opens the file; tests bring their own.
    """

    goes_back = False

    def __init__(
        self,
        path: Path,
        *,
        realtime: bool = True,
        loop: bool = True,
        kind: str = "file",
        title: str | None = None,
        pacer: Pacer | None = None,
        opener: Callable[[Path], Reader] = VideoReader,
    ) -> None:
        self.path = path
        self.title = title or shown_name(path.name)
        self._kind, self._realtime, self._loop = kind, realtime, loop and realtime
        self._pacer = pacer or Pacer()
        self._opener = opener
        self._reader: Reader | None = None
        self._first: Frame | None = None
        self._index = 0
        self._damaged = 0
        self._positions = Positions(_USUAL_FPS)

    def open(self) -> SourceInfo:
        """Open the file and decode its first frame.

        Raises:
            SourceError: missing, or no video that can be decoded.
        """
        reader = self._open()
        self._positions = Positions(reader.facts.fps or _USUAL_FPS)
        self._first = self._decode()
        if self._first is None:
            self.close()
            raise SourceError(
                f"{self.title}: cannot be played as a video, no picture in it can be decoded",
                hint="The file is damaged, or cut off before its first picture.",
            )
        buffer = self._first.buffer
        return SourceInfo(
            kind=self._kind,
            title=self.title,
            width=buffer.width,
            height=buffer.height,
            fps=self._positions.fps,
            live=False,
            frames=reader.facts.frames,
        )

    def read(self) -> Frame | None:
        """Next frame, when it is due; None at the end or when interrupted.

        Raises:
            SourceError: it cannot be read any more.
        """
        if self._reader is None or self._pacer.interrupted():
            return None
        frame = self._first or self._next()
        self._first = None
        if frame is None or not self._realtime:
            return frame
        self._pacer.wait_for(frame.t_s)
        if self._pacer.interrupted():
            return None
        return Frame(
            frame.buffer, frame.index, time.perf_counter(), frame.t_s, damaged=frame.damaged
        )

    def turn(self, by: int) -> bool:
        """A step is one frame: what passed while it was held is nothing to catch up with."""
        del by
        self._pacer.restart()
        return False

    def _next(self) -> Frame | None:
        if self._realtime and self._pacer.late_s(self._positions.next_s) > _GIVE_UP_S:
            self._pacer.restart()
        frame = self._decode(skip_late=self._realtime)
        if frame is None and self._loop:
            self._rewind()
            frame = self._decode()
        return frame

    def _open(self) -> Reader:
        try:
            with reading(self.path, SourceError):
                if not self.path.is_file():
                    raise SourceError(
                        f"{shown_name(str(self.path))}: no such file", hint="Choose another video."
                    )
                self._reader = self._opener(self.path)
        except ImageError as why:
            raise SourceError(why.message, hint=why.hint) from why
        return self._reader

    def _rewind(self) -> None:
        # Seeking to 0 is not exact in every container; opening again always is.
        self.close()
        self._open()
        self._positions = Positions(self._positions.fps)
        self._pacer.restart()

    def _decode(self, *, skip_late: bool = False) -> Frame | None:
        """The next frame; with ``skip_late`` the next that is not overdue."""
        reader = self._reader
        if reader is None:
            return None
        try:
            for _ in range(_MOST_SKIPPED if skip_late else 1):
                with reading(self.path, SourceError):
                    at_s = reader.grab()
                if at_s is None:
                    return None
                t_s = self._positions.follow(at_s)
                self._index += 1
                if self._pacer.late_s(t_s) <= 1 / self._positions.fps:
                    break
            pixels = placed(reader.pixels())
            buffer = PixelBuffer.from_array(pixels, timestamp_s=time.perf_counter())
        except ImageError as why:
            raise SourceError(f"{self.title}: {why.message}", hint=why.hint) from why
        damaged = self._damaged + reader.damaged
        return Frame(buffer, self._index - 1, buffer.timestamp_s, t_s, damaged=damaged)

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Close the file."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
            if reader.damaged:
                _log.warning("%s: %d frames could not be decoded", self.title, reader.damaged)
            self._damaged += reader.damaged
