"""Short sheets over the picture: rows that show what they are and, if unusable, why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
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


STATUS_UNITS = 4.2
"""Height of the line at the stage's foot, with a gap above it."""


def height_on_stage(needed: float, top: int, height: int, unit: float) -> int:
    """Height of a sheet at the right edge, which leaves out the line at the foot or covers it.

    Args:
        needed: what its content needs.
        top: where it begins.
        height: the stage's.
        unit: 1 % of that.
    """
    room = height - top - round(unit * 3)
    return round(needed) if needed <= room - STATUS_UNITS * unit else room


SheetRow = Row | SliderRow | ChipRow | Heading


class Panel(QFrame):
    """A card over the picture that is sized in units of 1 % of the window's height.

    Attributes:
        keeps: stays, by ``restyle``, when the window's size or theme changes.
    """

    keeps = False

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


class Sheet(Panel):
    """A titled list of rows, on the right.

    Args:
        title: what the sheet is about.
        rows: its rows.
        palette: colours of the theme.
        unit: 1 % of the window's height.
        close: closes the sheet.
    """

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
        self.title = title
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
        """Stand at the right edge under the controls, as high as the rows need."""
        own_width = round(min(width * 0.46, unit * 62))
        top = round(unit * 10)
        self.ensurePolished()
        margin = round(unit * 2)
        # Words that wrap need less than their hint, which knows no width.
        rows = self._list.totalHeightForWidth(own_width - 2 * margin - 2)
        if rows < 0:
            rows = self._content.sizeHint().height()
        needed = rows + self._head.sizeHint().height() + 2 * margin + round(unit * 2)
        tall = height_on_stage(needed, top, height, unit)
        self.setGeometry(width - own_width - round(unit * 3), top, own_width, tall)


class CheatCard(Panel):
    """All keys on one card, in the middle."""

    def __init__(self, sheet: CheatSheet, palette: Palette, unit: float, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Keys")
        self.setStyleSheet(sheet_style(palette, unit))
        grid = QGridLayout(self)
        margin = round(unit * 4)
        grid.setContentsMargins(margin, margin, margin, margin)
        grid.setHorizontalSpacing(round(unit * 2))
        grid.setVerticalSpacing(round(unit * 1.2))
        for column, group in enumerate(sheet.groups):
            grid.addWidget(caption(group.title, "title", self), 0, column * 3, 1, 2)
            if column:
                grid.setColumnMinimumWidth(column * 3 - 1, round(unit * 4))
            for line, (key, does) in enumerate(group.keys, 1):
                cap = caption(key, "key", self)
                cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
                grid.addWidget(cap, line, column * 3)
                grid.addWidget(caption(does, "value", self), line, column * 3 + 1)
        grid.setRowStretch(grid.rowCount(), 1)

    def place(self, width: int, height: int, unit: float) -> None:
        """Stand in the middle."""
        del unit
        size = self.sizeHint()
        self.setGeometry(
            (width - size.width()) // 2,
            (height - size.height()) // 2,
            min(size.width(), width),
            min(size.height(), height),
        )


class BannerPanel(Panel):
    """Two calm lines and what to do, under the controls."""

    def __init__(
        self,
        banner: Banner,
        palette: Palette,
        unit: float,
        act: Callable[[], None] | None,
        close: Callable[[], None],
        parent: QWidget,
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
                line = caption(text, name, self)
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
        done = QPushButton("✕", self)
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
        """Stand under the controls at the left column, next to a sheet on the right."""
        del height
        self.ensurePolished()
        own_width = round(min(width - 6 * unit, unit * 108))
        needed = self.heightForWidth(own_width)
        tall = needed if needed > 0 else self.sizeHint().height()
        self.setGeometry(round(unit * 3), round(unit * 10), own_width, tall)
