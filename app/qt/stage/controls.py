"""The controls over the picture: engine switch, sheet buttons, live dot; they fade when idle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPropertyAnimation, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QGraphicsOpacityEffect,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.overlays import LiveDot, Palette, engine_color
from twinlens.app.qt.stage.painters import PILL_OPACITY
from twinlens.app.qt.stage.theme import OWN_ARROWS, color, font, rgba, tint_color

IDLE_MS = 3000
CONTROL_UNITS = 150
"""Width of the row of controls in its own units, with room to spare."""
STACKED_UNITS = 86
"""The same where the buttons have a row of their own."""
HIGH_UNITS = 4.6
_FADE_MS = 220
_RING_PX = 2
_LINE_OPACITY = 0.1
"""Of the line around buttons, which stand on the ground as well as on pictures."""


class _Segment(QPushButton):
    """A button of the switch; arrow keys go to its neighbours.

    Args:
        title: what stands on it.
        go: called with -1 or 1 when an arrow is pressed.
    """

    def __init__(self, title: str, go: Callable[[int], None], parent: QWidget) -> None:
        super().__init__(title, parent)
        self._go = go
        self.setCheckable(True)
        self.setProperty(OWN_ARROWS, True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Outside a dialog, Return presses only a button that asks for it.
        self.setAutoDefault(True)
        self.setAccessibleName(f"Engine {title}")

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Arrows move the focus."""
        ways = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        way = ways.get(Qt.Key(event.key()))
        if way is None:
            super().keyPressEvent(event)
        else:
            self._go(way)


