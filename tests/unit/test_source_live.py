"""RTSP, RTMP, UDP and HLS, from servers on this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.fakes import WAIT_S
from helpers.rtsp import Rtsp, rtsp_server
from helpers.videos import write_video
from twinlens.app.sources import open_source, stream
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.stream import NetworkStream
from twinlens.engine.errors import SourceError


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


# --- RTSP -------------------------------------------------------------------------------------


def test_rtsp_plays_and_its_end_is_told() -> None:
    with rtsp_server(Rtsp(frames=60)) as at:
        source = open_source(f"rtsp://{at}/live")
        info = source.open()
        assert (info.kind, info.live, info.width, info.height) == ("stream", True, 64, 48)
        frames = [source.read() for _ in range(20)]
        assert [frame.index for frame in frames if frame] == list(range(20))
        with pytest.raises(SourceError, match="broke off") as caught:
            for _ in range(100):
                source.read()
        assert caught.value.passing
        source.close()


def test_rtsp_wants_a_user() -> None:
    with rtsp_server(Rtsp(user="me:a#b/c@d")) as at:
        source = open_source(f"rtsp://me:a%23b%2Fc%40d@{at}/live")
        source.open()
        assert source.read() is not None
        source.close()
        for who in ("", "me:wr0ng@"):
            with pytest.raises(SourceError, match="refuses this user or password") as caught:
                open_source(f"rtsp://{who}{at}/live").open()
            assert "wr0ng" not in caught.value.message + caught.value.hint


def test_rtsp_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_READ_TIMEOUT_S", 1.0)
    with rtsp_server(Rtsp(frames=40, then="silence")) as at:
        source = open_source(f"rtsp://{at}/live")
        source.open()
        started = time.monotonic()
        with pytest.raises(SourceError, match="broke off"):
            for _ in range(200):
                assert source.read() is not None
        assert time.monotonic() - started < 6
        source.close()


def test_rtsp_is_opened_again() -> None:
    with rtsp_server(Rtsp(frames=20)) as at:
        source = open_source(f"rtsp://{at}/live")
        for _ in range(2):
            source.open()
            assert source.read() is not None
            source.close()


# --- UDP ---------------------------------------------------------------------------------------


@contextmanager
def sending(url: str, format: str, **options: str) -> Iterator[None]:
    """Encode and send until the end of the block, from a thread."""
    done = threading.Event()

    def send() -> None:
        try:
            with av.open(url, "w", format=format, options=options) as container:
                video = container.add_stream("libx264", rate=25)
                video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
                video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
                for index in range(2000):
                    if done.wait(0.01):
                        break
                    picture = np.full((48, 64, 3), 20 + index % 200, np.uint8)
                    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                    container.mux(video.encode(frame))
        except (av.error.FFmpegError, OSError):
            return  # the other side has gone

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(WAIT_S)


def opened(url: str) -> NetworkStream:
    """Open as soon as somebody listens."""
    until = time.monotonic() + WAIT_S
    while True:
        source = NetworkStream(url)
        try:
            source.open()
        except SourceError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return source


def test_pushed_streams_play() -> None:
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with sending(f"{url}?pkt_size=1316", "mpegts"):
        source = opened(url)
        frames = [source.read() for _ in range(10)]
        source.close()
    assert [frame.index for frame in frames if frame] == list(range(10))


def test_a_protocol_that_is_not_here_is_told_with_a_way() -> None:
    url = "srt://127.0.0.1:9?passphrase=s3cret0123"
    with pytest.raises(SourceError) as caught:
        open_source(url).open()
    assert "s3cret" not in caught.value.message + caught.value.hint
    assert "srt" in caught.value.message


# --- HLS ------------------------------------------------------------------------------------------


@contextmanager
def files(folder: Path, shown: int | None) -> Iterator[str]:
    """Serve a folder; of a playlist so many segments, one more each time that it is asked for."""
    asked = [0]

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith(".m3u8") or shown is None:
                super().do_GET()
                return
            lines = (folder / "live.m3u8").read_text().splitlines()
            ends = [at for at, line in enumerate(lines) if line.endswith(".ts")]
            last = ends[min(shown + asked[0], len(ends)) - 1]
            asked[0] += 1
            data = "\n".join([*lines[: last + 1], ""]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            del args

    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/live.m3u8"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("shown", [None, 3])
def test_streams_in_pieces_play_evenly(tmp_path: Path, shown: int | None) -> None:
    options = {"preset": "ultrafast", "g": "10", "bf": "0"}
    container = {"hls_time": "1", "hls_list_size": "0"}
    write_video(
        tmp_path / "live.m3u8", count=60, format="hls", options=options, container=container
    )
    now, slept = [0.0], []

    def wait(seconds: float) -> bool:
        slept.append(seconds)
        now[0] += seconds
        return False

    with files(tmp_path, shown) as url:
        source = NetworkStream(url, pacer=Pacer(lambda: now[0], wait))
        assert source.open().live is (shown is not None)
        frames = [source.read() for _ in range(35)]
        source.close()
    assert all(frames)
    # Pieces come at once, frames when they are due.
    assert slept == pytest.approx([0.1] * 34, abs=0.02)
    steps = np.diff([frame.t_s for frame in frames if frame])
    assert steps == pytest.approx([0.1] * 34, abs=0.02)
