"""What the two measurings share: their sheet, their thread, stopping and copying."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QGuiApplication

from twinlens.app.core.session.loading import Loader
from twinlens.app.overlays import Banner
from twinlens.app.qt.measure.bench_sheet import BenchActions, MeasuringSheet
from twinlens.app.qt.ports import (
    BannerPort,
    SessionPort,
    SettingsPort,
    SheetPort,
    Threads,
    ViewPort,
)
from twinlens.app.qt.threads.measuring import Measuring, Table
from twinlens.app.views.view import AnyView

AGAIN_MS = 50
"""How soon to look again whether another measuring, which was cancelled, has ended."""

SheetT = TypeVar("SheetT", bound=MeasuringSheet)


More = tuple[tuple[str, Callable[[], object]], ...]
"""Further buttons of a sheet: words, and what they do."""


class MeasuringDesk(QObject, Generic[SheetT]):
    """Measures on a thread of its own and shows it on a sheet; one measuring at a time.

    The picture moves on meanwhile; answers rest while something is timed.

    Args:
        live: the session.
        memory: how many threads a person has chosen.
        sheets: the open sheet.
        views: shows it.
        banners: where errors are shown.
        threads: the owner of threads, and what gets an error that nobody expected.
        load: loads a model on an engine.

    Attributes:
        others: returns whether something else is being measured, so that this waits for it.
        more: further buttons of the sheet.
    """

    sheet_type: type[SheetT]
    view: AnyView

    def __init__(
        self,
        live: SessionPort,
        memory: SettingsPort,
        sheets: SheetPort,
        views: ViewPort,
        banners: BannerPort,
        threads: Threads,
        load: Loader,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._live, self._memory, self._sheets = live, memory, sheets
        self._views, self._banners, self._load = views, banners, load
        self.others: Callable[[], bool] = lambda: False
        self.more: More = ()
        self._measuring = Measuring(
            self._take_table, self._ended, threads.workers, threads.unexpected, self
        )

    @property
    def running(self) -> bool:
        """Whether something is being measured."""
        return self._measuring.running

    @property
    def sheet(self) -> SheetT | None:
        """The open sheet."""
        sheet = self._sheets.sheet
        return sheet if isinstance(sheet, self.sheet_type) else None

    def start(self) -> None:
        """Measure, unless something is being measured."""
        raise NotImplementedError

    def cancel(self) -> bool:
        """Stop measuring; what was measured stays. Returns whether there was something to stop."""
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
            self._banners.show_banner(Banner("Copied", "The times are on the clipboard as text."))

    def _close_or_refuse(self, *, ready: bool) -> bool:
        """Close the sheet, or show that there is nothing to measure; True where either was done."""
        if self.sheet is not None:
            self._sheets.close_sheet()
            return True
        if not ready:
            banner = Banner("Nothing to measure yet", "Wait for the first answer.")
            self._banners.show_banner(banner)
        return not ready

    def _wait_for_others(self) -> bool:
        """Start a moment later where something else is measured: both would disturb each other."""
        waits = self.others()
        if waits:
            QTimer.singleShot(AGAIN_MS, self, self._start_if_open)
        return waits

    def _start_if_open(self) -> None:
        if self.sheet is not None:
            self.start()

    def _run(self, make: Callable[[Callable[[], bool]], Iterable[Table]]) -> None:
        session = self._live.session
        if session is not None:
            self._measuring.start(make, session.set_answering)
            self._show()

    def _take_table(self, table: Any) -> None:
        raise NotImplementedError

    def _text(self) -> str:
        """What was measured, as text; empty where nothing was."""
        raise NotImplementedError

    def _ended(self, error: Exception | None) -> None:
        if error is not None:
            self._banners.show_error(error, "What was measured until then is shown.")
        self._show()

    def _show(self) -> None:
        self._live.refresh()
        self._views.refresh(self.view)

    def _open(self) -> None:
        actions = BenchActions(
            self.start, self.cancel, self.copy, self._sheets.close_sheet, self.more
        )
        self._views.open(self.view, self._known, actions, self.cancel)
        if self.sheet is not None:
            self.sheet.focus_first()

    def _known(self) -> object:
        """What is known now, for the view's snapshot."""
        raise NotImplementedError
