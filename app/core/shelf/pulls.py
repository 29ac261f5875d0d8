"""Fetching models beside everything else: one thread each, looked at when somebody wants to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from twinlens.engine.errors import DownloadError, TwinlensError
from twinlens.models.catalog.cards import Card
from twinlens.models.catalog.pull import Outcome, pull
from twinlens.models.catalog.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PullProgress:
    """How far a download is.

    Attributes:
        done: bytes that are here.
        total: bytes in all; 0 while that is not known.
        stopping: whether it was asked to stop.
    """

    done: int = 0
    total: int = 0
    stopping: bool = False


@dataclass(frozen=True)
class Finished:
    """A download that has ended.

    Attributes:
        card: what was fetched.
        outcome: what became of it; None where it failed.
        error: why it failed; None where it did not.
    """

    card: Card
    outcome: Outcome | None = None
    error: TwinlensError | None = None


class Pulls:
    """Downloads that are going on. All methods return at once.

    Args:
        store: where models are put.
        fetch: does the work, as ``models.pull.pull`` does.
    """

    def __init__(self, store: Store, fetch: Callable[..., Outcome] = pull) -> None:
        self._store, self._fetch = store, fetch
        self._lock = threading.Lock()
        self._progress: dict[str, PullProgress] = {}
        self._finished: list[Finished] = []
        self._stops: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def start(self, card: Card) -> None:
        """Begin to fetch a model, unless it is being fetched."""
        with self._lock:
            if card.id in self._progress:
                return
            self._progress[card.id] = PullProgress(total=card.bytes)
            self._stops[card.id] = threading.Event()
        # A daemon: a mirror that says nothing must not keep the app from ending. What has
        # arrived is on the disk and is gone on with.
        name = f"twinlens-pull-{card.id}"
        thread = threading.Thread(target=self._run, args=(card,), name=name, daemon=True)
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        thread.start()

    def stop(self, model: str) -> None:
        """Ask a download to stop; what has arrived is kept."""
        with self._lock:
            now = self._progress.get(model)
            if now is not None:
                self._progress[model] = PullProgress(now.done, now.total, stopping=True)
                self._stops[model].set()

    def progress(self) -> dict[str, PullProgress]:
        """Downloads that are going on, by card id."""
        with self._lock:
            return dict(self._progress)

    def take_finished(self) -> list[Finished]:
        """Downloads that have ended since the last call."""
        with self._lock:
            finished, self._finished = self._finished, []
            return finished

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop all downloads, and wait a moment for them."""
        for model in self.progress():
            self.stop(model)
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _run(self, card: Card) -> None:
        try:
            outcome = self._fetch(
                card,
                self._store,
                progress=lambda done, total: self._tell(card, done, total),
                cancelled=self._stops[card.id].is_set,
            )
            finished = Finished(card, outcome)
        except TwinlensError as error:
            finished = Finished(card, error=error)
        except Exception as error:  # noqa: BLE001 - this thread's boundary; the person is told
            _log.exception("fetching %s failed unexpectedly", card.id)
            why = f"{card.id} cannot be fetched: {type(error).__name__}: {error}"
            finished = Finished(card, error=DownloadError(why))
        with self._lock:
            del self._progress[card.id], self._stops[card.id]
            self._finished.append(finished)

    def _tell(self, card: Card, done: int, total: int) -> None:
        with self._lock:
            stopping = self._progress[card.id].stopping
            self._progress[card.id] = PullProgress(done, total or card.bytes, stopping)
