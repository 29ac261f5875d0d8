"""Names of cameras, and how they are opened by OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from PySide6.QtCore import QObject
from PySide6.QtMultimedia import QMediaDevices
from pytestqt.qtbot import QtBot

from twinlens.app.qt.window.cameras import (
    CameraChoice,
    ask_permission,
    camera_choices,
    camera_texts,
    watch_cameras,
)


class FakeDevice:
    """Stands for ``QCameraDevice``."""

    def __init__(self, id: str, name: str) -> None:
        self._id, self._name = id, name

    def id(self) -> FakeId:
        return FakeId(self._id)

    def description(self) -> str:
        return self._name

    def videoFormats(self) -> list[object]:  # noqa: N802
        return []


class FakeId:
    """Stands for ``QByteArray``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def data(self) -> bytes:
        return self._text.encode()


def test_linux_paths_name_the_device() -> None:
    assert camera_texts([b"/dev/video2", b"/dev/video10"], "linux") == ["camera:2", "camera:10"]


def test_macos_counts_in_the_order_of_unique_ids() -> None:
    ids = [b"6C707041-05AC", b"0x1140000046d085c", b"EAB7A68F"]
    assert camera_texts(ids, "darwin") == ["camera:1", "camera:0", "camera:2"]


def test_windows_counts_in_the_systems_order() -> None:
    ids = [rb"\\?\usb#vid_b", rb"\\?\usb#vid_a"]
    assert camera_texts(ids, "win32") == ["camera:0", "camera:1"]


def test_the_default_camera_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    side, desk = FakeDevice("/dev/video0", "Side"), FakeDevice("/dev/video4", "Desk")
    monkeypatch.setattr(QMediaDevices, "videoInputs", lambda: [side, desk])
    monkeypatch.setattr(QMediaDevices, "defaultVideoInput", lambda: desk)
    side_text, desk_text = camera_texts([b"/dev/video0", b"/dev/video4"])
    assert camera_choices() == (
        CameraChoice("Desk", desk_text, ""),
        CameraChoice("Side", side_text, ""),
    )


def test_plugging_is_told(qtbot: QtBot) -> None:
    parent, told = QObject(), []
    devices = watch_cameras(lambda: told.append(1), parent)
    devices.videoInputsChanged.emit()
    assert told == [1]


def test_permission_is_granted_where_nobody_asks(qtbot: QtBot) -> None:
    answers: list[bool] = []
    ask_permission(answers.append, QObject(), "linux")
    assert answers == [True]


def test_looking_for_cameras_writes_nothing_on_standard_error() -> None:
    code = (
        "from twinlens.app.qt.main import make_application\n"
        "from twinlens.app.qt.window.cameras import camera_choices\n"
        "application = make_application()\n"
        "camera_choices()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.stderr == ""
