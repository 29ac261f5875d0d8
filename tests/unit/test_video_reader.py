"""What comes out of videos: their own colours, upright, whole frames, and nothing else."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.videos import GREEN, plain, write_video
from twinlens.app.sources import open_source
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.image.hdr import hlg_nits, pq_nits
from twinlens.engine.image.samples import sample_pictures
from twinlens.engine.image.video import VideoReader

DATA = Path(os.environ.get("TWINLENS_TEST_DATA", "")) / "field"
needs_field = pytest.mark.skipif(
    not (DATA / "damaged_frames.mp4").is_file(), reason="TWINLENS_TEST_DATA has no field/"
)
FINE = {"crf": "1"}


def all_pixels(path: Path) -> list[np.ndarray]:
    reader = VideoReader(path)
    try:
        found = []
        while reader.grab() is not None:
            found.append(reader.pixels())
        return found
    finally:
        reader.close()


def whole(text: str) -> list[int]:
    """Indices of all frames of a source, and the last one's count of damage behind them."""
    source = open_source(text, realtime=False)
    source.open()
    found, damaged = [], 0
    while (frame := source.read()) is not None:
        found.append(frame.index)
        damaged = frame.damaged
    source.close()
    return [*found, damaged]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("matrix", "full"), [(None, False), (1, False), (1, True), (5, False), (5, True)]
)
def test_colours_come_back_as_they_were(
    tmp_path: Path, pixels: str, matrix: int | None, full: bool
) -> None:
    path = tmp_path / "green.mp4"
    write_video(path, pictures=plain, pixels=pixels, matrix=matrix, full=full, options=FINE)
    shown = all_pixels(path)[3][..., ::-1]
    assert np.abs(shown.astype(int) - GREEN).max() <= 2


def test_a_frame_belongs_to_whoever_got_it(tmp_path: Path) -> None:
    frames = all_pixels(write_video(tmp_path / "steps.mp4", matrix=1, options=FINE))
    assert [abs(int(f[20, 20, 0]) - (20 + 10 * n)) <= 3 for n, f in enumerate(frames)] == [
        True
    ] * 12


@pytest.mark.parametrize("kind", ["pq", "hlg"])
def test_hdr_is_tone_mapped(tmp_path: Path, kind: str) -> None:
    """Greys of known light: black, a dark one, paper white, and far brighter than a screen."""
    signal = np.arange(4096) / 4095
    light = pq_nits(signal) if kind == "pq" else hlg_nits(signal)
    nits = (0.0, 20.0, 203.0, 900.0)

    def bars(index: int) -> np.ndarray:
        picture = np.zeros((48, 64, 3), np.uint16)
        for bar, wanted in enumerate(nits):
            picture[:, 16 * bar : 16 * bar + 16] = 65535 * signal[np.abs(light - wanted).argmin()]
        return picture

    path = write_video(
        tmp_path / "hdr.mp4",
        pictures=bars,
        pixels="yuv420p10le",
        matrix=9,
        trc=16 if kind == "pq" else 18,
        raw_form="rgb48le",
        options=FINE,
    )
    shown = all_pixels(path)[2]
    greys = [int(shown[20, 16 * bar + 8].mean()) for bar in range(4)]
    assert np.ptp(shown.astype(int), axis=2).max() <= 4  # grey stays grey
    dark = 255 * (20 / 203) ** (1 / 2.4)
    assert greys[0] <= 2
    assert greys[1] == pytest.approx(dark, abs=4)
    assert greys[2] == pytest.approx(241, abs=4)
    assert 250 <= greys[3] <= 255


def test_transparent_video_stands_on_white(tmp_path: Path) -> None:
    def half(index: int) -> np.ndarray:
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[:, :32, 3] = 255  # black and solid on the left, nothing on the right
        return picture

    path = tmp_path / "alpha.mov"
    write_video(path, "qtrle", pictures=half, pixels="argb", raw_form="rgba")
    shown = all_pixels(path)[0]
    assert (shown[:, :32] == 0).all()
    assert (shown[:, 32:] == 255).all()


@pytest.mark.parametrize(("degrees", "white"), [(90, "left"), (270, "right"), (180, "bottom")])
def test_what_was_filmed_turned_stands_upright(tmp_path: Path, degrees: int, white: str) -> None:
    def top(index: int) -> np.ndarray:
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:16] = 255
        return picture

    shown = all_pixels(write_video(tmp_path / "t.mp4", pictures=top, turned=degrees))[0]
    assert shown.shape[:2] == ((48, 64) if degrees == 180 else (64, 48))
    edges = {"left": shown[:, :8], "right": shown[:, -8:], "bottom": shown[-8:]}
    assert [name for name, edge in edges.items() if edge.min() > 200] == [white]


def test_interlaced_pictures_are_deinterlaced(tmp_path: Path) -> None:
    def moved(index: int) -> np.ndarray:
        # Even and odd rows show a bar at two moments, as the fields of a frame do.
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[0::2, 16 * (index % 4) : 16 * (index % 4) + 16] = 255
        picture[1::2, 16 * (index % 4) + 8 : 16 * (index % 4) + 24] = 255
        return picture

    options = {"flags": "+ildct+ilme", "b": "8000000", "g": "1"}
    path = tmp_path / "interlaced.mpg"
    write_video(path, "mpeg2video", pictures=moved, count=10, fps=25, options=options)
    frames = all_pixels(path)
    assert len(frames) == 10
    combed = [np.abs(np.diff(f[..., 0].astype(int), axis=0)).mean() for f in frames[2:-2]]
    assert max(combed) < 20  # as it was stored: 40


