"""Fetching a file from a list of mirrors, so that it can be interrupted and gone on with.

Why httpx and not pooch, the usual library for model files: pooch (1.9) streams into a temporary
file that it deletes when the stream breaks, so there is nothing to go on from, and it takes one
address per file. Both could only be had by replacing its downloader and its temporary file, which
is all that it does in addition to the hash. huggingface_hub resumes, but from its own host alone.
httpx brings what should not be written again: connections, TLS, proxies, redirects, timeouts. What
is left is here: ranges, the order of mirrors, and one clear sentence for each thing that can fail.

Ranges follow RFC 9110, section 14. A part is gone on with only where the end can show a mistake:
the hash is known, or the server says by a strong ETag that the file is still the same.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twinlens.engine.cancel import is_cancelled
from twinlens.engine.errors import DownloadCancelledError, DownloadError
from twinlens.models.catalog.cards import Remote
from twinlens.models.catalog.store import sha256_of

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 2 << 30
"""Nothing larger is fetched; model files end here."""

Progress = Callable[[int, int], None]
"""Called with bytes that are here and bytes in all (0: not known)."""

_BREAKS = 3
_PAUSE_S = 0.5
_LOCAL = ("localhost", "127.0.0.1", "::1")
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Fetched:
    """A file that has arrived whole.

    Attributes:
        url: the mirror that it came from.
        bytes: its size.
        sha256: its hash.
        skipped: mirrors that failed before, each with the reason.
    """

    url: str
    bytes: int
    sha256: str
    skipped: tuple[str, ...]


class _MirrorError(Exception):
    """One mirror failed; the next one may do.

    Args:
        reason: what happened, without the mirror's name.
        offline: nobody was reached.
        broken: it began well, so that it is worth going on.
    """

    def __init__(self, reason: str, *, offline: bool = False, broken: bool = False) -> None:
        super().__init__(reason)
        self.offline = offline
        self.broken = broken


class _WrongContentError(_MirrorError):
    """What has arrived is not the file."""


def fetch(
    remote: Remote,
    part: Path,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    timeout_s: float = 20.0,
) -> Fetched:
    """Fetch a file into ``part``, going on from what lies there.

    Args:
        remote: addresses, and size and hash where they are known. Only ``https`` is used;
            ``http`` from this very machine to itself.
        part: where the file grows; afterwards it is the whole file. What a failed or interrupted
            call leaves there is gone on with by the next call.
        progress: called for every piece that arrives, on the calling thread.
        cancelled: asked before every piece.
        timeout_s: seconds without a byte, after which a mirror counts as broken.

    Returns:
        What has arrived; size and hash are those of ``remote`` where they are known there.

    Raises:
        DownloadCancelledError: ``cancelled`` returned true; the part is kept.
        DownloadError: all mirrors failed (says how each did), the disk is full, or another
            process is fetching the same file.
    """
    from filelock import FileLock, Timeout

    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(part.with_name(part.name + ".lock"), timeout=0):
            stop = cancelled or (lambda: False)
            return _Transfer(remote, part, progress, stop, timeout_s).run()
    except Timeout as error:
        raise DownloadError(
            f"{remote.filename} is being fetched by another Twinlens",
            hint="Wait for it, or stop it there.",
        ) from error
    except OSError as error:
        raise _local_error(remote, part, error) from error


class _Transfer:
    """One call of ``fetch``."""

    def __init__(
        self,
        remote: Remote,
        part: Path,
        progress: Progress | None,
        cancelled: Callable[[], bool],
        timeout_s: float,
    ) -> None:
        self._remote = remote
        self._part = part
        self._journal = part.with_name(part.name + ".json")
        self._progress = progress
        self._cancelled = cancelled
        self._timeout_s = timeout_s

    def run(self) -> Fetched:
        """Try the mirrors in their order."""
        failed: list[tuple[str, _MirrorError]] = []
        for url in self._remote.urls:
            try:
                digest = self._from_mirror(url)
            except _MirrorError as error:
                failed.append((url, error))
                continue
            self._journal.unlink(missing_ok=True)
            reasons = tuple(f"{_host(url)}: {error}" for url, error in failed)
            return Fetched(url, self._have(), digest, reasons)
        raise self._failure(failed)

    def _failure(self, failed: list[tuple[str, _MirrorError]]) -> DownloadError:
        reasons = "; ".join(f"{_host(url)}: {error}" for url, error in failed)
        offline = all(error.offline for _, error in failed)
        why = f"no connection ({reasons})" if offline else reasons
        kept = self._have()
        hint = f"{kept:,} bytes are kept; the next try goes on from there." if kept else ""
        if offline and not kept:
            hint = "Is this computer online? Models that are here work without a network."
        return DownloadError(f"{self._remote.filename} cannot be fetched: {why}", hint=hint)

    def _from_mirror(self, url: str) -> str:
        """Fetch from one mirror, through breaks of the connection; returns the hash."""
        # What was here before may be of another file: then it is fetched anew, once.
        inherited = self._have() > 0
        idle_breaks = 0
        while True:
            before = self._have()
            try:
                self._stream(url)
                return self._check()
            except _WrongContentError:
                self._part.unlink(missing_ok=True)
                if not inherited:
                    raise
                inherited = False
            except _MirrorError as error:
                idle_breaks = 0 if self._have() > before else idle_breaks + 1
                if not error.broken or idle_breaks >= _BREAKS:
                    raise
                self._pause()

    def _stream(self, url: str) -> None:
        """Ask for what is missing and append it."""
        have = self._have()
        if self._remote.bytes and have == self._remote.bytes:
            return
        headers = self._headers(url, have)
        with (
            _mirror_errors(self._timeout_s),
            _client(url, self._timeout_s) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            start, total = self._extent(response, have)
            self._make_sure_it_fits(total - start)
            self._write_journal(url, response)
            done = self._append(response, start, total)
        if total and done < total:
            raise _MirrorError(f"ended after {done:,} of {total:,} bytes", broken=True)

    def _append(self, response: httpx.Response, start: int, total: int) -> int:
        """Write what comes behind ``start`` bytes; returns the bytes that are here then."""
        limit = total or MAX_BYTES
        done = start
        with self._part.open("ab" if start else "wb") as file:
            self._report(done, total)
            # In the sizes in which they come: pieces that httpx gathered would be lost in a break.
            for piece in response.iter_raw():
                file.write(piece)
                done += len(piece)
                if done > limit:
                    raise _WrongContentError(f"sends more than {limit:,} bytes")
                self._report(done, total)
            file.flush()
            os.fsync(file.fileno())
        return done

    def _headers(self, url: str, have: int) -> dict[str, str]:
        # A compressed answer has another length, and ranges of it would be of no use.
        headers = {"Accept-Encoding": "identity"}
        journal = self._read_journal()
        etag = journal.get("etag", "") if journal.get("url") == url else ""
        if have and (etag or self._remote.sha256):
            headers["Range"] = f"bytes={have}-"
            if etag:
                headers["If-Range"] = etag
        return headers

    def _extent(self, response: httpx.Response, have: int) -> tuple[int, int]:
        """Where the answer begins in the file, and the file's size (0: not known)."""
        status = response.status_code
        if status == 416 and not self._remote.bytes:
            raise _WrongContentError("has no more than what is here")
        if status not in (200, 206):
            raise _MirrorError(f"{status} {response.reason_phrase}")
        start, text = 0, response.headers.get("Content-Length", "0")
        if status == 206:
            found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != have:
                raise _WrongContentError("answers with another part than the one asked for")
            start, text = have, found[2]
        total = int(text) if text.isdecimal() else 0
        expected = self._remote.bytes
        if total and expected and total != expected:
            raise _MirrorError(f"offers {total:,} bytes instead of {expected:,}")
        if total > MAX_BYTES:
            raise _MirrorError(f"offers {total:,} bytes; at most {MAX_BYTES:,} are fetched")
        return start, expected or total

    def _make_sure_it_fits(self, missing: int) -> None:
        free = shutil.disk_usage(self._part.parent).free
        if missing > free:
            raise DownloadError(
                f"{self._remote.filename} does not fit: {missing:,} bytes are missing, and the "
                f"disk of {self._part.parent} has {free:,} free"
            )

    def _check(self) -> str:
        digest = sha256_of(self._part)
        wanted = self._remote.sha256
        if wanted and digest != wanted:
            raise _WrongContentError(
                f"its SHA-256 is {digest} instead of {wanted}, the file was deleted"
            )
        return digest

    def _report(self, done: int, total: int) -> None:
        if self._cancelled() or is_cancelled():
            raise DownloadCancelledError(
                f"{self._remote.filename}: stopped",
                hint=f"{done:,} bytes are kept; the next try goes on from there.",
            )
        if self._progress is not None:
            self._progress(done, total)

    def _pause(self) -> None:
        until_s = time.monotonic() + _PAUSE_S
        while time.monotonic() < until_s:
            self._report(self._have(), self._remote.bytes)
            time.sleep(_PAUSE_S / 10)

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _write_journal(self, url: str, response: httpx.Response) -> None:
        etag = response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        self._journal.write_text(json.dumps({"url": url, "etag": strong}), encoding="utf-8")

    def _read_journal(self) -> dict[str, str]:
        try:
            values = json.loads(self._journal.read_text(encoding="utf-8"))
            return {str(key): str(value) for key, value in values.items()}
        except (OSError, ValueError, AttributeError):
            return {}


