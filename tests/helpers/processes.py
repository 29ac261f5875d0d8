"""Processes that tests start: how one has ended, and signals that reach it whoever started us."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_IGNORED_BY_SHELLS = ("SIGINT", "SIGQUIT", "SIGHUP")
"""A shell starts jobs in the background with the first two ignored, ``nohup`` the third."""


@contextmanager
def signals_reach_children() -> Iterator[None]:
    """Let processes started meanwhile answer signals that this one was started to ignore.

    A signal that is ignored stays so across ``exec``, one that is handled does not: with a handler
    that does nothing, this process goes on as before and its children get the default. Python
    itself then raises KeyboardInterrupt in them as in a terminal.
    """

    def nothing(number: int, frame: FrameType | None) -> None:
        del number, frame

    numbers = [getattr(signal, name) for name in _IGNORED_BY_SHELLS if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, nothing)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def running(words: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program that does not outlive the test, whatever that does.

    Args:
        words: the program and its arguments.
        options: as ``subprocess.Popen`` takes them.
    """
    with subprocess.Popen([str(word) for word in words], **options) as process:
        try:
            yield process
        finally:
            # Popen waits for it without limit on the way out.
            if process.poll() is None:
                process.kill()
            if process.stdin is not None:
                with suppress(OSError):  # what it did not read any more
                    process.stdin.close()


def how_it_ended(code: int) -> str:
    """An exit status in words, a signal by its name."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"