@needs_field
def test_field_interlaced_is_never_garbage() -> None:
    frames = all_pixels(DATA / "interlaced_mpeg2.mpg")
    assert len(frames) == 60
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert 0 < max(steps) < 25  # one moving picture, not memory
    assert min(f.std() for f in frames) > 20
    pictures = list(sample_pictures(DATA / "interlaced_mpeg2.mpg", 8))
    assert len(pictures) == 8
    assert min(p.to_bgr().std() for p in pictures) > 20


@needs_field
def test_field_damage_is_counted_and_does_not_end_the_file() -> None:
    assert whole(str(DATA / "damaged_frames.mp4")) == [*range(58), 2]


@needs_field
@pytest.mark.parametrize(
    ("name", "count"), [("pts_jump_10h.ts", 120), ("av1.mp4", 15), ("video_without_ending", 60)]
)
def test_field_videos_play(name: str, count: int) -> None:
    assert whole(str(DATA / name)) == [*range(count), 0]


@needs_field
def test_field_jump_of_ten_hours_plays_on() -> None:
    source = open_source(str(DATA / "pts_jump_10h.ts"), realtime=False)
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(frame.t_s)
    source.close()
    assert seen[-1] == pytest.approx(119 / 30, abs=0.1)


def test_damage_in_the_middle_of_a_file_does_not_end_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "bad.avi", "mjpeg", pixels="yuvj420p", count=20, full=True)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    for at in (starts[5], starts[6], starts[12]):
        data[at : at + 600] = bytes(600)
    path.write_bytes(data)
    *indices, damaged = whole(str(path))
    assert (indices, damaged) == (list(range(17)), 3)


def test_a_codec_that_is_not_here_is_named_with_the_way_to_convert(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.avi", "mjpeg", pixels="yuvj420p", full=True)
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"XYZW"))
    with pytest.raises(SourceError, match=r"odd\.avi: is a video in the codec 'XYZW'") as caught:
        open_source(str(path)).open()
    assert "ffmpeg -i" in caught.value.hint
    path = write_video(tmp_path / "odd.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"evc1").replace(b"avcC", b"evcC"))
    with pytest.raises(SourceError, match="the codec 'evc1'"):
        open_source(str(path)).open()


@pytest.mark.parametrize("content", [b"", b"no video\n" * 50, bytes(range(256)) * 64])
def test_what_is_no_video_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"no\.mp4: cannot be played as a video"):
        open_source(str(path)).open()


def test_a_sound_is_told_to_be_one(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        for index in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 8000, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match=r"sound\.mp4: has no picture, only audio"):
        open_source(str(path)).open()


NAMES = (
    "2024-05-01T12:30:00.mp4",
    "cam: front.mp4",
    "camera: front.mp4",
    "screen:1,2,3,4",
    "rtsp:front.mp4",
    "file:front.mp4",
    "video without an ending",
    "50%23 #1?.mp4",
    "-i.mp4",
    "snow ☃ 雪.mp4",
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no colons in names")
@pytest.mark.parametrize("name", NAMES)
def test_names_mean_files_where_there_are_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "made.mp4", count=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for text in (name, str(tmp_path / name)):
        assert whole(text) == [0, 1, 2, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
def test_a_name_that_is_no_utf8_plays(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    write_video(tmp_path / "made.mp4", count=3).rename(path)
    assert whole(str(path)) == [0, 1, 2, 0]
    source = open_source(str(path))
    assert source.title.encode() == b"caf\\udce9.mp4"


def test_a_deleted_or_growing_file_plays_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "steps.mkv", "mjpeg", pixels="yuvj420p", count=30, full=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_source(str(path), realtime=False)
    source.open()
    for _ in range(3):
        assert source.read() is not None
    with path.open("ab") as file:
        file.write(data[len(data) // 2 :])
    if sys.platform != "win32":
        path.unlink()
    count = 3
    while source.read() is not None:
        count += 1
    source.close()
    assert count == 30


def test_a_disk_that_goes_is_told(tmp_path: Path) -> None:
    class Failing:
        name = "gone.mkv"

        def __init__(self, data: bytes) -> None:
            self._data, self._at = data, 0

        def read(self, size: int) -> bytes:
            if self._at > len(self._data) // 2:
                raise OSError(5, "Input/output error")
            self._at += size
            return self._data[self._at - size : self._at]

    path = write_video(tmp_path / "steps.mkv", "mjpeg", pixels="yuvj420p", count=400, full=True)
    reader = VideoReader(Failing(path.read_bytes()))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="Input/output error"):
        while reader.grab() is not None:
            pass
    reader.close()


def test_pictures_too_large_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "steps.mp4")
    monkeypatch.setattr("twinlens.engine.image.video.MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="64×48"):
        VideoReader(path)
