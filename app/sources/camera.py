"""Cameras, through OpenCV.

OpenCV rather than Qt's camera: it gives the frame to the capture thread as pixels, without a
round through the window's thread and its event loop; it lets us ask for MJPG, without which many
USB cameras deliver 720p at 10 frames a second; and the same code runs without Qt. Names, hot-plug
and permission come from Qt in the window (``twinlens.app.qt.window.cameras``).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.opencv import Capture, open_capture, read_buffer
from twinlens.engine.errors import SourceError

_PATIENCE_S = 5.0
_GAP_S = 1.0
_RETRY_S = 0.02
_PROBED = 4
_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}


@dataclass(frozen=True)
class CameraName:
    """A camera: ``camera:ID`` opens it, ``name`` is shown."""

    id: str
    name: str


class Camera:
    """A camera.

    Args:
        device: index, or device path.
        name: name that is shown; None is made of the device.
        known: whether a camera is known to be there; otherwise one that does not open is
            most likely none at all, and the error says so.
        size: wanted (width, height); what really comes is in the frames.
        fps: wanted frame rate.
        opener: opens a capture; tests bring their own.
        clock: seconds.
    """

    def __init__(
        self,
        device: int | str = 0,
        *,
        name: str | None = None,
        known: bool = True,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        opener: Callable[[int | str, int], Capture] = open_capture,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._device = device
        self.title = name or f"Camera {device}"
        self._known = known
        self._size = size or (1280, 720)
        self._fps = fps or 30.0
        self._opener, self._clock = opener, clock
        self._capture: Capture | None = None
        self._stop = threading.Event()
        self._first: Frame | None = None
        self._index = 0
        self._started_s = 0.0

    def open(self) -> SourceInfo:
        """Open the camera, ask for MJPG, size and rate, and wait for a first frame.

        Raises:
            SourceError: there is no such camera, it is in use or not allowed, or it stays silent.
        """
        backend = _BACKENDS.get(sys.platform, cv2.CAP_ANY)
        self._capture = self._opener(self._device, backend)
        if not self._capture.isOpened():
            self.close()
            if not self._known:
                raise SourceError("No camera found", hint="Plug one in and try again.")
            raise SourceError(
                f"{self.title}: cannot be opened",
                hint="Plug it in, close other programs that use it, and allow camera access.",
            )
        self._ask(self._capture)
        self._started_s = self._clock()
        first = self._await_frame(_PATIENCE_S)
        if first is None:
            self.close()
            raise SourceError(
                f"{self.title}: no picture came within {_PATIENCE_S:.0f} seconds",
                hint="Another program may hold it; unplug it and plug it in again.",
            )
        self._first = first
        return SourceInfo(
            kind="camera",
            title=self.title,
            width=first.buffer.width,
            height=first.buffer.height,
            fps=max(0.0, self._capture.get(cv2.CAP_PROP_FPS)),
            live=True,
        )

    def _ask(self, capture: Capture) -> None:
        # MJPG first: it decides which sizes and rates a USB camera has to offer.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> Frame | None:
        """Next frame; None when interrupted.

        Raises:
            SourceError: the camera stopped delivering.
        """
        if self._capture is None or self._stop.is_set():
            return None
        frame = self._first or self._await_frame(_GAP_S)
        self._first = None
        if frame is None and not self._stop.is_set():
            raise SourceError(
                f"{self.title}: stopped delivering pictures", hint="Was it unplugged?"
            )
        return frame

    def _await_frame(self, patience_s: float) -> Frame | None:
        # A cable's disturbance damages a JPEG now and then, and a waking camera gives nothing at
        # first; a driver that fails at once must not be asked in a busy loop.
        until_s = self._clock() + patience_s
        while (frame := self._decode()) is None and self._clock() < until_s:
            if self._stop.wait(_RETRY_S):
                break
        return frame

    def _decode(self) -> Frame | None:
        buffer = read_buffer(self._capture, self._clock)
        if buffer is None:
            return None
        now = buffer.timestamp_s
        frame = Frame(buffer, self._index, now, now - self._started_s)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """Make the next ``read`` return; a blocked one ends with the driver's time-out."""
        self._stop.set()

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def list_cameras(
    sysfs: Path = Path("/sys/class/video4linux"), platform: str = sys.platform
) -> tuple[CameraName, ...]:
    """Cameras, found without Qt and, on Linux, without opening one.

    On macOS and Windows OpenCV knows no names: the first few indices are tried.
    """
    if platform.startswith("linux"):
        return _linux_cameras(sysfs)
    found = []
    for index in range(_PROBED):
        capture = open_capture(index, _BACKENDS.get(platform, cv2.CAP_ANY))
        if capture.isOpened():
            found.append(CameraName(str(index), f"Camera {index}"))
        capture.release()
    return tuple(found)


def named_by_system(id: str, sysfs: Path = Path("/sys/class/video4linux")) -> str | None:
    """Name of a camera where the system gives it without the camera being opened (Linux)."""
    return next((camera.name for camera in _linux_cameras(sysfs) if camera.id == id), None)


def _linux_cameras(sysfs: Path) -> tuple[CameraName, ...]:
    found = []
    for node in sorted(sysfs.glob("video*"), key=lambda path: int(path.name[5:])):
        try:
            # A camera has further nodes, for metadata; their index is not 0.
            if int((node / "index").read_text()) == 0:
                found.append(CameraName(node.name[5:], (node / "name").read_text().strip()))
        except (OSError, ValueError):
            continue
    return tuple(found)
