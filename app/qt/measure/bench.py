"""The comparison of engines: opens its sheet, measures, remembers, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import QObject

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
from twinlens.app.qt.measure.bench_sheet import BenchSheet
from twinlens.app.qt.measure.measuring_desk import MeasuringDesk
from twinlens.app.qt.ports import (
    BannerPort,
    PrecisionPort,
    SessionPort,
    SettingsPort,
    SheetPort,
    Threads,
    ViewPort,
)
from twinlens.app.views.bench import BENCH, BenchState, bench_text
from twinlens.engine.image import Converter


class Bench(MeasuringDesk[BenchSheet]):
    """Measures every engine, precision and number of threads on the model that answers.

    What was measured is kept until another model, or other calibration pictures, answer.

    Args:
        live: the session.
        engines: what is measured, and what answers.
        memory: how many threads a person has chosen.
        sheets: the open sheet.
        views: shows it.
        banners: where errors are shown.
        threads: the owner of threads, and what gets an error that nobody expected.
        load: loads a model on an engine.
    """

    sheet_type, view = BenchSheet, BENCH

    def __init__(
        self,
        live: SessionPort,
        engines: PrecisionPort,
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
        self._of: EngineReady | None = None
        self.table: BenchTable | None = None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        result, serving = self._live.last_result, self._engines.serving
        ready = result is not None and serving is not None
        if self._close_or_refuse(ready=ready) or serving is None:
            return
        self._open()
        if self.table is None:
            self.start()

    def start(self) -> None:
        """Measure, unless something is being measured."""
        serving, result = self._engines.serving, self._live.last_result
        if self.running or self._live.session is None or result is None or serving is None:
            return
        if self._wait_for_others():
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
        chosen = self._memory.settings.threads
        threads = sorted({*default_threads(), *([chosen] if chosen else [])})
        return plan(self._engines.engines, None, threads)

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
            self._sheets.close_sheet()

    def _take_table(self, table: BenchTable) -> None:
        if self._of is None:  # forgotten while it was on its way
            return
        self.table = table
        for row in table.rows:
            if row.agreement is not None:
                self._engines.remember_agreement(self._of, row.engine, row.precision, row.agreement)
        self._show()

    def _text(self) -> str:
        return bench_text(self.table) if self.table is not None else ""

    def _known(self) -> BenchState:
        return BenchState(self.table, self.running, self._measuring.cancelled)
