"""Network streams: RTSP, RTMP, SRT and the like, and whatever is served over HTTP.

A live stream is read as fast as frames come, and only the newest is kept, so that no delay builds
up behind a slow network. What comes in pieces (HLS, DASH) or has an end is played at its own pace.
Pictures in parts, as cameras send them over HTTP, have a reader of their own (``parts``).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from twinlens.app.core.addresses import ENCODE_HINT, has_secret, scheme_of, shown_address
from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.pacing import Pacer, Positions
from twinlens.app.sources.parts import PartsReader
from twinlens.app.sources.video import Reader
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.image import PixelBuffer
from twinlens.engine.image.video import VideoReader

SCHEMES = (
    *("rtsp", "rtsps", "rtmp", "rtmps", "srt", "http", "https"),
    *("udp", "rtp", "tcp", "mms", "mmsh"),
)
_OPEN_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 5.0
# Frames later than this are not caught up with.
_GIVE_UP_S = 0.25
_USUAL_FPS = 30.0
_PIECES = ("hls", "dash")
_OPTIONS = {
    # As OpenCV has it, and most cameras: packets get lost in UDP, and a picture with them.
    "rtsp": {"rtsp_transport": "tcp"},
    "rtsps": {"rtsp_transport": "tcp"},
}


class NetworkStream:
    """A stream behind a URL.

    Args:
        url: ``rtsp://``, ``http://`` ...
        opener: opens a reader; tests bring their own.
        pacer: clock and sleep, for what has its own pace.

    Raises:
        SourceError: the URL is none of a stream.
    """

    def __init__(
        self,
        url: str,
        *,
        opener: Callable[[str], Reader] | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        # Addresses of cameras often carry a password; it is not for the screen.
        self.title = shown_address(url)
        if not _is_address(url):
            raise SourceError(
                f"{self.title}: not a stream's address, expected {'://…, '.join(SCHEMES)}://…",
                hint=ENCODE_HINT if "@" in url else "",
            )
        scheme = scheme_of(url)
        self._url = scheme + url[len(scheme) :]
        self._opener = opener or open_reader
        self._reader: Reader | None = None
        self._pacer = pacer or Pacer()
        self._paced = self._ends = False
        self._positions = Positions(_USUAL_FPS)
        self._first: Frame | None = None
        self._index = 0
        self._damaged = 0
        self._started_s = 0.0

    def open(self) -> SourceInfo:
        """Connect and wait for the first frame.

        Raises:
            SourceError: nothing answers within five seconds, or what answers is no video.
        """
        try:
            self._reader = reader = self._opener(self._url)
        except ImageError as why:
            raise SourceError(f"{self.title}: {why.message}", hint=why.hint) from why
        except OSError as why:
            raise _unreachable(self._url, self.title, why) from None
        self._pacer.restart()
        facts = reader.facts
        self._ends = facts.duration_s is not None
        self._paced = self._ends or facts.container.split(",")[0] in _PIECES
        self._positions = Positions(facts.fps or _USUAL_FPS)
        self._started_s = time.perf_counter()
        try:
            self._first = self._decode()
        except SourceError:
            self.close()
            raise
        if self._first is None:
            self.close()
            raise SourceError(
                f"{self.title}: no video came within {_OPEN_TIMEOUT_S:.0f} seconds",
                hint="Check the address, the network, and that the camera or server is on.",
                passing=True,
            )
        return SourceInfo(
            kind="stream",
            title=self.title,
            width=self._first.buffer.width,
            height=self._first.buffer.height,
            fps=facts.fps if 0 < facts.fps <= 240 else 0.0,
            live=not self._ends,
            frames=facts.frames if self._ends else None,
        )

    def read(self) -> Frame | None:
        """Next frame; None when interrupted, or at the end of what has one.

        Raises:
            SourceError: the stream broke off.
        """
        if self._reader is None or self._pacer.interrupted():
            return None
        frame = self._first or self._decode()
        self._first = None
        if frame is None and not self._ends and not self._pacer.interrupted():
            raise _broke_off(self.title)
        return self._when_due(frame) if frame is not None and self._paced else frame

    def _when_due(self, frame: Frame) -> Frame | None:
        if self._pacer.late_s(frame.t_s) > _GIVE_UP_S:
            self._pacer.restart()
        self._pacer.wait_for(frame.t_s)
        if self._pacer.interrupted():
            return None
        return dataclasses.replace(frame, captured_s=time.perf_counter())

    def _decode(self) -> Frame | None:
        reader = self._reader
        if reader is None:
            return None
        try:
            at_s = reader.grab()
            if at_s is None:
                return None
            pixels = reader.pixels()
        except ImageError as why:
            raise SourceError(f"{self.title}: {why.message}", hint=why.hint, passing=True) from why
        except OSError:
            if self._pacer.interrupted():
                return None
            raise _broke_off(self.title) from None
        now = time.perf_counter()
        t_s = self._positions.follow(at_s) if self._paced else now - self._started_s
        buffer = PixelBuffer.from_array(pixels, timestamp_s=now)
        frame = Frame(buffer, self._index, now, t_s, damaged=self._damaged + reader.damaged)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Make the next ``read`` return; a blocked one ends with its time-out."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Disconnect."""
        reader, self._reader = self._reader, None
        if reader is not None:
            self._damaged += reader.damaged
            reader.close()


