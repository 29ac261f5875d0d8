"""Cameras by their real names, from Qt; frames come through OpenCV.

Qt knows names on every system, reports cameras that are plugged in, and asks for permission on
macOS. It is not used for the frames, see ``twinlens.app.sources.camera``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtMultimedia import QMediaDevices


@dataclass(frozen=True)
class CameraChoice:
    """A camera that can be chosen: ``text`` is its form for ``open_source``."""

    name: str
    text: str
    detail: str


def camera_choices() -> tuple[CameraChoice, ...]:
    """Cameras that Qt sees now, the system's default first."""
    default = QMediaDevices.defaultVideoInput()
    found = []
    devices = QMediaDevices.videoInputs()
    texts = camera_texts([bytes(device.id().data()) for device in devices])
    for text, device in zip(texts, devices, strict=True):
        largest = max((f.resolution() for f in device.videoFormats()), key=_area, default=None)
        detail = f"up to {largest.width()}×{largest.height()}" if largest else ""
        choice = CameraChoice(device.description(), text, detail)
        found.append((device != default, choice))
    return tuple(choice for _, choice in sorted(found, key=lambda pair: pair[0]))


def watch_cameras(changed: Callable[[], None], parent: QObject) -> QMediaDevices:
    """Call ``changed`` when a camera is plugged in or pulled out; keep what is returned."""
    devices = QMediaDevices(parent)
    devices.videoInputsChanged.connect(changed)
    return devices


def ask_permission(
    answered: Callable[[bool], None], parent: QObject, platform: str = sys.platform
) -> None:
    """Ask the system for the camera where it has to be asked (macOS); answers at once elsewhere."""
    if platform != "darwin":
        answered(True)
        return
    from PySide6.QtCore import QCameraPermission

    application = QCoreApplication.instance()
    if application is None:
        answered(False)
        return
    application.requestPermission(
        QCameraPermission(),
        parent,
        lambda permission: answered(permission.status() == Qt.PermissionStatus.Granted),
    )


def camera_texts(ids: Sequence[bytes], platform: str = sys.platform) -> list[str]:
    """What ``open_source`` calls the cameras of these Qt ids, in the same order.

    On Linux an id is the device's path. On macOS OpenCV counts cameras in the order of their
    unique ids, which are Qt's ids; on Windows in the system's order, as Qt does.
    """
    if platform == "darwin":
        ranks = {id: rank for rank, id in enumerate(sorted(ids))}
        return [f"camera:{ranks[id]}" for id in ids]
    numbers = [id.decode("utf-8", "replace").removeprefix("/dev/video") for id in ids]
    return [
        f"camera:{number if number.isdigit() else place}" for place, number in enumerate(numbers)
    ]


def _area(size: object) -> int:
    return int(size.width() * size.height())  # type: ignore[attr-defined]
