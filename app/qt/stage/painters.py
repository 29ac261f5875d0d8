"""How what always stands on the picture is drawn: one table from overlay to painter.

All measures are in units of 1 % of the picture's height; everything stands between the same left
and right column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QLinearGradient, QPainter

from twinlens.app.overlays import (
    LabelOverlay,
    Notice,
    Palette,
    StatusOverlay,
    TopOverlay,
)
from twinlens.app.qt.stage.theme import color, font

_SEMIBOLD = QFont.Weight.DemiBold
LABEL_SHARE = 7.0
LABEL_SMALLEST = 4.0
STATUS_SHARE = 2.4
ROW_SHARE = 4.6
ROW_TEXT = 2.6
_TRACK_OPACITY = 0.28


@dataclass
class Canvas:
    """Where and how overlays are drawn at this moment.

    Attributes:
        width, height: of the picture on screen, in logical pixels.
        palette: colours of the theme.
        accent: the engine's colour now (it runs from one to the next in 120 ms).
        row_places: where each class's row stands now, by class index, in rows from the top.
        rows: number of rows under the label, 0 without the top list.
    """

    width: float
    height: float
    palette: Palette
    accent: QColor
    row_places: dict[int, float]
    rows: int = 0

    @property
    def unit(self) -> float:
        """1 % of the height."""
        return self.height / 100

    @property
    def left(self) -> float:
        """The left column."""
        return 3 * self.unit

    @property
    def right(self) -> float:
        """The right column."""
        return self.width - 3 * self.unit

    @property
    def bar_width(self) -> float:
        """Width of the full confidence bar."""
        return min(self.width * 0.46, (self.right - self.left) * 0.7)

    @property
    def status_top(self) -> float:
        """Top of the status line, the lowest."""
        return self.height - 3 * self.unit - STATUS_SHARE * 1.3 * self.unit

    @property
    def bars_top(self) -> float:
        """Top of the bar, or of the top list."""
        height = self.rows * ROW_SHARE if self.rows else 4.2
        return self.status_top - (height + 1.0) * self.unit

    @property
    def label_top(self) -> float:
        """Top of the label's line."""
        return self.bars_top - (LABEL_SHARE * 1.28 + 0.6) * self.unit


def paint_scrim(painter: QPainter, canvas: Canvas) -> None:
    """The soft dark ground under all text, below and, more lightly, above."""
    palette = canvas.palette
    start = max(0.0, canvas.label_top - 16 * canvas.unit)
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
        at = QRectF(canvas.left, canvas.bars_top, canvas.bar_width, 4.2 * unit)
        _paint_bar(painter, canvas, at, overlay.confidence, overlay.confidence_text, 2.0, 3.6)


def paint_top(painter: QPainter, overlay: TopOverlay, canvas: Canvas) -> None:
    """The top list: names, bars and percentages in three columns."""
    unit = canvas.unit
    names = canvas.bar_width * 0.5
    for row in overlay.rows:
        place = canvas.row_places.get(row.index, float(overlay.rows.index(row)))
        top = canvas.bars_top + place * ROW_SHARE * unit
        area = QRectF(canvas.left, top, names, ROW_SHARE * unit)
        text, made = fitted(row.label, ROW_TEXT * unit, 2.0 * unit, names - unit)
        painter.setFont(made)
        painter.setPen(color(canvas.palette.on_picture))
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        bar = QRectF(canvas.left + names, top, canvas.bar_width * 0.75, ROW_SHARE * unit)
        _paint_bar(painter, canvas, bar, row.confidence, row.confidence_text, 1.4, ROW_TEXT)


def _paint_bar(
    painter: QPainter,
    canvas: Canvas,
    area: QRectF,
    share: float,
    text: str,
    thick: float,
    text_share: float,
) -> None:
    unit = canvas.unit
    middle = area.center().y()
    track = QRectF(area.left(), middle - thick * unit / 2, area.width(), thick * unit)
    radius = track.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color(canvas.palette.on_picture, _TRACK_OPACITY))
    painter.drawRoundedRect(track, radius, radius)
    painter.setBrush(canvas.accent)
    filled = QRectF(track)
    filled.setWidth(max(track.height(), track.width() * share))
    painter.drawRoundedRect(filled, radius, radius)
    painter.setFont(font(text_share * unit, weight=_SEMIBOLD))
    painter.setPen(color(canvas.palette.on_picture))
    number = QRectF(area.right() + unit, area.top(), 14 * unit, area.height())
    painter.drawText(
        number, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text.strip("\u2007 ")
    )


def paint_status(painter: QPainter, overlay: StatusOverlay, canvas: Canvas) -> None:
    """Who answered, on the left; how fast, on the right."""
    unit = canvas.unit
    line = QRectF(
        canvas.left, canvas.status_top, canvas.right - canvas.left, STATUS_SHARE * 1.3 * unit
    )
    painter.setPen(color(canvas.palette.on_picture))
    made = font(STATUS_SHARE * unit)
    painter.setFont(made)
    metrics = QFontMetricsF(made)
    speed = f"{overlay.fps_text}  ·  {overlay.latency_text}"
    middle = Qt.AlignmentFlag.AlignVCenter
    painter.drawText(line, Qt.AlignmentFlag.AlignRight | middle, speed)
    room = line.width() - metrics.horizontalAdvance(speed) - 3 * unit
    full = f"{overlay.who}  ·  {overlay.detail}" if overlay.detail else overlay.who
    if metrics.horizontalAdvance(full) > room:
        full = overlay.who
    text = metrics.elidedText(full, Qt.TextElideMode.ElideRight, room)
    painter.drawText(line, Qt.AlignmentFlag.AlignLeft | middle, text)


def paint_notice(painter: QPainter, overlay: Notice, canvas: Canvas) -> None:
    """A quiet line in the middle of the picture's upper part, on a pill of its own."""
    unit = canvas.unit
    if overlay.dim:
        ground = QRectF(0, 0, canvas.width, canvas.height)
        painter.fillRect(ground, color(canvas.palette.scrim, 0.62))
    made = font(2.6 * unit)
    metrics = QFontMetricsF(made)
    text = metrics.elidedText(overlay.text, Qt.TextElideMode.ElideMiddle, canvas.width * 0.7)
    width = metrics.horizontalAdvance(text) + 4 * unit
    top = canvas.height * (0.45 if overlay.dim else 0.13)
    pill = QRectF((canvas.width - width) / 2, top, width, 5.4 * unit)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color(canvas.palette.scrim, canvas.palette.scrim_opacity))
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
