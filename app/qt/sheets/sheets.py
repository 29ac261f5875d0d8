"""Short sheets over the picture: rows that show what they are and, if unusable, why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from twinlens.app.overlays import Banner, BannerKind, CheatSheet, Palette
from twinlens.app.overlays.places import is_stacked, places, unit_of
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import sheet_style

CARD_UNITS = 122
"""Width of the card with all keys in its own units, with room to spare."""


@dataclass(frozen=True)
class Row:
    """A row of a sheet.

    Attributes:
        title: what it is.
        detail: more about it, or why it cannot be used.
        act: what it does; None where it cannot be used.
        checked: whether it is the one in use, or on.
    """

    title: str
    detail: str = ""
    act: Callable[[], None] | None = None
    checked: bool = False


@dataclass(frozen=True)
class SliderRow:
    """A row with a slider from 0 to 100 %."""

    title: str
    percent: int
    change: Callable[[int], None]


@dataclass(frozen=True)
class Chip:
    """One of several short choices in a row; ``full_name`` is for a screen reader."""

    text: str
    full_name: str
    act: Callable[[], None]
    checked: bool = False


@dataclass(frozen=True)
class ChipRow:
    """Short choices side by side."""

    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Heading:
    """A line that parts groups of rows."""

    title: str


SheetRow = Row | SliderRow | ChipRow | Heading


class Panel(QFrame):
    """A card over the picture that is sized in units of 1 % of the window's height.

    Attributes:
        keeps: stays, by ``restyle``, when the window's size or theme changes.
        in_drawer: stands in the drawer, so that the picture makes room for it.
        closes_outside: a click beside it closes it.
    """

    keeps = False
    in_drawer = False
    closes_outside = True

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self.setStyleSheet(sheet_style(palette, unit))

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand where it belongs on a stage of that size."""
        raise NotImplementedError

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Keep a press between its rows from the stage, where it would be one beside it."""
        event.accept()

    def fill_drawer(self, width: int, height: int, needed: float | None = None) -> None:
        """Stand in the drawer of a stage of that size, no higher than what is needed."""
        spot = places(width, height).drawer
        tall = spot.height if needed is None else min(needed, spot.height)
        self.setGeometry(round(spot.x), round(spot.y), round(spot.width), round(tall))


class Sheet(Panel):
    """A titled list of rows, in the drawer.

    Args:
        title: what the sheet is about.
        rows: its rows.
        palette: colours of the theme.
        unit: 1 % of the window's height.
        close: closes the sheet.

    Attributes:
        rows: as they were given.
    """

    in_drawer = True

    def __init__(
        self,
        title: str,
        rows: Sequence[SheetRow],
        palette: Palette,
        unit: float,
        close: Callable[[], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.title, self.rows = title, tuple(rows)
        self.setAccessibleName(f"{title} sheet")
        self.setStyleSheet(sheet_style(palette, unit))
        self._unit = unit
        outer = QVBoxLayout(self)
        margin = round(unit * 2)
        outer.setContentsMargins(margin, margin, margin, margin)
        head = QHBoxLayout()
        head.addWidget(caption(title, "title", self), 1)
        done = QPushButton("Close", self)
        done.setAccessibleName(f"Close {title} sheet")
        done.setAutoDefault(True)
        done.clicked.connect(lambda: close())
        head.addWidget(done)
        outer.addLayout(head)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content = QWidget(area)
        self._list = QVBoxLayout(content)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(round(unit * 0.3))
        self.buttons: list[QPushButton] = []
        for row in rows:
            self._add(row, content)
        self._list.addStretch(1)
        area.setWidget(content)
        outer.addWidget(area, 1)
        self._head, self._content, self._area = head, content, area

    @property
    def focused_name(self) -> str:
        """Accessible name of the row that has the focus; empty where none has."""
        return next((b.accessibleName() for b in self.buttons if b.hasFocus()), "")

    @property
    def scrolled(self) -> int:
        """How far the rows are scrolled, in pixels."""
        return self._area.verticalScrollBar().value()

    @scrolled.setter
    def scrolled(self, pixels: int) -> None:
        self._area.verticalScrollBar().setValue(pixels)

    def _add(self, row: SheetRow, content: QWidget) -> None:
        if isinstance(row, Heading):
            self._list.addSpacing(round(self._unit))
            self._list.addWidget(caption(row.title, "group", content))
        elif isinstance(row, SliderRow):
            self._add_slider(row, content)
        elif isinstance(row, ChipRow):
            self._add_chips(row, content)
        else:
            self._add_row(row, content)

    def _add_row(self, row: Row, content: QWidget) -> None:
        button = QPushButton(("✓  " if row.checked else "") + row.title, content)
        button.setEnabled(row.act is not None)
        # Outside a dialog, Return presses only a button that asks for it.
        button.setAutoDefault(True)
        state = "in use. " if row.checked else ""
        button.setAccessibleName(row.title)
        button.setAccessibleDescription(state + row.detail)
        if row.act is not None:
            act = row.act
            button.clicked.connect(lambda: act())
        self._list.addWidget(button)
        self.buttons.append(button)
        if row.detail:
            self._add_detail(row.detail, content)

    def _add_detail(self, text: str, content: QWidget) -> None:
        detail = caption(text, "detail", content)
        detail.setContentsMargins(round(self._unit * 1.4), 0, 0, round(self._unit * 0.6))
        self._list.addWidget(detail)

    def _add_chips(self, row: ChipRow, content: QWidget) -> None:
        line = QHBoxLayout()
        line.setContentsMargins(round(self._unit * 1.4), 0, 0, round(self._unit * 0.6))
        line.setSpacing(round(self._unit))
        for chip in row.chips:
            button = QPushButton(chip.text, content)
            button.setObjectName("chosen" if chip.checked else "chip")
            button.setAutoDefault(True)
            button.setAccessibleName(chip.full_name)
            button.setAccessibleDescription("in use" if chip.checked else "")
            button.clicked.connect(lambda _=False, act=chip.act: act())
            line.addWidget(button)
            self.buttons.append(button)
        line.addStretch(1)
        self._list.addLayout(line)

    def _add_slider(self, row: SliderRow, content: QWidget) -> None:
        label = caption(f"{row.title}: {row.percent} %", "value", content)
        label.setContentsMargins(round(self._unit * 1.4), 0, 0, 0)
        slider = QSlider(Qt.Orientation.Horizontal, content)
        slider.setRange(0, 100)
        slider.setValue(row.percent)
        slider.setAccessibleName(row.title)

        def changed(value: int) -> None:
            label.setText(f"{row.title}: {value} %")
            row.change(value)

        slider.valueChanged.connect(changed)
        self._list.addWidget(label)
        self._list.addWidget(slider)

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the drawer, as high as the rows need."""
        self.ensurePolished()
        margin, own_width = round(unit * 2), round(places(width, height).drawer.width)
        # Words that wrap need less than their hint, which knows no width.
        rows = self._list.totalHeightForWidth(own_width - 2 * margin - 2)
        if rows < 0:
            rows = self._content.sizeHint().height()
        needed = rows + self._head.sizeHint().height() + 2 * margin + round(unit * 2)
        self.fill_drawer(width, height, needed)


