"""The window's thread opens no file: a disk or a mount that does not answer must not freeze it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent

from helpers.fakes import WAIT_S
from helpers.gui_stand import Stand
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.setup import wizard as wizard_module
from twinlens.app.qt.setup import intake as intake_module
from twinlens.app.qt.setup.wizard_sheet import WizardSheet
from twinlens.app.qt.sheets.sheets import Sheet
from twinlens.models.catalog.store import Store

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
_COPY = Qt.DropAction.CopyAction


def watched(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Threads that call a function from now on."""
    threads: list[int] = []
    real: Callable[..., Any] = getattr(owner, name)

    def record(*given: Any, **more: Any) -> Any:
        threads.append(threading.get_ident())
        return real(*given, **more)

    monkeypatch.setattr(owner, name, record)
    return threads


def of_file(path: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    return data


def hover(stand: Stand, path: Path) -> QDragEnterEvent:
    data = of_file(path)  # which the event does not own
    event = QDragEnterEvent(QPoint(9, 9), _COPY, data, _LEFT, _NONE)
    event.setAccepted(False)
    stand.window.stage.dragEnterEvent(event)
    return event


def drop(stand: Stand, path: Path) -> None:
    data = of_file(path)
    event = QDropEvent(QPointF(9, 9), _COPY, data, _LEFT, _NONE)
    stand.window.stage.dropEvent(event)


def test_the_catalog_is_read_once_and_elsewhere(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, here = stand.window, threading.get_ident()
    records = watched(Store, "_records", monkeypatch)
    others = [watched(Store, name, monkeypatch) for name in ("cards", "state", "file")]
    window.shelf.toggle()
    stand.until(lambda: window.shelf.page is not None)
    assert len(records) == 1
    window.menus.model()
    stand.until(lambda: isinstance(window.sheet, Sheet))
    assert len(records) == 2
    for threads in (records, *others):
        assert threads
        assert here not in threads


def test_a_file_that_does_not_answer_holds_up_neither_picture_nor_drop(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, gate = threading.get_ident(), threading.Event()
    threads: list[int] = []
    real = intake_module.recognise

    def slow(path: Path) -> Any:
        threads.append(threading.get_ident())
        if threads[-1] != here:
            assert gate.wait(WAIT_S)
        return real(path)

    monkeypatch.setattr(intake_module, "recognise", slow)
    names = tmp_path / "a.doc"
    names.write_bytes(b"\xd0\xcf\x11\xe0")
    target = stand.window.stage.target
    try:
        assert hover(stand, names).isAccepted()
        stand.feed(3)
        assert target.isVisible()
        assert target.accessibleName() == "Looking at a.doc …"
        drop(stand, names)
        stand.feed(3)
        assert not target.isVisible()
    finally:
        gate.set()
    stand.until(lambda: stand.window.banner is not None)
    assert here not in threads
    hover(stand, names)
    stand.until(lambda: target.dropped is not None)
    assert "a.doc" in target.accessibleName()


def test_the_wizards_labels_are_read_elsewhere(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(stand, tiny_classifier(tmp_path / "pets.onnx", 3))
    stand.until(lambda: isinstance(stand.window.sheet, WizardSheet))
    threads = watched(wizard_module, "read_labels", monkeypatch)
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nfox\n", encoding="utf-8")
    stand.window.intake.desk.take_labels(names)
    sheet = stand.window.sheet
    assert isinstance(sheet, WizardSheet)
    stand.until(sheet.use.isEnabled)
    assert threads
    assert threading.get_ident() not in threads


def test_what_a_source_is_is_found_out_elsewhere(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = watched(Path, "is_dir", monkeypatch)
    folder = tmp_path / "pictures"
    folder.mkdir()
    stand.window.choose.source(str(folder))
    stand.until(lambda: stand.window.banner is not None)
    banner = stand.window.banner
    assert banner is not None
    assert "has no pictures" in banner.title
    assert threads
    assert threading.get_ident() not in threads
