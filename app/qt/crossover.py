"""The window's ladder of networks: from which size on a GPU pays, measured and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication

from twinlens.app.core.bench import default_threads
from twinlens.app.core.crossover import ENGINES, Climb
from twinlens.app.core.ladder import Ladder
from twinlens.app.core.loading import Loader
from twinlens.app.overlays import Banner
from twinlens.app.overlays.crossover import crossover_chart, crossover_text
from twinlens.app.qt.bench_sheet import BenchActions
from twinlens.app.qt.crossover_sheet import CrossoverSheet
from twinlens.app.qt.measuring import AGAIN_MS, Measuring

if TYPE_CHECKING:
    from twinlens.app.qt.window import MainWindow
    from twinlens.models.ladder import Rung


class Crossover:
    """Measures engines on networks of rising size, whichever model answers.

    The picture moves on meanwhile; answers rest. What was measured is kept.

    Args:
        window: the window.
        load: loads a network on an engine.

    Attributes:
        rungs: gives the networks; called on the measuring thread.
        climb: what was measured; None before the first time.
    """

    def __init__(self, window: MainWindow, load: Loader) -> None:
        self._window, self._load = window, load
        self._measuring = Measuring(self._told, self._ended, window)
        self.rungs: Callable[[], Sequence[Rung]] = _rungs
        self.climb: Climb | None = None

    @property
    def running(self) -> bool:
        """Whether something is being measured."""
        return self._measuring.running

    @property
    def sheet(self) -> CrossoverSheet | None:
        """The open sheet."""
        sheet = self._window.popups.sheet
        return sheet if isinstance(sheet, CrossoverSheet) else None

    def toggle(self) -> None:
        """Open the sheet, and measure where nothing was measured yet; or close it."""
        window = self._window
        if isinstance(window.popups.sheet, CrossoverSheet):
            window.close_sheet()
            return
        if window.session is None:
            window.show_banner(Banner("Nothing to measure yet", "Wait for the first answer."))
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
        session = self._window.session
        if self.running or session is None:
            return
        window = self._window
        if window.bench.running or window.auto.measuring:  # Both would disturb each other.
            QTimer.singleShot(AGAIN_MS, window, self._start_if_open)
            return
        self._measuring.start(self._ladder(), session.set_answering)
        self._show()

    def _start_if_open(self) -> None:
        if self.sheet is not None:
            self.start()

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

    def cancel(self) -> bool:
        """Stop measuring; what was measured stays. Says whether there was something to stop."""
        if not self._measuring.running or self._measuring.cancelled:
            return False
        self._measuring.cancel()
        self._show()
        return True

    def copy(self) -> None:
        """Put the times on the clipboard as text."""
        if self.climb is not None:
            QGuiApplication.clipboard().setText(crossover_text(self.climb))
            self._window.show_banner(Banner("Copied", "The times are on the clipboard as text."))

    def stop(self) -> None:
        """End everything, for the window's end."""
        self._measuring.stop()

    def _told(self, climb: Climb) -> None:
        self.climb = climb
        self._show()

    def _ended(self, error: Exception | None) -> None:
        if error is not None:
            self._window.tell(error, "What was measured until then is shown.")
        self._show()

    def _show(self) -> None:
        self._window.refresh()
        sheet, climb = self.sheet, self.climb
        if sheet is None:
            return
        running = self.running
        climb = climb or Climb(())
        sheet.show_chart(
            crossover_chart(climb, running=running),
            crossover_text(climb),
            running=running,
            stopping=self._measuring.cancelled,
        )
        self._window.popups.place_sheet()


def _rungs() -> Sequence[Rung]:
    # Late: the networks are needed by nothing that the window starts with.
    from twinlens.models.ladder import ladder

    return ladder()
