"""How what always stands on the picture is drawn: one table from overlay to painter.

All measures are in units of 1 % of the shorter side; what is said of the answer stands in the
label block, whose place is `app.overlays.places`'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QLinearGradient, QPainter, QPen

from twinlens.app.overlays import (
    LabelOverlay,
    Notice,
    Palette,
    StatusOverlay,
    TopOverlay,
)
from twinlens.app.overlays.places import Places, places
from twinlens.app.qt.stage.theme import color, font

_SEMIBOLD = QFont.Weight.DemiBold
LABEL_SHARE = 7.0
LABEL_SMALLEST = 4.0
STATUS_SHARE = 2.4
SPEED_SHARE = 4.2
STATUS_LINE = 4.8
BAR_LINE = 4.2
ROW_SHARE = 4.6
ROW_TEXT = 2.6
NUMBER_UNITS = 12.0
"""The column of percentages, right of the bars."""
PILL_OPACITY = 0.82
_RESTING = 0.55
_NAMES = 0.42
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


@dataclass
class Canvas:
    """Where and how overlays are drawn at this moment.

    Attributes:
        width, height: of the picture on screen, in logical pixels.
        palette: colours of the theme.
        accent: the engine's colour now (it runs from one to the next in 120 ms).
        row_places: where each class's bar stands now, by class index, in rows from the top.
        rows: number of rows under the label, 0 without the top list.
        drawer: something stands in the drawer.
    """

    width: float
    height: float
    palette: Palette
    accent: QColor
    row_places: dict[int, float]
    rows: int = 0
    drawer: bool = False

    @cached_property
    def places(self) -> Places:
        """Where everything stands."""
        return places(max(1.0, self.width), max(1.0, self.height), drawer=self.drawer)

    @property
    def unit(self) -> float:
        """1 % of the shorter side."""
        return self.places.unit

    @property
    def left(self) -> float:
        """The label block's left edge."""
        return self.places.label.x

    @property
    def right(self) -> float:
        """The label block's right edge."""
        return self.places.label.right

    @property
    def bar_width(self) -> float:
        """Width of the full confidence bar."""
        return min(
            (self.right - self.left) * 0.8, self.right - self.left - NUMBER_UNITS * self.unit
        )

    @property
    def status_top(self) -> float:
        """Top of the status line, the lowest."""
        return self.places.label.bottom - STATUS_LINE * self.unit

    @property
    def bars_top(self) -> float:
        """Top of the bar, or of the top list."""
        height = self.rows * ROW_SHARE if self.rows else BAR_LINE
        return self.status_top - (height + 0.6) * self.unit

    @property
    def label_top(self) -> float:
        """Top of the label's line."""
        return self.bars_top - (LABEL_SHARE * 1.28 + 0.2) * self.unit


def paint_scrim(painter: QPainter, canvas: Canvas) -> None:
    """The soft dark ground under all text, below and, more lightly, above."""
    palette = canvas.palette
    start = max(0.0, canvas.label_top - 14 * canvas.unit)
    gradient = QLinearGradient(0, start, 0, canvas.height)
    text_from = (canvas.label_top - start) / max(1.0, canvas.height - start)
    # Eased, since the eye sees an edge where a straight ramp begins.
    for share, part in ((0.0, 0.0), (0.3, 0.08), (0.6, 0.42), (0.85, 0.86)):
        opacity = palette.scrim_opacity * part
        gradient.setColorAt(min(0.95, text_from) * share, color(palette.scrim, opacity))
    gradient.setColorAt(min(0.95, text_from), color(palette.scrim, palette.scrim_opacity))
    gradient.setColorAt(1, color(palette.scrim, min(1.0, palette.scrim_opacity + 0.08)))
    painter.fillRect(QRectF(0, start, canvas.width, canvas.height - start), gradient)


