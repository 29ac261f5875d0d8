"""Pictures of videos and streams, decoded by FFmpeg's libraries through PyAV.

OpenCV's own build of them reads fewer codecs, ignores which colours a file says it has, hands out
memory that nothing was written to where pictures are interlaced, and cannot open names that are no
UTF-8. What comes out of here is upright, progressive, 8-bit BGR with the file's own colours.
"""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.files import shown_name
from twinlens.engine.image.buffer import MAX_SIDE
from twinlens.engine.image.frames import FrameConverter

#: The way out for whatever cannot be decoded here.
CONVERT_HINT = "Convert it, for example: ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4"
MAX_PIXELS = 100_000_000
"""A video with larger pictures is refused."""
# Errors in a row, in packets and out of the container, after which nothing more will come.
_MOST_ERRORS = 300
_MOST_THREADS = 4
_MOST_FPS = 1000
_NO_CODEC = re.compile(r"Video: (\S+) \(([^/)]+) /")


@dataclass(frozen=True)
class VideoFacts:
    """What a container says of its video.

    Attributes:
        codec: FFmpeg's name of the codec (``"h264"``).
        container: FFmpeg's names of the container (``"mov,mp4,m4a,3gp,3g2,mj2"``).
        fps: frames a second; 0 where nothing sensible is said.
        frames: how many there are; None where that is not known.
        duration_s: how long it is; None where that is not known, as of what is live.
    """

    codec: str
    container: str
    fps: float
    frames: int | None
    duration_s: float | None


class StreamError(OSError):
    """FFmpeg's own reasons why something cannot be read, beside the system's.

    Attributes:
        kind: PyAV's name of the reason (``"HTTPUnauthorizedError"``, ``"ExitError"``).
    """

    def __init__(self, number: int, words: str, kind: str) -> None:
        super().__init__(number, words)
        self.kind = kind


