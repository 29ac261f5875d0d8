"""Where the next frame's pixels go, when a source plays in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray


class _Room(threading.local):
    """A thread's own."""

    bytes: NDArray[np.uint8] | None = None


_room = _Room()


@contextmanager
def room_for_frames(room: NDArray[np.uint8]) -> Iterator[None]:
    """Let ``placed`` put pictures into this memory on this thread; uint8, one dimension."""
    _room.bytes = room
    try:
        yield
    finally:
        _room.bytes = None


def placed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture where it is to be, or as it is where that is anywhere, or too small.

    A source that waits until a frame is due asks before it waits: so nobody waits for the copy.

    Args:
        pixels: (height, width, channels) uint8.
    """
    room = _room.bytes
    if room is None or pixels.nbytes > room.size:
        return pixels
    there = room[: pixels.nbytes].reshape(pixels.shape)
    there[...] = pixels
    return there
