"""Engines and models come and go in a running session: warm, newest wish first, told why not."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from helpers.fakes import (
    WAIT_S,
    FakeEngine,
    FakeRunner,
    FakeSource,
    make_frame,
    make_network,
)
from helpers.sessions import MODEL, frames, running, two_engines
from twinlens.app.core.session.loading import LoadRequest
from twinlens.app.core.session.session import (
    EngineReady,
    LoadFailed,
    SourceFailed,
)
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import EngineError, InferenceError, LabelError
from twinlens.engine.image import CropAndScale


@pytest.mark.parametrize(
    ("engine_id", "precision", "said"),
    [
        ("layers-cpu", "fp32", "Fake · Layers CPU"),
        ("layers-cpu", "bf16", "Fake · Layers CPU · bf16"),
        ("vision", "fp32", "Fake · Vision"),
        ("of another registry", "fp32", "Fake · of another registry"),
    ],
)
def test_what_is_loaded_is_said_by_the_engines_name(
    engine_id: str, precision: str, said: str
) -> None:
    assert LoadRequest(MODEL, engine_id, EngineOptions(precision=precision)).what == said


def test_a_new_engine_is_warmed_before_it_serves_and_the_old_one_serves_meanwhile() -> None:
    one, two = two_engines()
    two.gate = threading.Event()
    source = FakeSource(frames(3), gated=True)
    with running(source, one, two) as (session, watch):
        source.allow()
        watch.answer()
        session.use_engine("two")
        assert two.loading.wait(WAIT_S)
        assert session.state.engine_id == "two"
        assert session.state.loading is not None
        source.allow()
        assert watch.next_answer().info.engine_id == "one"
        two.gate.set()
        watch.event(EngineReady, 2)
        source.allow()
        result = watch.answer(lambda r: r.frame.index == 2 and r.info.engine_id == "two")
        assert result.smoothed[0].identifier == "dog", "smoothing starts anew"
        assert source.opened == 1
    assert all(r.closed.is_set() for r in one.runners + two.runners)  # type: ignore[attr-defined]


def test_flipping_back_and_forth_loads_each_engine_once() -> None:
    one, two = two_engines()
    source = FakeSource(frames(1))
    with running(source, one, two) as (session, watch):
        watch.answer()
        for flip in range(20):
            wanted = ("two", "one")[flip % 2]
            session.use_engine(wanted)
            watch.answer(lambda r, w=wanted: r.info.engine_id == w)
        assert len(one.runners) == len(two.runners) == 1
        assert source.opened == 1
        assert session.stats().captured == 1


def test_a_failed_load_leaves_the_old_engine() -> None:
    one, two = two_engines()

    def broken(spec: Any, options: EngineOptions) -> FakeRunner:
        raise LabelError("3 labels for 5 outputs", hint="Give the right labels.")

    two.make = broken
    source = FakeSource(frames(2), gated=True)
    with running(source, one, two) as (session, watch):
        source.allow()
        watch.answer()
        session.use_engine("two")
        failed = watch.event(LoadFailed)
        assert isinstance(failed.error, LabelError)
        assert session.state.engine_id == "one"
        assert session.state.loading is None
        source.allow()
        assert watch.answer(lambda r: r.frame.index == 1).info.engine_id == "one"


def test_any_exception_of_a_loader_is_told_as_an_error_of_ours() -> None:
    def explode(*_: Any) -> FakeRunner:
        raise KeyError("surprise")

    with running(FakeSource(frames(1)), loader=explode) as (session, watch):
        error = watch.event(LoadFailed).error
        assert isinstance(error, EngineError)
        assert "KeyError" in error.message
        assert "fake.onnx" in error.message
        assert session.state.info is None
        session.use_model(make_network("other"))
        assert watch.event(LoadFailed, 2).what.startswith("Other")


def test_a_runner_that_fails_its_warming_run_never_serves() -> None:
    one, two = two_engines()
    bad = FakeRunner(engine_id="two", errors={0: InferenceError("no memory")})
    two.make = lambda s, o: bad
    with running(FakeSource(frames(1)), one, two) as (session, watch):
        watch.answer()
        session.use_engine("two")
        assert isinstance(watch.event(LoadFailed).error, InferenceError)
        assert bad.closed.is_set()
        assert session.state.info is not None
        assert session.state.info.engine_id == "one"


def test_a_newer_request_supersedes_one_that_loads() -> None:
    one, two = two_engines()
    slow = FakeEngine("slow", gate=threading.Event())
    source = FakeSource(frames(1))
    with running(source, one, two, slow) as (session, watch):
        watch.answer()
        session.use_engine("slow")
        assert slow.loading.wait(WAIT_S)
        session.use_engine("two")
        assert slow.gate is not None
        slow.gate.set()
        watch.answer(lambda r: r.info.engine_id == "two")
        assert [e.info.engine_id for e in watch.all(EngineReady)] == ["one", "two"]


def test_a_superseded_failure_is_not_told() -> None:
    one, two = two_engines()
    slow = FakeEngine("slow", gate=threading.Event())

    def broken(spec: Any, options: EngineOptions) -> FakeRunner:
        raise EngineError("too late")

    slow.make = broken
    with running(FakeSource(frames(1)), one, two, slow) as (session, watch):
        watch.answer()
        session.use_engine("slow")
        assert slow.loading.wait(WAIT_S)
        session.use_engine("two")
        assert slow.gate is not None
        slow.gate.set()
        watch.answer(lambda r: r.info.engine_id == "two")
        assert watch.all(LoadFailed) == []


def endless(spec: Any, options: EngineOptions) -> FakeRunner:
    """A load that ends by nothing but being given up."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        checkpoint()
        time.sleep(0.005)
    raise TimeoutError("nobody gave it up")


