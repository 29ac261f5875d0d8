"""Keys and pointer: shortcuts, and what brings the controls back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QApplication, QWidget

# A key that is a shortcut comes as ShortcutOverride only.
_WAKING = (QEvent.Type.MouseMove, QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride)
_BUTTON_KEYS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_SLIDER_KEYS = (Qt.Key.Key_Left, Qt.Key.Key_Right)

OWN_ARROWS = "ownArrows"
"""Property of a widget that moves by arrow keys itself, so that they are no shortcuts there."""


class Keys(QObject):
    """Binds keys of a window, and tells of every key and every move of the pointer in it.

    Args:
        window: the window.
        bound: what each key does.
        wake: called when somebody uses keys or pointer.
    """

    def __init__(
        self,
        window: QWidget,
        bound: Mapping[str, Callable[[], object]],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window, self._wake = window, wake
        for key, does in bound.items():
            QShortcut(QKeySequence(key), window).activated.connect(does)
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Any move of the pointer in the window, and any key, brings the controls back.

        A button or slider that has the focus gets its own keys before the shortcuts do.
        """
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and isinstance(watched, QWidget)
            and _needs(watched, event.key())
        ):
            event.accept()
            return True
        wakes = event.type() in _WAKING
        if wakes and isinstance(watched, QWidget) and watched.window() is self._window:
            self._wake()
        return super().eventFilter(watched, event)


def _needs(widget: QWidget, key: int) -> bool:
    if widget.property(OWN_ARROWS) and key in _SLIDER_KEYS:
        return True
    if isinstance(widget, QAbstractButton):
        return key in _BUTTON_KEYS
    return isinstance(widget, QAbstractSlider) and key in _SLIDER_KEYS
