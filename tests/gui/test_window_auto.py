"""Auto in the engine menu: measures, flips to the fastest, says so, gives way to a choice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from helpers.fakes import FakeRunner
from helpers.gui_stand import Stand, run_stand
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import EngineError

Key = Qt.Key


class Unequal:
    """Loads a slow layers-cpu and a fast vision, and notes for which models."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.broken = False

    def __call__(self, network: Network, engine_id: str, options: EngineOptions) -> FakeRunner:
        if self.broken:
            raise EngineError("no memory left")
        self.models.append(network.spec.id)

        def answer(tensor: object) -> tuple[float, ...]:
            if engine_id == "layers-cpu":
                time.sleep(0.02)
            return (0.7, 0.2, 0.1)

        return FakeRunner(answer, engine_id=engine_id, options=options)


@pytest.fixture
def engines() -> Unequal:
    return Unequal()


@pytest.fixture
def unequal(qtbot: Any, tmp_path: Path, engines: Unequal) -> Iterator[Stand]:
    yield from run_stand(qtbot, tmp_path, load=engines)


def words(stand: Stand) -> list[str]:
    sheet = stand.window.sheet
    return [label.text() for label in sheet.findChildren(QLabel)] if sheet else []


def choose_auto(stand: Stand) -> None:
    stand.window.menus.engine()
    sheet: Any = stand.window.sheet
    (row,) = [
        button for button in sheet.buttons if button.accessibleName().startswith("Fastest engine")
    ]
    row.click()
    stand.until(lambda: stand.window.auto.found is not None)


def test_the_row_flips_to_the_fastest_engine_and_says_what_was_measured(unequal: Stand) -> None:
    window = unequal.window
    assert window.controls.switch.live == "layers-cpu"
    choose_auto(unequal)
    unequal.until(lambda: window.controls.switch.live == "vision")
    if window.sheet is None:
        window.menus.engine()
    assert any(text.startswith("Now Vision, ") and " ms" in text for text in words(unequal))
    assert window.settings.auto_engine
    assert window.session is not None
    assert window.session.state.answering
    assert not window.auto.measuring
    unequal.feed(2)


def test_another_model_is_measured_when_it_answers(unequal: Stand, engines: Unequal) -> None:
    window = unequal.window
    choose_auto(unequal)
    unequal.until(lambda: window.controls.switch.live == "vision")
    assert set(engines.models) == {"fake"}
    window.choose.model("pets")
    unequal.until(lambda: bool(window.auto.found and window.auto.found.network.spec.id == "pets"))
    assert engines.models.count("pets") == 2, "once on each engine"


@pytest.mark.parametrize("how", ["engine", "precision"])
def test_who_chooses_has_chosen(unequal: Stand, qtbot: Any, how: str) -> None:
    window = unequal.window
    choose_auto(unequal)
    unequal.until(lambda: window.controls.switch.live == "vision")
    if how == "engine":
        qtbot.keyClick(window.stage, Key.Key_1)
        unequal.until(lambda: window.controls.switch.live == "layers-cpu")
    else:
        window.choose.precision("fp32")
    assert not window.settings.auto_engine
    assert window.auto.found is None


def test_an_engine_that_is_chosen_while_it_measures_stays(unequal: Stand, qtbot: Any) -> None:
    window = unequal.window
    window.auto.choose()
    assert window.auto.measuring
    assert "Measuring" in window.auto.detail
    qtbot.keyClick(window.stage, Key.Key_1)
    assert not window.auto.measuring
    unequal.until(lambda: not any(w.name == "twinlens-auto" for w in window.workers.alive))
    unequal.feed(2)
    assert window.controls.switch.live == "layers-cpu"
    assert window.session is not None
    assert window.session.state.answering


def test_where_nothing_loads_it_is_told_and_the_engine_goes_on(
    unequal: Stand, engines: Unequal
) -> None:
    window = unequal.window
    engines.broken = True
    window.auto.choose()
    unequal.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert "no memory left" in window.banner.title
    assert not window.auto.measuring
    unequal.feed(2)