def _client(url: str, timeout_s: float) -> httpx.Client:
    import httpx

    to_itself = _is_local(httpx.URL(url))

    def check(request: httpx.Request) -> None:
        # Called for each redirect as well.
        if request.url.scheme != "https" and not (to_itself and _is_local(request.url)):
            raise _MirrorError(f"{request.url} is not https; nothing was fetched from there")

    return httpx.Client(
        follow_redirects=True,
        timeout=timeout_s,
        event_hooks={"request": [check]},
        headers={"User-Agent": "twinlens"},
    )


def _is_local(url: httpx.URL) -> bool:
    return url.scheme == "http" and url.host in _LOCAL


@contextmanager
def _mirror_errors(timeout_s: float) -> Iterator[None]:
    """Say in a few words what httpx ran into."""
    import httpx

    try:
        yield
    except httpx.ReadTimeout as error:
        raise _MirrorError(f"sent nothing for {timeout_s:g} s", broken=True) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        refused = "certificate" in str(error).lower()
        raise _MirrorError(str(error) or "cannot be reached", offline=not refused) from error
    except httpx.TransportError as error:
        raise _MirrorError(f"the connection broke ({error})", broken=True) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _MirrorError(str(error)) from error


def _local_error(remote: Remote, part: Path, error: OSError) -> DownloadError:
    if error.errno in _FULL:
        return DownloadError(
            f"{remote.filename}: the disk of {part.parent} is full",
            hint="Make room and try again; what has arrived is kept.",
        )
    return DownloadError(f"{remote.filename} cannot be written to {part.parent}: {error}")


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
