"""The table of candidates: one cell each, with what it makes of the picture that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QGridLayout, QLabel, QSizePolicy, QWidget

from twinlens.app.overlays import Palette
from twinlens.app.qt.stage.controls import caption
from twinlens.app.qt.stage.theme import (
    OWN_ARROWS,
    color,
    focus_color,
    font,
    line_color,
    tint_color,
)
from twinlens.app.views.wizard import ProofCell

_CELL_UNITS = 7.4
_ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class Cell(QAbstractButton):
    """One candidate: its best class large, the next two below, how it was proved on the right.

    Args:
        cell: what it shows first.
        choose: called with the candidate's id.
        step: called with the cell's id and a step in rows and columns.
    """

    def __init__(
        self,
        cell: ProofCell,
        choose: Callable[[str], None],
        step: Callable[[str, int, int], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty(OWN_ARROWS, True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cell, self._step = cell, step
        self._palette: Palette | None = None
        self._unit = 7.2
        self.clicked.connect(lambda: choose(self.cell.id))
        self.show_cell(cell)

    def show_cell(self, cell: ProofCell) -> None:
        """Show another state of the same candidate."""
        self.cell = cell
        self.setChecked(cell.chosen)
        self.setAccessibleName(f"{cell.row}, {cell.column}")
        self.setAccessibleDescription(cell.description + (". chosen" if cell.chosen else ""))
        self.update()

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self._palette, self._unit = palette, unit
        self.setFixedHeight(round(_CELL_UNITS * unit))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for a short class."""
        return QSize(round(self._unit * 34), round(self._unit * _CELL_UNITS))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Arrows go to the neighbour, and choose it; Return is left to the sheet."""
        arrow = _ARROWS.get(Qt.Key(event.key()))
        if arrow is not None:
            self._step(self.cell.id, *arrow)
            event.accept()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint ground, words and the bar of its proof."""
        del event
        palette, unit = self._palette, self._unit
        if palette is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = 2.0 if self.hasFocus() or self.isChecked() else 1.0
        area = QRectF(self.rect()).adjusted(edge / 2, edge / 2, -edge / 2, -edge / 2)
        ring = palette.text if self.isChecked() else line_color(palette)
        painter.setPen(QPen(color(focus_color(palette) if self.hasFocus() else ring), edge))
        filled = self.isChecked() or self.underMouse()
        painter.setBrush(color(tint_color(palette)) if filled else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(area, 0.8 * unit, 0.8 * unit)
        self._paint_words(painter, palette, area.adjusted(1.4 * unit, 0, -1.4 * unit, 0))
        painter.end()

    def _paint_words(self, painter: QPainter, palette: Palette, area: QRectF) -> None:
        unit, cell = self._unit, self.cell
        top = QRectF(area.left(), area.top() + 0.7 * unit, area.width(), 3 * unit)
        low = QRectF(area.left(), top.bottom(), area.width(), 2.6 * unit)
        small = font(1.9 * unit)
        proof_width = 0.0
        if cell.proof:
            proof_width = QFontMetricsF(small).horizontalAdvance(cell.proof) + 1.5 * unit
            _text(painter, top, cell.proof, small, palette.text_dim, right=True)
        mark = {True: "✓ ", False: "", None: ""}[cell.right]
        large = font(2.3 * unit, weight=QFont.Weight.DemiBold)
        _text(painter, top.adjusted(0, 0, -proof_width, 0), mark + cell.best, large, palette.text)
        _text(painter, low, cell.rest, small, palette.text_dim)
        if cell.proof:
            track = QRectF(area.left(), area.bottom() - 0.9 * unit, area.width(), 0.4 * unit)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color(line_color(palette)))
            painter.drawRect(track)
            track.setWidth(track.width() * cell.share)
            painter.setBrush(color(palette.text if cell.chosen else palette.text_dim))
            painter.drawRect(track)


class ProofTable(QWidget):
    """All candidates: rows are ways of scaling values, columns orders of colour.

    Args:
        cells: candidates, row by row.
        choose: called with a candidate's id.
    """

    def __init__(
        self, cells: Sequence[ProofCell], choose: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("How pixels become values")
        self._choose = choose
        self._rows = list(dict.fromkeys(cell.row for cell in cells))
        self._columns = list(dict.fromkeys(cell.column for cell in cells))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.heads: list[QLabel] = []
        for number, column in enumerate(self._columns, 1):
            self._head(column, "group", 0, number)
            self._grid.setColumnStretch(number, 1)
        for number, row in enumerate(self._rows, 1):
            self._head(row, "value", number, 0)
        self.cells: dict[str, Cell] = {}
        for cell in cells:
            made = Cell(cell, choose, self._step, self)
            place = self._rows.index(cell.row) + 1, self._columns.index(cell.column) + 1
            self._grid.addWidget(made, *place)
            self.cells[cell.id] = made

    def _head(self, text: str, name: str, row: int, column: int) -> None:
        label = caption(text, name, self)
        self._grid.addWidget(label, row, column)
        self.heads.append(label)

    def show_cells(self, cells: Sequence[ProofCell]) -> None:
        """Show another state of the same candidates."""
        for cell in cells:
            if cell.id in self.cells and self.cells[cell.id].cell != cell:
                self.cells[cell.id].show_cell(cell)

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme and the sizes of a unit of 1 % of the window's height."""
        self._grid.setHorizontalSpacing(round(1.5 * unit))
        self._grid.setVerticalSpacing(round(0.6 * unit))
        self._grid.setColumnMinimumWidth(0, round(24 * unit))
        for cell in self.cells.values():
            cell.restyle(palette, unit)

    def _step(self, id: str, rows: int, columns: int) -> None:
        cell = self.cells[id].cell
        row = self._rows.index(cell.row) + rows
        column = self._columns.index(cell.column) + columns
        if not (0 <= row < len(self._rows) and 0 <= column < len(self._columns)):
            return
        for other in self.cells.values():
            if (other.cell.row, other.cell.column) == (self._rows[row], self._columns[column]):
                other.setFocus()
                self._choose(other.cell.id)
                return


def _text(
    painter: QPainter, area: QRectF, text: str, made: QFont, colour: str, *, right: bool = False
) -> None:
    painter.setFont(made)
    painter.setPen(color(colour))
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    shown = QFontMetricsF(made).elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, shown)