def test_a_superseded_load_is_given_up_and_nothing_is_told_of_it() -> None:
    one, two = two_engines()
    slow = FakeEngine("slow", endless)
    with running(FakeSource(frames(1)), one, two, slow) as (session, watch):
        watch.answer()
        started_s = time.monotonic()
        session.use_engine("slow")
        assert slow.loading.wait(WAIT_S)
        session.use_engine("two")
        watch.answer(lambda r: r.info.engine_id == "two")
        assert time.monotonic() - started_s < WAIT_S / 2
        assert watch.all(LoadFailed) == []


def test_a_load_is_given_up_when_the_session_stops() -> None:
    one, _ = two_engines()
    slow = FakeEngine("slow", endless)
    with running(FakeSource(frames(1)), one, slow) as (session, watch):
        watch.answer()
        session.use_engine("slow")
        assert slow.loading.wait(WAIT_S)
        started_s = time.monotonic()
        session.stop()
        assert time.monotonic() - started_s < 2.0


def test_the_state_is_told_while_a_runner_takes_its_time_to_close() -> None:
    let_go, closing = threading.Event(), threading.Event()

    class Sticky(FakeRunner):
        def close(self) -> None:
            closing.set()
            let_go.wait(WAIT_S)
            super().close()

    engine = FakeEngine(make=lambda s, o: Sticky() if s.spec.id == "sticky" else FakeRunner())
    with running(FakeSource(frames(1)), engine) as (session, watch):
        watch.answer()
        session.set_answering(False)  # so that what was loaded waits to serve
        session.use_model(make_network("sticky"))
        watch.until(lambda: session.state.loading is None)
        session.use_model(make_network("last"))
        assert closing.wait(WAIT_S), "the one that never served is not kept"
        states: list[Any] = []
        asker = threading.Thread(target=lambda: states.append(session.state))
        asker.start()
        asker.join(WAIT_S / 4)
        waited = not states
        let_go.set()
        asker.join(WAIT_S)
        session.set_answering(True)
        watch.answer(lambda r: r.model_title == "Last")
    assert not waited, "asking for the state waited for the runner to close"


def test_going_back_to_the_serving_engine_cancels_the_load() -> None:
    one, two = two_engines()
    two.gate = threading.Event()
    source = FakeSource(frames(2), gated=True)
    with running(source, one, two) as (session, watch):
        source.allow()
        watch.answer()
        session.use_engine("two")
        assert two.loading.wait(WAIT_S)
        session.use_engine("one")
        assert session.state.loading is None
        assert session.state.engine_id == "one"
        two.gate.set()
        source.allow()
        assert watch.answer(lambda r: r.frame.index == 1).info.engine_id == "one"
        assert len(watch.all(EngineReady)) == 1


def test_another_model_on_the_same_engine() -> None:
    source = FakeSource(frames(1))
    engine = FakeEngine()
    with running(source, engine) as (session, watch):
        watch.answer()
        session.use_model(make_network("other", ("x", "y", "z")))
        result = watch.answer(lambda r: r.model_title == "Other")
        assert result.observations[0].identifier == "x"
        watch.until(engine.runners[0].closed.is_set)  # type: ignore[attr-defined]
        assert session.state.spec.id == "other"


def test_the_same_model_is_read_again_when_asked_for() -> None:
    engine = FakeEngine()
    with running(FakeSource(frames(1)), engine) as (session, watch):
        watch.answer()
        session.use_model(MODEL)
        watch.event(EngineReady, 2)
        watch.until(lambda: len(watch.results) == 2)
        assert len(engine.runners) == 2


def test_flipping_stays_free_after_a_model_was_loaded() -> None:
    one, two = two_engines()
    with running(FakeSource(frames(1)), one, two) as (session, watch):
        watch.answer()
        session.use_model(make_network("other"))
        watch.answer(lambda r: r.model_title == "Other")
        for flip in range(6):
            wanted = ("two", "one")[flip % 2]
            session.use_engine(wanted)
            watch.answer(lambda r, w=wanted: r.info.engine_id == w)
        assert (len(one.runners), len(two.runners)) == (2, 1)


def test_any_order_of_wishes_ends_in_the_last_one() -> None:
    one, two = two_engines()
    dice = random.Random(7)
    source = FakeSource(frames(1))
    with running(source, one, two) as (session, watch):
        watch.answer()
        for turn in range(200):
            wish = dice.randrange(6)
            if wish < 2:
                session.use_engine(("one", "two")[wish])
            elif wish == 2:
                session.use_model(make_network(dice.choice("xyz")))
            elif wish == 3:
                session.use_source(FakeSource([make_frame(turn)], title=f"source {turn}"))
            elif wish == 4:
                session.set_paused(not session.state.paused)
            else:
                session.set_crop(dice.choice([None, *CropAndScale]))
        session.set_paused(False)
        session.use_model(make_network("last"))
        session.use_engine("two")
        session.use_source(FakeSource([make_frame(1000)], title="last"))
        watch.answer(
            lambda r: (r.model_title, r.info.engine_id, r.frame.index) == ("Last", "two", 1000)
        )
        assert watch.all(LoadFailed) == []
        assert watch.all(SourceFailed) == []
        state = session.state
        assert (state.spec.id, state.engine_id, state.loading) == ("last", "two", None)
    assert all(r.closed.is_set() for r in one.runners + two.runners)  # type: ignore[attr-defined]
