from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers.fakes import FakeRunner, make_frame, make_network, make_spec
from twinlens.app.core.session.events import Away, SessionState, Stats
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings
from twinlens.app.overlays import (
    CHEAT_SHEET,
    Banner,
    BannerKind,
    Notice,
    build_overlays,
    engine_color,
    engine_shape,
)
from twinlens.app.views.words import FIGURE_SPACE, fixed, headline, percent, short_label

INFO = SourceInfo("clip", "clip", 8, 8, 30.0, live=False)
STATE = SessionState(make_network(), "vision", FakeRunner().info, source_info=INFO)
STATS = Stats(camera_fps=29.93, answers_fps=58.4, latency_p50_ms=6.42, latency_p95_ms=9.0)


def result_of(*answer: float, labels: Any = ("tench, Tinca tinca", "dog", "fox")) -> Result:
    runner = FakeRunner(answer or (0.97, 0.02, 0.01), engine_id="layers-cpu")
    return Pipeline(runner, make_spec("net", labels)).process(make_frame())


def test_a_sure_answer() -> None:
    overlays = build_overlays(result_of(), STATS, Settings(), STATE)
    assert overlays.label is not None
    assert overlays.label.label == "tench"
    assert overlays.label.confidence_text == f"{FIGURE_SPACE}97 %"
    assert overlays.label.engine_id == "layers-cpu"
    assert overlays.label.sure
    assert overlays.status is not None
    assert overlays.status.who == "Layers-Cpu · Net · fp32"
    assert overlays.status.fps_text == f"{FIGURE_SPACE}58 fps"
    assert overlays.status.latency_text == f"{FIGURE_SPACE * 2}6.4 ms"
    assert (overlays.status.engine, overlays.status.model) == ("Layers-Cpu", "Net · fp32")
    assert overlays.dot is not None
    assert (overlays.dot.live, overlays.dot.fps_text) == (True, "29.9")
    assert overlays.top is None
    assert overlays.notice is None


@pytest.mark.parametrize(
    ("state", "damaged", "said"),
    [
        (replace(STATE, away=Away("Desk cam", 12.7)), 0, "Desk cam: reconnecting, 12 s"),
        (replace(STATE, remark="no signal"), 3, "no signal"),
        (STATE, 1, "1 damaged picture left out"),
        (STATE, 12, "12 damaged pictures left out"),
    ],
)
def test_what_is_wrong_with_the_picture_stands_on_it(
    state: SessionState, damaged: int, said: str
) -> None:
    shown = build_overlays(result_of(), replace(STATS, damaged=damaged), Settings(), state)
    assert shown.notice == Notice(said)


def test_below_the_threshold_it_says_so() -> None:
    result = result_of(0.25, 0.24, 0.2)
    label = build_overlays(result, STATS, Settings(threshold=0.3), STATE).label
    assert label is not None
    assert (label.label, label.guess, label.sure) == ("not sure", "tench?", False)
    at_threshold = build_overlays(result_of(0.5), STATS, Settings(threshold=0.5), STATE).label
    assert at_threshold is not None
    assert at_threshold.sure


def test_top_rows_are_sorted_and_only_on_demand() -> None:
    top = build_overlays(result_of(0.1, 0.7, 0.2), STATS, Settings(top5=True), STATE).top
    assert top is not None
    assert [(r.label, r.index) for r in top.rows] == [("dog", 1), ("fox", 2), ("tench", 0)]
    assert top.engine_id == "layers-cpu"


def test_rows_under_one_percent_are_left_out_and_equal_ones_keep_their_places() -> None:
    def rows(*answer: float) -> list[str]:
        result = result_of(*answer, labels=("a", "b", "c", "d", "e"))
        top = build_overlays(result, STATS, Settings(top5=True), STATE).top
        assert top is not None
        return [row.label for row in top.rows]

    assert rows(0.95, 0.004, 0.02, 0.021, 0.005) == ["a", "c", "d"]
    assert rows(0.95, 0.005, 0.021, 0.02, 0.004) == ["a", "c", "d"], "both are 2 %"
    assert rows(0.002, 0.003, 0.002, 0.001, 0.001) == ["b"], "the best one always stands"


def test_just_after_a_flip_figures_that_nobody_has_measured_are_dashes() -> None:
    status = build_overlays(result_of(), Stats(camera_fps=30.0), Settings(), STATE).status
    assert status is not None
    assert not status.measured
    assert status.fps_text.strip(FIGURE_SPACE) == "– fps"
    assert status.latency_text.strip(FIGURE_SPACE) == "– ms"


