"""The session's promises, with scripted sources and engines; no test sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.fakes import (
    WAIT_S,
    FakeEngine,
    FakeRunner,
    FakeSource,
    fake_loader,
    make_frame,
    unplugged,
)
from helpers.sessions import MODEL, frames, running, two_engines
from twinlens.app.core.session.session import (
    EngineReady,
    InferenceFailed,
    LoadFailed,
    LoadStarted,
    Session,
    SourceEnded,
    SourceFailed,
    SourceOpened,
)
from twinlens.engine.errors import EngineError, InferenceError
from twinlens.engine.image import CropAndScale, Region


def test_frames_are_answered_and_events_told_in_order() -> None:
    source = FakeSource(frames(3), gated=True)
    with running(source) as (session, watch):
        watch.event(SourceOpened)
        watch.event(EngineReady)
        for index in range(3):
            source.allow()
            result = watch.answer(lambda r, i=index: r.frame.index == i)
            assert result.observations[0].identifier == "cat"
            assert result.model_title == MODEL.spec.title
        assert session.state.info is not None
        assert session.state.info.engine_id == "fake-engine"
        assert session.state.loading is None
        assert session.stats().captured == 3
        assert session.stats().answered == 3
        assert session.stats().dropped == 0
    assert watch.all(LoadStarted)
    assert source.closed.is_set()
    assert len(source.threads) == 1, "opened, read and closed by one thread"


def test_newest_frame_wins_and_drops_are_counted() -> None:
    gate = threading.Semaphore(0)
    source = FakeSource(frames(6), gated=True)
    runner = FakeRunner(gate=gate)
    with running(source, FakeEngine(make=lambda s, o: runner)) as (session, watch):
        watch.event(EngineReady)
        source.allow()
        assert runner.running.wait(WAIT_S)
        source.allow(5)
        watch.until(lambda: session.stats().captured == 6)
        gate.release(2)
        watch.answer(lambda r: r.frame.index == 5)
        assert session.stats().dropped == 4
        assert session.stats().answered == 2


def test_inference_failure_is_told_once_and_the_stream_goes_on() -> None:
    runner = FakeRunner(errors={2: InferenceError("out of memory")}, fails_from=2)
    source = FakeSource(frames(5), gated=True)
    with running(source, FakeEngine(make=lambda s, o: runner)) as (session, watch):
        source.allow()
        watch.answer()
        source.allow(4)
        watch.event(InferenceFailed)
        watch.until(lambda: session.stats().captured == 5)
    watch.drain()
    assert len(watch.all(InferenceFailed)) == 1
    assert watch.all(InferenceFailed)[0].reverted is False


def test_a_passing_inference_failure_heals() -> None:
    runner = FakeRunner(errors={1: InferenceError("hiccup")})
    source = FakeSource(frames(2), gated=True)
    with running(source, FakeEngine(make=lambda s, o: runner)) as (_, watch):
        watch.event(EngineReady)
        source.allow()
        watch.event(InferenceFailed)
        source.allow()
        assert watch.answer().frame.index == 1


def test_the_previous_engine_takes_over_when_the_new_one_fails() -> None:
    one, two = two_engines()
    bad = FakeRunner(engine_id="two", errors={1: RuntimeError("bug")})
    two.make = lambda s, o: bad
    source = FakeSource(frames(1))
    with running(source, one, two) as (session, watch):
        watch.answer()
        session.use_engine("two")
        failed = watch.event(InferenceFailed)
        assert failed.reverted
        assert isinstance(failed.error, InferenceError)
        assert "RuntimeError" in failed.error.message
        watch.event(EngineReady, 3)
        watch.answer(lambda r: r.info.engine_id == "one")
        assert session.state.engine_id == "one"
        assert bad.closed.is_set()


def test_pause_holds_frames_and_a_step_gives_exactly_one() -> None:
    source = FakeSource(frames(10), gated=True)
    with running(source) as (session, watch):
        source.allow()
        watch.answer()
        session.set_paused(True)
        assert session.state.paused
        source.allow(None)
        for index in (1, 2, 3):
            session.step()
            assert watch.answer(lambda r, i=index: r.frame.index >= i).frame.index == index
            assert session.stats().captured == index + 1
        session.set_paused(False)
        watch.answer(lambda r: r.frame.index == 9)
        assert session.stats().captured == 10


def test_a_live_source_is_read_on_while_paused() -> None:
    source = FakeSource(frames(10), gated=True, live=True)
    with running(source) as (session, watch):
        source.allow()
        watch.answer()
        session.set_paused(True)
        source.allow(5)
        source.wait_reads(6)
        # The sixth read has begun its way; the seventh can only be asked for after it.
        session.step()
        source.allow(1)
        result = watch.next_answer()
        assert result.frame.index in (5, 6), "stale frames were thrown away"
        assert session.stats().captured == 2


def test_a_step_without_pause_does_nothing() -> None:
    source = FakeSource(frames(2), gated=True)
    with running(source) as (session, watch):
        source.allow()
        watch.answer()
        session.step()
        session.set_paused(True)
        source.allow()
        source.wait_reads(2)
        assert session.stats().captured == 1


def test_view_changes_answer_the_held_frame_again() -> None:
    source = FakeSource(frames(1))
    with running(source) as (session, watch):
        watch.answer()
        for change in (
            lambda: session.set_crop(CropAndScale.SCALE_FILL),
            lambda: session.set_region(Region(0.0, 0.0, 0.5, 0.5)),
            lambda: session.set_smoothing(False),
        ):
            change()
            assert watch.next_answer().frame.index == 0
        session.set_smoothing(False)
        session.set_crop(CropAndScale.CENTER_CROP)
        watch.next_answer()
        assert session.stats().answered == 5, "a change to the same value changes nothing"


def test_smoothing_holds_the_label_and_can_be_switched_off() -> None:
    def answer(tensor: Any) -> tuple[float, float, float]:
        return (0.9, 0.1, 0.0) if tensor.flat[0] == 0 else (0.4, 0.6, 0.0)

    source = FakeSource(frames(2), gated=True)
    with running(source, FakeEngine(make=lambda s, o: FakeRunner(answer))) as (session, watch):
        watch.event(EngineReady)
        source.allow()
        watch.answer()
        source.allow()
        result = watch.answer(lambda r: r.frame.index == 1)
        assert result.observations[0].identifier == "dog"
        assert result.smoothed[0].identifier == "cat"
        session.set_smoothing(False)
        assert watch.next_answer().smoothed[0].identifier == "dog"


def test_latency_of_a_frame_answered_again_counts_from_the_change() -> None:
    times = iter(range(1_000_000))
    source = FakeSource([replace(make_frame(), captured_s=-1e6)])
    with running(source, clock=lambda: float(next(times))) as (session, watch):
        assert watch.answer().timings.latency_ms > 1e9
        session.set_crop(CropAndScale.SCALE_FILL)
        assert watch.next_answer().timings.latency_ms < 1e9
        assert session.stats().latency_p50_ms > 1e9, "only fresh frames count"


def test_on_news_is_not_repeated_before_it_is_acknowledged() -> None:
    calls = 0
    called = threading.Event()

    def count() -> None:
        nonlocal calls
        calls += 1
        called.set()

    source = FakeSource(frames(5))
    session = Session(source, MODEL, "fake-engine", on_news=count, loader=fake_loader(FakeEngine()))
    session.start()
    try:
        assert called.wait(WAIT_S)
        source.wait_reads(5)
        assert calls == 1
    finally:
        session.stop()
    session.take()
    session.acknowledge()
    assert calls == 1, "silent after stop"


def test_stop_is_idempotent_and_joins_even_before_start() -> None:
    make: Callable[[], Session] = lambda: Session(  # noqa: E731
        FakeSource(), MODEL, "fake-engine", loader=fake_loader(FakeEngine())
    )
    never_started = make()
    never_started.stop()
    session = make()
    session.start()
    session.start()
    session.stop()
    session.stop()


def test_the_last_frame_is_answered_before_the_end_is_told() -> None:
    engine = FakeEngine(gate=threading.Event())
    source = FakeSource(frames(1), blocks=False)
    with running(source, engine) as (_, watch):
        assert source.closed.wait(WAIT_S)
        assert watch.all(SourceEnded) == []
        assert engine.gate is not None
        engine.gate.set()
        assert watch.event(SourceEnded).title == "fake"
        assert watch.results[-1].frame.index == 0


def test_the_end_is_told_when_no_engine_comes() -> None:
    def broken(*_: Any) -> FakeRunner:
        raise EngineError("none")

    with running(FakeSource(frames(1), blocks=False), loader=broken) as (_, watch):
        watch.event(LoadFailed)
        watch.event(SourceEnded)


def test_a_failing_camera_is_told_and_nothing_exits_without_a_fallback() -> None:
    source = FakeSource([make_frame(), unplugged()])
    with running(source) as (_, watch):
        failed = watch.event(SourceFailed)
        assert (failed.title, failed.fallback, failed.playing) == ("fake", False, None)
        watch.answer()
