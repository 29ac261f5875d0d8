"""Whatever was remembered, the window starts: with it, or with a banner and what always works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.fakes import fake_loader, make_frame, make_network
from helpers.gui_stand import ENGINES, FakeSource, answer
from twinlens.app.core.session.session import Session
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.qt.window.window import MainWindow
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import ModelFileError, SourceError
from twinlens.models.identify.default import EMBEDDED_MODEL

FAILURES: dict[str, Exception] = {
    "our own": SourceError("bad: is nothing"),
    "no rights": PermissionError(13, "Permission denied", "bad"),
    "300 letters": OSError(36, "File name too long", "bad"),
    "a dead mount": OSError(107, "Transport endpoint is not connected", "bad"),
    "a NUL": ValueError("embedded null byte"),
    "no text": UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    "a bug": KeyError("bad"),
}
Make = Callable[[str], Any]


class Start:
    """A window that starts with what is remembered, and what it showed."""

    def __init__(self, window: MainWindow, qtbot: Any) -> None:
        self.window, self.banners, self._bot = window, [], qtbot
        show = window.popups.show_banner

        def note(banner: Any, act: Any = None) -> None:
            self.banners.append(banner.title)
            show(banner, act)

        window.popups.show_banner = note  # type: ignore[method-assign]

    def until(self, holds: Callable[[], Any]) -> None:
        self._bot.waitUntil(lambda: bool(holds()), timeout=10_000)

    def playing(self) -> str:
        """Title of what plays."""
        session = self.window.session
        info = session.state.source_info if session is not None else None
        return info.title if info is not None else ""

    def until_it_answers(self) -> None:
        window = self.window
        self.until(lambda: window.session is not None and window.session.state.info)
        self.until(lambda: window.stage.overlays.label is not None)


def source_named(name: str) -> FakeSource:
    return FakeSource([make_frame(n, size=64) for n in range(4000)], title=name)


@contextmanager
def started(
    qtbot: Any,
    tmp_path: Path,
    source: Make,
    model: Make,
    settings: Settings | None = None,
    refused: Sequence[str] = (),
) -> Iterator[Start]:
    store = SettingsStore(tmp_path / "settings.json")
    if settings is not None:
        store.save(settings)
    fine = fake_loader(answer((0.7, 0.2, 0.1), "layers-cpu"), answer((0.1, 0.8, 0.1), "vision"))

    def loader(network: Network, engine_id: str, options: Any = None) -> Any:
        if network.spec.id in refused:
            raise ModelFileError(f"{network.spec.id}: no engine takes it")
        return fine(network, engine_id, options)

    session = partial(Session, loader=loader)
    window = MainWindow(store, ENGINES, source, model, make_session=session, load=loader)
    qtbot.addWidget(window)
    window.show()
    start = Start(window, qtbot)
    window.start(None, None, None)
    try:
        yield start
    finally:
        window.close()


def failing(error: Exception, make: Make, *names: str) -> Make:
    """Makes what is asked for, but fails on these names."""

    def made(name: str) -> Any:
        if name in names:
            raise error
        return make(name)

    return made


def spec_named(name: str) -> Network:
    return make_network(name or "default")


BAD = Settings(source="bad", model="bad")


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("model", ["good", "bad"])
def test_a_remembered_source_that_fails_gives_way_to_the_clip(
    qtbot: Any, tmp_path: Path, kind: str, model: str
) -> None:
    error = FAILURES[kind]
    sources = failing(error, source_named, "bad")
    models = failing(error, spec_named, "bad")
    settings = Settings(source="bad", model=model)
    with started(qtbot, tmp_path, sources, models, settings) as start:
        start.until_it_answers()
        assert start.playing() == "clip"
        assert len(start.banners) == (1 if model == "good" else 2)
        # And then another one can be chosen.
        start.window.choose.source("other")
        start.until(lambda: start.playing() == "other")


@pytest.mark.parametrize("kind", FAILURES)
def test_a_remembered_model_that_fails_gives_way_to_the_default(
    qtbot: Any, tmp_path: Path, kind: str
) -> None:
    models = failing(FAILURES[kind], spec_named, "bad")
    settings = Settings(source="good", model="bad")
    with started(qtbot, tmp_path, source_named, models, settings) as start:
        start.until_it_answers()
        assert start.window.session is not None
        assert start.window.session.state.spec.id == "default"
        assert len(start.banners) == 1
        start.window.choose.model("other")
        start.until(lambda: start.window.session and start.window.session.state.spec.id == "other")


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("remembered", ["", "bad", EMBEDDED_MODEL])
def test_where_the_default_fails_the_embedded_model_runs(
    qtbot: Any, tmp_path: Path, kind: str, remembered: str
) -> None:
    models = failing(FAILURES[kind], spec_named, "bad", "")
    settings = Settings(source="good", model=remembered)
    with started(qtbot, tmp_path, source_named, models, settings) as start:
        start.until_it_answers()
        assert start.window.session is not None
        assert start.window.session.state.spec.id == EMBEDDED_MODEL
        assert len(start.banners) == {"": 1, "bad": 2, EMBEDDED_MODEL: 0}[remembered]


def test_a_model_that_is_read_but_not_loaded_gives_way_as_well(qtbot: Any, tmp_path: Path) -> None:
    """Where no engine takes the remembered model, nor the default, the embedded one runs."""
    settings = Settings(source="good", model="bad")
    refused = ("bad", "default")
    with started(qtbot, tmp_path, source_named, spec_named, settings, refused) as start:
        start.until_it_answers()
        assert start.window.session is not None
        assert start.window.session.state.spec.id == EMBEDDED_MODEL
        assert len(start.banners) == 2


@pytest.mark.parametrize("remembered", ["", "bad"])
def test_a_model_can_be_chosen_when_not_even_the_embedded_one_is_there(
    qtbot: Any, tmp_path: Path, remembered: str
) -> None:
    models = failing(ModelFileError("it is not there"), spec_named, "bad", "", EMBEDDED_MODEL)
    settings = Settings(source="good", model=remembered)
    with started(qtbot, tmp_path, source_named, models, settings) as start:
        start.until(lambda: len(start.banners) == (3 if remembered else 2))
        notice = start.window.stage.overlays.notice
        assert notice is not None
        assert not notice.busy
        start.window.choose.source("other")
        start.window.choose.model("chosen")
        start.until_it_answers()
        assert start.window.session is not None
        assert start.window.session.state.spec.id == "chosen"
        start.until(lambda: start.playing() == "other")


def settings_text(**values: object) -> str:
    return json.dumps({"source": "good"} | values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "\0\0\0",
        "[]",
        settings_text(theme="none"),
        settings_text(theme=7, crop="none", threshold="high", threads=-1, recent_models=[7]),
        settings_text(window_geometry="AAAA"),
        settings_text(window_geometry="no base 64"),
        settings_text(window_geometry="größer"),
        settings_text(window_geometry="\ud800"),
        settings_text(calibration="\0", precisions={"layers-cpu": "bf16"}),
        settings_text(calibration="x" * 300, adapter="none of these", engine="nobody's"),
    ],
)
def test_settings_that_say_nonsense_are_left_out(qtbot: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text, encoding="utf-8")
    with started(qtbot, tmp_path, source_named, spec_named) as start:
        start.until_it_answers()
