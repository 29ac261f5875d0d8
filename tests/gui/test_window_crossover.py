"""The panel of networks of rising size: opened by key or button, filled live, stopped, copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton

from helpers.fakes import make_network
from helpers.gated import Gated
from helpers.gui_stand import Stand, asked_sizes, fits, painted
from twinlens.app.core.measure.crossover import GPU, Climb, Parts, Point, Step
from twinlens.app.overlays import PALETTES, engine_color
from twinlens.app.qt.measure import crossover_chart as chart_module
from twinlens.app.qt.measure.bench_sheet import BenchSheet
from twinlens.app.qt.measure.crossover_chart import CrossoverChartView
from twinlens.app.qt.measure.crossover_sheet import CrossoverSheet
from twinlens.app.views.crossover import crossover_chart
from twinlens.models.networks.ladder import Rung

Key = Qt.Key
Ctrl = Qt.KeyboardModifier.ControlModifier
Shift = Qt.KeyboardModifier.ShiftModifier
MILLION = 1_000_000


def rungs() -> list[Rung]:
    return [Rung(f"n{n}", f"Net {n}", n * MILLION, make_network(f"n{n}")) for n in (1, 10, 100)]


@pytest.fixture
def waiting(waiting: Stand) -> Stand:
    """A window whose networks wait until the gate is opened."""
    waiting.window.crossover.rungs = rungs
    return waiting


def press(stand: Stand, qtbot: Any) -> CrossoverSheet:
    qtbot.keyClick(stand.window.stage, Key.Key_B, Shift)
    sheet = stand.window.sheet
    assert isinstance(sheet, CrossoverSheet)
    return sheet


def measured(stand: Stand, qtbot: Any) -> CrossoverSheet:
    stand.window.crossover.rungs = rungs
    sheet = press(stand, qtbot)
    stand.until(lambda: not stand.window.crossover.running)
    stand.until(lambda: sheet.run_button.text() == "Measure again")  # computed elsewhere, too
    return sheet


def test_shift_b_measures_every_network_and_says_what_is_missing(stand: Stand, qtbot: Any) -> None:
    sheet = measured(stand, qtbot)
    climb = stand.window.crossover.climb
    assert climb is not None
    assert climb.complete
    assert [(p.rung, p.engine) for p in climb.points] == [
        (rung, engine) for rung in ("n1", "n10", "n100") for engine in ("layers-cpu", "vision")
    ]
    assert all(point.median_ms > 0 for point in climb.points)
    assert "Layers GPU: compute shaders" in sheet.left_out.text()
    assert "nothing to compare" in sheet.verdict.text()
    assert "Net 100" in sheet.chart.accessibleDescription()
    assert stand.window.session is not None
    assert stand.window.session.state.answering
    stand.feed(2)


def test_the_bench_has_a_button_for_it_and_back(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    window.crossover.rungs = rungs
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    sheet = window.sheet
    assert isinstance(sheet, BenchSheet)
    (button,) = sheet.more_buttons
    assert button.text() == "Crossover …"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert isinstance(window.sheet, CrossoverSheet)
    stand.until(lambda: bool(window.crossover.climb and window.crossover.climb.complete))
    stand.until(lambda: not window.crossover.running)
    assert not window.bench.running
    assert window.session is not None
    assert window.session.state.answering
    (button,) = window.sheet.more_buttons
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert isinstance(window.sheet, BenchSheet)


def test_it_waits_for_a_bench_that_was_cancelled(waiting: Stand, qtbot: Any, gated: Gated) -> None:
    window = waiting.window
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    waiting.until(lambda: gated.timing)
    press(waiting, qtbot)
    assert window.bench.running
    assert not window.crossover.running
    gated.open()
    waiting.until(lambda: bool(window.crossover.climb and window.crossover.climb.complete))
    assert not (window.bench.table and window.bench.table.complete)


def test_it_fills_while_it_measures_and_escape_stops_then_closes(
    waiting: Stand, qtbot: Any, gated: Gated
) -> None:
    window = waiting.window
    assert window.session is not None
    sheet = press(waiting, qtbot)
    waiting.until(lambda: gated.timing)
    waiting.until(lambda: sheet.run_button.text() == "Stop")
    assert not window.session.state.answering
    waiting.feed(2)
    waiting.until(lambda: "Net 1" in sheet.status.text())
    qtbot.keyClick(sheet, Key.Key_Escape)
    waiting.until(lambda: sheet.status.text() == "Stopping …")
    gated.open()
    waiting.until(lambda: not window.crossover.running)
    assert window.sheet is sheet
    waiting.until(lambda: sheet.run_button.text() == "Measure again")
    assert "Stopped" in sheet.status.text()
    assert window.session.state.answering
    assert all(runner.closed.is_set() for runner in gated.runners)
    qtbot.keyClick(sheet, Key.Key_Escape)
    assert window.sheet is None


@pytest.mark.parametrize("how", ["close", "engine", "quit"])
def test_what_takes_the_panel_or_the_engine_away_ends_the_measuring(
    waiting: Stand, qtbot: Any, gated: Gated, how: str
) -> None:
    window = waiting.window
    sheet = press(waiting, qtbot)
    waiting.until(lambda: gated.timing)
    if how == "close":
        qtbot.keyClick(sheet, Key.Key_B, Shift)
        assert window.sheet is None
    elif how == "engine":
        qtbot.keyClick(window.stage, Key.Key_E)
    gated.open()
    if how == "quit":
        window.close()
    else:
        waiting.until(lambda: not window.crossover.running)
    assert all(runner.closed.is_set() for runner in gated.runners)
    assert not (window.crossover.climb and window.crossover.climb.complete)


def test_what_was_measured_is_kept_and_copied(stand: Stand, qtbot: Any) -> None:
    sheet = measured(stand, qtbot)
    climb = stand.window.crossover.climb
    qtbot.keyClick(sheet, Key.Key_B, Shift)
    assert stand.window.sheet is None
    sheet = press(stand, qtbot)
    assert stand.window.crossover.climb is climb
    assert not stand.window.crossover.running
    qtbot.keyClick(sheet.copy_button, Key.Key_Space)
    copied = QGuiApplication.clipboard().text()
    assert "median ms" in copied
    assert "Net 10 " in copied
    assert stand.window.banner is not None


def crossing_climb() -> Climb:
    """The GPU is as fast as the CPU at 10 million multiply-adds, exactly."""
    steps = tuple(Step(f"n{n}", f"Net {n}", n * MILLION) for n in (1, 100))
    times = {"layers-cpu": (0.1, 10.0), GPU: (1.0, 1.0), "vision": (0.3, 30.0)}
    points = [
        Point(step.id, step.macs, engine, engine.title(), "Card, Vulkan, discrete", 9, ms, ms)
        for engine, own in times.items()
        for step, ms in zip(steps, own, strict=True)
    ]
    shares = {"n1": Parts(0.5, 0.3), "n100": Parts(0.25, 0.6)}
    points = [replace(p, parts=shares[p.rung]) if p.engine == GPU else p for p in points]
    return Climb(steps, tuple(points), done=2)


def view_of(climb: Climb, qtbot: Any, width: int = 700) -> CrossoverChartView:
    view = CrossoverChartView(PALETTES["dark"], 7.2)
    qtbot.addWidget(view)
    view.show_chart(crossover_chart(climb, running=False), "text")
    view.resize(width, view.sizeHint().height())
    return view


def is_color(pixels: np.ndarray, text: str) -> np.ndarray:
    wanted = QColor(text)
    return np.asarray(
        (pixels == [wanted.blue(), wanted.green(), wanted.red()]).all(axis=2), np.bool_
    )


def test_lines_have_the_engines_colours_and_the_mark_stands_where_they_meet(qtbot: Any) -> None:
    view = view_of(crossing_climb(), qtbot)
    pixels, plot = painted(view), view.plot()
    inside = pixels[round(plot.top()) : round(plot.bottom())]
    for engine in ("layers-cpu", GPU, "vision"):
        assert is_color(inside, engine_color(engine)).sum() > 50
    bare = Climb(crossing_climb().steps, crossing_climb().points[:2], done=2)
    before = is_color(painted(view_of(bare, qtbot)), PALETTES["dark"].text).sum(axis=0)
    dashes = is_color(pixels, PALETTES["dark"].text).sum(axis=0)
    column = int(np.argmax(dashes))
    assert abs(column - (plot.left() + 0.5 * plot.width())) <= 2, "halfway in logarithms"
    assert before[column] < dashes[column]


def test_the_hatched_part_is_as_high_as_the_share_of_moving_data(qtbot: Any) -> None:
    view = view_of(crossing_climb(), qtbot)
    pixels, plot = painted(view), view.plot()
    chart = crossover_chart(crossing_climb(), running=False)
    surface = is_color(pixels, PALETTES["dark"].surface)
    heights = []
    for place in chart.places:
        middle = round(plot.left() + place.x * plot.width())
        inside = slice(middle - 3, middle + 3)
        below = slice(round(plot.bottom() + 10 * 7.2), round(plot.bottom() + 16.3 * 7.2))
        # Between the lines of the hatch the surface is seen; in the other part it is not.
        heights.append(int(surface[below, inside].any(axis=1).sum()))
    assert heights[0] == pytest.approx(0.5 * 6 * 7.2, abs=5)
    assert heights[0] > 1.5 * heights[1]


@pytest.mark.parametrize("width_units", [60, 99])
def test_no_painted_text_is_small(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch, width_units: int
) -> None:
    asked = asked_sizes(chart_module, monkeypatch)
    painted(view_of(crossing_climb(), qtbot, round(width_units * 7.2)))
    assert min(asked) >= 1.8 * 7.2


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (900, 900)])
def test_the_panel_stays_inside_at_any_size_and_follows_the_theme(
    stand: Stand, qtbot: Any, size: tuple[int, int], theme: str
) -> None:
    window = stand.window
    window.crossover.climb = crossing_climb()
    sheet = press(stand, qtbot)
    stand.until(lambda: "pays from" in sheet.verdict.text())  # computed elsewhere
    window.look.set_theme(theme)
    window.resize(*size)
    stand.feed(1)
    assert window.sheet is sheet, "it stays when the window changes"
    assert window.stage.rect().contains(sheet.geometry())
    assert "pays from about 10 million" in sheet.verdict.text()
    for widget in (*sheet.findChildren(QLabel), *sheet.findChildren(QPushButton)):
        if widget.isVisible():
            assert fits(widget), widget.text()
