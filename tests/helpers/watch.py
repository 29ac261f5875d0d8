"""A window's place in tests: takes a session's news and waits for what must come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from helpers.fakes import WAIT_S
from twinlens.app.core.session.events import News
from twinlens.app.core.session.types import Frame, Result

E = TypeVar("E")


class Watch:
    """Give ``told`` as ``on_news``, then wait with the methods below, from one thread."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self.take: Callable[[], News] = News
        self.acknowledge: Callable[[], None] = lambda: None
        self.frames: list[Frame] = []
        self.results: list[Result] = []
        self.events: list[object] = []

    def told(self) -> None:
        """The callback."""
        self._told.set()

    def until(self, happened: Callable[[], bool]) -> None:
        """Take news until something is so."""
        while not happened():
            if not self._told.wait(WAIT_S):
                raise TimeoutError(f"it did not happen; events: {self.events}")
            self._told.clear()
            self.drain()
            self.acknowledge()

    def drain(self) -> None:
        """Take what is there."""
        news = self.take()
        if news.frame is not None:
            self.frames.append(news.frame)
        if news.result is not None:
            self.results.append(news.result)
        self.events.extend(news.events)

    def event(self, kind: type[E], count: int = 1) -> E:
        """Wait for the count-th event of a kind."""
        self.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    def all(self, kind: type[E]) -> list[E]:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def answer(self, happened: Callable[[Result], bool] = lambda _: True) -> Result:
        """Wait until the newest answer is such, and return it."""
        self.until(lambda: bool(self.results) and happened(self.results[-1]))
        return self.results[-1]

    def next_answer(self) -> Result:
        """Wait for one more answer than there is now."""
        count = len(self.results)
        self.until(lambda: len(self.results) > count)
        return self.results[count]