class VideoReader:
    """A video that is open.

    Args:
        source: a path, an open binary file (which stays open), or an address.
        live: decode for the least delay instead of the highest rate.
        timeout_s: how long opening, and then each read, may take; None for ever.
        options: FFmpeg's options for protocol and container.

    Attributes:
        facts: what the container says.
        damaged: pictures that could not be decoded so far; they are left out.

    Raises:
        ImageError: there is no video that can be decoded; says why, and how to convert it. An
            address is not named in it, since it may have a password.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        *,
        live: bool = False,
        timeout_s: tuple[float, float] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        import av  # late: 40 MB of libraries, which a run without a video does not need

        self._av = av
        self._errors = av.error.FFmpegError
        self._damage = (
            av.error.InvalidDataError,
            av.error.PatchWelcomeError,
            av.error.EOFError,
        )
        self._file: BinaryIO | None = None
        if isinstance(source, Path):
            # By a file of ours, not by its name: that may be no UTF-8, or look like an address.
            source = self._file = source.open("rb")
        self._container: Any = None
        self.damaged = 0
        self._bad_in_a_row = 0
        try:
            self._container = self._open(source, timeout_s, dict(options or {}))
            self._stream = self._best_stream(source)
            self._codec = self._prepare(live)
        except BaseException:
            self.close()
            raise
        self.facts = self._facts()
        self._converter = FrameConverter()
        self._frames = self._decode_all()
        self._frame: Any = None

    def grab(self) -> float | None:
        """Decode the next picture, not yet to pixels.

        Returns:
            Its time in seconds, as the file has it, which may jump in any direction; NaN where
            it has none; None at the end.

        Raises:
            ImageError: nothing can be decoded any more, though there is more.
            OSError: it cannot be read any more, or not in time.
        """
        try:
            self._frame = next(self._frames, None)
        except self._errors as why:
            raise _system_error(why) from None
        if self._frame is None:
            return None
        stamp = self._frame.time
        return float("nan") if stamp is None else float(stamp)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture that was grabbed: (height, width, 3) uint8 B, G, R, upright; a new array."""
        if self._frame is None:
            raise ValueError("no picture was grabbed")
        return self._converter.convert(self._frame)

    def close(self) -> None:
        """Close it; may be called twice."""
        self._frame = None
        container, self._container = self._container, None
        if container is not None:
            container.close()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(
        self, source: Any, timeout_s: tuple[float, float] | None, options: dict[str, str]
    ) -> Any:
        name = "" if isinstance(source, str) else f"{shown_name(_name_of(source))}: "
        started_s = time.monotonic()
        try:
            return self._av.open(
                source, timeout=timeout_s, options=options, metadata_errors="replace"
            )
        except (self._errors, OSError) as why:
            # PyAV seeks to before the beginning of an empty file.
            if not isinstance(why, self._damage) and why.errno != errno.EINVAL:
                raise _system_error(why) from None
            # What a time-out cut short is told as what came until then.
            if timeout_s is not None and time.monotonic() - started_s >= timeout_s[0]:
                raise TimeoutError(errno.ETIMEDOUT, "it did not answer in time") from None
            raise ImageError(
                f"{name}cannot be played as a video",
                hint=f"It is damaged, or no video. {CONVERT_HINT}",
            ) from None

    def _best_stream(self, source: Any) -> Any:
        streams = self._container.streams
        stream = streams.best("video") or next(iter(streams.video), None)
        name = "" if isinstance(source, str) else f"{shown_name(_name_of(source))}: "
        if stream is None:
            kinds = ", ".join(sorted({one.type for one in streams})) or "nothing"
            raise ImageError(
                f"{name}has no picture, only {kinds}", hint="Choose a video, a picture or a camera."
            )
        if stream.codec_context is None:
            raise ImageError(
                f"{name}is a video in {self._codec_words(source)}, which is not decoded here",
                hint=CONVERT_HINT,
            )
        return stream

    def _prepare(self, live: bool) -> Any:
        stream, codec = self._stream, self._stream.codec_context
        width, height = codec.width, codec.height
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise ImageError(
                f"its pictures have {width}×{height} pixels, expected sides of at most {MAX_SIDE} "
                f"and at most {MAX_PIXELS // 1_000_000} million pixels",
                hint=CONVERT_HINT,
            )
        if stream.metadata.get("alpha_mode") == "1" and codec.name in ("vp8", "vp9"):
            # FFmpeg's own decoders leave the second picture out, in which alpha lies.
            with contextlib.suppress(ValueError, self._errors):
                codec = self._av.CodecContext.create(f"libvpx{'-vp9' * (codec.name == 'vp9')}", "r")
        # Threads by picture add a picture of delay each.
        codec.thread_type = "SLICE" if live else "AUTO"
        codec.thread_count = _MOST_THREADS
        for other in self._container.streams:
            if other is not stream:
                other.discard = "ALL"
        return codec

    def _facts(self) -> VideoFacts:
        stream, container = self._stream, self._container
        said = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((float(one) for one in said if one and 0 < one <= _MOST_FPS), 0.0)
        duration_s = container.duration / self._av.time_base if container.duration else None
        if not duration_s and stream.duration:
            duration_s = float(stream.duration * stream.time_base)
        return VideoFacts(
            codec=self._codec.name,
            container=container.format.name,
            fps=rate,
            frames=stream.frames or None,
            duration_s=duration_s if duration_s and duration_s > 0 else None,
        )

    def _decode_all(self) -> Iterator[Any]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                self._bad_in_a_row = 0
                yield from self._converter.progressive(frame)
        yield from self._converter.rest()

    def _packets(self) -> Iterator[Any]:
        """The container's packets, then an empty one; damage in between is passed over."""
        while True:
            try:
                yield from self._container.demux(self._stream)
                return
            except self._av.error.InvalidDataError:
                self._count_damage()

    def _decoded(self, packet: Any) -> list[Any]:
        # The last packet is empty; it has the time base for what comes out at the end.
        try:
            return list(self._codec.decode(packet))
        except self._av.error.EOFError:
            return []
        except self._damage:
            if packet.size:
                self._count_damage()
            return []

    def _count_damage(self) -> None:
        self.damaged += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row > _MOST_ERRORS:
            raise ImageError(
                f"cannot be played on: {_MOST_ERRORS} pictures in a row could not be decoded",
                hint=CONVERT_HINT,
            )

    def _codec_words(self, source: Any) -> str:
        """What is known of a codec without a decoder, for display."""
        tag = ""
        if not isinstance(source, str):
            tag = _said_tag(self._av, source) or _sample_entry(source)
        return f"the codec {tag!r}" if tag else "a codec that is not known"


def _system_error(why: Exception) -> OSError:
    """The error without the address, which PyAV puts into it along with the password."""
    number, words = getattr(why, "errno", 0) or 0, getattr(why, "strerror", "") or "unknown"
    if isinstance(why, OSError):
        return OSError(number, words)  # the system's own class, by its number
    return StreamError(number, words, type(why).__name__)


def _name_of(source: Any) -> str:
    name = getattr(source, "name", source)
    return Path(name).name if isinstance(name, str) else "the file"


def _said_tag(av: Any, source: BinaryIO) -> str:
    """The codec's tag as FFmpeg tells it, which PyAV has no attribute for."""
    level = av.logging.get_level()
    source.seek(0)
    try:
        with av.logging.Capture() as told:
            av.logging.set_level(av.logging.WARNING)
            av.open(source).close()
    except av.error.FFmpegError:
        return ""
    finally:
        av.logging.set_level(level)
    found = _NO_CODEC.search(" ".join(line for *_, line in told))
    if found is None:
        return ""
    return found[1] if found[1] != "none" else found[2].strip()


def _sample_entry(source: BinaryIO) -> str:
    """The four letters in an ISO file's sample description (ISO 14496-12, 8.5.2)."""
    source.seek(0)
    data = source.read(1 << 20)
    source.seek(-min(source.seek(0, 2), 1 << 20), 2)
    data += source.read(1 << 20)
    at = data.find(b"stsd")
    tag = data[at + 16 : at + 20] if at >= 0 else b""
    return tag.decode("ascii", "replace") if tag.isalnum() else ""
