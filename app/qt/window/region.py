"""Lets a person draw a frame around a part of the screen."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QWidget

from twinlens.app.qt.stage.theme import color, font

_HIDDEN_MS = 250
"""How long a window manager gets to take the window off the screen before that is looked at."""
_SMALLEST = 32
_STEP = 16
_HINT = "Drag a frame, or move it with the arrows (Shift: its size). Enter takes it, Esc leaves."


class RegionPicker(QWidget):
    """The screen as it is, dimmed but for the frame.

    Args:
        picture: what is on the screen.

    Signals:
        done: the frame in logical pixels, empty where a person changed their mind.
    """

    done = Signal(QRect)

    def __init__(self, picture: QPixmap, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window | Qt.WindowType.FramelessWindowHint)
        self.setAccessibleName("Part of the screen")
        self.setAccessibleDescription(_HINT)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._picture, self._from = picture, QPoint()
        self.frame = QRect()

    def start(self, area: QRect) -> None:
        """Show it over a screen, a frame of half its size in the middle."""
        self.setGeometry(area)
        self.frame = QRect(QPoint(0, 0), area.size() / 2)
        self.frame.moveCenter(QRect(QPoint(0, 0), area.size()).center())
        self.showFullScreen()
        self.activateWindow()
        self.setFocus()

    def _end(self, frame: QRect) -> None:
        self.hide()
        self.done.emit(frame)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Begin a frame."""
        self._from = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag its other corner."""
        here, start = event.position().toPoint(), self._from
        # By hand: what `normalized` makes of a rectangle to the left is one pixel off.
        corner = QPoint(min(here.x(), start.x()), min(here.y(), start.y()))
        size = QSize(abs(here.x() - start.x()), abs(here.y() - start.y()))
        self.frame = QRect(corner, size) & self.rect()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take it, unless it was a mere click."""
        far = (event.position().toPoint() - self._from).manhattanLength() >= _SMALLEST
        if far and min(self.frame.width(), self.frame.height()) >= _SMALLEST:
            self._end(self.frame)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Move or size it by arrows, take it, or leave."""
        ways = {
            Qt.Key.Key_Left: QPoint(-_STEP, 0),
            Qt.Key.Key_Right: QPoint(_STEP, 0),
            Qt.Key.Key_Up: QPoint(0, -_STEP),
            Qt.Key.Key_Down: QPoint(0, _STEP),
        }
        way = ways.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape:
            self._end(QRect())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._end(self.frame)
        elif way is not None and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            size = self.frame.size() + QSize(way.x(), way.y())
            self.frame.setSize(size.expandedTo(QSize(_SMALLEST, _SMALLEST)))
            self.frame &= self.rect()
            self.update()
        elif way is not None:
            moved = self.frame.translated(way)
            if self.rect().contains(moved):
                self.frame = moved
                self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the screen, darker outside the frame, and one line of what to do."""
        del event
        painter = QPainter(self)
        painter.drawPixmap(self.rect(), self._picture)
        for x, y, width, height in _around(self.rect(), self.frame):
            painter.fillRect(x, y, width, height, color("#0E1116", 0.6))
        painter.setPen(QPen(QColor("#FFFFFF"), 2))
        painter.drawRect(self.frame)
        painter.setFont(font(max(14.0, self.height() * 0.024)))
        line = self.rect().adjusted(0, round(self.height() * 0.03), 0, 0)
        painter.drawText(line, Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap, _HINT)
        painter.end()


def _around(all_of: QRect, frame: QRect) -> list[tuple[int, int, int, int]]:
    """The four rectangles around a frame."""
    below, right = frame.y() + frame.height(), frame.x() + frame.width()
    return [
        (0, 0, all_of.width(), frame.y()),
        (0, below, all_of.width(), all_of.height() - below),
        (0, frame.y(), frame.x(), frame.height()),
        (right, frame.y(), all_of.width() - right, frame.height()),
    ]


def region_text(frame: QRect, origin: QPoint, ratio: float) -> str:
    """A frame of a screen as sources name it; empty for an empty one.

    Args:
        frame: in logical pixels of that screen.
        origin: where the screen begins, in logical pixels.
        ratio: real pixels of a logical one.
    """
    if frame.isEmpty():
        return ""
    places = (
        frame.x() + origin.x(),
        frame.y() + origin.y(),
        frame.width(),
        frame.height(),
    )
    return ",".join(str(round(place * ratio)) for place in places)


def pick_region(window: QWidget, picked: Callable[[str], object]) -> None:
    """Let a person frame a part of the window's screen, the window being out of the way.

    Args:
        window: hidden meanwhile.
        picked: called with the region as sources name it; empty where none was chosen.
    """
    screen = window.screen() or QGuiApplication.primaryScreen()
    full = window.isFullScreen()
    window.hide()

    def look() -> None:
        area = screen.geometry()
        picker = RegionPicker(screen.grabWindow(0), window)

        def done(frame: QRect) -> None:
            picker.deleteLater()
            window.showFullScreen() if full else window.show()
            window.activateWindow()
            picked(region_text(frame, area.topLeft(), screen.devicePixelRatio()))

        picker.done.connect(done)
        picker.start(area)

    QTimer.singleShot(_HIDDEN_MS, window, look)
