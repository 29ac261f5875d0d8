"""The controls over the picture: engine switch, sheet buttons, live dot; they fade when idle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPropertyAnimation, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.overlays import LiveDot, Palette, engine_color
from twinlens.app.qt.stage.theme import color, font

IDLE_MS = 3000
CONTROL_UNITS = 150
"""Width of the row of controls in its own units, with room to spare."""
_FADE_MS = 220
_LIVE = "#5BD68C"


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
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Engine")
        self._choose = choose
        self._buttons: dict[str, QPushButton] = {}
        self._live = self._pending = ""
        layout = QHBoxLayout(self)
        layout.setSpacing(0)
        layout.setContentsMargins(0, 0, 0, 0)
        group = QButtonGroup(self)
        for engine in engines:
            button = QPushButton(engine.title, self)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(True)
            button.setAccessibleName(f"Engine {engine.title}")
            button.clicked.connect(lambda _=False, chosen=engine.id: self._clicked(chosen))
            group.addButton(button)
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

    def _clicked(self, engine_id: str) -> None:
        # What is lit is what answers, not what was clicked.
        self.show_state(self._live, self._pending)
        self._choose(engine_id)

    def show_state(self, live: str, pending: str) -> None:
        """Light the engine that answers; colour the name of the one that is being loaded."""
        self._live, self._pending = live, pending
        if live in self._buttons:
            self._buttons[live].setChecked(True)
        self.restyle(self._unit)

    @property
    def live(self) -> str:
        """Id of the engine that is lit."""
        return self._live

    def button(self, engine_id: str) -> QPushButton:
        """The button of an engine."""
        return self._buttons[engine_id]

    def restyle(self, unit: float) -> None:
        """Size everything for a unit of 1 % of the window's height."""
        self._unit = unit
        last = len(self._buttons) - 1
        for place, (engine_id, button) in enumerate(self._buttons.items()):
            accent = engine_color(engine_id)
            left = unit * 1.1 if place == 0 else 0
            right = unit * 1.1 if place == last else 0
            words = accent if engine_id == self._pending != self._live else "#FFFFFF"
            button.setStyleSheet(f"""
                QPushButton {{
                    font-size: {unit * 2.2:.0f}px; font-weight: 600; color: {words};
                    background: rgba(14, 17, 22, 205); border: 0;
                    padding: {unit * 0.9:.0f}px {unit * 1.8:.0f}px;
                    border-top-left-radius: {left:.0f}px;
                    border-bottom-left-radius: {left:.0f}px;
                    border-top-right-radius: {right:.0f}px;
                    border-bottom-right-radius: {right:.0f}px;
                }}
                QPushButton:hover {{ background: rgba(42, 49, 60, 230); }}
                QPushButton:checked {{ background: {accent}; color: #0E1116; }}
                QPushButton:disabled {{ color: #9AA3B0; }}
                QPushButton:focus {{ text-decoration: underline; }}
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

    def restyle(self, unit: float) -> None:
        """Size for a unit of 1 % of the window's height."""
        self._unit = unit
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for the dot and four figures."""
        return QSize(round(self._unit * 12), round(self._unit * 4.6))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint a pill with dot and number."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        unit, area = self._unit, QRectF(self.rect())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color(self._palette.scrim, self._palette.scrim_opacity))
        painter.drawRoundedRect(area, unit * 1.1, unit * 1.1)
        painter.setBrush(color(_LIVE if self._dot.live else "#9AA3B0"))
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
    """

    def __init__(
        self,
        engines: Sequence[EngineChoice],
        choose_engine: Callable[[str], None],
        sheets: Sequence[tuple[str, str, Callable[[], None]]],
        palette: Palette,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.switch = EngineSwitch(engines, choose_engine, self)
        self.dot = DotLabel(palette, self)
        self._buttons: list[QPushButton] = []
        layout = QHBoxLayout(self)
        layout.addWidget(self.switch)
        layout.addStretch(1)
        for title, key, opens in sheets:
            button = QPushButton(title, self)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(True)
            button.setToolTip(f"Key {key}")
            button.setAccessibleName(f"{title} sheet")
            button.clicked.connect(lambda _=False, opens=opens: opens())
            layout.addWidget(button)
            self._buttons.append(button)
        layout.addWidget(self.dot)
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

    def restyle(self, unit: float) -> None:
        """Size everything for a unit of 1 % of the window's height."""
        self._gap = unit
        margin = round(3 * unit)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(margin, margin, margin, 0)
            layout.setSpacing(round(unit))
        self.switch.restyle(unit)
        self.dot.restyle(unit)
        for button in self._buttons:
            button.setStyleSheet(button_style(unit))


def button_style(unit: float) -> str:
    """Style of a button that stands on the picture itself."""
    return f"""
        QPushButton {{
            font-size: {unit * 2.2:.0f}px; color: #FFFFFF;
            background: rgba(14, 17, 22, 205); border-radius: {unit * 1.1:.0f}px;
            border: {max(1, unit * 0.2):.0f}px solid transparent;
            padding: {unit * 0.9:.0f}px {unit * 1.6:.0f}px;
        }}
        QPushButton:hover {{ background: rgba(42, 49, 60, 230); }}
        QPushButton:focus {{ border-color: #FFFFFF; }}
        """


def caption(text: str, name: str, parent: QWidget) -> QLabel:
    """A label with an object name that the style sheet knows."""
    made = QLabel(text, parent)
    made.setObjectName(name)
    made.setWordWrap(name in ("detail", "title"))
    return made
