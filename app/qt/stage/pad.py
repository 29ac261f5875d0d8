"""The drawing pad: strokes on the stage become pictures of a board, read while they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from twinlens.app.core.drawing.board import Board
from twinlens.app.core.drawing.digits import reads_signs
from twinlens.app.core.session.source import Source
from twinlens.app.overlays import Banner, Notice, Overlays, Palette
from twinlens.app.qt.ports import (
    BannerPort,
    ModelPort,
    SessionPort,
    SettingsPort,
    SheetPort,
    SourcePort,
    ViewPort,
)
from twinlens.app.qt.stage.controls import button_style
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.sources import Drawing
from twinlens.app.views.pad import PAD, PadShown
from twinlens.engine.api.protocol import Network

SOURCE = "drawing"
DIGITS_MODEL = "twinlens-digits"
_FALLBACK = "clip"
_FOLLOW_MS = 30
_BOARD = "Black board"


class Tools(QWidget):
    """A column of buttons at the right edge, large enough for a finger.

    Args:
        acts: (title, what it is called, what it does) of each button.
    """

    def __init__(self, acts: list[tuple[str, str, Callable[[], object]]], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Drawing tools")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.buttons: dict[str, QPushButton] = {}
        for title, full_name, act in acts:
            button = QPushButton(title, self)
            button.setAccessibleName(full_name)
            button.setToolTip(full_name)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(True)
            button.clicked.connect(lambda _=False, act=act: act())
            self._column.addWidget(button)
            self.buttons[title] = button

    def show_data(self, data: PadShown) -> None:
        """Show which board the button leads to."""
        self.buttons[_BOARD].setText(data.other_board)

    def restyle(self, palette: Palette, unit: float) -> None:
        """Take the colours of a theme, and sizes for a unit of 1 % of the shorter side."""
        self._column.setSpacing(round(unit))
        for button in self.buttons.values():
            button.setStyleSheet(button_style(palette, unit))
        self.adjustSize()


class Pad(QObject):
    """Draws on the board of the source in use, where that is one; sleeps otherwise.

    The network's part of the board follows the ink. Whether the board looks white or black is a
    matter of display, as the mirror is: the network always gets dark ink on light paper.

    Args:
        stage: what is drawn on.
        live: the session.
        memory: whether boards look white or black.
        sheets: they stand before its buttons.
        banners: where it shows what a network does not read.
        sources: what is looked at.
        models: changes the model.
        views: computes what the network looks at.
    """

    def __init__(
        self,
        stage: Stage,
        live: SessionPort,
        memory: SettingsPort,
        sheets: SheetPort,
        banners: BannerPort,
        sources: SourcePort,
        models: ModelPort,
        views: ViewPort,
    ) -> None:
        super().__init__(stage)
        self._stage, self._live, self._memory = stage, live, memory
        self._sheets, self._banners, self._sources = sheets, banners, sources
        self._models, self._views = models, views
        # What answered before this got the digits' network, and its name; None where it did not.
        self._model_before: tuple[Network, str] | None = None
        self._made: Drawing | None = None
        self._before = ""
        self._leaving = False
        self.board: Board | None = None
        self._drawing = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_FOLLOW_MS)
        self._timer.timeout.connect(self.follow)
        self.tools: Tools | None = None

    @property
    def active(self) -> bool:
        """Whether the board is what is seen."""
        return self.board is not None

    def made(self, source: Source) -> Source:
        """Take note of the source that is made, and give it back."""
        if isinstance(source, Drawing):
            self._made = source
        return source

    def toggle(self) -> None:
        """Go to the drawing pad, or back to the source that was used before."""
        if self.active:
            self._leaving = True
            self._sources.source(self._before or _FALLBACK)
            return
        if self._sources.source_text != SOURCE:
            self._before = self._sources.source_text
        self._sources.source(SOURCE)

    def leave(self) -> bool:
        """Go back to the source that was used before; returns whether the pad was there."""
        if self.active:
            self.toggle()
            return True
        return False

    def source_failed(self) -> None:
        """A source does not play: where that one was to follow the pad, the clip does."""
        if self.active and self._leaving:
            self._leaving, self._before = False, ""
            self._sources.source(_FALLBACK)

    def source_opened(self, kind: str) -> None:
        """Another source is seen: wake, or go to sleep."""
        if kind == SOURCE and self._made is not None:
            self._wake(self._made.board)
        elif self.active:
            self._sleep()

    def _wake(self, board: Board) -> None:
        if not self.active:
            self._stage.hand = self._take
            self._stage.set_pointer(Qt.CursorShape.CrossCursor)
        self.board, self._drawing, self._leaving = board, False, False
        self._make_tools()
        self._stage.set_negative(self._memory.settings.board == "black")
        self.follow()
        session = self._live.session
        if session is not None:
            # A drawing has no noise to smooth away, and half a digit must not linger.
            session.set_smoothing(False)
        if session is not None and not reads_signs(session.state.spec.recipe):
            hint = "A small network of ours reads them, until you leave the pad."
            message = f"{session.state.spec.title} reads pictures, not single digits"
            self._banners.show_banner(Banner(message, hint, action="Get digits"), self.get_digits)

    def get_digits(self) -> None:
        """Let the bundled network for digits answer while the pad is used."""
        session = self._live.session
        if session is not None:
            self._model_before = session.state.network, self._memory.settings.model
        self._banners.close_banner()
        self._models.model(DIGITS_MODEL)

    def _give_back_model(self) -> None:
        before, self._model_before = self._model_before, None
        session = self._live.session
        if before is not None and session is not None and session.state.spec.id == DIGITS_MODEL:
            self._models.use(*before)

    def _sleep(self) -> None:
        stage = self._stage
        stage.hand = None
        stage.set_pointer(Qt.CursorShape.ArrowCursor)
        stage.set_negative(False)
        stage.show_region(None)
        self.board = None
        self._timer.stop()
        if self.tools is not None:
            self.tools.deleteLater()
            self.tools.hide()
            self.tools = None
        self._give_back_model()
        if self._live.session is not None:
            self._live.session.set_region(None)
            self._live.session.set_smoothing(self._memory.settings.smoothing)

    def _make_tools(self) -> None:
        if self.tools is None:
            acts: list[tuple[str, str, Callable[[], object]]] = [
                ("Undo", "Undo a stroke. Key Ctrl Z", self.undo),
                ("Clear", "Wipe the board. Key Delete", self.clear),
                (_BOARD, "White or black board", self.flip_board),
                ("Done", "Leave the drawing pad. Key D", self.toggle),
            ]
            self.tools = Tools(acts, self._stage)
            self._stage.heed(self.tools)
            self.lay_out()
            self.tools.show()
            self._sheets.raise_sheet()

    def lay_out(self) -> None:
        """Fit the stage's new size."""
        if self.tools is not None:
            stage, unit = self._stage, self._stage.unit
            self.tools.restyle(stage.palette_, unit)
            size = self.tools.sizeHint()
            left = stage.width() - size.width() - round(3 * unit)
            self.tools.setGeometry(
                left, round((stage.height() - size.height()) / 2), size.width(), size.height()
            )

    def amend(self, shown: Overlays) -> Overlays:
        """An empty board has no answer."""
        if self.board is None or not self.board.empty:
            return shown
        session = self._live.session
        digit = session is not None and reads_signs(session.state.spec.recipe)
        notice = shown.notice or Notice("Draw a digit" if digit else "Draw something")
        return replace(shown, label=None, top=None, status=None, notice=notice)

    # --- drawing ---------------------------------------------------------------------------

    def _take(self, event: QMouseEvent) -> bool:
        """Draw with the left button, a finger or a pen: Qt makes mouse events of all of them."""
        board, left = self.board, Qt.MouseButton.LeftButton
        if board is None:
            return False
        x, y = self._stage.to_picture(event.position())
        place = x * board.width, y * board.height
        kind = event.type()
        if kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick):
            if event.button() != left:
                return False
            self._drawing = True
            self._stage.setFocus()
            board.press(*place)
        elif not self._drawing:
            return False
        elif kind == QEvent.Type.MouseMove:
            board.move(*place)
        elif event.button() == left:
            self._drawing = False
            board.move(*place)
            board.lift()
        self._changed()
        return True

    def undo(self) -> None:
        """Take the last stroke back."""
        if self.board is not None and self.board.undo():
            self._changed()

    def clear(self) -> None:
        """Wipe the board."""
        if self.board is not None:
            self.board.clear()
            self._changed()

    def flip_board(self) -> None:
        """Show a white board black, or a black one white."""
        board = "white" if self._memory.settings.board == "black" else "black"
        self._memory.remember(board=board)
        self.follow()

    def _changed(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def follow(self) -> None:
        """Let the network look at the ink, where it is one for single signs."""
        if self.board is not None:
            self._views.ask(PAD, self.board, partial(self._show, self.board))

    def _show(self, of: Board, shown: PadShown | None) -> None:
        session = self._live.session
        if self.board is not of or session is None or shown is None:
            return  # another source is seen by now
        session.set_region(shown.looks_at)
        self._stage.show_region(shown.marked)
        self._stage.set_negative(shown.black)
        if self.tools is not None:
            self.tools.show_data(shown)
            self.lay_out()
        self._live.refresh()
