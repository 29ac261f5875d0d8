"""Videos as telephones make them, pauses, and what reaches standard error."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.fakes import FakeClock
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.picture import Pictures
from twinlens.app.sources.video import VideoFile

# ISO 14496-12, 8.3.2: the matrix of a track header that turns by 90 degrees, 16.16 fixed point.
QUARTER_TURN = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 0x40000000)


class Waits:
    """A pacer's clock and sleep; time passes only while it sleeps."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> bool:
        if seconds > 1e-6:  # less is rounding
            self.slept.append(seconds)
        self.clock.advance(seconds)
        return False

    def pacer(self) -> Pacer:
        return Pacer(self.clock, self)


class Uneven:
    """Stands for ``cv2.VideoCapture`` of a video whose frames have these positions in ms."""

    def __init__(self, positions_ms: Sequence[float]) -> None:
        self._positions_ms, self._at = positions_ms, -1

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, np.zeros((6, 8, 3), np.uint8)) if self.grab() else (False, None)

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._positions_ms)

    def get(self, propId: int) -> float:  # noqa: N803
        known = {cv2.CAP_PROP_FPS: 10.0, cv2.CAP_PROP_FRAME_COUNT: len(self._positions_ms)}
        if propId == cv2.CAP_PROP_POS_MSEC:
            return self._positions_ms[self._at]
        return known.get(propId, 0.0)

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        return False

    def release(self) -> None:
        pass


def uneven(tmp_path: Path, positions_ms: Sequence[float], waits: Waits) -> VideoFile:
    path = tmp_path / "uneven.mp4"
    path.touch()
    return VideoFile(path, loop=False, pacer=waits.pacer(), opener=lambda *_: Uneven(positions_ms))


def test_frames_come_when_their_timestamps_say(tmp_path: Path) -> None:
    waits = Waits()
    source = uneven(tmp_path, [0, 40, 80, 580, 620], waits)
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(frame.t_s)
    assert seen == pytest.approx([0, 0.04, 0.08, 0.58, 0.62])
    assert waits.slept == pytest.approx([0.04, 0.04, 0.5, 0.04])


def test_missing_timestamps_are_made_of_the_rate(tmp_path: Path) -> None:
    source = uneven(tmp_path, [0, 0, 0, 0], Waits())
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(frame.t_s)
    assert seen == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_pause_does_not_make_a_video_rush(tmp_path: Path) -> None:
    waits = Waits()
    source = uneven(tmp_path, [100 * n for n in range(20)], waits)
    source.open()
    before = source.read()
    waits.clock.advance(60)
    after = [source.read() for _ in range(3)]
    assert before is not None
    assert [frame.index for frame in after if frame] == [1, 2, 3]
    assert waits.slept == pytest.approx([0.1, 0.1])


def test_a_pause_does_not_make_a_show_rush(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), np.zeros((6, 8, 3), np.uint8))
    waits = Waits()
    show = Pictures([path], "one", pacer=waits.pacer())
    show.open()
    show.read()
    waits.clock.advance(60)
    for _ in range(4):
        assert show.read() is not None
    assert waits.slept == pytest.approx([0.1] * 3)


def test_a_video_filmed_upright_stands_upright(tmp_path: Path) -> None:
    path = tmp_path / "telephone.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16] = 255  # white at the top of what is stored
    for _ in range(3):
        writer.write(picture)
    writer.release()
    data = bytearray(path.read_bytes())
    # Version 0 of the track header: the matrix stands 40 bytes behind version and flags.
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = QUARTER_TURN
    path.write_bytes(data)
    source = VideoFile(path, realtime=False)
    info = source.open()
    frame = source.read()
    source.close()
    assert (info.width, info.height) == (48, 64)
    assert frame is not None
    upright = frame.buffer.to_bgr()
    assert upright[:, -10:].min() > 200  # a clockwise turn brings the top to the right
    assert upright[:, :24].max() < 60


def test_a_video_cut_off_in_its_middle_plays_what_is_there(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    random = np.random.default_rng(1)
    for _ in range(30):
        writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    source = VideoFile(cut, realtime=False)
    source.open()
    count = 0
    while source.read() is not None:
        count += 1
    source.close()
    assert 5 < count < 30


def test_failures_write_nothing_to_standard_error(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    code = """
import sys
from twinlens.app.sources import open_source
from twinlens.engine.errors import SourceError
for text in sys.argv[1:]:
    try:
        open_source(text).open()
    except SourceError as error:
        print(error.message)
"""
    texts = [str(tmp_path / "text.mp4"), "http://127.0.0.1:1/x", "rtsp://127.0.0.1:1/x"]
    done = subprocess.run(
        [sys.executable, "-c", code, *texts, "camera:63"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4
