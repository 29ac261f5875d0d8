"""Sources: what they deliver, how they keep pace, and how they fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from twinlens.app.sources import SOURCES, list_cameras, open_source
from twinlens.app.sources.camera import Camera
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.picture import Pictures, pictures_in
from twinlens.app.sources.screen import ScreenRegion
from twinlens.app.sources.stream import NetworkStream
from twinlens.app.sources.video import VideoFile
from twinlens.engine.errors import SourceError

FPS, COUNT = 20, 12


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frames get brighter."""
    path = tmp_path_factory.mktemp("video") / "steps.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (64, 48))
    for step in range(COUNT):
        writer.write(np.full((48, 64, 3), 20 * step, np.uint8))
    writer.release()
    return path


class Time:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False

    def pacer(self) -> Pacer:
        return Pacer(lambda: self.now, self.wait)


def brightness(frame: object) -> int:
    return round(float(frame.buffer.to_bgr().mean()))  # type: ignore[attr-defined]


def test_every_frame_of_a_file_comes_in_order(video: Path) -> None:
    source = VideoFile(video, realtime=False)
    info = source.open()
    assert (info.width, info.height, info.fps, info.frames) == (64, 48, FPS, COUNT)
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [round(frame.t_s * FPS) for frame in frames] == list(range(COUNT))
    assert all(abs(brightness(f) - 20 * f.index) < 8 for f in frames)
    assert source.read() is None


def test_real_time_keeps_the_pace_and_loops(video: Path) -> None:
    time = Time()
    source = VideoFile(video, pacer=time.pacer())
    source.open()
    frames = [source.read() for _ in range(COUNT + 3)]
    source.close()
    assert [f.index for f in frames if f] == list(range(COUNT + 3))
    assert all(abs(wait - 1 / FPS) < 1e-6 for wait in time.waits)
    last = frames[COUNT]
    assert last is not None
    assert last.t_s == 0.0
    assert brightness(last) < 8


def test_late_frames_are_skipped(video: Path) -> None:
    time = Time()
    source = VideoFile(video, pacer=time.pacer())
    source.open()
    source.read()
    time.now += 5.5 / FPS  # the reader was busy for five frames
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.index == 5
    assert abs(brightness(frame) - 100) < 8


def test_interrupt_ends_a_waiting_read(video: Path) -> None:
    source = VideoFile(video)
    source.open()
    source.read()
    source.interrupt()
    assert source.read() is None
    source.close()


def test_files_that_are_no_videos_are_named(tmp_path: Path, video: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:200])
    for path in (text, cut, tmp_path / "missing.mp4"):
        with pytest.raises(SourceError, match=path.name):
            VideoFile(path).open()


def save_picture(path: Path, value: int) -> Path:
    cv2.imwrite(str(path), np.full((30, 40, 3), value, np.uint8))
    return path


def test_folders_go_in_natural_order_and_leave_out_what_is_broken(tmp_path: Path) -> None:
    for name, value in (("10.png", 100), ("2.png", 20), ("1.png", 10)):
        save_picture(tmp_path / name, value)
    (tmp_path / "5.png").write_text("broken")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [p.name for p in pictures_in(tmp_path)] == ["1.png", "2.png", "5.png", "10.png"]
    source = open_source(str(tmp_path), realtime=False)
    source.open()
    seen = []
    while (frame := source.read()) is not None:
        seen.append(brightness(frame))
    source.close()
    assert seen == [10, 20, 100]


def test_a_picture_repeats_in_real_time_and_comes_once_otherwise(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "one.png", 50)
    time = Time()
    show = Pictures([path], "one", pacer=time.pacer())
    assert show.open().frames is None
    frames = [show.read() for _ in range(40)]
    show.close()
    assert all(frame is not None and brightness(frame) == 50 for frame in frames)
    once = open_source(str(path), realtime=False)
    once.open()
    assert once.read() is not None
    assert once.read() is None
    once.close()


def test_a_show_changes_pictures(tmp_path: Path) -> None:
    paths = [save_picture(tmp_path / f"{n}.png", 60 * n) for n in (1, 2)]
    show = Pictures(paths, "two", pacer=Time().pacer())
    show.open()
    seen = [brightness(show.read()) for _ in range(65)]
    show.close()
    assert seen[0] == 60
    assert seen[31] == 120
    assert seen[61] == 60


def test_no_picture_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures"):
        open_source(str(tmp_path))
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    with pytest.raises(SourceError, match=r"broken\.jpg"):
        open_source(str(broken)).open()


