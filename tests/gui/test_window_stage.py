"""The layout law on the real window: six places, each holding one thing, whatever its shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QPushButton, QScrollArea, QWidget

from helpers.fakes import make_frame
from helpers.gui_stand import Stand, fits, pixels_of
from helpers.tiny_nets import tiny_classifier
from twinlens.app.overlays import PALETTES, Banner, BannerKind, Notice, Overlays, engine_color
from twinlens.app.overlays.data import LabelOverlay, StatusOverlay
from twinlens.app.qt.sheets.sheets import BannerPanel
from twinlens.app.qt.stage import painters
from twinlens.app.views.top5 import TopOverlay, TopRow

Key = Qt.Key
Ctrl, Shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SIZES = [(1280, 720), (1920, 1080), (800, 450), (480, 854)]
DRAWERS = ["source", "engine", "model", "views", "settings", "models page", "bench", "crossover"]


def opened(stand: Stand, what: str) -> QWidget:
    window = stand.window
    opens: dict[str, Callable[[], object]] = {
        "source": window.menus.source,
        "engine": window.menus.engine,
        "model": window.menus.model,
        "views": window.menus.views,
        "settings": window.menus.settings,
        "models page": window.shelf.toggle,
        "bench": window.bench.toggle,
        "crossover": window.crossover.toggle,
    }
    opens[what]()
    stand.until(lambda: window.sheet is not None)
    sheet = window.sheet
    assert sheet is not None
    return sheet


def label_block(stand: Stand) -> QRect:
    box = stand.window.stage.places.label
    return QRectF(box.x, box.y, box.width, box.height).toRect()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", DRAWERS)
def test_what_stands_in_the_drawer_never_covers_the_label_block(
    stand: Stand, what: str, size: tuple[int, int]
) -> None:
    window = stand.window
    window.crossover.rungs = tuple
    window.resize(*size)
    sheet = opened(stand, what)
    stand.feed(1)
    assert window.stage.rect().contains(sheet.geometry())
    assert not sheet.geometry().intersects(label_block(stand))
    assert not sheet.geometry().intersects(window.controls.geometry().adjusted(0, 0, 0, -1))
    if not window.stage.places.stacked:
        assert not sheet.geometry().intersects(window.stage.picture_area().toRect())
    # Nothing is unreachable: what does not fit scrolls, and only downwards.
    for area in sheet.findChildren(QScrollArea):
        inside = area.widget()
        assert inside.minimumSizeHint().width() <= area.viewport().width() + 1
    for button in sheet.findChildren(QPushButton):
        if button.isVisibleTo(sheet):
            assert fits(button), button.text()
            left = button.mapTo(sheet, QPoint(0, 0)).x()
            assert left >= 0
            assert left + button.width() <= sheet.width()
    window.close_sheet()
    assert not window.stage.drawer


@pytest.mark.parametrize("size", SIZES)
def test_controls_card_and_banner_fit_windows_of_any_shape(
    stand: Stand, size: tuple[int, int]
) -> None:
    window = stand.window
    window.resize(*size)
    stand.feed(1)
    stage = window.stage
    for button in window.controls.findChildren(QPushButton):
        at = QRect(button.mapTo(stage, QPoint(0, 0)), button.size())
        assert stage.rect().contains(at), button.text()
        assert fits(button), button.text()
    buttons = window.controls.findChildren(QPushButton)
    for one, other in combinations(buttons, 2):
        first, second = (QRect(b.mapTo(stage, QPoint(0, 0)), b.size()) for b in (one, other))
        assert not first.intersects(second)
    window.show_banner(Banner("Something has happened " * 4, "Do something. " * 9))
    panel = window.findChild(BannerPanel)
    assert panel is not None
    assert not panel.geometry().intersects(label_block(stand))
    assert panel.y() >= window.controls.geometry().bottom()
    window.popups.close_banner()
    window.popups.toggle_cheat_sheet()
    card = window.sheet
    assert card is not None
    assert stage.rect().contains(card.geometry())
    assert not card.geometry().intersects(label_block(stand))
    inside = card.findChild(QScrollArea)
    assert inside is not None
    assert inside.widget().minimumSizeHint().width() <= inside.viewport().width() + 1


def test_the_speed_stands_large_beside_the_engines_name(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, int, float]] = []
    real = painters._on_one_line

    def spy(painter: Any, at: Any, made: Any, text: str) -> None:
        drawn.append((text, made.pixelSize(), at.x()))
        real(painter, at, made, text)

    monkeypatch.setattr(painters, "_on_one_line", spy)
    status = StatusOverlay("all", "", " 58 fps", "  6.4 ms", "Layers CPU", "Net · fp32")
    stand.window.stage.show_overlays(
        Overlays(label=LabelOverlay("cat", 0.5, "50 %", "vision"), status=status)
    )
    pixels_of(stand.window)
    texts = [text for text, _, _ in drawn[:4]]
    assert texts == ["Layers CPU", "  6.4 ms", " 58 fps", "Net · fp32"]
    sizes = [size for _, size, _ in drawn[:4]]
    assert sizes[1] == max(sizes)
    assert sizes[1] >= 1.5 * sizes[0]
    assert [left for _, _, left in drawn[:4]] == sorted(left for _, _, left in drawn[:4])


def test_while_something_measures_the_label_is_dimmed(stand: Stand) -> None:
    stage = stand.window.stage
    stage.show_frame(make_frame(1, value=0, size=64))
    brightest = []
    for resting in (False, True):
        label = LabelOverlay("WWWW", 0.5, "50 %", "vision", resting=resting)
        stage.show_overlays(Overlays(label=label))
        box = label_block(stand)
        part = slice(box.top(), box.top() + 60), slice(box.left(), box.left() + 200)
        words = pixels_of(stand.window)[part][:, :, :3]
        brightest.append(int(words.max()))
    assert brightest[0] > 240
    assert 110 < brightest[1] < 190


def shot(stand: Stand, overlays: Overlays) -> np.ndarray:
    stand.window.stage.show_overlays(overlays)
    return pixels_of(stand.window)[:, :, :3].astype(int)


def rows(*shares: float) -> TopOverlay:
    made = [TopRow(f"class {i}", s, f"{round(s * 100)} %", i) for i, s in enumerate(shares)]
    return TopOverlay(tuple(sorted(made, key=lambda row: -row.confidence)), "vision")


def test_names_and_numbers_of_the_top_list_are_at_their_places_at_once(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars slide; words would be painted through each other on the way."""
    stage = stand.window.stage
    places: list[tuple[str, float]] = []
    real = painters._paint_number

    def spy(painter: Any, canvas: Any, area: QRectF, text: str, share: float) -> None:
        places.append((text, (area.top() - canvas.bars_top) / (4.6 * canvas.unit)))
        real(painter, canvas, area, text, share)

    monkeypatch.setattr(painters, "_paint_number", spy)
    label = LabelOverlay("a", 0.5, "50 %", "vision")
    stage.show_overlays(Overlays(label=label, top=rows(0.5, 0.3, 0.2)))
    pixels_of(stand.window)
    places.clear()
    stage.show_overlays(Overlays(label=label, top=rows(0.2, 0.3, 0.5)))
    assert stage.canvas().row_places[0] < 2, "the bars are on their way"
    pixels_of(stand.window)
    assert [round(place, 6) for _, place in places] == [0, 1, 2]


