"""Pictures in parts over HTTP (``multipart/x-mixed-replace``), as cameras send them.

Read by ourselves: what FFmpeg makes of a part with a wrong length, a missing one or garbage in it
is the end of the stream. Here a part that is no picture is counted and left out, and the next one
is looked for by the boundary, whatever lengths said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.image.stills import jpeg_pixels
from twinlens.engine.image.video import VideoFacts

_MOST_BYTES = 32 << 20
# A length that is more is taken for nonsense: it would have to be waited for.
_MOST_TRUSTED = 8 << 20
_MOST_HEADER = 16 << 10
_MOST_REDIRECTS = 5
_MOST_BAD = 100
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.I)
_BOUNDARY = re.compile(rb"(?:^|\n)(--[^\r\n]{1,200})\r?\nContent-", re.I)
_FACTS = VideoFacts("mjpeg", "mpjpeg", 0.0, None, None)


class PartSplitter:
    """Splits a body into the contents of its parts, whatever their headers say.

    Args:
        boundary: the boundary that the server names; the dashes in front, which some servers
            name along with it, do not matter.
    """

    def __init__(self, boundary: bytes) -> None:
        self._take(b"--" + boundary.strip().strip(b'"').lstrip(b"-"))
        self._data = bytearray()
        self._inside = self._seen = False
        self._searched = 0
        self._length: int | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Contents of the parts that are whole with this.

        Raises:
            ImageError: what comes has no parts: too much without a boundary or an end of header.
        """
        self._data += data
        while True:
            if not self._inside and not self._enter():
                return
            content = self._content()
            if content is None:
                return
            yield content

    def _enter(self) -> bool:
        """Go behind the next part's header; False when there is more to come."""
        found = self._first.search(self._data)
        if found is None and not self._seen:
            # Some servers name another boundary than they send.
            found = _BOUNDARY.search(self._data)
            if found is not None:
                self._take(bytes(found[1]))
        if found is None:
            # What is no part is garbage; the end of it may be the beginning of a boundary.
            self._discarded(len(self._data) - self._longest)
            return False
        at = found.start(1)
        end = min(
            (
                place + len(mark)
                for mark in (b"\r\n\r\n", b"\n\n")
                if (place := self._data.find(mark, at)) >= 0
            ),
            default=-1,
        )
        if end < 0:
            if len(self._data) - at > _MOST_HEADER:
                raise ImageError(
                    "sends a header without an end", hint="It is no stream of pictures."
                )
            return False
        length = _LENGTH.search(bytes(self._data[at:end]))
        size = int(length[1]) if length and len(length[1]) < 10 else 0
        self._length = size if 0 < size <= _MOST_TRUSTED else None
        del self._data[:end]
        self._inside, self._searched, self._seen = True, 0, True
        return True

    def _content(self) -> bytes | None:
        data, size = self._data, self._length
        # At once, where the length is right; else only the next boundary tells the end.
        if size and len(data) < size:
            return None
        if size and data[size - 2 : size] == b"\xff\xd9":
            return self._cut(size)
        end = self._next()
        if end >= 0:
            return self._cut(end)
        # Without a length, a picture that has come to its end has come.
        if size is None and bytes(data[-4:]).rstrip(b"\r\n").endswith(b"\xff\xd9"):
            return self._cut(len(data))
        if len(data) > _MOST_BYTES:
            raise ImageError(
                f"sends a part of more than {_MOST_BYTES >> 20} MiB",
                hint="It is no stream of pictures.",
            )
        self._searched = max(0, len(data) - self._longest)
        return None

    def _take(self, mark: bytes) -> None:
        """Look for a boundary that looks so, dashes in front."""
        self._longest = len(mark) + 4
        quoted = re.escape(mark)
        self._mark = mark
        self._first = re.compile(rb"(" + quoted + rb")(?=[\r\n]|--)")

    def _next(self) -> int:
        """Where the next part begins, from where was searched on; -1 where it is not yet.

        Within a picture the boundary may be there by chance: it counts only where a line or a
        picture ends in front of it.
        """
        data, at = self._data, self._searched - 1
        while (at := data.find(self._mark, at + 1)) >= 0:
            behind = at + len(self._mark)
            before, after = bytes(data[max(0, at - 2) : at]), bytes(data[behind : behind + 2])
            ends = not before or before.endswith((b"\n", b"\xff\xd9"))
            if ends and after.startswith((b"\r", b"\n", b"--")):
                return at
        return -1

    def _cut(self, end: int) -> bytes:
        content = bytes(self._data[:end])
        del self._data[:end]
        self._inside = False
        return content

    def _discarded(self, count: int) -> None:
        if count > 0:
            del self._data[:count]


