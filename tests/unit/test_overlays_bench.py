"""The chart of a comparison, and its text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twinlens.app.core.measure.bench import BenchRow, BenchTable, Case, Skipped
from twinlens.app.views.bench import bench_chart, bench_text, milliseconds, status_text


def row(engine: str, precision: str, median: float, p95: float, **more: object) -> BenchRow:
    made = BenchRow(
        engine, engine.upper(), "kernels", precision, 2, None, 12.0, 5, median, p95, median / 8
    )
    return replace(made, **more)  # type: ignore[arg-type]


TABLE = BenchTable(
    "Pets",
    (
        row("cpu", "fp32", 8, 10),
        row("cpu", "bf16", 4, 5, agreement=0.997),
        row("ort", "fp32", 9, 9),
    ),
    (
        Skipped("gpu", "no adapter"),
        Skipped("cpu", "needs VNNI", "int8"),
        Skipped("ort", "x", "a", 1),
    ),
    round=5,
    rounds=5,
)


def test_bars_are_grouped_by_engine_and_scaled_to_the_longest() -> None:
    chart = bench_chart(TABLE, running=False)
    assert [(g.engine_id, g.title, len(g.bars)) for g in chart.groups] == [
        ("cpu", "CPU", 2),
        ("ort", "ORT", 1),
    ]
    first, second = chart.groups[0].bars
    assert (first.label, first.value_text, first.note) == ("fp32 · 2 threads", "8.0 ms", "")
    assert (first.share, first.p95_share) == (0.8, 1.0)
    assert (second.share, second.p95_share, second.note) == (0.4, 0.5, "99.7 %")
    assert [bar.best for group in chart.groups for bar in group.bars] == [False, True, False]
    assert chart.left_out == ("gpu: no adapter", "cpu int8: needs VNNI", "ort a, 1 thread: x")
    assert chart.progress is None


def test_an_outlier_does_not_make_all_bars_short() -> None:
    rows = (row("cpu", "fp32", 7, 100), row("cpu", "bf16", 3.5, 4))
    first, second = bench_chart(replace(TABLE, rows=rows), running=False).groups[0].bars
    assert (first.share, first.p95_share) == (pytest.approx(0.7), 1.0)
    assert (second.share, second.p95_share) == (pytest.approx(0.35), pytest.approx(0.4))


def test_an_engine_that_is_many_times_slower_is_cut_and_said_to_be() -> None:
    rows = (row("cpu", "fp32", 3, 3), row("cpu", "bf16", 1, 1), row("gpu", "fp32", 120, 130))
    chart = bench_chart(replace(TABLE, rows=rows), running=False)
    bars = [bar for group in chart.groups for bar in group.bars]
    assert [bar.cut for bar in bars] == [False, False, True]
    assert bars[2].share == bars[2].p95_share == 1.0
    assert bars[2].value_text == "120 ms"
    assert bars[0].share == pytest.approx(3 * bars[1].share)
    assert bars[0].share > 0.3


def test_what_waits_has_its_place() -> None:
    waiting = (Case("cpu", "int8", 1), Case("ort", "fp32", 2, "Vision"))
    table = BenchTable("Pets", TABLE.rows[:1], waiting=waiting)
    chart = bench_chart(table, running=True)
    shown = [(g.title, [(b.label, b.value_text) for b in g.bars]) for g in chart.groups]
    assert shown == [
        ("CPU", [("fp32 · 2 threads", "8.0 ms"), ("int8 · 1 thread", "")]),
        ("Vision", [("fp32 · 2 threads", "")]),
    ]


def test_before_anything_is_timed_bars_are_empty() -> None:
    rows = (row("cpu", "fp32", 0, 0, runs=0, ratio=0.0),)
    chart = bench_chart(replace(TABLE, rows=rows, round=0), running=True)
    (bar,) = chart.groups[0].bars
    assert (bar.share, bar.p95_share, bar.value_text, bar.best) == (0.0, 0.0, "…", False)
    assert chart.progress == 0.0
    assert bench_chart(BenchTable("Pets"), running=True).groups == ()


@pytest.mark.parametrize(
    ("table", "running", "told"),
    [
        (
            replace(TABLE, waiting=(Case("cpu", "int8", 2),) * 3),
            True,
            "Loading cpu int8, 2 threads (3 to go)",
        ),
        (replace(TABLE, round=2), True, "Round 2 of 5"),
        (replace(TABLE, round=2), False, "Stopped after 2 of 5 rounds"),
        (replace(TABLE, round=0), False, "Stopped before anything"),
        (replace(TABLE, rows=()), False, "Nothing was measured"),
        (TABLE, False, "Medians of 5 rounds"),
    ],
)
def test_how_far_it_has_come(table: BenchTable, running: bool, told: str) -> None:
    assert told in status_text(table, running=running)


def test_text_has_a_line_a_row_with_aligned_columns() -> None:
    title, head, *lines = bench_text(TABLE).splitlines()
    assert title.startswith("Pets: ")
    assert len(lines) == 6
    at = head.index("median ms")
    assert [line[at:].split()[0] for line in lines[:3]] == ["8.00", "4.00", "9.00"]
    assert "99.7 %" in lines[1]
    assert lines[3] == "left out: gpu: no adapter"


@pytest.mark.parametrize(
    ("value", "text"), [(0.844, "0.84 ms"), (7.06, "7.1 ms"), (42.0, "42.0 ms"), (131.7, "132 ms")]
)
def test_times_have_about_three_figures(value: float, text: str) -> None:
    assert milliseconds(value) == text


def test_more_than_seven_rows_show_the_fastest_threads_of_each_precision() -> None:
    precisions = ("fp32", "bf16", "int8", "fp16")
    made = [
        row("cpu", p, 8 - threads, 9, threads=threads) for p in precisions for threads in (1, 2)
    ]
    chart = bench_chart(replace(TABLE, rows=tuple(made)), running=False)
    bars = [bar for group in chart.groups for bar in group.bars]
    assert [bar.label for bar in bars] == [
        f"{p} · 2 threads" for p in ("fp32", "bf16", "int8", "fp16")
    ]
    assert len(bench_text(replace(TABLE, rows=tuple(made))).splitlines()) == 2 + 8 + 3, (
        "all of them"
    )
    waiting = tuple(Case("ort", "fp32", n) for n in (1, 2))
    half = bench_chart(BenchTable("Pets", tuple(made[:6]), waiting=waiting), running=True)
    assert sum(len(group.bars) for group in half.groups) == 4


def test_the_headline_says_which_is_the_fastest() -> None:
    assert bench_chart(TABLE, running=False).headline == "CPU bf16 is fastest: 4.0 ms"
    assert bench_chart(TABLE, running=True).headline == ""
    assert bench_chart(BenchTable("Pets"), running=False).headline == ""
