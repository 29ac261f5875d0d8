"""Native work under way: machine code that the interpreter's end must not meet half way.

A compiler, a driver or a kernel that runs in a thread of its own while the process takes itself
apart may end it with a signal. Whoever ends the process asks here first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

# By number; setting and taking out one entry need no lock, so that a kernel's call stays cheap.
_running: dict[int, str] = {}
_numbers = count()


@contextmanager
def native_work(what: str) -> Iterator[None]:
    """Mark a stretch of native code that another thread may be in when the process ends.

    Args:
        what: for logs, ``"compiling MobileNet-v2"``.
    """
    number = next(_numbers)
    _running[number] = what
    try:
        yield
    finally:
        del _running[number]


def running_work() -> tuple[str, ...]:
    """What native code runs at this moment, in any thread; empty if none does. Never waits."""
    return tuple(_running.values())