def test_the_smoothed_answer_is_what_is_shown() -> None:
    result = result_of(0.6, 0.4, 0.0)
    swapped = (result.observations[1], result.observations[0])
    overlays = build_overlays(replace(result, smoothed=swapped), STATS, Settings(top5=True), STATE)
    assert overlays.label is not None
    assert overlays.top is not None
    assert overlays.label.label == overlays.top.rows[0].label == "dog"


def test_before_the_first_answer() -> None:
    loading = replace(STATE, loading="Net · vision")
    overlays = build_overlays(None, Stats(), Settings(top5=True), loading)
    assert (overlays.label, overlays.top, overlays.status) == (None, None, None)
    assert overlays.notice == Notice("Loading Net · vision", busy=True, dim=True)
    assert overlays.dot is not None
    assert not overlays.dot.live


@pytest.mark.parametrize(
    ("state", "notice"),
    [
        (replace(STATE, source_info=None), Notice("Opening the source", busy=True, dim=True)),
        (replace(STATE, paused=True), Notice("Paused")),
        (replace(STATE, paused=True, loading="X"), Notice("Loading X", busy=True)),
        (STATE, None),
    ],
)
def test_one_notice_at_a_time(state: SessionState, notice: Notice | None) -> None:
    assert build_overlays(result_of(), STATS, Settings(), state).notice == notice


def test_paused_is_not_live() -> None:
    dot = build_overlays(result_of(), STATS, Settings(), replace(STATE, paused=True)).dot
    assert dot is not None
    assert not dot.live


def test_equal_inputs_give_equal_overlays() -> None:
    one, other = result_of(), result_of()
    assert build_overlays(one, STATS, Settings(), STATE) == build_overlays(
        other, STATS, Settings(), STATE
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.004, "0 %"), (0.074, "7 %"), (0.97, "97 %"), (0.999, "99 %"), (1, "100 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share).lstrip(FIGURE_SPACE) == text
    assert len(percent(share)) == len("100 %")


def test_numbers_do_not_change_their_width() -> None:
    widths = {len(fixed(value, 5, 1)) for value in np.geomspace(0.1, 999, 40)}
    assert widths == {5}


def test_labels_are_shortened_to_their_first_name() -> None:
    assert short_label("tench, Tinca tinca") == "tench"
    assert short_label("coffee mug") == "coffee mug"
    assert short_label(", odd") == ", odd"


def test_banner_and_cheat_sheet_are_plain_data() -> None:
    banner = Banner("No camera", "Plug one in.", BannerKind.WARN)
    assert banner == Banner("No camera", "Plug one in.", BannerKind.WARN)
    keys = [key for group in CHEAT_SHEET.groups for key, _ in group.keys]
    assert len(keys) == len(set(keys))
    assert {"E", "1 – 4", "Space", "→", "T", "M", "V", "S", "F", "Esc", "?"} <= set(keys)


def test_an_unknown_engine_has_a_colour_and_a_shape() -> None:
    assert engine_color("mystery").startswith("#")
    assert engine_shape("mystery")


def test_while_something_measures_the_last_label_stays_and_says_that_it_rests() -> None:
    state = replace(STATE, answering=False)
    overlays = build_overlays(result_of(), STATS, Settings(top5=True), state)
    assert overlays.label is not None
    assert overlays.label.label == "tench"
    assert overlays.label.resting
    assert (overlays.top, overlays.status, overlays.notice) == (None,) * 3
    assert overlays.dot is not None
    assert overlays.dot.live
    loading = replace(state, loading="Net · vision")
    notice = build_overlays(result_of(), STATS, Settings(), loading).notice
    assert notice == Notice("Loading Net · vision", busy=True, dim=False)


def test_an_answer_goes_with_the_engine_that_stopped() -> None:
    """It would stand on pictures that it does not belong to."""
    state = replace(STATE, info=None, loading="Net · Vision")
    overlays = build_overlays(result_of(), STATS, Settings(top5=True), state)
    assert (overlays.label, overlays.top, overlays.status) == (None, None, None)
    assert overlays.notice == Notice("Loading Net · Vision", busy=True)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/home/ada/videos/cat.mp4: no such file", "cat.mp4: no such file"),
        (r"C:\Users\ada\net.onnx: is damaged", "net.onnx: is damaged"),
        ("cannot read '/tmp/x/a.png', nor /b/c.png", "cannot read 'a.png', nor c.png"),
        ("http://10.0.0.7/live does not answer", "http://10.0.0.7/live does not answer"),
        ("No camera found", "No camera found"),
        ("fp32 and/or bf16", "fp32 and/or bf16"),
    ],
)
def test_a_headline_has_no_folders(message: str, shown: str) -> None:
    assert headline(message) == shown
