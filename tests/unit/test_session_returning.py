"""Live sources that fail: something else plays, and they come back without a touch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest

from helpers.fakes import WAIT_S, FakeSource, make_frame, unplugged
from helpers.sessions import running
from twinlens.app.core.session import returning
from twinlens.app.core.session.events import SourceFailed, SourceOpened
from twinlens.app.core.session.returning import Returning, backoff
from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.engine.errors import SourceError


class Flaky:
    """A live source whose openings each have a script: an error, or frames and then an error."""

    def __init__(self, *openings: Exception | list[Frame], title: str = "cam") -> None:
        self.title = title
        self._openings = list(openings)
        self._frames: list[Frame] = []
        self._inner = FakeSource(title=title)
        self.opened = self.closed = 0
        self.interrupted = False

    def open(self) -> SourceInfo:
        self.opened += 1
        now = self._openings.pop(0) if self._openings else SourceError("gone", passing=True)
        if isinstance(now, Exception):
            raise now
        self._frames = list(now)
        return SourceInfo("camera", self.title, 8, 8, 30.0, live=True)

    def read(self) -> Frame | None:
        if self._frames:
            return self._frames.pop(0)
        if self._openings:
            raise unplugged(self.title)
        return self._inner.read()  # waits

    def interrupt(self) -> None:
        self.interrupted = True
        self._inner.interrupt()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "FIRST_S", 0.01)
    monkeypatch.setattr(returning, "LONGEST_S", 0.02)


def clip() -> FakeSource:
    return FakeSource([make_frame(100)], title="clip")


def test_waits_grow_to_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert list(islice(backoff(), 7)) == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_source_comes_back_by_itself_and_the_clip_plays_meanwhile() -> None:
    gone = SourceError("not plugged in", passing=True)
    source = Flaky([make_frame(0)], gone, gone, SourceError("forbidden"), [make_frame(1)])
    with running(source, fallback_source=clip, reconnect=True) as (session, watch):
        failed = watch.event(SourceFailed)
        assert (failed.fallback, failed.returning) == (True, True)
        watch.until(
            lambda: (
                [e.info.title for e in watch.all(SourceOpened)][-1:] == ["cam"]
                and len(watch.all(SourceOpened)) >= 2
            )
        )
        watch.answer(lambda r: r.frame.index == 1)
        assert session.state.away is None
        assert source.opened == 5
        assert len(watch.all(SourceFailed)) == 1  # said once, not at each attempt


def test_it_says_how_long_it_has_been_away() -> None:
    source = Flaky([make_frame(0)], *[SourceError("gone", passing=True)] * 10_000)
    with running(source, fallback_source=clip, reconnect=True) as (session, watch):
        watch.event(SourceFailed)
        watch.answer(lambda r: r.frame.index == 100)
        watch.until(lambda: session.state.away is not None)
        away = session.state.away
        assert away is not None
        assert away.title == "cam"
        assert away.for_s >= 0


def test_it_comes_back_again_and_again() -> None:
    source = Flaky(*([make_frame(index)] for index in range(6)))
    with running(source, fallback_source=clip, reconnect=True) as (_, watch):
        watch.answer(lambda r: r.frame.index == 5)
        watch.until(lambda: len(watch.all(SourceFailed)) == 5)


def test_choosing_another_source_ends_the_waiting() -> None:
    source = Flaky([make_frame(0)], *[SourceError("gone", passing=True)] * 10_000)
    other = FakeSource([make_frame(7)], title="other")
    with running(source, fallback_source=clip, reconnect=True) as (session, watch):
        watch.event(SourceFailed)
        session.use_source(other)
        watch.answer(lambda r: r.frame.index == 7)
        assert session.state.away is None
        watch.until(lambda: source.interrupted)
        before = source.opened
        assert source.opened - before <= 1


def test_a_wrong_address_is_not_tried_for_ever() -> None:
    source = Flaky(SourceError("not a stream"), [make_frame(1)])
    with running(source, fallback_source=clip, reconnect=True) as (session, watch):
        assert not watch.event(SourceFailed).returning
        watch.answer(lambda r: r.frame.index == 100)
        assert session.state.away is None


def test_a_stream_that_is_not_up_yet_is_waited_for() -> None:
    source = Flaky(SourceError("refused", passing=True), [make_frame(1)])
    with running(source, fallback_source=clip, reconnect=True) as (_, watch):
        assert watch.event(SourceFailed).returning
        watch.answer(lambda r: r.frame.index == 1)


@pytest.mark.parametrize("how", ["a file", "not asked for"])
def test_what_does_not_come_back(how: str) -> None:
    failing: Callable[[], FakeSource] = lambda: FakeSource(  # noqa: E731
        [make_frame(0), unplugged("x")], title="x", live=how != "a file"
    )
    with running(failing(), fallback_source=clip, reconnect=how == "a file") as (_, watch):
        assert not watch.event(SourceFailed).returning


def test_without_a_fallback_it_comes_back_as_well() -> None:
    source = Flaky([make_frame(0)], SourceError("gone", passing=True), [make_frame(1)])
    with running(source, reconnect=True) as (_, watch):
        failed = watch.event(SourceFailed)
        assert (failed.fallback, failed.returning) == (False, True)
        watch.answer(lambda r: r.frame.index == 1)


def test_interrupt_ends_a_long_wait() -> None:
    waiting = Returning(Flaky())
    waiting.interrupt()
    with pytest.raises(SourceError, match="not waited for"):
        waiting.open()


def test_a_session_that_waits_ends_at_once() -> None:
    source = Flaky([make_frame(0)], *[SourceError("gone", passing=True)] * 10_000)
    with running(source, fallback_source=clip, reconnect=True) as (session, watch):
        watch.event(SourceFailed)
        session.stop(WAIT_S)
    assert source.closed
