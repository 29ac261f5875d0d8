"""An engine whose process stops while it serves: what serves instead, and how soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from helpers.fakes import FakeEngine, FakeRunner, FakeSource
from helpers.hosted import hosts, small, until
from helpers.sessions import frames, running, two_engines
from twinlens.app.core.session.session import EngineReady, InferenceFailed, LoadFailed, LoadStarted
from twinlens.engine.errors import CancelledError, EngineStoppedError

STOPPED = EngineStoppedError("One stopped: its process was killed")


def test_the_engine_before_it_serves_at_once() -> None:
    one, two = two_engines()
    source = FakeSource(frames(9), gated=True)
    with running(source, one, two) as (session, watch):
        source.allow()
        watch.answer()
        bad = FakeRunner(engine_id="two", errors={2: STOPPED}, fails_from=2)
        two.make = lambda s, o: bad
        session.use_engine("two")
        watch.answer(lambda r: r.info.engine_id == "two")
        source.allow()
        failed = watch.event(InferenceFailed)
        assert (failed.reverted, failed.again) == (True, False)
        assert failed.serves == "Fake · one"
        assert failed.network is session.state.network
        watch.answer(lambda r: r.info.engine_id == "one")
        assert session.state.engine_id == "one"


def test_where_nothing_else_is_at_hand_it_is_loaded_again() -> None:
    made = [FakeRunner(errors={2: STOPPED}, fails_from=2), FakeRunner((0.1, 0.8, 0.1))]
    left = list(made)
    source = FakeSource(frames(9), gated=True)
    with running(source, FakeEngine(make=lambda s, o: left.pop(0))) as (session, watch):
        source.allow()
        watch.answer()
        source.allow()
        failed = watch.event(InferenceFailed)
        assert (failed.reverted, failed.again, failed.serves) == (False, True, "")
        watch.event(LoadStarted, 2)
        watch.event(EngineReady, 2)
        # The frame that was lost is answered.
        assert watch.answer(lambda r: r.observations[0].index == 1).frame.index == 1
        assert made[0].closed.is_set()
        assert session.state.info is not None


def test_what_is_being_loaded_serves_then() -> None:
    """Nothing is loaded a second time where something else is on its way."""
    one, two = two_engines()
    bad = FakeRunner(engine_id="one", errors={2: STOPPED}, fails_from=2)
    one.make = lambda s, o: bad
    gate = threading.Event()
    make = two.make

    def slow(network, options):
        assert gate.wait(10)
        return make(network, options)

    two.make = slow
    source = FakeSource(frames(9), gated=True)
    with running(source, one, two) as (session, watch):
        source.allow()
        watch.answer()
        session.use_engine("two")
        source.allow()
        failed = watch.event(InferenceFailed)
        assert (failed.reverted, failed.again) == (False, False)
        assert session.state.info is None
        gate.set()
        watch.answer(lambda r: r.info.engine_id == "two")


def test_an_engine_that_stops_again_and_again_is_an_error() -> None:
    def make(network, options):
        runner = FakeRunner(errors={2: STOPPED}, fails_from=2)
        counted.append(runner)
        if len(counted) > 1:
            raise EngineStoppedError("One stopped: again")
        return runner

    counted: list[FakeRunner] = []
    source = FakeSource(frames(9), gated=True)
    with running(source, FakeEngine(make=make)) as (session, watch):
        source.allow()
        watch.answer()
        source.allow()
        failed = watch.event(InferenceFailed)
        assert failed.again
        watch.until(lambda: any(type(e) is LoadFailed for e in watch.all(LoadFailed)))
        last = next(e for e in watch.all(LoadFailed) if type(e) is LoadFailed)
        assert last.error.message == "One stopped: again"
        assert last.engine_id == session.state.engine_id
        assert session.state.info is None


def test_what_is_ended_on_purpose_is_no_failure() -> None:
    bad = FakeRunner(errors={2: CancelledError("the window closes")}, fails_from=2)
    source = FakeSource(frames(3), gated=True)
    with running(source, FakeEngine(make=lambda s, o: bad)) as (session, watch):
        source.allow()
        watch.answer()
        source.allow(2)
        watch.until(lambda: session.stats().captured == 3)
    watch.drain()
    assert watch.all(InferenceFailed) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_real_engine_that_is_killed_serves_again_soon() -> None:
    """By the process that waits, then by the engine before it; nothing else is lost."""
    source = FakeSource(frames(200), gated=True)
    with hosts(spare=True) as owner:
        owner.begin()
        with running(source, network=small(), engine="layers-cpu", loader=owner.load) as (
            session,
            watch,
        ):
            source.allow()
            watch.answer()
            until(lambda: owner._spare is not None and owner._spare.alive)
            owner._spare.wait_ready()
            for engine, serves in (("layers-cpu", ""), ("vision", "Small · Layers CPU")):
                if session.state.engine_id != engine:
                    session.use_engine(engine)
                    watch.answer(lambda r, e=engine: r.info.engine_id == e)
                before = len(watch.all(InferenceFailed))
                os.kill(session._worker.serving.runner.host.pid, signal.SIGKILL)
                begun_s = time.monotonic()
                source.allow(2)
                failed = watch.event(InferenceFailed, before + 1)
                assert failed.serves == serves
                at = session.stats().answered
                watch.until(lambda at=at: session.stats().answered > at)
                assert time.monotonic() - begun_s < 5  # 0.1 to 0.4 s where nothing else runs
        assert session.stats().captured > 0
