"""The window: a stage, controls over it, and a session that runs on its own threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QGuiApplication,
    QMouseEvent,
)
from PySide6.QtWidgets import QMainWindow

from twinlens.app.core.hosts.process import HostProcess
from twinlens.app.core.session.choosing import INSTEAD, NONE_LEFT
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader, load_from_registry
from twinlens.app.core.session.session import (
    AnswersDoubted,
    EngineReady,
    Event,
    LoadFailed,
    News,
    Session,
    SessionState,
    SourceEnded,
    SourceFailed,
    SourceOpened,
)
from twinlens.app.core.session.source import Source
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.core.workers import Workers
from twinlens.app.overlays import Banner, BannerKind, Notice, Overlays
from twinlens.app.overlays.keys import cheat_sheet
from twinlens.app.qt.drawn import DRAWN, Drawn, painters_of
from twinlens.app.qt.ports import Threads
from twinlens.app.qt.sheets.popups import Popups
from twinlens.app.qt.sheets.sheets import Panel
from twinlens.app.qt.stage.controls import CONTROL_UNITS, STACKED_UNITS, Controls
from twinlens.app.qt.stage.progress import ProgressLine
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.qt.stage.theme import palette_of
from twinlens.app.qt.threads.bridge import Background, NewsBridge
from twinlens.app.qt.threads.memory import Memory
from twinlens.app.qt.threads.snapshots import window_snapshots
from twinlens.app.qt.threads.surprises import Surprises
from twinlens.app.qt.window.bindings import bindings
from twinlens.app.qt.window.diagnose import note
from twinlens.app.qt.window.first_size import first_place
from twinlens.app.qt.window.keys import Keys
from twinlens.app.qt.window.presenter import Presenter
from twinlens.app.qt.window.views import ViewDesk
from twinlens.app.qt.window.wiring import Outside, Parts, wire
from twinlens.app.views.table import VIEWS
from twinlens.app.views.view import AnyView
from twinlens.engine.api.protocol import Network

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
        forgive: lets a model run again that ended its engine's process.
        hosts: the processes that engines and sources run in; called on another thread.
        views: the table of views.
        drawn: what draws their data.
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
        forgive: Callable[[Network], object] = lambda network: None,
        hosts: Callable[[], Sequence[HostProcess]] = tuple,
        views: Sequence[AnyView] = VIEWS,
        drawn: Drawn = DRAWN,
    ) -> None:
        super().__init__()
        self.workers = Workers()
        self.surprises = Surprises(lambda error: self.popups.show_error(error))
        self._background = Background(self.workers, self.surprises.report, self)
        self.snapshots = window_snapshots(self, self.workers, self.surprises.report)
        self._memory = Memory(store, self._background, self._unsaved, self)
        _, self._palette = palette_of(self.settings.theme)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self.apply_theme)
        self.setWindowTitle("Twinlens")
        self.setMouseTracking(True)
        self.stage = self._make_stage(drawn)
        self.presenter = Presenter(self.stage, self._memory, self._show_state)
        self.popups = Popups(
            self.stage,
            self._palette,
            cheat_sheet(views),
            lambda pinned: self.controls.pin(pinned),
        )
        self.views = ViewDesk(
            views,
            drawn,
            self.stage,
            self.presenter,
            self._memory,
            self.popups,
            self.snapshots,
            self.surprises.report,
        )
        self.presenter.answered = self.views.answered

        def watched(text: str) -> Source:
            return self.choose.note(self.pad.made(make_source(text)), text)

        self._make_source, self._resolve, self._make_session = watched, resolve, make_session
        parts = Parts(
            self,
            self.stage,
            self.presenter,
            self._memory,
            self.popups,
            self._background,
            Threads(self.workers, self.surprises.report),
            self.views,
        )
        self.desks = desks = wire(
            parts, Outside(engines, watched, resolve, load, forgive, hosts), self.apply_theme
        )
        self.choose, self.look, self.pad = desks.choose, desks.look, desks.pad
        self.auto, self.bench, self.crossover = desks.auto, desks.bench, desks.crossover
        self.intake, self.shelf, self.menus = desks.intake, desks.shelf, desks.menus
        self.diagnose = desks.diagnose
        self.presenter.amends = (self.pad.amend, self.intake.amend)
        self.controls = Controls(
            engines, self.choose.engine, self.menus.buttons(), self._palette, self.stage
        )
        self.progress = ProgressLine(self._palette, self.stage)
        self.choose.offered.connect(self.controls.switch.offer)
        self.choose.reading.connect(self.progress.set_busy)
        self.choose.begins.connect(self._begin)
        self.stage.top_taken = lambda: self.controls.taken
        self.stage.unseen = (self.controls, self.progress)
        self.stage.resized.connect(self._lay_out)
        self.stage.hovered.connect(self.intake.hover)
        self.stage.dropped.connect(self.intake.drop)
        self._stopped = False
        self._stats_timer = QTimer(self)
        self._stats_timer.setInterval(_STATS_MS)
        self._stats_timer.timeout.connect(self.presenter.refresh)
        self._bridge = NewsBridge(self._on_news, self)
        self.stage.used.connect(self._used)
        self.controls.faded.connect(self._unused)
        self.stage.heed(self.controls)
        Keys(self, bindings(desks, self.popups, self.views, self.close), self.controls.wake)
        self._restore_geometry()
        self.stage.show_overlays(Overlays(notice=Notice("Starting", busy=True, dim=True)))

    def _make_stage(self, drawn: Drawn) -> Stage:
        stage = Stage(self._palette, self, painters=painters_of(drawn))
        stage.setMouseTracking(True)
        # Keys belong to the stage until somebody tabs on, so that Space pauses.
        stage.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        stage.setFocus()
        stage.mirror = self.settings.mirror
        self.setCentralWidget(stage)
        return stage

    # --- starting and stopping -------------------------------------------------------------

    def start(self, source: str | None, model: str | None, engine: str | None) -> None:
        """Load the model on another thread, then start the session; returns at once."""
        self.choose.asked_source = source or self.settings.source
        self._engine_id = engine or self.choose.usable_or_first(self.settings.engine)
        if engine:
            self.auto.off()
        wanted = model or self.settings.model
        self.progress.set_busy(True)
        self._begin_on([wanted, *(name for name in INSTEAD if name != wanted)])

    def _begin_on(self, names: Sequence[str]) -> None:
        """Begin on the first of these models that can be read."""
        name, *others = names

        def failed(error: Exception) -> None:
            self.popups.show_error(error, INSTEAD[others[0]] if others else NONE_LEFT)
            if others:
                self._begin_on(others)
                return
            # All menus work: the session begins with what is chosen there.
            self.progress.set_busy(False)
            self.stage.show_overlays(Overlays(notice=Notice("No model can be read", dim=True)))

        self._background.run("start", lambda: self._resolve(name), self._begin, failed)

    def _begin(self, network: Network) -> None:
        """Start the session on a model, and on the source asked for by then or the clip."""
        text = self.choose.asked_source

        def made(source: Source) -> None:
            if text != self.choose.asked_source:  # another one was chosen meanwhile
                self._begin(network)
            else:
                self._run_session(source, network)

        def failed(error: Exception) -> None:
            self.popups.show_error(error, "The bundled clip plays instead.")
            made(self._make_source("clip"))

        # Elsewhere, as a path is looked at: what it lies on may not answer.
        self._background.run("start", lambda: self._make_source(text), made, failed)

    def _run_session(self, source: Source, network: Network) -> None:
        if self._stopped or self.session is not None:
            return
        session = self.presenter.session = self._make_session(
            source,
            network,
            self._engine_id,
            options=self.choose.options(self._engine_id),
            fallback_source=lambda: self._make_source(self.settings.meanwhile or "clip"),
            reconnect=True,
            smoothing=self.settings.smoothing,
            on_news=self._bridge.notify,
            workers=self.workers,
        )
        session.set_crop(self.settings.crop_and_scale)
        session.start()
        self.views.apply_needs()
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
        self.setGeometry(first_place(self.screen().availableGeometry()))
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
            # Only now may the session notify again: a slow window gets fewer, never later, frames.
            self.session.acknowledge()

    def _show(self, news: News) -> None:
        if news.frame is not None:
            self.stage.show_frame(news.frame)
        if news.result is not None:
            self.presenter.show_result(news.result)
        if news.events:
            self.presenter.refresh()
            self.menus.refresh()

    def _show_state(self, shown: Overlays, state: SessionState) -> None:
        """Show around the picture what has been shown on it anew."""
        if shown.dot is not None:
            self.controls.dot.show_dot(shown.dot)
        live = state.info.engine_id if state.info else ""
        self.controls.switch.show_state(live, state.engine_id if state.loading else live)
        busy = shown.notice is not None and shown.notice.busy
        self.progress.set_busy(busy)
        self.popups.show_progress(shown.notice.text if shown.notice and busy else "")

    def _on_event(self, event: Event) -> None:
        note(event)
        if isinstance(event, LoadFailed):
            self.choose.load_failed(event)
        elif isinstance(event, SourceFailed):
            self.choose.source_failed(event)
            self.pad.source_failed()
        elif isinstance(event, EngineReady):
            self.choose.ready(event)
            self.pad.follow()
        elif isinstance(event, SourceOpened):
            self.setWindowTitle(f"{event.info.title} – Twinlens")
            self.choose.source_opened(event)
            self.pad.source_opened(event.info.kind)
        elif isinstance(event, AnswersDoubted):
            self.intake.doubted(event)
        elif isinstance(event, SourceEnded):
            self.show_banner(Banner(f"{event.title} has ended", "Choose another source: O"))

    # --- what others ask of it -------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """The session; None until the first model is known."""
        return self.presenter.session

    @property
    def last_result(self) -> Result | None:
        """The newest answer."""
        return self.presenter.last_result

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._memory.settings

    def remember(self, **changes: Any) -> Settings:
        """Change settings and save them a moment later."""
        return self._memory.remember(**changes)

    @property
    def sheet(self) -> Panel | None:
        """The open sheet."""
        return self.popups.sheet

    def close_sheet(self) -> None:
        """Close the open sheet, if there is one."""
        self.popups.close_sheet()

    @property
    def banner(self) -> Banner | None:
        """The banner that is shown."""
        return self.popups.banner

    def show_banner(self, banner: Banner, act: Callable[[], None] | None = None) -> None:
        """Show a banner; it goes by itself after a while."""
        self.popups.show_banner(banner, act)

    @property
    def unit(self) -> float:
        """1 % of the stage's height."""
        return self.stage.unit

    def apply_theme(self) -> None:
        """Show the theme of the settings, or the system's new one."""
        _, palette = palette_of(self.settings.theme)
        if palette != self._palette:
            self._palette = palette
            self.stage.set_palette(palette)
            self.progress.set_palette(palette)
            self.popups.set_palette(palette)
            self._lay_out_controls()
            self.pad.lay_out()

    def _unsaved(self, error: Exception) -> None:
        hint = "They hold until the window is closed. Check the folder's rights and space."
        self.show_banner(Banner(f"Settings cannot be saved: {error}", hint, BannerKind.WARN))

    # --- keys, pointer, size --------------------------------------------------------------

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Full screen, or back."""
        self.look.toggle_full_screen()
        event.accept()

    def _lay_out(self) -> None:
        """Size everything on the stage for its new size."""
        self._lay_out_controls()
        width = self.stage.width()
        self.progress.setGeometry(0, 0, width, max(3, round(self.unit * 0.5)))
        self.popups.lay_out()
        self.pad.lay_out()

    def _lay_out_controls(self) -> None:
        width, stacked = self.stage.width(), self.stage.places.stacked
        # A narrow window gets smaller controls rather than cut words.
        unit = min(self.unit, width / (STACKED_UNITS if stacked else CONTROL_UNITS))
        high = self.controls.restyle(self._palette, unit, 3 * self.unit, stacked=stacked)
        self.controls.setGeometry(0, 0, width, high)

    def _used(self) -> None:
        self.stage.hide_pointer(False)
        self.controls.wake()

    def _unused(self) -> None:
        self.stage.hide_pointer(self.isFullScreen())
