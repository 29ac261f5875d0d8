"""The window: keys, clicks, drops, banners, sheets, and what is remembered."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton, QLabel, QPushButton

from helpers.fakes import WAIT_S, FakeRunner, FakeSource, make_network
from helpers.gui_stand import ENGINES, Stand, pixels_of, run_stand
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import SourceFailed, SourceOpened
from twinlens.app.core.session.source import SourceInfo
from twinlens.app.overlays import BannerKind, engine_color
from twinlens.app.qt.sheets.sheets import CheatCard, Sheet
from twinlens.app.qt.stage.moving import FLIP_MS
from twinlens.app.qt.window.dialogs import Dialogs
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import SourceError


def press(qtbot: Any, stand: Stand, key: Any) -> None:
    qtbot.keyClick(stand.window.stage, key)


def test_key_flips_the_engine_and_its_colour(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    assert window.controls.switch.live == "layers-cpu"
    press(qtbot, stand, Qt.Key.Key_E)
    stand.until(lambda: window.controls.switch.live == "vision")
    stand.until(lambda: window.stage.overlays.label.engine_id == "vision")  # type: ignore[union-attr]
    qtbot.wait(FLIP_MS + 50)
    assert window.stage.canvas().accent.name().upper() == engine_color("vision")
    status = window.stage.overlays.status
    assert status is not None
    assert "fp32" in status.who


def test_every_frame_is_painted_while_something_else_loads(qtbot: Any, tmp_path: Path) -> None:
    gate = threading.Semaphore(1)

    def serve(network: Network, engine_id: str, options: EngineOptions) -> FakeRunner:
        assert gate.acquire(timeout=WAIT_S)
        return FakeRunner(engine_id=engine_id, options=options)

    for stand in run_stand(qtbot, tmp_path, serve=serve):
        session = stand.window.session
        assert session is not None
        before = session.stats().captured
        for turn in range(1, 21):
            stand.window.choose.use(make_network(f"net{turn}"), "fake")
            assert session.state.loading is not None
            stand.feed(3)  # each is painted before the next one comes
            assert session.state.loading is not None
            gate.release()
            stand.until(lambda: session.state.loading is None)  # noqa: B023
            # Which of them are answered is the engine's pace, and not looked at.
            assert session.stats().captured == before + 3 * turn


def test_engines_that_are_asked_later_can_be_chosen_then(stand: Stand, qtbot: Any) -> None:
    window, asked_on = stand.window, []
    button = window.controls.switch.button("layers-gpu")
    assert not button.isEnabled()

    def ask() -> list[EngineChoice]:
        asked_on.append(threading.current_thread())
        return [replace(choice, reason=None) for choice in ENGINES]

    window.choose.ask_engines(ask)
    qtbot.waitUntil(button.isEnabled, timeout=10_000)
    assert asked_on != [threading.current_thread()]
    assert button.toolTip() == "Key 2"
    assert "layers-gpu" in window.choose.usable


def test_click_and_number_choose_an_engine(stand: Stand, qtbot: Any) -> None:
    switch = stand.window.controls.switch
    qtbot.mouseClick(switch.button("vision"), Qt.MouseButton.LeftButton)
    stand.until(lambda: switch.live == "vision")
    assert switch.button("vision").isChecked()
    press(qtbot, stand, Qt.Key.Key_1)
    stand.until(lambda: switch.live == "layers-cpu")


def test_engine_that_is_missing_says_why(stand: Stand, qtbot: Any) -> None:
    button = stand.window.controls.switch.button("layers-gpu")
    assert not button.isEnabled()
    assert "compute shaders" in button.toolTip()
    press(qtbot, stand, Qt.Key.Key_2)
    banner = stand.window.banner
    assert banner is not None
    assert "compute shaders" in banner.hint
    assert stand.window.controls.switch.live == "layers-cpu"


def test_pause_and_step(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    assert window.session is not None
    press(qtbot, stand, Qt.Key.Key_Space)
    stand.until(lambda: window.session.state.paused)  # type: ignore[union-attr]
    assert window.stage.overlays.notice is not None
    before = window.session.stats().captured
    press(qtbot, stand, Qt.Key.Key_Right)
    stand.source.allow(1)
    stand.until(lambda: window.session.stats().captured == before + 1)  # type: ignore[union-attr]
    press(qtbot, stand, Qt.Key.Key_Space)
    stand.until(lambda: not window.session.state.paused)  # type: ignore[union-attr]


def test_top_five_shows_sorted_rows(stand: Stand, qtbot: Any) -> None:
    assert stand.window.stage.overlays.top is None
    press(qtbot, stand, Qt.Key.Key_T)
    top = stand.window.stage.overlays.top
    assert top is not None
    assert [row.label for row in top.rows] == ["cat", "dog", "fox"]
    assert stand.window.stage.canvas().rows == 3
    press(qtbot, stand, Qt.Key.Key_T)
    assert stand.window.stage.overlays.top is None


def test_mirror_turns_the_display_only(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    seen = pixels_of(window)
    answer = window.stage.overlays.label
    press(qtbot, stand, Qt.Key.Key_M)
    assert window.stage.mirror
    assert window.settings.mirror
    assert window.stage.overlays.label == answer
    assert pixels_of(window).shape == seen.shape


def test_cheat_sheet_opens_and_escape_closes(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Qt.Key.Key_F1)
    assert isinstance(stand.window.sheet, CheatCard)
    keys = {label.text() for label in stand.window.sheet.findChildren(QLabel)}
    assert {"E", "Space", "T", "M", "?"} <= keys
    press(qtbot, stand, Qt.Key.Key_Escape)
    assert stand.window.sheet is None


@pytest.mark.parametrize(
    ("key", "title"),
    [
        (Qt.Key.Key_O, "Source"),
        (Qt.Key.Key_L, "Model"),
        (Qt.Key.Key_V, "View"),
        (Qt.Key.Key_Comma, "Settings"),
    ],
)
def test_sheets_open_by_key_and_every_row_has_a_name(
    stand: Stand, qtbot: Any, key: Any, title: str
) -> None:
    press(qtbot, stand, key)
    stand.until(lambda: stand.window.sheet is not None)
    sheet = stand.window.sheet
    assert isinstance(sheet, Sheet)
    assert sheet.title == title
    for button in sheet.findChildren(QPushButton):
        assert button.accessibleName()
    assert stand.window.stage.rect().contains(sheet.geometry())
    qtbot.keyClick(sheet, Qt.Key.Key_Escape)
    assert stand.window.sheet is None


def test_broken_model_is_a_banner_and_the_stream_goes_on(stand: Stand) -> None:
    window = stand.window
    window.choose.model("broken.onnx")
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert window.banner.kind is BannerKind.ERROR
    assert "broken.onnx" in window.banner.title
    assert window.banner.hint == "Use another one."
    stand.feed(3)
    assert window.controls.switch.live == "layers-cpu"
    assert not window.progress.busy


def test_broken_source_is_a_banner_and_the_old_one_plays_on(stand: Stand) -> None:
    window = stand.window
    window.choose.source("broken")
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert "fake clip goes on" in window.banner.hint
    assert window.banner.action == "Try again"
    stand.feed(3)


def test_a_password_is_asked_and_stays_out_of_the_settings(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, asked = stand.window, []
    real = window.choose._make_source

    def make(text: str) -> Any:
        asked.append(text)
        if "@" in text and ":a%23b@" not in text:
            error = SourceError("cam.example: refuses this user or password", password=True)
            return FakeSource(open_error=error)
        return real("fake camera")

    monkeypatch.setattr(window.choose, "_make_source", make)
    monkeypatch.setattr(Dialogs, "password", lambda *_: "a#b")
    window.choose.source("rtsp://me@cam.example/live")
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert window.banner.action == "Give a password …"
    buttons = window.findChildren(QPushButton)
    next(b for b in buttons if b.text() == "Give a password …").click()
    stand.until(lambda: asked[-1] == "rtsp://me:a%23b@cam.example/live")
    stand.until(lambda: window.settings.source == "rtsp://me@cam.example/live")
    stand.until(lambda: (tmp_path / "settings.json").is_file())
    assert "a%23b" not in (tmp_path / "settings.json").read_text()


def test_a_source_that_is_away_is_said_until_it_is_back(stand: Stand) -> None:
    window = stand.window
    camera = SourceInfo("camera", "Desk cam", 8, 8, 30.0, live=True)
    error = SourceError("Desk cam: stopped delivering pictures", passing=True)
    window._on_event(SourceFailed("Desk cam", error, fallback=True, returning=True))
    assert window.banner is not None
    assert "comes back by itself" in window.banner.hint
    window._on_event(SourceOpened(replace(camera, title="Bundled clip")))
    assert window.banner is not None
    window._on_event(SourceOpened(camera))
    assert window.banner is None


def drop(stand: Stand, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(9, 9),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    stand.window.stage.dropEvent(event)


def known_net(path: Path) -> Path:
    """A network of the fake engines' size that says all of itself."""
    said = {"labels": json.dumps(["cat", "dog", "fox"]), "twinlens.recipe": '{"scale": 1.0}'}
    return tiny_classifier(path, 3, shape=(1, 3, 8, 8), metadata=said)


