"""The last events of this process, and what is done when something failed that nobody expected.

It costs nothing while nothing happens, and imports nothing: texts are kept as they come, and
cleaned when somebody asks for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

MOST_EVENTS = 200
MOST_NAMES = 100
MOST_REPORTS = 5
"""Reports that one process writes; the same fault again writes none."""
_LONGEST = 4000
_MOST_CAUSES = 3
_LAST_WAIT_S = 0.3


class Entry(NamedTuple):
    """One event, as it came: not cleaned.

    Attributes:
        at_s: when, by the record's clock.
        kind: ``"ERROR"``, ``"INFO"``, ``"session"`` ...
        text: what.
        frames: of the error that goes with it, newest first.
    """

    at_s: float
    kind: str
    text: str
    frames: tuple[str, ...] = ()


class Record(logging.Handler):
    """Keeps events, the newest ``MOST_EVENTS``; any thread may add some.

    Args:
        clock: seconds, never back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO)
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=MOST_EVENTS)
        self._names: deque[str] = deque(maxlen=MOST_NAMES)
        self._failed: Callable[[], object] | None = None
        self._of_threads = threading.excepthook
        self._known: set[tuple[str, str]] = set()
        self._writer: threading.Thread | None = None

    # --- life ----------------------------------------------------------------------------------

    def begin(self, failed: Callable[[], object]) -> None:
        """Hear what Twinlens logs from now on, and have something done when something failed.

        Args:
            failed: called on a thread of its own, at most ``MOST_REPORTS`` times.
        """
        self._failed = failed
        log = logging.getLogger("twinlens")
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)
        log.addHandler(self)
        self._of_threads, threading.excepthook = threading.excepthook, self._of_thread

    def end(self) -> None:
        """Hear nothing any more."""
        if self._failed is None:
            return
        self._failed = None
        threading.excepthook = self._of_threads
        log = logging.getLogger("twinlens")
        log.removeHandler(self)
        if log.level == logging.INFO:
            log.setLevel(logging.NOTSET)
        writer = self._writer
        if writer is not None:
            writer.join(_LAST_WAIT_S)

    # --- events --------------------------------------------------------------------------------

    def add(self, kind: str, text: str, *, names: Iterable[str] = ()) -> None:
        """Keep an event.

        Args:
            kind: what kind of event.
            text: what happened.
            names: words in it, or in what follows, that are a person's.
        """
        self._entries.append(Entry(self._clock(), kind, _begin_of(text)))
        for name in names:
            if name and name not in self._names:
                self._names.append(name)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged."""
        try:
            self._keep(record)
        except Exception:  # noqa: BLE001 - as every handler: a bad record ends nothing
            self.handleError(record)
        # Where nobody else listens, the interpreter prints; it does so only without any handler.
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not logging.root.handlers:
            last.handle(record)

    def entries(self) -> list[tuple[float, Entry]]:
        """(age in seconds, event), oldest first."""
        now_s = self._clock()
        return [(now_s - entry.at_s, entry) for entry in tuple(self._entries)]

    def names(self) -> tuple[str, ...]:
        """Words that are a person's, see ``add``."""
        return tuple(self._names)

    def add_error(self, text: str, error: BaseException, kind: str = "ERROR") -> tuple[str, str]:
        """Keep an error with its stack; returns what tells it from others.

        Args:
            text: what failed.
            error: which error.
            kind: what kind of event.
        """
        # late: only what failed needs it
        from twinlens.app.core.diagnostics.stacks import error_stack

        frames = tuple(error_stack(error.__traceback__))
        told = _begin_of(f"{text}: {_chain(error)}")
        self._entries.append(Entry(self._clock(), kind, told, frames))
        return type(error).__name__, frames[0] if frames else ""

    def _keep(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fault = self.add_error(text, error, record.levelname)
            if record.levelno >= logging.ERROR:
                self._report(fault)
            return
        # Of what a host said at last, the end tells most.
        self._entries.append(Entry(self._clock(), record.levelname, _end_of(text)))
        if getattr(record, "crash", False):  # see hosts.process.CRASH
            self._report((text, ""))

    def _of_thread(self, args: threading.ExceptHookArgs) -> None:
        """A thread that is no worker has ended by an error."""
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            self._report(self.add_error("a thread ended by an error", args.exc_value))
        self._of_threads(args)

    def _report(self, fault: tuple[str, str]) -> None:
        failed = self._failed
        if failed is None or fault in self._known or len(self._known) >= MOST_REPORTS:
            return
        self._known.add(fault)
        # Elsewhere: a disk may be slow, and this may be the window's thread.
        self._writer = threading.Thread(
            target=_quietly, args=(failed,), name="twinlens-report", daemon=True
        )
        self._writer.start()


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as why:  # noqa: BLE001 - the thread's boundary; a report about it would circle
        logging.getLogger(__name__).warning("no report was written: %s", why)


def _begin_of(text: str) -> str:
    """Its first lines; none is cut, since half a name cannot be told from other words."""
    return text if len(text) <= _LONGEST else text[:_LONGEST].rpartition("\n")[0]


def _end_of(text: str) -> str:
    """Its last lines, likewise."""
    return text if len(text) <= _LONGEST else text[-_LONGEST:].partition("\n")[2]


def _chain(error: BaseException) -> str:
    """What was raised, and what it came from."""
    told: list[str] = []
    one: BaseException | None = error
    while one is not None and len(told) < _MOST_CAUSES:
        told.append(f"{type(one).__name__}: {one}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\nfrom ".join(told)


RECORD = Record()
"""The process's own."""
