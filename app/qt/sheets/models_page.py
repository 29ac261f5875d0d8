"""The page of models: what the catalog has, and buttons to fetch, use and remove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from twinlens.app.overlays import Palette
from twinlens.app.qt.sheets.sheets import Panel
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import sheet_style
from twinlens.app.views.models import ModelAction, ModelLine

_WIDTH_UNITS = 172  # from column to column
_BOTTOM_UNITS = 78
_STEPS = 1000


class ModelsPage(Panel):
    """A card over the picture with a line for each model.

    Args:
        lines: what it shows first.
        act: called with a model's id when its button is pressed.
        remove: called with a model's id when it is to be removed.
        folder: where fetched models are kept, for display.
        palette: colours of the theme.
        unit: 1 % of the window's height.
        close: closes the page.
    """

    def __init__(
        self,
        lines: Sequence[ModelLine],
        act: Callable[[str], None],
        remove: Callable[[str], None],
        folder: str,
        palette: Palette,
        unit: float,
        close: Callable[[], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Models page")
        self.setStyleSheet(sheet_style(palette, unit) + _own_style(palette, unit))
        outer = QVBoxLayout(self)
        margin = round(unit * 3)
        outer.setContentsMargins(margin, margin, margin, margin)
        outer.setSpacing(round(unit))
        outer.addLayout(self._head(close))
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget(self._area)
        grid = QGridLayout(content)
        grid.setContentsMargins(0, 0, round(unit * 2), 0)
        grid.setHorizontalSpacing(round(unit * 2))
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(0, 1)
        _heading(grid, content)
        self.lines = {
            line.id: _Line(line, act, remove, grid, content, unit, at * 4 + 1)
            for at, line in enumerate(lines)
        }
        grid.setRowStretch(grid.rowCount(), 1)
        self._area.setWidget(content)
        outer.addWidget(self._area, 1)
        outer.addWidget(caption(f"Kept in {folder}", "detail", self))
        first = next((line.button for line in self.lines.values() if line.button.isEnabled()), self)
        self.first = first

    def _head(self, close: Callable[[], None]) -> QHBoxLayout:
        head = QHBoxLayout()
        words = QVBoxLayout()
        words.addWidget(caption("Models", "title", self))
        said = "Published classifiers. One is fetched only when you ask for it, and only once."
        words.addWidget(caption(said, "detail", self))
        head.addLayout(words, 1)
        done = QPushButton("Close", self)
        done.setAccessibleName("Close models page")
        done.setAutoDefault(True)
        done.clicked.connect(lambda: close())
        head.addWidget(done, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def show_lines(self, lines: Sequence[ModelLine]) -> None:
        """Show what has changed; focus and scrolling stay."""
        for line in lines:
            shown = self.lines.get(line.id)
            if shown is not None:
                shown.show_line(line)

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802 - Qt's name
        """Move the focus, and bring what has it into view."""
        moved = super().focusNextPrevChild(forward)
        focused = self.focusWidget()
        if focused is not None:
            self._area.ensureWidgetVisible(focused)
        return moved

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the middle, between the controls and the live answer."""
        del height
        own_width = round(min(width - 6 * unit, unit * _WIDTH_UNITS))
        top, bottom = round(unit * 10), round(unit * _BOTTOM_UNITS)
        self.setGeometry((width - own_width) // 2, top, own_width, bottom - top)


class _Line:
    """The widgets of one line: words and figures, a bar below them, an error below that."""

    def __init__(
        self,
        line: ModelLine,
        act: Callable[[str], None],
        remove: Callable[[str], None],
        grid: QGridLayout,
        parent: QWidget,
        unit: float,
        row: int,
    ) -> None:
        self._shown: ModelLine | None = None
        title = caption(line.title, "headline", parent)
        grid.addWidget(title, row, 0)
        detail = caption(line.detail, "detail", parent)
        detail.setContentsMargins(0, 0, 0, round(unit * 0.4))
        grid.addWidget(detail, row + 1, 0)
        self._accuracy, self._size, self._state = (caption("", "value", parent) for _ in range(3))
        for column, label in enumerate((self._accuracy, self._size, self._state), 1):
            label.setAlignment(_ALIGNED[column] | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(label, row, column, 2, 1)
        self._state.setWordWrap(True)
        self._state.setFixedWidth(round(unit * 22))
        self.button = _button(parent, unit * 15, lambda: act(line.id))
        grid.addWidget(self.button, row, 4, 2, 1)
        self.removing = _button(parent, unit * 13, lambda: remove(line.id))
        self.removing.setText("Remove")
        self.removing.setAccessibleName(f"Remove {line.title}")
        # Lines without it keep their columns.
        policy = self.removing.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.removing.setSizePolicy(policy)
        grid.addWidget(self.removing, row, 5, 2, 1)
        self._bar = QProgressBar(parent)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"{line.title}: download")
        self._bar.setFixedHeight(max(2, round(unit * 0.5)))
        grid.addWidget(self._bar, row + 2, 0, 1, 6)
        self._error = caption("", "error", parent)
        self._error.setWordWrap(True)
        grid.addWidget(self._error, row + 3, 0, 1, 6)
        grid.setRowMinimumHeight(row + 2, max(3, round(unit * 1.2)))
        self.show_line(line)

    def show_line(self, line: ModelLine) -> None:
        """Show a line in place of the one before."""
        if line == self._shown:
            return
        self._shown = line
        self._accuracy.setText(line.accuracy)
        self._size.setText(line.size)
        self._state.setText(line.state)
        # A button that is disabled loses the focus, and with it the place in the list.
        focused = self.button.hasFocus()
        self.button.setText(line.action.value)
        self.button.setVisible(line.action is not ModelAction.NONE)
        self.button.setEnabled(line.action.possible or focused)
        self.button.setAccessibleName(f"{line.action.value} {line.title}".strip())
        self.button.setAccessibleDescription(f"{line.state}. {line.detail}. {line.error}".strip())
        if not line.removable and self.removing.hasFocus():
            self.button.setFocus()
        self.removing.setVisible(line.removable)
        busy = line.action in (ModelAction.STOP, ModelAction.STOPPING)
        self._bar.setVisible(busy)
        known = line.share is not None
        self._bar.setRange(0, _STEPS if known or not busy else 0)
        self._bar.setValue(round((line.share or 0.0) * _STEPS))
        self._error.setText(line.error)
        self._error.setVisible(bool(line.error))

    @property
    def shown(self) -> ModelLine | None:
        """What is shown."""
        return self._shown


_ALIGNED = {
    1: Qt.AlignmentFlag.AlignRight,
    2: Qt.AlignmentFlag.AlignRight,
    3: Qt.AlignmentFlag.AlignLeft,
}


def _button(parent: QWidget, width: float, pressed: Callable[[], None]) -> QPushButton:
    button = QPushButton(parent)
    button.setObjectName("action")
    button.setAutoDefault(True)
    button.setFixedWidth(round(width))
    button.clicked.connect(lambda: pressed())
    return button


def _heading(grid: QGridLayout, parent: QWidget) -> None:
    for column, words in enumerate(("top-1", "size", "state"), 1):
        label: QLabel = caption(words, "group", parent)
        label.setAlignment(_ALIGNED[column])
        grid.addWidget(label, 0, column)


def _own_style(palette: Palette, unit: float) -> str:
    return f"""
    QLabel#error {{ color: {palette.warning}; font-size: {unit * 1.9:.0f}px; }}
    QPushButton#action {{ text-align: center; padding: {unit * 0.6:.0f}px {unit:.0f}px; }}
    QProgressBar {{ background: transparent; border: 0; }}
    QProgressBar::chunk {{ background: {palette.text}; }}
    """
