"""The bar chart of a comparison: how engines, precisions and threads compare, at a glance."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from twinlens.app.overlays import Palette, engine_color, engine_shape
from twinlens.app.qt.stage.theme import color, font, is_light
from twinlens.app.views.bench import BenchBar, BenchChart, BenchGroup

GROUP_UNITS = 5.2
BAR_UNITS = 4.0
TEXT_UNITS = 2.4
SMALL_UNITS = 2.4
_THICK_UNITS = 1.9
_SEMIBOLD = QFont.Weight.DemiBold
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_WIDEST_VALUE = "0000 ms"
_NOTE_HEAD = "agrees with fp32"
_EMPTY = BenchChart((), "", ())


class ChartView(QWidget):
    """A chart that is sized in units.

    Args:
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(self, palette: Palette, unit: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._palette, self._unit = palette, unit

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and another unit."""
        self._palette, self._unit = palette, unit
        self._changed()

    def _changed(self) -> None:
        self.setMinimumHeight(self.sizeHint().height())
        self.updateGeometry()
        self.update()

    def _accent(self, engine_id: str) -> QColor:
        return color(engine_color(engine_id))

    def _edge(self) -> QPen:
        """Around what has an engine's colour: one shade does for both themes, with a line on white.

        WCAG 2.2, 1.4.11: graphics need 3:1 against what is next to them.
        """
        if not is_light(self._palette):
            return QPen(Qt.PenStyle.NoPen)
        return QPen(color(self._palette.text_dim), max(1.0, 0.15 * self._unit))


class BenchChartView(ChartView):
    """Paints a ``BenchChart``: a heading an engine, a bar a case, sized in units.

    Args:
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(self, palette: Palette, unit: float, parent: QWidget | None = None) -> None:
        super().__init__(palette, unit, parent)
        self._chart = _EMPTY
        self.setAccessibleName("Times of all engines")

    def show_chart(self, chart: BenchChart, text: str) -> None:
        """Show a chart; ``text`` is what a screen reader says in its place."""
        self._chart = chart
        self.setAccessibleDescription(text)
        self._changed()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As high as its rows."""
        bars = sum(len(group.bars) for group in self._chart.groups)
        units = len(self._chart.groups) * GROUP_UNITS + bars * BAR_UNITS + 1
        return QSize(round(60 * self._unit), round(units * self._unit))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the groups from top to bottom."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top, columns = 0.0, self._columns()
        for group in self._chart.groups:
            self._paint_heading(painter, group, top)
            top += GROUP_UNITS * self._unit
            accent = self._accent(group.engine_id)
            for bar in group.bars:
                area = QRectF(0, top, self.width(), BAR_UNITS * self._unit)
                self._paint_bar(painter, bar, accent, area, columns)
                top += BAR_UNITS * self._unit
        painter.end()

    def _columns(self) -> tuple[float, float, float]:
        """Where bars begin, the length of the longest, and where the column of times ends."""
        unit = self._unit
        plain, strong = QFontMetricsF(font(TEXT_UNITS * unit)), self._strong()
        small = QFontMetricsF(font(SMALL_UNITS * unit))
        bars = [bar for group in self._chart.groups for bar in group.bars]
        labels = max((plain.horizontalAdvance(bar.label) for bar in bars), default=0.0)
        notes = max((small.horizontalAdvance(bar.note) for bar in bars), default=0.0)
        left = labels + 2 * unit
        value = QFontMetricsF(strong).horizontalAdvance(_WIDEST_VALUE)
        times = self.width() - notes - (2 * unit if notes else 0)
        return left, max(4 * unit, times - value - 1.5 * unit - left), times

    def _strong(self) -> QFont:
        return font(TEXT_UNITS * self._unit, weight=_SEMIBOLD)

    def _paint_heading(self, painter: QPainter, group: BenchGroup, top: float) -> None:
        unit = self._unit
        line = QRectF(0, top + 0.8 * unit, self.width(), (GROUP_UNITS - 0.8) * unit)
        mark = QRectF(0, line.center().y() - 0.7 * unit, 1.4 * unit, 1.4 * unit)
        painter.setPen(self._edge())
        painter.setBrush(self._accent(group.engine_id))
        paint_shape(painter, engine_shape(group.engine_id), mark)
        compared = any(bar.note for bar in group.bars)
        if compared:
            painter.setFont(font(SMALL_UNITS * unit))
            painter.setPen(color(self._palette.text_dim))
            painter.drawText(line, _RIGHT, _NOTE_HEAD)
        painter.setFont(self._strong())
        painter.setPen(color(self._palette.text))
        words = line.adjusted(2.4 * unit, 0, 0, 0)
        painter.drawText(words, _LEFT, group.title)
        used = QFontMetricsF(self._strong()).horizontalAdvance(group.title) + 1.4 * unit
        small = font(SMALL_UNITS * unit)
        painter.setFont(small)
        painter.setPen(color(self._palette.text_dim))
        room = QFontMetricsF(small).horizontalAdvance(_NOTE_HEAD) + 2 * unit if compared else 0
        rest = words.adjusted(used, 0, -room, 0)
        shown = QFontMetricsF(small).elidedText(
            group.detail, Qt.TextElideMode.ElideRight, rest.width()
        )
        painter.drawText(rest, _LEFT, shown)

    def _paint_bar(
        self,
        painter: QPainter,
        bar: BenchBar,
        accent: QColor,
        area: QRectF,
        columns: tuple[float, float, float],
    ) -> None:
        unit, (left, longest, times) = self._unit, columns
        painter.setFont(font(TEXT_UNITS * unit))
        painter.setPen(color(self._palette.text))
        if not bar.value_text:
            painter.setPen(color(self._palette.text_dim))
        painter.drawText(area, _LEFT, bar.label)
        thick = _THICK_UNITS * unit
        filled = QRectF(left, area.center().y() - thick / 2, longest * bar.share, thick)
        painter.setPen(self._edge())
        painter.setBrush(accent)
        if bar.share > 0:
            painter.drawRoundedRect(filled, 0.4 * unit, 0.4 * unit)
            painter.setPen(Qt.PenStyle.NoPen)
            end = left + longest * bar.p95_share
            line = QRectF(filled.right(), area.center().y() - 0.15 * unit, 0, 0.3 * unit)
            line.setRight(max(line.left(), end))
            painter.drawRect(line)
            if bar.cut:
                self._paint_cut(painter, filled)
        painter.setFont(self._strong() if bar.best else font(TEXT_UNITS * unit))
        painter.setPen(color(self._palette.text))
        column = QRectF(area.left(), area.top(), times, area.height())
        painter.drawText(column, _RIGHT, bar.value_text)
        painter.setFont(font(SMALL_UNITS * unit))
        painter.setPen(color(self._palette.text_dim))
        painter.drawText(area, _RIGHT, bar.note)

    def _paint_cut(self, painter: QPainter, filled: QRectF) -> None:
        """Two slanted gaps near the end: the bar is longer than there is room."""
        unit = self._unit
        painter.setBrush(color(self._palette.surface))
        for gap in (3.0, 4.4):
            at, lean = filled.right() - gap * unit, 0.5 * unit
            top, bottom = filled.top() - 1, filled.bottom() + 1
            corners = (
                QPointF(at + lean, top),
                QPointF(at + lean + 0.6 * unit, top),
                QPointF(at - lean + 0.6 * unit, bottom),
                QPointF(at - lean, bottom),
            )
            painter.drawPolygon(QPolygonF(corners))


def paint_shape(painter: QPainter, shape: str, area: QRectF) -> None:
    """Paint an engine's shape with the painter's brush, so that colour never stands alone."""
    if shape == "circle":
        painter.drawEllipse(area)
    elif shape == "diamond":
        middle = area.center()
        corners = (
            QPointF(middle.x(), area.top()),
            QPointF(area.right(), middle.y()),
            QPointF(middle.x(), area.bottom()),
            QPointF(area.left(), middle.y()),
        )
        painter.drawPolygon(QPolygonF(corners))
    elif shape == "triangle":
        tip = QPointF(area.center().x(), area.top())
        painter.drawPolygon(QPolygonF((tip, area.bottomRight(), area.bottomLeft())))
    else:
        painter.drawRect(area)