class EngineSwitch(QWidget):
    """Segmented switch; the engine that really answers is lit.

    Args:
        engines: all engines, usable or not.
        choose: called with the id of the engine that a person picked.
    """

    def __init__(
        self,
        engines: Sequence[EngineChoice],
        choose: Callable[[str], None],
        palette: Palette,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Engine")
        self._choose, self._palette = choose, palette
        self._buttons: dict[str, QPushButton] = {}
        self._live = self._pending = ""
        layout = QHBoxLayout(self)
        layout.setSpacing(0)
        layout.setContentsMargins(0, 0, 0, 0)
        # No button group: in one, Tab and arrows reach the button that is checked and no other.
        for engine in engines:
            button = _Segment(engine.title, self._go, self)
            button.clicked.connect(lambda _=False, chosen=engine.id: self._clicked(chosen))
            layout.addWidget(button)
            self._buttons[engine.id] = button
        self.offer(engines)
        self._unit = 7.2

    def offer(self, engines: Sequence[EngineChoice]) -> None:
        """Show anew which of the engines can be used, and why others cannot."""
        for number, engine in enumerate(engines, 1):
            button = self._buttons[engine.id]
            explanation = engine.reason or f"Key {number}"
            button.setEnabled(engine.reason is None)
            button.setToolTip(explanation)
            button.setAccessibleDescription(explanation)

    def _go(self, way: int) -> None:
        """Move the focus to the next segment that can be used, round the ends."""
        usable = [button for button in self._buttons.values() if button.isEnabled()]
        at = next((n for n, button in enumerate(usable) if button.hasFocus()), 0)
        if usable:
            usable[(at + way) % len(usable)].setFocus(Qt.FocusReason.TabFocusReason)

    def _clicked(self, engine_id: str) -> None:
        # What is lit is what answers, not what was clicked.
        self.show_state(self._live, self._pending)
        self._choose(engine_id)

    def show_state(self, live: str, pending: str) -> None:
        """Light the engine that answers; colour the name of the one that is being loaded."""
        self._live, self._pending = live, pending
        for engine_id, button in self._buttons.items():
            button.setChecked(engine_id == live)
        self.restyle(self._palette, self._unit)

    @property
    def live(self) -> str:
        """Id of the engine that is lit."""
        return self._live

    def button(self, engine_id: str) -> QPushButton:
        """The button of an engine."""
        return self._buttons[engine_id]

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme, and sizes for a unit of 1 % of the shorter side."""
        self._palette, self._unit = palette, unit
        ground = rgba(palette.scrim, PILL_OPACITY)
        line = rgba(palette.on_picture, _LINE_OPACITY)
        last = len(self._buttons) - 1
        for place, (engine_id, button) in enumerate(self._buttons.items()):
            accent = engine_color(engine_id)
            left = unit * 1.1 if place == 0 else 0
            right = unit * 1.1 if place == last else 0
            coming = engine_id == self._pending != self._live
            button.setFixedHeight(round(unit * HIGH_UNITS))
            button.setStyleSheet(f"""
                QPushButton {{
                    font-size: {unit * 2.2:.0f}px; font-weight: 600; color: {palette.on_picture};
                    background: {ground}; outline: 0;
                    border: {_RING_PX}px solid {accent if coming else line};
                    padding: 0 {unit * 1.6:.0f}px;
                    border-top-left-radius: {left:.0f}px;
                    border-bottom-left-radius: {left:.0f}px;
                    border-top-right-radius: {right:.0f}px;
                    border-bottom-right-radius: {right:.0f}px;
                }}
                QPushButton:hover {{ background: {tint_color(palette)}; }}
                QPushButton:checked {{ background: {accent}; color: #0E1116; }}
                QPushButton:disabled {{ color: {palette.text_dim}; }}
                QPushButton:focus {{ border: {_RING_PX}px solid {palette.on_picture}; }}
                """)


class DotLabel(QWidget):
    """The live dot and the camera's frame rate."""

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Camera frame rate")
        self._palette, self._dot, self._unit = palette, LiveDot(False, ""), 7.2
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_dot(self, dot: LiveDot) -> None:
        """Show a state."""
        if dot != self._dot:
            self._dot = dot
            self.setAccessibleDescription(f"{dot.fps_text.strip()} frames per second")
            self.update()

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme, and the size for a unit of 1 % of the shorter side."""
        self._palette, self._unit = palette, unit
        self.setFixedSize(self.sizeHint())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for the dot and four figures."""
        return QSize(round(self._unit * 12), round(self._unit * HIGH_UNITS))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint a pill with dot and number."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        unit, area = self._unit, QRectF(self.rect())
        painter.setPen(QPen(color(self._palette.on_picture, _LINE_OPACITY), _RING_PX))
        painter.setBrush(color(self._palette.scrim, PILL_OPACITY))
        edge = _RING_PX / 2
        painter.drawRoundedRect(area.adjusted(edge, edge, -edge, -edge), unit * 1.1, unit * 1.1)
        painter.setPen(Qt.PenStyle.NoPen)
        # No colour: those are the engines'.
        painter.setBrush(color(self._palette.on_picture, 1.0 if self._dot.live else 0.4))
        dot = QRectF(
            area.left() + unit * 1.6, area.center().y() - unit * 0.7, unit * 1.4, unit * 1.4
        )
        painter.drawEllipse(dot)
        painter.setFont(font(2.2 * unit))
        painter.setPen(color(self._palette.on_picture))
        text = area.adjusted(unit * 3.6, 0, -unit * 1.4, 0)
        painter.drawText(
            text, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._dot.fps_text
        )
        painter.end()


class Controls(QWidget):
    """The row of controls on top; fades three seconds after the pointer last moved.

    Args:
        engines: for the engine switch.
        choose_engine: called with an engine's id.
        sheets: (title, key, what it opens) of each sheet button.
        palette: colours.

    Signals:
        faded: they are out of sight, since nobody has used them.
    """

    faded = Signal()

    def __init__(
        self,
        engines: Sequence[EngineChoice],
        choose_engine: Callable[[str], None],
        sheets: Sequence[tuple[str, str, Callable[[], None]]],
        palette: Palette,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._palette, self._stacked = palette, False
        self.switch = EngineSwitch(engines, choose_engine, palette, self)
        self.dot = DotLabel(palette, self)
        self._buttons: list[QPushButton] = []
        self._grid = QGridLayout(self)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self.switch, 0, 0)
        self._row = QWidget(self)
        self._bar = layout = QHBoxLayout(self._row)
        layout.setContentsMargins(0, 0, 0, 0)
        self._grid.addWidget(self._row, 0, 2)
        self._grid.addWidget(self.dot, 0, 3)
        for title, key, opens in sheets:
            button = QPushButton(title, self._row)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(True)
            button.setToolTip(f"Key {key}")
            button.setAccessibleName(f"{title} sheet")
            button.clicked.connect(lambda _=False, opens=opens: opens())
            layout.addWidget(button)
            self._buttons.append(button)
        self._effect = QGraphicsOpacityEffect(self)
        self._effect.setOpacity(1.0)
        self.setGraphicsEffect(self._effect)
        self._fade = QPropertyAnimation(self._effect, b"opacity", self)
        self._fade.setDuration(_FADE_MS)
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.timeout.connect(self.fade_out)
        self.pinned = False
        self._gap = 0.0

    def set_idle_ms(self, idle_ms: int) -> None:
        """Change how long controls stay without the pointer."""
        self._idle.setInterval(idle_ms)

    def wake(self) -> None:
        """Show the controls at once and start waiting again."""
        self._fade.stop()
        self._effect.setOpacity(1.0)
        self._effect.setEnabled(False)
        if not self._idle.interval():
            self._idle.setInterval(IDLE_MS)
        self._idle.start()

    def pin(self, pinned: bool) -> None:
        """Stay from now on, or fade again when idle."""
        self.pinned = pinned
        if pinned:
            self.wake()

    def fade_out(self) -> None:
        """Fade, unless something needs them: a sheet is open, or the pointer stands on them."""
        if self.pinned or self.underMouse():
            self._idle.start()
            return
        self._effect.setEnabled(True)
        self._fade.setStartValue(self._effect.opacity())
        self._fade.setEndValue(0.0)
        self._fade.start()
        self.faded.emit()

    @property
    def shown(self) -> bool:
        """Whether the controls are to be seen."""
        return self._fade.state() != QPropertyAnimation.State.Running and (
            self._effect.opacity() > 0.5
        )

    @property
    def taken(self) -> float:
        """Height that is taken, with a gap below, in pixels; 0 where the controls have faded."""
        return self.height() + self._gap if self.shown else 0.0

    def restyle(self, palette: Palette, unit: float, margin: float, *, stacked: bool) -> int:
        """Take the colours of a theme and new sizes; returns the height that is needed, in pixels.

        Args:
            palette: colours of the theme.
            unit: 1 % of the shorter side, or less where there is little width.
            margin: to the window's edges, in pixels.
            stacked: the buttons have a row of their own.
        """
        self._palette, self._gap = palette, unit
        edge, gap = round(margin), round(unit)
        self._grid.setContentsMargins(edge, edge, edge, 0)
        self._grid.setSpacing(gap)
        self._bar.setSpacing(gap)
        if stacked != self._stacked:
            self._stacked = stacked
            self._grid.removeWidget(self._row)
            place = (1, 0, 1, 4) if stacked else (0, 2, 1, 1)
            self._grid.addWidget(self._row, *place, Qt.AlignmentFlag.AlignLeft)
        self.switch.restyle(palette, unit)
        self.dot.restyle(palette, unit)
        for button in self._buttons:
            button.setStyleSheet(button_style(palette, unit))
            button.setFixedHeight(round(unit * HIGH_UNITS))
        # Counted, since hints lag behind styles: controls would stand where they stood before.
        rows = 2 if stacked else 1
        return edge + rows * round(unit * HIGH_UNITS) + (rows - 1) * gap


def button_style(palette: Palette, unit: float) -> str:
    """Style of a button that stands on the picture itself."""
    return f"""
        QPushButton {{
            font-size: {unit * 2.2:.0f}px; color: {palette.on_picture};
            background: {rgba(palette.scrim, PILL_OPACITY)}; outline: 0;
            border-radius: {unit * 1.1:.0f}px;
            border: {_RING_PX}px solid {rgba(palette.on_picture, _LINE_OPACITY)};
            padding: {unit * 0.7:.0f}px {unit * 1.4:.0f}px;
        }}
        QPushButton:hover {{ background: {tint_color(palette)}; }}
        QPushButton:focus {{ border-color: {palette.on_picture}; }}
        """


def caption(text: str, name: str, parent: QWidget) -> QLabel:
    """A label with an object name that the style sheet knows."""
    made = QLabel(text, parent)
    made.setObjectName(name)
    made.setWordWrap(name in ("detail", "title", "fine"))
    return made
