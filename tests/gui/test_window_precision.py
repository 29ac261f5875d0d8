"""Precision, threads and calibration pictures in the window: chosen, loaded warm, remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from helpers.gui_stand import NO_INT8, Stand, run_stand
from twinlens.app.core.settings import Settings
from twinlens.app.overlays import BannerKind
from twinlens.app.qt.sheets.sheets import Sheet

Key = Qt.Key


def who(stand: Stand) -> str:
    status = stand.window.stage.overlays.status
    return status.who if status is not None else ""


def open_sheet(stand: Stand, qtbot: Any) -> Sheet:
    qtbot.keyClick(stand.window.stage, Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    sheet = stand.window.sheet
    assert isinstance(sheet, Sheet)
    assert sheet.title == "Engine"
    return sheet


def row(stand: Stand, name: str) -> QPushButton:
    sheet = stand.window.sheet
    assert isinstance(sheet, Sheet)
    return next(button for button in sheet.buttons if button.accessibleName() == name)


def words(stand: Stand) -> str:
    assert stand.window.sheet is not None
    return "\n".join(label.text() for label in stand.window.sheet.findChildren(QLabel))


def saved(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))


def test_p_goes_through_what_the_engine_has_and_shows_what_runs(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    assert who(stand).endswith("· fp32")
    for shown in ("bf16", "bf16", "fp32", "bf16"):  # auto runs bf16
        before = stand.window.choose.serving
        qtbot.keyClick(stand.window.stage, Key.Key_P)
        stand.until(lambda before=before: stand.window.choose.serving is not before)  # type: ignore[misc]
        stand.until(lambda shown=shown: who(stand).endswith(f"· {shown}"))  # type: ignore[misc]
    stand.window.close()
    assert saved(tmp_path)["precisions"] == {"layers-cpu": "bf16"}


def test_engines_keep_their_own_precision(stand: Stand, qtbot: Any) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_P)
    stand.until(lambda: who(stand).endswith("· bf16"))
    qtbot.keyClick(stand.window.stage, Key.Key_E)
    stand.until(lambda: who(stand).startswith("Vision"))
    assert who(stand).endswith("· fp32")
    qtbot.keyClick(stand.window.stage, Key.Key_P)
    assert stand.window.banner is not None
    assert stand.window.banner.title == "Vision computes in fp32 only"
    qtbot.keyClick(stand.window.stage, Key.Key_E)
    stand.until(lambda: who(stand).startswith("Layers-Cpu"))
    assert who(stand).endswith("· bf16")


def test_the_sheet_says_what_runs_how_well_it_agrees_and_what_is_missing(
    stand: Stand, qtbot: Any
) -> None:
    open_sheet(stand, qtbot)
    assert "script, fp32, 1 thread." in words(stand)
    assert not row(stand, "int8").isEnabled()
    assert NO_INT8 in words(stand)
    assert not row(stand, "Layers GPU").isEnabled()
    assert "Agrees" not in words(stand)
    button = row(stand, "bf16")
    button.setFocus()
    qtbot.keyClick(button, Key.Key_Return)
    stand.until(lambda: "Agrees with fp32 on 99.7 % of the calibration" in words(stand))
    assert row(stand, "bf16").text() == "✓  bf16"
    assert row(stand, "bf16").hasFocus(), "the focus stays where it was"
    qtbot.keyClick(row(stand, "bf16"), Key.Key_Escape)
    assert stand.window.sheet is None


def test_threads_are_chosen_by_key_and_remembered(stand: Stand, qtbot: Any, tmp_path: Path) -> None:
    open_sheet(stand, qtbot)
    chip = row(stand, "1 thread")
    chip.setFocus()
    qtbot.keyClick(chip, Key.Key_Space)
    stand.until(lambda: stand.window.settings.threads == 1)
    stand.until(lambda: row(stand, "1 thread").accessibleDescription() == "in use")
    row(stand, "Threads: the engine’s choice").click()
    stand.until(lambda: stand.window.settings.threads is None)
    row(stand, "1 thread").click()
    stand.until(lambda: stand.window.settings.threads == 1)
    stand.window.close()
    assert saved(tmp_path)["threads"] == 1


def test_pictures_that_do_not_open_are_a_banner_and_change_nothing(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    qtbot.keyClick(stand.window.stage, Key.Key_P)
    stand.until(lambda: who(stand).endswith("· bf16"))
    stand.window.choose.calibration("/nowhere/broken")
    stand.until(lambda: stand.window.banner is not None)
    assert stand.window.banner is not None
    assert stand.window.banner.kind is BannerKind.ERROR
    assert stand.window.banner.title.startswith("broken: ")  # no folders in a headline
    stand.feed(2)
    assert stand.window.settings.calibration == ""
    stand.window.choose.calibration(str(tmp_path))
    stand.until(lambda: stand.window.settings.calibration == str(tmp_path))
    open_sheet(stand, qtbot)
    row(stand, "Calibration pictures").click()
    stand.until(lambda: stand.window.settings.calibration == "")


@pytest.fixture
def remembered(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    settings = Settings(precisions={"layers-cpu": "bf16"}, calibration="/nowhere/broken")
    yield from run_stand(qtbot, tmp_path, settings)


def test_a_remembered_precision_that_cannot_be_loaded_gives_way_to_fp32(remembered: Stand) -> None:
    assert who(remembered).endswith("· fp32")
    banner = remembered.window.banner
    assert banner is not None
    assert banner.title.startswith("broken: ")  # no folders in a headline
    assert banner.hint == "It runs in fp32 instead."


def test_a_precision_of_another_machine_gives_way(qtbot: Any, tmp_path: Path) -> None:
    for stand in run_stand(qtbot, tmp_path, Settings(precisions={"layers-cpu": "int8"})):
        assert who(stand).endswith("· fp32")
        assert stand.window.banner is None
