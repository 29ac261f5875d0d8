"""The thin line on top that moves while something is loaded."""

from __future__ import annotations

from PySide6.QtCore import QElapsedTimer, QRectF, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from twinlens.app.overlays import Palette
from twinlens.app.qt.stage.theme import color

_LAP_MS = 1400
_TICK_MS = 33


class ProgressLine(QWidget):
    """Shows that something is going on, without claiming to know how long it takes."""

    def __init__(self, palette: Palette, parent: QWidget) -> None:
        super().__init__(parent)
        self._palette = palette
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Loading")
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self.update)
        self.hide()

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self.update()

    def set_busy(self, busy: bool) -> None:
        """Show or hide the line."""
        if busy == self._timer.isActive():
            return
        self.setVisible(busy)
        if busy:
            self.raise_()
            self._clock.start()
            self._timer.start()
        else:
            self._timer.stop()

    @property
    def busy(self) -> bool:
        """Whether the line is shown."""
        return self._timer.isActive()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint a piece that runs from left to right."""
        del event
        painter = QPainter(self)
        share = (self._clock.elapsed() % _LAP_MS) / _LAP_MS
        width = self.width() * 0.3
        left = share * (self.width() + width) - width
        painter.fillRect(self.rect(), color(self._palette.on_picture, 0.25))
        painter.fillRect(QRectF(left, 0, width, self.height()), color(self._palette.on_picture))
        painter.end()
