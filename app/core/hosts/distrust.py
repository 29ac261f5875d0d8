"""Models that ended the process of their engine, remembered by their contents for a day."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from twinlens.app.core.hosts.engines import Stopped
from twinlens.app.core.session.engines import engine_title
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import DistrustedError
from twinlens.engine.files import write_whole

_log = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
_MOST = 64
_CHUNK = 1 << 20
_WELL = 2
"""So many answers, and the model is not the first that one would suspect."""


@dataclass(frozen=True)
class _Case:
    """What is remembered: bytes of the model, when it was, why, and how often it counts."""

    size: int
    when_s: float
    why: str
    strikes: int


class Distrust:
    """What ended its host within the last day, each model on each engine by itself.

    A host that ends before it has answered tells against the model at once; one that ends later
    may have had bad luck, and counts from the second time on; one that somebody else ended does
    not count. A model is known by its size and, where one of that size is remembered, by its
    SHA-256: other models are not read for it.

    Args:
        file: where it is kept; None only in memory.
        clock: seconds since 1970.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        self._lock = threading.Lock()
        self._known: dict[str, _Case] = _read(file)

    def check(self, network: Network, engine_id: str) -> None:
        """Refuse a model that ended its host on that engine; raises DistrustedError."""
        with self._lock:
            self._forget_old()
            guilty = {key: case for key, case in self._known.items() if case.strikes > 1}
        if not any(case.size == _size(network) for case in guilty.values()):
            return
        case = guilty.get(_key(network, engine_id))
        if case is not None:
            raise DistrustedError(
                f"{network.spec.title} stopped {engine_title(engine_id)} today: its process "
                f"{case.why}",
                hint="It may do so again.",
            )

    def add(self, stopped: Stopped) -> None:
        """Remember what ended a host."""
        if stopped.from_outside:
            return
        network = stopped.network
        new = _Case(_size(network), self._clock(), stopped.why, 1 if stopped.answers > _WELL else 2)
        with contextlib.suppress(OSError), self._lock:
            self._forget_old()
            key = _key(network, stopped.engine_id)
            before = self._known.get(key)
            self._known[key] = new if before is None else replace(new, strikes=2)
            while len(self._known) > _MOST:
                del self._known[min(self._known, key=lambda key: self._known[key].when_s)]
            self._write()

    def forgive(self, network: Network) -> None:
        """Let a model run again, on every engine, since a person wants it."""
        with contextlib.suppress(OSError), self._lock:
            digest = _digest(network)
            mine = [key for key in self._known if key.partition(" ")[0] == digest]
            for key in mine:
                del self._known[key]
            if mine:
                self._write()

    def _forget_old(self) -> None:
        """The lock is held. A clock that was set back remembers nothing of what is to come."""
        now_s = self._clock()
        self._known = {k: c for k, c in self._known.items() if abs(now_s - c.when_s) < DAY_S}

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({key: astuple(case) for key, case in self._known.items()})
            write_whole(self._file, text.encode())
        except OSError as why:
            _log.info("what stopped an engine cannot be kept: %s", why)


def _read(file: Path | None) -> dict[str, _Case]:
    if file is None:
        return {}
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(key): _Case(int(size), float(when_s), str(why), int(strikes))
            for key, (size, when_s, why, strikes) in known.items()
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


def _key(network: Network, engine_id: str) -> str:
    return f"{_digest(network)} {engine_id}"


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
