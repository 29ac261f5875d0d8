"""What Linux says of video devices, asked through a driver that tests stand in for."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from twinlens.app.sources import v4l2
from twinlens.app.sources.camera import Camera, list_cameras
from twinlens.app.sources.v4l2 import Driver
from twinlens.engine.errors import SourceError

CAPTURE, OUTPUT, META = 0x1, 0x2, 0x00800000
DEVICE_CAPS = 0x80000000


class Machine:
    """Devices of a machine that does not exist: what their drivers answer, and what goes wrong."""

    def __init__(self, sysfs: Path) -> None:
        self.sysfs = sysfs
        self.devices: dict[str, tuple[str, str, int]] = {}
        self.refused: dict[str, int] = {}
        self.busy: set[str] = set()
        self.status: dict[str, int] = {}
        self._open: dict[int, str] = {}
        self.driver = Driver(self._ioctl, self._opener, self._closer, sysfs)

    def plug(self, number: int, name: str, bus: str, caps: int = CAPTURE) -> str:
        path = f"/dev/video{number}"
        self.devices[path] = (name, bus, caps)
        node = self.sysfs / f"video{number}"
        node.mkdir(exist_ok=True)
        (node / "name").write_text(name + "\n")
        (node / "index").write_text("0\n")
        return path

    def unplug(self, path: str) -> None:
        del self.devices[path]
        node = self.sysfs / path.removeprefix("/dev/")
        for file in node.iterdir():
            file.unlink()
        node.rmdir()

    def _opener(self, path: str) -> int:
        code = self.refused.get(path, 0 if path in self.devices else errno.ENOENT)
        if code:
            raise OSError(code, os.strerror(code))
        self._open[len(self._open)] = path
        return len(self._open) - 1

    def _closer(self, handle: int) -> None:
        assert handle in self._open

    def _ioctl(self, handle: int, request: int, data: bytearray) -> object:
        path = self._open[handle]
        name, bus, caps = self.devices[path]
        if request == v4l2._QUERYCAP:
            assert len(data) == 104
            # The first word is of the whole card, the second of this device.
            packed = struct.pack(
                "<16s32s32sIII", b"uvc", name.encode(), bus.encode(), 0, 0xFF | DEVICE_CAPS, caps
            )
            data[: len(packed)] = packed
        elif request == v4l2._S_FMT and path in self.busy:
            raise OSError(errno.EBUSY, "busy")
        elif request == v4l2._ENUMINPUT:
            data[56:60] = struct.pack("<I", self.status.get(path, 0))
        return 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class Pictures:
    """Stands for OpenCV's capture: gives these pictures, raw JPEG as bytes."""

    def __init__(self, *given: object, opened: bool = True, mjpg: bool = True) -> None:
        self.given, self.opened, self.mjpg = list(given), opened, mjpg
        self.set_to: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.given:
            return False, None
        now = self.given.pop(0)
        if isinstance(now, bytes):
            return True, np.frombuffer(now, np.uint8).reshape(1, -1)
        return now is not None, now  # type: ignore[return-value]

    def grab(self) -> bool:
        return self.read()[0]

    def get(self, propId: int) -> float:  # noqa: N803
        if propId == cv2.CAP_PROP_FOURCC and self.mjpg:
            return float(cv2.VideoWriter.fourcc(*"MJPG"))
        return 30.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.set_to[propId] = value
        return True

    def release(self) -> None:
        self.opened = False


