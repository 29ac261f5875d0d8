"""The system's own dialogs for files, folders and a line of text."""

from __future__ import annotations

from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QWidget


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
        text, taken = QInputDialog.getText(self._parent, title, words)
        return text.strip() if taken else ""

    def password(self, title: str, words: str) -> str:
        """A line that nobody can read while it is typed."""
        hidden = QLineEdit.EchoMode.Password
        text, taken = QInputDialog.getText(self._parent, title, words, hidden)
        return text if taken else ""
