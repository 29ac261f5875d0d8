"""From the session's threads to the window's: one signal without payload.

The signal says only that there is news; the window then takes the newest and acknowledges, and no
further signal comes before that. Frames are so never queued, however slow the window is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal


class NewsBridge(QObject):
    """Carries ``Session.on_news`` into the window's thread."""

    _news = Signal()

    def __init__(self, deliver: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._news.connect(deliver, Qt.ConnectionType.QueuedConnection)

    def notify(self) -> None:
        """Tell the window that there is news; called from any thread."""
        self._news.emit()


class Background(QObject):
    """Runs functions on a thread pool and brings their outcome back to the window's thread.

    A newer task under the same name makes the outcome of an older one void.
    """

    _finished = Signal(str, int, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(2)
        self._newest: dict[str, int] = {}
        self._waiting: dict[tuple[str, int], tuple[Callable[..., None], Callable[..., None]]] = {}
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        name: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run ``work`` on another thread, then ``done`` or ``failed`` on this one."""
        number = self._newest.get(name, 0) + 1
        self._newest[name] = number
        self._waiting[name, number] = (done, failed)
        self._pool.start(QRunnable.create(lambda: self._work(name, number, work)))

    def _work(self, name: str, number: int, work: Callable[[], Any]) -> None:
        try:
            outcome, error = work(), None
        except Exception as caught:  # noqa: BLE001 - told in the window, whatever it is
            outcome, error = None, caught
        self._finished.emit(name, number, outcome, error)

    def _deliver(self, name: str, number: int, outcome: object, error: object) -> None:
        done, failed = self._waiting.pop((name, number))
        if self._newest.get(name) != number:
            return
        if isinstance(error, Exception):
            failed(error)
        else:
            done(outcome)

    def stop(self) -> None:
        """Wait for what runs; nothing is delivered any more."""
        self._newest.clear()
        self._pool.waitForDone()
