"""Names by which the style sheet knows a widget, changed while it is shown."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


def rename(widget: QWidget, name: str) -> None:
    """Give a widget another name for the style sheet, and have it styled anew."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
