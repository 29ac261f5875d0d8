"""Nothing is unreachable, nothing is silent: keys, focus, pointer, failing sources, the pad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QLabel, QPushButton

from helpers.fakes import FakeSource, fake_loader, make_frame, make_network
from helpers.gui_stand import ENGINES, Stand, answer, pixels_of, run_stand
from twinlens.app.core.measure.bench import plan
from twinlens.app.core.measure.crossover import Crossing
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.session import Session
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.qt.sheets.sheets import BannerPanel
from twinlens.app.qt.stage.pad import DIGITS_MODEL
from twinlens.app.qt.window import dialogs
from twinlens.app.qt.window.first_size import EDGE, TITLE_BAR, first_place
from twinlens.app.qt.window.region import RegionPicker, region_text
from twinlens.app.qt.window.window import MainWindow
from twinlens.app.sources import open_source
from twinlens.app.views.crossover import headline_text
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import ModelFileError, SourceError

Key = Qt.Key


@pytest.fixture
def three(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """A window on which all three engines can be used."""
    for stand in run_stand(qtbot, tmp_path):
        window = stand.window
        window.choose.engines = tuple(replace(engine, reason=None) for engine in ENGINES)
        window.choose.offered.emit(window.choose.engines)
        yield stand


# --- keys and focus -------------------------------------------------------------------------


def test_tab_and_arrows_reach_every_engine(three: Stand, qtbot: Any) -> None:
    switch = three.window.controls.switch
    ids = ["layers-cpu", "layers-gpu", "vision"]
    reached = set()
    three.window.stage.setFocus()
    for _ in range(20):
        focused = QApplication.focusWidget()
        reached |= {one for one in ids if switch.button(one) is focused}
        qtbot.keyClick(focused, Key.Key_Tab)
    assert reached == set(ids)
    switch.button("layers-cpu").setFocus()
    for expected in ("layers-gpu", "vision", "layers-cpu"):
        qtbot.keyClick(QApplication.focusWidget(), Key.Key_Right)
        assert switch.button(expected).hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), Key.Key_Left)
    assert switch.button("vision").hasFocus()
    qtbot.keyClick(switch.button("vision"), Key.Key_Return)
    three.until(lambda: switch.live == "vision")
    assert [switch.button(one).isChecked() for one in ids] == [False, False, True]


def test_the_focus_is_a_ring_of_ours_and_no_dotted_box(three: Stand) -> None:
    window = three.window
    window.look.set_theme("dark")
    button = window.controls.switch.button("vision")
    before = pixels_of(window)
    button.setFocus()
    after = pixels_of(window)
    at = button.mapTo(window.stage, QPoint(0, 0))
    inside = (slice(at.y(), at.y() + button.height()), slice(at.x(), at.x() + button.width()))
    changed = (before[inside] != after[inside]).any(axis=2)
    assert changed.any()
    # The ring alone: what lies within two pixels of the edge, and nothing further in.
    assert not changed[3:-3, 12:-12].any()
    top = after[at.y(), at.x() + button.width() // 2, :3]
    assert int(top.min()) > 240, "it is white"


def test_a_number_without_an_engine_is_told(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_4)
    banner = stand.window.banner
    assert banner is not None
    assert "no engine 4" in banner.title
    assert "3 Vision" in banner.hint


def test_a_step_that_cannot_be_is_told(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    qtbot.keyClick(window.stage, Key.Key_Right)
    assert window.banner is not None
    assert "Space" in window.banner.hint
    window.popups.close_banner()
    qtbot.keyClick(window.stage, Key.Key_Space)
    qtbot.keyClick(window.stage, Key.Key_Left)
    assert window.banner is not None
    assert "cannot go back" in window.banner.title


def test_no_two_rows_of_the_engine_sheet_are_called_alike(stand: Stand) -> None:
    stand.window.menus.engine()
    sheet: Any = stand.window.sheet
    names = [button.accessibleName().lower() for button in sheet.buttons]
    assert len(names) == len(set(names))
    assert not [name for name in names if name == "auto"]


def test_a_gpu_is_asked_for_no_number_of_threads() -> None:
    gpu = EngineChoice("layers-gpu", "Layers GPU", None, ("fp32", "fp16"))
    cases, skipped = plan([gpu, *ENGINES[:1]], None, [1, 2])
    assert [case.threads for case in cases if case.engine_id == "layers-gpu"] == [0, 0]
    assert [case.threads for case in cases if case.engine_id == "layers-cpu"] == [1, 2, 1, 2]
    assert not [one for one in skipped if "threads" in one.reason]


def test_the_engine_sheet_offers_a_gpu_no_threads(three: Stand, qtbot: Any) -> None:
    window = three.window
    qtbot.keyClick(window.stage, Key.Key_3)
    three.until(lambda: window.controls.switch.live == "vision")
    window.menus.engine()
    labels = [label.text() for label in window.sheet.findChildren(QLabel)]  # type: ignore[union-attr]
    assert "Threads" in labels
    choice = replace(ENGINES[1], reason=None)
    assert not choice.takes_threads


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Crossing("never", ratio=45.2), "No GPU pays here: 45 × slower"),
        (Crossing("always"), "The GPU is faster on every network"),
        (Crossing("from", macs=10e6), "A GPU pays from 10 million multiply-adds"),
        (Crossing("unknown"), "No GPU ran: nothing to compare"),
    ],
)
def test_the_crossovers_headline_is_a_few_words(found: Crossing, words: str) -> None:
    assert headline_text(found) == words
    assert len(words) <= 45


# --- the window itself ----------------------------------------------------------------------


def test_the_pointer_leaves_full_screen_when_nobody_uses_it(stand: Stand, qtbot: Any) -> None:
    window, blank = stand.window, Qt.CursorShape.BlankCursor
    window.controls.set_idle_ms(30)
    window.controls.wake()
    stand.until(lambda: not window.controls.shown)
    assert window.stage.cursor().shape() != blank, "a window keeps it"
    qtbot.keyClick(window.stage, Key.Key_F)
    assert window.isFullScreen()
    stand.until(lambda: window.stage.cursor().shape() == blank)
    window.controls.set_idle_ms(60_000)
    window.stage.used.emit()
    assert window.stage.cursor().shape() != blank
    window.stage.set_pointer(Qt.CursorShape.CrossCursor)
    window.stage.hide_pointer(True)
    window.stage.hide_pointer(False)
    assert window.stage.cursor().shape() == Qt.CursorShape.CrossCursor, "the pad's own is back"


def test_controls_stand_where_they_stood_after_full_screen(stand: Stand) -> None:
    window = stand.window

    def places() -> list[QRect]:
        return [
            QRect(button.mapTo(window.stage, QPoint(0, 0)), button.size())
            for button in window.controls.findChildren(QPushButton)
        ]

    stand.feed(1)
    before = places()
    for size in ((1920, 1080), (1280, 720), (480, 854), (1280, 720)):
        window.resize(*size)
        stand.feed(1)
    assert places() == before


@pytest.mark.parametrize(
    "screen", [(1280, 720), (1366, 768), (1920, 1080), (1024, 600), (800, 480)]
)
def test_the_first_window_fits_its_screen_with_its_title_bar(screen: tuple[int, int]) -> None:
    available = QRect(0, 24, screen[0], screen[1] - 24)
    place = first_place(available)
    whole = place.adjusted(-EDGE, -TITLE_BAR, EDGE, EDGE)
    assert available.contains(whole)
    assert place.width() / place.height() == pytest.approx(16 / 9, abs=0.01)
    assert place.width() <= 1280
    assert first_place(QRect(0, 0, 3000, 2000)).size() == QSize(1280, 720)


def test_the_dialog_for_an_address_is_wide_enough_for_one(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []

    def run(dialog: QInputDialog) -> int:
        seen.append((dialog.width(), dialog.windowTitle()))
        dialog.setTextValue("  rtsp://camera.local/stream ")
        return 1

    monkeypatch.setattr(QInputDialog, "exec", run)
    text = dialogs.Dialogs(stand.window).text("Network stream", "rtsp:// or http:// address")
    assert text == "rtsp://camera.local/stream"
    assert seen[0][0] >= 480
    assert seen[0][1] == "Network stream"


def test_a_part_of_the_screen_is_framed_by_mouse_or_keys(qtbot: Any) -> None:
    ground = QPixmap(800, 600)
    ground.fill(QColor("white"))
    framed: list[QRect] = []
    picker = RegionPicker(ground)
    qtbot.addWidget(picker)
    picker.done.connect(framed.append)
    picker.resize(800, 600)
    picker.start(QRect(0, 0, 800, 600))
    left = Qt.MouseButton.LeftButton
    QTest.mouseClick(picker, left, pos=QPoint(30, 30))
    assert not framed, "a mere click frames nothing"
    QTest.mousePress(picker, left, pos=QPoint(300, 200))
    QTest.mouseMove(picker, QPoint(100, 120))
    QTest.mouseRelease(picker, left, pos=QPoint(100, 120))
    assert (framed[0].x(), framed[0].y()) == (100, 120)
    assert abs(framed[0].width() - 200) <= 1
    picker.start(QRect(0, 0, 800, 600))
    before = QRect(picker.frame)
    QTest.keyClick(picker, Key.Key_Right)
    QTest.keyClick(picker, Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(picker, Key.Key_Return)
    assert framed[1].x() == before.x() + 16
    assert framed[1].height() == before.height() + 16
    picker.start(QRect(0, 0, 800, 600))
    QTest.keyClick(picker, Key.Key_Escape)
    assert framed[2].isEmpty()


def test_a_frame_is_named_in_the_screens_own_pixels() -> None:
    assert region_text(QRect(10, 20, 300, 200), QPoint(0, 0), 1.0) == "10,20,300,200"
    assert region_text(QRect(10, 20, 300, 200), QPoint(100, 0), 1.5) == "165,30,450,300"
    assert region_text(QRect(), QPoint(0, 0), 1.0) == ""


def test_the_source_sheet_offers_a_part_of_the_screen(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "twinlens.app.qt.window.dialogs.pick_region", lambda _window, picked: picked("1,2,300,200")
    )
    monkeypatch.setattr(stand.window.choose, "source", asked.append)
    stand.window.menus.source()
    sheet: Any = stand.window.sheet
    (row,) = [b for b in sheet.buttons if b.accessibleName() == "Part of the screen …"]
    row.click()
    assert asked == ["screen:1,2,300,200"]


# --- sources that fail, and the pad ---------------------------------------------------------


def no_camera(text: str) -> Any:
    if text.startswith(("camera", "rtsp")):
        error = SourceError("No camera found", hint="Plug one in.")
        return FakeSource(open_error=error, title=text)
    if text == "drawing":
        return open_source(text)
    return FakeSource([make_frame(n, size=64) for n in range(9000)], title=text, gated=False)


@contextmanager
def started(
    qtbot: Any, tmp_path: Path, settings: Settings | None = None, model: Any = make_network
) -> Iterator[MainWindow]:
    store = SettingsStore(tmp_path / "settings.json")
    if settings is not None:
        store.save(settings)
    loader = fake_loader(answer((0.7, 0.2, 0.1), "layers-cpu"), answer((0.1, 0.8, 0.1), "vision"))

    def resolve(name: str) -> Network:
        return model(name or "embedded")

    window = MainWindow(
        store,
        ENGINES,
        no_camera,
        resolve,
        make_session=partial(Session, loader=loader),
        load=loader,
    )
    qtbot.addWidget(window)
    window.show()
    window.start(None, None, None)
    try:
        yield window
    finally:
        window.close()


def playing(window: MainWindow) -> str:
    info = window.session.state.source_info if window.session is not None else None
    return info.title if info is not None else ""


@pytest.mark.parametrize("how", ["key", "button", "escape"])
@pytest.mark.parametrize("first", ["camera", "drawing"])
def test_the_pad_can_be_left_without_a_camera(
    qtbot: Any, tmp_path: Path, how: str, first: str
) -> None:
    with started(qtbot, tmp_path, Settings(source=first)) as window:
        if first == "camera":
            qtbot.waitUntil(lambda: playing(window) == "clip", timeout=10_000)
            qtbot.keyClick(window.stage, Key.Key_D)
        qtbot.waitUntil(lambda: window.pad.active, timeout=10_000)
        window.popups.close_banner()
        tools = window.pad.tools
        assert tools is not None
        if how == "key":
            qtbot.keyClick(window.stage, Key.Key_D)
        elif how == "button":
            tools.buttons["Done"].click()
        else:
            qtbot.keyClick(window.stage, Key.Key_Escape)
        qtbot.waitUntil(lambda: not window.pad.active, timeout=10_000)
        assert playing(window) == "clip"


def test_the_pad_is_left_to_the_clip_where_the_source_before_is_gone(
    qtbot: Any, tmp_path: Path
) -> None:
    with started(qtbot, tmp_path, Settings(source="drawing")) as window:
        qtbot.waitUntil(lambda: window.pad.active, timeout=10_000)
        window.pad._before = "camera:3"
        qtbot.keyClick(window.stage, Key.Key_D)
        qtbot.waitUntil(lambda: not window.pad.active, timeout=10_000)
        assert playing(window) == "clip"


def test_a_source_that_failed_is_not_ticked_remembered_or_started_again(
    qtbot: Any, tmp_path: Path
) -> None:
    with started(qtbot, tmp_path, Settings(source="rtsp://gone")) as window:
        qtbot.waitUntil(lambda: playing(window) == "clip", timeout=10_000)
        qtbot.waitUntil(lambda: window.banner is not None, timeout=10_000)
        qtbot.waitUntil(lambda: window.choose.source_text == "clip", timeout=10_000)
        assert window.settings.source == "camera", "the next start tries no stream that is gone"
        window.menus.source()
        sheet: Any = window.sheet
        ticked = [b.accessibleName() for b in sheet.buttons if b.text().startswith("✓")]
        assert ticked == ["Bundled clip"]
        # One that is chosen and does not open is not remembered either, and the old one is ticked.
        window.choose.source("rtsp://another")
        qtbot.waitUntil(lambda: "clip goes on" in (window.banner or Banner0).hint, timeout=10_000)
        assert "rtsp://another" not in window.settings.recent_sources
        assert window.choose.source_text == "clip"
        # What plays is.
        window.choose.source("holiday.mp4")
        qtbot.waitUntil(lambda: playing(window) == "holiday.mp4", timeout=10_000)
        qtbot.waitUntil(lambda: window.settings.source == "holiday.mp4", timeout=10_000)
        assert window.settings.recent_sources[0] == "holiday.mp4"


class Banner0:
    """Stands for no banner."""

    hint = ""


def test_a_missing_model_is_told_also_where_the_source_is_missing(
    qtbot: Any, tmp_path: Path
) -> None:
    def model(name: str) -> Network:
        if name == "gone.onnx":
            raise ModelFileError("gone.onnx: no such file")
        return make_network(name)

    settings = Settings(source="rtsp://gone", model="gone.onnx")
    with started(qtbot, tmp_path, settings, model) as window:
        qtbot.waitUntil(lambda: playing(window) == "clip", timeout=10_000)
        qtbot.waitUntil(
            lambda: window.banner is not None and "camera" in window.banner.title, timeout=10_000
        )
        panel = window.findChildren(BannerPanel)[-1]
        (more,) = [b for b in panel.findChildren(QPushButton) if "1 more" in b.text()]
        more.click()
        assert window.banner is not None
        assert "gone.onnx" in window.banner.title


def test_the_pad_gets_the_network_for_digits_and_gives_the_old_one_back(
    qtbot: Any, tmp_path: Path
) -> None:
    with started(qtbot, tmp_path, Settings(source="clip", model="pets")) as window:
        qtbot.waitUntil(lambda: playing(window) == "clip", timeout=10_000)
        qtbot.waitUntil(lambda: window.choose.serving is not None, timeout=10_000)
        qtbot.keyClick(window.stage, Key.Key_D)
        qtbot.waitUntil(lambda: window.pad.active, timeout=10_000)
        panel = window.findChildren(BannerPanel)[-1]
        (button,) = [b for b in panel.findChildren(QPushButton) if b.text() == "Get digits"]
        button.click()
        session = window.session
        assert session is not None
        qtbot.waitUntil(lambda: session.state.spec.id == DIGITS_MODEL, timeout=10_000)
        qtbot.keyClick(window.stage, Key.Key_D)
        qtbot.waitUntil(lambda: session.state.spec.id == "pets", timeout=10_000)
