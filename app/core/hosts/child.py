"""What every host does first: its own streams, its limits, and a watch over whoever started it.

A process of its own, started as ``python -m twinlens.app.core.hosts.child SETTINGS``. It imports
what its role needs and nothing before that, since a person waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, NoReturn

from twinlens.app.core.hosts.messages import VERSION, Record, Wire

BEAT_S = 0.25
"""How often a host that works says that it lives."""

ROLES = {
    "engines": "twinlens.app.core.hosts.engines_child",
    "source": "twinlens.app.sources.hosted_child",
}
"""By name: the module whose ``serve`` answers."""

FROZEN_FLAG = "--twinlens-host"
"""How a frozen program (one file without an interpreter beside it) is told to be a host."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class HostSettings:
    """What a host is started with.

    Attributes:
        role: one of ``ROLES``, or a module that has ``serve``.
        parent: the process that ends it by ending.
        arena: the handle of the shared memory; empty where there is none.
        memory: bytes of memory of its own that it may have; 0 is no limit.
    """

    role: str
    parent: int
    arena: str = ""
    memory: int = 0

    def text(self) -> str:
        """As the command line has it."""
        return json.dumps(asdict(self))


class Link:
    """A host's end of the line.

    Args:
        wire: to whoever started it.
        settings: what it was started with.
    """

    def __init__(self, wire: Wire, settings: HostSettings) -> None:
        self.settings = settings
        self._wire = wire
        self._busy, self._working = True, False

    def next(self) -> tuple[Record, bytearray] | None:
        """Wait for a request; None when nobody is left to ask."""
        self._busy = False
        message = self._wire.receive()
        self._busy = True
        return message

    def begin(self) -> None:
        """Something is worked at, on another thread than the one that receives."""
        self._working = True

    def rest(self) -> None:
        """Nothing is worked at any more; see ``begin``."""
        self._working = False

    def answer(
        self, request: Record, record: Record | None = None, payload: bytes | memoryview = b""
    ) -> None:
        """Answer a request."""
        self._send({"n": request.get("n"), "done": record or {}}, payload)

    def refuse(self, request: Record, error: Record) -> None:
        """Answer a request by an error."""
        self._send({"n": request.get("n"), "error": error})

    def ready(self) -> None:
        """Say that what the role needs is there."""
        self._send({"ready": True})

    def greet(self) -> None:
        """Say which messages it speaks; the first thing."""
        self._send({"hello": VERSION, "pid": os.getpid()})

    def watch(self, parent_lives: Callable[[float], bool]) -> None:
        """Say that it lives while it works, and end the process with its parent; on a thread."""

        def beat() -> None:
            while parent_lives(BEAT_S):
                if self._busy or self._working:
                    self._send({"beat": True})
            os._exit(0)

        threading.Thread(target=beat, name="twinlens-beat", daemon=True).start()

    def _send(self, record: Record, payload: bytes | memoryview = b"") -> None:
        try:
            self._wire.send(record, payload)
        except OSError:
            os._exit(0)  # Nobody is left to hear it.


def serve_forever(text: str) -> NoReturn:
    """Be a host with these settings, until nobody asks any more.

    Args:
        text: as ``HostSettings.text`` has made it.
    """
    settings = HostSettings(**json.loads(text))
    link = Link(_own_streams(), settings)
    _leave_signals_to_the_parent()
    parent_lives = _watch_parent(settings.parent)
    _tell_stacks()
    link.greet()
    link.watch(parent_lives)
    _limit(settings.memory)
    role: Any = import_module(ROLES.get(settings.role, settings.role))
    try:
        role.serve(link)
        code = 0
    except BaseException:  # noqa: BLE001 - the process's boundary: it is on standard error
        import traceback

        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _tell_stacks() -> None:
    """Write on standard error where every thread is: at a fault, and whenever one asks for it."""
    # late: built in, and nothing of it is needed to be spoken to
    import faulthandler

    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)


def _own_streams() -> Wire:
    """Take the two pipes, so that nothing that prints or reads comes between."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        for end in (incoming, outgoing):
            msvcrt.setmode(end, os.O_BINARY)
    return Wire(incoming, outgoing)


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C goes to everything in a terminal; whoever owns this process ends it."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def _watch_parent(parent: int) -> Callable[[float], bool]:
    """What waits so many seconds, and says whether the parent still lives then."""
    if sys.platform == "win32":
        return _watch_handle(parent)
    if sys.platform.startswith("linux"):
        _die_with_parent()
    pause = threading.Event()

    def lives(seconds: float) -> bool:
        pause.wait(seconds)
        return os.getppid() == parent

    return lives


def _watch_handle(parent: int) -> Callable[[float], bool]:
    import _winapi

    handle = _winapi.OpenProcess(0x00100000, False, parent)  # type: ignore[attr-defined,unused-ignore]

    def lives(seconds: float) -> bool:
        ended = _winapi.WaitForSingleObject(handle, int(seconds * 1e3))  # type: ignore[attr-defined,unused-ignore]
        return bool(ended != 0)

    return lives


def _die_with_parent() -> None:
    """Have the kernel end this process with the thread that started it (Linux)."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(memory: int) -> None:
    """Limit its memory, and let the system, should it run out of it, end this process first."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")
    if not memory:
        return
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):  # a limit that is lower already
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


if __name__ == "__main__":
    serve_forever(sys.argv[1])
