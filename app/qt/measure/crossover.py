"""The ladder of networks: from which size on a GPU pays, measured and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from twinlens.app.core.measure.bench import default_threads
from twinlens.app.core.measure.crossover import ENGINES, Climb
from twinlens.app.core.measure.ladder import Ladder
from twinlens.app.core.session.loading import Loader
from twinlens.app.qt.measure.crossover_sheet import CrossoverSheet
from twinlens.app.qt.measure.measuring_desk import MeasuringDesk
from twinlens.app.qt.ports import (
    BannerPort,
    EnginePort,
    SessionPort,
    SettingsPort,
    SheetPort,
    Threads,
    ViewPort,
)
from twinlens.app.views.crossover import CROSSOVER, CrossoverState, crossover_text

if TYPE_CHECKING:
    from twinlens.models.networks.ladder import Rung


class Crossover(MeasuringDesk[CrossoverSheet]):
    """Measures engines on networks of rising size, whichever model answers; it is kept.

    Args:
        live: the session.
        engines: what is measured.
        memory: how many threads and which adapter a person has chosen.
        sheets: the open sheet.
        views: shows it.
        banners: where errors are shown.
        threads: the owner of threads, and what gets an error that nobody expected.
        load: loads a network on an engine.

    Attributes:
        rungs: gives the networks; called on the measuring thread.
        climb: what was measured; None before the first time.
    """

    sheet_type, view = CrossoverSheet, CROSSOVER

    def __init__(
        self,
        live: SessionPort,
        engines: EnginePort,
        memory: SettingsPort,
        sheets: SheetPort,
        views: ViewPort,
        banners: BannerPort,
        threads: Threads,
        load: Loader,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(live, memory, sheets, views, banners, threads, load, parent)
        self._engines = engines
        self.rungs: Callable[[], Sequence[Rung]] = _rungs
        self.climb: Climb | None = None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        if self._close_or_refuse(ready=self._live.session is not None):
            return
        self._open()
        if self.climb is None:
            self.start()

    def start(self) -> None:
        """Measure, unless something is being measured."""
        if self.running or self._live.session is None:
            return
        if not self._wait_for_others():
            self._run(self._ladder())

    def _ladder(self) -> Callable[[Callable[[], bool]], Iterator[Climb]]:
        engines = [engine for engine in self._engines.engines if engine.id in ENGINES]
        threads = self._memory.settings.threads or max(default_threads())
        adapter = self._memory.settings.adapter or None

        def climb(stop: Callable[[], bool]) -> Iterator[Climb]:
            # On the measuring thread: assembling the networks takes longer than a frame.
            rungs = self.rungs()
            yield from Ladder(rungs, engines, self._load, threads, adapter, stop=stop)

        return climb

    def _take_table(self, climb: Climb) -> None:
        self.climb = climb
        self._show()

    def _text(self) -> str:
        return crossover_text(self.climb) if self.climb is not None else ""

    def _known(self) -> CrossoverState:
        return CrossoverState(self.climb or Climb(()), self.running, self._measuring.cancelled)


def _rungs() -> Sequence[Rung]:
    # Late: the networks are needed by nothing that the window starts with.
    from twinlens.models.networks.ladder import ladder

    return ladder()
