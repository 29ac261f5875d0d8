"""What is kept of an answer: nothing, unless somebody needs it."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.fakes import FakeClock, FakeRunner, FakeSource, make_frame, make_spec
from helpers.sessions import running
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.types import Needs, Stamps


def test_nothing_is_kept_by_default() -> None:
    result = Pipeline(FakeRunner(), make_spec()).process(make_frame())
    assert (result.picture, result.stamps) == (None, None)


def test_the_picture_is_what_the_network_got_and_stays_what_it_was() -> None:
    pipeline = Pipeline(FakeRunner(), make_spec(size=8))
    pipeline.keep(Needs(picture=True))
    frame = make_frame(value=77, size=8)
    result = pipeline.process(frame)
    assert result.picture is not None
    assert result.picture.shape == (8, 8, 3)
    assert result.picture.dtype == np.uint8
    assert (result.picture == 77).all()
    assert result.stamps is None
    pipeline.process(make_frame(value=3))
    assert (result.picture == 77).all()
    assert not np.shares_memory(result.picture, frame.buffer.data)


def test_stamps_part_the_answer_into_its_steps() -> None:
    clock = FakeClock(10.0)

    def answer(tensor: object) -> tuple[float, ...]:
        clock.advance(0.020)
        return (1.0, 0.0, 0.0)

    pipeline = Pipeline(FakeRunner(answer), make_spec(), clock=clock)
    pipeline.keep(Needs(timings=True))
    result = pipeline.process(make_frame(captured_s=9.5))
    assert result.stamps == Stamps(9.5, 10.0, 10.0, pytest.approx(10.02), pytest.approx(10.02))
    assert result.picture is None


def test_needs_add_up() -> None:
    both = Needs(picture=True, layers=frozenset({"a"})) | Needs(layers=frozenset({"b"}))
    assert both == Needs(picture=True, layers=frozenset({"a", "b"}))
    assert Needs() | Needs() == Needs()


def test_a_session_keeps_it_while_it_is_needed_and_no_longer() -> None:
    source = FakeSource([make_frame(n, value=n) for n in range(1, 4)], gated=True)
    with running(source) as (session, watch):
        source.allow(1)
        first = watch.answer(lambda result: result.frame.index == 1)
        assert first.picture is None
        session.set_needs(Needs(picture=True))
        held = watch.answer(lambda result: result.picture is not None)
        assert held.frame.index == 1, "the frame that is held is answered again with it"
        source.allow(1)
        second = watch.answer(lambda result: result.frame.index == 2)
        assert second.picture is not None
        session.set_needs(Needs())
        source.allow(1)
        third = watch.answer(lambda result: result.frame.index == 3)
        assert third.picture is None
