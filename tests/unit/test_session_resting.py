"""A session whose engine rests while something else is timed, and what options it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from helpers.fakes import FakeEngine, FakeRunner, FakeSource, fake_loader, make_frame, make_network
from helpers.watch import Watch
from twinlens.app.core.session.session import EngineReady, LoadStarted, Session
from twinlens.engine.api.protocol import EngineOptions


@contextmanager
def running(source: FakeSource, *engines: FakeEngine) -> Iterator[tuple[Session, Watch]]:
    watch = Watch()
    loader = fake_loader(*engines)
    session = Session(source, make_network(), engines[0].id, on_news=watch.told, loader=loader)
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        yield session, watch
    finally:
        session.stop()


def frames(source: FakeSource, watch: Watch, count: int) -> None:
    """Let so many frames come and wait until each was shown."""
    for _ in range(count):
        before = len(watch.frames)
        source.allow(1)
        watch.until(lambda before=before: len(watch.frames) > before)  # type: ignore[misc]


def test_pictures_move_on_unanswered_and_the_newest_is_answered_then() -> None:
    source = FakeSource([make_frame(i, value=i) for i in range(9)], gated=True)
    engine = FakeEngine()
    with running(source, engine) as (session, watch):
        watch.event(EngineReady)
        frames(source, watch, 1)
        watch.answer()
        session.set_answering(False)
        assert not session.state.answering
        runner = engine.runners[0]
        assert isinstance(runner, FakeRunner)
        before = runner.runs
        frames(source, watch, 3)
        session.set_smoothing(False)  # asks for the held frame again: that waits as well
        assert runner.runs == before
        session.set_answering(True)
        assert watch.answer(lambda r: r.frame.index == 3).frame.index == 3
        assert runner.runs == before + 1
        assert session.state.answering


def test_a_new_engine_waits_and_a_resting_session_can_be_stopped() -> None:
    source = FakeSource([make_frame(i) for i in range(9)], gated=True)
    with running(source, FakeEngine("one"), FakeEngine("two")) as (session, watch):
        watch.event(EngineReady)
        session.set_answering(False)
        session.use_engine("two")
        watch.event(LoadStarted, 2)
        session.set_answering(True)
        assert watch.event(EngineReady, 2).info.engine_id == "two"
        session.set_answering(False)


def test_what_was_asked_of_an_engine_is_told_and_returns_when_it_fails() -> None:
    source = FakeSource([make_frame(0)], gated=True)

    def make(spec: object, options: EngineOptions) -> FakeRunner:
        if options.precision == "int8":
            raise RuntimeError("no pictures")
        return FakeRunner(options=options)

    with running(source, FakeEngine(make=make)) as (session, watch):
        assert watch.event(EngineReady).options == EngineOptions()
        session.use_engine("fake-engine", EngineOptions(precision="bf16"))
        ready = watch.event(EngineReady, 2)
        assert (ready.options.precision, ready.info.precision) == ("bf16", "bf16")
        session.use_engine("fake-engine", EngineOptions(precision="int8"))
        assert session.state.loading is None or "int8" in session.state.loading
        watch.until(lambda: session.state.loading is None)
        assert session.state.options.precision == "bf16"