def right_edges(pixels: np.ndarray, box: QRect, count: int) -> list[int]:
    """Of the words in the column of numbers, the last lit pixel of each row."""
    edges = []
    for number in range(count):
        top = box.top() + number * box.height() // count
        part = pixels[top : top + box.height() // count, box.left() : box.right()]
        lit = np.flatnonzero((part.min(axis=2) > 200).any(axis=0))
        edges.append(int(lit.max()))
    return edges


def test_percentages_end_in_one_column(stand: Stand) -> None:
    stage = stand.window.stage
    stage.show_frame(make_frame(1, value=0, size=64))
    label = LabelOverlay("a", 1.0, "100 %", "vision")
    texts = ((1.0, "100 %"), (0.4, "7 %"), (0.1, "41 %"))
    listed = tuple(TopRow("x", share, text, i) for i, (share, text) in enumerate(texts))
    top = TopOverlay(listed, "vision")
    pixels = shot(stand, Overlays(label=label, top=top))
    canvas = stage.canvas()
    column = QRectF(
        canvas.left + canvas.bar_width + 6,
        canvas.bars_top,
        12 * canvas.unit,
        3 * painters.ROW_SHARE * canvas.unit,
    ).toRect()
    edges = right_edges(pixels, column, 3)
    assert max(edges) - min(edges) <= 1


# --- the slot for messages -----------------------------------------------------------------


def test_the_slot_holds_a_banner_or_progress_whichever_is_newer(stand: Stand) -> None:
    window = stand.window
    slot = window.stage.places.message

    def notice_is_seen() -> bool:
        """A pill at the slot, where the picture is white."""
        ground = pixels_of(window)[round(slot.y) + 8, round(slot.x) + 40, :3]
        return int(ground.max()) < 150

    window.stage.show_frame(make_frame(1, value=255, size=64))
    loading = Overlays(notice=Notice("Loading another one", busy=True))
    window.show_banner(Banner("An old one", "It stands here already."))
    panel = window.findChild(BannerPanel)
    assert panel is not None
    assert (panel.x(), panel.y()) == (round(slot.x), round(slot.y))
    window.stage.show_overlays(loading)
    window.popups.show_progress("Loading another one")
    assert not panel.isVisible(), "progress is newer"
    window.popups.show_progress("")
    assert panel.isVisible(), "and then the banner is back"
    window.popups.show_progress("Loading a third")
    window.show_banner(Banner("A newer one", ""))
    assert window.banner is not None
    assert window.banner.title == "A newer one"
    assert window.stage.message_taken()
    window.popups.close_banner()
    assert not window.stage.message_taken()


def test_a_banner_does_not_speak_of_a_model_before_it_answers(stand: Stand, tmp_path: Path) -> None:
    window = stand.window
    shown: list[tuple[str, str]] = []
    real = window.popups.show_banner

    def note(banner: Banner, act: Any = None) -> None:
        served = window.choose.serving
        shown.append((banner.title, served.spec.title if served else ""))
        real(banner, act)

    window.popups.show_banner = note  # type: ignore[method-assign]
    said = {"labels": json.dumps(["cat", "dog", "fox"]), "twinlens.recipe": '{"scale": 1.0}'}
    net = tiny_classifier(tmp_path / "pets.onnx", 3, shape=(1, 3, 8, 8), metadata=said)
    window.intake.open(net)
    stand.until(lambda: bool(shown))
    assert shown[0] == (shown[0][0], "pets"), "it answers by then"


def test_a_warning_that_nobody_can_have_read_comes_back(stand: Stand) -> None:
    window = stand.window
    window.show_banner(Banner("The model is missing", "x", BannerKind.ERROR))
    window.show_banner(Banner("The source is missing", "y", BannerKind.WARN))
    panel = window.findChildren(BannerPanel)[-1]
    assert any("1 more" in button.text() for button in panel.findChildren(QPushButton))
    window.popups.dismiss()
    assert window.banner is not None
    assert window.banner.title == "The model is missing"
    window.popups.dismiss()
    assert window.banner is None
    # One that was read, or that only informs, does not.
    window.show_banner(Banner("Copied", ""))
    window.show_banner(Banner("Something else", ""))
    window.popups.dismiss()
    assert window.banner is None


# --- taking things away ---------------------------------------------------------------------


def test_escape_takes_the_newest_and_shift_escape_all(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    window.menus.views()
    window.show_banner(Banner("Something", "Do something."))
    qtbot.keyClick(window.stage, Key.Key_Escape)
    assert window.banner is None, "the banner came last"
    assert window.sheet is not None
    window.show_banner(Banner("Something", "Do something."))
    qtbot.keyClick(window.stage, Key.Key_Escape, Shift)
    assert window.banner is None
    assert window.sheet is None


def test_a_click_beside_a_sheet_closes_it(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    window.menus.views()
    inside = window.sheet
    assert inside is not None
    qtbot.mouseClick(inside, Qt.MouseButton.LeftButton, pos=QPoint(12, 8))
    assert window.sheet is inside
    qtbot.mouseClick(window.stage, Qt.MouseButton.LeftButton, pos=QPoint(300, 300))
    assert window.sheet is None


@pytest.mark.parametrize("key", [Key.Key_B, Key.Key_Period])
def test_a_clickers_blank_key_blanks_and_measures_nothing(
    stand: Stand, qtbot: Any, key: Any
) -> None:
    window = stand.window
    qtbot.keyClick(window.stage, key)
    assert window.sheet is None
    assert not window.bench.running
    assert int(pixels_of(window)[:, :, :3].max()) == 0
    stand.feed(1)
    qtbot.keyClick(window.stage, key)
    assert int(pixels_of(window)[:, :, :3].max()) > 0


# --- themes ---------------------------------------------------------------------------------


def test_choosing_a_theme_keeps_its_sheet_open_on_that_row(stand: Stand) -> None:
    window = stand.window
    window.menus.settings()
    for theme in ("light", "dark"):
        sheet: Any = window.sheet
        row = next(b for b in sheet.buttons if b.accessibleName() == theme.capitalize())
        row.setFocus()
        row.click()
        assert window.settings.theme == theme
        sheet = window.sheet
        assert sheet is not None
        row = next(b for b in sheet.buttons if b.accessibleName() == theme.capitalize())
        assert row.text().startswith("✓")
        assert row.hasFocus()
        middle = sheet.geometry().center().x()
        blue, green, red = pixels_of(window)[sheet.geometry().top() + 4, middle, :3]
        assert f"#{red:02X}{green:02X}{blue:02X}" == PALETTES[theme].surface


@pytest.mark.parametrize(("theme", "dark"), [("dark", True), ("light", False)])
def test_sheets_and_chrome_are_of_one_theme(stand: Stand, theme: str, dark: bool) -> None:
    window = stand.window
    window.look.set_theme(theme)
    window.menus.views()
    window.show_banner(Banner("Something", "Do something."))
    window.stage.show_frame(make_frame(1, value=128, size=64))
    pixels = pixels_of(window)[:, :, :3].astype(int).mean(axis=2)
    sheet, panel = window.sheet, window.findChild(BannerPanel)
    assert sheet is not None
    assert panel is not None
    grounds = {
        "sheet": pixels[sheet.y() + 5, sheet.geometry().center().x()],
        "banner": pixels[panel.y() + 5, panel.geometry().center().x()],
        "ground": pixels[-3, 5],
    }
    for button in window.controls.findChildren(QPushButton):
        if not button.isChecked():
            at = button.mapTo(window.stage, QPoint(button.width() // 2, 4))
            grounds[button.text()] = pixels[at.y(), at.x()]
    at = window.controls.dot.mapTo(window.stage, QPoint(window.controls.dot.width() // 2, 5))
    grounds["dot"] = pixels[at.y(), at.x()]
    for name, ground in grounds.items():
        assert (ground < 90) if dark else (ground > 180), (name, ground)


def test_engines_have_one_shade_in_both_themes(stand: Stand) -> None:
    window = stand.window
    for theme in ("dark", "light"):
        window.look.set_theme(theme)
        stand.feed(1)
        button = window.controls.switch.button("layers-cpu")
        at = button.mapTo(window.stage, QPoint(button.width() // 2, 5))
        blue, green, red = pixels_of(window)[at.y(), at.x(), :3]
        wanted = QColor(engine_color("layers-cpu"))
        assert (red, green, blue) == (wanted.red(), wanted.green(), wanted.blue())


def test_a_screenshot_has_none_of_the_buttons_that_its_key_woke(stand: Stand) -> None:
    window = stand.window
    window.stage.show_frame(make_frame(1, value=200, size=64))
    window.controls.wake()
    picture = window.stage.picture().convertToFormat(QImage.Format.Format_RGB32)
    assert picture.size() == window.stage.size()
    button = window.controls.switch.button("layers-cpu")
    at = button.mapTo(window.stage, QPoint(button.width() // 2, 5))
    assert QColor(picture.pixel(at)).name().upper() != engine_color("layers-cpu")
    assert window.controls.shown, "they stay on the screen"