def jpeg(value: int = 90) -> bytes:
    noise = np.random.default_rng(value).integers(0, 255, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def camera(machine: Machine, path: str | int, *captures: Pictures) -> Camera:
    given = list(captures)
    return Camera(
        path, name="Desk cam", opener=lambda *_: given.pop(0), clock=Ticks(), driver=machine.driver
    )


def test_capabilities_and_not_numbers_say_what_is_a_camera(machine: Machine) -> None:
    machine.plug(0, "Loopback out", "platform:v4l2loopback-000", OUTPUT)
    machine.plug(1, "Desk cam", "usb-1", META)
    machine.plug(2, "Desk cam", "usb-1")
    machine.plug(3, "Secret cam", "usb-2")
    machine.refused["/dev/video3"] = errno.EACCES
    machine.plug(10, "Multi-planar", "platform:isp", 0x1000)
    found = list_cameras(machine.sysfs, "linux", machine.driver)
    assert [(one.id, one.name) for one in found] == [
        ("2", "Desk cam"),
        ("3", "Secret cam"),
        ("10", "Multi-planar"),
    ]


def test_structures_have_the_sizes_of_the_kernel() -> None:
    # The size stands in bits 16 to 29 of a request (asm-generic/ioctl.h).
    sizes = {v4l2._QUERYCAP: 104, v4l2._G_FMT: 208, v4l2._S_FMT: 208, v4l2._ENUMINPUT: 80}
    assert {request: request >> 16 & 0x3FFF for request in sizes} == sizes


@pytest.mark.parametrize(
    ("code", "message", "hint", "passing"),
    [
        (errno.EACCES, "no right to use /dev/video0", "usermod", False),
        (errno.ENOENT, "is not there", "Plug", True),
        (errno.ENODEV, "is not there", "Plug", True),
        (errno.EBUSY, "in use by", "Close", True),
        (errno.ENOTTY, "no camera", "another", False),
    ],
)
def test_absent_forbidden_and_busy_are_told_apart(
    machine: Machine, code: int, message: str, hint: str, passing: bool
) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    machine.refused["/dev/video0"] = code
    with pytest.raises(SourceError, match=message) as caught:
        camera(machine, 0, Pictures(opened=False)).open()
    assert hint in caught.value.hint
    assert caught.value.passing is passing


def test_a_camera_that_another_program_streams_from(machine: Machine) -> None:
    path = machine.plug(0, "Desk cam", "usb-1")
    machine.busy.add(path)
    for capture in (Pictures(opened=False), Pictures()):
        with pytest.raises(SourceError, match="in use by another program"):
            camera(machine, 0, capture).open()


def test_an_output_is_no_camera(machine: Machine) -> None:
    machine.plug(0, "Loopback", "x", OUTPUT)
    with pytest.raises(SourceError, match="delivers no pictures"):
        camera(machine, 0, Pictures(jpeg())).open()


def test_it_is_found_again_under_another_number(machine: Machine) -> None:
    path = machine.plug(0, "Desk cam", "usb-1")
    machine.plug(1, "Desk cam", "usb-7")  # another one of the same make
    asked: list[object] = []

    def opener(device: object, backend: int) -> Pictures:
        asked.append(device)
        return Pictures(jpeg(), jpeg())

    source = Camera(0, opener=opener, clock=Ticks(), driver=machine.driver)  # type: ignore[arg-type]
    source.open()
    source.close()
    machine.unplug(path)
    with pytest.raises(SourceError, match="not plugged in") as caught:
        source.open()
    assert caught.value.passing
    machine.plug(4, "Desk cam", "usb-1")
    source.open()
    assert asked == [0, "/dev/video4"]
    machine.unplug("/dev/video1")
    machine.unplug("/dev/video4")
    machine.plug(5, "Desk cam", "usb-3")  # in another socket, the only one of its name
    source.open()
    assert asked[-1] == "/dev/video5"


def test_another_size_and_format_on_return_are_taken_as_they_come(machine: Machine) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    small = np.zeros((24, 32, 3), np.uint8)
    source = camera(machine, 0, Pictures(jpeg()), Pictures(small, mjpg=False))
    assert source.open().width == 64
    source.close()
    assert source.open().width == 32
    frame = source.read()
    assert frame is not None
    assert frame.buffer.to_bgr().shape == (24, 32, 3)


def test_two_buffers_and_raw_jpeg_are_asked_for(machine: Machine) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    capture = Pictures(jpeg())
    camera(machine, 0, capture).open()
    assert capture.set_to[cv2.CAP_PROP_BUFFERSIZE] == 2
    assert capture.set_to[cv2.CAP_PROP_CONVERT_RGB] == 0
    yuyv = Pictures(np.zeros((48, 64, 3), np.uint8), mjpg=False)
    camera(machine, 0, yuyv).open()
    assert cv2.CAP_PROP_CONVERT_RGB not in yuyv.set_to


def test_undecodable_pictures_are_counted_and_left_out(machine: Machine) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    good = jpeg()
    bad = [good[: len(good) // 2], b"\xff\xd8" + bytes(3000), bytes(500), good[:2] + good[40:]]
    source = camera(machine, 0, Pictures(good, *bad[:2], good, *bad[2:], good))
    source.open()
    frames = [source.read() for _ in range(3)]
    assert [(f.index, f.damaged) for f in frames if f] == [(0, 0), (1, 2), (2, 4)]


def test_a_camera_that_sends_only_garbage_is_told(machine: Machine) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    with pytest.raises(SourceError, match=r"none of the pictures that came \(\d+\) can be decoded"):
        camera(machine, 0, Pictures(*[bytes(3000)] * 200)).open()
    source = camera(machine, 0, Pictures(jpeg(), *[bytes(3000)] * 200))
    source.open()
    source.read()
    with pytest.raises(SourceError, match="can be decoded"):
        source.read()


@pytest.mark.parametrize(
    ("status", "remark"), [(0x2, "no signal"), (0x1, "no power"), (0x100, "no signal"), (0, "")]
)
def test_what_the_input_lacks_is_said(machine: Machine, status: int, remark: str) -> None:
    path = machine.plug(0, "TV card", "pci-1")
    machine.status[path] = status
    source = camera(machine, 0, Pictures(*[jpeg()] * 30))
    source.open()
    frames = [source.read() for _ in range(20)]
    assert {frame.remark for frame in frames if frame} == {remark}


@pytest.mark.parametrize(
    ("level", "remark"), [(0, "the picture is black"), (128, "the picture is of one colour")]
)
def test_a_picture_of_nothing_is_said(machine: Machine, level: int, remark: str) -> None:
    machine.plug(0, "Desk cam", "usb-1")
    flat = np.full((48, 64, 3), level, np.uint8)
    source = camera(machine, 0, Pictures(*[flat] * 60, mjpg=False))
    source.open()
    frames = [source.read() for _ in range(50)]
    said = [frame.remark for frame in frames if frame]
    assert (said[0], said[-1]) == ("", remark)
