"""From other threads to the window's.

Signals carry no payload: they only notify that there is something, and the window's thread takes it
from where it lies. Nothing of Python's is so copied or freed by Qt on whatever thread it likes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.engine.errors import CancelledError

_log = logging.getLogger(__name__)


def log_only(error: Exception) -> None:
    """Where nobody shows what goes wrong on the window's thread."""
    _log.error("unexpected, on the window's thread", exc_info=error)


class Deliveries(QObject):
    """Calls on the window's thread what other threads hand over, in their order.

    One call's error is no other's: it is reported, and the next is made.

    Args:
        unexpected: gets what a call raises.
    """

    _arrived = Signal()

    def __init__(
        self, unexpected: Callable[[Exception], object] = log_only, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._unexpected = unexpected
        self._waiting: deque[Callable[[], object]] = deque()
        self._closed = False
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def post(self, act: Callable[[], object]) -> None:
        """Hand over a call; from any thread, returns at once."""
        if self._closed:
            return
        self._waiting.append(act)
        try:
            self._arrived.emit()
        except RuntimeError:  # The window has gone, and Qt has freed this with it.
            self._waiting.clear()

    def close(self) -> None:
        """Deliver nothing any more."""
        self._closed = True
        self._waiting.clear()

    def _deliver(self) -> None:
        # One for each signal, so that what the window has to do comes in between.
        if not self._waiting:
            return
        act = self._waiting.popleft()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - Qt would print it and go on
            self._unexpected(error)


class NewsBridge(QObject):
    """Carries ``Session.on_news`` into the window's thread.

    The signal only notifies that there is news; the window then takes the newest and acknowledges,
    and no further signal comes before that. Frames are so never queued, however slow the window is.
    """

    _news = Signal()

    def __init__(self, deliver: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._news.connect(deliver, Qt.ConnectionType.QueuedConnection)

    def notify(self) -> None:
        """Tell the window that there is news; called from any thread."""
        self._news.emit()


class Background:
    """Runs functions on threads of their own and brings their outcome to the window's thread.

    A newer task under the same name makes the outcome of an older one void, and asks it to end.
    No task waits for another: one that never ends keeps nothing but itself.

    Args:
        workers: the owner of the threads; None makes one.
        unexpected: gets what ``done`` and ``failed`` raise.
        parent: of what delivers.
    """

    def __init__(
        self,
        workers: Workers | None = None,
        unexpected: Callable[[Exception], object] = log_only,
        parent: QObject | None = None,
    ) -> None:
        self._workers = workers or Workers()
        self._deliveries = Deliveries(unexpected, parent)
        self._newest: dict[str, Worker] = {}

    def run(
        self,
        name: str,
        work: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[Exception], object],
    ) -> None:
        """Run ``work`` on another thread, then ``done`` or ``failed`` on this one.

        Neither is called where ``work`` ends because it was cancelled.
        """
        self.cancel(name)

        def task(token: CancelToken) -> None:
            try:
                outcome = work()
            except CancelledError:
                return
            except Exception as error:  # noqa: BLE001 - shown in the window, whatever it is
                self._deliveries.post(partial(self._deliver, name, token, failed, error))
            else:
                self._deliveries.post(partial(self._deliver, name, token, done, outcome))

        self._newest[name] = self._workers.start(f"twinlens-{name}", task)

    def cancel(self, name: str) -> None:
        """Ask a task to end, and make its outcome void; nothing happens where there is none."""
        older = self._newest.pop(name, None)
        if older is not None:
            older.request_stop()

    def stop(self) -> None:
        """Ask all tasks to end; nothing is delivered any more. Returns at once."""
        self._deliveries.close()
        for name in tuple(self._newest):
            self.cancel(name)

    def _deliver(
        self, name: str, token: CancelToken, act: Callable[[Any], object], what: object
    ) -> None:
        newest = self._newest.get(name)
        if newest is None or newest.token is not token:
            return
        del self._newest[name]
        act(what)
