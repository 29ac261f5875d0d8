"""How long a window stands still between two pictures, by its stage's own signal.

Uses public names of the window only, so that it measures older versions as well.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication, QPushButton

from helpers.tiny_nets import tiny_classifier
from twinlens import models
from twinlens.app.core.hosts.hosts import window_hosts
from twinlens.app.core.settings import SettingsStore
from twinlens.app.qt.main import make_application, make_window

LABELS = (1_000, 21_841)
"""ImageNet-1k and ImageNet-21k."""

WIZARD = ("wizard, proof", "wizard, live row")
SHEETS = (
    "none",
    "source",
    "engine",
    "model",
    "views",
    "settings",
    "cheat sheet",
    "models page",
    "bench",
    "crossover",
    *WIZARD,
    "drawing pad",
)
_BEAT_MS = 2
_PEN_MS = 16
_FIRST_S = 60.0


@dataclass(frozen=True)
class Gaps:
    """What was measured between two paints of new frames.

    Attributes:
        sheet: what was open.
        labels: number of classes of the model, or of the one that is set up.
        per_s: painted frames a second.
        largest_ms: largest time between two of them.
        p95_ms: 95th percentile of these times.
        quiet_ms: largest time between two of them, less what that thread of the process waited for
            a processor meanwhile that waited most: about what would be left if nothing else ran
            on the machine. As ``largest_ms`` where the system does not tell.
        busy_ms: most processor time that the window's own thread used between two of them.
        turn_ms: longest time in which the window's event loop did not come round.
    """

    sheet: str
    labels: int
    per_s: float
    largest_ms: float
    p95_ms: float
    quiet_ms: float
    busy_ms: float
    turn_ms: float


@dataclass(frozen=True)
class _Paint:
    """A moment: wall clock, the window's thread's processor time, each thread's waiting, in s."""

    wall_s: float
    busy_s: float
    waited_s: dict[str, float]

    @classmethod
    def now(cls) -> _Paint:
        return cls(time.perf_counter(), time.thread_time(), _waited_s())


def _waited_s() -> dict[str, float]:
    """Seconds that threads of this process could run and had no processor; Linux tells it."""
    waited: dict[str, float] = {}
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # the thread has ended
            waited[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return waited


def _quiet_s(one: _Paint, other: _Paint) -> float:
    waits = (after - one.waited_s.get(thread, 0.0) for thread, after in other.waited_s.items())
    return other.wall_s - one.wall_s - max(waits, default=0.0)


class GapMeter:
    """Takes times at each paint of a new frame, and at each turn of the event loop."""

    def __init__(self, window: Any) -> None:
        self._window = window
        self._paints: list[_Paint] = []
        self._turn_s = self._beat_s = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_BEAT_MS)
        self._timer.timeout.connect(self._beat)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        self._paints, self._turn_s = [], 0.0
        self._beat_s = time.perf_counter()
        self._painted()
        self._window.stage.painted.connect(self._painted)
        self._timer.start()
        try:
            yield
        finally:
            self._beat()
            self._timer.stop()
            self._window.stage.painted.disconnect(self._painted)

    def _painted(self) -> None:
        self._paints.append(_Paint.now())

    def _beat(self) -> None:
        now_s = time.perf_counter()
        self._turn_s = max(self._turn_s, now_s - self._beat_s - _BEAT_MS / 1e3)
        self._beat_s = now_s

    def gaps(self, sheet: str, labels: int) -> Gaps:
        """What was measured; the time from the last paint on counts as well."""
        paints = [*self._paints, _Paint.now()]
        pairs = list(itertools.pairwise(paints))
        between = sorted((b.wall_s - a.wall_s) * 1e3 for a, b in pairs)
        lasted_s = paints[-1].wall_s - paints[0].wall_s
        return Gaps(
            sheet,
            labels,
            (len(paints) - 2) / lasted_s,
            between[-1],
            between[int(0.95 * (len(between) - 1))],
            max(_quiet_s(a, b) * 1e3 for a, b in pairs),
            max((b.busy_s - a.busy_s) * 1e3 for a, b in pairs),
            self._turn_s * 1e3,
        )


def labels_of(count: int) -> list[str]:
    """ImageNet's names, then others of the same look."""
    text = Path(models.__path__[0], "labels", "imagenet1000.txt").read_text(encoding="utf-8")
    known = text.splitlines()[:count]
    return known + [f"thing {n}, Res nova-{n}" for n in range(count - len(known))]


def labelled_model(folder: Path, labels: int, *, asks: bool) -> Path:
    """A small model of so many classes.

    Args:
        folder: where it is made.
        labels: number of classes.
        asks: nothing tells how it wants its values, so that the wizard asks.
    """
    metadata = {"labels": json.dumps(labels_of(labels))}
    if not asks:
        metadata["twinlens.recipe"] = json.dumps({"scale": 1 / 255})
    name = f"{'asks' if asks else 'serves'}-{labels}.onnx"
    return tiny_classifier(folder / name, labels, shape=(1, 3, 64, 64), metadata=metadata)


