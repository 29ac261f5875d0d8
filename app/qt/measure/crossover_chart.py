"""The chart of the ladder of networks: time of an answer over multiply-adds, both logarithmic."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from twinlens.app.core.measure.crossover import GPU
from twinlens.app.overlays import Palette, engine_shape
from twinlens.app.qt.measure.bench_chart import SMALL_UNITS, TEXT_UNITS, ChartView, paint_shape
from twinlens.app.qt.stage.theme import color, font, is_light
from twinlens.app.views.crossover import CrossoverChart, Line, Mark, RungMark

PLOT_UNITS = 24.0
SHARE_UNITS = 6.0
X_TITLE = "multiply-adds of one answer"
_ROW_UNITS = 3.0
_ROWS = 5.6
"""Rows in addition to the names.

They are: engines, numbers and title of the axis, heading and numbers of shares.
"""
_LEGEND_COLUMNS = 2
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_CENTER = Qt.AlignmentFlag.AlignCenter
_SEMIBOLD = QFont.Weight.DemiBold


class CrossoverChartView(ChartView):
    """Paints a ``CrossoverChart``: lines with the mark, and the share of moving data.

    Args:
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(self, palette: Palette, unit: float, parent: QWidget | None = None) -> None:
        super().__init__(palette, unit, parent)
        self._chart = CrossoverChart()
        self.setAccessibleName("Time of an answer over the size of networks")

    def show_chart(self, chart: CrossoverChart, text: str) -> None:
        """Show a chart; ``text`` is what a screen reader says in its place."""
        self._chart = chart
        self.setAccessibleDescription(text)
        self._changed()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Engines, plot, shares, names."""
        rows = -(-len(self._chart.places) // _LEGEND_COLUMNS)
        units = PLOT_UNITS + SHARE_UNITS + (rows + _ROWS) * _ROW_UNITS
        return QSize(round(60 * self._unit), round(units * self._unit))

    def plot(self) -> QRectF:
        """Where the lines stand, in pixels."""
        unit = self._unit
        small = QFontMetricsF(font(SMALL_UNITS * unit))
        ticks = [small.horizontalAdvance(tick.text) for tick in self._chart.y_ticks]
        left = max([*ticks, 6 * unit]) + unit
        shares = [small.horizontalAdvance(p.share_text) for p in self._chart.places]
        top = 1.2 * _ROW_UNITS * unit
        right = max([*shares, unit]) + 1.2 * unit
        return QRectF(left, top, self.width() - left - right, PLOT_UNITS * unit)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint everything from top to bottom."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plot = self.plot()
        if self._chart.places:
            self._paint_grid(painter, plot)
            self._paint_key(painter, plot)
            for line in self._chart.lines:
                self._paint_line(painter, line, plot)
            if self._chart.mark is not None:
                self._paint_mark(painter, self._chart.mark, plot)
            self._paint_places(painter, plot)
        painter.end()

    def _small(self, painter: QPainter) -> QFontMetricsF:
        small = font(SMALL_UNITS * self._unit)
        painter.setFont(small)
        painter.setPen(color(self._palette.text_dim))
        return QFontMetricsF(small)

    def _strong(self, painter: QPainter) -> QFontMetricsF:
        strong = font(TEXT_UNITS * self._unit, weight=_SEMIBOLD)
        painter.setFont(strong)
        painter.setPen(color(self._palette.text))
        return QFontMetricsF(strong)

    def _paint_grid(self, painter: QPainter, plot: QRectF) -> None:
        unit = self._unit
        grid = QPen(color(self._palette.text_dim, 0.3), max(1.0, 0.1 * unit))
        metrics = self._small(painter)
        for tick in self._chart.y_ticks:
            y = plot.bottom() - tick.at * plot.height()
            painter.setPen(grid)
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            self._small(painter)
            words = QRectF(0, y - 1.5 * unit, plot.left() - unit, 3 * unit)
            painter.drawText(words, _RIGHT, tick.text)
        for tick in self._chart.x_ticks:
            x = plot.left() + tick.at * plot.width()
            painter.setPen(grid)
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
            self._small(painter)
            wide = metrics.horizontalAdvance(tick.text) + 1
            at = min(max(x - wide / 2, 0.0), self.width() - wide)
            painter.drawText(QRectF(at, plot.bottom(), wide, _ROW_UNITS * unit), _CENTER, tick.text)

        self._small(painter)
        title = QRectF(plot.left(), plot.bottom() + _ROW_UNITS * unit, plot.width(), 3 * unit)
        painter.drawText(title, _CENTER, X_TITLE)

    def _paint_key(self, painter: QPainter, plot: QRectF) -> None:
        """Engines by shape, colour and name, in a row above the plot."""
        unit, x = self._unit, plot.left()
        y = plot.top() - 0.6 * _ROW_UNITS * unit
        for line in self._chart.lines:
            metrics = self._strong(painter)
            words = QRectF(x + 2.2 * unit, y - 1.5 * unit, self.width(), 3 * unit)
            painter.drawText(words, _LEFT, line.title)
            self._paint_shape(painter, line.engine_id, QPointF(x + 0.8 * unit, y), 1.5)
            x += metrics.horizontalAdvance(line.title) + 5 * unit

    def _paint_shape(self, painter: QPainter, engine: str, at: QPointF, units: float) -> None:
        size = units * self._unit
        painter.setPen(self._edge())
        painter.setBrush(self._accent(engine))
        area = QRectF(at.x() - size / 2, at.y() - size / 2, size, size)
        paint_shape(painter, engine_shape(engine), area)

    def _paint_line(self, painter: QPainter, line: Line, plot: QRectF) -> None:
        points = [_at(plot, spot.x, spot.y) for spot in line.spots]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        thick = max(1.5, 0.3 * self._unit)
        if is_light(self._palette):
            painter.setPen(QPen(color(self._palette.text_dim), thick + 2))
            painter.drawPolyline(QPolygonF(points))
        painter.setPen(QPen(self._accent(line.engine_id), thick))
        painter.drawPolyline(QPolygonF(points))
        for point in points:
            self._paint_shape(painter, line.engine_id, point, 1.5)

    def _paint_mark(self, painter: QPainter, mark: Mark, plot: QRectF) -> None:
        unit, at = self._unit, _at(plot, mark.x, mark.y)
        ink = color(self._palette.text)
        pen = QPen(ink, max(1.0, 0.2 * unit), Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawLine(QPointF(at.x(), plot.top()), QPointF(at.x(), plot.bottom()))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink, max(1.5, 0.3 * unit)))
        painter.drawEllipse(at, 1.4 * unit, 1.4 * unit)
        metrics = self._strong(painter)
        wide = metrics.horizontalAdvance(mark.text) + unit
        # Beside the line at the plot's foot, where no engine's time is.
        left = at.x() + 0.6 * unit
        if left + wide > plot.right():
            left = at.x() - 0.6 * unit - wide
        words = QRectF(left, plot.bottom() - 3.4 * unit, wide, 3 * unit)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color(self._palette.surface, 0.85))
        painter.drawRect(words)
        painter.setPen(ink)
        painter.drawText(words, _CENTER, mark.text)

    def _paint_places(self, painter: QPainter, plot: QRectF) -> None:
        """Numbers of the networks, the share of moving data above each, and their names."""
        unit, row = self._unit, _ROW_UNITS * self._unit
        top = plot.bottom() + 2.4 * row
        shares = any(place.share is not None for place in self._chart.places)
        metrics = self._small(painter)
        if shares:
            words = "Share of the GPU’s answer in which data moves (hatched)"
            painter.drawText(QRectF(plot.left(), top, self.width(), row), _LEFT, words)
        bars = top + row
        free = 0.0
        for place in self._chart.places:
            x = plot.left() + place.x * plot.width()
            below = QRectF(x - 3 * unit, bars + SHARE_UNITS * unit, 6 * unit, row)
            if place.share is not None:
                bar = QRectF(x - 0.6 * unit, bars, 1.2 * unit, SHARE_UNITS * unit)
                self._paint_share(painter, bar, place.share)
            self._small(painter)
            painter.drawText(below, _CENTER, str(place.number))
            wide = metrics.horizontalAdvance(place.share_text)
            # Networks of nearly the same size stand close: the first one's figure is shown.
            if place.share_text and x + unit >= free:
                words_at = QRectF(x + unit, bars, wide + 1, SHARE_UNITS * unit)
                if not self._crowded(place, wide, plot):
                    painter.drawText(words_at, _LEFT, place.share_text)
                    free = words_at.right() + 0.5 * unit
        self._paint_names(painter, bars + SHARE_UNITS * unit + row)

    def _crowded(self, place: RungMark, wide: float, plot: QRectF) -> bool:
        """Whether the next bar stands where this one's figure would."""
        unit = self._unit
        nexts = [p.x for p in self._chart.places if p.number == place.number + 1]
        return bool(nexts) and (nexts[0] - place.x) * plot.width() < wide + 2 * unit

    def _paint_share(self, painter: QPainter, bar: QRectF, share: float) -> None:
        accent = self._accent(GPU)
        edge = QPen(accent, max(1.0, 0.15 * self._unit))
        painter.setPen(edge)
        painter.setBrush(_faint(accent))
        painter.drawRect(bar)
        moved = QRectF(bar)
        moved.setTop(bar.bottom() - share * bar.height())
        painter.setBrush(color(self._palette.surface))
        painter.drawRect(moved)
        hatch = painter.brush()
        hatch.setColor(accent)
        hatch.setStyle(Qt.BrushStyle.BDiagPattern)
        painter.setBrush(hatch)
        painter.drawRect(moved)

    def _paint_names(self, painter: QPainter, top: float) -> None:
        row = _ROW_UNITS * self._unit
        metrics = self._small(painter)
        rows = -(-len(self._chart.places) // _LEGEND_COLUMNS)
        wide = self.width() / _LEGEND_COLUMNS
        for place in self._chart.places:
            column, line = divmod(place.number - 1, rows)
            area = QRectF(column * wide, top + line * row, wide - self._unit, row)
            words = f"{place.number}  {place.title}"
            shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, area.width())
            painter.drawText(area, _LEFT, shown)


def _at(plot: QRectF, x: float, y: float) -> QPointF:
    return QPointF(plot.left() + x * plot.width(), plot.bottom() - y * plot.height())


def _faint(accent: QColor) -> QColor:
    made = QColor(accent)
    made.setAlphaF(0.35)
    return made
