"""A file server of one's own that behaves as badly as it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file, and how it is served.

    Attributes:
        data: what is sent.
        ranges: whether parts can be asked for.
        etag: validator, empty for none.
        break_after: bytes after which the connection breaks, one entry a request; then it holds.
        stall_after: bytes after which nothing more is sent until the server stops; None: never.
        pace_s: pause behind each piece of 64 KiB.
        status: answered instead of the file.
        location: where to go instead.
        announced: whether the length is told.
    """

    data: bytes = b""
    ranges: bool = True
    etag: str = '"v1"'
    break_after: list[int] = field(default_factory=list)
    stall_after: int | None = None
    pace_s: float = 0.0
    status: int = 200
    location: str = ""
    announced: bool = True


class ModelServer:
    """Files by path (``"/net.onnx"``), and the requests that came."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.stopping = threading.Event()
        self.port = 0

    def put(self, path: str, data: bytes, **behaviour: object) -> str:
        """Serve a file; returns its address."""
        self.files[path] = Served(data, **behaviour)  # type: ignore[arg-type]
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ranges(self) -> list[str | None]:
        """The Range header of every request."""
        return [headers.get("Range") for _, headers in self.requests]


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """Run a server in a thread."""
    state = ModelServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = False
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="model-server")
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(state: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, dict(self.headers)))
            served = state.files.get(self.path, Served(status=404))
            if served.location:
                self.send_response(302)
                self.send_header("Location", served.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif served.status != 200:
                self.send_error(served.status)
            else:
                self._send(served)

        def _send(self, served: Served) -> None:
            start = self._start(served)
            if start > len(served.data) or (start and start == len(served.data)):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                span = f"bytes {start}-{len(served.data) - 1}/{len(served.data)}"
                self.send_header("Content-Range", span)
            if served.etag:
                self.send_header("ETag", served.etag)
            if served.announced:
                self.send_header("Content-Length", str(len(served.data) - start))
            self.end_headers()
            self._body(served, served.data[start:])

        def _start(self, served: Served) -> int:
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range", served.etag)
            return int(found[1]) if found and served.ranges and condition == served.etag else 0

        def _body(self, served: Served, data: bytes) -> None:
            limit = served.break_after.pop(0) if served.break_after else len(data)
            if served.stall_after is not None:
                limit = min(limit, served.stall_after)
            try:
                for at in range(0, limit, 1 << 16):
                    self.wfile.write(data[at : min(at + (1 << 16), limit)])
                    self.wfile.flush()
                    if served.pace_s and state.stopping.wait(served.pace_s):
                        return
                if served.stall_after is not None:
                    state.stopping.wait()
            except OSError:  # the other side has gone
                pass
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    return Handler