def test_dropped_model_is_loaded_and_remembered(stand: Stand, tmp_path: Path) -> None:
    drop(stand, known_net(tmp_path / "pets.onnx"))
    stand.until(lambda: "pets" in stand.window.stage.overlays.status.who)  # type: ignore[union-attr]
    banner = stand.window.banner
    assert banner is not None
    assert banner.title.startswith("pets: ONNX")
    assert "3 labels from the file" in banner.hint
    stand.window.close()
    saved = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert saved["model"] == str(tmp_path / "pets.onnx")


def test_dropped_letter_is_refused_with_what_is_taken(stand: Stand, tmp_path: Path) -> None:
    letter = tmp_path / "letter.doc"
    letter.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 a letter")
    drop(stand, letter)
    stand.until(lambda: stand.window.banner is not None)
    banner = stand.window.banner
    assert banner is not None
    assert "letter.doc" in banner.title
    assert "ONNX" in banner.hint


def test_choices_are_remembered(stand: Stand, qtbot: Any, tmp_path: Path) -> None:
    window = stand.window
    press(qtbot, stand, Qt.Key.Key_T)
    press(qtbot, stand, Qt.Key.Key_C)
    window.look.set_threshold(45)
    window.look.toggle_smoothing()
    window.look.set_theme("light")
    window.close()
    saved = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert (saved["top5"], saved["crop"], saved["threshold"]) == (True, "center-crop", 0.45)
    assert (saved["smoothing"], saved["theme"]) == (False, "light")
    assert saved["window_geometry"]


