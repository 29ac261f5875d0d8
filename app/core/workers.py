"""Threads: one kind of worker, and one owner that ends them all under one deadline.

A worker is a name and a function that gets a token. Whoever wants it to end cancels the token and
wakes it, which never waits; then it waits for its end, or leaves it behind: threads are daemons,
because a driver or a compiler that never returns must not keep the program alive.

Long work looks at the token between its stages through ``engine.cancel.checkpoint``.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twinlens.engine.cancel import cancel_scope
from twinlens.engine.errors import CancelledError

_log = logging.getLogger(__name__)

#: A wake-up that came just before a blocking call is missed: it is repeated this often.
WAKE_AGAIN_S = 0.1


def _sleeps_on_token() -> None:
    """For a worker that waits for nothing but its token."""


class CancelToken:
    """Says that work is to end; can be set once, from any thread, and never taken back."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._children: weakref.WeakSet[CancelToken] = weakref.WeakSet()
        self._acts: list[Callable[[], object]] = []

    @property
    def cancelled(self) -> bool:
        """Whether the work is to end."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the work, and every part of it, to end; returns at once."""
        with self._lock:
            self._event.set()
            children, acts = list(self._children), list(self._acts)
        for child in children:
            child.cancel()
        for act in acts:
            act()

    @contextmanager
    def cancelling(self, act: Callable[[], object]) -> Iterator[None]:
        """Have something called when it is cancelled while the body runs; at once if it is.

        Args:
            act: ends what the body waits for; called from any thread, must neither block nor
                raise.
        """
        with self._lock:
            self._acts.append(act)
            cancelled = self._event.is_set()
        try:
            if cancelled:
                act()
            yield
        finally:
            with self._lock:
                self._acts.remove(act)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until it is cancelled, or time is up; returns whether it is cancelled."""
        return self._event.wait(timeout_s)

    def child(self) -> CancelToken:
        """A token for a part of the work: cancelled with this one, or alone."""
        token = CancelToken()
        with self._lock:
            self._children.add(token)
            cancelled = self._event.is_set()
        if cancelled:
            token.cancel()
        return token


class Worker:
    """One thread, started once.

    Args:
        name: of the thread.
        run: the work; given the token, which is also what ``checkpoint`` looks at. It ends by
            returning or by CancelledError; any other error ends it too, and is logged.
        wake: makes ``run`` look at its token soon where it waits for something else; called from
            any thread, again and again until the worker has ended; must not block.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[CancelToken], object],
        *,
        wake: Callable[[], object] = _sleeps_on_token,
    ) -> None:
        self.name = name
        self.token = CancelToken()
        self._work = run
        self._wake = wake
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether its thread runs; False before ``start``."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether it is this worker that asks."""
        return self._thread is threading.current_thread()

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def run(self, token: CancelToken) -> None:
        """Do the work on the calling thread, as the worker's own thread does."""
        with cancel_scope(token):
            self._work(token)

    def request_stop(self) -> None:
        """Ask it to end; returns at once, and may be called at any time."""
        self.token.cancel()
        self._wake()

    def join(self, deadline_s: float | None = None) -> bool:
        """Wait for its end; False when time is up, or when it is the worker itself that asks.

        Args:
            deadline_s: until when, by ``time.monotonic()``; None waits without limit.
        """
        while self.alive and not self.is_current:
            left_s = WAKE_AGAIN_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                break
            if self.token.cancelled:
                self._wake()
            self._thread.join(min(left_s, WAKE_AGAIN_S))
        return not self.alive

    def _main(self) -> None:
        try:
            self.run(self.token)
        except CancelledError:
            pass  # That is how long work ends between two stages.
        except Exception:  # noqa: BLE001
            # The thread's boundary: what a worker does not handle itself must not be lost.
            _log.exception("%s ended by an error", self.name)


class Workers:
    """The one owner of workers: asks all to stop first, then waits under one deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether ``request_stop`` was called; nothing is started any more."""
        with self._lock:
            return self._stopping

    @property
    def alive(self) -> tuple[Worker, ...]:
        """The workers that still run."""
        with self._lock:
            return tuple(worker for worker in self._workers if worker.alive)

    def start(
        self,
        name: str,
        run: Callable[[CancelToken], object],
        *,
        wake: Callable[[], object] = _sleeps_on_token,
    ) -> Worker:
        """Make and start a worker; see ``Worker``.

        After ``request_stop`` it is made, cancelled and not started.
        """
        worker = Worker(name, run, wake=wake)
        with self._lock:
            if self._stopping:
                worker.token.cancel()
                return worker
            self._workers = [w for w in self._workers if w.alive]
            self._workers.append(worker)
            worker.start()
        return worker

    def request_stop(self) -> None:
        """Ask all to end; returns at once."""
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
        for worker in workers:
            worker.request_stop()

    def join(self, deadline_s: float) -> tuple[Worker, ...]:
        """Wait for all until one deadline; gives those that still live then.

        Args:
            deadline_s: until when, by ``time.monotonic()``.
        """
        while others := [worker for worker in self.alive if not worker.is_current]:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                break
            for worker in others:
                if worker.token.cancelled:
                    worker.request_stop()
            others[0].join(min(deadline_s, now_s + WAKE_AGAIN_S))
        return self.alive

    def stop(self, within_s: float) -> tuple[Worker, ...]:
        """Ask all to end and wait ``within_s`` seconds altogether; gives those that still live."""
        self.request_stop()
        return self.join(time.monotonic() + within_s)
