"""The look, measured: contrast, sizes, what fits, what moves and what stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QRectF, Qt, QUrl
from PySide6.QtGui import QColor, QDragEnterEvent, QDragLeaveEvent, QFontMetricsF, QImage, QPainter
from PySide6.QtWidgets import QLabel, QPushButton

from helpers.fakes import make_frame
from helpers.gui_stand import Stand, asked_sizes, fits, pixels_of
from twinlens.app.overlays import (
    PALETTES,
    Banner,
    BannerKind,
    LabelOverlay,
    Overlays,
    StatusOverlay,
    TopOverlay,
    TopRow,
    contrast_ratio,
    engine_color,
)
from twinlens.app.qt.drawn import DRAWN, painters_of
from twinlens.app.qt.sheets.sheets import BannerPanel, Sheet
from twinlens.app.qt.stage import painters
from twinlens.app.qt.stage.moving import FLIP_MS
from twinlens.app.qt.stage.painters import LABEL_SMALLEST, Canvas, fitted, paint_scrim
from twinlens.app.qt.stage.stage import Stage

pytestmark = pytest.mark.usefixtures("qapp")  # fonts need an application

NAMES = ["cat", "Chesapeake Bay retriever", "W" * 400, "日本語のとても長い名前" * 20]
SIZES = [(640, 360), (1280, 720), (1920, 1080), (900, 900)]


def canvas(width: int, height: int, rows: int = 0) -> Canvas:
    return Canvas(width, height, PALETTES["dark"], QColor(engine_color("vision")), {}, rows)


@pytest.fixture
def stage(qtbot: Any) -> Iterator[Stage]:
    made = Stage(PALETTES["dark"], painters=painters_of(DRAWN))
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    yield made
    made.hide()


def label(text: str = "cat", engine_id: str = "vision") -> LabelOverlay:
    return LabelOverlay(text, 0.5, "50 %", engine_id)


def top(*names: str) -> TopOverlay:
    rows = tuple(TopRow(name, 0.2, "20 %", "abcde".index(name)) for name in names)
    return TopOverlay(rows, "vision")


@pytest.mark.parametrize("rows", [0, 5])
@pytest.mark.parametrize("size", SIZES)
def test_white_words_can_be_read_on_a_white_frame(size: tuple[int, int], rows: int) -> None:
    made = canvas(*size, rows)
    picture = QImage(*size, QImage.Format.Format_RGB32)
    picture.fill(QColor("white"))
    painter = QPainter(picture)
    paint_scrim(painter, made)
    painter.end()
    for y in (made.label_top + made.unit, made.bars_top, made.status_top):
        ground = picture.pixelColor(size[0] // 3, round(y)).name()
        assert contrast_ratio("#FFFFFF", ground) >= 4.5, (y, ground)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_label_of_any_length_fits_between_the_columns(size: tuple[int, int], name: str) -> None:
    made = canvas(*size)
    width = made.right - made.left
    text, font = fitted(name, 7 * made.unit, LABEL_SMALLEST * made.unit, width)
    assert text
    assert QFontMetricsF(font).horizontalAdvance(text) <= width
    assert font.pixelSize() >= LABEL_SMALLEST * made.unit - 1
    if name == "cat":
        assert font.pixelSize() == round(7 * made.unit)


@pytest.mark.parametrize("rows", [0, 5])
@pytest.mark.parametrize("size", SIZES)
def test_all_overlays_stand_inside_the_margins(
    stage: Stage, size: tuple[int, int], rows: int
) -> None:
    """Nothing but the picture and its scrim is painted within 2 % of the edges."""
    stage.resize(*size)
    stage.show_overlays(
        Overlays(
            label=replace(label("W" * 300), label="not sure", guess="W" * 200),
            top=top(*"abcde"[:rows]) if rows else None,
            status=StatusOverlay("W" * 300, "detail " * 50, " 58 fps", "  6.4 ms"),
        )
    )
    with_words = grey(stage)
    edge = round(size[1] * 0.02)
    for strip in (with_words[:, :edge], with_words[:, -edge:], with_words[-edge:]):
        assert int(strip.max()) < 90, "words reach the edge"


def grey(stage: Stage) -> np.ndarray:
    picture = QImage(stage.size(), QImage.Format.Format_RGB32)
    stage.render(picture)
    grey8 = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    bits = np.frombuffer(grey8.constBits(), np.uint8).reshape(grey8.height(), -1)
    return bits[:, : grey8.width()].copy()


def test_no_painted_text_is_under_the_smallest_size(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_sizes(painters, monkeypatch)
    long = "W" * 300
    stage.show_overlays(
        Overlays(
            label=replace(label(long), guess=long),
            top=TopOverlay((TopRow(long, 0.5, "50 %", 0),), "vision"),
            status=StatusOverlay(long, "", "1 fps", "1 ms"),
        )
    )
    grey(stage)
    assert len(asked) > 4
    assert min(asked) >= 0.018 * stage.height()


def test_figures_of_any_value_take_the_same_room(stage: Stage) -> None:
    made = painters.font(painters.STATUS_SHARE * 7.2)
    metrics = QFontMetricsF(made)
    widths = {metrics.horizontalAdvance(digit * 4) for digit in "0123456789"}
    assert max(widths) - min(widths) < 0.01
    assert stage.isVisible()


def test_the_bar_runs_to_the_new_colour_and_stands_still_then(stage: Stage, qtbot: Any) -> None:
    stage.show_overlays(Overlays(label=label(engine_id="layers-cpu")))
    assert stage.canvas().accent.name().upper() == engine_color("layers-cpu")
    stage.show_overlays(Overlays(label=label(engine_id="vision")))
    assert stage.canvas().accent.name().upper() != engine_color("vision")
    qtbot.waitUntil(lambda: stage.canvas().accent.name().upper() == engine_color("vision"))
    qtbot.waitUntil(lambda: not stage._timer.isActive())
    assert FLIP_MS == 120


def test_rows_slide_to_their_new_places(stage: Stage, qtbot: Any) -> None:
    stage.show_overlays(Overlays(label=label(), top=top("a", "b", "c")))
    assert stage.canvas().row_places == {0: 0.0, 1: 1.0, 2: 2.0}
    stage.show_overlays(Overlays(label=label(), top=top("b", "a", "d")))
    places = stage.canvas().row_places
    assert set(places) == {0, 1, 3}
    assert places[0] < 1
    assert places[1] > 0
    qtbot.waitUntil(lambda: stage.canvas().row_places == {1: 0.0, 0: 1.0, 3: 2.0})


def test_a_picture_of_any_shape_is_shown_whole_on_a_soft_ground(stage: Stage) -> None:
    stage.show_frame(make_frame(1, value=200, size=64))
    for width, height in ((1280, 720), (500, 700), (700, 300)):
        stage.resize(width, height)
        shown = grey(stage)
        area = stage.picture_area().toRect()
        assert area.width() == area.height() == min(width, height)
        inside = shown[area.top() : area.bottom() + 1, area.left() : area.right() + 1]
        assert int(inside.min()) >= 198, "nothing of it is cut off or covered"
        outside = np.ones_like(shown, bool)
        outside[area.top() : area.bottom() + 1, area.left() : area.right() + 1] = False
        assert int(shown[outside].max()) < 30


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 720), (960, 720)])
def test_sheets_follow_the_theme_and_cut_no_words(
    stand: Stand, theme: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinlens.app.qt.window.cameras.camera_choices", list)
    window = stand.window
    window.resize(*size)
    window.look.set_theme(theme)
    menus = window.menus
    for opens in (menus.source, menus.engine, menus.model, menus.views):
        opens()
        stand.until(lambda: window.sheet is not None)
        sheet = window.sheet
        assert isinstance(sheet, Sheet)
        assert window.stage.rect().contains(sheet.geometry())
        middle = sheet.geometry().center()
        ground = pixels_of(window)[sheet.geometry().top() + 6, middle.x(), :3]
        wanted = QColor(PALETTES[theme].surface)
        assert [*ground] == [wanted.blue(), wanted.green(), wanted.red()]
        words = [*sheet.findChildren(QLabel), *sheet.findChildren(QPushButton)]
        for widget in words:
            assert widget.font().pixelSize() >= 0.018 * window.stage.height()
            assert fits(widget), widget.text()
        window.close_sheet()


def test_a_long_error_fits_its_banner(stand: Stand) -> None:
    window = stand.window
    title = "/home/somebody/models/a-rather-long-name.onnx: is no ONNX model; " * 3
    window.show_banner(Banner(title, "Choose another file. " * 8, BannerKind.ERROR))
    stand.feed(1)
    panel = window.findChild(BannerPanel)
    assert panel is not None
    assert window.stage.rect().contains(panel.geometry())
    for line in panel.lines:
        assert fits(line), line.text()


def banner_ground(stand: Stand) -> str:
    panel = stand.window.findChild(BannerPanel)
    assert panel is not None
    at = panel.geometry()
    blue, green, red = pixels_of(stand.window)[at.top() + 5, at.center().x(), :3]
    return f"#{red:02X}{green:02X}{blue:02X}"


def test_an_open_banner_takes_the_new_theme_and_size(stand: Stand) -> None:
    window = stand.window
    window.look.set_theme("dark")
    window.show_banner(Banner("Something", "Do something."))
    assert banner_ground(stand) == PALETTES["dark"].surface
    window.look.set_theme("light")
    assert banner_ground(stand) == PALETTES["light"].surface
    panel = window.findChild(BannerPanel)
    assert panel is not None
    before = panel.lines[0].font().pixelSize()
    window.resize(640, 360)
    stand.feed(1)
    assert panel.lines[0].font().pixelSize() < before


def test_the_system_theme_is_followed_while_it_changes(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PySide6.QtGui import QGuiApplication

    schemes = {"dark": Qt.ColorScheme.Dark, "light": Qt.ColorScheme.Light}
    now = [schemes["dark"]]
    monkeypatch.setattr(type(QGuiApplication.styleHints()), "colorScheme", lambda _self: now[0])
    window = stand.window
    window.look.set_theme("system")
    window.show_banner(Banner("Something", "Do something."))
    for name in ("light", "dark", "light"):
        now[0] = schemes[name]
        QGuiApplication.styleHints().colorSchemeChanged.emit(now[0])
        assert banner_ground(stand) == PALETTES[name].surface


def test_a_banner_leaves_by_itself(stand: Stand) -> None:
    window = stand.window
    window.show_banner(Banner("Something", "Do something."))
    assert window.popups.banner_timer.isActive()
    window.popups.banner_timer.start(1)
    stand.until(lambda: window.banner is None)


def drag(path: Path) -> tuple[QDragEnterEvent, QMimeData]:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    no_keys = Qt.KeyboardModifier.NoModifier
    left = Qt.MouseButton.LeftButton
    return QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, left, no_keys), data


@pytest.mark.parametrize(
    ("name", "content", "summary"),
    [
        ("pets.onnx", b"\x08\x09", "Use pets.onnx as the model"),
        ("a.mp4", b"\0\0\0\x20ftypisom", "Play a.mp4"),
        ("a.JPG", b"\xff\xd8\xff\xe0", "Show a.JPG"),
        ("names.txt", b"cat\ndog\n", "Name the classes by names.txt"),
        ("letter.doc", b"\xd0\xcf\x11\xe0", "letter.doc is nothing that Twinlens takes"),
    ],
)
def test_the_whole_window_says_what_a_drop_will_do(
    stand: Stand, tmp_path: Path, name: str, content: bytes, summary: str
) -> None:
    before = pixels_of(stand.window)
    (tmp_path / name).write_bytes(content)
    event, _data = drag(tmp_path / name)
    stage = stand.window.stage
    stand.window.menus.views()  # what is open does not cover it
    stage.dragEnterEvent(event)
    assert event.isAccepted()
    target = stage.target
    stand.until(lambda: target.dropped is not None)
    assert target.dropped is not None
    assert target.dropped.summary == summary
    assert target.geometry() == stage.rect()
    assert stage.children()[-1] is target
    assert (pixels_of(stand.window) != before).any()
    stage.dragLeaveEvent(QDragLeaveEvent())
    assert target.dropped is None
    assert not target.isVisible()


def test_the_notice_while_loading_keeps_the_old_answer(stage: Stage) -> None:
    from twinlens.app.overlays import Notice

    stage.show_frame(make_frame(1, value=255, size=64))
    stage.show_overlays(Overlays(label=label(), notice=Notice("Loading x", busy=True)))
    pill = QRectF(stage.rect()).center().x()
    shown = grey(stage)
    assert shown[round(720 * 0.15)].min() < 120, "the notice stands on a pill"
    assert shown[round(720 * 0.5), round(pill)] == 255, "the picture is not dimmed"