class CheatCard(Panel):
    """All keys on one card, in the middle; groups stand below each other where it is narrow.

    Args:
        sheet: the keys.
        palette: colours of the theme.
        width, height: of the stage, in pixels.
    """

    def __init__(
        self, sheet: CheatSheet, palette: Palette, width: int, height: int, parent: QWidget
    ) -> None:
        super().__init__(parent)
        narrow = is_stacked(width, height)
        unit = unit_of(width, height)
        unit = unit if narrow else min(unit, width / CARD_UNITS)
        self.setAccessibleName("Keys")
        self.setStyleSheet(sheet_style(palette, unit))
        self._content = QWidget(self)
        grid = QGridLayout(self._content)
        margin = round(unit * 3)
        grid.setContentsMargins(margin, margin, margin, margin)
        grid.setHorizontalSpacing(round(unit * 2))
        grid.setVerticalSpacing(round(unit * (0.6 if narrow else 1)))
        top = 0
        for number, group in enumerate(sheet.groups):
            column = 0 if narrow else number * 3
            grid.addWidget(caption(group.title, "title", self), top, column, 1, 2)
            if column:
                grid.setColumnMinimumWidth(column - 1, round(unit * 4))
            for line, (key, does) in enumerate(group.keys, top + 1):
                cap = caption(key, "key", self)
                cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
                grid.addWidget(cap, line, column)
                grid.addWidget(caption(does, "value", self), line, column + 1)
            top = grid.rowCount() if narrow else 0
        grid.setRowStretch(grid.rowCount(), 1)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the middle, between the controls and the label block."""
        clear = places(width, height).clear
        size = self._content.sizeHint()
        wide = min(size.width() + 2 + round(unit), width - 2 * round(unit))
        tall = min(size.height() + 2, round(clear.height))
        left, top = (width - wide) // 2, round(clear.y + (clear.height - tall) / 2)
        self.setGeometry(left, top, wide, tall)


class BannerPanel(Panel):
    """Two calm lines and what to do, in the slot for messages.

    Args:
        banner: the lines.
        palette: colours of the theme.
        unit: 1 % of the shorter side.
        act: what its button does; None where it has none.
        close: takes it away.
        more: how many others have not been read yet.
    """

    def __init__(
        self,
        banner: Banner,
        palette: Palette,
        unit: float,
        act: Callable[[], None] | None,
        close: Callable[[], None],
        parent: QWidget,
        more: int = 0,
    ) -> None:
        super().__init__(parent)
        self.banner = banner
        self.setAccessibleName(banner.title)
        self.setAccessibleDescription(banner.hint)
        row = QHBoxLayout(self)
        row.setContentsMargins(*(round(unit * side) for side in (1.4, 1.4, 1, 1.4)))
        row.setSpacing(round(unit * 1.4))
        self._strip = QFrame(self)
        self._strip.setObjectName("strip")
        row.addWidget(self._strip)
        words = QVBoxLayout()
        words.setSpacing(round(unit * 0.4))
        self.lines: list[QLabel] = []
        for text, name in ((banner.title, "headline"), (banner.hint, "detail")):
            if text:
                line = caption(text, "fine" if name == "detail" else name, self)
                line.setWordWrap(True)
                words.addWidget(line)
                self.lines.append(line)
        row.addLayout(words, 1)
        if banner.action and act is not None:
            button = QPushButton(banner.action, self)
            button.setObjectName("action")
            button.setAutoDefault(True)
            button.clicked.connect(lambda: act())
            row.addWidget(button)
        done = QPushButton(f"{more} more" if more else "✕", self)
        done.setAccessibleName("Dismiss")
        done.setAutoDefault(True)
        done.clicked.connect(lambda: close())
        row.addWidget(done)
        self.restyle(palette, unit)

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        warn = self.banner.kind is not BannerKind.INFO
        strip = palette.warning if warn else palette.text_dim
        self._strip.setFixedWidth(max(2, round(unit * 0.8)))
        self.setStyleSheet(
            sheet_style(palette, unit)
            + f"QFrame#strip {{ background: {strip}; border-radius: {unit * 0.4:.0f}px; }}"
        )

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the slot for messages, as high as its words need."""
        self.ensurePolished()
        slot = places(width, height).message
        own_width = round(min(slot.width, unit * 108))
        needed = self.heightForWidth(own_width)
        tall = needed if needed > 0 else self.sizeHint().height()
        self.setGeometry(round(slot.x), round(slot.y), own_width, tall)
