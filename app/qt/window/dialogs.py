"""The system's own dialogs for files, folders and a line of text."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QWidget

from twinlens.app.qt.window.region import pick_region

_TEXT_WIDTH = 560
"""Of a dialog for a line of text, in logical pixels: an address and the dialog's title fit."""


class Dialogs:
    """Asks a person, and waits; each answer is empty where they changed their mind.

    Args:
        parent: the window that the dialogs belong to.
    """

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent

    def file(self, title: str, names: str) -> str:
        """A file; ``names`` is Qt's filter of names."""
        path, _ = QFileDialog.getOpenFileName(self._parent, title, "", names)
        return path

    def folder(self, title: str) -> str:
        """A folder."""
        return QFileDialog.getExistingDirectory(self._parent, title)

    def text(self, title: str, words: str) -> str:
        """A line of text, without spaces around it."""
        return self._line(title, words, QLineEdit.EchoMode.Normal).strip()

    def password(self, title: str, words: str) -> str:
        """A line that nobody can read while it is typed."""
        return self._line(title, words, QLineEdit.EchoMode.Password)

    def _line(self, title: str, words: str, echo: QLineEdit.EchoMode) -> str:
        dialog = QInputDialog(self._parent)
        dialog.setWindowTitle(title)
        dialog.setLabelText(words)
        dialog.setTextEchoMode(echo)
        dialog.resize(_TEXT_WIDTH, dialog.sizeHint().height())
        taken = dialog.exec()
        text = dialog.textValue()
        dialog.deleteLater()
        return text if taken else ""

    def region(self, picked: Callable[[str], object]) -> None:
        """A part of the screen."""
        pick_region(self._parent, picked)
