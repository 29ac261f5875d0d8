"""What becomes of a dropped file or folder: looked at, asked about where needed, then used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from twinlens.app.core.session.loading import Loader
from twinlens.app.core.setup.preflight import Preflight, preflight
from twinlens.app.core.setup.recognition import Dropped, Kind, recognise
from twinlens.app.core.snapshots import Snapshots
from twinlens.app.overlays import Banner, BannerKind, Notice, Overlays
from twinlens.app.qt.setup.wizard import WizardDesk
from twinlens.app.qt.stage.pad import reads_signs
from twinlens.app.qt.threads.bridge import Background
from twinlens.engine.api.labels import fitting
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import EngineError
from twinlens.models.catalog.store import Store
from twinlens.models.identify.kept import keep
from twinlens.models.identify.labels import read_labels

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow


_DROP = "drop"


class Intake(QObject):
    """Takes what is dropped on a window; what serves goes on until something better answers.

    Args:
        window: the window.
        background: reads files.
        snapshots: compute what sheets show.
        load: loads a model on an engine, for the wizard's proof.
        look: looks at a model's file; called on another thread.
    """

    def __init__(
        self,
        window: MainWindow,
        background: Background,
        snapshots: Snapshots,
        load: Loader,
        look: Callable[[Path], Preflight] = preflight,
    ) -> None:
        super().__init__(window)
        self._window, self._background, self._look = window, background, look
        self.desk = WizardDesk(window, background, snapshots, load)
        self._checking = ""

    def hover(self, path: Path) -> None:
        """Find out what would be done with a path, and show it on the stage's target."""

        def show(dropped: Dropped) -> None:
            self._window.stage.target.show_dropped(path, self.offer(dropped))

        self._background.run(_DROP, partial(recognise, path), show, self._window.tell)

    def drop(self, path: Path) -> None:
        """Find out what a path is, then use it."""

        def done(dropped: Dropped) -> None:
            self._checking = ""
            self._window.refresh()
            self.take(dropped)

        self._checking = path.name
        self._window.refresh()
        self._background.run(_DROP, partial(recognise, path), done, self._failed)

    def offer(self, dropped: Dropped) -> Dropped:
        """What would be done now with something that was looked at."""
        if self.desk.sheet is not None and dropped.kind is Kind.PICTURE:
            return replace(dropped, says=f"Prove the model on {dropped.path.name}")
        return dropped

    def take(self, dropped: Dropped) -> None:
        """Use what was dropped, or say why it cannot be."""
        if dropped.kind in (Kind.MODEL, Kind.PARAMETERS):
            self.open(dropped.path)
        elif dropped.kind is Kind.LABELS:
            self._take_labels(dropped.path)
        elif dropped.kind is Kind.PICTURE and self.desk.sheet is not None:
            self.desk.take_picture(dropped.path)
        elif dropped.kind is Kind.NOTHING and self.desk.sheet is not None:
            self.desk.say(f"{dropped.says}. {dropped.hint}")
        elif dropped.kind is Kind.NOTHING:
            self._window.show_banner(Banner(dropped.says, dropped.hint, BannerKind.WARN))
        else:
            self._window.choose.source(str(dropped.path))

    def open(self, path: Path) -> None:
        """Look at a model, ask what is not known of it, then use it."""
        if self._window.session is None:
            self._window.choose.model(str(path))
            return
        self._window.stop_measuring()
        if self.desk.sheet is not None:  # the newer model takes the older one's place
            self._window.popups.close_sheet()
        self._checking = path.name
        self._window.refresh()
        self._background.run("model", lambda: self._look(path), self._looked, self._failed)

    def amend(self, shown: Overlays) -> Overlays:
        """Say what is being looked at, where nothing else is being loaded."""
        if not self._checking or (shown.notice is not None and shown.notice.busy):
            return shown
        return replace(shown, notice=Notice(f"Looking at {self._checking}", busy=True))

    def stop(self) -> None:
        """Ask all threads to end; called when the window closes, returns at once."""
        self.desk.stop()

    def _failed(self, error: Exception) -> None:
        self._checking = ""
        self._window.refresh()
        self._window.tell(error, "The model that ran before goes on.")

    def _looked(self, report: Preflight) -> None:
        window, session = self._window, self._window.session
        self._checking = ""
        if session is None:
            return
        engine_id = session.state.engine_id
        if report.runs_on is not None and engine_id not in report.runs_on:
            self._elsewhere(report)
            return
        self._go_on(report, engine_id)
        window.refresh()

    def _elsewhere(self, report: Preflight) -> None:
        """Offer the engine that runs it all the same, or say that none does."""
        window, refused = self._window, report.refused
        usable = [engine for engine in report.runs_on or () if engine in window.choose.usable]
        if not usable:
            window.tell(refused or EngineError(f"{report.name}: no engine runs it"))
            return
        choice = window.choose.choice(usable[0])
        title = choice.title if choice else usable[0]
        listed = ", ".join(f"{kind} {n}×" for kind, n in report.unsupported.items())
        said = f"{report.found.path.name}: our layers do not implement {listed or 'all of it'}"
        banner = Banner(
            said, f"{title} runs it all the same.", BannerKind.WARN, action=f"Use {title}"
        )

        def use() -> None:
            window.popups.close_banner()
            window.choose.engine(usable[0])
            self._go_on(report, usable[0])

        window.show_banner(banner, use)

    def _go_on(self, report: Preflight, engine_id: str) -> None:
        if report.asks:
            self.desk.ask(report, engine_id, partial(self._confirmed, report))
            return
        window, spec = self._window, report.spec
        window.choose.use(report.found.network, report.name)
        title = f"{spec.title}: {', '.join(report.lines[:2])}"
        banner = Banner(title, " · ".join(report.lines[2:]))
        if reads_signs(spec.recipe) and not window.pad.active:
            window.show_banner(replace(banner, action="Draw"), self._draw)
        else:
            window.show_banner(banner)

    def _draw(self) -> None:
        self._window.popups.close_banner()
        if not self._window.pad.active:
            self._window.pad.toggle()

    def _confirmed(self, report: Preflight, network: Network, kept: dict[str, Any]) -> None:
        path = report.found.path
        self._window.choose.use(network, report.name, lambda: self._keep(path, kept))

    def _keep(self, path: Path, values: dict[str, Any]) -> None:
        """Keep what was chosen, once the model has answered like that."""

        def done(place: Path) -> None:
            hint = f"Kept in {place}; dropped again, it asks nothing."
            self._window.show_banner(Banner(f"{path.name} is set up", hint))

        self._background.run(f"keep {path}", lambda: keep(path, values), done, self._window.tell)

    # --- labels ----------------------------------------------------------------------------

    def _take_labels(self, path: Path) -> None:
        session = self._window.session
        if self.desk.sheet is not None:
            self.desk.take_labels(path)
            return
        if session is None or session.state.info is None:
            return
        network, width = session.state.network, session.state.info.output_width

        def read() -> tuple[tuple[str, ...], bool]:
            spec = network.spec
            names = fitting(
                read_labels(path),
                width,
                spec.background_outputs,
                source=path.name,
                of=spec.title,
                hint="Drop the model that they belong to first.",
            )
            return names, any(card.id == spec.id for card in Store().cards())

        def done(found: tuple[tuple[str, ...], bool]) -> None:
            self._name_classes(path, network, *found)

        self._background.run("labels", read, done, self._window.tell)

    def _name_classes(
        self, path: Path, network: Network, names: tuple[str, ...], known: bool
    ) -> None:
        session = self._window.session
        if session is None or session.state.network is not network:
            return  # another model was asked for meanwhile, whose classes these are not
        named = network.with_spec(labels=names, notes=())
        then = None
        if not known and network.path is not None:
            then = partial(self._keep, network.path, {"labels": list(names)})
        self._window.choose.use(named, self._window.settings.model, then)
        if known:
            hint = "They hold until another model is chosen, since this one is of the catalog."
            said = f"{network.spec.title} names its classes by {path.name}"
            self._window.show_banner(Banner(said, hint))
