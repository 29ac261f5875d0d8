"""Diagnostics in the window: copied from the settings, and from an error that nobody expected."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from helpers.gui_stand import Stand
from twinlens.app.qt.sheets.sheets import Sheet


def clipboard_after(stand: Stand) -> str:
    stand.until(
        lambda: (
            stand.window.banner is not None
            and stand.window.banner.title == "Diagnostics are copied"
        )
    )
    return QGuiApplication.clipboard().text()


def test_the_settings_sheet_copies_diagnostics(stand: Stand, tmp_path: Any) -> None:
    window = stand.window
    stand.feed(2)
    window.remember(source=f"{tmp_path}/zq holiday.mp4", recent_models=("/srv/zq.onnx",))
    QGuiApplication.clipboard().setText("before")
    window.menus.settings()
    sheet = window.sheet
    assert isinstance(sheet, Sheet)
    (row,) = (b for b in sheet.buttons if b.accessibleName().startswith("Copy diagnostics"))
    row.click()
    assert window.sheet is None
    text = clipboard_after(stand)
    assert text.startswith("Twinlens diagnostics.")
    assert "layers-cpu: computes in fp32, bf16, auto" in text
    assert "in use: layers-cpu in fp32" in text
    assert "EngineReady layers-cpu in fp32" in text
    assert "answered: " in text
    assert "twinlens/app/core/session/" in text, "where the session's threads are"
    assert "zq" not in text
    assert str(tmp_path) not in text


def test_an_unexpected_error_offers_a_report(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    window = stand.window

    def fail(*args: Any) -> None:
        raise KeyError("surprise")

    with monkeypatch.context() as patch:
        patch.setattr(window.stage, "show_frame", fail)
        stand.source.allow(1)
        stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert "surprise" in window.banner.title
    (button,) = (b for b in window.findChildren(QPushButton) if b.text() == "Copy report")
    button.click()
    assert clipboard_after(stand).startswith("Twinlens diagnostics.")


def test_an_error_that_is_expected_offers_none(stand: Stand) -> None:
    stand.window.choose.model("broken")
    stand.until(lambda: stand.window.banner is not None)
    assert stand.window.banner is not None
    assert stand.window.banner.action != "Copy report"
