"""Giving up work that nobody waits for any more.

Whoever starts long work puts a token into force with ``cancel_scope``; the work calls
``checkpoint`` between its stages (one file read, one node translated, one kernel written, one
picture answered). So the token reaches every stage without going through every signature.

A scope holds for the thread that entered it, and not for threads that it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from twinlens.engine.errors import CancelledError


class Cancellable(Protocol):
    """What a scope is entered with."""

    @property
    def cancelled(self) -> bool:
        """Whether the work is to end; asked often, from the thread that works."""
        ...


_token: ContextVar[Cancellable | None] = ContextVar("twinlens cancel token", default=None)


@contextmanager
def cancel_scope(token: Cancellable | None) -> Iterator[None]:
    """Let ``checkpoint`` look at a token while the body runs; None looks at nothing.

    An inner scope takes the outer one's place.
    """
    before = _token.set(token)
    try:
        yield
    finally:
        _token.reset(before)


def current_token() -> Cancellable | None:
    """The token that ``checkpoint`` looks at on this thread; None where no scope is in force."""
    return _token.get()


def is_cancelled() -> bool:
    """Whether the work of this thread is to end; False where no scope is in force."""
    token = _token.get()
    return token is not None and token.cancelled


def checkpoint() -> None:
    """End this thread's work here if it was cancelled.

    Raises:
        CancelledError: it was.
    """
    if is_cancelled():
        raise CancelledError("the work was stopped")
