"""The first hosts, started before this process has imported anything large.

A person waits for the first answer. The hosts import NumPy, the compiler and OpenCV while this
process imports Qt; so they are started by the very first lines of the program, which know little
more than the words of the command line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.app.core.hosts.process import HostProcess

IN_ONE_PROCESS = "--one-process"
"""The window's option that runs engines and sources in the window's own process."""

_NO_WINDOW = frozenset({"-h", "--help", "--version", "--terminal", "--headless", IN_ONE_PROCESS})
_BURIED_S = 1.0
_first: dict[str, HostProcess] = {}


def begin_for(words: Sequence[str], commands: Sequence[str]) -> None:
    """Start the first hosts if these words mean the window; on the main thread.

    Args:
        words: of the command line.
        commands: words that mean something else where they come first.
    """
    window = not words or words[0] not in commands or words[0] == "run"
    if window and not _NO_WINDOW.intersection(words):
        # late: other commands need none of it
        from twinlens.app.core.hosts.process import HostProcess, memory_limit

        with contextlib.suppress(OSError):  # whoever needs one says why there is none
            for role in ("engines", "source"):
                _first[role] = HostProcess(role, memory=memory_limit())


def take_first(role: str) -> HostProcess | None:
    """The one that was started; None where none was, or it was taken."""
    return _first.pop(role, None)


def drop_first() -> None:
    """End what was started and is not needed after all."""
    while _first:
        _, host = _first.popitem()
        host.end(on_purpose=True)
        host.bury(_BURIED_S)
