"""Steps while paused, and where smoothing starts anew: at a cut, at a step, with another still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.fakes import (
    FakeEngine,
    FakeRunner,
    FakeSource,
    fake_loader,
    make_frame,
    make_network,
    make_spec,
)
from helpers.watch import Watch
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.session import EngineReady, Session
from twinlens.app.core.session.smoothing import Cuts
from twinlens.app.sources import open_source
from twinlens.assets import clip_path
from twinlens.engine.api.protocol import EngineOptions, Network

SHADES = (0, 90, 180, 250)
CUTS = (89, 179, 269, 359, 449, 539, 629, 719, 809)
"""Frames of the bundled clip after which another object is seen."""


def by_shade(tensor: Any) -> tuple[float, float, float]:
    """Dark pictures are the first class, light ones the third."""
    light = float(tensor.mean()) / 255
    return (1 - light, 0.0, light)


@contextmanager
def running(source: Any) -> Iterator[tuple[Session, Watch]]:
    def make(network: Network, options: EngineOptions) -> FakeRunner:
        return FakeRunner(by_shade, options=options)

    watch, engine = Watch(), FakeEngine(make=make)
    session = Session(
        source, make_network(), engine.id, on_news=watch.told, loader=fake_loader(engine)
    )
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        yield session, watch
    finally:
        session.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, shade in enumerate(SHADES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 48, 3), shade, np.uint8))
    return tmp_path


def shade_of(result: Any) -> int:
    return int(result.frame.buffer.to_bgr().mean().round())


def test_a_still_is_one_step_and_left_goes_back(folder: Path) -> None:
    with running(open_source(str(folder))) as (session, watch):
        watch.answer()
        session.set_paused(True)
        for by, shade in ((1, 90), (1, 180), (1, 250), (1, 0), (-1, 250), (-1, 180), (1, 250)):
            before = session.stats().captured
            assert session.step(by)
            result = watch.answer(lambda r, shade=shade: shade_of(r) == shade)  # type: ignore[misc]
            assert session.stats().captured == before + 1, "one step shows one picture"
            # The label is this still's own: nothing of the one before is averaged into it.
            shown = {o.index: o.confidence for o in result.smoothed}
            own = {o.index: o.confidence for o in result.observations}
            assert shown == pytest.approx(own)


def test_a_running_show_begins_each_still_anew() -> None:
    runner = FakeRunner(by_shade)
    pipeline = Pipeline(runner, make_spec(), smoothing=True)
    # Alike enough to be no cut: only the number of the scene parts them.
    pipeline.process(make_frame(0, value=120))
    same = pipeline.process(make_frame(1, value=132))
    assert same.smoothed != same.observations
    other = pipeline.process(replace(make_frame(2, value=120), scene=1))
    assert other.smoothed == other.observations


def test_a_cut_begins_anew_without_being_told() -> None:
    pipeline = Pipeline(FakeRunner(by_shade), make_spec(), smoothing=True)
    pipeline.process(make_frame(0, value=0))
    cut = pipeline.process(make_frame(1, value=200))
    assert cut.smoothed == cut.observations


def test_cuts_are_found_where_the_bundled_clip_has_them_and_nowhere_else() -> None:
    capture, cuts, found = cv2.VideoCapture(str(clip_path())), Cuts(), []
    number = 0
    while (read := capture.read())[0]:
        picture = np.asarray(read[1], np.uint8)[::3, ::3]
        if cuts.is_cut(picture):
            found.append(number)
        number += 1
    capture.release()
    assert tuple(at - 1 for at in found) == CUTS


def test_a_picture_of_another_shape_is_a_cut() -> None:
    cuts = Cuts()
    assert not cuts.is_cut(np.zeros((8, 8, 3), np.uint8)), "there was none before"
    assert not cuts.is_cut(np.full((8, 8, 3), 20, np.uint8))
    assert cuts.is_cut(np.zeros((1, 5, 3), np.uint8))


def test_a_step_of_a_video_is_one_frame_however_long_it_was_held() -> None:
    source = open_source("clip")
    with running(source) as (session, watch):
        watch.answer()
        session.set_paused(True)
        assert not session.step(-1), "a video goes forward only"
        time.sleep(0.3)  # which is not caught up with
        watch.drain()
        at, index = [], watch.results[-1].frame.index
        for _ in range(4):
            assert session.step(1)
            result = watch.answer(lambda r, index=index: r.frame.index > index)  # type: ignore[misc]
            index = result.frame.index
            at.append(round(result.frame.t_s * 30))
        assert [b - a for a, b in pairwise(at)] == [1, 1, 1]


def test_a_live_source_cannot_go_back_and_says_so() -> None:
    source = FakeSource([make_frame(n) for n in range(50)], live=True, gated=True)
    with running(source) as (session, watch):
        source.allow(1)
        watch.answer()
        assert not session.step(1), "it is not paused"
        session.set_paused(True)
        assert not session.step(-1)
        assert session.step(1)


def test_figures_are_the_new_engines_own_from_its_first_answer_on() -> None:
    fast, slow = FakeEngine("fast"), FakeEngine("slow")
    source = FakeSource([make_frame(n) for n in range(900)], gated=True)
    watch = Watch()
    session = Session(
        source, make_network(), "fast", on_news=watch.told, loader=fake_loader(fast, slow)
    )
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        for _ in range(20):
            source.allow(1)
            watch.next_answer()
        assert session.stats().answers_fps > 0
        session.use_engine("slow", EngineOptions())
        watch.event(EngineReady, 2)
        watch.answer(lambda r: r.info.engine_id == "slow")
        stats = session.stats()
        # One answer has no rate yet; two of them would be counted with those of before.
        assert stats.answers_fps == 0
        assert stats.latency_p50_ms > 0
        answered = stats.answered
        source.allow(1)
        watch.next_answer()
        assert session.stats().answers_fps > 0
        assert session.stats().answered == answered + 1, "the count goes on"
    finally:
        session.stop()
