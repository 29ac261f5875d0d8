"""What becomes of a dropped file or folder: looked at, asked about where needed, then used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from twinlens.app.core.drawing.digits import reads_signs
from twinlens.app.core.session.events import AnswersDoubted
from twinlens.app.core.setup.preflight import Preflight, preflight
from twinlens.app.core.setup.reading import kind_choices
from twinlens.app.core.setup.recognition import Dropped, Kind, recognise
from twinlens.app.overlays import Banner, BannerKind, Notice, Overlays
from twinlens.app.qt.ports import (
    BackgroundPort,
    BannerPort,
    EnginePort,
    ModelPort,
    SessionPort,
    SettingsPort,
    SheetPort,
    SourcePort,
)
from twinlens.app.qt.setup.wizard import WizardDesk
from twinlens.app.qt.stage.drop_target import DropTarget
from twinlens.engine.api.observations import DOUBT_HINT
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import EngineError
from twinlens.models.catalog.store import Store
from twinlens.models.identify.kept import keep
from twinlens.models.identify.labels import fitted, read_labels


class Choices(EnginePort, ModelPort, SourcePort, Protocol):
    """What a dropped file may change: engine, model or source."""


class BoardPort(Protocol):
    """The drawing pad."""

    @property
    def active(self) -> bool:
        """Whether it is what is seen."""
        ...

    def toggle(self) -> None:
        """Go there, or back."""
        ...


_DROP = "drop"
ADD_NAMES = "Add names …"
"""The button that is offered where a model calls its classes by their numbers."""


class Intake(QObject):
    """Takes what is dropped on the stage; what serves goes on until something better answers.

    Args:
        desk: asks what is not known of a model.
        live: the session.
        choices: what a file may change.
        memory: which model is remembered.
        sheets: an open wizard gives way to a newer model.
        banners: where it shows what became of a file.
        background: reads files.
        target: shows what a drop would do.
        board: the drawing pad, offered where a model reads single signs.
        look: looks at a model's file; called on another thread.

    Attributes:
        look: looks at a model's file.

    Signals:
        changing: another model is being looked at, which a person has asked for.
    """

    changing = Signal()

    def __init__(
        self,
        desk: WizardDesk,
        live: SessionPort,
        choices: Choices,
        memory: SettingsPort,
        sheets: SheetPort,
        banners: BannerPort,
        background: BackgroundPort,
        target: DropTarget,
        board: BoardPort,
        look: Callable[[Path], Preflight] = preflight,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.desk, self._live, self._choices, self._memory = desk, live, choices, memory
        self._sheets, self._banners, self._background = sheets, banners, background
        self._target, self._board, self.look = target, board, look
        self._checking = ""

    def hover(self, path: Path) -> None:
        """Find out what would be done with a path, and show it on the stage's target."""

        def show(dropped: Dropped) -> None:
            self._target.show_dropped(path, self.offer(dropped))

        self._background.run(_DROP, partial(recognise, path), show, self._banners.show_error)

    def drop(self, path: Path) -> None:
        """Find out what a path is, then use it."""

        def done(dropped: Dropped) -> None:
            self._checking = ""
            self._live.refresh()
            self.take(dropped)

        self._checking = path.name
        self._live.refresh()
        self._background.run(_DROP, partial(recognise, path), done, self._failed)

    def offer(self, dropped: Dropped) -> Dropped:
        """What would be done now with something that was looked at."""
        if self.desk.sheet is not None and dropped.kind is Kind.PICTURE:
            return replace(dropped, summary=f"Prove the model on {dropped.path.name}")
        return dropped

    def take(self, dropped: Dropped) -> None:
        """Use what was dropped, or show why it cannot be."""
        if dropped.kind in (Kind.MODEL, Kind.PARAMETERS):
            self.open(dropped.path)
        elif dropped.kind is Kind.LABELS:
            self._take_labels(dropped.path)
        elif dropped.kind is Kind.PICTURE and self.desk.sheet is not None:
            self.desk.take_picture(dropped.path)
        elif dropped.kind is Kind.NOTHING and self.desk.sheet is not None:
            self.desk.show_notice(f"{dropped.summary}. {dropped.hint}")
        elif dropped.kind is Kind.NOTHING:
            self._banners.show_banner(Banner(dropped.summary, dropped.hint, BannerKind.WARN))
        else:
            self._choices.source(str(dropped.path))

    def open(self, path: Path) -> None:
        """Look at a model, ask what is not known of it, then use it."""
        if self._live.session is None:
            self._choices.model(str(path))
            return
        self.changing.emit()
        if self.desk.sheet is not None:  # the newer model takes the older one's place
            self._sheets.close_sheet()
        self._checking = path.name
        self._live.refresh()
        self._background.run("model", lambda: self.look(path), self._looked, self._failed)

    def doubted(self, event: AnswersDoubted) -> None:
        """Say that answers speak against the way that they are read, and offer to choose another.

        A model of the catalog is read as its card says; of such there is nothing to choose.
        """
        banner = Banner(f"{event.model}: {event.why}", DOUBT_HINT, BannerKind.WARN)
        path = event.path
        if path is None:
            self._banners.show_banner(banner)
            return
        offer = replace(banner, hint="Its answers may be wrong.", action="Choose how to read it")

        def look() -> None:
            self._banners.close_banner()
            self._checking = path.name
            self._live.refresh()
            self._background.run("model", lambda: self.look(path), ask, self._failed)

        def ask(report: Preflight) -> None:
            session, self._checking = self._live.session, ""
            self._live.refresh()
            if session is None:
                return
            if not kind_choices(report.found.known):
                self._banners.show_banner(banner)
                return
            engine_id = session.state.engine_id
            self.desk.ask(report, engine_id, partial(self._confirmed, report), doubted=True)

        self._banners.show_banner(offer, look)

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
        self._live.refresh()
        self._banners.show_error(error, "The model that ran before goes on.")

    def _looked(self, report: Preflight) -> None:
        session, self._checking = self._live.session, ""
        if session is None:
            return
        engine_id = session.state.engine_id
        if report.runs_on is not None and engine_id not in report.runs_on:
            self._elsewhere(report)
            return
        self._go_on(report, engine_id)
        self._live.refresh()

    def _elsewhere(self, report: Preflight) -> None:
        """Offer the engine that runs it all the same, or show that none does."""
        refused = report.refused
        usable = [engine for engine in report.runs_on or () if engine in self._choices.usable]
        if not usable:
            self._banners.show_error(refused or EngineError(f"{report.name}: no engine runs it"))
            return
        choice = self._choices.choice(usable[0])
        title = choice.title if choice else usable[0]
        listed = ", ".join(f"{kind} {n}×" for kind, n in report.unsupported.items())
        message = f"{report.found.path.name}: our layers do not implement {listed or 'all of it'}"
        banner = Banner(
            message, f"{title} runs it all the same.", BannerKind.WARN, action=f"Use {title}"
        )

        def use() -> None:
            self._banners.close_banner()
            self._choices.engine(usable[0])
            self._go_on(report, usable[0])

        self._banners.show_banner(banner, use)

    def _go_on(self, report: Preflight, engine_id: str) -> None:
        if report.asks:
            self.desk.ask(report, engine_id, partial(self._confirmed, report))
            return
        spec = report.spec
        title = f"{spec.title}: {', '.join(report.lines[:2])}"
        banner = Banner(title, " · ".join(report.lines[2:]))

        def answered() -> None:
            if not report.named:
                self._banners.show_banner(replace(banner, action=ADD_NAMES), self._add_names)
            elif reads_signs(spec.recipe) and not self._board.active:
                self._banners.show_banner(replace(banner, action="Draw"), self._draw)
            else:
                self._banners.show_banner(banner)

        # Until it answers, what stands on the picture is still the model before.
        self._choices.use(report.found.network, report.name, answered)

    def _add_names(self) -> None:
        path = self.desk.label_file()
        if path is not None:
            self._banners.close_banner()
            self._take_labels(path)

    def _draw(self) -> None:
        self._banners.close_banner()
        if not self._board.active:
            self._board.toggle()

    def _confirmed(self, report: Preflight, network: Network, kept: dict[str, Any]) -> None:
        path = report.found.path
        self._choices.use(network, report.name, lambda: self._keep(path, kept))

    def _keep(self, path: Path, values: dict[str, Any]) -> None:
        """Keep what was chosen, once the model has answered like that."""

        def done(place: Path) -> None:
            hint = f"Kept in {place}; dropped again, it asks nothing."
            self._banners.show_banner(Banner(f"{path.name} is set up", hint))

        self._background.run(
            f"keep {path}", lambda: keep(path, values), done, self._banners.show_error
        )

    # --- labels ----------------------------------------------------------------------------

    def _take_labels(self, path: Path) -> None:
        session = self._live.session
        if self.desk.sheet is not None:
            self.desk.take_labels(path)
            return
        if session is None or session.state.info is None:
            return
        network, width = session.state.network, session.state.info.output_width

        def read() -> tuple[tuple[str, ...], bool]:
            spec = network.spec
            names = fitted(
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

        self._background.run("labels", read, done, self._banners.show_error)

    def _name_classes(
        self, path: Path, network: Network, names: tuple[str, ...], known: bool
    ) -> None:
        session = self._live.session
        if session is None or session.state.network is not network:
            return  # another model was asked for meanwhile, whose classes these are not
        named = network.with_spec(labels=names, notes=())
        then = None
        if not known and network.path is not None:
            then = partial(self._keep, network.path, {"labels": list(names)})
        self._choices.use(named, self._memory.settings.model, then)
        if known:
            hint = "They hold until another model is chosen, since this one is of the catalog."
            message = f"{network.spec.title} names its classes by {path.name}"
            self._banners.show_banner(Banner(message, hint))
