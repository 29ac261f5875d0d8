"""Iterates what is measured on a thread of its own and brings its tables to the window's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from PySide6.QtCore import QObject

from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.app.qt.threads.bridge import Deliveries, log_only
from twinlens.engine.errors import CancelledError

_REPORT_EVERY_S = 0.1


class Table(Protocol):
    """What a measuring has found out so far."""

    @property
    def timing(self) -> bool:
        """Something is timed from now on: answers rest."""
        ...

    @property
    def round(self) -> int:
        """0 until something was timed; then more each time."""
        ...


class Measuring:
    """One comparison at a time.

    Args:
        report: called with each table.
        ended: called at the end with the error that ended it, or None.
        workers: the owner of its thread; None makes one.
        unexpected: gets what ``report`` and ``ended`` raise.
        parent: of what delivers.
    """

    def __init__(
        self,
        report: Callable[[Any], object],
        ended: Callable[[Exception | None], object],
        workers: Workers | None = None,
        unexpected: Callable[[Exception], object] = log_only,
        parent: QObject | None = None,
    ) -> None:
        self._on_report, self._on_ended = report, ended
        self._workers = workers or Workers()
        self._deliveries = Deliveries(unexpected, parent)
        self._closed = False
        self._running = False
        self._worker: Worker | None = None

    @property
    def running(self) -> bool:
        """Whether a comparison goes on; it does until its end has been reported."""
        return self._running

    @property
    def cancelled(self) -> bool:
        """Whether the one that goes on, or the last one, was cancelled."""
        return self._worker is not None and self._worker.token.cancelled

    def start(
        self,
        make: Callable[[Callable[[], bool]], Iterable[Table]],
        set_answering: Callable[[bool], None],
    ) -> None:
        """Start a comparison; nothing happens while one goes on.

        Args:
            make: makes it of a function that returns whether to stop; called on its thread.
            set_answering: called from the thread with False before anything is timed, and with
                True after that.
        """
        if self._running or self._closed:
            return
        self._running = True

        def work(token: CancelToken) -> None:
            error: Exception | None = None
            try:
                self._iterate(make(lambda: token.cancelled), set_answering)
            except CancelledError:
                pass
            except Exception as caught:  # noqa: BLE001 - shown in the window, whatever it is
                error = caught
            self._deliveries.post(partial(self._end, error))

        self._worker = self._workers.start("twinlens-bench", work)

    def cancel(self) -> None:
        """End it after what it is at; the end is reported."""
        if self._worker is not None:
            self._worker.request_stop()

    def stop(self) -> None:
        """Cancel it; nothing is reported any more. Returns at once."""
        self._closed = True
        self._deliveries.close()
        self.cancel()

    def _iterate(self, tables: Iterable[Table], set_answering: Callable[[bool], None]) -> None:
        resting = False
        newest: Table | None = None
        reported_s = 0.0
        try:
            for newest in tables:
                if newest.timing and not resting:
                    resting = True
                    set_answering(False)
                # Each table that is shown takes time from what is being timed.
                if not newest.round or time.perf_counter() - reported_s >= _REPORT_EVERY_S:
                    reported_s = time.perf_counter()
                    self._report(newest)
        finally:
            if resting:
                set_answering(True)
            if newest is not None:
                self._report(newest)

    def _report(self, table: Table) -> None:
        self._deliveries.post(partial(self._on_report, table))

    def _end(self, error: Exception | None) -> None:
        self._running = False
        self._on_ended(error)