def fitted(text: str, size: float, smallest: float, width: float) -> tuple[str, QFont]:
    """Text and a font with which it fits the width: smaller first, then cut with an ellipsis."""
    while True:
        made = font(size, weight=_SEMIBOLD)
        metrics = QFontMetricsF(made)
        if metrics.horizontalAdvance(text) <= width:
            return text, made
        if size <= smallest:
            return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width), made
        size = max(smallest, size * 0.92)


def paint_label(painter: QPainter, overlay: LabelOverlay, canvas: Canvas) -> None:
    """The label, and its bar where there is no top list."""
    unit, width = canvas.unit, canvas.right - canvas.left
    guess_width = width * 0.35 if overlay.guess else 0
    text, made = fitted(
        overlay.label, LABEL_SHARE * unit, LABEL_SMALLEST * unit, width - guess_width
    )
    line = QRectF(canvas.left, canvas.label_top, width, LABEL_SHARE * 1.28 * unit)
    painter.save()
    painter.setOpacity(_RESTING if overlay.resting else 1.0)
    left_bottom = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    painter.setFont(made)
    painter.setPen(color(canvas.palette.on_picture, 1.0 if overlay.sure else 0.85))
    painter.drawText(line, left_bottom, text)
    if overlay.guess:
        used = QFontMetricsF(made).horizontalAdvance(text) + 2 * unit
        rest = line.adjusted(used, 2.2 * unit, 0, 0)
        small, made = fitted(overlay.guess, 3.2 * unit, 2.4 * unit, rest.width())
        painter.setFont(made)
        painter.drawText(rest, left_bottom, small)
    if not canvas.rows:
        at = QRectF(canvas.left, canvas.bars_top, canvas.bar_width, BAR_LINE * unit)
        _paint_bar(painter, canvas, at, overlay.confidence, 2.0)
        _paint_number(painter, canvas, at, overlay.confidence_text, 3.6)
    painter.restore()
    if overlay.resting:
        painter.setFont(font(ROW_TEXT * unit, weight=_SEMIBOLD))
        painter.setPen(color(canvas.palette.on_picture))
        painter.drawText(_status_line(canvas), Qt.AlignmentFlag.AlignLeft | _MIDDLE, "measuring")


def paint_top(painter: QPainter, overlay: TopOverlay, canvas: Canvas) -> None:
    """The top list: names, bars and percentages in three columns.

    Bars slide to their new places. Names and numbers are there at once: sliding, they would be
    painted through each other.
    """
    unit, high = canvas.unit, ROW_SHARE * canvas.unit
    names = canvas.bar_width * _NAMES
    for place, row in enumerate(overlay.rows):
        top = canvas.bars_top + canvas.row_places.get(row.index, float(place)) * high
        bar = QRectF(canvas.left + names, top, canvas.bar_width - names, high)
        _paint_bar(painter, canvas, bar, row.confidence, 1.4)
    for place, row in enumerate(overlay.rows):
        line = QRectF(canvas.left, canvas.bars_top + place * high, canvas.bar_width, high)
        text, made = fitted(row.label, ROW_TEXT * unit, 2.0 * unit, names - unit)
        painter.setFont(made)
        painter.setPen(color(canvas.palette.on_picture))
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | _MIDDLE, text)
        _paint_number(painter, canvas, line, row.confidence_text, ROW_TEXT)


def _paint_bar(
    painter: QPainter,
    canvas: Canvas,
    area: QRectF,
    share: float,
    thick: float,
) -> None:
    unit = canvas.unit
    middle = area.center().y()
    track = QRectF(area.left(), middle - thick * unit / 2, area.width(), thick * unit)
    radius = track.height() / 2
    # The line shows where the bar could end also where the ground is as dark as the track.
    painter.setPen(QPen(color(canvas.palette.on_picture, 0.22), max(1.0, 0.15 * unit)))
    painter.setBrush(color(canvas.palette.track, canvas.palette.track_opacity))
    painter.drawRoundedRect(track, radius, radius)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(canvas.accent)
    filled = QRectF(track)
    filled.setWidth(max(track.height(), track.width() * share))
    painter.drawRoundedRect(filled, radius, radius)


