"""Pictures in parts over HTTP from servers that do it wrong, redirect, or want a password."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from twinlens.app.sources import open_source, parts, stream
from twinlens.app.sources.parts import PartSplitter
from twinlens.app.sources.stream import NetworkStream
from twinlens.engine.errors import ImageError, SourceError

MULTIPART = "multipart/x-mixed-replace; boundary="


def jpeg(value: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), value, np.uint8))[1].tobytes()


def part(data: bytes, length: int | None = -1, mark: bytes = b"--frame") -> bytes:
    size = len(data) if length == -1 else length
    head = b"" if size is None else f"Content-Length: {size}\r\n".encode()
    return mark + b"\r\nContent-Type: image/jpeg\r\n" + head + b"\r\n" + data + b"\r\n"


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


def head(handler: BaseHTTPRequestHandler, kind: str = MULTIPART + "frame") -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.end_headers()


def levels(source: NetworkStream, count: int) -> list[int]:
    return [int(f.buffer.to_bgr().mean()) for f in (source.read() for _ in range(count)) if f]


# --- the splitter ---------------------------------------------------------------------------

PICTURES = [jpeg(40), jpeg(90), jpeg(140)]
BODIES = {
    "as it should be": b"".join(part(p) for p in PICTURES),
    "without lengths": b"".join(part(p, None) for p in PICTURES),
    "lengths too small": b"".join(part(p, len(p) - 50) for p in PICTURES),
    "lengths too large": b"".join(part(p, len(p) + 500) for p in PICTURES),
    "lengths of nonsense": b"".join(part(p, 99999999999999) for p in PICTURES),
    "garbage in front and between": bytes(3000)
    + part(PICTURES[0])
    + b"\xff" * 999
    + part(PICTURES[1])
    + b"HTTP/1.1 200 OK\r\n\r\n"
    + part(PICTURES[2]),
    "line feeds only": b"".join(part(p) for p in PICTURES).replace(b"\r\n", b"\n"),
    "no line between": b"".join(part(p)[:-2] for p in PICTURES),
    "a last boundary": b"".join(part(p) for p in PICTURES) + b"--frame--\r\n",
}


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("kind", [k for k in BODIES if k != "line feeds only"])
def test_pictures_are_found_whatever_the_lengths_say(kind: str, size: int) -> None:
    splitter, body = PartSplitter(b"frame"), BODIES[kind]
    found = [
        content
        for at in range(0, len(body), size)
        for content in splitter.feed(body[at : at + size])
    ]
    pictures = [content for content in found if content[:2] == b"\xff\xd8"]
    # What has no length or a wrong one ends where the next part begins; the last one may wait.
    assert [p.rstrip(b"\r\n")[:500] for p in pictures] == [p[:500] for p in PICTURES][
        : len(pictures)
    ]
    assert len(pictures) >= (2 if "lengths" in kind else 3)


def test_a_whole_picture_is_not_kept_waiting_for_the_next() -> None:
    for length in (-1, None):
        splitter = PartSplitter(b"frame")
        assert list(splitter.feed(part(PICTURES[0], length))) != []


@pytest.mark.parametrize("named", [b"frame", b"--frame", b'"frame"', b" frame "])
def test_boundaries_are_named_in_many_ways(named: bytes) -> None:
    assert len(list(PartSplitter(named).feed(BODIES["as it should be"]))) == 3


def test_a_short_boundary_within_a_picture_is_none() -> None:
    noise = np.random.default_rng(5).integers(0, 255, (300, 400, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    middle = len(picture) // 2
    picture = picture[:middle] + b"--f" * 5 + b"--f\n" + picture[middle:]
    body = b"".join(part(picture, length, b"--f") for length in (-1, None, -1))
    splitter = PartSplitter(b"f")
    found = [c for at in range(0, len(body), 700) for c in splitter.feed(body[at : at + 700])]
    assert [c.rstrip(b"\r\n") for c in found] == [picture] * 3


def test_a_boundary_that_is_named_wrong_is_found() -> None:
    body = BODIES["as it should be"]
    assert len(list(PartSplitter(b"97fe87f7600ea95d").feed(body))) == 3


def test_a_first_part_without_a_boundary_costs_one_picture() -> None:
    body = BODIES["as it should be"].removeprefix(b"--frame\r\n")
    assert len(list(PartSplitter(b"frame").feed(body))) == 2


def test_a_header_without_an_end_is_told() -> None:
    splitter = PartSplitter(b"frame")
    with pytest.raises(ImageError, match="header without an end"):
        for _ in range(1000):
            list(splitter.feed(b"--frame\r\n" + b"X: y\r\n" * 20))


def test_a_part_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MOST_BYTES", 100_000)
    splitter = PartSplitter(b"frame")
    with pytest.raises(ImageError, match="a part of more than"):
        for _ in range(1000):
            list(splitter.feed(b"--frame\r\n\r\n" + b"x" * 5000 if _ == 0 else b"x" * 5000))


def test_garbage_without_a_boundary_takes_no_memory() -> None:
    splitter = PartSplitter(b"frame")
    for _ in range(200):
        assert list(splitter.feed(bytes(50_000))) == []
    assert len(splitter._data) < 100_000


# --- servers ----------------------------------------------------------------------------------


def test_garbage_parts_are_counted_and_left_out() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler)
        good = jpeg(90)
        for data in (good, bytes(800), good[: len(good) // 2], b"\xff\xd8" + bytes(90), good, good):
            handler.wfile.write(part(data))

    with server(answer) as at:
        source = NetworkStream(f"http://{at}/v")
        source.open()
        frames = [source.read() for _ in range(3)]
        assert [(f.index, f.damaged) for f in frames if f] == [(0, 0), (1, 3), (2, 3)]
        with pytest.raises(SourceError, match="broke off") as caught:
            source.read()
        assert caught.value.passing
        source.close()


def test_a_camera_that_sends_only_garbage_is_told() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler)
        while True:
            handler.wfile.write(part(bytes(500)))

    with server(answer) as at, pytest.raises(SourceError, match="no pictures that can be decoded"):
        NetworkStream(f"http://{at}/v").open()


def test_a_header_of_the_answer_without_an_end_is_told() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-More: " + b"y" * 900 + b"\r\n")

    with server(answer) as at, pytest.raises(SourceError, match=re.escape(at)):
        NetworkStream(f"http://{at}/v").open()


def test_redirections_are_followed_and_have_an_end() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/v":
            head(handler)
            handler.wfile.write(part(jpeg(90)) * 2)
            return
        handler.send_response(302)
        handler.send_header("Location", "/v" if handler.path == "/old" else "/round")
        handler.end_headers()

    with server(answer) as at:
        source = NetworkStream(f"http://{at}/old")
        assert source.open().live
        source.close()
        with pytest.raises(SourceError, match="without an end"):
            NetworkStream(f"http://{at}/round").open()


def digest_ok(header: str, user: str, password: str) -> bool:
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', header))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = md5(f"{user}:cam:{password}")
    wanted = f"{secret}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:"
    return fields["response"] == md5(wanted + md5(f"GET:{fields['uri']}"))


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
def test_users_are_named_as_the_server_asks(kind: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization", "")
        basic = base64.b64encode(b"me:a#b/c@d").decode()
        right = (
            given == f"Basic {basic}"
            if kind == "Basic"
            else (given.startswith("Digest") and digest_ok(given, "me", "a#b/c@d"))
        )
        if right:
            head(handler)
            handler.wfile.write(part(jpeg(90)) * 3)
            return
        handler.send_response(401)
        more = ', nonce="abc", qop="auth"' if kind == "Digest" else ""
        handler.send_header("WWW-Authenticate", f'{kind} realm="cam"{more}')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with server(answer) as at:
        source = open_source(f"http://me:a%23b%2Fc%40d@{at}/v")
        assert source.open().live
        source.close()
        for who in ("", "me:wrong@"):
            with pytest.raises(SourceError, match="refuses this user or password") as caught:
                open_source(f"http://{who}{at}/v").open()
            assert "%23" in caught.value.hint
            assert "wrong" not in caught.value.message + caught.value.hint
            assert not caught.value.passing


def test_a_slow_camera_is_patiently_read() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler)
        body = part(jpeg(90)) + part(jpeg(140))
        for at in range(0, len(body), 200):
            handler.wfile.write(body[at : at + 200])
            handler.wfile.flush()
            time.sleep(0.01)

    with server(answer) as at:
        source = NetworkStream(f"http://{at}/v")
        source.open()
        assert levels(source, 2) == pytest.approx([90, 140], abs=2)
        source.close()


def test_a_half_open_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_READ_TIMEOUT_S", 0.5)
    done = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler)
        handler.wfile.write(part(jpeg(90)))
        handler.wfile.flush()
        done.wait(10)

    with server(answer) as at:
        source = NetworkStream(f"http://{at}/v")
        source.open()
        source.read()
        started = time.monotonic()
        with pytest.raises(SourceError, match="broke off"):
            source.read()
        assert time.monotonic() - started < 5
        source.close()
        done.set()


def test_a_stream_can_be_opened_again_after_it_broke_off() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler)
        handler.wfile.write(part(jpeg(90)) * 2)

    with server(answer) as at:
        source = NetworkStream(f"http://{at}/v")
        for _ in range(3):
            source.open()
            assert len(levels(source, 2)) == 2
            with pytest.raises(SourceError, match="broke off"):
                source.read()
            source.close()
