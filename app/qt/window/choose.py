"""What a person chooses to run: engine, model and source, and what becomes of the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, Signal

from twinlens.app.core.addresses import parts_of, shown_address, with_secret
from twinlens.app.core.keys import put_away
from twinlens.app.core.session.choosing import (
    INSTEAD,
    NONE_LEFT,
    Agreements,
    find_choice,
    rescue,
    usable,
    what_to_remember,
)
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import (
    EngineReady,
    InferenceFailed,
    LoadFailed,
    SourceFailed,
    SourceOpened,
)
from twinlens.app.core.session.source import Source
from twinlens.app.core.settings import Settings, following, without_failed_source
from twinlens.app.overlays import Banner, BannerKind
from twinlens.app.qt.ports import AskPort, BackgroundPort, BannerPort, SessionPort, SettingsPort
from twinlens.app.views.words import headline
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network
from twinlens.engine.errors import DistrustedError, EngineStoppedError


class Choose(QObject):
    """Asks the session for something else; what serves goes on until it is there.

    Args:
        live: the session.
        settings: what is remembered.
        banners: where errors and reasons are shown.
        background: runs ``resolve``.
        engines: all engines, usable or not, in the order of the switch.
        make_source: makes a source of its text form.
        resolve: makes a model of a catalog name or path; called on another thread.
        ask: the system's dialogs.
        forgive: lets a model run again that ended its engine's process; called on another thread.

    Attributes:
        engines: all engines, usable or not.
        source_text: the source that plays; empty before one does.
        asked_source: the source that was asked for last.
        serving: what answers; None before the first answer.

    Signals:
        changing: another engine, precision or model is about to be asked for.
        engine_taken: a person has taken an engine, precision or number of threads.
        begins: a model is chosen where there is no session yet, since none could be read at the
            start: that model.
        answers: an engine answers from now on: its ``EngineReady``.
        offered: engines can be chosen that could not before: all of them.
        reading: a model is being read, or no longer.
    """

    changing = Signal()
    engine_taken = Signal()
    begins = Signal(object)
    answers = Signal(object)
    offered = Signal(object)
    reading = Signal(bool)

    def __init__(
        self,
        live: SessionPort,
        settings: SettingsPort,
        banners: BannerPort,
        background: BackgroundPort,
        engines: Sequence[EngineChoice],
        make_source: Callable[[str], Source],
        resolve: Callable[[str], Network],
        ask: AskPort,
        parent: QObject | None = None,
        *,
        forgive: Callable[[Network], object] = lambda network: None,
    ) -> None:
        super().__init__(parent)
        self._live, self._memory, self._banners = live, settings, banners
        self._background, self._make_source, self._resolve = background, make_source, resolve
        self._ask_person = ask
        self.engines: tuple[EngineChoice, ...] = tuple(engines)
        self.source_text = self.asked_source = ""
        # A source is remembered once it plays, as a model is once it answers: as it was asked
        # for, and as it is stored.
        self._chosen_source = ("", "")
        self._texts: WeakKeyDictionary[Source, str] = WeakKeyDictionary()
        self._failed_source = self._away = ""
        # A model is remembered once it answers: one that cannot be loaded must not greet the
        # next start.
        self._asked_model: tuple[Network, str, Callable[[], object] | None] | None = None
        self._rescued: list[str] = []
        self._stopped: set[str] = set()
        self._forgive = forgive
        self.serving: EngineReady | None = None
        self._agreements = Agreements()

    def choice(self, engine_id: str) -> EngineChoice | None:
        """An engine by its id."""
        return find_choice(self.engines, engine_id)

    def ask_engines(self, ask: Callable[[], Sequence[EngineChoice]]) -> None:
        """Ask on another thread which engines there are, and offer those from then on."""

        def offer(engines: Sequence[EngineChoice]) -> None:
            self.engines = tuple(engines)
            self.offered.emit(self.engines)

        self._background.run("engines", ask, offer, self._banners.show_error)

    def options(self, engine_id: str, settings: Settings | None = None) -> EngineOptions:
        """What an engine is asked for by the settings."""
        choice = self.choice(engine_id)
        offered = choice.precisions if choice else ("fp32",)
        return (settings or self._memory.settings).engine_options(engine_id, offered)

    def agreement(self, spec: ModelSpec, engine_id: str, options: EngineOptions) -> float | None:
        """How far a precision agrees with fp32, where that has been found out by now."""
        return self._agreements.get(spec, engine_id, options)

    def remember_agreement(
        self, asked: EngineReady, engine_id: str, precision: str, share: float
    ) -> None:
        """Keep how far a precision agrees with fp32 on that model and those pictures."""
        self._agreements.put(asked, engine_id, precision, share)

    @property
    def usable(self) -> list[str]:
        """Ids of the engines that run here."""
        return usable(self.engines)

    def usable_or_first(self, engine_id: str) -> str:
        """This engine, or the first that runs here."""
        here = self.usable
        return engine_id if engine_id in here or not here else here[0]

    def engine(self, engine_id: str) -> None:
        """Flip to an engine, or show why it cannot be."""
        choice = self.choice(engine_id)
        if choice is None:
            return
        if self._live.session is None:
            self._banners.show_banner(Banner("No model yet", "Choose one, then an engine: L"))
            return
        if choice.reason is not None:
            self._banners.show_banner(Banner(f"{choice.title} is not available", choice.reason))
            return
        self._take(engine_id, self.options(engine_id))

    def _take(self, engine_id: str, options: EngineOptions) -> None:
        if self._live.session is not None:
            self.changing.emit()
            self.engine_taken.emit()
            self._live.session.use_engine(engine_id, options)
            self._live.refresh()

    def number(self, number: int) -> None:
        """Flip to the engine at that place of the switch, 1 being the first."""
        if number <= len(self.engines):
            self.engine(self.engines[number - 1].id)
            return
        listed = ", ".join(f"{n} {engine.title}" for n, engine in enumerate(self.engines, 1))
        self._banners.show_banner(Banner(f"There is no engine {number} here", listed))

    def next_engine(self) -> None:
        """Flip to the next engine that can be used."""
        if self._live.session is not None and self.usable:
            self.engine(following(self.usable, self._live.session.state.engine_id))

    def precision(self, precision: str) -> None:
        """Let the engine in use compute in another precision."""
        session = self._live.session
        if session is not None:
            self._ask(self._memory.settings.with_precision(session.state.engine_id, precision))

    def next_precision(self) -> None:
        """Go to the engine's next precision, or show why it has one only."""
        session = self._live.session
        choice = self.choice(session.state.engine_id) if session is not None else None
        if session is None or choice is None:
            return
        if len(choice.precisions) > 1:
            self.precision(following(choice.precisions, session.state.options.precision))
            return
        reasons = "; ".join(f"{name} {why}" for name, why in choice.missing.items())
        title = f"{choice.title} computes in {choice.precisions[0]} only"
        self._banners.show_banner(Banner(title, reasons))

    def threads(self, threads: int | None) -> None:
        """Let engines compute with so many threads; None is their own choice."""
        self._ask(replace(self._memory.settings, threads=threads))

    def calibration(self, pictures: str) -> None:
        """Compare precisions on other pictures; empty is the bundled clip."""
        self._ask(replace(self._memory.settings, calibration=pictures))

    def _ask(self, settings: Settings) -> None:
        """Load the engine in use as these settings say; they are remembered once it answers."""
        if self._live.session is not None:
            engine_id = self._live.session.state.engine_id
            self._take(engine_id, self.options(engine_id, settings))

    def start_precision(self, engine_id: str, precision: str) -> None:
        """Ask for a precision before there is a session."""
        settings = self._memory.settings.with_precision(engine_id, precision)
        self._memory.remember(precisions=settings.precisions)

    def source(self, text: str) -> None:
        """Change to another source; the old one plays until the new one delivers."""

        def make() -> tuple[Source, str]:
            return self.note(self._make_source(text), text), put_away(text)

        def made(both: tuple[Source, str]) -> None:
            source, stored = both
            self.asked_source, self._chosen_source = text, (text, stored)
            self._banners.close_banner()
            if self._live.session is not None:  # else it begins with that
                self._live.session.use_source(source)

        # Elsewhere: a path is looked at to know what it is, a system asked for its cameras, and
        # the keyring for its lock.
        self._background.run("source", make, made, self._banners.show_error)

    def note(self, source: Source, text: str) -> Source:
        """Take note of which text a source was made of, and give it back; from any thread."""
        self._texts[source] = text
        return source

    def model(self, name: str) -> None:
        """Change to another model; it is read, loaded and warmed while the old one serves."""
        self.changing.emit()
        self.reading.emit(True)

        def ready(network: Network) -> None:
            spec = network.spec
            banner = Banner(f"{spec.title}: assumptions", "; ".join(spec.notes))
            # Until it answers, what stands on the picture is still the model before.
            answered = (lambda: self._banners.show_banner(banner)) if spec.notes else None
            self.use(network, name, answered)

        def failed(error: Exception) -> None:
            self.reading.emit(False)
            self._banners.show_error(error, "The model that ran before goes on.")

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
        self.changing.emit()
        self._asked_model = (network, name, answered)
        if self._live.session is None:
            self.begins.emit(network)
        else:
            self._live.session.use_model(network)
        self._live.refresh()

    # --- what becomes of it ----------------------------------------------------------------

    def ready(self, event: EngineReady) -> None:
        """An engine answers: it is what the next start begins with."""
        self.serving = event
        self._stopped.clear()
        self.answers.emit(event)
        info = event.info
        if info.agreement is not None:
            self.remember_agreement(event, info.engine_id, info.precision, info.agreement)
        self._memory.remember(**what_to_remember(event, self._memory.settings))
        asked = self._asked_model
        if asked is not None and asked[0] is event.network:
            self._asked_model = None
            recent = self._memory.settings.with_recent_model(asked[1])
            self._memory.remember(model=recent.model, recent_models=recent.recent_models)
            if asked[2] is not None:
                asked[2]()

    def load_failed(self, event: LoadFailed) -> None:
        """Say why; where nothing has ever answered, try plainer choices."""
        session, show_error = self._live.session, self._banners.show_error
        if session is None:
            show_error(event.error, "The engine that ran before goes on.")
            return
        if isinstance(event, InferenceFailed) and (event.serves or event.again):
            goes_on = "It is started again." if event.again else f"{event.serves} serves."
            show_error(event.error, goes_on)
            return
        state = session.state
        if isinstance(event.error, (EngineStoppedError, DistrustedError)):
            self._stopped.add(event.engine_id)
        others = [e for e in self.engines if e.reason is None and e.id not in self._stopped]
        tried = rescue(
            state,
            self.choice(state.engine_id),
            tried=self._rescued,
            others=others if self._stopped else (),
        )
        if isinstance(event.error, DistrustedError):
            self._ask_about(event, tried.goes_on)
        else:
            show_error(event.error, tried.goes_on)
        if tried.engine_id:
            session.use_engine(tried.engine_id, self.options(tried.engine_id))
        elif tried.options is not None:
            session.use_engine(state.engine_id, tried.options)
        elif tried.model is not None:
            self._rescue(tried.model, session.use_model)

    def _rescue(self, name: str, use: Callable[[Network], None]) -> None:
        """Use one of ``INSTEAD``, or what comes behind it where that cannot even be read."""
        self._rescued.append(name)
        left = [other for other in INSTEAD if other not in self._rescued]

        def failed(error: Exception) -> None:
            self._banners.show_error(error, INSTEAD[left[0]] if left else NONE_LEFT)
            if left:
                self._rescue(left[0], use)

        self._background.run("model", lambda: self._resolve(name), use, failed)

    def _ask_about(self, event: LoadFailed, goes_on: str) -> None:
        """Ask whether a model is to run that ended its engine's process."""
        network = event.network

        def anyway() -> None:
            if network is not None:
                self._background.run("forgive", lambda: self._forgive(network), load, load)

        def load(_: object) -> None:
            session = self._live.session
            if session is not None and network is not None:
                self.changing.emit()
                session.use(network, event.engine_id, event.options)
                self._live.refresh()

        hint = f"{event.error.hint} {goes_on}".strip()
        banner = Banner(event.error.message, hint, BannerKind.WARN, action="Load it anyway")
        self._banners.show_banner(banner, anyway)

    def source_opened(self, event: SourceOpened) -> None:
        """Take note of what plays; remember it where a person has chosen it."""
        source = event.source
        text = self._texts.get(source, "") if source is not None else ""
        self.source_text = text or self.source_text
        chosen, stored = self._chosen_source
        if text and text == chosen:
            self._chosen_source = ("", "")
            recent = self._memory.settings.with_recent_source(stored)
            self._memory.remember(source=stored, recent_sources=recent.recent_sources)
        # Take back what was said of a source that is there again.
        if self._away and event.info.title == self._away:
            self._away = ""
            self._banners.close_banner()

    def source_failed(self, event: SourceFailed) -> None:
        """Say what plays instead, and offer to try again; it is not what the next start opens."""
        source = event.source
        failed = self._texts.get(source, "") if source is not None else ""
        self._failed_source = failed = failed or self.asked_source
        chosen, stored = self._chosen_source
        stored = stored if chosen == failed else failed
        left = without_failed_source(self._memory.settings, stored)
        if left != self._memory.settings:
            self._memory.remember(source=left.source)
        # One that is waited for is remembered when it is back.
        self._chosen_source = (failed, stored) if event.returning else ("", "")
        instead = "The recording" if self._memory.settings.meanwhile else "The bundled clip"
        goes_on = f"{instead} plays instead." if event.fallback else ""
        if event.playing:
            goes_on = f"{event.playing} goes on."
        if event.returning:
            goes_on = f"{goes_on} The picture comes back by itself.".strip()
        self._away = event.title if event.returning else ""
        hint = f"{goes_on} {event.error.hint}".strip()
        asks = getattr(event.error, "password", False)
        action = "Give a password …" if asks else "Try again"
        title = headline(event.error.message)
        banner = Banner(title, hint, BannerKind.WARN, action=action)
        again = self._ask_password if asks else lambda: self.source(failed)
        self._banners.show_banner(banner, again)

    def _ask_password(self) -> None:
        front, who, rest = parts_of(self._failed_source)
        shown = shown_address(self._failed_source)
        user = unquote(who.partition(":")[0]) or self._ask_person.text("User", f"User for {shown}")
        password = self._ask_person.password("Password", f"{user}, for {shown}") if user else ""
        if password:
            self.source(with_secret(f"{front}{quote(user, safe='')}@{rest}", password))
