"""Sources in processes of their own: the same frames, and every fault is one error."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.fakes import FakeEngine, fake_loader, make_network
from helpers.hosted import descriptors, exists, hosts, until
from helpers.watch import Watch
from twinlens.app.core.hosts.arena import Arena
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.app.core.session.session import Session, SourceFailed
from twinlens.app.sources import open_source
from twinlens.app.sources.camera import Camera
from twinlens.app.sources.hosted import HostedSource
from twinlens.app.sources.hosted_child import Remembers
from twinlens.app.sources.v4l2 import Device
from twinlens.assets import picture_path
from twinlens.engine.errors import CancelledError, SourceError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    logging.getLogger("twinlens.app.core.hosts").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("twinlens.app.core.hosts").setLevel(logging.NOTSET)


@pytest.fixture
def owner() -> Iterator[Hosts]:
    with hosts() as made:
        yield made


def each_frame(owner: Hosts, text: str = "clip") -> HostedSource:
    source = open_source(text, realtime=False, loop=False, host=owner.source)
    assert isinstance(source, HostedSource)
    return source


def same(one: Any, other: Any) -> bool:
    a, b = one.buffer, other.buffer
    facts = ("format", "width", "height", "stride", "orientation")
    return (
        (one.index, one.t_s) == (other.index, other.t_s)
        and all(getattr(a, name) == getattr(b, name) for name in facts)
        and np.array_equal(a.data, b.data)
    )


@pytest.mark.parametrize("shared", [True, False])
def test_the_same_frames_come(owner: Hosts, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shared:
        monkeypatch.setattr(Arena, "make", lambda: None)
    there, here = each_frame(owner), open_source("clip", realtime=False, loop=False)
    assert there.title == here.title
    before_s = time.perf_counter()
    assert there.open() == here.open()
    for _ in range(20):
        one, other = there.read(), here.read()
        assert one is not None
        assert same(one, other)
        assert before_s < one.captured_s <= time.perf_counter()  # by one clock for both
        before_s = one.captured_s
        with pytest.raises(ValueError, match="read-only"):
            one.buffer.data[0] = 1
    there.close()
    here.close()


def test_pictures_of_any_size_come_and_it_ends(owner: Hosts, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate([(8, 8), (640, 480), (16, 4), (1280, 720)]):
        pixels = rng.integers(0, 255, (height, width, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = number + 1
        Image.fromarray(pixels).save(tmp_path / f"{number}.png", exif=exif)
    there = each_frame(owner, str(tmp_path))
    here = open_source(str(tmp_path), realtime=False, loop=False)
    assert there.open() == here.open()
    for _ in range(4):
        assert same(there.read(), here.read())
    assert there.read() is None
    here.close()
    there.close()
    there.close()
    assert there.read() is None


def test_a_frame_never_changes_whoever_keeps_it(owner: Hosts) -> None:
    """Places are used again only when nobody looks; many that are kept are copied."""
    source, here = each_frame(owner), open_source("clip", realtime=False, loop=False)
    source.open()
    here.open()
    kept = [source.read() for _ in range(40)]
    assert all(same(one, here.read()) for one in kept)
    views = [one.buffer.rows()[:2] for one in kept[:3]]
    sums = [int(view.sum()) for view in views]
    del kept
    gc.collect()
    for _ in range(20):
        source.read()
    assert [int(view.sum()) for view in views] == sums
    here.close()
    assert source._places is not None
    assert source._places._count < 20
    source.close()
    assert [int(view.sum()) for view in views] == sums


def test_errors_are_those_of_the_source(owner: Hosts, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing" * 99)
    for path in (broken, tmp_path / "missing.mp4"):
        there, here = (open_source(str(path), host=h) for h in (owner.source, None))
        with pytest.raises(SourceError) as one:
            there.open()
        with pytest.raises(SourceError) as other:
            here.open()
        assert (one.value.message, one.value.hint) == (other.value.message, other.value.hint)
        there.close()
        here.close()
    until(lambda: not owner.keeper.hosts)


@posix
@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "was killed"), (signal.SIGSEGV, "was ended by SIGSEGV")],
)
def test_a_host_that_ends_is_one_error(owner: Hosts, number: int, words: str) -> None:
    source = each_frame(owner)
    source.open()
    frame = source.read()
    os.kill(source.host.pid, number)
    with pytest.raises(SourceError, match=f"Bundled clip: its process {words}"):
        for _ in range(9):
            source.read()
    source.close()
    assert frame is not None
    assert frame.buffer.data.any()


@posix
@pytest.mark.parametrize("frames", [0, 1, 3])
def test_a_host_that_ends_while_nobody_asks_is_one_error_later(owner: Hosts, frames: int) -> None:
    source = each_frame(owner)
    source.open()
    kept = [source.read() for _ in range(frames)]
    host = source.host
    os.kill(host.pid, signal.SIGKILL)
    until(lambda: host not in owner.keeper.hosts)  # it is buried
    for _ in range(2):
        with pytest.raises(SourceError, match="Bundled clip: its process was killed"):
            source.read()
    source.close()
    assert all(frame.buffer.data.any() for frame in kept)


@posix
def test_a_host_that_stands_still_is_ended(owner: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinlens.app.sources.hosted._FLOOR_S", 0.5)
    source = each_frame(owner)
    source.open()
    for _ in range(5):
        source.read()
    os.kill(source.host.pid, signal.SIGSTOP)
    begun_s = time.monotonic()
    with pytest.raises(SourceError, match="did not answer within"):
        source.read()
    assert time.monotonic() - begun_s < 4
    source.close()


def test_a_blocked_read_ends_with_the_host(owner: Hosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = open_source(f"http://127.0.0.1:{server.getsockname()[1]}/x", host=owner.source)
        assert isinstance(source, HostedSource)
        ended = threading.Event()

        def play() -> None:
            with pytest.raises((CancelledError, SourceError)):
                source.open()
            source.close()
            ended.set()

        thread = threading.Thread(target=play)
        thread.start()
        with server.accept()[0]:  # it is connected, and waits
            begun_s = time.monotonic()
            source.interrupt()
            assert ended.wait(3)
        assert time.monotonic() - begun_s < 2
        thread.join()
    until(lambda: not owner.keeper.hosts)


def test_what_waits_until_a_frame_is_due_is_interrupted(owner: Hosts) -> None:
    source = open_source("clip", host=owner.source)
    source.open()
    threading.Timer(0.2, source.interrupt).start()
    while source.read() is not None:
        pass
    source.close()


def test_interrupted_before_it_opens_it_does_not_open(owner: Hosts) -> None:
    source = open_source("clip", host=owner.source)
    source.interrupt()
    with pytest.raises(CancelledError):
        source.open()
    source.close()


def test_after_the_end_of_all_hosts_nothing_plays(owner: Hosts) -> None:
    """Neither in a host nor here: whoever asked is being ended as well."""
    source = open_source("clip", host=owner.source)
    source.open()
    owner.request_stop()
    with pytest.raises(CancelledError):
        while True:
            source.read()
    source.close()
    source = open_source("clip", host=owner.source)
    with pytest.raises(CancelledError):
        source.open()
    source.close()


def test_where_no_process_can_be_started_it_plays_here(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Any:
        raise OSError("too many processes")

    source = open_source("clip", host=refuse)
    assert source.open().kind == "clip"
    frame = source.read()
    assert frame is not None
    source.interrupt()
    source.close()
    assert "too many processes" in caplog.text


def test_screen_and_drawing_pad_stay_here(owner: Hosts) -> None:
    for text in ("screen", "screen:0,0,8,8", "drawing"):
        assert not isinstance(open_source(text, host=owner.source), HostedSource)


@linux
def test_nothing_is_left_behind() -> None:
    before, shared = descriptors(), sorted(Path("/dev/shm").iterdir())
    with hosts() as owner:
        for _ in range(2):
            source = each_frame(owner)
            source.open()
            source.read()
            source.close()
    gc.collect()
    assert descriptors() == before
    assert sorted(Path("/dev/shm").iterdir()) == shared


@posix
def test_a_source_whose_host_is_killed_gives_way_to_the_fallback(owner: Hosts) -> None:
    watch, engine = Watch(), FakeEngine()
    session = Session(
        open_source(str(picture_path("start.jpg")), host=owner.source),
        make_network(),
        engine.id,
        fallback_source=lambda: open_source("clip", host=owner.source),
        on_news=watch.told,
        loader=fake_loader(engine),
    )
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        first = watch.answer().frame.source_id
        begun_s = time.monotonic()
        os.kill(owner.keeper.hosts[0].pid, signal.SIGKILL)
        failed = watch.event(SourceFailed)
        assert "was killed" in failed.error.message
        assert failed.fallback
        watch.answer(lambda r: r.frame.source_id != first)
        assert time.monotonic() - begun_s < 8  # 0.6 s where nothing else runs
        pids = [host.pid for host in owner.keeper.hosts]
    finally:
        session.stop()
    until(lambda: not any(map(exists, pids)))


def test_a_camera_is_known_again_by_one_in_another_process() -> None:
    """What it was found as goes along as plain values."""
    first, second = Camera(0), Camera(0)
    assert first.memory == {}
    second.recall({})
    assert second.memory == {}
    first._itself, first._twins = Device("/dev/video0", "Cam", "usb-1", True), frozenset({"usb-2"})
    second.recall(json.loads(json.dumps(first.memory)))
    assert (second._itself, second._twins) == (first._itself, first._twins)
    assert isinstance(first, Remembers)


def test_a_source_opens_again_after_its_host_has_gone(owner: Hosts) -> None:
    """As one that is waited for does."""
    source = each_frame(owner)
    source.open()
    one = source.read()
    pid = source.host.pid
    source.host.end("was ended by a test")
    with pytest.raises(SourceError):
        while True:
            source.read()
    source.close()
    source.open()
    assert source.host.pid != pid
    assert same(source.read(), one)
    source.close()


def test_a_folder_in_a_host_goes_by_stills_as_well(owner: Hosts, tmp_path: Path) -> None:
    for number, shade in enumerate((0, 90, 180)):
        pixels = np.full((32, 48, 3), shade, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
    source: Any = open_source(str(tmp_path), host=owner.source)
    source.open()
    try:
        assert source.goes_back
        first = source.read()
        assert source.turn(1)
        second = source.read()
        assert round(second.buffer.to_bgr().mean()) == 90
        assert second.scene != first.scene
        assert source.turn(-1)
        assert round(source.read().buffer.to_bgr().mean()) == 0
    finally:
        source.close()
