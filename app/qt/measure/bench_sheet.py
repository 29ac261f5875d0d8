"""The sheets of what is measured: chart, what was left out, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from twinlens.app.overlays import Palette
from twinlens.app.overlays.places import places
from twinlens.app.qt.measure.bench_chart import BenchChartView, ChartView
from twinlens.app.qt.sheets.view_panel import ViewPanel
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import sheet_style
from twinlens.app.views.bench import BenchShown

TITLE = "Bench"


@dataclass(frozen=True)
class BenchActions:
    """What a sheet's buttons do; ``more`` are further ones: words, and what they do."""

    again: Callable[[], object]
    stop: Callable[[], object]
    copy: Callable[[], object]
    close: Callable[[], object]
    more: tuple[tuple[str, Callable[[], object]], ...] = ()


class Shown(Protocol):
    """What a sheet needs to know of a chart."""

    @property
    def status(self) -> str:
        """How far it has come."""
        ...

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not measured, and why."""
        ...

    @property
    def progress(self) -> float | None:
        """0 to 1 while it is measured."""
        ...

    @property
    def empty(self) -> bool:
        """Nothing is there to be copied."""
        ...


class MeasuringSheet(ViewPanel):
    """A sheet in the drawer; it stays when the window's size or theme changes.

    Args:
        title: what it is about.
        heading: its first line.
        chart: what is drawn; it gets colours and sizes here.
        actions: what the buttons do.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    keeps = in_drawer = True

    def __init__(
        self,
        title: str,
        heading: str,
        chart: ChartView,
        actions: BenchActions,
        palette: Palette,
        unit: float,
        parent: QWidget,
    ) -> None:
        super().__init__(actions, palette, unit, parent)
        self.setAccessibleName(f"{title} sheet")
        self._actions, self._running, self._view = actions, False, chart
        self._progress: float | None = None
        self._outer = QVBoxLayout(self)
        self._head = head = QHBoxLayout()
        self.heading = caption(heading, "title", self)
        head.addWidget(self.heading, 1)
        self.close_button = self._button("Close", f"Close {title} sheet", actions.close)
        head.addWidget(self.close_button)
        self._outer.addLayout(head)
        self.status = caption("", "fine", self)
        self._outer.addWidget(self.status)
        self._bar = QWidget(self)
        self._fill = QWidget(self._bar)
        self._outer.addWidget(self._bar)
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(chart)
        self._outer.addWidget(self._area, 1)
        self.left_out = QLabel(self)
        self.left_out.setObjectName("fine")
        self.left_out.setWordWrap(True)
        self._outer.addWidget(self.left_out)
        self._row = self._foot()
        self._outer.addLayout(self._row)
        self._words = [self.status, self.left_out]
        self.restyle(palette, unit)

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        self.run_button = self._button("Stop", "Stop measuring", self._run_or_stop)
        self.copy_button = self._button("Copy", "Copy the times as text", self._actions.copy)
        self.more_buttons = [self._button(text, text, act) for text, act in self._actions.more]
        for button in (self.run_button, self.copy_button, *self.more_buttons):
            button.setObjectName("action")
            foot.addWidget(button)
        foot.addStretch(1)
        return foot

    def _button(self, text: str, full_name: str, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(text, self)
        button.setAccessibleName(full_name)
        button.setAutoDefault(True)
        button.clicked.connect(lambda: act())
        return button

    def _run_or_stop(self) -> None:
        (self._actions.stop if self._running else self._actions.again)()

    def focus_first(self) -> None:
        """Give the keyboard to the first thing that can be done."""
        self.run_button.setFocus()

    def show_state(self, chart: Shown, *, running: bool, stopping: bool) -> None:
        """Show how far the measuring has come.

        Args:
            chart: what is drawn.
            running: it goes on.
            stopping: it was asked to stop.
        """
        self._running, self._progress = running, chart.progress
        self.status.setText("Stopping …" if running and stopping else chart.status)
        self.left_out.setText("\n".join(f"Left out: {line}" for line in chart.left_out))
        self.left_out.setVisible(bool(chart.left_out))
        self.run_button.setText("Stop" if running else "Measure again")
        self.run_button.setAccessibleName("Stop measuring" if running else "Measure again")
        self.run_button.setEnabled(not (running and stopping))
        self.copy_button.setEnabled(not running and not chart.empty)
        self._place_progress()

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self.setStyleSheet(sheet_style(palette, unit))
        margin = round(unit * 2.4)
        self._outer.setContentsMargins(margin, margin, margin, margin)
        self._outer.setSpacing(round(unit * 0.8))
        self._view.restyle(palette, unit)
        self._bar.setFixedHeight(max(2, round(unit * 0.4)))
        self._fill.setStyleSheet(f"background: {palette.text};")
        self._place_progress()

    def _place_progress(self) -> None:
        share = self._progress or 0.0
        self._fill.setGeometry(0, 0, round(self._bar.width() * share), self._bar.height())

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the drawer, as high as the chart needs."""
        self.ensurePolished()
        inner = round(places(width, height).drawer.width) - 2 * round(unit * 2.4)
        words = [label for label in self._words if not label.isHidden()]
        needed = sum(label.heightForWidth(inner) for label in words)
        heading = self.heading.heightForWidth(inner - self.close_button.sizeHint().width())
        lines = max(heading, self._head.sizeHint().height()) + self._row.sizeHint().height()
        gaps = 2 * round(unit * 2.4) + (4 + len(words)) * round(unit * 0.8)
        needed += self._view.sizeHint().height() + lines + gaps + self._bar.height() + round(unit)
        self.fill_drawer(width, height, needed)
        self._place_progress()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Copy by the system's own key."""
        if event.matches(QKeySequence.StandardKey.Copy) and self.copy_button.isEnabled():
            self._actions.copy()
            event.accept()
            return
        super().keyPressEvent(event)


class BenchSheet(MeasuringSheet):
    """The comparison of engines, precisions and threads.

    Args:
        actions: what the buttons do.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(
        self, actions: BenchActions, palette: Palette, unit: float, parent: QWidget
    ) -> None:
        self.chart = BenchChartView(palette, unit)
        super().__init__(TITLE, "", self.chart, actions, palette, unit, parent)

    def show_data(self, data: BenchShown) -> None:
        """Show how far the measuring has come."""
        self.heading.setText(data.chart.headline or f"{data.model} on this machine")
        self.chart.show_chart(data.chart, data.text)
        self.show_state(data.chart, running=data.running, stopping=data.stopping)
