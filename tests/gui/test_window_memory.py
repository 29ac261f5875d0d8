"""What is remembered, and what a broken memory, disk or model cannot do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.fakes import fake_loader
from helpers.gui_stand import ENGINES, Stand, answer, make_source, resolve
from twinlens.app.core.session.session import Session
from twinlens.app.core.settings import SettingsStore
from twinlens.app.qt.window.window import MainWindow
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import ModelFileError

_fakes = fake_loader(answer((0.7, 0.2, 0.1), "layers-cpu"), answer((0.1, 0.8, 0.1), "vision"))


def load(network: Network, engine_id: str, options: EngineOptions) -> Runner:
    if "cut-off" in network.spec.id:
        raise ModelFileError(f"{network.spec.id}.onnx: is cut off", hint="Fetch it again.")
    return _fakes(network, engine_id, options)


class Opened:
    def __init__(self, window: MainWindow, qtbot: Any) -> None:
        self.window, self._bot = window, qtbot

    def until_answering(self) -> None:
        def serves() -> bool:
            return bool(self.window.session and self.window.session.state.info)

        self._bot.waitUntil(serves, timeout=10_000)


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(tmp_path / "settings.json")


@pytest.fixture
def opened(qtbot: Any, store: SettingsStore) -> Iterator[Opened]:
    window = MainWindow(
        store,
        ENGINES,
        lambda _text: make_source("fake clip"),
        resolve,
        make_session=partial(Session, loader=load),
    )
    qtbot.addWidget(window)
    window.show()
    try:
        yield Opened(window, qtbot)
    finally:
        window.close()


def test_a_remembered_model_that_cannot_be_read_gives_way_to_the_embedded_one(
    opened: Opened, qtbot: Any
) -> None:
    opened.window.start("fake clip", "broken.onnx", "vision")
    qtbot.waitUntil(lambda: opened.window.banner is not None, timeout=10_000)
    assert opened.window.banner is not None
    assert "broken.onnx" in opened.window.banner.title
    opened.until_answering()


def test_a_remembered_model_that_cannot_be_loaded_gives_way_to_the_embedded_one(
    opened: Opened, qtbot: Any
) -> None:
    opened.window.start("fake clip", "cut-off.onnx", "vision")
    opened.until_answering()
    qtbot.waitUntil(lambda: opened.window.banner is not None, timeout=10_000)
    assert opened.window.banner is not None
    assert "cut-off.onnx" in opened.window.banner.title


def test_only_a_model_that_answered_is_remembered(
    opened: Opened, qtbot: Any, store: SettingsStore
) -> None:
    window = opened.window
    window.start("fake clip", None, "vision")
    opened.until_answering()
    window.choose.model("pets.onnx")
    qtbot.waitUntil(lambda: window.settings.model == "pets.onnx", timeout=10_000)
    window.choose.model("cut-off.onnx")
    qtbot.waitUntil(lambda: window.banner is not None, timeout=10_000)
    window.close()
    saved = store.load()
    assert saved.model == "pets.onnx"
    assert saved.recent_models == ("pets.onnx",)


def test_choices_hold_though_the_disk_does_not_take_them_and_that_is_told_once(
    opened: Opened, qtbot: Any, store: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def full(**_changes: Any) -> None:
        threads.append(threading.current_thread())
        raise OSError("no space left on device")

    monkeypatch.setattr(store, "update", full)
    window = opened.window
    window.start("fake clip", None, "vision")
    opened.until_answering()
    window.look.toggle_mirror()
    qtbot.waitUntil(lambda: window.banner is not None, timeout=10_000)
    assert window.settings.mirror
    assert window.stage.mirror
    assert window.banner is not None
    assert "no space left" in window.banner.title
    assert window.banner.hint
    window.popups.close_banner()
    before = len(threads)
    window.remember(top5=True)
    qtbot.waitUntil(lambda: len(threads) > before, timeout=10_000)
    qtbot.wait(50)
    assert window.banner is None
    assert threading.main_thread() not in threads


def test_a_slider_that_moves_is_saved_together_and_soon(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    for percent in range(20, 81):
        stand.window.look.set_threshold(percent)
    path = tmp_path / "settings.json"

    def saved() -> bool:
        if not path.exists():
            return False
        return bool(json.loads(path.read_text(encoding="utf-8"))["threshold"] == 0.8)

    qtbot.waitUntil(saved, timeout=10_000)


def test_the_next_window_opens_as_this_one_closed(stand: Stand, qtbot: Any, tmp_path: Path) -> None:
    stand.window.resize(700, 500)  # the off-screen display is 800 × 800
    stand.window.look.toggle_mirror()
    stand.window.look.set_theme("light")
    stand.window.close()
    again = MainWindow(SettingsStore(tmp_path / "settings.json"), ENGINES, make_source, resolve)
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (700, 500)
    assert again.stage.mirror
    assert again.settings.theme == "light"
    again.stop()
