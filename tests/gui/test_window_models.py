"""The page of models: fetch, stop, use, by mouse and by key, while the picture goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from helpers.gui_stand import Stand, fits, pixels_of, run_stand
from helpers.model_server import ModelServer, model_server
from helpers.own_models import own_card, write_catalog
from twinlens.app.overlays import PALETTES, BannerKind
from twinlens.app.qt.sheets.models_page import ModelsPage
from twinlens.app.qt.sheets.sheets import Sheet
from twinlens.app.views.models import ModelAction

DATA = bytes(600_000)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("TWINLENS_MODELS", str(folder))
    write_catalog(
        folder,
        own_card("quick", DATA, server.put("/quick.onnx", DATA)),
        own_card("slow", DATA, server.put("/slow.onnx", DATA, pace_s=0.1)),
        own_card("broken-link", DATA, server.url("/none.onnx")),
    )
    return folder


@pytest.fixture
def stand(qtbot: Any, tmp_path: Path, root: Path) -> Iterator[Stand]:
    del root
    yield from run_stand(qtbot, tmp_path)


def opened(stand: Stand) -> ModelsPage:
    stand.window.shelf.toggle()
    stand.until(lambda: stand.window.shelf.page is not None)
    page = stand.window.shelf.page
    assert page is not None
    return page


def action(page: ModelsPage, model: str) -> ModelAction:
    shown = page.lines[model].shown
    assert shown is not None
    return shown.action


def test_the_key_opens_and_closes_it(stand: Stand, qtbot: Any) -> None:
    stage = stand.window.stage
    qtbot.keyClick(stage, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    stand.until(lambda: stand.window.shelf.page is not None)
    page = stand.window.shelf.page
    assert page is not None
    assert not stand.window.stage.mirror
    assert page.first.hasFocus()
    for button in page.findChildren(QPushButton):
        assert button.accessibleName()
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert stand.window.shelf.page is None
    opened(stand)
    stand.window.shelf.toggle()
    assert stand.window.sheet is None


def test_the_model_sheet_leads_to_it_and_lists_what_was_fetched(stand: Stand) -> None:
    window = stand.window
    opened(stand)
    window.shelf.act("quick")
    stand.until(lambda: window.banner is not None)
    window.menus.model()
    stand.until(lambda: isinstance(window.sheet, Sheet))
    sheet = window.sheet
    assert isinstance(sheet, Sheet)
    names = [button.accessibleName() for button in sheet.buttons]
    assert "Net quick" in names
    assert "Net slow" not in names
    sheet.buttons[names.index("More models …")].click()
    stand.until(lambda: window.shelf.page is not None)


def test_get_then_use_by_keys_alone(stand: Stand, qtbot: Any, root: Path) -> None:
    window = stand.window
    page = opened(stand)
    line = page.lines["quick"]
    for _ in range(200):
        if line.button.hasFocus():
            break
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
    assert line.button.hasFocus()
    visible = line.button.visibleRegion().boundingRect()
    assert visible.height() == line.button.height(), "the focus is scrolled into view"
    qtbot.keyClick(line.button, Qt.Key.Key_Return)
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    assert line.button.hasFocus()
    assert (root / "quick" / "quick.onnx").read_bytes() == DATA
    banner = window.banner
    assert banner is not None
    assert banner.title == "Net quick is here"
    qtbot.keyClick(line.button, Qt.Key.Key_Return)
    assert window.shelf.page is None
    stand.until(lambda: window.session.state.spec.id == "quick")  # type: ignore[union-attr]
    assert action(opened(stand), "quick") is ModelAction.IN_USE


def test_the_picture_goes_on_beside_a_download_that_can_be_stopped(
    stand: Stand, server: ModelServer, root: Path
) -> None:
    window = stand.window
    page = opened(stand)
    page.lines["slow"].button.click()
    shown = page.lines["slow"]
    stand.until(lambda: bool(shown.shown and shown.shown.share))
    stand.feed(3)
    assert action(page, "slow") is ModelAction.STOP
    assert shown._bar.isVisible()
    shown.button.click()
    stand.until(lambda: action(page, "slow") is ModelAction.PULL)
    assert window.banner is None
    part = root / ".parts" / "slow.part"
    kept = part.stat().st_size
    assert 0 < kept < len(DATA)
    assert shown.shown is not None
    assert "of it here" in shown.shown.state
    server.files["/slow.onnx"].pace_s = 0.0
    shown.button.click()
    stand.until(lambda: action(page, "slow") is ModelAction.USE)
    assert server.ranges()[-1] == f"bytes={kept}-"


def test_a_failure_stands_in_its_line_and_in_a_banner(
    stand: Stand, server: ModelServer, qtbot: Any
) -> None:
    window = stand.window
    page = opened(stand)
    page.lines["broken-link"].button.click()
    stand.until(lambda: window.banner is not None)
    banner = window.banner
    assert banner is not None
    assert banner.kind is BannerKind.ERROR
    assert "404" in banner.title
    line = page.lines["broken-link"]
    stand.until(lambda: line.shown is not None and bool(line.shown.error))
    shown = line.shown
    assert shown is not None
    assert "404" in shown.error
    assert shown.action is ModelAction.PULL
    stand.feed(2)
    assert window.controls.switch.live == "layers-cpu"
    server.put("/none.onnx", DATA)
    window.close_sheet()
    again = next(b for b in window.findChildren(QPushButton) if b.text() == "Try again")
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    stand.until(lambda: window.banner is not None and "is here" in window.banner.title)


def test_what_was_fetched_is_removed_by_keys_alone(stand: Stand, qtbot: Any, root: Path) -> None:
    window = stand.window
    page = opened(stand)
    line = page.lines["quick"]
    assert not line.removing.isVisible()
    window.shelf.act("quick")
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    assert line.removing.accessibleName() == "Remove Net quick"
    line.button.setFocus()
    qtbot.keyClick(line.button, Qt.Key.Key_Tab)
    assert line.removing.hasFocus()
    qtbot.keyClick(line.removing, Qt.Key.Key_Return)
    stand.until(lambda: action(page, "quick") is ModelAction.PULL)
    assert not (root / "quick").exists()
    assert not line.removing.isVisible()
    assert line.button.hasFocus()
    banner = window.banner
    assert banner is not None
    assert (banner.title, banner.hint) == ("Net quick is removed", "600 kB freed.")


def test_what_is_in_use_or_on_its_way_is_not_removed(stand: Stand, root: Path) -> None:
    window = stand.window
    page = opened(stand)
    window.shelf.act("slow")
    slow = page.lines["slow"]
    stand.until(lambda: bool(slow.shown and slow.shown.share))
    assert not slow.removing.isVisible()
    window.shelf.act("slow")
    stand.until(lambda: action(page, "slow") is ModelAction.PULL)
    # What had arrived takes room, and goes.
    slow.removing.click()
    stand.until(lambda: not (root / ".parts" / "slow.part").exists())
    window.shelf.act("quick")
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    window.shelf.act("quick")
    stand.until(lambda: window.session.state.spec.id == "quick")  # type: ignore[union-attr]
    page = opened(stand)
    assert not page.lines["quick"].removing.isVisible()
    window.shelf.remove("quick")
    assert (root / "quick" / "quick.onnx").is_file()


def test_the_window_does_not_wait_for_another_process_to_be_done_with_the_store(
    stand: Stand, root: Path
) -> None:
    page = opened(stand)
    stand.window.shelf.act("quick")
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    lock = FileLock(root / ".lock")
    with lock:
        page.lines["quick"].removing.click()
        page.lines["quick"].removing.click()  # pressed again, it is removed once
        stand.feed(3)
        assert (root / "quick").is_dir()
    stand.until(lambda: action(page, "quick") is ModelAction.PULL)
    banner = stand.window.banner
    assert banner is not None
    assert banner.hint == "600 kB freed."


def test_a_removal_that_fails_stands_in_its_line(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Access is denied", str(path))

    page = opened(stand)
    stand.window.shelf.act("quick")
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        page.lines["quick"].removing.click()
        stand.until(lambda: bool(page.lines["quick"].shown and page.lines["quick"].shown.error))
    shown = page.lines["quick"].shown
    assert shown is not None
    assert "quick cannot be removed" in shown.error
    assert "Access is denied" in shown.error
    assert shown.action is ModelAction.USE


def test_a_download_goes_on_without_the_page(stand: Stand, qtbot: Any) -> None:
    window = stand.window
    opened(stand)
    window.shelf.act("slow")
    window.close_sheet()
    stand.until(lambda: window.banner is not None)
    use = next(b for b in window.findChildren(QPushButton) if b.text() == "Use it")
    qtbot.mouseClick(use, Qt.MouseButton.LeftButton)
    stand.until(lambda: window.session.state.spec.id == "slow")  # type: ignore[union-attr]
    stand.until(lambda: not window.shelf._timer.isActive())


def test_closing_the_window_stops_downloads(stand: Stand, root: Path) -> None:
    window = stand.window
    page = opened(stand)
    window.shelf.act("slow")
    line = page.lines["slow"]
    stand.until(lambda: bool(line.shown and line.shown.share))
    window.close()
    assert window.shelf.pulls.progress() == {}
    assert (root / ".parts" / "slow.part").stat().st_size > 0


def test_a_damaged_catalog_of_ones_own_is_told(stand: Stand, root: Path) -> None:
    window = stand.window
    (root / "catalog.toml").write_text("[[model]")
    window.shelf.toggle()
    stand.until(lambda: window.banner is not None)
    assert window.shelf.page is None
    assert window.banner is not None
    assert "catalog.toml" in window.banner.title
    window.menus.model()
    stand.until(lambda: isinstance(window.sheet, Sheet))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 720), (960, 720), (1920, 1080)])
def test_it_follows_the_theme_and_leaves_the_answer_free(
    stand: Stand, theme: str, size: tuple[int, int]
) -> None:
    window = stand.window
    window.resize(*size)
    window.look.set_theme(theme)
    page = opened(stand)
    window.shelf.act("quick")
    stand.until(lambda: action(page, "quick") is ModelAction.USE)
    stage = window.stage
    assert stage.rect().contains(page.geometry())
    assert page.x() >= stage.canvas().right, "it stands beside the label block"
    at = page.geometry()
    shown = pixels_of(window)[at.top() + 6, at.center().x(), :3]
    assert "#{2:02X}{1:02X}{0:02X}".format(*shown) == PALETTES[theme].surface
    for widget in [*page.findChildren(QLabel), *page.findChildren(QPushButton)]:
        if widget.isVisible():
            assert widget.font().pixelSize() >= 0.018 * stage.height()
            assert fits(widget), widget.text()
