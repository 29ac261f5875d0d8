"""The sheet of a comparison: chart, what was left out, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from twinlens.app.overlays import Palette
from twinlens.app.overlays.bench import BenchChart
from twinlens.app.qt.bench_chart import BenchChartView
from twinlens.app.qt.controls import caption
from twinlens.app.qt.sheets import Panel
from twinlens.app.qt.theme import sheet_style

WIDE_UNITS, NARROW_UNITS = 104, 90
TITLE = "Bench"


@dataclass(frozen=True)
class BenchActions:
    """What the sheet's buttons do."""

    again: Callable[[], object]
    stop: Callable[[], object]
    copy: Callable[[], object]
    close: Callable[[], object]


class BenchSheet(Panel):
    """A wide sheet on the right; it stays when the window's size or theme changes.

    Args:
        model: the model's title.
        actions: what the buttons do.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    keeps = True

    def __init__(
        self, model: str, actions: BenchActions, palette: Palette, unit: float, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(f"{TITLE} sheet")
        self._actions, self._running = actions, False
        self._outer = QVBoxLayout(self)
        head = QHBoxLayout()
        head.addWidget(caption(f"{model} on this machine", "title", self), 1)
        self.close_button = self._button("Close", f"Close {TITLE} sheet", actions.close)
        head.addWidget(self.close_button)
        self._outer.addLayout(head)
        self.status = caption("", "detail", self)
        self._outer.addWidget(self.status)
        self._bar = QWidget(self)
        self._fill = QWidget(self._bar)
        self._outer.addWidget(self._bar)
        self.chart = BenchChartView(palette, unit, self)
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self.chart)
        self._outer.addWidget(self._area, 1)
        self.left_out = QLabel(self)
        self.left_out.setObjectName("detail")
        self.left_out.setWordWrap(True)
        self._outer.addWidget(self.left_out)
        foot = QHBoxLayout()
        self.run_button = self._button("Stop", "Stop measuring", self._run_or_stop)
        self.copy_button = self._button("Copy as text", "Copy the times as text", actions.copy)
        for button in (self.run_button, self.copy_button):
            button.setObjectName("action")
            foot.addWidget(button)
        foot.addStretch(1)
        self._outer.addLayout(foot)
        self._progress: float | None = None
        self.restyle(palette, unit)

    def _button(self, text: str, says: str, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(text, self)
        button.setAccessibleName(says)
        button.setAutoDefault(True)
        button.clicked.connect(lambda: act())
        return button

    def _run_or_stop(self) -> None:
        (self._actions.stop if self._running else self._actions.again)()

    def focus_first(self) -> None:
        """Give the keyboard to the first thing that can be done."""
        self.run_button.setFocus()

    def show_chart(self, chart: BenchChart, text: str, *, running: bool, stopping: bool) -> None:
        """Show how far the measuring has come.

        Args:
            chart: what is drawn.
            text: the same for a screen reader.
            running: it goes on.
            stopping: it was asked to stop.
        """
        self._running, self._progress = running, chart.progress
        self.chart.show_chart(chart, text)
        self.status.setText("Stopping …" if running and stopping else chart.status)
        self.left_out.setText("\n".join(f"Left out: {line}" for line in chart.left_out))
        self.left_out.setVisible(bool(chart.left_out))
        self.run_button.setText("Stop" if running else "Measure again")
        self.run_button.setAccessibleName("Stop measuring" if running else "Measure again")
        self.run_button.setEnabled(not (running and stopping))
        self.copy_button.setEnabled(not running and bool(chart.groups))
        self._place_progress()

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self.setStyleSheet(sheet_style(palette, unit))
        margin = round(unit * 2.4)
        self._outer.setContentsMargins(margin, margin, margin, margin)
        self._outer.setSpacing(round(unit * 0.8))
        self.chart.restyle(palette, unit)
        self._bar.setFixedHeight(max(2, round(unit * 0.4)))
        self._fill.setStyleSheet(f"background: {palette.text};")
        self._place_progress()

    def _place_progress(self) -> None:
        share = self._progress or 0.0
        self._fill.setGeometry(0, 0, round(self._bar.width() * share), self._bar.height())

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand at the right edge under the controls, as high as the chart needs."""
        own_width = min(width - 6 * unit, max(width * 0.62, NARROW_UNITS * unit))
        own_width = round(min(own_width, WIDE_UNITS * unit))
        top = round(unit * 10)
        self.ensurePolished()
        inner = own_width - 2 * round(unit * 2.4)
        words = [label for label in (self.status, self.left_out) if not label.isHidden()]
        needed = sum(label.heightForWidth(inner) for label in words)
        needed += self.chart.sizeHint().height() + round(unit * 22)
        room = height - top - round(unit * 3)
        self.setGeometry(width - own_width - round(unit * 3), top, own_width, min(needed, room))
        self._place_progress()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Copy by the system's own key."""
        if event.matches(QKeySequence.StandardKey.Copy) and self.copy_button.isEnabled():
            self._actions.copy()
            event.accept()
            return
        super().keyPressEvent(event)