def _paint_number(
    painter: QPainter, canvas: Canvas, area: QRectF, text: str, text_share: float
) -> None:
    """A percentage at the right of a bar, all of them in one right-aligned column."""
    painter.setFont(font(text_share * canvas.unit, weight=_SEMIBOLD))
    painter.setPen(color(canvas.palette.on_picture))
    column = QRectF(area.right(), area.top(), NUMBER_UNITS * canvas.unit, area.height())
    painter.drawText(column, Qt.AlignmentFlag.AlignRight | _MIDDLE, text.strip("\u2007 "))


def _status_line(canvas: Canvas) -> QRectF:
    width = canvas.right - canvas.left
    return QRectF(canvas.left, canvas.status_top, width, STATUS_LINE * canvas.unit)


def paint_status(painter: QPainter, overlay: StatusOverlay, canvas: Canvas) -> None:
    """Who answered and, large beside the name, how fast; then what of, as far as there is room."""
    unit, line = canvas.unit, _status_line(canvas)
    painter.setPen(color(canvas.palette.on_picture))
    largest = QFontMetricsF(font(SPEED_SHARE * unit, weight=_SEMIBOLD))
    base = line.center().y() + (largest.ascent() - largest.descent()) / 2
    parts = (
        (overlay.engine, ROW_TEXT, _SEMIBOLD),
        (overlay.latency_text, SPEED_SHARE, _SEMIBOLD),
        (overlay.fps_text, ROW_TEXT, _SEMIBOLD),
    )
    for text, share, weight in parts:
        made = font(share * unit, weight=weight)
        wide = QFontMetricsF(made).horizontalAdvance(text)
        _on_one_line(painter, QPointF(line.left(), base), made, text)
        line.setLeft(line.left() + wide + (2.2 * unit if text else 0))
    made = font(STATUS_SHARE * unit)
    metrics = QFontMetricsF(made)
    full = f"{overlay.model}  ·  {overlay.detail}" if overlay.detail else overlay.model
    if metrics.horizontalAdvance(full) > line.width():
        full = overlay.model
    text = metrics.elidedText(full, Qt.TextElideMode.ElideRight, max(0.0, line.width()))
    _on_one_line(painter, QPointF(line.left(), base), made, text)


def _on_one_line(painter: QPainter, at: QPointF, made: QFont, text: str) -> None:
    """Words of any size, their base lines level."""
    painter.setFont(made)
    painter.drawText(at, text)


def paint_notice(painter: QPainter, overlay: Notice, canvas: Canvas) -> None:
    """A quiet line on a pill of its own in the slot for messages, or on a dimmed picture."""
    unit, slot = canvas.unit, canvas.places.message
    made = font(2.6 * unit)
    metrics = QFontMetricsF(made)
    room = canvas.width * 0.7 if overlay.dim else slot.width - 4 * unit
    text = metrics.elidedText(overlay.text, Qt.TextElideMode.ElideMiddle, room)
    width, high = metrics.horizontalAdvance(text) + 4 * unit, 5.4 * unit
    pill = QRectF(slot.x, slot.y, width, high)
    if overlay.dim:
        ground = QRectF(0, 0, canvas.width, canvas.height)
        painter.fillRect(ground, color(canvas.palette.scrim, 0.62))
        pill = QRectF((canvas.width - width) / 2, canvas.height * 0.45, width, high)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color(canvas.palette.scrim, PILL_OPACITY))
    painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
    painter.setFont(made)
    painter.setPen(color(canvas.palette.on_picture))
    painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, text)


Painter = Callable[[QPainter, Any, Canvas], None]
"""Draws a record of one type on the canvas."""

PAINTERS: dict[type, Painter] = {
    LabelOverlay: paint_label,
    StatusOverlay: paint_status,
    Notice: paint_notice,
}
