"""Network streams: RTSP, and MJPEG or video over HTTP.

A live stream is read as fast as frames come, and only the newest is kept, so that no delay builds
up behind a slow network. What has an end (a video file behind a URL) is played at its own pace.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import cv2

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.opencv import Capture, open_capture, read_buffer
from twinlens.app.sources.pacing import Pacer
from twinlens.engine.errors import SourceError

SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https")
_OPEN_TIMEOUT_MS = 5000
_READ_TIMEOUT_MS = 5000
# Frames later than this are not caught up with.
_GIVE_UP_S = 0.25


class NetworkStream:
    """A stream behind a URL.

    Args:
        url: ``rtsp://``, ``http://`` ...
        opener: opens a capture; tests bring their own.
        pacer: clock and sleep, for what has an end.

    Raises:
        SourceError: the URL is none of a stream.
    """

    def __init__(
        self,
        url: str,
        *,
        opener: Callable[[int | str, int, Sequence[int]], Capture] = open_capture,
        pacer: Pacer | None = None,
    ) -> None:
        if not _is_address(url):
            raise SourceError(
                f"{url}: not a stream's address, expected {'://…, '.join(SCHEMES)}://…"
            )
        parts = urlsplit(url)
        self._url = url
        # Addresses of cameras often carry a password; it is not for the screen.
        self.title = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._opener = opener
        self._capture: Capture | None = None
        self._pacer = pacer or Pacer()
        self._ends = False
        self._first: Frame | None = None
        self._index = 0
        self._started_s = 0.0

    def open(self) -> SourceInfo:
        """Connect and wait for the first frame.

        Raises:
            SourceError: nothing answers within five seconds, or what answers is no video.
        """
        timeouts = (
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS),
        )
        self._capture = self._opener(self._url, cv2.CAP_FFMPEG, timeouts)
        frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._ends = frames > 0
        self._started_s = time.perf_counter()
        self._first = self._decode() if self._capture.isOpened() else None
        if self._first is None:
            self.close()
            raise SourceError(
                f"{self.title}: no video came within {_OPEN_TIMEOUT_MS // 1000} seconds",
                hint="Check the address, the network, and that the camera or server is on.",
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        return SourceInfo(
            kind="stream",
            title=self.title,
            width=self._first.buffer.width,
            height=self._first.buffer.height,
            fps=fps if 0 < fps <= 240 else 0.0,
            live=not self._ends,
            frames=frames if self._ends else None,
        )

    def read(self) -> Frame | None:
        """Next frame; None when interrupted, or at the end of what has one.

        Raises:
            SourceError: the stream broke off.
        """
        if self._capture is None or self._pacer.interrupted():
            return None
        frame = self._first or self._decode()
        self._first = None
        if frame is None and not self._ends and not self._pacer.interrupted():
            raise SourceError(
                f"{self.title}: the stream broke off", hint="Check the network and try again."
            )
        return self._when_due(frame) if frame is not None and self._ends else frame

    def _when_due(self, frame: Frame) -> Frame | None:
        if self._pacer.late_s(frame.t_s) > _GIVE_UP_S:
            self._pacer.restart()
        self._pacer.wait_for(frame.t_s)
        if self._pacer.interrupted():
            return None
        return dataclasses.replace(frame, captured_s=time.perf_counter())

    def _decode(self) -> Frame | None:
        buffer = read_buffer(self._capture)
        if buffer is None:
            return None
        now = buffer.timestamp_s
        t_s = now - self._started_s
        if self._ends and self._capture is not None:
            t_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        frame = Frame(buffer, self._index, now, t_s)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Make the next ``read`` return; a blocked one ends with its time-out."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Disconnect."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
