"""Videos as telephones make them, pauses, and what reaches standard error."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.fakes import FakeClock
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.picture import Pictures
from twinlens.app.sources.video import VideoFile
from twinlens.engine.image.video import VideoFacts

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
    """Stands for the reader of a video whose frames have these positions in ms."""

    def __init__(self, positions_ms: Sequence[float]) -> None:
        self.facts = VideoFacts("none", "none", 10.0, len(positions_ms), None)
        self.damaged = 0
        self._positions_ms, self._at = positions_ms, -1

    def grab(self) -> float | None:
        self._at += 1
        at = self._at
        return self._positions_ms[at] / 1000 if at < len(self._positions_ms) else None

    def pixels(self) -> np.ndarray:
        return np.zeros((6, 8, 3), np.uint8)

    def close(self) -> None:
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


@pytest.mark.parametrize(
    ("stamps_ms", "positions_s"),
    [
        ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),
        ([float("nan")] * 3, [0, 0.1, 0.2]),
        ([0, 100, 36_000_100, 36_000_200], [0, 0.1, 0.2, 0.3]),
        ([500, 600, 100, 200], [0, 0.1, 0.2, 0.3]),
        ([95_443_600, 95_443_700, 0, 100], [0, 0.1, 0.2, 0.3]),  # 33 bits at 90 kHz, wrapped
        ([0, 100, float("nan"), 300, 350], [0, 0.1, 0.2, 0.3, 0.35]),
    ],
)
def test_timestamps_that_are_missing_or_jump_never_stop_the_picture(
    tmp_path: Path, stamps_ms: list[float], positions_s: list[float]
) -> None:
    waits = Waits()
    source = uneven(tmp_path, stamps_ms, waits)
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(frame.t_s)
    assert seen == pytest.approx(positions_s)
    assert max(waits.slept) < 0.2


def test_decoding_that_is_slower_than_the_file_still_shows_frames(tmp_path: Path) -> None:
    waits = Waits()
    source = uneven(tmp_path, [100 * n for n in range(200)], waits)
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(frame.index)
        waits.clock.advance(0.25)  # for each frame that is shown
    assert len(seen) > 20
    assert max(b - a for a, b in pairwise(seen)) <= 8


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
