"""The window's comparison of engines: opens its sheet, measures, remembers, copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication

from twinlens.app.core.bench import BenchTable, Case, Comparison, Skipped, default_threads, plan
from twinlens.app.core.events import EngineReady
from twinlens.app.core.loading import Loader
from twinlens.app.core.types import Result
from twinlens.app.overlays import Banner
from twinlens.app.overlays.bench import bench_chart, bench_text
from twinlens.app.qt.bench_sheet import BenchActions, BenchSheet
from twinlens.app.qt.measuring import AGAIN_MS, Measuring
from twinlens.engine.errors import TwinlensError
from twinlens.engine.image import Converter

if TYPE_CHECKING:
    from twinlens.app.qt.window import MainWindow


class Bench:
    """Measures every engine, precision and number of threads on the model that answers.

    The picture moves on meanwhile; answers rest while something is timed. What was measured is
    kept until another model, or other calibration pictures, answer.

    Args:
        window: the window.
        load: loads a model on an engine.
    """

    def __init__(self, window: MainWindow, load: Loader) -> None:
        self._window, self._load = window, load
        self._measuring = Measuring(self._told, self._ended, window)
        self._of: EngineReady | None = None
        self.table: BenchTable | None = None

    @property
    def running(self) -> bool:
        """Whether something is being measured."""
        return self._measuring.running

    @property
    def sheet(self) -> BenchSheet | None:
        """The open sheet."""
        sheet = self._window.popups.sheet
        return sheet if isinstance(sheet, BenchSheet) else None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        window = self._window
        if isinstance(window.popups.sheet, BenchSheet):
            window.close_sheet()
            return
        result, serving = window.last_result, window.choose.serving
        if result is None or serving is None:
            window.show_banner(Banner("Nothing to measure yet", "Wait for the first answer."))
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
        result, session = window.last_result, window.session
        if self.running or session is None or result is None or serving is None:
            return
        if window.crossover.running or window.auto.measuring:  # Both would disturb each other.
            QTimer.singleShot(AGAIN_MS, window, self._start_if_open)
            return
        try:
            make = self._comparison(serving, result)
        except TwinlensError as error:
            window.tell(error)
            return
        self._of = serving
        self.table = BenchTable(serving.spec.title)
        self._measuring.start(make, session.set_answering)
        self._show()

    def _start_if_open(self) -> None:
        if self.sheet is not None:
            self.start()

    def _comparison(
        self, serving: EngineReady, result: Result
    ) -> Callable[[Callable[[], bool]], Comparison]:
        # A converter of its own: what it gives is not overwritten by the next frame.
        tensor = Converter(serving.spec.recipe).convert(result.frame.buffer)
        cases, skipped = self._plan()

        def make(stop: Callable[[], bool]) -> Comparison:
            return Comparison(
                serving.spec,
                cases,
                tensor,
                self._load,
                serving.options.calibration,
                skipped,
                stop=stop,
            )

        return make

    def _plan(self) -> tuple[tuple[Case, ...], tuple[Skipped, ...]]:
        chosen = self._window.settings.threads
        threads = sorted({*default_threads(), *([chosen] if chosen else [])})
        return plan(self._window.choose.engines, None, threads)

    def cancel(self) -> bool:
        """Stop measuring; what was measured stays. Says whether there was something to stop."""
        if not self._measuring.running or self._measuring.cancelled:
            return False
        self._measuring.cancel()
        self._show()
        return True

    def engine_ready(self, event: EngineReady) -> None:
        """Forget what was measured on another model, or compared on other pictures."""
        of = self._of
        if of is None or (of.spec, of.options.calibration) == (
            event.spec,
            event.options.calibration,
        ):
            return
        self.cancel()
        self._of = self.table = None
        if self.sheet is not None:
            self._window.close_sheet()

    def copy(self) -> None:
        """Put the times on the clipboard as text."""
        if self.table is not None:
            QGuiApplication.clipboard().setText(bench_text(self.table))
            self._window.show_banner(Banner("Copied", "The times are on the clipboard as text."))

    def stop(self) -> None:
        """End everything, for the window's end."""
        self._measuring.stop()

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

    def _ended(self, error: Exception | None) -> None:
        if error is not None:
            self._window.tell(error, "What was measured until then is shown.")
        self._show()

    def _show(self) -> None:
        self._window.refresh()
        sheet, table = self.sheet, self.table
        if sheet is not None and table is not None:
            running = self._measuring.running
            sheet.show_chart(
                bench_chart(table, running=running),
                bench_text(table),
                running=running,
                stopping=self._measuring.cancelled,
            )
            self._window.popups.place_sheet()
