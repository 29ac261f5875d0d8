"""A source in a host: opens it, reads it, and puts its frames where it is told.

One thread receives, another one works: a ``read`` that is blocked can so be interrupted, and the
process ends with its parent whatever the source is at.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.hosts.arena import Arena
from twinlens.app.core.hosts.child import Link
from twinlens.app.core.hosts.messages import Record, field
from twinlens.app.core.hosts.records import error_record
from twinlens.app.core.session.source import Source
from twinlens.app.core.session.turning import Turns
from twinlens.app.core.session.types import Frame
from twinlens.app.sources import open_source
from twinlens.app.sources.room import room_for_frames
from twinlens.engine.errors import SourceError, TwinlensError

_log = logging.getLogger(__name__)


def serve(link: Link) -> None:
    """Answer until nobody asks any more."""
    child = SourceChild(link)
    threading.Thread(target=child.work, name="twinlens-source", daemon=True).start()
    link.ready()
    while (message := link.next()) is not None:
        child.take(message[0])


class SourceChild:
    """One source, and what is asked of it.

    Args:
        link: to whoever asks.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        handle = link.settings.arena
        self._arena = Arena.join(handle) if handle else None
        self._asked: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._source: Source | None = None
        self._pending: Frame | None = None
        self._acts: dict[str, Callable[[Record], tuple[Record, bytes]]] = {
            "open": self._open,
            "read": self._read,
            "turn": self._turn,
            "close": self._close,
        }

    def take(self, record: Record) -> None:
        """Take a request; one to interrupt is heard at once."""
        if record.get("op") == "interrupt":
            if self._source is not None:
                self._source.interrupt()
            return
        self._asked.put(record)

    def work(self) -> None:
        """Answer what is asked, in its order; for ever."""
        while True:
            record = self._asked.get()
            self._link.begin()
            try:
                done, payload = self._acts[field(record, "op", str)](record)
            except TwinlensError as error:
                self._link.refuse(record, error_record(error))
            except Exception as error:  # noqa: BLE001
                # A driver's or a decoder's fault: the process's boundary.
                _log.exception("%s failed unexpectedly", record.get("op"))
                text = f"failed unexpectedly: {type(error).__name__}: {error}"
                self._link.refuse(record, error_record(SourceError(text)))
            else:
                self._link.answer(record, done, payload)
            self._link.rest()

    def _open(self, record: Record) -> tuple[Record, bytes]:
        size, fps = record.get("size"), record.get("fps")
        self._source = open_source(
            field(record, "text", str),
            realtime=field(record, "realtime", bool),
            loop=field(record, "loop", bool),
            size=(int(size[0]), int(size[1])) if size else None,
            fps=None if fps is None else float(fps),
        )
        if isinstance(self._source, Remembers):
            self._source.recall(field(record, "memory", dict))
        info = asdict(self._source.open())
        memory = dict(self._source.memory) if isinstance(self._source, Remembers) else {}
        return {"info": info, "memory": memory}, b""

    def _read(self, record: Record) -> tuple[Record, bytes]:
        if self._source is None:
            return {"end": True}, b""
        room = self._room(record)
        frame, self._pending = self._pending or self._next(self._source, room), None
        if frame is None:
            return {"end": True}, b""
        data = frame.buffer.data
        done: Record = {"frame": frame_record(frame), "bytes": data.nbytes}
        if room is None:
            return done, data.tobytes()
        if data.nbytes > room.size:
            self._pending = frame  # asked for again, with more room
            return {"bytes": data.nbytes}, b""
        if data.ctypes.data != room.ctypes.data:  # it is not there already
            room[: data.nbytes] = data
        return done, b""

    def _turn(self, record: Record) -> tuple[Record, bytes]:
        source: object = self._source
        moved = isinstance(source, Turns) and source.turn(field(record, "by", int))
        if moved:
            self._pending = None
        return {"moved": moved}, b""

    def _next(self, source: Source, room: NDArray[np.uint8] | None) -> Frame | None:
        if room is None:
            return source.read()
        with room_for_frames(room):
            return source.read()

    def _room(self, record: Record) -> NDArray[np.uint8] | None:
        """Where the frame goes; None where it goes through the pipe."""
        if self._arena is None:
            return None
        self._arena.follow(field(record, "size", int))
        size = field(record, "room", int)
        if not size:
            return np.empty(0, np.uint8)
        return self._arena.bytes_at(field(record, "at", int), size)

    def _close(self, record: Record) -> tuple[Record, bytes]:
        del record
        source, self._source = self._source, None
        if source is not None:
            source.close()
        return {}, b""


@runtime_checkable
class Remembers(Protocol):
    """A source that, once it was open, is found again though its text means another by then."""

    @property
    def memory(self) -> Mapping[str, Any]:
        """What it is found again by, as plain values."""
        ...

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Be what another one of the same text was; before it is opened."""
        ...


def frame_record(frame: Frame) -> Record:
    """All of a frame but its pixels."""
    buffer = frame.buffer
    record: dict[str, Any] = {name: getattr(buffer, name) for name in BUFFER}
    record |= {name: getattr(frame, name) for name in FRAME}
    return record | {"format": buffer.format.value, "pid": os.getpid()}


BUFFER = ("width", "height", "stride", "orientation", "timestamp_s")
FRAME = ("index", "captured_s", "t_s", "damaged", "remark", "scene")
