"""Iterates what is measured on a thread of its own and brings its tables to the window's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, Signal

_log = logging.getLogger(__name__)
_STOP_WITHIN_S = 4.0
_TELL_EVERY_S = 0.1


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


class Measuring(QObject):
    """One comparison at a time.

    Args:
        told: called with each table.
        ended: called at the end with the error that ended it, or None.
    """

    _told = Signal(object)
    _ended = Signal(object)

    def __init__(
        self,
        told: Callable[[Any], None],
        ended: Callable[[Exception | None], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._on_ended = ended
        self._told.connect(told, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._end, Qt.ConnectionType.QueuedConnection)
        self._cancelled = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a comparison goes on; it does until its end has been told."""
        return self._thread is not None

    @property
    def cancelled(self) -> bool:
        """Whether the one that goes on, or the last one, was cancelled."""
        return self._cancelled.is_set()

    def start(
        self,
        make: Callable[[Callable[[], bool]], Iterable[Table]],
        set_answering: Callable[[bool], None],
    ) -> None:
        """Start a comparison; nothing happens while one goes on.

        Args:
            make: makes it of what says whether to stop.
            set_answering: called from the thread with False before anything is timed, and with
                True after that.
        """
        if self._thread is not None or self._closed:
            return
        self._cancelled = threading.Event()
        tables = make(self._cancelled.is_set)
        self._thread = threading.Thread(
            target=self._work, args=(tables, set_answering), name="twinlens-bench", daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """End it after what it is at; the end is told."""
        self._cancelled.set()

    def stop(self, within_s: float = _STOP_WITHIN_S) -> None:
        """Cancel and wait; nothing is told any more."""
        self._closed = True
        self.cancel()
        if self._thread is not None:
            self._thread.join(within_s)
            if self._thread.is_alive():
                _log.warning("the comparison did not end within %s s", within_s)

    def _work(self, tables: Iterable[Table], set_answering: Callable[[bool], None]) -> None:
        error: Exception | None = None
        resting = False
        newest: Table | None = None
        told_s = 0.0
        try:
            for newest in tables:
                if newest.timing and not resting:
                    resting = True
                    set_answering(False)
                # Each table that is shown takes time from what is being timed.
                if not newest.round or time.perf_counter() - told_s >= _TELL_EVERY_S:
                    told_s = time.perf_counter()
                    self._tell(newest)
        except Exception as caught:  # noqa: BLE001 - told in the window, whatever it is
            error = caught
        finally:
            if resting:
                set_answering(True)
        if newest is not None:
            self._tell(newest)
        if not self._closed:
            self._ended.emit(error)

    def _tell(self, table: Table) -> None:
        if not self._closed:
            self._told.emit(table)

    def _end(self, error: object) -> None:
        if self._thread is not None:
            self._thread.join()
        self._thread = None
        self._on_ended(error if isinstance(error, Exception) else None)
