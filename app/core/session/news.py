"""Where worker threads leave news, and how the window is notified without being flooded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from twinlens.app.core.session.events import Event, News
from twinlens.app.core.session.types import Frame, Result


class NewsBox:
    """Collects news; notifies once, then stays silent until acknowledged.

    ``put_*`` only store, so that they may be called under another lock; ``notify`` must follow,
    with no lock held, because it calls out.

    Args:
        on_news: called when there is something to take; see ``Session``.
    """

    def __init__(self, on_news: Callable[[], None] | None = None) -> None:
        self._on_news = on_news
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._result: Result | None = None
        self._events: list[Event] = []
        self._fresh = False
        self._notified = False
        self._closed = False

    def put_frame(self, frame: Frame) -> None:
        """Leave a captured frame in place of the last one."""
        with self._lock:
            self._frame = frame
            self._fresh = True

    def put_result(self, result: Result) -> None:
        """Leave an answer in place of the last one."""
        with self._lock:
            self._result = result
            self._fresh = True

    def put_event(self, event: Event) -> None:
        """Leave an event behind those that wait."""
        with self._lock:
            self._events.append(event)
            self._fresh = True

    def notify(self) -> None:
        """Call ``on_news`` if there is something new and the last call was acknowledged."""
        with self._lock:
            if self._notified or not self._fresh or self._closed:
                return
            self._notified = True
        if self._on_news is not None:
            self._on_news()

    def take(self) -> News:
        """Take everything that is there."""
        with self._lock:
            news = News(self._frame, self._result, tuple(self._events))
            self._frame = self._result = None
            self._events.clear()
            self._fresh = False
            return news

    def acknowledge(self) -> None:
        """Ask to be notified again; at once, if something came in since the last ``take``."""
        with self._lock:
            self._notified = False
        self.notify()

    def close(self) -> None:
        """Never call ``on_news`` again; what is there can still be taken."""
        with self._lock:
            self._closed = True
