"""OpenCV's capture, kept from writing to standard error: errors are ours to report, in one line."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# FFmpeg reads this when OpenCV first opens something; -8 is its "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# On macOS OpenCV asks for the camera on the thread that opens it, which must be the main one; the
# window asks instead (twinlens.app.qt.window.cameras), or the system itself when the camera starts.
os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")

import cv2

from twinlens.engine.image import PixelBuffer

# Where this function lives has changed between OpenCV 4 and 5.
getattr(cv2.utils, "logging", cv2).setLogLevel(0)


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that sources use; tests bring their own."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether the device or file is open."""
        ...

    def read(self, image: NDArray[np.uint8] | None = None) -> tuple[bool, NDArray[np.uint8] | None]:
        """Next frame, (height, width, 3) B, G, R; in ``image`` if it has that shape."""
        ...

    def grab(self) -> bool:
        """Go on by a frame without decoding it to pixels."""
        ...

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        """A property's value."""
        ...

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's name
        """Set a property."""
        ...

    def release(self) -> None:
        """Close it."""
        ...


def open_capture(target: int | str, backend: int, parameters: Sequence[int] = ()) -> Capture:
    """Open a ``cv2.VideoCapture``; ``parameters`` are pairs of property and value."""
    return cv2.VideoCapture(target, backend, list(parameters))  # type: ignore[return-value]


def read_buffer(
    capture: Capture | None, clock: Callable[[], float] = time.perf_counter
) -> PixelBuffer | None:
    """Decode the next picture, stamped with its time of arrival; None when there is none."""
    if capture is None:
        return None
    target = _own.target()
    ok, pixels = capture.read() if target is None else capture.read(target)
    if not ok or pixels is None:
        return None
    _own.shape = pixels.shape
    return PixelBuffer.from_array(pixels, timestamp_s=clock())


@contextmanager
def decoding_into(room: NDArray[np.uint8]) -> Iterator[None]:
    """Have ``read_buffer`` decode into this memory on this thread, where a picture fits.

    Args:
        room: uint8, one dimension.
    """
    _own.room = room
    try:
        yield
    finally:
        _own.room = None


class _Own(threading.local):
    """A thread's memory for the next picture, and the shape that the last one had."""

    room: NDArray[np.uint8] | None = None
    shape: tuple[int, ...] = ()

    def target(self) -> NDArray[np.uint8] | None:
        """Where a picture as large as the last one goes; None where there is no room for it."""
        size = math.prod(self.shape)
        if self.room is None or not self.shape or size > self.room.size:
            return None
        return self.room[:size].reshape(self.shape)


_own = _Own()
