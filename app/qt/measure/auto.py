"""Lets the session use the fastest engine for the model that answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from twinlens.app.core.measure.auto import Fastest, find_fastest
from twinlens.app.core.session.events import EngineReady
from twinlens.app.core.session.loading import Loader
from twinlens.app.qt.ports import (
    BackgroundPort,
    BannerPort,
    EnginePort,
    SessionPort,
    SettingsPort,
)
from twinlens.app.views.bench import milliseconds
from twinlens.engine.api.protocol import Network

TITLE = "Fastest engine"


class Auto:
    """Measures the engines whenever another model answers, and flips to the fastest.

    Whoever chooses an engine, a precision or threads has chosen: it is off from then on.

    Args:
        live: the session.
        engines: what is measured, and what answers.
        memory: remembers whether it is on.
        banners: where errors are shown.
        background: runs the measuring.
        load: loads a model on an engine.
        changing: called before it begins, as before any choice.
        shown: called where what it says of itself has changed.
    """

    def __init__(
        self,
        live: SessionPort,
        engines: EnginePort,
        memory: SettingsPort,
        banners: BannerPort,
        background: BackgroundPort,
        load: Loader,
        *,
        changing: Callable[[], object],
        shown: Callable[[], object],
    ) -> None:
        self._live, self._engines, self._memory = live, engines, memory
        self._banners, self._background, self._load = banners, background, load
        self._changing, self._shown = changing, shown
        self._stopped = threading.Event()
        self._measures: Network | None = None
        self.found: Fastest | None = None

    @property
    def on(self) -> bool:
        """Whether the fastest engine is wanted."""
        return self._memory.settings.auto_engine

    @property
    def measuring(self) -> bool:
        """Whether engines are being measured."""
        return self._measures is not None

    @property
    def detail(self) -> str:
        """What the engine menu says of it."""
        if self.on and self.measuring:
            return "Measuring the engines; the one before answers meanwhile"
        if not self.on or self.found is None:
            return "For each model on this machine, measured when it loads"
        best, *others = self.found.times
        text = f"Now {best.title}, {milliseconds(best.median_ms)}"
        rest = [f"{one.title} {milliseconds(one.median_ms)}" for one in others]
        return f"{text} ({', '.join(rest)})" if rest else text

    def choose(self) -> None:
        """Switch it on, and measure anew."""
        self._changing()
        self._memory.remember(auto_engine=True)
        self.found = None
        if self._engines.serving is not None:
            self._measure(self._engines.serving.network)
        self._show()

    def off(self) -> None:
        """Leave the choice to the person."""
        self.cancel()
        self.found = None
        if self.on:
            self._memory.remember(auto_engine=False)

    def cancel(self) -> None:
        """End what is being measured."""
        self._stopped.set()
        self._background.cancel("auto")
        self._measures = None

    def engine_ready(self, event: EngineReady) -> None:
        """Measure, where another model answers than the one that was measured."""
        known = self._measures or (self.found.network if self.found is not None else None)
        if self.on and known != event.network:
            self._measure(event.network)

    def _measure(self, network: Network) -> None:
        session = self._live.session
        if session is None:
            return
        self.cancel()
        self._stopped, self._measures, self.found = threading.Event(), network, None
        engines = [(one, self._engines.options(one)) for one in self._engines.usable]
        work = partial(
            find_fastest,
            network,
            engines,
            self._load,
            rest=lambda resting: session.set_answering(not resting),
            stop=self._stopped.is_set,
        )
        # A newer one makes the outcome of this one void.
        self._background.run("auto", work, self._use, self._failed)

    def _use(self, found: Fastest | None) -> None:
        session, serving = self._live.session, self._engines.serving
        if found is None or session is None or found.network != self._measures:
            return
        self._measures, self.found = None, found
        best = found.best.engine_id
        # Another model may have been asked for meanwhile; it is measured once it answers.
        if session.state.network == found.network and (
            serving is None or best != session.state.engine_id
        ):
            session.use_engine(best, self._engines.options(best))
        self._show()

    def _failed(self, error: Exception) -> None:
        if not self._stopped.is_set():
            self._measures = None
            self._banners.show_error(error, "The engine that ran before goes on.")
            self._show()

    def _show(self) -> None:
        self._live.refresh()
        self._shown()