def test_under_the_threshold_the_label_is_not_sure(stand: Stand) -> None:
    stand.window.look.set_threshold(90)
    label = stand.window.stage.overlays.label
    assert label is not None
    assert (label.label, label.guess, label.sure) == ("not sure", "cat?", False)


def test_screenshot_is_saved_and_says_where(
    stand: Stand, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "twinlens.app.qt.window.screenshot.QStandardPaths.writableLocation",
        lambda *_: str(tmp_path),
    )
    press(qtbot, stand, Qt.Key.Key_S)
    stand.until(lambda: stand.window.banner is not None)
    (picture,) = (tmp_path / "Twinlens").glob("*.png")
    assert stand.window.banner is not None
    assert stand.window.banner.hint == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_controls_fade_without_the_pointer_and_come_back(
    stand: Stand, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls = stand.window.controls
    over = [True]
    monkeypatch.setattr(controls, "underMouse", lambda: over[0])
    controls.set_idle_ms(30)
    controls.wake()
    qtbot.wait(150)
    assert controls.shown, "the pointer stands on them"
    over[0] = False
    controls.wake()
    assert controls.shown
    stand.until(lambda: not controls.shown)
    controls.set_idle_ms(60_000)
    press(qtbot, stand, Qt.Key.Key_M)
    assert controls.shown


def test_everything_that_can_be_clicked_has_a_name(stand: Stand) -> None:
    for button in stand.window.findChildren(QAbstractButton):
        assert button.accessibleName(), button.text()
    description = stand.window.stage.accessibleDescription()
    assert "cat" in description


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080), (1100, 720)])
def test_nothing_is_clipped_and_no_text_is_too_small(
    stand: Stand, qtbot: Any, size: tuple[int, int]
) -> None:
    window = stand.window
    window.resize(*size)
    stand.feed(1)
    unit = window.unit
    for button in window.controls.findChildren(QPushButton):
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width()
        assert button.font().pixelSize() >= 1.8 * unit - 1
        right = button.mapTo(window.stage, button.rect().topRight()).x()
        assert right <= window.stage.width()
    qtbot.keyClick(window.stage, Qt.Key.Key_F1)
    card = window.sheet
    assert card is not None
    for label in card.findChildren(QLabel):
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width() + 1
    window.close_sheet()
