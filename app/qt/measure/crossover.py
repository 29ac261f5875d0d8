"""The window's ladder of networks: from which size on a GPU pays, measured and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from twinlens.app.core.measure.bench import default_threads
from twinlens.app.core.measure.crossover import ENGINES, Climb
from twinlens.app.core.measure.ladder import Ladder
from twinlens.app.core.session.loading import Loader
from twinlens.app.qt.measure.bench_sheet import BenchActions
from twinlens.app.qt.measure.crossover_sheet import CrossoverSheet
from twinlens.app.qt.measure.measuring_desk import MeasuringDesk
from twinlens.app.views.crossover import crossover_chart, crossover_text

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow
    from twinlens.models.networks.ladder import Rung


class Crossover(MeasuringDesk[CrossoverSheet]):
    """Measures engines on networks of rising size, whichever model answers; it is kept.

    Args:
        window: the window.
        load: loads a network on an engine.

    Attributes:
        rungs: gives the networks; called on the measuring thread.
        climb: what was measured; None before the first time.
    """

    sheet_type = CrossoverSheet

    def __init__(self, window: MainWindow, load: Loader) -> None:
        super().__init__(window, load)
        self.rungs: Callable[[], Sequence[Rung]] = _rungs
        self.climb: Climb | None = None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        window = self._window
        if self._close_or_refuse(ready=window.session is not None):
            return
        more = (("Bench …", window.bench.toggle),)
        actions = BenchActions(self.start, self.cancel, self.copy, window.close_sheet, more)
        window.popups.open_panel(
            lambda palette, unit, stage: CrossoverSheet(actions, palette, unit, stage),
            self.cancel,
        )
        self._show()
        if self.climb is None:
            self.start()
        if self.sheet is not None:
            self.sheet.focus_first()

    def start(self) -> None:
        """Measure, unless something is being measured."""
        window = self._window
        if self.running or window.session is None:
            return
        if not self._wait_for(others=window.bench.running or window.auto.measuring):
            self._run(self._ladder())

    def _ladder(self) -> Callable[[Callable[[], bool]], Iterator[Climb]]:
        window = self._window
        engines = [engine for engine in window.choose.engines if engine.id in ENGINES]
        threads = window.settings.threads or max(default_threads())
        adapter = window.settings.adapter or None

        def climb(stop: Callable[[], bool]) -> Iterator[Climb]:
            # On the measuring thread: assembling the networks takes longer than a frame.
            rungs = self.rungs()
            yield from Ladder(rungs, engines, self._load, threads, adapter, stop=stop)

        return climb

    def _told(self, climb: Climb) -> None:
        self.climb = climb
        self._show()

    def _text(self) -> str:
        return crossover_text(self.climb) if self.climb is not None else ""

    def _show_on(self, sheet: CrossoverSheet, *, running: bool, stopping: bool) -> None:
        climb = self.climb or Climb(())
        chart = crossover_chart(climb, running=running)
        sheet.show_chart(chart, crossover_text(climb), running=running, stopping=stopping)


def _rungs() -> Sequence[Rung]:
    # Late: the networks are needed by nothing that the window starts with.
    from twinlens.models.networks.ladder import ladder

    return ladder()
