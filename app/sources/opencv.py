"""OpenCV's capture, kept from writing to standard error: errors are ours to report, in one line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# FFmpeg reads this when OpenCV first opens something; -8 is its "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# A camera that stalls is given up by its driver's wait after 2 seconds instead of 10.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
# On macOS OpenCV asks for the camera on the thread that opens it, which must be the main one; the
# window asks instead (twinlens.app.qt.window.cameras), or the system itself when the camera starts.
os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")

import cv2

# Where this function lives has changed between OpenCV 4 and 5.
getattr(cv2.utils, "logging", cv2).setLogLevel(0)


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that sources use; tests bring their own."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether the device or file is open."""
        ...

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Next frame, (height, width, 3) B, G, R."""
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
