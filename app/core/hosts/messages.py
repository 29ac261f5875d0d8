"""Messages between this process and a host: a small JSON record, and bytes that go with it.

A message is two lengths (little-endian, 32 bits: record, bytes), the record as UTF-8 JSON, and the
bytes. Nothing in it is run: a record holds texts, numbers, lists and records, and whoever reads one
takes out of it what it expects, by ``field``.
"""

from __future__ import annotations

import contextlib
import io
import json
import struct
import threading
from collections.abc import Mapping
from typing import Any, TypeVar

VERSION = 1
"""Of what the records mean; a host says its own first."""

Record = dict[str, Any]
T = TypeVar("T")

_HEAD = struct.Struct("<II")
_MOST_RECORD = 1 << 22
_TOGETHER = 1 << 16


class MessageError(Exception):
    """What came is no message, or not the one that was expected."""


class Wire:
    """Sends and receives messages over two pipes. One thread receives; any may send.

    Args:
        incoming: read from; a file descriptor, which is closed with the wire.
        outgoing: written to; likewise.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = io.FileIO(incoming, "r")
        self._outgoing = io.FileIO(outgoing, "w")
        self._sending = threading.Lock()

    def send(self, record: Mapping[str, Any], payload: bytes | memoryview = b"") -> None:
        """Send a message; waits while the pipe is full.

        Raises:
            OSError: nobody reads it any more.
        """
        text = json.dumps(record, separators=(",", ":")).encode()
        size = memoryview(payload).nbytes
        head = _HEAD.pack(len(text), size) + text
        with self._sending:
            if size <= _TOGETHER:
                self._write(head + bytes(payload))
            else:
                self._write(head)
                self._write(payload)

    def receive(self) -> tuple[Record, bytearray] | None:
        """Wait for a message; None when the other side has gone.

        Raises:
            MessageError: what came is none.
        """
        head = self._read(_HEAD.size)
        if head is None:
            return None
        length, size = _HEAD.unpack(head)
        if length > _MOST_RECORD:
            raise MessageError(f"a record of {length} bytes, expected at most {_MOST_RECORD}")
        text, payload = self._read(length), self._read(size)
        if text is None or payload is None:
            return None
        try:
            record = json.loads(text)
        except ValueError as why:
            raise MessageError(f"a record that is no JSON: {why}") from why
        if not isinstance(record, dict):
            raise MessageError(f"a record of {type(record).__name__}, expected fields by name")
        return record, payload

    def close(self) -> None:
        """Close both pipes; nobody may be receiving."""
        for pipe in (self._outgoing, self._incoming):
            with contextlib.suppress(OSError):
                pipe.close()

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data).cast("B")
        while left.nbytes:
            left = left[self._outgoing.write(left) or 0 :]

    def _read(self, size: int) -> bytearray | None:
        data = bytearray(size)
        left = memoryview(data)
        while left.nbytes:
            try:
                count = self._incoming.readinto(left)
            except OSError:
                count = 0
            if not count:
                return None
            left = left[count:]
        return data


def field(record: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field of a record, of that type.

    Raises:
        MessageError: it is missing, or of another type; names both.
    """
    value = record.get(name)
    if kind is float and isinstance(value, int):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MessageError(f"{name}: {value!r}, expected {kind.__name__}")
    return value