def open_reader(url: str) -> Reader:
    """Connect to an address, by the reader that its answer needs.

    Raises:
        ImageError: what answers is no video.
        OSError: nothing answers.
    """
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        parts = PartsReader.of(url, open_s=_OPEN_TIMEOUT_S, read_s=_READ_TIMEOUT_S)
        if parts is not None:
            return parts
    return VideoReader(
        url,
        live=True,
        timeout_s=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S),
        options=_OPTIONS.get(scheme, {}),
    )


def _broke_off(title: str) -> SourceError:
    return SourceError(
        f"{title}: the stream broke off", hint="Check the network and try again.", passing=True
    )


def _unreachable(url: str, title: str, why: OSError) -> SourceError:
    """What the system or the server says of an address, in words."""
    kind = getattr(why, "kind", type(why).__name__)
    if kind == "ProtocolNotFoundError":
        return SourceError(
            f"{title}: {scheme_of(url)} addresses cannot be opened by this build of FFmpeg",
            hint="Let another FFmpeg hand it on: ffmpeg -i ADDRESS -c copy -f mpegts "
            "udp://127.0.0.1:5000, and give udp://127.0.0.1:5000.",
        )
    encode = f" {ENCODE_HINT}" if has_secret(url) or "@" in url else ""
    if kind in ("HTTPUnauthorizedError", "HTTPForbiddenError", "PermissionError"):
        return SourceError(
            f"{title}: refuses this user or password",
            hint=f"Write the address as {scheme_of(url)}://USER:PASSWORD@HOST/…. {ENCODE_HINT}",
            password=True,
        )
    if kind in ("HTTPNotFoundError", "HTTPBadRequestError", "HTTPOtherClientError"):
        return SourceError(
            f"{title}: the server knows no such stream", hint=f"Check the path.{encode}"
        )
    if kind in ("ExitError", "TimeoutError"):
        said = f"no video came within {_OPEN_TIMEOUT_S:.0f} seconds"
    elif isinstance(why, ConnectionRefusedError):
        said = "the connection was refused; nothing serves there"
    else:
        said = f"cannot be reached ({why.strerror or kind})"
    return SourceError(
        f"{title}: {said}",
        hint=f"Check the address, the network, and that the camera or server is on.{encode}",
        passing=True,
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # UDP is listened to, on any address of this machine.
        hosted = bool(parts.hostname) or (parts.scheme in ("udp", "rtp") and parts.port)
        return parts.scheme in SCHEMES and bool(hosted) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
