"""Source swaps and failures in a running session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helpers.fakes import (
    WAIT_S,
    FakeEngine,
    FakeSource,
    fake_loader,
    make_frame,
    make_network,
    unplugged,
)
from helpers.watch import Watch
from twinlens.app.core.session.session import (
    EngineReady,
    Session,
    SourceEnded,
    SourceFailed,
    SourceOpened,
)
from twinlens.engine.errors import SourceError


@contextmanager
def running(source: FakeSource, **options: Any) -> Iterator[tuple[Session, Watch, FakeEngine]]:
    watch, engine = Watch(), FakeEngine()
    session = Session(
        source,
        make_network(),
        engine.id,
        on_news=watch.told,
        loader=fake_loader(engine),
        **options,
    )
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        yield session, watch, engine
    finally:
        session.stop()


def test_a_swap_keeps_the_engine_and_marks_the_frames() -> None:
    first = FakeSource([make_frame()], title="first")
    second = FakeSource([make_frame()], title="second")
    with running(first) as (session, watch, engine):
        old = watch.answer()
        session.use_source(second)
        assert watch.event(SourceOpened, 2).info.title == "second"
        new = watch.answer(lambda r: r.frame.source_id != old.frame.source_id)
        assert new.frame.index == 0
        assert first.closed.wait(WAIT_S)
        assert len(engine.runners) == 1
        assert len(watch.all(EngineReady)) == 1
        assert session.state.source_info is not None
        assert session.state.source_info.title == "second"
        assert watch.all(SourceFailed) == watch.all(SourceEnded) == []


def test_the_old_source_plays_until_the_new_one_has_opened() -> None:
    first = FakeSource([make_frame(i) for i in range(3)], title="first", gated=True)
    slow = FakeSource([make_frame(7)], title="slow", open_blocks=True)
    with running(first) as (session, watch, _):
        first.allow()
        watch.answer()
        session.use_source(slow)
        assert slow.opening.wait(WAIT_S)
        first.allow()
        assert watch.answer(lambda r: r.frame.index == 1)
        slow.let_open.set()
        watch.answer(lambda r: r.frame.index == 7)


def test_a_source_that_does_not_open_leaves_the_old_one_playing() -> None:
    first = FakeSource([make_frame(i) for i in range(2)], title="first", gated=True)
    bad = FakeSource(title="bad", open_error=SourceError("unreachable", hint="Check it."))
    with running(first, fallback_source=lambda: FakeSource(title="clip")) as (session, watch, _):
        first.allow()
        watch.answer()
        session.use_source(bad)
        failed = watch.event(SourceFailed)
        assert (failed.title, failed.fallback, failed.playing) == ("bad", False, "first")
        first.allow()
        watch.answer(lambda r: r.frame.index == 1)
        assert bad.closed.wait(WAIT_S)
        assert not first.closed.is_set()


def test_the_same_device_is_closed_before_it_is_opened_again() -> None:
    first = FakeSource([make_frame()], title="camera")
    closed_at_open: list[bool] = []

    class Again(FakeSource):
        def open(self) -> Any:
            closed_at_open.append(first.closed.is_set())
            return super().open()

    with running(first) as (session, watch, _):
        watch.answer()
        session.use_source(Again([make_frame(5)], title="camera"))
        watch.answer(lambda r: r.frame.index == 5)
    assert closed_at_open == [True]


def test_the_fallback_plays_when_the_first_source_does_not_open() -> None:
    bad = FakeSource(title="camera", open_error=SourceError("no camera"))
    clip = FakeSource([make_frame(3)], title="clip")
    with running(bad, fallback_source=lambda: clip) as (_, watch, _):
        assert watch.event(SourceFailed).fallback
        assert watch.event(SourceOpened).info.title == "clip"
        assert watch.answer().frame.index == 3


def test_the_fallback_plays_when_a_source_fails_mid_stream() -> None:
    camera = FakeSource([make_frame(), unplugged("camera")], title="camera")
    clip = FakeSource([make_frame(3)], title="clip")
    with running(camera, fallback_source=lambda: clip) as (_, watch, _):
        assert watch.event(SourceFailed).fallback
        watch.answer(lambda r: r.frame.index == 3)


def test_a_fallback_that_fails_is_told_and_not_tried_for_ever() -> None:
    made: list[FakeSource] = []

    def clip() -> FakeSource:
        made.append(FakeSource(title="clip", open_error=SourceError("lost")))
        return made[-1]

    bad = FakeSource(title="camera", open_error=SourceError("no camera"))
    with running(bad, fallback_source=clip) as (session, watch, _):
        assert watch.event(SourceFailed, 2).title == "clip"
        assert len(made) == 1
        session.use_source(FakeSource([make_frame(9)], title="good"))
        assert watch.answer().frame.index == 9


def test_a_fallback_that_cannot_be_made_is_told() -> None:
    def clip() -> FakeSource:
        raise SourceError("the clip is not installed")

    bad = FakeSource(title="camera", open_error=SourceError("no camera"))
    with running(bad, fallback_source=clip) as (_, watch, _):
        assert watch.event(SourceFailed, 2).error.message == "the clip is not installed"


def test_an_unexpected_exception_of_a_source_is_told() -> None:
    with running(FakeSource([make_frame(), ZeroDivisionError("oops")])) as (_, watch, _):
        error = watch.event(SourceFailed).error
        assert isinstance(error, SourceError)
        assert "ZeroDivisionError" in error.message


def test_a_newer_source_supersedes_one_that_still_opens() -> None:
    first = FakeSource([make_frame()], title="first")
    slow = FakeSource([make_frame(7)], title="slow", open_blocks=True)
    with running(first) as (session, watch, _):
        watch.answer()
        session.use_source(slow)
        assert slow.opening.wait(WAIT_S)
        session.use_source(FakeSource([make_frame(8)], title="third"))
        watch.answer(lambda r: r.frame.index == 8)
        assert slow.closed.wait(WAIT_S)
        assert [e.info.title for e in watch.all(SourceOpened)] == ["first", "third"]


def test_a_new_source_shows_its_first_frame_while_paused() -> None:
    first = FakeSource([make_frame(i) for i in range(9)], title="first", gated=True)
    second = FakeSource([make_frame(i) for i in range(20, 29)], title="second")
    with running(first) as (session, watch, _):
        first.allow()
        watch.answer()
        session.set_paused(True)
        session.use_source(second)
        watch.answer(lambda r: r.frame.index == 20)
        second.wait_reads(2)
        assert session.stats().captured == 2
        session.step()
        assert watch.next_answer().frame.index == 21


def test_stop_interrupts_a_blocked_read_and_a_blocked_open() -> None:
    reading = FakeSource([make_frame()], title="reading")
    opening = FakeSource(title="opening", open_blocks=True)
    with running(reading) as (session, watch, _):
        watch.answer()
        session.use_source(opening)
        assert opening.opening.wait(WAIT_S)
        session.stop()
        assert reading.closed.is_set()
        assert opening.closed.is_set()
    names = [t.name for t in threading.enumerate()]
    assert not any(name.startswith("twinlens") for name in names)


def test_a_source_asked_for_after_stop_is_ignored() -> None:
    with running(FakeSource()) as (session, _, _):
        session.stop()
        late = FakeSource([make_frame()], title="late")
        session.use_source(late)
        assert late.opened == 0


def test_a_source_that_ignores_interrupts_is_left_behind() -> None:
    class Deaf(FakeSource):
        deaf = True

        def interrupt(self) -> None:
            if not self.deaf:
                super().interrupt()

    source = Deaf(title="deaf")
    with running(source) as (session, watch, engine):
        watch.event(SourceOpened)
        watch.event(EngineReady)
        session.stop(within_s=0.05)
        assert not source.closed.is_set()
        source.deaf = False
        session.stop()
        assert source.closed.is_set()
        assert engine.runners[0].closed.is_set()  # type: ignore[attr-defined]
