"""A mailbox for one item: the newest wins, what it replaces is counted."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Joins two threads without a queue, so that a slow reader sees the newest item only.

    Args:
        condition: lock and wake-up to share with other state, so that a reader can wait for
            several things at once; None makes an own one. ``put`` and ``close`` notify it.
    """

    def __init__(self, condition: threading.Condition | None = None) -> None:
        self._condition = condition or threading.Condition()
        self._items: list[T] = []
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items replaced before anybody took them."""
        with self._condition:
            return self._dropped

    @property
    def waiting(self) -> bool:
        """Whether an item waits to be taken."""
        with self._condition:
            return bool(self._items)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        with self._condition:
            return self._closed

    def put(self, item: T) -> bool:
        """Leave an item in place of the one that waits; returns at once.

        Returns:
            True when an item was replaced, which counts as dropped. After ``close`` the new
            item is ignored.
        """
        with self._condition:
            if self._closed:
                return False
            replaced = bool(self._items)
            self._dropped += replaced
            self._items[:] = [item]
            self._condition.notify_all()
            return replaced

    def poll(self) -> T | None:
        """Take the item if there is one, without waiting."""
        with self._condition:
            return self._items.pop() if self._items else None

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and take it.

        Args:
            timeout_s: longest wait in seconds; None waits until an item comes or the slot closes.

        Returns:
            The item; None when time is up, or when the slot is closed and empty.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._items or self._closed, timeout_s)
            return self._items.pop() if self._items else None

    def close(self) -> None:
        """Accept nothing more and wake everybody who waits; may be called twice."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
