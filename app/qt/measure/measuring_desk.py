"""What the window's two measurings share: their sheet, their thread, stopping and copying."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication

from twinlens.app.core.session.loading import Loader
from twinlens.app.overlays import Banner
from twinlens.app.qt.measure.bench_sheet import MeasuringSheet
from twinlens.app.qt.threads.measuring import Measuring, Table

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow

AGAIN_MS = 50
"""How soon to look again whether another measuring, which was cancelled, has ended."""

SheetT = TypeVar("SheetT", bound=MeasuringSheet)


class MeasuringDesk(Generic[SheetT]):
    """Measures on a thread of its own and shows it on a sheet; one measuring at a time.

    The picture moves on meanwhile; answers rest while something is timed.

    Args:
        window: the window.
        load: loads a model on an engine.
    """

    sheet_type: type[SheetT]

    def __init__(self, window: MainWindow, load: Loader) -> None:
        self._window, self._load = window, load
        self._measuring = Measuring(
            self._told, self._ended, window.workers, window.surprises.report, window
        )

    @property
    def running(self) -> bool:
        """Whether something is being measured."""
        return self._measuring.running

    @property
    def sheet(self) -> SheetT | None:
        """The open sheet."""
        sheet = self._window.popups.sheet
        return sheet if isinstance(sheet, self.sheet_type) else None

    def start(self) -> None:
        """Measure, unless something is being measured."""
        raise NotImplementedError

    def cancel(self) -> bool:
        """Stop measuring; what was measured stays. Says whether there was something to stop."""
        if not self._measuring.running or self._measuring.cancelled:
            return False
        self._measuring.cancel()
        self._show()
        return True

    def stop(self) -> None:
        """Ask everything to end, for the window's end; returns at once."""
        self._measuring.stop()

    def copy(self) -> None:
        """Put the times on the clipboard as text."""
        text = self._text()
        if text:
            QGuiApplication.clipboard().setText(text)
            self._window.show_banner(Banner("Copied", "The times are on the clipboard as text."))

    def _close_or_refuse(self, *, ready: bool) -> bool:
        """Close the sheet, or say that there is nothing to measure; True where either was done."""
        if self.sheet is not None:
            self._window.close_sheet()
            return True
        if not ready:
            banner = Banner("Nothing to measure yet", "Wait for the first answer.")
            self._window.show_banner(banner)
        return not ready

    def _wait_for(self, *, others: bool) -> bool:
        """Start a moment later where something else is measured: both would disturb each other."""
        if others:
            QTimer.singleShot(AGAIN_MS, self._window, self._start_if_open)
        return others

    def _start_if_open(self) -> None:
        if self.sheet is not None:
            self.start()

    def _run(self, make: Callable[[Callable[[], bool]], Iterable[Table]]) -> None:
        session = self._window.session
        if session is not None:
            self._measuring.start(make, session.set_answering)
            self._show()

    def _told(self, table: Any) -> None:
        raise NotImplementedError

    def _text(self) -> str:
        """What was measured, as text; empty where nothing was."""
        raise NotImplementedError

    def _ended(self, error: Exception | None) -> None:
        if error is not None:
            self._window.tell(error, "What was measured until then is shown.")
        self._show()

    def _show(self) -> None:
        self._window.refresh()
        if self.sheet is not None:
            self._show_on(self.sheet, running=self.running, stopping=self._measuring.cancelled)
            self._window.popups.place_sheet()

    def _show_on(self, sheet: SheetT, *, running: bool, stopping: bool) -> None:
        raise NotImplementedError
