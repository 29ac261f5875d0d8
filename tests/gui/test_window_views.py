"""A new view is one record, one painter and one line in each table; the rest follows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from helpers.gui_stand import Stand, pixels_of, run_stand
from twinlens.app.core.session.types import Needs
from twinlens.app.overlays import Palette
from twinlens.app.qt.drawn import DRAWN
from twinlens.app.qt.sheets.sheets import CheatCard, Sheet
from twinlens.app.qt.sheets.view_panel import ViewPanel
from twinlens.app.qt.stage.painters import Canvas
from twinlens.app.views.table import VIEWS
from twinlens.app.views.view import Group, Inputs, Place, View

Key = Qt.Key
Ctrl = Qt.KeyboardModifier.ControlModifier

# --- what a new view is: one file in app/views -------------------------------------------------


@dataclass(frozen=True)
class Grey:
    """How bright the picture is that the network gets, 0 to 255."""

    mean: float
    thread: str


def grey_of(inputs: Inputs[None]) -> Grey | None:
    if inputs.result is None or inputs.result.picture is None:
        return None
    return Grey(float(inputs.result.picture.mean()), threading.current_thread().name)


GREY = View(
    id="grey",
    title="Grey",
    place=Place.FOOT,
    data=Grey,
    snapshot=grey_of,
    key="Y",
    words="how bright it is",
    group=Group.PICTURE,
    detail="How bright the picture is.",
    needs=Needs(picture=True),
    follows=True,
)

# --- one painter in app/qt ---------------------------------------------------------------------

INK = QColor(255, 0, 255)


def paint_grey(painter: QPainter, grey: Grey, canvas: Canvas) -> None:
    painter.fillRect(QRectF(0, 0, 20 + grey.mean, canvas.unit), INK)


# --- and one that has a panel, in the drawer ----------------------------------------------------


class GreyPanel(ViewPanel):
    def __init__(self, actions: Any, palette: Palette, unit: float, parent: QWidget) -> None:
        super().__init__(actions, palette, unit, parent)
        self.words = QLabel(self)
        QVBoxLayout(self).addWidget(self.words)

    def show_data(self, data: GreyWords) -> None:
        self.words.setText(f"{data.mean:.0f}")

    def place(self, width: int, height: int, unit: float) -> None:
        self.setGeometry(width // 2, 0, width // 2, height)


class GreyWords(Grey):
    """The same on a panel."""


def words_of(inputs: Inputs[None]) -> GreyWords | None:
    grey = grey_of(inputs)
    return GreyWords(grey.mean, grey.thread) if grey is not None else None


WORDS = replace(
    GREY,
    id="grey-words",
    title="Grey in words",
    place=Place.DRAWER,
    data=GreyWords,
    snapshot=words_of,
    key="Shift+Y",
    detail="The same in words.",
)


class Broken(Grey):
    """What never comes."""


def raises(inputs: Inputs[None]) -> Broken | None:
    raise KeyError(f"surprise at {inputs.settings.model}")


BROKEN = replace(GREY, id="broken", title="Broken", data=Broken, snapshot=raises, key="Ctrl+Y")


@pytest.fixture
def stand(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """With three views more: a line for each in the tables."""
    yield from run_stand(
        qtbot,
        tmp_path,
        views=(*VIEWS, GREY, WORDS, BROKEN),
        drawn={**DRAWN, Grey: paint_grey, GreyWords: GreyPanel, Broken: paint_grey},
    )


def magenta(stand: Stand) -> int:
    """How many pixels of the top row are painted by the view."""
    row = pixels_of(stand.window)[1, :, :3]
    return int((row == (INK.blue(), INK.green(), INK.red())).all(axis=1).sum())


def test_its_key_paints_it_anew_with_each_answer_and_takes_it_away(
    stand: Stand, qtbot: Any
) -> None:
    window = stand.window
    assert magenta(stand) == 0
    qtbot.keyClick(window.stage, Key.Key_Y)
    stand.until(lambda: magenta(stand) > 0)
    before = magenta(stand)
    for _ in range(5):
        stand.feed(10)  # each frame is brighter than the one before
    stand.until(lambda: magenta(stand) > before)
    qtbot.keyClick(window.stage, Key.Key_Y)
    assert magenta(stand) == 0
    stand.feed(2)
    assert magenta(stand) == 0


def test_what_it_needs_is_kept_while_it_is_open_and_only_then(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    stand.feed(1)
    assert window.last_result is not None
    assert window.last_result.picture is None
    qtbot.keyClick(window.stage, Key.Key_Y)
    stand.until(lambda: window.last_result is not None and window.last_result.picture is not None)
    qtbot.keyClick(window.stage, Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(window.stage, Key.Key_Y)
    stand.feed(2)
    stand.until(lambda: isinstance(window.sheet, GreyPanel) and bool(window.sheet.words.text()))
    assert window.last_result.picture is not None, "the other one still needs it"
    qtbot.keyClick(window.stage, Key.Key_Escape)
    assert window.sheet is None
    stand.feed(2)
    stand.until(lambda: window.last_result is not None and window.last_result.picture is None)


def test_escape_takes_away_what_is_painted(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_Y)
    stand.until(lambda: magenta(stand) > 0)
    qtbot.keyClick(stand.window.stage, Key.Key_Escape)
    assert magenta(stand) == 0
    assert not stand.window.views.shows(GREY)


def test_it_stands_in_the_menu_with_its_key_and_opens_from_there(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    window.menus.views()
    sheet = window.sheet
    assert isinstance(sheet, Sheet)
    words = [label.text() for label in sheet.findChildren(QLabel)]
    assert "How bright the picture is. Key Y" in words
    assert "The same in words. Key Shift Y" in words
    (row,) = [button for button in sheet.buttons if button.accessibleName() == "Grey"]
    row.click()
    stand.until(lambda: magenta(stand) > 0)
    assert window.sheet is None


def test_it_stands_on_the_card_with_all_keys(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_F1)
    card = stand.window.sheet
    assert isinstance(card, CheatCard)
    words = {label.text() for label in card.findChildren(QLabel)}
    assert {"Y", "Shift Y", "how bright it is"} <= words


def test_a_second_view_in_a_place_replaces_the_first(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    qtbot.keyClick(window.stage, Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    stand.until(lambda: isinstance(window.sheet, GreyPanel) and bool(window.sheet.words.text()))
    bench = next(view for view in VIEWS if view.id == "bench")
    qtbot.keyClick(window.stage, Key.Key_B, Ctrl)
    assert window.views.shows(bench)
    assert not window.views.shows(WORDS)
    qtbot.keyClick(window.stage, Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    assert not window.views.shows(bench)
    stand.until(lambda: not window.bench.running)


def test_snapshots_are_computed_off_the_windows_thread(
    stand: Stand, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Grey] = []

    def keep(_under: object, over: tuple[object, ...]) -> None:
        shown.extend(data for data in over if isinstance(data, Grey))

    monkeypatch.setattr(stand.window.stage, "show_views", keep)
    qtbot.keyClick(stand.window.stage, Key.Key_Y)
    stand.until(lambda: bool(shown))
    assert shown[0].thread != threading.main_thread().name
    assert np.isfinite(shown[0].mean)


def test_a_view_that_fails_says_so_once_and_the_picture_goes_on(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    qtbot.keyClick(window.stage, Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert "surprise" in window.banner.title
    window.popups.close_banner()
    stand.feed(5)
    assert window.banner is None, "said with each answer, it would cover everything else"
    assert window.stage.overlays.label is not None
