"""What the window says, and tries, when the process of an engine has stopped."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QPushButton

from helpers.fakes import FakeRunner, fake_loader
from helpers.gui_stand import answer, run_stand
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import DistrustedError, EngineStoppedError

standing = contextmanager(run_stand)
STOPPED = EngineStoppedError("its process was killed")


class Trust:
    """Loads as ``fake_loader`` does, but refuses an engine until a model is forgiven."""

    def __init__(self) -> None:
        self.forgiven: list[str] = []
        self._load = fake_loader(
            answer((0.7, 0.2, 0.1), "layers-cpu"), answer((0.1, 0.8, 0.1), "vision")
        )

    def __call__(self, network: Network, engine_id: str, options: EngineOptions) -> Runner:
        if engine_id == "vision" and not self.forgiven:
            raise DistrustedError("it stopped Vision today", hint="It may do so again.")
        return self._load(network, engine_id, options)

    def forgive(self, network: Network) -> None:
        self.forgiven.append(network.spec.id)


def test_a_model_that_stopped_its_engine_is_asked_about(qtbot: Any, tmp_path: Path) -> None:
    trust = Trust()
    with standing(qtbot, tmp_path, serve=trust, forgive=trust.forgive) as stand:
        window = stand.window
        window.choose.engine("vision")
        stand.until(lambda: window.banner is not None)
        assert window.banner.title == "it stopped Vision today"
        assert window.banner.hint == "It may do so again. The engine that ran before goes on."
        assert window.session.state.info.engine_id == "layers-cpu"
        (button,) = (b for b in window.findChildren(QPushButton) if b.text() == "Load it anyway")
        button.click()
        stand.until(lambda: bool(trust.forgiven))
        stand.until(lambda: window.session.state.engine_id == "vision")
        stand.feed(2)
        stand.until(lambda: window.session.state.info.engine_id == "vision")


@pytest.mark.parametrize(
    ("stops", "serves", "said"),
    [
        ("layers-cpu", "layers-cpu", "It is started again."),
        ("vision", "layers-cpu", "Layers CPU serves."),
    ],
)
def test_one_banner_says_what_stopped_and_what_serves(
    qtbot: Any, tmp_path: Path, stops: str, serves: str, said: str
) -> None:
    made: list[str] = []

    def serve(network: Network, engine_id: str, options: EngineOptions) -> Runner:
        del network, options
        made.append(engine_id)
        if engine_id == stops and made.count(stops) == 1:
            return FakeRunner(engine_id=engine_id, errors={3: STOPPED}, fails_from=3)
        return FakeRunner(engine_id=engine_id)

    with standing(qtbot, tmp_path, serve=serve) as stand:
        window = stand.window
        window.choose.engine(stops)
        stand.until(lambda: window.session.state.engine_id == stops)
        shown: list[str] = []
        show = window.popups.show_banner
        window.popups.show_banner = lambda banner, act=None: (
            shown.append(f"{banner.title} | {banner.hint}"),
            show(banner, act),
        )
        for _ in range(100):  # frames that come faster than answers are left out
            if shown:
                break
            stand.feed(1)
        stand.until(lambda: getattr(window.session.state.info, "engine_id", "") == serves)
        stand.feed(1)
        stand.until(lambda: window.stage.overlays.label is not None)
        (banner,) = shown
        assert banner.startswith(STOPPED.message)
        assert banner.endswith(said)
