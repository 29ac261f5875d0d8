"""Cameras, through OpenCV.

OpenCV rather than Qt's camera: it gives the frame to the capture thread as pixels, without a
round through the window's thread and its event loop; it lets us ask for MJPG, without which many
USB cameras deliver 720p at 10 frames a second; and the same code runs without Qt. Names, hot-plug
and permission come from Qt in the window (``twinlens.app.qt.window.cameras``).

On Linux the driver is asked what OpenCV does not tell (``v4l2``), and MJPG is decoded here: OpenCV
takes a picture that it cannot decode for a good one, which is the one before, or black.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources import v4l2
from twinlens.app.sources.opencv import Capture, open_capture
from twinlens.engine.errors import SourceError
from twinlens.engine.image import PixelBuffer
from twinlens.engine.image.stills import jpeg_pixels

_PATIENCE_S = 5.0
_GAP_S = 2.0
_RETRY_S = 0.02
_PROBED = 4
# One buffer halves the rate of a USB camera: there is none to fill while one is read.
_BUFFERS = 2
_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_LOOK_EVERY_S = 1.0
# A picture whose values differ by no more is of one colour: a lid, a lost signal.
_FLAT_LEVELS = 6


@dataclass(frozen=True)
class CameraName:
    """A camera: ``camera:ID`` opens it, ``name`` is shown."""

    id: str
    name: str


class Camera:
    """A camera.

    Once it has been open, the camera itself is meant, not its number: opened again, it is looked
    for by its name and the place where it is plugged in (Linux).

    Args:
        device: index, or device path.
        name: name that is shown; None is made of the device.
        known: whether a camera is known to be there; otherwise one that does not open is
            most likely none at all, and the error says so.
        size: wanted (width, height); what really comes is in the frames.
        fps: wanted frame rate.
        opener: opens a capture; tests bring their own.
        clock: seconds.
        driver: asks the driver; None where the system has none to ask (not Linux).
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
        driver: v4l2.Driver | None = None,
    ) -> None:
        self._device = device
        self.title = name or f"Camera {device}"
        self._known = known
        self._size = size or (1280, 720)
        self._fps = fps or 30.0
        self._opener, self._clock = opener, clock
        self._driver = driver
        self._itself: v4l2.Device | None = None
        self._twins: frozenset[str] = frozenset()
        self._capture: Capture | None = None
        self._stop = threading.Event()
        self._first: Frame | None = None
        self._index = self._damaged = 0
        self._raw = False
        self._started_s = 0.0
        self._look = _Look()

    def open(self) -> SourceInfo:
        """Open the camera, ask for MJPG, size and rate, and wait for a first frame.

        Raises:
            SourceError: there is no such camera, it is in use or not allowed, or it stays silent.
        """
        self._find()
        backend = _BACKENDS.get(sys.platform, cv2.CAP_ANY)
        self._capture = self._opener(self._device, backend)
        if not self._capture.isOpened():
            self.close()
            raise self._why_not()
        self._ask(self._capture)
        self._started_s = self._clock()
        damaged = self._damaged
        first = self._await_frame(_PATIENCE_S)
        if first is None:
            bad = self._damaged - damaged
            self.close()
            raise self._silent(bad)
        self._first = first
        return SourceInfo(
            kind="camera",
            title=self.title,
            width=first.buffer.width,
            height=first.buffer.height,
            fps=max(0.0, self._capture.get(cv2.CAP_PROP_FPS)),
            live=True,
        )

    @property
    def memory(self) -> Mapping[str, Any]:
        """What it knows of the camera itself, as plain values, for one in its place."""
        if self._itself is None:
            return {}
        return {"itself": asdict(self._itself), "twins": sorted(self._twins)}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Mean the camera that another one of the same text has found; before it is opened."""
        if memory:
            self._itself = v4l2.Device(**memory["itself"])
            self._twins = frozenset(memory["twins"])

    def _find(self) -> None:
        """Look for the same camera under whatever number it has now."""
        driver, path = self._driver, self._path()
        if driver is None or path is None:
            return
        if self._itself is not None:
            now = v4l2.again(self._itself, driver, self._twins)
            if now is None:
                raise SourceError(
                    f"{self.title}: is not plugged in", hint="Plug it in again.", passing=True
                )
            self._device = now
            return
        try:
            device = driver.device(path)
        except OSError:
            return  # OpenCV fails as well, and ``why_not`` says why
        if not device.captures:
            raise v4l2.why_not(path, self.title, driver)
        self._itself, self._twins = device, v4l2.twins(device, driver)

    def _path(self) -> str | None:
        if isinstance(self._device, int):
            return f"/dev/video{self._device}"
        return self._device if self._device.startswith("/dev/") else None

    def _why_not(self) -> SourceError:
        if not self._known:
            return SourceError("No camera found", hint="Plug one in and try again.")
        path = self._path()
        if self._driver is not None and path is not None:
            return v4l2.why_not(path, self.title, self._driver)
        return SourceError(
            f"{self.title}: cannot be opened",
            hint="Plug it in, close other programs that use it, and allow camera access.",
            passing=True,
        )

    def _silent(self, bad: int) -> SourceError:
        if bad:
            return SourceError(
                f"{self.title}: none of the pictures that came ({bad}) can be decoded",
                hint="Its cable or the port is bad; try others.",
                passing=True,
            )
        path = self._path()
        if self._driver is not None and path is not None and self._driver.is_busy(path):
            return v4l2.why_not(path, self.title, self._driver)
        return SourceError(
            f"{self.title}: no picture came within {_PATIENCE_S:.0f} seconds",
            hint="Another program may hold it; unplug it and plug it in again.",
            passing=True,
        )

    def _ask(self, capture: Capture) -> None:
        # MJPG first: it decides which sizes and rates a USB camera has to offer.
        capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
        self._raw = (
            self._driver is not None
            and int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG
            and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        )

    def read(self) -> Frame | None:
        """Next frame; None when interrupted.

        Raises:
            SourceError: the camera stopped delivering.
        """
        if self._capture is None or self._stop.is_set():
            return None
        damaged = self._damaged
        frame = self._first or self._await_frame(_GAP_S)
        self._first = None
        if frame is None and not self._stop.is_set():
            if self._damaged > damaged:
                raise self._silent(self._damaged - damaged)
            raise SourceError(
                f"{self.title}: stopped delivering pictures",
                hint="Was it unplugged?",
                passing=True,
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
        if self._capture is None:
            return None
        ok, pixels = self._capture.read()
        now = self._clock()
        if not ok or pixels is None:
            return None
        if self._raw and (pixels.ndim < 3 or pixels.shape[2] == 1):
            pixels = jpeg_pixels(pixels.tobytes())
            if pixels is None:
                self._damaged += 1
                return None
        buffer = PixelBuffer.from_array(pixels, timestamp_s=now)
        remark = self._look.at(pixels, now, self._lack)
        frame = Frame(
            buffer,
            self._index,
            now,
            now - self._started_s,
            damaged=self._damaged,
            remark=remark,
        )
        self._index += 1
        return frame

    def _lack(self) -> str:
        path = self._path()
        return self._driver.lack(path) if self._driver is not None and path is not None else ""

    def interrupt(self) -> None:
        """Make the next ``read`` return; a blocked one ends with the driver's time-out."""
        self._stop.set()

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class _Look:
    """Whether a picture is one at all, looked at now and then."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._flat = False
        self._remark = ""

    def at(self, pixels: NDArray[np.uint8], now_s: float, lack: Callable[[], str]) -> str:
        """What is wrong with it (``"no signal"``), as far as that lasts; empty for nothing."""
        if now_s < self._due_s:
            return self._remark
        self._due_s = now_s + _LOOK_EVERY_S
        few = pixels[::16, ::16]
        flat = int(few.max()) - int(few.min()) <= _FLAT_LEVELS
        dark = "the picture is black" if flat and few.max() < 32 else ""
        same = "the picture is of one colour" if flat else ""
        # Twice in a row: a picture that is of one colour for a moment is none to speak of.
        self._remark = lack() or ((dark or same) if self._flat else "")
        self._flat = flat
        return self._remark


def system_driver(platform: str = sys.platform) -> v4l2.Driver | None:
    """What asks the drivers of this system; None where it has none to ask."""
    return v4l2.Driver() if platform.startswith("linux") else None


def list_cameras(
    sysfs: Path = v4l2.SYSFS, platform: str = sys.platform, driver: v4l2.Driver | None = None
) -> tuple[CameraName, ...]:
    """Cameras, found without Qt and, on Linux, without starting one.

    On macOS and Windows OpenCV knows no names: the first few indices are tried.
    """
    if platform.startswith("linux"):
        found = v4l2.devices(driver or v4l2.Driver(sysfs=sysfs))
        return tuple(CameraName(one.path.removeprefix("/dev/video"), one.name) for one in found)
    tried = []
    for index in range(_PROBED):
        capture = open_capture(index, _BACKENDS.get(platform, cv2.CAP_ANY))
        if capture.isOpened():
            tried.append(CameraName(str(index), f"Camera {index}"))
        capture.release()
    return tuple(tried)


def named_by_system(id: str, sysfs: Path = v4l2.SYSFS) -> str | None:
    """Name of a camera where the system gives it without the camera being opened (Linux)."""
    try:
        return (sysfs / f"video{id}" / "name").read_text(errors="replace").strip()
    except OSError:
        return None
