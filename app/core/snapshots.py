"""What is shown, computed on a thread of its own and handed over as records that never change.

A window asks for a snapshot by a name; another thread computes it, and the window is notified that
there is something to take. Of each name one computation waits at most: a newer request takes its
place. What is being computed is still delivered, so that what changes faster than it can be
computed is shown all the same. ::

    snapshots = Snapshots(notify)                # notify: emit a signal over a queued connection
    snapshots.ask("wizard", partial(wizard_view, answers), sheet.show_view)
    ...
    snapshots.deliver()                          # on the window's thread, once per ``notify``

What is computed gets values that nobody changes, and gives one: frozen records, tuples, arrays that
are not written to any more. It touches no widget. Computations wait for each other, so those that
read files stand on ``Snapshots`` of their own: a disk that does not answer holds up its own kind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twinlens.app.core.workers import CancelToken, Worker, Workers

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request; ``era`` marks those that were forgotten."""

    key: str
    era: int
    compute: Callable[[], Any]
    show: Callable[[Any], object]
    failed: Callable[[Exception], object] | None


@dataclass(frozen=True, eq=False)
class _Done:
    asked: _Asked
    outcome: Any
    error: Exception | None


class Snapshots:
    """Named computations on one thread; the newest of each name wins.

    Args:
        notify: called from that thread when there is something for ``deliver``, and not again
            before ``deliver`` was called. It must neither block nor raise.
        name: of the thread, which starts with the first request.
        workers: who owns the thread; None means nobody else.
    """

    def __init__(
        self,
        notify: Callable[[], None],
        name: str = "twinlens-snapshots",
        workers: Workers | None = None,
    ) -> None:
        self._notify, self._name = notify, name
        self._workers = workers or Workers()
        self._changed = threading.Condition()
        self._waiting: dict[str, _Asked] = {}
        self._ready: dict[str, _Done] = {}
        self._eras: dict[str, int] = {}
        self._running: _Asked | None = None
        self._notified = self._stopping = False
        self._worker: Worker | None = None

    def ask(
        self,
        key: str,
        compute: Callable[[], T],
        show: Callable[[T], object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Have something computed, in place of what waits under the same name; returns at once.

        Args:
            key: its name.
            compute: called on the other thread.
            show: called by ``deliver`` with what it gave.
            failed: called by ``deliver`` with what it raised; None only logs it.
        """
        with self._changed:
            if self._stopping:
                return
            self._waiting[key] = _Asked(key, self._eras.get(key, 0), compute, show, failed)
            if self._worker is None:
                self._worker = self._workers.start(self._name, self._run, wake=self._wake)
            self._changed.notify_all()

    def forget(self, key: str) -> None:
        """Deliver nothing that was asked for under that name until now."""
        with self._changed:
            self._eras[key] = self._eras.get(key, 0) + 1
            self._waiting.pop(key, None)
            self._ready.pop(key, None)

    def pending(self, key: str) -> bool:
        """Whether something under that name waits, is computed, or is yet to be delivered."""
        with self._changed:
            running = self._running is not None and self._holds(self._running, key)
            return running or key in self._waiting or key in self._ready

    def deliver(self) -> None:
        """Show what is ready, on the caller's thread; also when showing one of it raises."""
        with self._changed:
            self._notified = False
        while (done := self._take()) is not None:
            try:
                _show(done)
            finally:
                # Should it raise, the others are shown by the next call.
                with self._changed:
                    self._notify_if_ready()

    def request_stop(self) -> None:
        """Compute and deliver nothing more; returns at once."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._ready.clear()
            worker = self._worker
        if worker is not None:
            worker.request_stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when time is up."""
        worker = self._worker
        return worker is None or worker.join(time.monotonic() + timeout_s)

    def _take(self) -> _Done | None:
        with self._changed:
            return self._ready.pop(next(iter(self._ready))) if self._ready else None

    def _notify_if_ready(self) -> None:
        """Notify that there is something to take, once; the lock is held."""
        if self._ready and not self._notified:
            self._notified = True
            self._notify()

    def _holds(self, asked: _Asked, key: str) -> bool:
        return asked.key == key and asked.era == self._eras.get(key, 0)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self, token: CancelToken) -> None:
        while (asked := self._next(token)) is not None:
            done = _compute(asked)
            with self._changed:
                self._running = None
                if self._holds(asked, asked.key) and not token.cancelled:
                    self._ready[asked.key] = done
                    self._notify_if_ready()

    def _next(self, token: CancelToken) -> _Asked | None:
        with self._changed:
            self._changed.wait_for(lambda: token.cancelled or bool(self._waiting))
            if token.cancelled:
                return None
            self._running = self._waiting.pop(next(iter(self._waiting)))
            return self._running


def _compute(asked: _Asked) -> _Done:
    try:
        return _Done(asked, asked.compute(), None)
    except Exception as error:  # noqa: BLE001 - shown by whoever asked, whatever it is
        return _Done(asked, None, error)


def _show(done: _Done) -> None:
    asked = done.asked
    if done.error is None:
        asked.show(done.outcome)
    elif asked.failed is not None:
        asked.failed(done.error)
    else:
        _log.error("%s could not be computed", asked.key, exc_info=done.error)
