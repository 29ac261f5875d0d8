"""Fetching a file: ranges, breaks, mirrors, and one clear sentence for all that goes wrong."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from helpers.model_server import ModelServer, model_server
from twinlens.engine.errors import DownloadCancelledError, DownloadError
from twinlens.models.catalog import download
from twinlens.models.catalog.cards import Remote
from twinlens.models.catalog.download import fetch

DATA = np.random.default_rng(5).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
HASH = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "net.part"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)


def known(*urls: str) -> Remote:
    return Remote(urls, len(DATA), HASH)


def test_a_file_arrives_whole_and_tells_how_far_it_is(server: ModelServer, part: Path) -> None:
    seen: list[tuple[int, int]] = []
    url = server.put("/net.onnx", DATA)
    fetched = fetch(known(url), part, progress=lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == DATA
    assert (fetched.url, fetched.bytes, fetched.sha256) == (url, len(DATA), HASH)
    assert fetched.skipped == ()
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_it_goes_on_from_what_is_here(server: ModelServer, part: Path) -> None:
    part.write_bytes(DATA[:200_000])
    seen: list[int] = []
    url = server.put("/net.onnx", DATA)
    fetch(known(url), part, progress=lambda done, total: seen.append(done))
    assert part.read_bytes() == DATA
    assert server.ranges() == ["bytes=200000-"]
    assert seen[0] == 200_000


def test_a_whole_part_is_not_asked_for_again(server: ModelServer, part: Path) -> None:
    part.write_bytes(DATA)
    fetch(known(server.put("/net.onnx", DATA)), part)
    assert server.requests == []


def test_broken_connections_are_gone_on_with(server: ModelServer, part: Path) -> None:
    url = server.put("/net.onnx", DATA, break_after=[70_000, 50_000, 0, 90_000])
    fetch(known(url), part)
    assert part.read_bytes() == DATA
    assert server.ranges() == [
        None,
        *("bytes=70000-", "bytes=120000-", "bytes=120000-", "bytes=210000-"),
    ]


def test_a_mirror_that_only_breaks_is_given_up_and_the_next_goes_on(
    server: ModelServer, part: Path
) -> None:
    bad = server.put("/bad/net.onnx", DATA, break_after=[100_000, 0, 0, 0, 0])
    good = server.put("/good/net.onnx", DATA)
    fetched = fetch(known(bad, good), part)
    assert part.read_bytes() == DATA
    assert fetched.url == good
    assert "broke" in fetched.skipped[0]
    assert server.ranges()[-1] == "bytes=100000-"


def test_a_server_without_ranges_sends_it_all_again(server: ModelServer, part: Path) -> None:
    part.write_bytes(b"x" * 1000)
    fetch(known(server.put("/net.onnx", DATA, ranges=False)), part)
    assert part.read_bytes() == DATA


def test_a_part_of_another_file_is_found_out_and_fetched_anew(
    server: ModelServer, part: Path
) -> None:
    part.write_bytes(b"x" * 1000)
    fetch(known(server.put("/net.onnx", DATA)), part)
    assert part.read_bytes() == DATA
    assert server.ranges() == ["bytes=1000-", None]


def test_wrong_bytes_name_both_hashes_and_are_deleted(server: ModelServer, part: Path) -> None:
    wrong = bytes(len(DATA))
    with pytest.raises(DownloadError, match="deleted") as caught:
        fetch(known(server.put("/net.onnx", wrong)), part)
    assert HASH in caught.value.message
    assert hashlib.sha256(wrong).hexdigest() in caught.value.message
    assert not part.exists()


def test_mirrors_are_tried_in_their_order(server: ModelServer, part: Path) -> None:
    urls = [
        server.url("/missing.onnx"),
        server.put("/pointer.onnx", b"version https://git-lfs.github.com/spec/v1\n"),
        server.put("/wrong.onnx", bytes(len(DATA))),
        server.put("/net.onnx", DATA),
    ]
    fetched = fetch(known(*urls), part)
    assert part.read_bytes() == DATA
    assert fetched.url == urls[3]
    assert [reason.split(": ")[1][:9] for reason in fetched.skipped] == [
        *("404 Not F", "offers 43", "its SHA-2"),
    ]


def test_a_mirror_with_a_wrong_size_costs_nothing_of_the_part(
    server: ModelServer, part: Path
) -> None:
    part.write_bytes(DATA[:1000])
    with pytest.raises(DownloadError, match="offers 4 bytes instead of 300,000") as caught:
        fetch(known(server.put("/net.onnx", b"page", ranges=False)), part)
    assert part.read_bytes() == DATA[:1000]
    assert "1,000 bytes are kept" in caught.value.hint


def test_silence_ends_after_the_timeout(server: ModelServer, part: Path) -> None:
    url = server.put("/net.onnx", DATA, stall_after=65_536)
    # As long as every try brings a piece, it goes on.
    fetch(known(url), part, timeout_s=0.2)
    assert part.read_bytes() == DATA
    part.unlink()
    server.files["/net.onnx"].stall_after = 0
    with pytest.raises(DownloadError, match=r"sent nothing for 0\.2 s"):
        fetch(known(url), part, timeout_s=0.2)


def test_without_a_network_it_says_so(server: ModelServer, part: Path) -> None:
    with pytest.raises(DownloadError, match="no connection") as caught:
        fetch(known("http://127.0.0.1:1/net.onnx"), part)
    assert "online" in caught.value.hint
    assert "\n" not in caught.value.message


def test_redirects_are_followed(server: ModelServer, part: Path) -> None:
    server.put("/real.onnx", DATA)
    url = server.put("/net.onnx", b"", location="/real.onnx")
    fetch(known(url), part)
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("direct", [True, False])
def test_only_https_leaves_this_machine(server: ModelServer, part: Path, direct: bool) -> None:
    far = "http://models.invalid/net.onnx"
    url = far if direct else server.put("/net.onnx", b"", location=far)
    with pytest.raises(DownloadError, match=r"models\.invalid.* is not https"):
        fetch(known(url), part)


def test_a_stopped_download_is_kept(server: ModelServer, part: Path) -> None:
    url = server.put("/net.onnx", DATA)
    done = 0

    def progress(bytes_here: int, total: int) -> None:
        nonlocal done
        done = bytes_here

    with pytest.raises(DownloadCancelledError, match="stopped"):
        fetch(known(url), part, progress=progress, cancelled=lambda: done > 100_000)
    kept = part.stat().st_size
    assert 100_000 < kept < len(DATA)
    fetch(known(url), part)
    assert part.read_bytes() == DATA
    assert server.ranges()[-1] == f"bytes={kept}-"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_disk_is_told(server: ModelServer, part: Path) -> None:
    part.symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"the disk of .* is full"):
        fetch(known(server.put("/net.onnx", DATA)), part)


def test_what_does_not_fit_is_not_begun(
    server: ModelServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(part.parent)
    monkeypatch.setattr(
        download.shutil, "disk_usage", lambda path: type(usage)(usage.total, usage.used, 1000)
    )
    with pytest.raises(DownloadError, match=r"300,000 bytes are missing.* 1,000 free"):
        fetch(known(server.put("/net.onnx", DATA)), part)
    assert not part.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders are written to on Windows")
def test_a_folder_that_cannot_be_made_is_told(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(known(server.put("/net.onnx", DATA)), tmp_path / "file" / "net.part")


def test_two_do_not_fetch_one_file(server: ModelServer, part: Path) -> None:
    url = server.put("/net.onnx", DATA)
    with (
        FileLock(part.with_name(part.name + ".lock")),
        pytest.raises(DownloadError, match="another Twinlens"),
    ):
        fetch(known(url), part)


def test_a_size_that_nobody_needs_is_refused(
    server: ModelServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="at most 1,000"):
        fetch(Remote((server.put("/a.onnx", DATA),)), part)
    with pytest.raises(DownloadError, match="more than 1,000"):
        fetch(Remote((server.put("/b.onnx", DATA, announced=False),)), part)


def test_without_a_hash_only_the_same_file_is_gone_on_with(server: ModelServer, part: Path) -> None:
    remote = Remote((server.put("/net.onnx", DATA, break_after=[1000, 0, 0, 0]),))
    with pytest.raises(DownloadError, match="broke"):
        fetch(remote, part)
    assert part.stat().st_size == 1000
    server.files["/net.onnx"].break_after = [5000, 0, 0, 0]
    with pytest.raises(DownloadError, match="broke"):
        fetch(remote, part)
    assert part.stat().st_size == 6000
    other = DATA[::-1]
    server.put("/net.onnx", other, etag='"v2"')
    fetched = fetch(remote, part)
    assert part.read_bytes() == other
    assert fetched.sha256 == hashlib.sha256(other).hexdigest()


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_hash_and_strong_etag_it_begins_anew(
    server: ModelServer, part: Path, etag: str
) -> None:
    part.write_bytes(b"x" * 1000)
    fetch(Remote((server.put("/net.onnx", DATA, etag=etag),)), part)
    assert part.read_bytes() == DATA
    assert server.ranges() == [None]
