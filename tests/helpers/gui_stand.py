"""A window on fake engines and a fake source, off screen."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QImage
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from helpers.fakes import FakeEngine, FakeRunner, FakeSource, fake_loader, make_frame, make_network
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.session import Session
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.overlays import PALETTES
from twinlens.app.qt.environment import prepare
from twinlens.app.qt.window.window import MainWindow
from twinlens.app.sources import open_source
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import ImageError, ModelFileError, SourceError

prepare()

NO_INT8 = "needs a processor with AVX512-VNNI; this one has AVX2"
AGREEMENT = 0.997
ENGINES = [
    EngineChoice("layers-cpu", "Layers CPU", None, ("fp32", "bf16", "auto"), {"int8": NO_INT8}),
    EngineChoice("layers-gpu", "Layers GPU", "compute shaders are not part of this version"),
    EngineChoice("vision", "Vision", None),
]


def answer(shares: tuple[float, ...], engine_id: str) -> FakeEngine:
    def make(spec: Network, options: EngineOptions) -> Runner:
        del spec
        if options.precision != "fp32" and "broken" in str(options.calibration):
            raise ImageError(f"{options.calibration}: no picture to calibrate with")
        agreement = None if options.precision == "fp32" else AGREEMENT
        return FakeRunner(shares, engine_id=engine_id, options=options, agreement=agreement)

    return FakeEngine(id=engine_id, make=make)


def make_source(text: str) -> Any:
    if text == "broken":
        return FakeSource(open_error=SourceError("broken: does not open", hint="Mend it."))
    if text.startswith("fake"):
        frames = [make_frame(n, value=n % 200, size=64) for n in range(4000)]
        return FakeSource(frames, title=text, gated=True)
    return open_source(text)


def resolve(name: str) -> Network:
    if "broken" in name:
        raise ModelFileError(f"{name}: is not a model", hint="Use another one.")
    return make_network(Path(name).stem or "fake")


class Stand:
    """A window with handles on what is behind it."""

    def __init__(self, window: MainWindow, source: FakeSource, qtbot: Any) -> None:
        self.window, self.source, self._bot = window, source, qtbot

    def feed(self, frames: int = 1) -> None:
        """Let frames come, each one painted before the next."""
        for _ in range(frames):
            with self._bot.waitSignal(self.window.stage.painted, timeout=10_000):
                self.source.allow(1)

    def until(self, holds: Callable[[], bool]) -> None:
        self._bot.waitUntil(holds, timeout=10_000)

    def answered(self) -> Any:
        """Feed until there is an answer, and return its label."""
        self.feed(1)
        self.until(lambda: self.window.stage.overlays.label is not None)
        return self.window.stage.overlays.label


@pytest.fixture
def stand(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """A shown window that has answered once."""
    yield from run_stand(qtbot, tmp_path)


def run_stand(
    qtbot: Any,
    tmp_path: Path,
    settings: Settings | None = None,
    load: Loader | None = None,
    serve: Loader | None = None,
    model: Callable[[str], Network] = resolve,
    **more: Any,
) -> Iterator[Stand]:
    """A window that has answered once.

    Args:
        settings: saved before.
        load: loads models for what is measured and proved; None is a fake.
        serve: loads models for the session; None is a fake.
        model: makes a model of a name.
        more: what else the window is given.
    """
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    application.setFont(QFont("DejaVu Sans"))
    loader = fake_loader(answer((0.7, 0.2, 0.1), "layers-cpu"), answer((0.1, 0.8, 0.1), "vision"))
    source = make_source("fake clip")
    first = [source]
    store = SettingsStore(tmp_path / "settings.json")
    if settings is not None:
        store.save(settings)
    window = MainWindow(
        store,
        ENGINES,
        lambda text: first.pop() if first else make_source(text),
        model,
        make_session=partial(Session, loader=serve or loader),
        load=load or loader,
        **more,
    )
    qtbot.addWidget(window)
    window.resize(1280, 720)
    window.show()
    window.start("fake clip", "fake", "layers-cpu")
    made = Stand(window, source, qtbot)
    qtbot.waitUntil(lambda: window.session is not None, timeout=10_000)
    qtbot.waitUntil(lambda: bool(window.session and window.session.state.info), timeout=10_000)
    made.answered()
    try:
        yield made
    finally:
        window.close()


def pixels_of(window: MainWindow) -> np.ndarray:
    """What the stage shows, (height, width, 4) uint8 B, G, R, A."""
    image = window.stage.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = np.frombuffer(image.constBits(), np.uint8)
    return bits.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()].copy()


def painted(view: QWidget) -> np.ndarray:
    """A widget as it is painted on a sheet of the dark theme, (height, width, 3) uint8 B, G, R."""
    picture = QImage(view.size(), QImage.Format.Format_RGB32)
    picture.fill(QColor(PALETTES["dark"].surface))
    view.render(picture)
    bits = np.frombuffer(picture.constBits(), np.uint8)
    return bits.reshape(picture.height(), picture.bytesPerLine() // 4, 4)[:, :, :3].copy()


def asked_sizes(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sizes in pixels of the fonts that a painting module asks for from now on."""
    asked: list[float] = []
    real = module.font

    def spy(pixels: float, **more: Any) -> Any:
        asked.append(pixels)
        return real(pixels, **more)

    monkeypatch.setattr(module, "font", spy)
    return asked


def fits(widget: QLabel | QPushButton) -> bool:
    """Whether all words of a widget are to be seen."""
    metrics = widget.fontMetrics()
    if isinstance(widget, QPushButton):
        return metrics.horizontalAdvance(widget.text()) <= widget.width()
    flags = int(Qt.TextFlag.TextWordWrap) if widget.wordWrap() else 0
    room = QRect(0, 0, widget.contentsRect().width(), 10_000)
    needed = metrics.boundingRect(room, flags, widget.text())
    return bool(needed.width() <= room.width() + 1 and needed.height() <= widget.height() + 1)
