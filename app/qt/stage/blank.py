"""A black picture over everything, as a clicker's blank key asks for it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget


class Blank(QWidget):
    """Covers what it stands on while it is shown; what lies below goes on."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._covers = parent
        self.setAccessibleName("Blank")
        self.setCursor(Qt.CursorShape.BlankCursor)
        self.hide()

    def toggle(self) -> None:
        """Cover everything, or show it again."""
        if self.isVisible():
            self.hide()
        else:
            self.lay_out()
            self.show()
            self.raise_()

    def lay_out(self) -> None:
        """Fit the size of what it covers."""
        self.setGeometry(self._covers.rect())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint black."""
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        painter.end()
