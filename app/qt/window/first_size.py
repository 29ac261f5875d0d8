"""How large the first window is, and where: whole on the screen, with its title bar."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize

WANTED = QSize(1280, 720)
TITLE_BAR = 40
EDGE = 8
"""Room for a window manager's frame where it is not known yet, in logical pixels."""


def first_place(available: QRect, wanted: QSize = WANTED) -> QRect:
    """Where the inside of the first window stands.

    Args:
        available: what of the screen is free, in logical pixels.
        wanted: the size where there is room; its shape is kept where there is less.
    """
    room = QSize(available.width() - 2 * EDGE, available.height() - TITLE_BAR - EDGE)
    share = min(1.0, room.width() / wanted.width(), room.height() / wanted.height())
    size = QSize(round(wanted.width() * share), round(wanted.height() * share))
    spare = room - size
    left = available.x() + EDGE + spare.width() // 2
    top = available.y() + TITLE_BAR + spare.height() // 2
    return QRect(QPoint(left, top), size)
