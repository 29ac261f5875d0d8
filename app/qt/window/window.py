"""The window: a stage, controls over it, and a session that runs on its own threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QGuiApplication,
    QMouseEvent,
)
from PySide6.QtWidgets import QMainWindow

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader, load_from_registry
from twinlens.app.core.session.session import (
    EngineReady,
    Event,
    LoadFailed,
    News,
    Session,
    SourceEnded,
    SourceFailed,
    SourceOpened,
)
from twinlens.app.core.session.source import Source
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.core.shelf.pulls import Pulls
from twinlens.app.core.workers import Workers
from twinlens.app.overlays import (
    Banner,
    BannerKind,
    Notice,
    Overlays,
    build_overlays,
)
from twinlens.app.qt.measure.auto import Auto
from twinlens.app.qt.measure.bench import Bench
from twinlens.app.qt.measure.crossover import Crossover
from twinlens.app.qt.setup.intake import Intake
from twinlens.app.qt.sheets.menus import Menus
from twinlens.app.qt.sheets.model_shelf import ModelShelf
from twinlens.app.qt.sheets.popups import Popups
from twinlens.app.qt.sheets.sheets import Panel
from twinlens.app.qt.stage.controls import CONTROL_UNITS, Controls
from twinlens.app.qt.stage.pad import Pad
from twinlens.app.qt.stage.progress import ProgressLine
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.qt.stage.theme import palette_of
from twinlens.app.qt.threads.bridge import Background, NewsBridge
from twinlens.app.qt.threads.memory import Memory
from twinlens.app.qt.threads.snapshots import window_snapshots
from twinlens.app.qt.threads.surprises import Surprises
from twinlens.app.qt.window.bindings import bindings
from twinlens.app.qt.window.choose import Choose
from twinlens.app.qt.window.keys import Keys
from twinlens.app.qt.window.look import Look
from twinlens.app.qt.window.screenshot import save_screenshot
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import TwinlensError
from twinlens.models.catalog.store import Store

_log = logging.getLogger(__name__)
_STATS_MS = 250
_STOP_WITHIN_S = 0.7


class MainWindow(QMainWindow):
    """The Twinlens window.

    Args:
        store: remembered settings.
        engines: all engines, usable or not, in the order of the switch.
        make_source: makes a source of its text form.
        resolve: makes a model of a catalog name or path; called on another thread.
        make_session: makes a session; None is the real one.
        load: loads a model on an engine, for the comparison of engines.
    """

    leaving = Signal()
    """The window is about to leave the screen; all that runs ends then."""

    def __init__(
        self,
        store: SettingsStore,
        engines: Sequence[EngineChoice],
        make_source: Callable[[str], Source],
        resolve: Callable[[str], Network],
        *,
        make_session: Callable[..., Session] = Session,
        load: Loader = load_from_registry,
    ) -> None:
        super().__init__()
        self.workers = Workers()
        self.surprises = Surprises(self.tell)
        self._background = Background(self.workers, self.surprises.report, self)
        self.snapshots = window_snapshots(self, self.workers, self.surprises.report)
        self._memory = Memory(store, self._background, self._unsaved, self)
        self.pad = Pad(self)

        def watched(text: str) -> Source:
            return self.pad.made(make_source(text))

        self._make_source = watched
        self._resolve, self._make_session = resolve, make_session
        self.choose = Choose(
            self, engines, self._make_source, resolve, self._background, self._begin
        )
        self.look = Look(self)
        self.session: Session | None = None
        self._stopped = False
        self._last: Result | None = None
        _, palette = palette_of(self.settings.theme)
        self._palette = palette
        QGuiApplication.styleHints().colorSchemeChanged.connect(self.apply_theme)

        self.setWindowTitle("Twinlens")
        self.setMouseTracking(True)
        self.stage = Stage(palette, self)
        self.stage.setMouseTracking(True)
        # Keys belong to the stage until somebody tabs on, so that Space pauses.
        self.stage.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.stage.setFocus()
        self.stage.mirror = self.settings.mirror
        self.setCentralWidget(self.stage)
        self.menus = Menus(self)
        store_of_models = Store()
        pulls = Pulls(store_of_models, workers=self.workers)
        self.shelf = ModelShelf(self, store_of_models, self._background, pulls)
        self.controls = Controls(
            self.choose.engines, self.choose.engine, self.menus.buttons(), palette, self.stage
        )
        self.stage.top_taken = lambda: self.controls.taken
        self.progress = ProgressLine(self.stage)
        self.popups = Popups(self.stage, self.controls, palette)
        self.bench = Bench(self, load)
        self.intake = Intake(self, self._background, self.snapshots, load)
        self.crossover = Crossover(self, load)
        self.auto = Auto(self, load, self._background)
        self._stats_timer = QTimer(self)
        self._stats_timer.setInterval(_STATS_MS)
        self._stats_timer.timeout.connect(self.refresh)
        self.stage.resized.connect(self._lay_out)
        self.stage.hovered.connect(self.intake.hover)
        self.stage.dropped.connect(self.intake.drop)
        self._bridge = NewsBridge(self._on_news, self)
        self.stage.used.connect(self.controls.wake)
        self.stage.heed(self.controls)
        Keys(self, bindings(self), self.controls.wake)
        self._restore_geometry()
        self.stage.show_overlays(Overlays(notice=Notice("Starting", busy=True, dim=True)))

    # --- starting and stopping -------------------------------------------------------------

    def start(self, source: str | None, model: str | None, engine: str | None) -> None:
        """Load the model on another thread, then start the session; returns at once."""
        self.choose.source_text = source or self.settings.source
        self._engine_id = engine or self.choose.usable_or_first(self.settings.engine)
        if engine:
            self.auto.off()
        wanted = model or self.settings.model
        self.progress.set_busy(True)

        def nothing(error: Exception) -> None:
            # All menus work: the session begins with what is chosen there.
            self.tell(error, "Choose another model: L")
            self.progress.set_busy(False)
            self.stage.show_overlays(Overlays(notice=Notice("No model can be read", dim=True)))

        def failed(error: Exception) -> None:
            if not wanted:
                nothing(error)
                return
            self.tell(error, "The embedded model is used instead.")
            self._background.run("start", lambda: self._resolve(""), self._begin, nothing)

        self._background.run("start", lambda: self._resolve(wanted), self._begin, failed)

    def _begin(self, network: Network) -> None:
        """Start the session on a model, and on the source asked for by then or the clip."""
        text = self.choose.source_text

        def made(source: Source) -> None:
            if text != self.choose.source_text:  # another one was chosen meanwhile
                self._begin(network)
            else:
                self._run_session(source, network)

        def failed(error: Exception) -> None:
            self.tell(error, "The bundled clip plays instead.")
            made(self._make_source("clip"))

        # Elsewhere, as a path is looked at: what it lies on may not answer.
        self._background.run("start", lambda: self._make_source(text), made, failed)

    def _run_session(self, source: Source, network: Network) -> None:
        if self._stopped or self.session is not None:
            return
        self.session = self._make_session(
            source,
            network,
            self._engine_id,
            options=self.choose.options(self._engine_id),
            fallback_source=lambda: self._make_source("clip"),
            smoothing=self.settings.smoothing,
            on_news=self._bridge.notify,
            workers=self.workers,
        )
        self.session.set_crop(self.settings.crop_and_scale)
        self.session.start()
        self._stats_timer.start()
        self.controls.wake()

    def stop(self) -> None:
        """End the session and all threads, or leave them behind; may be called twice.

        All are asked first, then there is one deadline for all of them.
        """
        if self._stopped:
            return
        self._stopped = True
        deadline_s = time.monotonic() + _STOP_WITHIN_S
        self._memory.hold()
        self._stats_timer.stop()
        self.bench.stop()
        self.crossover.stop()
        self.snapshots.request_stop()
        self._background.stop()
        self.auto.cancel()
        self.intake.stop()
        self.shelf.stop()
        if self.session is not None:
            self.session.request_stop()
        self.workers.request_stop()
        if self.isHidden():
            # What still ends must not keep the picture of a window on the screen.
            QGuiApplication.sync()
        self._memory.save_now()
        for left in self.workers.join(deadline_s):
            _log.info("%s did not end in time", left.name)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Remember the window's place, leave the screen and stop."""
        self.leaving.emit()
        if not self._stopped:
            geometry = bytes(self.saveGeometry().toBase64().data()).decode("ascii")
            self.remember(window_geometry=geometry)
            self.hide()
            self.stop()
        event.accept()

    def _restore_geometry(self) -> None:
        self.resize(1280, 720)
        if self.settings.window_geometry:
            saved = QByteArray.fromBase64(self.settings.window_geometry.encode("ascii", "replace"))
            self.restoreGeometry(saved)

    # --- news ------------------------------------------------------------------------------

    def _on_news(self) -> None:
        if self.session is None or self._stopped:
            return
        try:
            news = self.session.take()
            for event in news.events:
                # Each by itself: one that cannot be shown must not take the others with it.
                self.surprises.guard(self._on_event, event)
            self.surprises.guard(self._show, news)
        finally:
            # Only now may the session tell of more: a slow window gets fewer, never later, frames.
            self.session.acknowledge()

    def _show(self, news: News) -> None:
        if news.frame is not None:
            self.stage.show_frame(news.frame)
        if news.result is not None:
            flipped = self._last is None or self._last.info != news.result.info
            self._last = news.result
            self._refresh_answer(full=flipped)
        if news.events:
            self.refresh()
            self.menus.refresh()

    def _refresh_answer(self, *, full: bool) -> None:
        """Show the newest answer; figures that would jitter wait for the timer unless full."""
        shown = self._overlays()
        if shown is None:
            return
        if not full:
            old = self.stage.overlays
            status = old.status if old.status and shown.status else shown.status
            shown = Overlays(shown.label, shown.top, status, shown.dot, shown.notice)
        self.stage.show_overlays(shown)

    def refresh(self) -> None:
        """Show everything anew: figures, engine switch, progress."""
        shown = self._overlays()
        if shown is None or self.session is None:
            return
        self.stage.show_overlays(shown)
        if shown.dot is not None:
            self.controls.dot.show_dot(shown.dot)
        state = self.session.state
        live = state.info.engine_id if state.info else ""
        self.controls.switch.show_state(live, state.engine_id if state.loading else live)
        self.progress.set_busy(bool(shown.notice and shown.notice.busy))

    def _overlays(self) -> Overlays | None:
        if self.session is None:
            return None
        state = self.session.state
        shown = build_overlays(self._last, self.session.stats(), self.settings, state)
        return self.intake.amend(self.pad.amend(shown))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, LoadFailed):
            self.choose.load_failed(event)
        elif isinstance(event, SourceFailed):
            self.choose.source_failed(event)
        elif isinstance(event, EngineReady):
            self.choose.ready(event)
            self.pad.follow()
        elif isinstance(event, SourceOpened):
            self.setWindowTitle(f"{event.info.title} – Twinlens")
            self.pad.source_opened(event.info.kind)
        elif isinstance(event, SourceEnded):
            self.show_banner(Banner(f"{event.title} has ended", "Choose another source: O"))

    # --- what a person does ----------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._memory.settings

    @property
    def last_result(self) -> Result | None:
        """The newest answer."""
        return self._last

    def remember(self, **changes: Any) -> Settings:
        """Change settings and save them a moment later."""
        return self._memory.remember(**changes)

    def _unsaved(self, error: Exception) -> None:
        hint = "They hold until the window is closed. Check the folder's rights and space."
        self.show_banner(Banner(f"Settings cannot be saved: {error}", hint, BannerKind.WARN))

    def toggle_pause(self) -> None:
        """Pause or go on."""
        if self.session is not None:
            self.session.set_paused(not self.session.state.paused)
            self.refresh()

    def step(self) -> None:
        """One frame, when paused."""
        if self.session is not None and self.session.state.paused:
            self.session.step()

    def screenshot(self) -> None:
        """Save what the stage shows to the Pictures folder and say where."""

        def saved(where: Path) -> None:
            self.show_banner(Banner("Screenshot saved", str(where)))

        save_screenshot(self.stage, self._background, saved, self.tell)

    def apply_theme(self) -> None:
        """Show the theme of the settings, or the system's new one."""
        _, palette = palette_of(self.settings.theme)
        if palette == self._palette:
            return
        self._palette = palette
        self.popups.set_palette(palette)

    # --- sheets and banners ----------------------------------------------------------------

    @property
    def unit(self) -> float:
        """1 % of the stage's height."""
        return max(1.0, self.stage.height() / 100)

    @property
    def sheet(self) -> Panel | None:
        """The open sheet."""
        return self.popups.sheet

    @property
    def banner(self) -> Banner | None:
        """The banner that is shown."""
        return self.popups.banner

    def open_sheet(self, title: str, rows: Sequence[Any]) -> None:
        """Show a sheet; the same one again closes it."""
        self.popups.open_sheet(title, rows)

    def close_sheet(self) -> None:
        """Close the open sheet, if there is one."""
        self.popups.close_sheet()

    def toggle_cheat_sheet(self) -> None:
        """Show or hide the card with all keys."""
        self.popups.toggle_cheat_sheet()

    def show_banner(self, banner: Banner, act: Callable[[], None] | None = None) -> None:
        """Show a banner; it goes by itself after a while."""
        self.popups.show_banner(banner, act)

    def tell(self, error: Exception, goes_on: str = "") -> None:
        """Show an error, and what goes on all the same where the error has no hint."""
        if isinstance(error, TwinlensError):
            banner = Banner(error.message, error.hint or goes_on, BannerKind.ERROR)
        else:
            told = f"{type(error).__name__}: {error}"
            banner = Banner(f"Something unexpected happened: {told}", goes_on, BannerKind.ERROR)
        self.show_banner(banner)

    def back(self) -> None:
        """Stop measuring, else close what is open, else leave full screen."""
        if not self.stop_measuring() and not self.popups.close_topmost() and self.isFullScreen():
            self.showNormal()

    def stop_measuring(self) -> bool:
        """Stop what is being measured; says whether there was something."""
        return self.bench.cancel() or self.crossover.cancel()

    # --- keys, pointer, size --------------------------------------------------------------

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Full screen, or back."""
        self.look.toggle_full_screen()
        event.accept()

    def _lay_out(self) -> None:
        """Size everything on the stage for its new size."""
        width, unit = self.stage.width(), self.unit
        # A narrow window gets smaller controls rather than cut words.
        self.controls.restyle(min(unit, width / CONTROL_UNITS))
        self.controls.setGeometry(0, 0, width, self.controls.sizeHint().height())
        self.progress.setGeometry(0, 0, width, max(3, round(unit * 0.5)))
        self.popups.lay_out()
        self.pad.lay_out()
