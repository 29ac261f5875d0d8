"""The keyboard alone: focused widgets keep their own keys, everything else is a shortcut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QSlider

from helpers.fakes import make_frame
from helpers.gui_stand import Stand, pixels_of
from twinlens.app.core.session.types import Frame
from twinlens.app.overlays import Banner, BannerKind
from twinlens.app.qt.sheets.sheets import BannerPanel, Sheet
from twinlens.engine.image import CropAndScale, PixelBuffer

Key = Qt.Key


def open_sheet(stand: Stand) -> Sheet:
    sheet = stand.window.sheet
    assert isinstance(sheet, Sheet)
    return sheet


@pytest.mark.parametrize("key", [Key.Key_Space, Key.Key_Return])
def test_a_focused_row_is_pressed_and_nothing_is_paused(stand: Stand, qtbot: Any, key: Any) -> None:
    window = stand.window
    window.menus.views()
    row = next(b for b in open_sheet(stand).buttons if b.accessibleName() == "Mirror")
    row.setFocus()
    qtbot.keyClick(row, key)
    assert window.settings.mirror
    assert window.session is not None
    assert not window.session.state.paused
    assert window.sheet is None


@pytest.mark.parametrize("key", [Key.Key_Space, Key.Key_Return])
def test_the_engine_switch_works_by_key(stand: Stand, qtbot: Any, key: Any) -> None:
    button = stand.window.controls.switch.button("vision")
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    button.setFocus()
    qtbot.keyClick(button, key)
    stand.until(lambda: stand.window.controls.switch.live == "vision")


def test_arrow_keys_move_the_threshold(stand: Stand, qtbot: Any) -> None:
    stand.window.menus.settings()
    slider = open_sheet(stand).findChild(QSlider)
    assert slider is not None
    slider.setFocus()
    qtbot.keyClick(slider, Key.Key_Right)
    assert stand.window.settings.threshold == pytest.approx(0.31)


def test_the_same_key_closes_its_sheet(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_V)
    qtbot.keyClick(open_sheet(stand), Key.Key_V)
    assert stand.window.sheet is None
    assert stand.window.focusWidget() is stand.window.stage


def test_c_goes_through_all_crops_and_says_which(stand: Stand, qtbot: Any) -> None:
    seen = []
    for _ in range(len(CropAndScale) + 1):
        qtbot.keyClick(stand.window.stage, Key.Key_C)
        seen.append(stand.window.settings.crop)
        assert stand.window.banner is not None
        assert stand.window.banner.title.startswith("Crop: ")
    assert seen == [*(crop.value for crop in CropAndScale), ""]


def test_f_fills_the_screen_and_escape_leaves_it(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_F)
    assert stand.window.isFullScreen()
    qtbot.keyClick(stand.window.stage, Key.Key_Escape)
    assert not stand.window.isFullScreen()


def test_escape_closes_sheet_then_banner(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    window.show_banner(Banner("Something", "Do something."))
    window.menus.views()
    qtbot.keyClick(open_sheet(stand), Key.Key_Escape)
    assert window.sheet is None
    assert window.banner is not None
    qtbot.keyClick(window.stage, Key.Key_Escape)
    assert window.banner is None


def test_control_q_closes(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not stand.window.isVisible()


def test_try_again_is_pressed_by_key_and_outlives_a_new_size(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    tried: list[bool] = []
    banner = Banner("No camera", "The clip plays.", BannerKind.WARN, action="Try again")
    window.show_banner(banner, lambda: tried.append(True))
    window.resize(900, 600)
    stand.feed(1)
    panel = window.findChild(BannerPanel)
    assert panel is not None
    assert window.stage.rect().contains(panel.geometry())
    button = next(b for b in panel.findChildren(QPushButton) if b.text() == "Try again")
    button.setFocus()
    qtbot.keyClick(button, Key.Key_Return)
    assert tried == [True]


def left_red_right_blue() -> Frame:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32, 2] = 255
    pixels[:, 32:, 0] = 255
    frame = make_frame(1)
    return Frame(PixelBuffer.from_array(pixels), frame.index, frame.captured_s, frame.t_s)


def test_mirror_swaps_left_and_right_on_the_display_and_not_in_the_frame(
    stand: Stand, qtbot: Any
) -> None:
    window = stand.window
    frame = left_red_right_blue()
    window.stage.show_frame(frame)
    area = window.stage.picture_area().toRect()
    middle, left, right = area.center().y(), area.left() + 20, area.right() - 20
    assert pixels_of(window)[middle, left, 2] > 200
    qtbot.keyClick(window.stage, Key.Key_M)
    mirrored = pixels_of(window)
    assert mirrored[middle, left, 0] > 200
    assert mirrored[middle, right, 2] > 200
    assert (frame.buffer.to_bgr()[:, :32, 2] == 255).all()
