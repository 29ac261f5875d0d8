"""What a person chooses to run: engine, model and source, and what becomes of the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.session import EngineReady, LoadFailed, SourceFailed
from twinlens.app.core.session.source import Source
from twinlens.app.core.settings import Settings, following
from twinlens.app.overlays import Banner, BannerKind
from twinlens.app.qt.threads.bridge import Background
from twinlens.assets import clip_path
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow


class Choose:
    """Asks a window's session for something else; what serves goes on until it is there.

    Args:
        window: the window.
        engines: all engines, usable or not, in the order of the switch.
        make_source: makes a source of its text form.
        resolve: makes a model of a catalog name or path; called on another thread.
        background: runs ``resolve``.
        begin: begins the session with a model, where none could be read at the start.
    """

    def __init__(
        self,
        window: MainWindow,
        engines: Sequence[EngineChoice],
        make_source: Callable[[str], Source],
        resolve: Callable[[str], Network],
        background: Background,
        begin: Callable[[Network], None],
    ) -> None:
        self._window, self.engines = window, tuple(engines)
        self._make_source, self._resolve, self._background = make_source, resolve, background
        self._begin = begin
        self.source_text = ""
        self._failed_source = ""
        # A model is remembered once it answers: one that cannot be loaded must not greet the
        # next start.
        self._asked_model: tuple[Network, str, Callable[[], object] | None] | None = None
        self._rescued = False
        self.serving: EngineReady | None = None
        self._agreements: dict[tuple[str, str, str, Path | None], float] = {}

    def choice(self, engine_id: str) -> EngineChoice | None:
        """An engine by its id."""
        return next((engine for engine in self.engines if engine.id == engine_id), None)

    def ask_engines(self, ask: Callable[[], Sequence[EngineChoice]]) -> None:
        """Ask on another thread which engines there are, and offer those from then on."""

        def offer(engines: Sequence[EngineChoice]) -> None:
            self.engines = tuple(engines)
            self._window.controls.switch.offer(engines)

        self._background.run("engines", ask, offer, self._window.tell)

    def options(self, engine_id: str, settings: Settings | None = None) -> EngineOptions:
        """What an engine is asked for by the settings."""
        choice = self.choice(engine_id)
        offered = choice.precisions if choice else ("fp32",)
        return (settings or self._window.settings).engine_options(engine_id, offered)

    def agreement(self, spec: ModelSpec, engine_id: str, options: EngineOptions) -> float | None:
        """How far a precision agrees with fp32, where that has been found out by now."""
        key = (spec.id, engine_id, options.precision, options.calibration)
        return self._agreements.get(key)

    def remember_agreement(
        self, asked: EngineReady, engine_id: str, precision: str, share: float
    ) -> None:
        """Keep how far a precision agrees with fp32 on that model and those pictures."""
        self._agreements[asked.spec.id, engine_id, precision, asked.options.calibration] = share

    @property
    def usable(self) -> list[str]:
        """Ids of the engines that run here."""
        return [engine.id for engine in self.engines if engine.reason is None]

    def usable_or_first(self, engine_id: str) -> str:
        """This engine, or the first that runs here."""
        usable = self.usable
        return engine_id if engine_id in usable or not usable else usable[0]

    def engine(self, engine_id: str) -> None:
        """Flip to an engine, or say why it cannot be."""
        window = self._window
        choice = self.choice(engine_id)
        if choice is None or window.session is None:
            return
        if choice.reason is not None:
            window.show_banner(Banner(f"{choice.title} is not available", choice.reason))
            return
        window.stop_measuring()
        window.auto.off()
        window.session.use_engine(engine_id, self.options(engine_id))
        window.refresh()

    def next_engine(self) -> None:
        """Flip to the next engine that can be used."""
        if self._window.session is not None and self.usable:
            self.engine(following(self.usable, self._window.session.state.engine_id))

    def precision(self, precision: str) -> None:
        """Let the engine in use compute in another precision."""
        session = self._window.session
        if session is not None:
            self._ask(self._window.settings.with_precision(session.state.engine_id, precision))

    def next_precision(self) -> None:
        """Go to the engine's next precision, or say why it has one only."""
        session = self._window.session
        choice = self.choice(session.state.engine_id) if session is not None else None
        if session is None or choice is None:
            return
        if len(choice.precisions) > 1:
            self.precision(following(choice.precisions, session.state.options.precision))
            return
        reasons = "; ".join(f"{name} {why}" for name, why in choice.missing.items())
        title = f"{choice.title} computes in {choice.precisions[0]} only"
        self._window.show_banner(Banner(title, reasons))

    def threads(self, threads: int | None) -> None:
        """Let engines compute with so many threads; None is their own choice."""
        self._ask(replace(self._window.settings, threads=threads))

    def calibration(self, pictures: str) -> None:
        """Compare precisions on other pictures; empty is the bundled clip."""
        self._ask(replace(self._window.settings, calibration=pictures))

    def _ask(self, settings: Settings) -> None:
        """Load the engine in use as these settings say; they are remembered once it answers."""
        window = self._window
        if window.session is None:
            return
        engine_id = window.session.state.engine_id
        window.stop_measuring()
        window.auto.off()
        window.session.use_engine(engine_id, self.options(engine_id, settings))
        window.refresh()

    def start_precision(self, engine_id: str, precision: str) -> None:
        """Ask for a precision before there is a session."""
        settings = self._window.settings.with_precision(engine_id, precision)
        self._window.remember(precisions=settings.precisions)

    def source(self, text: str) -> None:
        """Change to another source; the old one plays until the new one delivers."""
        window = self._window

        def made(source: Source) -> None:
            self.source_text = text
            window.popups.close_banner()
            if window.session is not None:  # else it begins with that
                window.session.use_source(source)
            recent = window.settings.with_recent_source(text)
            window.remember(source=text, recent_sources=recent.recent_sources)

        # Elsewhere: a path is looked at to know what it is, and a system asked for its cameras.
        self._background.run("source", lambda: self._make_source(text), made, window.tell)

    def model(self, name: str) -> None:
        """Change to another model; it is read, loaded and warmed while the old one serves."""
        window = self._window
        window.stop_measuring()
        window.progress.set_busy(True)

        def ready(network: Network) -> None:
            self.use(network, name)
            spec = network.spec
            if spec.notes:
                window.show_banner(Banner(f"{spec.title}: assumptions", "; ".join(spec.notes)))

        def failed(error: Exception) -> None:
            window.progress.set_busy(False)
            window.tell(error, "The model that ran before goes on.")

        self._background.run("model", lambda: self._resolve(name), ready, failed)

    def use(
        self, network: Network, name: str, answered: Callable[[], object] | None = None
    ) -> None:
        """Load and warm a model that is known, while the old one serves.

        Args:
            network: the model.
            name: what names it at the next start.
            answered: called once it answers.
        """
        window = self._window
        window.stop_measuring()
        self._asked_model = (network, name, answered)
        if window.session is None:
            self._begin(network)
        else:
            window.session.use_model(network)
        window.refresh()

    # --- what becomes of it ----------------------------------------------------------------

    def ready(self, event: EngineReady) -> None:
        """An engine answers: it is what the next start begins with."""
        window, options, info = self._window, event.options, event.info
        self.serving = event
        window.bench.engine_ready(event)
        window.auto.engine_ready(event)
        if info.agreement is not None:
            self.remember_agreement(event, info.engine_id, info.precision, info.agreement)
        calibration = options.calibration
        window.remember(
            engine=info.engine_id,
            precisions=window.settings.with_precision(info.engine_id, options.precision).precisions,
            threads=options.threads,
            calibration="" if calibration in (None, clip_path()) else str(calibration),
            adapter=options.adapter or "",
        )
        asked = self._asked_model
        if asked is not None and asked[0] is event.network:
            self._asked_model = None
            recent = window.settings.with_recent_model(asked[1])
            window.remember(model=recent.model, recent_models=recent.recent_models)
            if asked[2] is not None:
                asked[2]()

    def load_failed(self, event: LoadFailed) -> None:
        """Say why; where nothing has ever answered, try plainer choices."""
        window, session = self._window, self._window.session
        if session is None or session.state.info is not None or self._rescued:
            window.tell(event.error, "The engine that ran before goes on.")
            return
        # Nothing has ever answered. A precision needs more than a model does, so it goes first.
        state = session.state
        choice = self.choice(state.engine_id)
        if choice is not None and state.options.precision != choice.precisions[0]:
            first = choice.precisions[0]
            window.tell(event.error, f"It runs in {first} instead.")
            session.use_engine(state.engine_id, replace(state.options, precision=first))
            return
        # The model asked for at the start is broken.
        self._rescued = True
        window.tell(event.error, "The embedded model is used instead.")
        self._background.run("model", lambda: self._resolve(""), session.use_model, window.tell)

    def source_failed(self, event: SourceFailed) -> None:
        """Say what plays instead, and offer to try again."""
        self._failed_source = self.source_text
        goes_on = "The bundled clip plays instead." if event.fallback else ""
        if event.playing:
            goes_on = f"{event.playing} goes on."
        hint = f"{goes_on} {event.error.hint}".strip()
        banner = Banner(event.error.message, hint, BannerKind.WARN, action="Try again")
        self._window.show_banner(banner, lambda: self.source(self._failed_source))
