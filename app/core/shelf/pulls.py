"""Fetching models along with everything else: one thread each, looked at when somebody wants to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.engine.errors import (
    CancelledError,
    DownloadCancelledError,
    DownloadError,
    TwinlensError,
)
from twinlens.models.catalog.cards import Card
from twinlens.models.catalog.store import Store

if TYPE_CHECKING:
    from twinlens.models.catalog.pull import Outcome

_log = logging.getLogger(__name__)


def _pull(*args: Any, **options: Any) -> Outcome:
    """Fetch as ``models.catalog.pull.pull`` does, imported when something is fetched."""
    from twinlens.models.catalog.pull import pull

    return pull(*args, **options)


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
        workers: the owner of their threads; None makes one.
    """

    def __init__(
        self,
        store: Store,
        fetch: Callable[..., Outcome] = _pull,
        workers: Workers | None = None,
    ) -> None:
        self._owner = workers or Workers()
        self._store, self._fetch = store, fetch
        self._lock = threading.Lock()
        self._progress: dict[str, PullProgress] = {}
        self._finished: list[Finished] = []
        self._workers: dict[str, Worker] = {}

    def start(self, card: Card) -> None:
        """Begin to fetch a model, unless it is being fetched."""
        with self._lock:
            if card.id in self._progress:
                return
            self._progress[card.id] = PullProgress(total=card.bytes)
            # A mirror that says nothing does not keep the app from ending: what has arrived is on
            # the disk and is gone on with.
            self._workers[card.id] = self._owner.start(
                f"twinlens-pull-{card.id}", partial(self._run, card)
            )

    def stop(self, model: str) -> None:
        """Ask a download to stop; what has arrived is kept."""
        with self._lock:
            now = self._progress.get(model)
            if now is not None:
                self._progress[model] = PullProgress(now.done, now.total, stopping=True)
                self._workers[model].request_stop()

    def progress(self) -> dict[str, PullProgress]:
        """Downloads that are going on, by card id."""
        with self._lock:
            return dict(self._progress)

    def take_finished(self) -> list[Finished]:
        """Downloads that have ended since the last call."""
        with self._lock:
            finished, self._finished = self._finished, []
            return finished

    def request_stop(self) -> None:
        """Ask all downloads to stop."""
        for model in self.progress():
            self.stop(model)

    def _run(self, card: Card, token: CancelToken) -> None:
        try:
            outcome = self._fetch(
                card,
                self._store,
                progress=lambda done, total: self._record_progress(card, done, total),
                cancelled=lambda: token.cancelled,
            )
            finished = Finished(card, outcome)
        except CancelledError:
            # Between the pieces, while what has arrived is checked or unpacked.
            finished = Finished(card, error=DownloadCancelledError(f"{card.id}: stopped"))
        except TwinlensError as error:
            finished = Finished(card, error=error)
        except Exception as error:  # noqa: BLE001 - this thread's boundary; the person is shown it
            _log.exception("fetching %s failed unexpectedly", card.id)
            why = f"{card.id} cannot be fetched: {type(error).__name__}: {error}"
            finished = Finished(card, error=DownloadError(why))
        with self._lock:
            del self._progress[card.id], self._workers[card.id]
            self._finished.append(finished)

    def _record_progress(self, card: Card, done: int, total: int) -> None:
        with self._lock:
            stopping = self._progress[card.id].stopping
            self._progress[card.id] = PullProgress(done, total or card.bytes, stopping)
