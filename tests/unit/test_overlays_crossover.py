"""The chart of networks of rising size, and its text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twinlens.app.core.measure.crossover import GPU, Climb, LeftOut, Parts, Point, Step
from twinlens.app.views.crossover import (
    crossover_chart,
    crossover_text,
    macs_text,
    share_text,
    status_text,
)

CPU = "layers-cpu"
TITLES = {CPU: "Layers CPU", GPU: "Layers GPU"}
MILLION = 1_000_000
STEPS = (Step("small", "Small net", MILLION), Step("large", "Large net", 100 * MILLION))


def point(step: Step, engine: str, ms: float, detail: str = "Card, Vulkan, discrete") -> Point:
    parts = Parts(0.5, 0.2) if engine == GPU else None
    return Point(step.id, step.macs, engine, TITLES[engine], detail, 9, ms, ms * 1.1, parts)


# The CPU's time grows as work; the GPU takes 1 ms: both are as fast at 10 million.
POINTS = (
    point(STEPS[0], CPU, 0.1),
    point(STEPS[0], GPU, 1.0),
    point(STEPS[1], CPU, 10.0),
    point(STEPS[1], GPU, 1.0),
)
CLIMB = Climb(STEPS, POINTS, (LeftOut("vision", "Vision", "not installed"),), done=2)


def test_lines_stand_on_logarithmic_axes_inside_the_plot() -> None:
    chart = crossover_chart(CLIMB, running=False)
    cpu, gpu = chart.lines
    assert (cpu.engine_id, cpu.title, gpu.title) == (CPU, "Layers CPU", "Layers GPU")
    for line in chart.lines:
        assert all(0 < spot.x < 1 and 0 < spot.y < 1 for spot in line.spots)
    assert cpu.spots[0].x == pytest.approx(chart.places[0].x)
    assert gpu.spots[0].y == gpu.spots[1].y
    ticks = {tick.text: tick.at for tick in chart.x_ticks}
    assert set(ticks) == {"1 million", "10 million", "100 million"}
    steps = (ticks["10 million"] - ticks["1 million"], ticks["100 million"] - ticks["10 million"])
    assert steps[0] == pytest.approx(steps[1])
    assert [tick.text for tick in chart.y_ticks] == ["0.1 ms", "1 ms", "10 ms"]


def test_the_point_where_the_gpu_pays_is_marked_on_both_lines() -> None:
    chart = crossover_chart(CLIMB, running=False)
    assert chart.mark is not None
    assert chart.mark.text == "GPU pays from 10 million"
    assert chart.mark.x == pytest.approx((chart.places[0].x + chart.places[1].x) / 2)
    assert chart.mark.y == pytest.approx(chart.lines[1].spots[0].y)
    assert "10 million multiply-adds on, between Small net and Large net" in chart.verdict


def test_the_share_of_moving_data_stands_at_each_network() -> None:
    first, second = crossover_chart(CLIMB, running=False).places
    assert (first.number, first.title, first.share, first.share_text) == (
        1,
        "Small net",
        0.5,
        "50 %",
    )
    assert second.number == 2
    bare = [replace(p, parts=None) for p in POINTS]
    place = crossover_chart(replace(CLIMB, points=tuple(bare)), running=False).places[0]
    assert (place.share, place.share_text) == (None, "")


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ((1.0, 0.5, 10.0, 1.0), "is faster on every network"),
        ((1.0, 9.0, 10.0, 25.0), "does not pay up to Large net: it takes 2.5 times as long as"),
    ],
)
def test_without_a_crossing_nothing_is_marked_and_the_verdict_says_why(
    times: tuple[float, ...], told: str
) -> None:
    points = tuple(replace(p, median_ms=ms) for p, ms in zip(POINTS, times, strict=True))
    chart = crossover_chart(replace(CLIMB, points=points), running=False)
    assert chart.mark is None
    assert told in chart.verdict


def test_a_processor_that_plays_a_gpu_is_named_so() -> None:
    points = tuple(replace(p, detail="llvmpipe, Vulkan, software") for p in POINTS)
    chart = crossover_chart(replace(CLIMB, points=points), running=False)
    assert [line.title for line in chart.lines] == ["Layers CPU", "Layers GPU (software)"]
    assert "played by the processor" in chart.verdict


def test_before_anything_is_timed_there_is_a_frame_and_no_verdict() -> None:
    chart = crossover_chart(Climb(STEPS, activity="Small net, loading Vision"), running=True)
    assert chart.empty
    assert chart.verdict == ""
    assert chart.status.startswith("Small net, loading Vision")
    assert chart.progress == 0.0
    assert len(chart.places) == 2


@pytest.mark.parametrize(
    ("climb", "told"),
    [
        (CLIMB, "Medians of"),
        (replace(CLIMB, done=1), "Stopped after 1 of 2 networks"),
        (Climb(()), "Waiting"),
        (Climb(STEPS), "Stopped before anything"),
        (Climb(STEPS, done=2), "Nothing was measured"),
    ],
)
def test_how_far_it_has_come(climb: Climb, told: str) -> None:
    assert told in status_text(climb, running=False)


def test_text_has_a_line_an_engine_and_network_and_the_verdict() -> None:
    status, verdict, head, *lines = crossover_text(CLIMB).splitlines()
    assert "Medians" in status
    assert "10 million" in verdict
    at = head.index("median ms")
    assert [line[at:].split()[0] for line in lines[:4]] == ["0.10", "1.00", "10.00", "1.00"]
    assert "50 %" in lines[1]
    assert lines[4] == "left out: Vision: not installed"


def test_what_was_left_out_on_one_network_names_it() -> None:
    left = (LeftOut(GPU, "Layers GPU", "too slow", "large"), LeftOut("", "", "device", "small"))
    chart = crossover_chart(replace(CLIMB, left_out=left), running=False)
    assert chart.left_out == ("Layers GPU on Large net: too slow", "Small net: device")


@pytest.mark.parametrize(
    ("macs", "text"),
    [
        (6_079_200, "6.1 million"),
        (301_053_376, "301 million"),
        (999_600_000, "1 billion"),
        (10 * MILLION, "10 million"),
        (4_094_803_968, "4.1 billion"),
    ],
)
def test_multiply_adds_have_two_or_three_figures(macs: int, text: str) -> None:
    assert macs_text(macs) == text


def test_shares() -> None:
    assert [share_text(s) for s in (None, 0.0, 0.001, 0.256)] == ["", "0 %", "< 1 %", "26 %"]
