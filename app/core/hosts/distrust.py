"""Models that ended the process of their engine, remembered by their contents for a day."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import DistrustedError
from twinlens.engine.files import write_whole

_log = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
_MOST = 64
_CHUNK = 1 << 20


class Distrust:
    """What ended its host within the last day.

    A model is known by its size and, where one of that size is remembered, by its SHA-256: other
    models are not read for it.

    Args:
        file: where it is kept; None only in memory.
        clock: seconds since 1970.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, float, str]] = _read(file)

    def check(self, network: Network) -> None:
        """Refuse a model that ended its host; raises DistrustedError."""
        now_s = self._clock()
        with self._lock:
            # A clock that was set back by more than a day remembers nothing of what is to come.
            fresh = {k: v for k, v in self._known.items() if abs(now_s - v[1]) < DAY_S}
            self._known = fresh
        if not any(size == _size(network) for size, _, _ in fresh.values()):
            return
        known = fresh.get(_digest(network))
        if known is not None:
            raise DistrustedError(
                f"{network.spec.title} stopped its engine today: it {known[2]}",
                hint="It may do so again.",
            )

    def add(self, network: Network, why: str) -> None:
        """Remember a model that ended its host."""
        with contextlib.suppress(OSError), self._lock:
            self._known[_digest(network)] = (_size(network), self._clock(), why)
            while len(self._known) > _MOST:
                del self._known[min(self._known, key=lambda key: self._known[key][1])]
            self._write()

    def forgive(self, network: Network) -> None:
        """Let a model run again, since a person wants it."""
        with contextlib.suppress(OSError), self._lock:
            if self._known.pop(_digest(network), None) is not None:
                self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(self._known).encode())
        except OSError as why:
            _log.info("what stopped an engine cannot be kept: %s", why)


def _read(file: Path | None) -> dict[str, tuple[int, float, str]]:
    if file is None:
        return {}
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(key): (int(size), float(when_s), str(why))
            for key, (size, when_s, why) in known.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _files(network: Network) -> list[Path]:
    path = network.path
    if path is None:
        return []
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _size(network: Network) -> int:
    try:
        return sum(path.stat().st_size for path in _files(network))
    except OSError:
        return -1


def _digest(network: Network) -> str:
    """Of its files' contents; of its title where it lies nowhere. Raises OSError."""
    digest = hashlib.sha256()
    for path in _files(network):
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                digest.update(part)
    if network.path is None:
        digest.update(network.spec.title.encode())
    return digest.hexdigest()
