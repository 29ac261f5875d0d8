"""A source that plays in a process of its own, so that a fault of a decoder or driver ends that."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from twinlens.app.core.hosts.arena import ALIGN, Arena, ArenaClosedError
from twinlens.app.core.hosts.messages import MessageError, Record, field
from twinlens.app.core.hosts.process import HostGoneError, HostProcess
from twinlens.app.core.session.meters import percentile
from twinlens.app.core.session.source import Source, SourceInfo
from twinlens.app.core.session.turning import Turns
from twinlens.app.core.session.types import Frame
from twinlens.engine.errors import CancelledError, SourceError
from twinlens.engine.image import PixelBuffer, PixelFormat

if TYPE_CHECKING:
    from twinlens.app.sources import SourceOptions

_log = logging.getLogger(__name__)

StartHost = Callable[[], HostProcess]
"""Starts a host for a source; raises OSError."""

FACTOR = 10
_FLOORS_S = {"camera": 2.0, "stream": 8.0}
_FLOOR_S = 5.0
_INTERRUPTED_S = 0.3
_CLOSED_S = 0.5
_MOST_SLOTS = 12
_TIMED = 31


class HostedSource:
    """A source in a host; see ``Source``.

    The pixels of a frame lie in memory that both processes see. A place is written to again only
    when nothing here refers to it any more, so that a frame never changes.

    Args:
        source: the same, in this process: for its title, and where no host can be started.
        text: what the host makes it of, see ``open_source``.
        options: likewise.
        start: starts a host.
    """

    def __init__(self, source: Source, text: str, options: SourceOptions, start: StartHost) -> None:
        self._inner, self._text, self._options, self._start = source, text, options, start
        self.title = source.title
        self.host: HostProcess | None = None
        self._places: Places | None = None
        self._interrupted = False
        self._changed = threading.Lock()
        self._here = False
        self._memory: Record = {}
        self._kind = ""
        self._gaps: deque[float] = deque(maxlen=_TIMED)
        self._last_s = 0.0

    def open(self) -> SourceInfo:
        """Open it in its host.

        Raises:
            SourceError: it does not deliver, or its host has ended; says why.
            CancelledError: its host was ended on purpose.
        """
        try:
            host = self._start()
        except OSError as why:
            _log.warning("no process for %s (%s): it plays in this one", self.title, why)
            self._here = True
            return self._inner.open()
        with self._changed:
            self.host = host
            if self._interrupted:
                host.end(on_purpose=True)
        self._places = None if host.arena is None else Places(host.arena)
        self._gaps.clear()
        self._last_s = 0.0
        options = self._options
        record, _ = self._ask(
            "open",
            {
                "text": self._text,
                "realtime": options.realtime,
                "loop": options.loop,
                "size": options.size,
                "fps": options.fps,
                "memory": self._memory,
            },
        )
        try:
            self._memory = field(record, "memory", dict)
            info = SourceInfo(**field(record, "info", dict))
        except TypeError as why:
            raise SourceError(f"{self.title}: {why}") from why
        self._kind = info.kind
        return info

    def read(self) -> Frame | None:
        """Next frame; None at its end, or when it was interrupted.

        Raises:
            SourceError: it failed, or its host has ended; says why.
            CancelledError: its host was ended on purpose, and not by ``interrupt``.
        """
        if self._here:
            return self._inner.read()
        if self.host is None or self._is_interrupted():
            return None
        try:
            frame = self._next()
        except (CancelledError, SourceError):
            if self._is_interrupted():
                return None
            raise
        now_s = time.perf_counter()
        if self._last_s:
            self._gaps.append(now_s - self._last_s)
        self._last_s = now_s
        return frame

    @property
    def goes_back(self) -> bool:
        """Whether it takes steps back as well, see ``Turns``."""
        return isinstance(self._inner, Turns) and self._inner.goes_back

    def turn(self, by: int) -> bool:
        """Go by steps, see ``Turns``.

        Raises:
            SourceError: it failed, or its host has ended; says why.
            CancelledError: its host was ended on purpose.
        """
        if self._here:
            return isinstance(self._inner, Turns) and self._inner.turn(by)
        return field(self._ask("turn", {"by": by})[0], "moved", bool)

    def interrupt(self) -> None:
        """End what it is at; where that does not help at once, the host is ended."""
        if self._here:
            self._inner.interrupt()
        with self._changed:
            self._interrupted, host = True, self.host
        if host is not None:
            host.tell("interrupt")
            host.end_soon(_INTERRUPTED_S)

    def close(self) -> None:
        """Release the device or file, and end the host."""
        self._inner.close()
        with self._changed:
            host, self.host = self.host, None
        if host is None:
            return
        with contextlib.suppress(HostGoneError, SourceError):
            # A server and a driver are told, if that is possible soon.
            if host.alive:
                host.end_soon(_CLOSED_S)
                host.ask("close")
        host.end(on_purpose=True)

    @property
    def limit_s(self) -> float | None:
        """After how long a frame is overdue, by those so far; None before there are any."""
        if len(self._gaps) < 2:
            return None
        usual_s = percentile(sorted(self._gaps), 50)
        return _FLOORS_S.get(self._kind, _FLOOR_S) + FACTOR * usual_s

    def _is_interrupted(self) -> bool:
        """Whether another thread has interrupted it."""
        return self._interrupted

    def _next(self) -> Frame | None:
        try:
            return self._delivered()
        except ArenaClosedError:
            self._ask("read", {})  # its host has ended: this raises how
            raise
        except (MessageError, MemoryError, ValueError) as why:
            raise SourceError(f"{self.title}: {why}") from why

    def _delivered(self) -> Frame | None:
        places = self._places
        while True:
            fields = places.offer() if places is not None else {}
            record, payload = self._ask("read", fields, limit_s=self.limit_s)
            if record.get("end"):
                return None
            size = field(record, "bytes", int)
            if "frame" in record:
                break
            if places is not None:
                places.enlarge(size)
        data = np.frombuffer(payload, np.uint8) if places is None else places.take(size)
        data.flags.writeable = False
        return _frame(field(record, "frame", dict), data)

    def _ask(
        self, op: str, fields: Record, *, limit_s: float | None = None
    ) -> tuple[Record, bytearray]:
        host = self.host
        if host is None:
            raise SourceError(f"{self.title} is closed")
        try:
            return host.ask(op, fields, limit_s=limit_s)
        except HostGoneError as gone:
            if gone.ended_by_us:
                raise CancelledError(f"{self.title}: nobody waits for it any more") from gone
            raise SourceError(
                f"{self.title}: its process {gone.why}", hint="The file or device may be at fault."
            ) from gone
        except (MessageError, MemoryError, ValueError) as why:
            raise SourceError(f"{self.title}: {why}") from why


class Places:
    """Places for frames in shared memory, each given out while nothing refers to it.

    Args:
        arena: the memory.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._room = self._count = self._end = 0
        self._free: deque[int] = deque()
        self._offered: int | None = None

    def offer(self) -> Record:
        """The place that the next frame may take, as a request has it."""
        if self._offered is None and self._room:
            self._offered = self._free.popleft() if self._free else self._another()
        at = self._offered
        return {
            "at": at or 0,
            "room": self._room if at is not None else 0,
            "size": self._arena.size,
        }

    def enlarge(self, size: int) -> None:
        """Let places have so many bytes; the smaller ones are forgotten as they come back."""
        self._room = -(-size // ALIGN) * ALIGN
        self._free = deque()
        self._offered, self._count = None, 0

    def take(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The frame that was put where ``offer`` said; the place comes back with its last view."""
        at, self._offered = self._offered, None
        if at is None:
            raise MessageError("a frame came that was given no place")
        data = self._arena.bytes_at(at, size)
        if self._count > _MOST_SLOTS:
            # Somebody keeps many of them: those are theirs, in memory of this process alone.
            self._free.append(at)
            return data.copy()
        weakref.finalize(data, self._free.append, at).atexit = False
        return data

    def _another(self) -> int:
        at, self._end = self._end, self._end + self._room
        self._count += 1
        self._arena.reserve(self._end)
        return at


def _frame(record: Record, data: np.ndarray[Any, np.dtype[np.uint8]]) -> Frame:
    whole, number = int, float
    buffer = PixelBuffer(
        data,
        PixelFormat(field(record, "format", str)),
        field(record, "width", whole),
        field(record, "height", whole),
        field(record, "stride", whole),
        field(record, "orientation", whole),
        field(record, "timestamp_s", number),
    )
    return Frame(
        buffer,
        field(record, "index", whole),
        field(record, "captured_s", number),
        field(record, "t_s", number),
        damaged=field(record, "damaged", whole),
        remark=field(record, "remark", str),
        scene=field(record, "scene", whole),
    )
