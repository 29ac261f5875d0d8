"""The page of models: what the catalog has, and buttons to fetch, use and remove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from twinlens.app.overlays import Palette
from twinlens.app.qt.sheets.view_panel import ViewPanel
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import sheet_style
from twinlens.app.views.models import ModelAction, ModelLine, ModelsShown

_STEPS = 1000


@dataclass(frozen=True)
class ModelsActions:
    """What the page shows first, what its buttons do, by a model's id, and what it says of itself.

    Attributes:
        first: a line for each model.
        act: uses, fetches or stops fetching a model, whichever its line offers.
        remove: removes a model.
        close: closes the page.
        folder: where fetched models are kept, for display.
    """

    first: tuple[ModelLine, ...]
    act: Callable[[str], None]
    remove: Callable[[str], None]
    close: Callable[[], None]
    folder: str


class ModelsPage(ViewPanel):
    """A page in the drawer: for each model its name, what is known of it, and what can be done.

    Args:
        actions: what its buttons do.
        palette: colours of the theme.
        unit: 1 % of the window's height.

    Attributes:
        lines: by the models' ids.
        first: what has the keyboard first.
    """

    in_drawer = True

    def __init__(
        self, actions: ModelsActions, palette: Palette, unit: float, parent: QWidget
    ) -> None:
        super().__init__(actions, palette, unit, parent)
        self.setAccessibleName("Models page")
        self.setStyleSheet(sheet_style(palette, unit) + _own_style(palette, unit))
        outer = QVBoxLayout(self)
        margin = round(unit * 2)
        outer.setContentsMargins(margin, margin, margin, margin)
        outer.setSpacing(round(unit))
        outer.addLayout(self._head(actions.close))
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget(self._area)
        grid = QGridLayout(content)
        grid.setContentsMargins(0, 0, round(unit * 1.4), 0)
        grid.setHorizontalSpacing(round(unit))
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(0, 1)
        self.lines = {
            line.id: _Line(line, actions.act, actions.remove, grid, content, unit, at * 5)
            for at, line in enumerate(actions.first)
        }
        grid.setRowStretch(grid.rowCount(), 1)
        self._area.setWidget(content)
        outer.addWidget(self._area, 1)
        outer.addWidget(caption(f"Kept in {actions.folder}", "detail", self))
        first = next((line.button for line in self.lines.values() if line.button.isEnabled()), self)
        self.first = first

    def _head(self, close: Callable[[], None]) -> QHBoxLayout:
        head = QHBoxLayout()
        words = QVBoxLayout()
        words.addWidget(caption("Models", "title", self))
        introduction = (
            "Published classifiers. One is fetched only when you ask for it, and only once."
        )
        words.addWidget(caption(introduction, "detail", self))
        head.addLayout(words, 1)
        done = QPushButton("Close", self)
        done.setAccessibleName("Close models page")
        done.setAutoDefault(True)
        done.clicked.connect(lambda: close())
        head.addWidget(done, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def show_data(self, data: ModelsShown) -> None:
        """Show what has changed; focus and scrolling stay."""
        for line in data.lines:
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
        """Stand in the drawer."""
        del unit
        self.fill_drawer(width, height)


class _Line:
    """The widgets of one line: words and figures, a bar below them, an error below that.

    Buttons stand below each other at the right, so that a narrow window has them as well.
    """

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
        title.setWordWrap(True)
        grid.addWidget(title, row, 0)
        self._figures = caption("", "value", parent)
        self._figures.setWordWrap(True)
        grid.addWidget(self._figures, row + 1, 0)
        grid.addWidget(caption(line.detail, "detail", parent), row + 2, 0)
        top = Qt.AlignmentFlag.AlignTop
        self.button = _button(parent, unit * 13, lambda: act(line.id))
        grid.addWidget(self.button, row, 1, 2, 1, top)
        self.removing = _button(parent, unit * 13, lambda: remove(line.id))
        self.removing.setText("Remove")
        self.removing.setAccessibleName(f"Remove {line.title}")
        # Lines without it keep their columns.
        policy = self.removing.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.removing.setSizePolicy(policy)
        grid.addWidget(self.removing, row + 2, 1, 1, 1, top)
        self._bar = QProgressBar(parent)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"{line.title}: download")
        self._bar.setFixedHeight(max(2, round(unit * 0.5)))
        grid.addWidget(self._bar, row + 3, 0, 1, 2)
        self._error = caption("", "error", parent)
        self._error.setWordWrap(True)
        grid.addWidget(self._error, row + 4, 0, 1, 2)
        grid.setRowMinimumHeight(row + 3, max(3, round(unit * 1.8)))
        self.show_line(line)

    def show_line(self, line: ModelLine) -> None:
        """Show a line in place of the one before."""
        if line == self._shown:
            return
        self._shown = line
        self._figures.setText(f"top-1 {line.accuracy} · {line.size} · {line.state}")
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


def _button(parent: QWidget, width: float, pressed: Callable[[], None]) -> QPushButton:
    button = QPushButton(parent)
    button.setObjectName("action")
    button.setAutoDefault(True)
    button.setFixedWidth(round(width))
    button.clicked.connect(lambda: pressed())
    return button


def _own_style(palette: Palette, unit: float) -> str:
    return f"""
    QLabel#error {{ color: {palette.warning}; font-size: {unit * 1.9:.0f}px; }}
    QPushButton#action {{ text-align: center; padding: {unit * 0.6:.0f}px {unit:.0f}px; }}
    QProgressBar {{ background: transparent; border: 0; }}
    QProgressBar::chunk {{ background: {palette.text}; }}
    """
