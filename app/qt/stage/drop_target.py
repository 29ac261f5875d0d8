"""The whole window as a target: what a drop would do, over everything else."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from twinlens.app.core.setup.recognition import Dropped, Kind
from twinlens.app.overlays import Palette
from twinlens.app.overlays.places import unit_of
from twinlens.app.qt.stage.theme import color, font

_GROUND_OPACITY = 0.92  # a sheet may be open below


class DropTarget(QWidget):
    """Shown while something hovers over the window.

    Args:
        palette: colours of the theme.
        parent: what it covers.
    """

    def __init__(self, palette: Palette, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._palette, self._covers = palette, parent
        self._path: Path | None = None
        self._dropped: Dropped | None = None
        self._summary = self._hint = ""
        self.hide()

    @property
    def dropped(self) -> Dropped | None:
        """What hovers; None also while that is not known yet."""
        return self._dropped

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self.update()

    def show_path(self, path: Path) -> None:
        """Show that something hovers that is being looked at."""
        self._path, self._dropped = path, None
        self._show(f"Looking at {path.name} …", "")

    def show_dropped(self, path: Path, dropped: Dropped) -> None:
        """Show what a drop would do, unless something else hovers by now, or nothing.

        Args:
            path: what was looked at; ``dropped`` may mean a file in it.
            dropped: what it is.
        """
        if path == self._path:
            self._dropped = dropped
            self._show(dropped.summary, dropped.hint)

    def clear(self) -> None:
        """Take the target away."""
        self._path = self._dropped = None
        self.hide()

    def _show(self, summary: str, hint: str) -> None:
        self._summary, self._hint = summary, hint
        self.setAccessibleName(summary)
        self.setGeometry(self._covers.rect())
        self.show()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint ground, dashed edge, and one large line with a smaller one below."""
        del event
        unit, area = unit_of(self.width(), self.height()), QRectF(self.rect())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(area, color(self._palette.scrim, _GROUND_OPACITY))
        taken = self._dropped is None or self._dropped.kind is not Kind.NOTHING
        edge = self._palette.on_picture if taken else self._palette.warning
        pen = QPen(color(edge, 0.85), 0.4 * unit)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        inset = 1.5 * unit
        painter.drawRoundedRect(area.adjusted(inset, inset, -inset, -inset), 2 * unit, 2 * unit)
        self._paint_words(painter, area.adjusted(8 * unit, 0, -8 * unit, 0), unit)
        painter.end()

    def _paint_words(self, painter: QPainter, area: QRectF, unit: float) -> None:
        wrapped = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        large, small = font(4.2 * unit), font(2.4 * unit)
        summary, hint = self._summary, self._hint
        head = QFontMetricsF(large).boundingRect(area, int(wrapped), summary).height()
        tail = QFontMetricsF(small).boundingRect(area, int(wrapped), hint).height() if hint else 0.0
        top = area.center().y() - (head + tail + unit) / 2
        painter.setPen(color(self._palette.on_picture))
        painter.setFont(large)
        painter.drawText(QRectF(area.left(), top, area.width(), head), wrapped, summary)
        painter.setFont(small)
        low = QRectF(area.left(), top + head + unit, area.width(), tail)
        painter.drawText(low, wrapped, hint)