class PartsReader:
    """A stream of pictures in parts; see ``twinlens.app.sources.video.Reader``.

    Attributes:
        damaged: parts that were no picture so far.
    """

    def __init__(self, client: Any, response: Any, boundary: bytes) -> None:
        self.facts = _FACTS
        self.damaged = 0
        self._client, self._response = client, response
        self._parts = self._read_parts(PartSplitter(boundary))
        self._pixels: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, url: str, *, open_s: float, read_s: float) -> PartsReader | None:
        """Ask an address; None where what answers is something else, for another reader.

        Redirections are followed, and the user is named as the server asks (basic or digest).

        Raises:
            ImageError: it answers with a page, or redirects without an end.
            OSError: it does not answer, or refuses.
        """
        import httpx  # late: slow to import, and most sources are no network

        address, who = _without_user(url)
        client = httpx.Client(
            timeout=httpx.Timeout(read_s, connect=open_s),
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            headers={"User-Agent": "twinlens", "Accept": "*/*", "Accept-Encoding": "identity"},
        )
        try:
            response = _asked(client, address, who, httpx)
            kind, boundary = _kind_of(response)
            if kind == "multipart/x-mixed-replace":
                return cls(client, response, boundary)
        except httpx.TooManyRedirects:
            client.close()
            raise ImageError("redirects from one address to the next without an end") from None
        except httpx.HTTPError as why:
            client.close()
            raise _system_error(why) from None
        except BaseException:
            client.close()
            raise
        response.close()
        client.close()
        if kind == "text/html":
            raise ImageError(
                "answers with a web page, not with a video",
                hint="Give the address of the stream itself; the camera's manual has it.",
            )
        return None

    def grab(self) -> float | None:
        """Wait for the next picture; its time of arrival, or None at the end."""
        import httpx  # late: loaded by now

        try:
            self._pixels = next(self._parts, None)
        except (httpx.HTTPError, httpx.StreamError) as why:
            raise _system_error(why) from None
        return None if self._pixels is None else time.perf_counter()

    def pixels(self) -> NDArray[np.uint8]:
        """The picture: (height, width, 3) uint8 B, G, R."""
        if self._pixels is None:
            raise ValueError("no picture was grabbed")
        return self._pixels

    def close(self) -> None:
        """Disconnect."""
        self._response.close()
        self._client.close()

    def _read_parts(self, splitter: PartSplitter) -> Iterator[NDArray[np.uint8]]:
        bad = 0
        for data in self._response.iter_raw():
            for content in splitter.feed(data):
                pixels = jpeg_pixels(content)
                if pixels is not None:
                    bad = 0
                    yield pixels
                    continue
                if content.strip():  # an empty part is a sign of life, no picture
                    self.damaged += 1
                    bad += 1
                if bad >= _MOST_BAD:
                    raise ImageError(
                        f"sends no pictures that can be decoded ({bad} parts in a row)",
                        hint="Set the camera to JPEG.",
                    )


def _asked(client: Any, address: str, who: tuple[str, str] | None, httpx: Any) -> Any:
    """The answer's beginning; its body is still to come."""
    response = client.send(client.build_request("GET", address), stream=True)
    if response.status_code == 401 and who is not None:
        wanted = response.headers.get("www-authenticate", "").lower()
        auth = (httpx.DigestAuth if "digest" in wanted else httpx.BasicAuth)(*who)
        response.close()
        again = client.build_request("GET", response.url)
        response = client.send(again, auth=auth, stream=True)
    if response.status_code in (401, 403):
        raise PermissionError(13, "refused")
    if response.status_code >= 400:
        raise ImageError(
            f"the server answers {response.status_code} {response.reason_phrase}".rstrip(),
            hint="Check the path of the address.",
        )
    return response


def _kind_of(response: Any) -> tuple[str, bytes]:
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    boundary = re.search(r"boundary=([^;]+)", parameters, re.I)
    return kind.strip().lower(), (boundary[1] if boundary else "--").encode("latin-1", "replace")


def _without_user(url: str) -> tuple[str, tuple[str, str] | None]:
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(bare), (unquote(parts.username), unquote(parts.password or ""))


def _system_error(why: Exception) -> OSError:
    """One of the system's errors for one of httpx's, which may name the address in full."""
    kind = type(why).__name__
    if "Timeout" in kind:
        return TimeoutError(110, "it did not answer in time")
    cause: BaseException | None = why
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return ConnectionRefusedError(111, "refused")
        cause = cause.__cause__ or cause.__context__
    if kind == "ConnectError":
        return ConnectionError(5, "its name or address leads nowhere")
    return ConnectionError(5, "it broke off, or speaks no HTTP")
