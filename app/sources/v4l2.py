"""What Linux says of its video devices, asked of the driver itself.

Structures and numbers are those of ``linux/videodev2.h``. A device called video0 may be a camera, a
camera's metadata, an output or a tuner: its capabilities say so. Why OpenCV could not open one it
does not tell; the driver does.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinlens.engine.errors import SourceError

SYSFS = Path("/sys/class/video4linux")
_QUERYCAP = 0x80685600
_G_FMT, _S_FMT = 0xC0D05604, 0xC0D05605
_G_INPUT, _ENUMINPUT = 0x80045626, 0xC050561A
_CAP_CAPTURE = 0x00000001 | 0x00001000  # single and multi-planar
_CAP_DEVICE_CAPS = 0x80000000
_TYPE_CAPTURE = 1
_NO_POWER, _NO_SIGNAL, _NO_LOCK = 0x1, 0x2, 0x100 | 0x200
_MOST_PROCESSES = 4096

Ioctl = Callable[[int, int, bytearray], object]
"""Fills the buffer, or raises OSError; ``fcntl.ioctl``, or a test's own."""


@dataclass(frozen=True)
class Device:
    """A video device.

    Attributes:
        path: ``/dev/videoN``.
        name: what it calls itself (``"Integrated Camera"``).
        bus: where it is plugged in (``"usb-0000:00:14.0-8"``), which stays when its number
            changes.
        captures: it delivers pictures.
    """

    path: str
    name: str
    bus: str
    captures: bool


class Driver:
    """Asks devices; the seam at which tests stand in.

    Args:
        ioctl: see ``Ioctl``; None is the system's.
        opener: opens a device for asking, raises OSError.
        closer: closes it.
        sysfs: where the system lists its devices.
    """

    def __init__(
        self,
        ioctl: Ioctl | None = None,
        opener: Callable[[str], int] | None = None,
        closer: Callable[[int], None] = os.close,
        sysfs: Path = SYSFS,
    ) -> None:
        self.sysfs = sysfs
        self._ioctl = ioctl or _system_ioctl
        self._open = opener or _open
        self._close = closer

    def device(self, path: str) -> Device:
        """What a device is.

        Raises:
            OSError: it is not there, not allowed, or no video device (ENOTTY).
        """
        data = bytearray(104)
        self._ask(path, (_QUERYCAP, data))
        _, card, bus, _, all_caps, own_caps = struct.unpack("<16s32s32sIII", data[:92])
        caps = own_caps if all_caps & _CAP_DEVICE_CAPS else all_caps
        return Device(path, _text(card), _text(bus), bool(caps & _CAP_CAPTURE))

    def is_busy(self, path: str) -> bool:
        """Whether another program streams from it: the driver lets nobody set its format then."""
        data = bytearray(208)
        data[:4] = struct.pack("<I", _TYPE_CAPTURE)
        try:
            self._ask(path, (_G_FMT, data), (_S_FMT, data))
        except OSError as why:
            return why.errno == errno.EBUSY
        return False

    def lack(self, path: str) -> str:
        """What the device's input lacks (``"no signal"``); empty where it is in order."""
        number, data = bytearray(4), bytearray(80)
        try:
            self._ask(path, (_G_INPUT, number))
            data[:4] = number
            self._ask(path, (_ENUMINPUT, data))
        except OSError:
            return ""
        (status,) = struct.unpack("<I", data[56:60])
        if status & _NO_POWER:
            return "no power"
        return "no signal" if status & (_NO_SIGNAL | _NO_LOCK) else ""

    def _ask(self, path: str, *questions: tuple[int, bytearray]) -> None:
        handle = self._open(path)
        try:
            for request, data in questions:
                self._ioctl(handle, request, data)
        finally:
            self._close(handle)


def devices(driver: Driver) -> tuple[Device, ...]:
    """All devices that deliver pictures, by number.

    One that may not be looked at counts if the system lists it first of its camera: it is
    better named and refused than not there.
    """
    found = []
    nodes = [node for node in driver.sysfs.glob("video*") if node.name[5:].isdigit()]
    for node in sorted(nodes, key=lambda path: int(path.name[5:])):
        path = f"/dev/{node.name}"
        try:
            device = driver.device(path)
        except OSError:
            device = Device(path, _named(node), "", _listed_first(node))
        if device.captures:
            found.append(device)
    return tuple(found)


def twins(wanted: Device, driver: Driver) -> frozenset[str]:
    """Buses of the other cameras of the same name that are plugged in now."""
    buses = (one.bus for one in devices(driver) if one.name == wanted.name)
    return frozenset(buses) - {wanted.bus}


def again(wanted: Device, driver: Driver, others: frozenset[str] = frozenset()) -> str | None:
    """Path under which a camera is found now: on the same bus, else the only new one of its name.

    Args:
        wanted: the camera, as it was.
        driver: asks the devices.
        others: buses of its twins, see ``twins``; none of these is meant.
    """
    now = [one for one in devices(driver) if one.name == wanted.name and one.bus not in others]
    same = [one for one in now if one.bus == wanted.bus] or (now if len(now) == 1 else [])
    return same[0].path if same else None


def why_not(path: str, title: str, driver: Driver) -> SourceError:
    """Why a camera could not be opened: absent, forbidden, busy, or none at all."""
    try:
        device = driver.device(path)
    except OSError as why:
        return _refused(why, path, title)
    if not device.captures:
        return SourceError(
            f"{title}: {path} delivers no pictures; it is an output or a camera's metadata",
            hint="Choose another camera.",
        )
    if driver.is_busy(path):
        by = _holders(path)
        return SourceError(
            f"{title}: is in use by {by or 'another program'}",
            hint="Close that program; the picture then comes by itself.",
            passing=True,
        )
    return SourceError(
        f"{title}: delivers no picture that can be read",
        hint="Unplug it and plug it in again, or ask for another size.",
        passing=True,
    )


def _refused(why: OSError, path: str, title: str) -> SourceError:
    if why.errno in (errno.EACCES, errno.EPERM):
        return SourceError(
            f"{title}: you have no right to use {path}",
            hint="Join the group that may: sudo usermod -aG video $USER, then log in again.",
        )
    if why.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return SourceError(
            f"{title}: {path} is not there", hint="Plug the camera in.", passing=True
        )
    if why.errno == errno.EBUSY:
        return SourceError(
            f"{title}: is in use by {_holders(path) or 'another program'}",
            hint="Close that program; the picture then comes by itself.",
            passing=True,
        )
    return SourceError(
        f"{title}: {path} is no camera ({why.strerror or why})", hint="Choose another camera."
    )


def _holders(path: str) -> str:
    """Names of the programs that hold a device open, as far as they may be looked at."""
    names = set()
    target = os.path.realpath(path)
    for process in list(Path("/proc").glob("[0-9]*"))[:_MOST_PROCESSES]:
        if process.name == str(os.getpid()):
            continue
        try:
            if any(os.path.realpath(handle) == target for handle in (process / "fd").iterdir()):
                names.add((process / "comm").read_text(errors="replace").strip())
        except OSError:
            continue
    return ", ".join(sorted(names))


def _named(node: Path) -> str:
    try:
        return (node / "name").read_text(errors="replace").strip()
    except OSError:
        return node.name


def _listed_first(node: Path) -> bool:
    # A camera has further nodes, for metadata; their index is not 0.
    try:
        return int((node / "index").read_text()) == 0
    except (OSError, ValueError):
        return False


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _system_ioctl(handle: int, request: int, data: bytearray) -> object:
    import fcntl  # late: not on Windows, which has other drivers

    return fcntl.ioctl(handle, request, data, True)
