"""The sheet of the ladder of networks."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget

from twinlens.app.overlays import Palette
from twinlens.app.qt.measure.bench_sheet import BenchActions, MeasuringSheet
from twinlens.app.qt.measure.crossover_chart import CrossoverChartView
from twinlens.app.views.crossover import CrossoverShown

TITLE = "Crossover"
HEADING = "Where a GPU starts to pay"


class CrossoverSheet(MeasuringSheet):
    """From which size of network on a GPU pays.

    Args:
        actions: what the buttons do.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(
        self, actions: BenchActions, palette: Palette, unit: float, parent: QWidget
    ) -> None:
        self.chart = CrossoverChartView(palette, unit)
        super().__init__(TITLE, HEADING, self.chart, actions, palette, unit, parent)
        self.verdict = QLabel(self)
        self.verdict.setObjectName("fine")
        self.verdict.setWordWrap(True)
        self.verdict.hide()
        self._words.append(self.verdict)
        self._outer.insertWidget(1, self.verdict)

    def show_data(self, data: CrossoverShown) -> None:
        """Show how far the measuring has come."""
        self.chart.show_chart(data.chart, data.text)
        self.heading.setText(data.chart.headline or HEADING)
        self.verdict.setText(data.chart.verdict)
        self.verdict.setVisible(bool(data.chart.verdict))
        self.show_state(data.chart, running=data.running, stopping=data.stopping)
