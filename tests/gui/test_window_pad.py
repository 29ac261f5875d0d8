"""The drawing pad: strokes become frames, the network follows the ink, boards look as chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QPointingDevice
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from helpers.gui_stand import Stand, fits, pixels_of, run_stand
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.session.loading import load_from_registry
from twinlens.app.core.settings import Settings
from twinlens.engine.api.protocol import Network
from twinlens.models.identify.resolve import resolve

Key = Qt.Key
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def digits_net(path: Path) -> Path:
    said = {
        "labels": json.dumps(list("0123456789")),
        "twinlens.recipe": json.dumps({"scale": 1 / 255}),
    }
    return tiny_classifier(path, 10, shape=(1, 1, 28, 28), metadata=said)


@pytest.fixture
def stand(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """On a real small grey network."""
    net = digits_net(tmp_path / "digits.onnx")

    def model(name: str) -> Network:
        return resolve(net if name == "fake" else name)

    yield from run_stand(qtbot, tmp_path, serve=load_from_registry, model=model)


def drawing(stand: Stand) -> None:
    """Open the pad and wait for its board."""
    QTest.keyClick(stand.window.stage, Key.Key_D)
    stand.until(lambda: stand.window.pad.active)
    stand.until(lambda: bool((grey(stand)[200:500, 300:900] > 250).all()))


def grey(stand: Stand) -> np.ndarray:
    return pixels_of(stand.window)[..., 1]


def stroke(stand: Stand, places: Sequence[tuple[int, int]]) -> None:
    stage = stand.window.stage
    QTest.mousePress(stage, LEFT, NONE, QPoint(*places[0]))
    for place in places[1:]:
        QTest.mouseMove(stage, QPoint(*place))
    QTest.mouseRelease(stage, LEFT, NONE, QPoint(*places[-1]))


def test_d_opens_the_pad_and_closes_it(stand: Stand) -> None:
    window = stand.window
    drawing(stand)
    assert window.settings.source == "drawing"
    notice = window.stage.overlays.notice
    assert notice is not None
    assert notice.text == "Draw a digit"
    assert window.stage.overlays.label is None
    assert window.banner is None
    assert window.windowTitle().startswith("Drawing pad")
    QTest.keyClick(window.stage, Key.Key_D)
    stand.until(lambda: window.choose.source_text == "fake clip")
    stand.until(lambda: not window.pad.active)
    assert window.pad.tools is None
    assert window.stage.cursor().shape() == Qt.CursorShape.ArrowCursor


def test_a_stroke_is_ink_where_the_mouse_went_and_is_answered(stand: Stand) -> None:
    window = stand.window
    drawing(stand)
    stroke(stand, [(500, 200), (500, 300), (600, 400)])
    stand.until(lambda: window.stage.overlays.label is not None)
    stand.until(lambda: bool(grey(stand)[250, 500] < 20))
    shown = grey(stand)
    assert shown[350, 550] < 20
    assert shown[250, 600] > 250
    assert window.last_result is not None
    # The picture of the stroke is on the screen before its answer is there.
    stand.until(lambda: window.last_result.frame.buffer.rows()[250, 500, 0] == 0)  # type: ignore[union-attr]
    network = window.last_result.frame.buffer.rows()[..., 0]
    assert (network[250, 500], network[250, 600]) == (0, 255)
    stand.until(lambda: window.stage.region is not None)
    region = window.stage.region
    assert region is not None
    assert region.x * 1280 < 480
    assert (region.x + region.width) * 1280 > 620


def test_other_buttons_and_moves_draw_nothing(stand: Stand) -> None:
    drawing(stand)
    stage, board = stand.window.stage, stand.window.pad.board
    assert board is not None
    QTest.mouseMove(stage, QPoint(400, 300))
    QTest.mousePress(stage, Qt.MouseButton.RightButton, NONE, QPoint(400, 300))
    QTest.mouseMove(stage, QPoint(500, 300))
    QTest.mouseRelease(stage, Qt.MouseButton.RightButton, NONE, QPoint(500, 300))
    assert board.empty
    QTest.mouseDClick(stage, LEFT, NONE, QPoint(400, 300))
    assert not board.empty, "a second tap is a dot"
    assert not stand.window.isFullScreen()


def test_undo_and_clear_by_keys(stand: Stand) -> None:
    window = stand.window
    drawing(stand)
    stroke(stand, [(500, 200), (500, 300)])
    stroke(stand, [(700, 200), (700, 300)])
    stand.until(lambda: bool(grey(stand)[250, 700] < 20))
    QTest.keyClick(window.stage, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    stand.until(lambda: bool(grey(stand)[250, 700] > 250))
    assert grey(stand)[250, 500] < 20
    QTest.keyClick(window.stage, Key.Key_Delete)
    stand.until(lambda: bool(grey(stand)[250, 500] > 250))
    stand.until(lambda: window.stage.overlays.label is None)


def test_a_black_board_is_display_only_and_remembered(stand: Stand, tmp_path: Path) -> None:
    window = stand.window
    drawing(stand)
    stroke(stand, [(500, 200), (500, 300)])
    stand.until(lambda: bool(grey(stand)[250, 500] < 20))
    assert window.pad.tools is not None
    button = window.pad.tools.buttons["Black board"]
    button.click()
    stand.until(lambda: button.text() == "White board")
    stand.until(lambda: bool(grey(stand)[250, 500] > 235))
    assert grey(stand)[250, 700] < 20
    stand.until(lambda: window.last_result is not None and window.pad.board is not None)
    assert window.last_result is not None
    network = window.last_result.frame.buffer.rows()[..., 0]
    assert (network[250, 500], network[250, 700]) == (0, 255), "the network gets ink on paper"
    window.close()
    saved = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert saved["board"] == "black"


def test_a_mirrored_stage_draws_under_the_pointer(stand: Stand) -> None:
    drawing(stand)
    QTest.keyClick(stand.window.stage, Key.Key_M)
    stroke(stand, [(500, 200), (500, 300)])
    stand.until(lambda: bool(grey(stand)[250, 500] < 20))
    assert stand.window.last_result is not None
    stand.until(
        lambda: bool(stand.window.last_result.frame.buffer.rows()[250, 1280 - 500, 0] < 20)  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("size", [(1280, 720), (1000, 720), (1280, 500), (640, 360)])
def test_any_shape_of_window_draws_under_the_pointer(stand: Stand, size: tuple[int, int]) -> None:
    window = stand.window
    drawing(stand)
    window.resize(*size)
    x, y = window.stage.width() // 2 + 30, window.stage.height() // 2
    stroke(stand, [(x, y - 20), (x, y + 20)])
    stand.until(lambda: bool(grey(stand)[y, x] < 20))
    tools = window.pad.tools
    assert tools is not None
    assert window.stage.rect().contains(tools.geometry())
    for button in tools.findChildren(QPushButton):
        assert button.accessibleName()
        assert fits(button)
        assert button.font().pixelSize() >= 0.018 * window.stage.height()


def test_a_finger_draws(stand: Stand) -> None:
    window = stand.window
    drawing(stand)
    finger = QTest.createTouchDevice(QPointingDevice.DeviceType.TouchScreen)
    touch = QTest.touchEvent(window.stage, finger)
    touch.press(0, QPoint(400, 200), window.stage).commit()
    for y in range(210, 310, 10):
        touch.move(0, QPoint(400, y), window.stage).commit()
    touch.release(0, QPoint(400, 300), window.stage).commit()
    stand.until(lambda: bool(grey(stand)[250, 400] < 20))


def test_the_region_goes_when_the_pad_does(stand: Stand) -> None:
    window = stand.window
    drawing(stand)
    stroke(stand, [(500, 200), (500, 300)])
    stand.until(lambda: window.stage.region is not None)
    assert window.session is not None
    assert window.session.state.reading.region is not None
    assert not window.session.state.reading.smoothing
    assert window.pad.tools is not None
    window.pad.tools.buttons["Done"].click()
    stand.until(lambda: not window.pad.active)
    assert window.stage.region is None
    assert window.session.state.reading.region is None
    assert window.session.state.reading.smoothing


@pytest.fixture
def pictures_stand(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """On a fake network that takes coloured pictures."""
    yield from run_stand(qtbot, tmp_path, Settings(board="black"))


def test_a_network_that_reads_pictures_is_told_so(pictures_stand: Stand) -> None:
    window = pictures_stand.window
    QTest.keyClick(window.stage, Key.Key_D)
    pictures_stand.until(lambda: window.pad.active)
    assert window.banner is not None
    assert "not single digits" in window.banner.title
    assert window.banner.action == "Get digits"
    assert window.stage.region is None
    assert window.stage.negative


def test_a_digits_network_that_is_dropped_offers_the_pad(stand: Stand, tmp_path: Path) -> None:
    window = stand.window
    window.intake.open(digits_net(tmp_path / "again.onnx"))
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert window.banner.action == "Draw"
    next(b for b in window.findChildren(QPushButton) if b.text() == "Draw").click()
    stand.until(lambda: window.pad.active)


def test_the_source_sheet_has_the_pad(stand: Stand) -> None:
    stand.window.menus.source()
    sheet = stand.window.sheet
    assert sheet is not None
    row = next(b for b in sheet.findChildren(QPushButton) if b.accessibleName() == "Drawing pad")
    row.click()
    stand.until(lambda: stand.window.pad.active)