class MeasuredWindow:
    """The real window on the bundled clip.

    Args:
        folder: for settings and models.
        labels: number of classes of the model that answers, and of the one that is set up.
        hosts: engines and sources run in processes of their own.
    """

    def __init__(self, folder: Path, labels: int, *, hosts: bool = False) -> None:
        # In a test there is one already, for which some settings come too late.
        self.application = QApplication.instance() or make_application()
        self._labels = labels
        self._asks = labelled_model(folder, labels, asks=True)
        self._hosts = window_hosts() if hosts else None
        self.window = make_window(SettingsStore(folder / "settings.json"), hosts=self._hosts)
        self.window.resize(1280, 720)
        self.window.show()
        self._serves = labelled_model(folder, labels, asks=False)
        self.window.start("clip", str(self._serves), "layers-cpu")
        self.until(lambda: self.window.stage.overlays.label is not None)
        self.meter = GapMeter(self.window)
        self._drawn = 0
        self._pen = QTimer()
        self._pen.setInterval(_PEN_MS)
        self._pen.timeout.connect(self._draw)

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the window go on until something is so."""
        deadline_s = time.monotonic() + _FIRST_S
        while not holds():
            if time.monotonic() > deadline_s:
                raise TimeoutError
            self.run_for(0.02)

    def run_for(self, seconds: float) -> None:
        """Let the window go on."""
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1e3), loop.quit)
        loop.exec()

    def measure(self, sheet: str, seconds: float) -> Gaps:
        """Open a sheet, and measure from before that on."""
        self.run_for(0.3)
        with self.meter.measuring():
            self._open(sheet)
            if sheet == "drawing pad":
                self._pen.start()
            if sheet == "wizard, live row":
                # The proof is over and what is live is shown; what comes then counts.
                self.until(lambda: self._wizard() is not None)
                self.until(lambda: self.window.intake.desk.trial.done)
            else:
                self.run_for(seconds)
                gaps = self.meter.gaps(sheet, self._labels)
        if sheet == "wizard, live row":
            self._button("Live").click()
            with self.meter.measuring():
                self.run_for(seconds)
                gaps = self.meter.gaps(sheet, self._labels)
        self._close(sheet)
        return gaps

    def measure_load(self, model: Path, engine: str) -> Gaps:
        """Change to a model on an engine, and measure until it has answered, and a while longer."""
        self.window.choose.model(str(self._serves))
        self.until(lambda: self._serving() == self._serves)
        self.window.choose.engine(engine)
        self.until(lambda: self.window.session.state.info.engine_id == engine)
        self.run_for(1.5)
        with self.meter.measuring():
            self.window.choose.model(str(model))
            self.until(lambda: self._serving() == model)
            self.run_for(1.5)
            return self.meter.gaps(f"{model.stem}, {engine}", self._labels)

    def _serving(self) -> Path | None:
        serving = self.window.choose.serving
        return serving.network.path if serving is not None else None

    def _wizard(self) -> Any:
        return self.window.intake.desk.sheet

    def _button(self, name: str) -> QPushButton:
        buttons = self.window.sheet.findChildren(QPushButton)
        return next(button for button in buttons if button.accessibleName() == name)

    def _draw(self) -> None:
        """A stroke that goes on: a board at rest is shown ten times a second only."""
        board = self.window.pad.board
        if board is not None:
            self._drawn += 1
            share = self._drawn % 100 / 100
            place = share * board.width, (0.3 + 0.4 * share) * board.height
            board.press(*place) if self._drawn % 100 == 1 else board.move(*place)

    def _open(self, sheet: str) -> None:
        window = self.window
        acts: dict[str, Callable[[], object]] = {
            "none": lambda: None,
            "source": window.menus.source,
            "engine": window.menus.engine,
            "model": window.menus.model,
            "views": window.menus.views,
            "settings": window.menus.settings,
            "cheat sheet": window.popups.toggle_cheat_sheet,
            "models page": window.shelf.toggle,
            "bench": window.bench.toggle,
            "crossover": window.crossover.toggle,
            "drawing pad": window.pad.toggle,
        }
        acts.get(sheet, lambda: window.intake.open(self._asks))()

    def _close(self, sheet: str) -> None:
        if sheet == "drawing pad":
            self._pen.stop()
            self.window.pad.toggle()
            self.until(lambda: not self.window.pad.active)
        self.window.desks.stop_measuring()
        self.until(lambda: not (self.window.bench.running or self.window.crossover.running))
        self.window.close_sheet()

    def close(self) -> None:
        """End it."""
        if self._hosts is not None:
            self._hosts.request_stop()
        self.window.close()
        if self._hosts is not None:
            self._hosts.stop()
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
