"""A small RTSP server (RFC 2326): one H.264 stream, its packets within the connection."""

from __future__ import annotations

import base64
import re
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

_MTU = 1200
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
)


class Rtsp:
    """What the server does, and what it has seen.

    Attributes:
        user: ``name:password`` that is asked for; empty for nobody.
        frames: how many are sent before it stops.
        then: what follows: ``"close"`` or ``"silence"``.
    """

    def __init__(self, *, user: str = "", frames: int = 40, then: str = "close") -> None:
        self.user, self.frames, self.then = user, frames, then
        self.port = 0
        self.done = threading.Event()


def encoded(count: int, fps: int = 25) -> Iterator[list[bytes]]:
    """NAL units of each picture; every fifth is a whole one with its parameters."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 48, "yuv420p"
    codec.time_base = Fraction(1, fps)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
    for index in range(count):
        picture = np.full((48, 64, 3), 20 + 5 * (index % 40), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = index
        for packet in codec.encode(frame):
            yield [nal for nal in re.split(b"\0\0\0?\1", bytes(packet)) if nal]


def _rtp(payload: bytes, number: int, stamp: int, last: bool) -> bytes:
    head = struct.pack(">BBHII", 0x80, 96 | last << 7, number & 0xFFFF, stamp, 1)
    return b"$\0" + struct.pack(">H", len(head) + len(payload)) + head + payload


def packets(count: int, fps: int = 25) -> Iterator[list[bytes]]:
    """RTP packets of each picture, RFC 6184: single NAL units, or FU-A where they are long."""
    number = 0
    for index, nals in enumerate(encoded(count, fps)):
        payloads: list[bytes] = []
        for nal in nals:
            if len(nal) <= _MTU:
                payloads.append(nal)
                continue
            for at in range(1, len(nal), _MTU):
                first, last = at == 1, at + _MTU >= len(nal)
                head = bytes((nal[0] & 0xE0 | 28, first << 7 | last << 6 | nal[0] & 0x1F))
                payloads.append(head + nal[at : at + _MTU])
        sent = []
        for place, payload in enumerate(payloads):
            stamp = index * 90000 // fps
            sent.append(_rtp(payload, number, stamp, place == len(payloads) - 1))
            number += 1
        yield sent


@contextmanager
def rtsp_server(does: Rtsp) -> Iterator[str]:
    """Serve; gives host and port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                headers = {}
                while (more := self.rfile.readline().strip()) != b"":
                    name, _, value = more.decode().partition(":")
                    headers[name.lower()] = value.strip()
                if not line.strip():
                    continue
                if not self.answer(line.decode().split()[0], headers):
                    return

        def answer(self, method: str, headers: dict[str, str]) -> bool:
            wanted = "Basic " + base64.b64encode(does.user.encode()).decode()
            if does.user and method != "OPTIONS" and headers.get("authorization") != wanted:
                self.say(headers, 401, {"WWW-Authenticate": 'Basic realm="cam"'})
                return True
            if method == "DESCRIBE":
                self.say(headers, 200, {"Content-Type": "application/sdp"}, SDP)
            elif method == "SETUP":
                transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
                self.say(headers, 200, {"Transport": transport, "Session": "1"})
            elif method == "PLAY":
                self.say(headers, 200, {"Session": "1"})
                self.play()
                return False
            else:
                self.say(headers, 200, {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY"})
            return method != "TEARDOWN"

        def say(
            self, headers: dict[str, str], code: int, more: dict[str, str], body: str = ""
        ) -> None:
            more = {"CSeq": headers.get("cseq", "0"), **more, "Content-Length": str(len(body))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
            self.wfile.write(f"RTSP/1.0 {code} x\r\n{lines}\r\n{body}".encode())

        def play(self) -> None:
            try:
                for group in packets(does.frames):
                    self.wfile.write(b"".join(group))
                    time.sleep(0.01)
                if does.then == "silence":
                    does.done.wait(10)
            except OSError:
                return

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", does.port), Handler) as server:
        does.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{does.port}"
        finally:
            does.done.set()
            server.shutdown()
            thread.join()
