"""Keys: shortcuts, and which of them a widget that has the focus needs for itself.

Qt asks nobody here about an event: shortcuts are kept apart by switching those off that the
focused widget needs. A filter on the application would see every event in Python, of widgets half
built as well, and wait for the interpreter's lock each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QApplication, QWidget

from twinlens.app.qt.stage.theme import OWN_ARROWS

_BUTTON_KEYS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_SLIDER_KEYS = (Qt.Key.Key_Left, Qt.Key.Key_Right)


class Keys(QObject):
    """Binds keys of a window.

    Args:
        window: the window.
        bound: what each key does.
        wake: called when a key is a shortcut, or takes the focus elsewhere in the window.
    """

    def __init__(
        self,
        window: QWidget,
        bound: Mapping[str, Callable[[], object]],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window, self._wake = window, wake
        self._had_focus = False
        self._shared: list[tuple[Qt.Key, QShortcut]] = []
        # With a modifier, none of these keys is a button's or slider's.
        taken = {QKeySequence(key).toString(): key for key in (*_BUTTON_KEYS, *_SLIDER_KEYS)}
        for text, does in bound.items():
            keys = QKeySequence(text)
            shortcut = QShortcut(keys, window)
            shortcut.activated.connect(wake)
            shortcut.activated.connect(does)
            if keys.toString() in taken:
                self._shared.append((taken[keys.toString()], shortcut))
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_moved)

    # Without the widgets that the signal names: one of them may be half gone already.
    def _focus_moved(self) -> None:
        """A button or slider that has the focus gets its own keys, not the shortcuts."""
        focused = QApplication.focusWidget()
        inside = focused is not None and focused.window() is self._window
        for key, shortcut in self._shared:
            shortcut.setEnabled(focused is None or not inside or not _needs(focused, key))
        # The first focus is the window's own, when it comes to the front.
        if inside and self._had_focus:
            self._wake()
        self._had_focus = inside


def _needs(widget: QWidget, key: int) -> bool:
    if widget.property(OWN_ARROWS) and key in _SLIDER_KEYS:
        return True
    if isinstance(widget, QAbstractButton):
        return key in _BUTTON_KEYS
    return isinstance(widget, QAbstractSlider) and key in _SLIDER_KEYS
