"""The one way out of the process: by one status, within a moment, whatever still runs.

A compiler, a runtime or a driver may be in the middle of something that cannot be stopped. The
interpreter's own end would wait for such threads, or pull from under them what they use: LLVM, ONNX
Runtime and graphics drivers then abort the process. So whoever ends the program says ``begin``,
ends what can be ended, and leaves by ``leave``; if that takes too long, a thread leaves in its
place.

Signals are heard by a thread as well. Python runs a handler only between two steps of the main
thread, which may be far away in Qt or in a long native call; and an exception that a handler raises
is lost where Qt calls back. So the interpreter only writes the signal's number to a socket, which
works on every system, and the thread that reads it acts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""

#: When everything has ended, or is left behind, after the end was asked for.
WITHIN_S = 1.3
_FLUSH_S = 0.2


class WayOut:
    """Signals, and the end of the process.

    Nothing happens before ``install``: tests that run a command in their own process keep it.

    Args:
        leave: ends the process with a status, at once.
    """

    def __init__(self, leave: Callable[[int], Any] = os._exit) -> None:
        self._exit = leave
        self._lock = threading.Lock()
        self._installed = self._begun = self._interrupted = False
        self._window = False
        self._close: Callable[[], object] | None = None
        self._ears: tuple[socket.socket, socket.socket] | None = None

    # --- whose signals these are -----------------------------------------------------------

    def install(self) -> None:
        """Hear signals from now on, as a command in a terminal does; by the main thread, once.

        Ctrl-C ends it: it is raised as KeyboardInterrupt, once, and where that does not end the
        process in time, this does.
        """
        self._installed = True
        self._ears = socket.socketpair()
        for ear in self._ears:
            ear.setblocking(False)
        signal.set_wakeup_fd(self._ears[1].fileno(), warn_on_full_buffer=False)
        self._handle("SIGINT")
        sys.unraisablehook = _quiet_interrupts(sys.unraisablehook)
        self._ears[0].setblocking(True)
        threading.Thread(target=self._listen, name="twinlens-signals", daemon=True).start()

    def for_window(self) -> None:
        """From now on the process is a window's: every signal that asks it to end closes it."""
        self._window = True
        if self._installed:
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                self._handle(name)

    def closes_by(self, close: Callable[[], object]) -> None:
        """What closes the window; called from another thread. Before, a signal just ends it."""
        self._close = close

    # --- the end -----------------------------------------------------------------------------

    def begin(self, code: int, within_s: float = WITHIN_S) -> None:
        """Make sure that the process has ended by then, whatever stands still; returns at once."""
        with self._lock:
            if not self._installed or self._begun:
                return
            self._begun = True
        timer = threading.Timer(within_s, self._leave_late, (code,))
        timer.daemon = True
        timer.name = "twinlens-way-out"
        timer.start()

    def leave(self, code: int) -> NoReturn:
        """Flush what was written and end the process, past the interpreter's own end."""
        self.begin(code)  # whoever reads our output may take its time
        _flush()
        self._exit(code)
        raise SystemExit(code)

    def _leave_late(self, code: int) -> None:
        # The thread that holds a stream's lock may be the one that stands still.
        flushing = threading.Thread(target=_flush, daemon=True)
        flushing.start()
        flushing.join(_FLUSH_S)
        self._exit(code)

    # --- hearing -----------------------------------------------------------------------------

    def _handle(self, name: str) -> None:
        number = getattr(signal, name, None)
        # What was ignored from the start stays so: a job in the background, or under nohup.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, self._handler)

    def _handler(self, number: int, frame: FrameType | None) -> None:
        """On the main thread, between two of its steps."""
        if self._window or self._interrupted:
            return
        self._interrupted = True
        raise KeyboardInterrupt

    def _listen(self) -> None:
        assert self._ears is not None
        while numbers := self._ears[0].recv(64):
            if any(number in _ENDING for number in numbers):
                self._act()

    def _act(self) -> None:
        if not self._window:
            self.begin(INTERRUPTED)
        elif self._close is None:
            self._leave_late(0)  # There is no window yet, and nothing to keep.
        else:
            self.begin(0)
            self._close()


_ENDING = frozenset(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)

WAY_OUT = WayOut()
"""The process's own."""


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Closed, or nobody reads it any more: there is nobody left to write to.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _quiet_interrupts(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A KeyboardInterrupt that hits a finaliser is lost; the thread that listens ends it then."""

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            real(unraisable)

    return hook
