"""Network streams against servers that misbehave, all on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from twinlens.app.sources import open_source, stream
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.stream import NetworkStream
from twinlens.engine.errors import SourceError

WAIT_S = 10.0
PARTS = "multipart/x-mixed-replace; boundary=frame"


def jpeg(value: int) -> bytes:
    ok, data = cv2.imencode(".jpg", np.full((48, 64, 3), value, np.uint8))
    assert ok
    return bytes(data)


def part(data: bytes) -> bytes:
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data + b"\r\n"


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Serve what ``answer`` writes; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}/cam.mjpg"
        finally:
            listening.shutdown()
            thread.join()


def head(handler: BaseHTTPRequestHandler, kind: str, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_OPEN_TIMEOUT_S", 1.0)
    monkeypatch.setattr(stream, "_READ_TIMEOUT_S", 1.0)


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        source = NetworkStream(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live")
        with pytest.raises(SourceError, match="no video came"):
            source.open()
        assert source.read() is None


@pytest.mark.usefixtures("short_waits")
def test_a_page_that_is_no_video_is_refused() -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        head(handler, "text/html")
        handler.wfile.write(b"<html>Log in, please.</html>")

    def missing(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(404)

    for answer in (page, missing):
        with server(answer) as url, pytest.raises(SourceError, match=r"127\.0\.0\.1") as caught:
            NetworkStream(url).open()
        assert caught.value.hint


@pytest.mark.usefixtures("short_waits")
def test_a_stream_that_stalls_in_a_frame_is_told() -> None:
    done = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        head(handler, PARTS)
        for _ in range(30):
            handler.wfile.write(part(jpeg(90)))
        handler.wfile.write(part(jpeg(90))[:-200])
        handler.wfile.flush()
        done.wait(WAIT_S)

    with server(stall) as url:
        source = NetworkStream(url)
        try:
            assert source.open().live
            with pytest.raises(SourceError, match="broke off"):
                for _ in range(60):
                    assert source.read() is not None
        finally:
            source.close()
            done.set()


@pytest.mark.usefixtures("short_waits")
def test_interrupt_turns_a_stall_into_an_end() -> None:
    stalled, done = threading.Event(), threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        head(handler, PARTS)
        for _ in range(30):
            handler.wfile.write(part(jpeg(90)))
        stalled.set()
        done.wait(WAIT_S)

    with server(stall) as url:
        source = NetworkStream(url)
        try:
            source.open()
            assert stalled.wait(WAIT_S)
            source.interrupt()
            assert source.read() is None
        finally:
            source.close()
            done.set()


def test_a_video_behind_a_url_keeps_its_pace_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "steps.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for step in range(12):
        writer.write(np.full((48, 64, 3), 20 * step, np.uint8))
    writer.release()
    data = path.read_bytes()

    def video(handler: BaseHTTPRequestHandler) -> None:
        head(handler, "video/x-msvideo", len(data))
        handler.wfile.write(data)

    now, waits = [100.0], []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        now[0] += seconds
        return False

    with server(video) as url:
        source = NetworkStream(url, pacer=Pacer(lambda: now[0], wait))
        info = source.open()
        frames = [source.read() for _ in range(13)]
        source.close()
    assert (info.live, info.frames, info.fps) == (False, 12, 20)
    assert frames[12] is None
    assert [round(f.t_s * 20) for f in frames if f] == list(range(12))
    assert waits == pytest.approx([1 / 20] * 11)


@pytest.mark.parametrize(
    "text", ["http://", "rtsp:///live", "http://[::1", "http://127.0.0.1:door/", "rtsp://h:99999/"]
)
def test_addresses_that_are_none_are_told_at_once(text: str) -> None:
    with pytest.raises(SourceError, match="not a stream's address"):
        open_source(text)


def test_a_password_stays_off_the_screen() -> None:
    source = NetworkStream("rtsp://me:secret@camera.example:8554/live?token=secret")
    assert source.title == "rtsp://camera.example:8554/live"
