"""What a view in the drawer draws itself on."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QWidget

from twinlens.app.overlays import Palette
from twinlens.app.qt.sheets.sheets import Panel


class ViewPanel(Panel):
    """A panel that is made empty and then shows one snapshot after another.

    Args:
        actions: what its buttons do; each view's desk has its own kind, None where it has none.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    def __init__(self, actions: Any, palette: Palette, unit: float, parent: QWidget) -> None:
        super().__init__(parent)
        del actions, palette, unit

    def show_data(self, data: Any) -> None:
        """Show a snapshot of the view, in place of the one before."""
        raise NotImplementedError
