"""What brings faded controls back, and what of the window's events reaches Python for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget

from helpers.gui_stand import Stand
from twinlens.app.overlays import Banner
from twinlens.app.qt.sheets.sheets import BannerPanel
from twinlens.app.qt.stage.controls import Controls

Key = Qt.Key
EVENTS = 200


@pytest.fixture(autouse=True)
def pointer_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off screen, the pointer stands at the corner, where controls do not fade."""
    monkeypatch.setattr(Controls, "underMouse", lambda self: False)


def fade(stand: Stand) -> None:
    controls = stand.window.controls
    controls.fade_out()
    stand.until(lambda: not controls.shown)


def point(widget: QWidget) -> None:
    """Move the pointer twice, as the first may only enter."""
    for place in (QPoint(2, 2), QPoint(4, 3)):
        QTest.mouseMove(widget, place)
        QCoreApplication.processEvents()


def banner_line(stand: Stand) -> QWidget:
    stand.window.show_banner(Banner("Something", "Do something.", action="Do"), lambda: None)
    panel = stand.window.findChild(BannerPanel)
    assert panel is not None
    return next(line for line in panel.findChildren(QLabel) if line.isVisible())


@pytest.mark.parametrize(
    "where",
    [
        lambda stand: stand.window.stage,
        lambda stand: stand.window.controls.dot,
        lambda stand: stand.window.controls.switch.button("vision"),
        banner_line,
    ],
    ids=["picture", "dot", "button", "banner"],
)
def test_a_move_of_the_pointer_anywhere_wakes_the_controls(
    stand: Stand, where: Callable[[Stand], QWidget]
) -> None:
    widget = where(stand)
    fade(stand)
    point(widget)
    assert stand.window.controls.shown


def test_a_move_over_the_drawing_tools_and_a_stroke_wake_the_controls(
    stand: Stand, qtbot: Any
) -> None:
    window = stand.window
    window.pad.toggle()
    stand.until(lambda: window.pad.tools is not None)
    assert window.pad.tools is not None
    for widget in (*window.pad.tools.buttons.values(), window.stage):
        fade(stand)
        point(widget)
        assert window.controls.shown, widget.accessibleName()
    qtbot.mousePress(window.stage, Qt.MouseButton.LeftButton, pos=QPoint(300, 300))
    fade(stand)
    qtbot.mouseMove(window.stage, QPoint(310, 320))
    assert window.controls.shown
    qtbot.mouseRelease(window.stage, Qt.MouseButton.LeftButton, pos=QPoint(310, 320))
    assert window.pad.board is not None
    assert window.pad.board.strokes == 1


@pytest.mark.parametrize(
    "key", [Key.Key_Z, Key.Key_Shift, Key.Key_Tab, Key.Key_T, Key.Key_Space, Key.Key_Return]
)
def test_any_key_wakes_the_controls(stand: Stand, qtbot: Any, key: Qt.Key) -> None:
    stand.window.stage.setFocus()
    fade(stand)
    qtbot.keyClick(stand.window.stage, key)
    assert stand.window.controls.shown


@pytest.mark.parametrize("key", [Key.Key_Space, Key.Key_Return, Key.Key_Z, Key.Key_Tab])
def test_a_key_for_a_focused_button_wakes_the_controls(
    stand: Stand, qtbot: Any, key: Qt.Key
) -> None:
    button = stand.window.controls.switch.button("vision")
    button.setFocus()
    fade(stand)
    qtbot.keyClick(button, key)
    assert stand.window.controls.shown


def test_space_is_the_buttons_only_while_it_has_the_focus(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    assert window.session is not None
    button = window.controls.switch.button("vision")
    button.setFocus()
    qtbot.keyClick(button, Key.Key_Space)
    stand.until(lambda: window.controls.switch.live == "vision")
    assert not window.session.state.paused
    window.stage.setFocus()
    qtbot.keyClick(window.stage, Key.Key_Space)
    assert window.session.state.paused


def test_events_that_concern_nobody_run_no_python_code(stand: Stand) -> None:
    others, ran = [QObject(), QLabel("label", stand.window.stage)], []

    def note(frame: FrameType, what: str, arg: object) -> None:
        del arg
        if what == "call" and "twinlens" in frame.f_globals.get("__name__", ""):
            ran.append(frame.f_code.co_qualname)

    QCoreApplication.processEvents()
    sys.setprofile(note)
    try:
        for number in range(EVENTS):
            QCoreApplication.sendEvent(others[number % 2], QEvent(QEvent.Type.User))
    finally:
        sys.setprofile(None)
    others[1].deleteLater()
    assert not ran