class FakeCapture:
    """Stands for ``cv2.VideoCapture``."""

    def __init__(self, *, opened: bool = True, frames: int = 3, size: tuple[int, int] = (8, 6)):
        self.opened, self.left, self.size = opened, frames, size
        self.asked: list[int] = []

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.left <= 0:
            return False, None
        self.left -= 1
        return True, np.zeros((self.size[1], self.size[0], 3), np.uint8)

    def grab(self) -> bool:
        return self.read()[0]

    def get(self, propId: int) -> float:  # noqa: N803
        return 25.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.asked.append(propId)
        return True

    def release(self) -> None:
        self.opened = False


def test_camera_asks_for_mjpg_first_and_tells_what_really_comes() -> None:
    capture = FakeCapture()
    camera = Camera(0, name="Desk cam", size=(1920, 1080), opener=lambda *_: capture)
    info = camera.open()
    assert capture.asked[0] == cv2.CAP_PROP_FOURCC
    assert (info.title, info.width, info.height, info.live) == ("Desk cam", 8, 6, True)
    assert [camera.read() is not None for _ in range(3)] == [True] * 3
    with pytest.raises(SourceError, match="Desk cam"):
        camera.read()
    camera.close()
    assert camera.read() is None


def test_camera_that_cannot_be_opened_or_stays_silent() -> None:
    closed = Camera(3, opener=lambda *_: FakeCapture(opened=False))
    with pytest.raises(SourceError, match="Camera 3: cannot be opened"):
        closed.open()
    ticks = iter(float(n) for n in range(100))
    silent = Camera(0, opener=lambda *_: FakeCapture(frames=0), clock=lambda: next(ticks))
    with pytest.raises(SourceError, match="no picture came"):
        silent.open()


def test_cameras_are_listed_by_their_names(tmp_path: Path) -> None:
    for node, index, name in (
        ("video0", 0, "Desk cam"),
        ("video1", 1, "Desk cam"),
        ("video10", 0, "B"),
    ):
        (tmp_path / node).mkdir()
        (tmp_path / node / "index").write_text(f"{index}\n")
        (tmp_path / node / "name").write_text(f"{name}\n")
    found = [(camera.id, camera.name) for camera in list_cameras(tmp_path, "linux")]
    assert found == [("0", "Desk cam"), ("10", "B")]


class MjpegHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        ok, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))
        assert ok
        for _ in range(12):
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
            self.wfile.write(f"Content-Length: {jpeg.size}\r\n\r\n".encode())
            self.wfile.write(jpeg.tobytes() + b"\r\n")

    def log_message(self, *args: object) -> None:
        del args


@contextmanager
def mjpeg_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), MjpegHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/cam.mjpg"
        finally:
            server.shutdown()
            thread.join()


def test_mjpeg_stream_delivers_and_its_end_is_told() -> None:
    with mjpeg_server() as url:
        stream = open_source(url)
        info = stream.open()
        assert (info.width, info.height, info.live) == (64, 48, True)
        first = stream.read()
        assert first is not None
        assert abs(brightness(first) - 90) < 4
        with pytest.raises(SourceError, match="broke off"):
            for _ in range(40):
                stream.read()
        stream.close()


def test_address_where_nobody_answers_is_one_clear_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    stream = NetworkStream(f"rtsp://user:secret@127.0.0.1:{port}/live")
    with pytest.raises(SourceError) as caught:
        stream.open()
    assert "127.0.0.1" in caught.value.message
    assert "secret" not in caught.value.message


def test_texts_that_mean_no_source_are_told_with_all_forms() -> None:
    with pytest.raises(SourceError, match="nonsense") as caught:
        open_source("nonsense")
    for kind in SOURCES:
        assert kind.form in caught.value.hint
    for bad in ("screen:1,2", "screen:0,0,0,5", "http:///nowhere"):
        with pytest.raises(SourceError, match=bad.split(":", maxsplit=1)[0]):
            open_source(bad)


def test_screen_without_a_display_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceError, match="screen cannot be read"):
        ScreenRegion((0, 0, 10, 10)).open()


def test_bundled_clip_shows_what_its_timeline_says() -> None:
    from twinlens.assets import clip_timeline_path

    clip = open_source("clip", realtime=False)
    info = clip.open()
    clip.close()
    rows = clip_timeline_path().read_text(encoding="utf-8").splitlines()
    assert info.width * 9 == info.height * 16
    assert info.frames is not None
    assert abs(info.frames / info.fps - float(rows[-1].split("\t")[1])) < 0.1
