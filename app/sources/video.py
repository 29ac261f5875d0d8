"""Video files: at their own pace, looped or once; or every frame as fast as it is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.opencv import Capture, open_capture, read_buffer
from twinlens.app.sources.pacing import Pacer
from twinlens.engine.errors import SourceError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".ts")
)

# A file that was stopped (paused, a debugger) starts afresh instead of being rushed through.
_GIVE_UP_S = 1.0


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
    """

    def __init__(
        self,
        path: Path,
        *,
        realtime: bool = True,
        loop: bool = True,
        kind: str = "file",
        title: str | None = None,
        pacer: Pacer | None = None,
        opener: Callable[[int | str, int], Capture] = open_capture,
    ) -> None:
        self.path = path
        self.title = title or path.name
        self._kind, self._realtime, self._loop = kind, realtime, loop and realtime
        self._pacer = pacer or Pacer()
        self._opener = opener
        self._capture: Capture | None = None
        self._first: Frame | None = None
        self._index = 0
        self._fps = 0.0
        self._position_s = 0.0

    def open(self) -> SourceInfo:
        """Open the file and decode its first frame.

        Raises:
            SourceError: missing, or no video that can be decoded.
        """
        if not self.path.is_file():
            raise SourceError(f"{self.path}: no such file", hint="Choose another video.")
        self._capture = self._opener(str(self.path), cv2.CAP_FFMPEG)
        fps = self._capture.get(cv2.CAP_PROP_FPS) if self._capture.isOpened() else 0.0
        self._fps = fps if 0 < fps <= 1000 else 30.0
        self._position_s = -1 / self._fps
        frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._first = self._decode()
        if self._first is None:
            self.close()
            raise SourceError(
                f"{self.path.name}: cannot be played as a video",
                hint="The file is damaged or of a kind that this FFmpeg does not decode.",
            )
        buffer = self._first.buffer
        return SourceInfo(
            kind=self._kind,
            title=self.title,
            width=buffer.width,
            height=buffer.height,
            fps=self._fps,
            live=False,
            frames=frames if frames > 0 else None,
        )

    def read(self) -> Frame | None:
        """Next frame, when it is due; None at the end or when interrupted."""
        if self._capture is None or self._pacer.interrupted():
            return None
        frame = self._first or self._next()
        self._first = None
        if frame is None or not self._realtime:
            return frame
        self._pacer.wait_for(frame.t_s)
        if self._pacer.interrupted():
            return None
        return Frame(frame.buffer, frame.index, time.perf_counter(), frame.t_s)

    def _next(self) -> Frame | None:
        if self._realtime:
            self._skip_late()
        frame = self._decode()
        if frame is None and self._loop and self._rewind():
            frame = self._decode()
        return frame

    def _skip_late(self) -> None:
        late = self._pacer.late_s(self._position_s + 1 / self._fps)
        if late > _GIVE_UP_S:
            self._pacer.restart()
            return
        while late > 1 / self._fps and self._capture is not None and self._capture.grab():
            self._index += 1
            late -= self._go_on()

    def _rewind(self) -> bool:
        # Seeking to 0 is not exact in every container; opening again always is.
        self.close()
        self._capture = self._opener(str(self.path), cv2.CAP_FFMPEG)
        self._position_s = -1 / self._fps
        self._pacer.restart()
        return self._capture.isOpened()

    def _decode(self) -> Frame | None:
        buffer = read_buffer(self._capture)
        if buffer is None:
            return None
        self._go_on()
        now = buffer.timestamp_s
        frame = Frame(buffer, self._index, now, self._position_s)
        self._index += 1
        return frame

    def _go_on(self) -> float:
        """Take over the position of the frame that was just read; returns the step, in seconds."""
        before_s, usual_s = self._position_s, 1 / self._fps
        reported_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._capture else 0.0
        # The rate of a telephone's video varies: its timestamps count. Some files have none.
        self._position_s = reported_s if reported_s > before_s else before_s + usual_s
        return self._position_s - before_s

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
