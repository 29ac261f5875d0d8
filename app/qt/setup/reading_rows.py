"""The rows of the wizard's sheet that ask which output is read, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QPushButton, QWidget

from twinlens.app.qt.setup.styled import rename
from twinlens.app.qt.sheets.flow import Flow
from twinlens.app.qt.stage.controls import caption
from twinlens.app.views.wizard import Choice, WizardView


class ReadingRows(QWidget):
    """Two rows of buttons, each hidden while it asks nothing, and a line that says why.

    Args:
        output: called with the output that was chosen.
        kind: called with the way of reading it.
    """

    def __init__(
        self, output: Callable[[str], None], kind: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._rows = (_Row("Output", output, self), _Row("Read as", kind, self))
        for at, row in enumerate(self._rows):
            self._grid.addWidget(row.head, at, 0, Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(row.box, at, 1)
        self.words = caption("", "detail", self)
        self._grid.addWidget(self.words, len(self._rows), 1)
        self.heads = [row.head for row in self._rows]

    @property
    def buttons(self) -> dict[str, QPushButton]:
        """What can be chosen, by its id."""
        return {id: button for row in self._rows for id, button in row.buttons.items()}

    def show_view(self, view: WizardView) -> None:
        """Show what may be chosen, and what is; the focus stays."""
        for row, choices in zip(self._rows, (view.outputs, view.kinds), strict=True):
            row.show_choices(choices)
        self.words.setText(view.reading)
        self.words.setVisible(bool(view.reading))
        rename(self.words, "error" if view.doubted else "detail")
        self.setVisible(bool(view.outputs or view.kinds))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the middle of names out that are longer than a line."""
        super().resizeEvent(event)
        for row in self._rows:
            row.fit(self.width() - row.head.width() - self._grid.horizontalSpacing())

    def restyle(self, unit: float) -> None:
        """Take the sizes of a unit of 1 % of the window's height."""
        self._grid.setVerticalSpacing(round(unit * 0.9))
        self._grid.setHorizontalSpacing(round(unit))
        for row in self._rows:
            row.flow.set_gaps(round(unit), round(unit * 0.7))


class _Row:
    """A question and the buttons that answer it."""

    def __init__(self, title: str, act: Callable[[str], None], parent: QWidget) -> None:
        self.title, self._act = title, act
        self.head = caption(title, "value", parent)
        self.box = QWidget(parent)
        self.box.setAccessibleName(title)
        self.flow = Flow(self.box)
        self.buttons: dict[str, QPushButton] = {}
        self._shown: list[tuple[str, str]] = []
        self._room = 0

    def show_choices(self, choices: Sequence[Choice]) -> None:
        wanted = [(choice.id, choice.title) for choice in choices]
        if wanted != self._shown:
            self._shown = wanted
            self._make(choices)
        for choice in choices:
            button = self.buttons[choice.id]
            rename(button, "chosen" if choice.chosen else "chip")
            button.setAccessibleDescription("chosen" if choice.chosen else "")
        self.fit(self._room)
        self.head.setVisible(bool(choices))
        self.box.setVisible(bool(choices))

    def fit(self, room: int) -> None:
        """Show as much of each title as a line of so many pixels has room for."""
        self._room = room
        for (_, title), button in zip(self._shown, self.buttons.values(), strict=True):
            metrics = button.fontMetrics()
            edges = button.sizeHint().width() - metrics.horizontalAdvance(button.text())
            middle = Qt.TextElideMode.ElideMiddle
            text = metrics.elidedText(title, middle, room - edges) if room > edges else title
            if button.text() != text:
                button.setText(text)

    def _make(self, choices: Sequence[Choice]) -> None:
        for button in self.buttons.values():
            self.flow.removeWidget(button)
            button.deleteLater()
        self.buttons = {}
        for choice in choices:
            button = QPushButton(choice.title, self.box)
            button.setAccessibleName(f"{self.title}: {choice.full}")
            button.setToolTip(choice.full)
            button.setAutoDefault(True)
            button.setObjectName("chip")
            button.clicked.connect(lambda _=False, id=choice.id: self._act(id))
            self.flow.addWidget(button)
            self.buttons[choice.id] = button
