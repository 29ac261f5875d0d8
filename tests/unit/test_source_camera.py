"""Cameras that stutter, and names that mean one."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from helpers.fakes import FakeClock
from twinlens.app import sources
from twinlens.app.sources import CameraName, open_source
from twinlens.app.sources.camera import Camera
from twinlens.engine.errors import SourceError


class Stutter:
    """Stands for ``cv2.VideoCapture``: delivers where the script says True, then never again."""

    def __init__(self, script: Iterable[bool], clock: FakeClock) -> None:
        self._script, self._clock = list(script), clock
        self.reads = 0
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads += 1
        self._clock.advance(0.3)
        if not self._script or not self._script.pop(0):
            return False, None
        return True, np.zeros((6, 8, 3), np.uint8)

    def grab(self) -> bool:
        return self.read()[0]

    def get(self, propId: int) -> float:  # noqa: N803
        return 30.0 if propId == cv2.CAP_PROP_FPS else 0.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        return False

    def release(self) -> None:
        self.released = True


def camera(*script: bool) -> tuple[Camera, Stutter]:
    clock = FakeClock()
    capture = Stutter(script, clock)
    return Camera(0, opener=lambda *_: capture, clock=clock), capture


def test_a_camera_that_wakes_slowly_is_waited_for() -> None:
    slow, _ = camera(False, False, False, True)
    assert slow.open().width == 8
    first = slow.read()
    assert first is not None
    assert first.index == 0
    slow.close()


def test_a_damaged_frame_is_passed_over() -> None:
    shaky, _ = camera(True, True, False, False, True)
    shaky.open()
    frames = [shaky.read() for _ in range(3)]
    assert [frame.index for frame in frames if frame] == [0, 1, 2]
    shaky.close()


def test_a_camera_that_was_pulled_out_is_told_and_released() -> None:
    gone, capture = camera(True)
    gone.open()
    gone.read()
    with pytest.raises(SourceError, match="stopped delivering"):
        gone.read()
    gone.close()
    gone.close()
    assert capture.released


def test_interrupt_ends_the_wait_for_a_first_picture() -> None:
    silent, capture = camera()
    silent.interrupt()
    with pytest.raises(SourceError):
        silent.open()
    assert capture.reads == 1
    assert capture.released


def test_names_lead_to_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    known = (CameraName("2", "Integrated Camera"), CameraName("4", "HD Pro Webcam C920"))
    monkeypatch.setattr(sources, "list_cameras", lambda: known)
    for text, title in (
        ("camera", "Integrated Camera"),
        ("camera:c920", "HD Pro Webcam C920"),
        ("camera:7", "Camera 7"),
    ):
        assert open_source(text).title == title
    with pytest.raises(SourceError, match="Logi") as caught:
        open_source("camera:Logi")
    assert "Integrated Camera, HD Pro Webcam C920" in caught.value.hint


def test_a_device_path_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "list_cameras", tuple)
    path = "/dev/v4l/by-id/usb-cam"
    assert open_source(f"camera:{path}").title == path


def test_without_any_camera_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinlens.app.sources.list_cameras", tuple)
    source = open_source("camera")
    assert isinstance(source, Camera)
    source._opener = lambda *_: closed_capture()
    with pytest.raises(SourceError, match="No camera found"):
        source.open()


def closed_capture() -> cv2.VideoCapture:
    return cv2.VideoCapture()
