"""A live source that has failed, on its way back: opened again and again until it delivers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from twinlens.app.core.session.source import Source, SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.engine.errors import SourceError, TwinlensError

FIRST_S = 0.5
LONGEST_S = 10.0
_log = logging.getLogger(__name__)


def backoff() -> Iterator[float]:
    """Seconds to wait before each attempt: twice as long from one to the next, up to 10."""
    wait_s = FIRST_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, LONGEST_S)


class Returning:
    """Opens a source for as long as it takes; then it is that source.

    Args:
        source: a source that has failed and is closed; it can be opened again.
        wait: sleeps for so many seconds, or returns True early when interrupted.
    """

    def __init__(self, source: Source, wait: Callable[[float], bool] | None = None) -> None:
        self.source = source
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait

    @property
    def title(self) -> str:
        """The source's own."""
        return self.source.title

    def open(self) -> SourceInfo:
        """Open the source, however long that takes.

        Raises:
            SourceError: interrupted.
        """
        last = ""
        for wait_s in backoff():
            if self._wait(wait_s) or self._stop.is_set():
                break
            try:
                return self.source.open()
            except TwinlensError as error:
                # Also what would not pass by itself: a camera that was just plugged in may be
                # forbidden for a moment, and a server that starts knows no streams yet.
                self.source.close()
                if error.message != last:
                    _log.info("not back yet: %s", error.message)
                last = error.message
        raise SourceError(f"{self.title}: is not waited for any more")

    def read(self) -> Frame | None:
        """The source's next frame."""
        return self.source.read()

    def interrupt(self) -> None:
        """Give up waiting, and make a blocked ``open`` or ``read`` of the source return."""
        self._stop.set()
        self.source.interrupt()

    def close(self) -> None:
        """Close the source."""
        self.source.close()
