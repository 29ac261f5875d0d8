"""The wizard's sheet: what is not known of a model, asked once, with the proof next to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QImage, QKeyEvent, QPixmap
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from twinlens.app.core.setup.trial import LIVE
from twinlens.app.core.setup.wizard import LAYOUTS, NUMBERS, SIZES, Wizard
from twinlens.app.overlays import Palette
from twinlens.app.qt.setup.proof_table import ProofTable
from twinlens.app.qt.setup.reading_rows import ReadingRows
from twinlens.app.qt.setup.styled import rename
from twinlens.app.qt.sheets.flow import Flow
from twinlens.app.qt.sheets.view_panel import ViewPanel
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import focus_color, sheet_style, tint_color
from twinlens.app.views.wizard import ProofView, WizardView
from twinlens.engine.image import CropAndScale

TITLE = "Model setup"
_WIDTH_UNITS = 172  # from column to column
_TOP_UNITS, _BOTTOM_UNITS = 9, 98
_LABEL_UNITS = 77  # where the label stands, which is covered as a whole or not at all
_PICTURE = (10.6, 6.0)  # units
_CROPS = {
    CropAndScale.CENTER_CROP: "Center crop",
    CropAndScale.SCALE_FIT: "Scale to fit",
    CropAndScale.SCALE_FILL: "Scale to fill",
}


@dataclass(frozen=True)
class WizardActions:
    """What the sheet is about, and what its parts do.

    Attributes:
        wizard: questions and answers; read, never changed.
        first: what it shows first.
    """

    wizard: Wizard
    first: WizardView
    confirm: Callable[[], object]
    cancel: Callable[[], object]
    choose: Callable[[str], None]
    show_picture: Callable[[int], None]
    crop: Callable[[CropAndScale], None]
    layout: Callable[[str], None]
    size: Callable[[int], None]
    output: Callable[[str], None]
    kind: Callable[[str], None]
    pick_labels: Callable[[], None]
    number_labels: Callable[[], None]


class WizardSheet(ViewPanel):
    """One sheet over the picture; it stays when the window's size or theme changes.

    Args:
        actions: what it is about, and what its parts do.
        palette: colours of the theme.
        unit: 1 % of the window's height.
    """

    keeps = True

    def __init__(
        self, actions: WizardActions, palette: Palette, unit: float, parent: QWidget
    ) -> None:
        super().__init__(actions, palette, unit, parent)
        self.closes_outside = False  # what was answered would be lost
        wizard, view = actions.wizard, actions.first
        self.setAccessibleName(f"{TITLE} sheet")
        self._wizard, self._actions, self._unit, self._palette = wizard, actions, unit, palette
        self._chips: dict[tuple[str, object], QPushButton] = {}
        self._thumbs: dict[int, QPushButton] = {}
        self._firsts: list[QLabel] = []
        self._rows: list[Flow] = []
        self._outer = QVBoxLayout(self)
        self._top = self._head()
        self._outer.addLayout(self._top)
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget(self._area)
        self._list = QVBoxLayout(content)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._questions(content)
        self._strip = Flow()
        self._list.addLayout(self._strip)
        self.caption = caption("", "detail", content)
        self.caption.setWordWrap(False)
        self._strip.addWidget(self.caption)
        self.table = ProofTable(view.cells, actions.choose, content)
        self._list.addWidget(self.table)
        self._list.addStretch(1)
        self._area.setWidget(content)
        self._content = content
        self._outer.addWidget(self._area, 1)
        self.status = caption("", "detail", self)
        self._outer.addWidget(self.status)
        self._add_thumb(LIVE, None, "Live")
        self.restyle(palette, unit)
        self.show_view(view)

    # --- building --------------------------------------------------------------------------

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        words = QVBoxLayout()
        words.addWidget(caption(self._wizard.report.spec.title, "title", self))
        words.addWidget(caption(" · ".join(self._wizard.report.lines), "detail", self))
        head.addLayout(words, 1)
        cancel = self._button("Cancel", "Cancel, change nothing", self._actions.cancel, self)
        cancel.setObjectName("cancel")
        self.use = self._button("Use it", "Use the model like this", self._actions.confirm, self)
        self.use.setObjectName("primary")
        for button in (cancel, self.use):
            head.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def _questions(self, content: QWidget) -> None:
        self._lines = Flow()
        self._list.addLayout(self._lines)
        row, act = self._row("Labels", content), self._actions
        title = "Label file …" if self._wizard.report.named else "Add names …"
        self.pick = self._chip("labels", "file", title, act.pick_labels, row, content)
        self._chip("labels", NUMBERS, "Numbers", act.number_labels, row, content)
        self.labels = caption("", "detail", content)
        self.labels.setWordWrap(False)
        row.addWidget(self.labels)
        row = self._row("Crop", content)
        for crop, title in _CROPS.items():
            self._chip("crop", crop, title, partial(act.crop, crop), row, content)
        if self._wizard.asks_layout:
            row = self._row("Axes", content)
            for layout in LAYOUTS:
                self._chip("layout", layout, layout, partial(act.layout, layout), row, content)
        if self._wizard.asks_size:
            row = self._row("Size", content)
            for size in SIZES:
                self._chip("size", size, str(size), partial(act.size, size), row, content)
        self.reading = ReadingRows(act.output, act.kind, content)
        self._firsts += self.reading.heads
        self._list.addWidget(self.reading)

    def _row(self, title: str, content: QWidget) -> Flow:
        """A question and its answers; several stand in a line where there is room."""
        box = QWidget(content)
        row = Flow(box)
        name = caption(title, "value", content)
        if title in ("Labels", "Size"):  # what begins a line
            self._firsts.append(name)
        self._rows.append(row)
        row.addWidget(name)
        self._lines.addWidget(box)
        return row

    def _chip(
        self,
        group: str,
        value: object,
        title: str,
        act: Callable[[], None],
        row: Flow,
        content: QWidget,
    ) -> QPushButton:
        button = self._button(title, f"{group.capitalize()}: {title}", act, content)
        button.setObjectName("chip")
        row.addWidget(button)
        self._chips[group, value] = button
        return button

    def _button(
        self, text: str, full_name: str, act: Callable[[], object], parent: QWidget
    ) -> QPushButton:
        button = QPushButton(text, parent)
        button.setAccessibleName(full_name)
        button.setAutoDefault(True)
        button.clicked.connect(lambda: act())
        return button

    def add_picture(self, place: int, picture: QImage) -> None:
        """Add a thumbnail in front of the live one."""
        self._add_thumb(place, picture, f"Picture {place + 1}")

    def _add_thumb(self, place: int, picture: QImage | None, full_name: str) -> None:
        act = self._actions.show_picture
        button = self._button(
            "" if picture else full_name, full_name, lambda: act(place), self._content
        )
        button.setObjectName("thumb")
        if picture is not None:
            button.setIcon(QIcon(QPixmap.fromImage(picture)))
        self._thumbs[place] = button
        self._strip.insert_widget(len(self._thumbs) - 1 if place == LIVE else place, button)
        button.show()
        self._fit_thumb(button)

    # --- showing ---------------------------------------------------------------------------

    def show_data(self, data: ProofView) -> None:
        """Show how things are."""
        self.show_view(data.view)

    def show_view(self, view: WizardView) -> None:
        """Show what has changed; the focus stays."""
        self.table.show_cells(view.cells)
        for place, button in self._thumbs.items():
            button.setVisible(place in view.pictures)
            chosen = place == view.shown
            rename(button, "thumbChosen" if chosen else "thumb")
            button.setAccessibleDescription("shown" if chosen else "")
        self.caption.setText(view.caption)
        self.status.setText(view.status)
        rename(self.status, "error" if view.failed else "detail")
        self.labels.setText(view.labels)
        rename(self.labels, "error" if view.missing else "detail")
        self.use.setEnabled(not view.missing)
        self.use.setAccessibleDescription(view.missing)
        self.reading.show_view(view)
        self._show_answers()

    def _show_answers(self) -> None:
        recipe = self._wizard.recipe
        chosen: dict[str, object] = {
            "crop": recipe.crop_and_scale,
            "layout": recipe.layout,
            "size": recipe.width,
            "labels": NUMBERS if self._wizard.labels_from == NUMBERS else "",
        }
        for (group, value), button in self._chips.items():
            used = chosen[group] == value
            rename(button, "chosen" if used else "chip")
            button.setAccessibleDescription("chosen" if used else "")

    def focus_first(self) -> None:
        """Give the keyboard to what has to be answered, or to the button that takes it all."""
        (self.pick if not self.use.isEnabled() else self.use).setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Return takes the answers, where nothing else needs it."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.use.isEnabled():
                self._actions.confirm()
            event.accept()
            return
        super().keyPressEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802 - Qt's name
        """Move the focus, and bring what has it into view."""
        moved = super().focusNextPrevChild(forward)
        focused = self.focusWidget()
        if focused is not None and self._content.isAncestorOf(focused):
            self._area.ensureWidgetVisible(focused)
        return moved

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self._palette, self._unit = palette, unit
        self.setStyleSheet(sheet_style(palette, unit) + _own_style(palette, unit))
        margin = round(unit * 2.4)
        self._outer.setContentsMargins(margin, margin, margin, margin)
        self._outer.setSpacing(round(unit))
        self._list.setSpacing(round(unit * 0.9))
        self._strip.set_gaps(round(unit * 0.6), round(unit * 0.6))
        self.table.restyle(palette, unit)
        self.reading.restyle(unit)
        for row in self._rows:
            row.set_gaps(round(unit), round(unit * 0.7))
        self._lines.set_gaps(round(unit * 3), round(unit * 0.9))
        for label in self._firsts:
            label.setFixedWidth(round(unit * 9))
        for button in self._thumbs.values():
            self._fit_thumb(button)

    def _fit_thumb(self, button: QPushButton) -> None:
        width, height = (round(side * self._unit) for side in _PICTURE)
        button.setIconSize(QSize(width, height))
        edge = round(self._unit * 0.8)
        button.setFixedSize(width + edge, height + edge)

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the middle, under the controls, as high as the questions need."""
        own_width = round(min(width - 6 * unit, unit * _WIDTH_UNITS))
        top = round(unit * _TOP_UNITS)
        room = min(height, round(unit * _BOTTOM_UNITS)) - top
        self.ensurePolished()
        self._outer.activate()
        inner = own_width - 2 * round(unit * 2.4)
        content = self._list.totalHeightForWidth(inner)
        heads = self._top.heightForWidth(inner)
        needed = content + heads + self.status.heightForWidth(inner) + round(unit * 7.4)
        if top + needed > _LABEL_UNITS * unit:
            needed = room
        self.setGeometry((width - own_width) // 2, top, own_width, min(needed, room))


def _own_style(palette: Palette, unit: float) -> str:
    ring = focus_color(palette)
    thumb = f"padding: 0; border-radius: {unit * 0.6:.0f}px; text-align: center;"
    return f"""
    QLabel#error {{ color: {palette.warning}; font-size: {unit * 1.9:.0f}px; }}
    QPushButton#primary {{
        background: {palette.text}; color: {palette.surface}; font-weight: 600;
        padding: {unit * 0.9:.0f}px {unit * 2.2:.0f}px; border: 2px solid {palette.text};
    }}
    QPushButton#primary:disabled {{
        background: {tint_color(palette)}; color: {palette.text_dim};
        border-color: {tint_color(palette)};
    }}
    QPushButton#primary:focus {{ border: 2px solid {ring}; }}
    QPushButton#cancel {{ border: 2px solid transparent; }}
    QPushButton#cancel:focus {{ border: 2px solid {ring}; }}
    QPushButton#thumb {{ {thumb} border: 2px solid transparent; }}
    QPushButton#thumbChosen {{ {thumb} border: 2px solid {palette.text}; }}
    QPushButton#thumb:focus, QPushButton#thumbChosen:focus {{ border: 2px solid {ring}; }}
    """
