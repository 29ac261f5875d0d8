"""The window's comparison of engines: opens its sheet, measures, remembers, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from twinlens.app.core.measure.bench import (
    BenchTable,
    Case,
    Comparison,
    Skipped,
    default_threads,
    plan,
)
from twinlens.app.core.session.events import EngineReady
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.types import Result
from twinlens.app.qt.measure.bench_sheet import BenchActions, BenchSheet
from twinlens.app.qt.measure.measuring_desk import MeasuringDesk
from twinlens.app.views.bench import bench_chart, bench_text
from twinlens.engine.image import Converter

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow


class Bench(MeasuringDesk[BenchSheet]):
    """Measures every engine, precision and number of threads on the model that answers.

    What was measured is kept until another model, or other calibration pictures, answer.

    Args:
        window: the window.
        load: loads a model on an engine.
    """

    sheet_type = BenchSheet

    def __init__(self, window: MainWindow, load: Loader) -> None:
        super().__init__(window, load)
        self._of: EngineReady | None = None
        self.table: BenchTable | None = None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        window = self._window
        result, serving = window.last_result, window.choose.serving
        ready = result is not None and serving is not None
        if self._close_or_refuse(ready=ready) or serving is None:
            return
        more = (("Crossover …", window.crossover.toggle),)
        actions = BenchActions(self.start, self.cancel, self.copy, window.close_sheet, more)
        window.popups.open_panel(
            lambda palette, unit, stage: BenchSheet(
                serving.spec.title, actions, palette, unit, stage
            ),
            self.cancel,
        )
        if self.table is None:
            self.start()
        self._show()
        if self.sheet is not None:
            self.sheet.focus_first()

    def start(self) -> None:
        """Measure, unless something is being measured."""
        window, serving = self._window, self._window.choose.serving
        result = window.last_result
        if self.running or window.session is None or result is None or serving is None:
            return
        if self._wait_for(others=window.crossover.running or window.auto.measuring):
            return
        self._of = serving
        self.table = BenchTable(serving.spec.title)
        self._run(self._comparison(serving, result))

    def _comparison(
        self, serving: EngineReady, result: Result
    ) -> Callable[[Callable[[], bool]], Iterator[BenchTable]]:
        cases, skipped = self._plan()

        def compare(stop: Callable[[], bool]) -> Iterator[BenchTable]:
            # On the measuring thread; by a converter of its own, so that the next frame does not
            # overwrite what it gives.
            tensor = Converter(serving.spec.recipe).convert(result.frame.buffer)
            yield from Comparison(
                serving.network,
                cases,
                tensor,
                self._load,
                serving.options.calibration,
                skipped,
                stop=stop,
            )

        return compare

    def _plan(self) -> tuple[tuple[Case, ...], tuple[Skipped, ...]]:
        chosen = self._window.settings.threads
        threads = sorted({*default_threads(), *([chosen] if chosen else [])})
        return plan(self._window.choose.engines, None, threads)

    def engine_ready(self, event: EngineReady) -> None:
        """Forget what was measured on another model, or compared on other pictures."""
        of = self._of
        if of is None or (of.network, of.options.calibration) == (
            event.network,
            event.options.calibration,
        ):
            return
        self.cancel()
        self._of = self.table = None
        if self.sheet is not None:
            self._window.close_sheet()

    def _told(self, table: BenchTable) -> None:
        if self._of is None:  # forgotten while it was on its way
            return
        self.table = table
        for row in table.rows:
            if row.agreement is not None:
                self._window.choose.remember_agreement(
                    self._of, row.engine, row.precision, row.agreement
                )
        self._show()

    def _text(self) -> str:
        return bench_text(self.table) if self.table is not None else ""

    def _show_on(self, sheet: BenchSheet, *, running: bool, stopping: bool) -> None:
        if self.table is not None:
            chart = bench_chart(self.table, running=running)
            sheet.show_chart(chart, bench_text(self.table), running=running, stopping=stopping)
