"""The bench panel: opened by a key, filled while it measures, cancelled, remembered, copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontMetricsF, QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton

from helpers.fakes import FakeRunner
from helpers.gated import Gated
from helpers.gui_stand import NO_INT8, Stand, asked_sizes, fits, painted, pixels_of, run_stand
from twinlens.app.core.measure.bench import ROUNDS, BenchRow, BenchTable
from twinlens.app.overlays import PALETTES, contrast_ratio, engine_color
from twinlens.app.qt.measure import bench_chart as chart_module
from twinlens.app.qt.measure.bench_chart import BenchChartView
from twinlens.app.qt.measure.bench_sheet import BenchSheet
from twinlens.app.qt.stage.theme import font
from twinlens.app.views.bench import bench_chart
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import EngineError

Key = Qt.Key
Ctrl = Qt.KeyboardModifier.ControlModifier
SIZES = [(640, 360), (1280, 720), (1920, 1080), (900, 900)]


def sheet_of(stand: Stand) -> BenchSheet:
    sheet = stand.window.sheet
    assert isinstance(sheet, BenchSheet)
    return sheet


def measured(stand: Stand, qtbot: Any) -> BenchSheet:
    qtbot.keyClick(stand.window.stage, Key.Key_B, Ctrl)
    sheet = sheet_of(stand)
    stand.until(lambda: not stand.window.bench.running)
    stand.until(lambda: sheet.run_button.text() == "Measure again")  # computed elsewhere, too
    return sheet


def test_b_measures_everything_that_runs_and_says_what_does_not(stand: Stand, qtbot: Any) -> None:
    sheet = measured(stand, qtbot)
    table = stand.window.bench.table
    assert table is not None
    assert table.complete
    assert {(row.engine, row.precision) for row in table.rows} == {
        ("layers-cpu", "fp32"),
        ("layers-cpu", "bf16"),
        ("vision", "fp32"),
    }
    assert all(row.runs == ROUNDS and row.median_ms > 0 for row in table.rows)
    told = sheet.left_out.text()
    assert "Layers GPU: compute shaders" in told
    assert NO_INT8 in told
    assert "bf16" in sheet.chart.accessibleDescription()
    assert f"Medians of {ROUNDS} rounds" in sheet.status.text()
    assert stand.window.session is not None
    assert stand.window.session.state.answering
    stand.feed(2)


def test_answers_rest_and_the_picture_moves_while_it_is_timed(
    waiting: Stand, qtbot: Any, gated: Gated
) -> None:
    window = waiting.window
    assert window.session is not None
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    waiting.until(lambda: gated.timing)
    assert not window.session.state.answering
    before = window.session.stats().answered
    waiting.feed(3)
    assert window.session.stats().answered == before
    label = window.stage.overlays.label
    assert label is not None
    assert label.resting, "the answer from before is dimmed, and said to rest"
    gated.open()
    waiting.until(lambda: not window.bench.running)
    assert window.session.state.answering
    waiting.until(lambda: not window.stage.overlays.label.resting)  # type: ignore[union-attr]


def test_escape_stops_measuring_then_closes(waiting: Stand, qtbot: Any, gated: Gated) -> None:
    window = waiting.window
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    waiting.until(lambda: gated.timing)
    sheet = sheet_of(waiting)
    waiting.until(lambda: sheet.run_button.text() == "Stop")
    qtbot.keyClick(sheet, Key.Key_Escape)
    waiting.until(lambda: sheet.status.text() == "Stopping …")
    gated.open()
    waiting.until(lambda: not window.bench.running)
    assert window.sheet is sheet
    waiting.until(lambda: sheet.run_button.text() == "Measure again")
    assert "Stopped before" in sheet.status.text()
    assert sheet.run_button.text() == "Measure again"
    assert all(runner.closed.is_set() for runner in gated.runners)
    qtbot.keyClick(sheet, Key.Key_Escape)
    assert window.sheet is None


@pytest.mark.parametrize("how", ["close", "engine", "quit", "another sheet"])
def test_what_takes_the_panel_or_the_engine_away_ends_the_measuring(
    waiting: Stand, qtbot: Any, gated: Gated, how: str
) -> None:
    window = waiting.window
    assert window.session is not None
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    waiting.until(lambda: gated.timing)
    if how == "close":
        qtbot.keyClick(sheet_of(waiting), Key.Key_B, Ctrl)
        assert window.sheet is None
    elif how == "engine":
        qtbot.keyClick(window.stage, Key.Key_E)
    elif how == "another sheet":
        qtbot.keyClick(window.stage, Key.Key_V)
    gated.open()
    if how == "quit":
        window.close()
    else:
        waiting.until(lambda: not window.bench.running)
        assert window.session.state.answering
    assert all(runner.closed.is_set() for runner in gated.runners)
    assert not (window.bench.table and window.bench.table.complete)


def test_results_stay_until_another_model_answers(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    sheet = measured(stand, qtbot)
    table = window.bench.table
    qtbot.keyClick(sheet, Key.Key_B, Ctrl)
    assert window.sheet is None
    qtbot.keyClick(window.stage, Key.Key_E)
    stand.until(lambda: window.controls.switch.live == "vision")
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    assert window.bench.table is table
    assert not window.bench.running, "it was measured already"
    window.choose.model("pets")
    stand.until(lambda: window.bench.table is None)
    assert window.sheet is None


def test_the_keyboard_alone_measures_again_and_copies(stand: Stand, qtbot: Any) -> None:
    sheet = measured(stand, qtbot)
    first = stand.window.bench.table
    assert sheet.run_button.hasFocus()
    qtbot.keyClick(sheet.run_button, Key.Key_Return)
    stand.until(lambda: not stand.window.bench.running)
    assert stand.window.bench.table is not first
    stand.until(sheet.copy_button.isEnabled)  # computed elsewhere
    qtbot.keyClick(sheet.run_button, Key.Key_Tab)
    assert sheet.copy_button.hasFocus()
    qtbot.keyClick(sheet.copy_button, Key.Key_Space)
    copied = QGuiApplication.clipboard().text()
    assert "median ms" in copied
    assert "bf16" in copied
    assert stand.window.banner is not None
    QGuiApplication.clipboard().clear()
    qtbot.keyClick(sheet, Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == copied
    assert stand.window.settings.crop == "", "C alone is another key"


def test_agreement_that_was_measured_stands_on_the_engine_sheet(stand: Stand, qtbot: Any) -> None:
    measured(stand, qtbot)
    stand.window.menus.engine()
    assert stand.window.sheet is not None
    words = [label.text() for label in stand.window.sheet.findChildren(QLabel)]
    assert any("Agrees with fp32 on 99.7 %" in text for text in words)


def test_a_failure_is_told_and_answers_go_on(qtbot: Any, tmp_path: Path) -> None:
    def load(network: Network, engine_id: str, options: EngineOptions) -> FakeRunner:
        if engine_id == "vision":
            raise EngineError("no memory left")
        lost = EngineError("lost the device")
        return FakeRunner(engine_id=engine_id, errors={7: lost}, fails_from=7)

    for stand in run_stand(qtbot, tmp_path, load=load):
        sheet = measured(stand, qtbot)
        assert "no memory left" in sheet.left_out.text()
        assert stand.window.banner is not None
        assert "lost the device" in stand.window.banner.title
        stand.feed(1)
        stand.until(lambda stand=stand: stand.window.stage.overlays.label is not None)  # type: ignore[misc]


def long_table(rows: int = 8) -> BenchTable:
    made = [
        BenchRow(engine, engine.title(), "kernels " * 20, p, threads, 0.995, 9, 5, 900, 990, 1)
        for engine in ("layers-cpu", "layers-gpu", "vision")
        for p in ("fp32", "bf16", "int8")
        for threads in (1, 16)
    ]
    return BenchTable("Pets", tuple(made[:rows]), (), (), 5, 5)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_the_panel_stays_inside_at_any_size_and_follows_the_theme(
    stand: Stand, qtbot: Any, size: tuple[int, int], theme: str
) -> None:
    window = stand.window
    sheet = measured(stand, qtbot)
    window.look.set_theme(theme)
    window.resize(*size)
    stand.feed(1)
    assert window.sheet is sheet, "it stays when the window changes"
    assert window.stage.rect().contains(sheet.geometry())
    middle = sheet.geometry().center().x()
    blue, green, red = pixels_of(window)[sheet.geometry().top() + 4, middle, :3]
    assert f"#{red:02X}{green:02X}{blue:02X}" == PALETTES[theme].surface
    smallest = 0.018 * window.stage.height()
    for widget in (*sheet.findChildren(QLabel), *sheet.findChildren(QPushButton)):
        assert widget.font().pixelSize() >= smallest - 0.5
        if widget.isVisible() or isinstance(widget, QPushButton):
            assert fits(widget), widget.text()


@pytest.mark.parametrize("width_units", [60, 99])
def test_no_painted_text_is_small_or_reaches_into_the_next_column(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch, width_units: int
) -> None:
    asked = asked_sizes(chart_module, monkeypatch)
    unit = 7.2
    view = BenchChartView(PALETTES["dark"], unit)
    qtbot.addWidget(view)
    view.show_chart(bench_chart(long_table(), running=False), "text")
    view.resize(round(width_units * unit), view.sizeHint().height())
    painted(view)
    assert min(asked) >= 1.8 * unit
    left, longest, times = view._columns()
    value = QFontMetricsF(font(2.2 * unit)).horizontalAdvance("900 ms")
    note = QFontMetricsF(font(1.9 * unit)).horizontalAdvance("99.5 %")
    assert longest > 8 * unit, "bars are long enough to be compared"
    assert left + longest + unit + value <= times <= view.width() - note


def test_bars_are_as_long_as_their_times_and_of_the_engines_colour(qtbot: Any) -> None:
    rows = tuple(
        BenchRow(engine, engine, "", "fp32", 1, None, 9, 5, median, median, 1)
        for engine, median in (("layers-cpu", 8.0), ("vision", 2.0))
    )
    view = BenchChartView(PALETTES["dark"], 7.2)
    qtbot.addWidget(view)
    table = BenchTable("Pets", rows, (), (), 5, 5)
    view.show_chart(bench_chart(table, running=False), "text")
    view.resize(700, view.sizeHint().height())
    pixels = painted(view)
    lengths = []
    for row in rows:
        wanted = QColor(engine_color(row.engine))
        same = (pixels == [wanted.blue(), wanted.green(), wanted.red()]).all(axis=2)
        lengths.append(int(same.sum(axis=1).max()))
    assert lengths[0] / lengths[1] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_bars_stand_out_from_the_surface(theme: str, qtbot: Any) -> None:
    view = BenchChartView(PALETTES[theme], 7.2)
    qtbot.addWidget(view)
    edge = view._edge()
    for engine in ("layers-cpu", "layers-gpu", "vision", "remote"):
        lined = edge.style() != Qt.PenStyle.NoPen
        outline = edge.color().name() if lined else engine_color(engine)
        assert contrast_ratio(outline, PALETTES[theme].surface) >= 3
    for words in (PALETTES[theme].text, PALETTES[theme].text_dim):
        assert contrast_ratio(words, PALETTES[theme].surface) >= 7


def test_times_end_in_one_column_wherever_the_whiskers_end(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(
        BenchRow("vision", "Vision", "", p, 1, None, 9, 5, median, p95, 1)
        for p, median, p95 in (("fp32", 8.0, 8.1), ("bf16", 2.0, 7.9), ("int8", 120.0, 140.0))
    )
    view = BenchChartView(PALETTES["dark"], 7.2)
    qtbot.addWidget(view)
    view.show_chart(bench_chart(BenchTable("Pets", rows, (), (), 5, 5), running=False), "text")
    view.resize(400, view.sizeHint().height())
    pixels = painted(view)
    _left, _longest, times = view._columns()
    ends = []
    top = round(chart_module.GROUP_UNITS * 7.2)
    for number in range(3):
        high = round(chart_module.BAR_UNITS * 7.2)
        row = pixels[top + number * high : top + (number + 1) * high, round(times) - 60 :]
        lit = np.flatnonzero((row.min(axis=2) > 180).any(axis=0))
        ends.append(int(lit.max()))
    assert max(ends) - min(ends) <= 1
