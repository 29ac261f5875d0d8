"""Loads engines on a thread of its own, warm, the newest request first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from twinlens.app.core.session.engines import engine_title
from twinlens.app.core.session.events import LoadFailed, LoadStarted
from twinlens.app.core.session.news import NewsBox
from twinlens.app.core.workers import CancelToken, Workers
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network, Runner
from twinlens.engine.cancel import cancel_scope, checkpoint
from twinlens.engine.errors import CancelledError, EngineError, TwinlensError

_log = logging.getLogger(__name__)

Loader = Callable[[Network, str, EngineOptions], Runner]
"""Loads a model on an engine, by the engine's id; ``registry.load`` in the app."""


def load_from_registry(network: Network, engine_id: str, options: EngineOptions) -> Runner:
    """The app's own loader; raises as ``registry.load``."""
    # Late, because the registry's engines import their runtimes.
    from twinlens.engine.api import registry

    return registry.load(network, engine_id, options)


@dataclass(frozen=True)
class LoadRequest:
    """What is asked for.

    Attributes:
        network: the model.
        engine_id: the engine.
        options: the engine's options.
        fresh: load it even if the same is still at hand.
    """

    network: Network
    engine_id: str
    options: EngineOptions
    fresh: bool = field(default=False, compare=False)

    @property
    def spec(self) -> ModelSpec:
        """How the model is fed and read."""
        return self.network.spec

    @property
    def what(self) -> str:
        """For display."""
        text = f"{self.spec.title} · {engine_title(self.engine_id)}"
        precision = self.options.precision
        return text if precision == "fp32" else f"{text} · {precision}"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A runner that has answered once, and the request that it answers."""

    request: LoadRequest
    runner: Runner


class EngineLoader:
    """The loader thread.

    A load that nobody waits for any more is given up at its next stage, and nothing is
    reported of it.

    Args:
        load: does the work; every exception it raises becomes a ``LoadFailed`` event.
        news: gets the events.
        reuse: gives back a runner that is still at hand, or None; never one for a fresh request.
        install: gets the loaded runner of the newest request, under this loader's lock, so it
            must be short; gives a runner that it takes the place of, to be put aside.
        put_aside: gets a runner that does not serve, with no lock held: closing it takes time.
        failed: called when the newest request failed.
    """

    def __init__(
        self,
        load: Loader,
        news: NewsBox,
        *,
        reuse: Callable[[LoadRequest], Loaded | None],
        install: Callable[[Loaded], Loaded | None],
        put_aside: Callable[[Loaded], None],
        failed: Callable[[LoadRequest], None],
    ) -> None:
        self._load_runner = load
        self._news = news
        self._reuse = reuse
        self._install = install
        self._put_aside = put_aside
        self._failed = failed
        self._changed = threading.Condition()
        self._wanted: LoadRequest | None = None
        self._taken = False
        self._stopping = False
        self._loading: CancelToken | None = None

    @property
    def wanted(self) -> LoadRequest | None:
        """The request that waits or loads now."""
        with self._changed:
            return self._wanted

    def start(self, workers: Workers) -> None:
        """Start the thread."""
        workers.start("twinlens-loader", self._run, wake=self.request_stop)

    def request(self, request: LoadRequest | None) -> None:
        """Ask for a runner, in place of what was asked for before; None only cancels."""
        with self._changed:
            self._wanted, self._taken = request, False
            self._give_up()

    def request_stop(self) -> None:
        """Make the thread end after the stage that it is at; returns at once."""
        with self._changed:
            self._stopping = True
            self._wanted = None
            self._give_up()

    def _give_up(self) -> None:
        """End what is being loaded, and look at what is wanted now; the lock is held."""
        if self._loading is not None:
            self._loading.cancel()
        self._changed.notify_all()

    def _run(self, token: CancelToken) -> None:
        while (request := self._next(token)) is not None:
            self._serve(request)
            self._news.notify()

    def _next(self, token: CancelToken) -> LoadRequest | None:
        with self._changed:
            self._loading = None
            self._changed.wait_for(
                lambda: self._stopping or (self._wanted is not None and not self._taken)
            )
            self._taken = True
            if self._stopping:
                return None
            self._loading = token.child()
            return self._wanted

    def _serve(self, request: LoadRequest) -> None:
        loaded = self._reuse(request)
        if loaded is None:
            self._news.put_event(LoadStarted(request.what))
            self._news.notify()
        try:
            loaded = loaded or self._load(request)
        except CancelledError:
            return
        except TwinlensError as error:
            self._fail(request, error)
            return
        except Exception as error:  # noqa: BLE001
            # Third-party runtimes and importers raise anything on a broken model. This is the
            # thread's boundary: the old engine goes on, and the person is shown what happened.
            _log.exception("loading %s failed unexpectedly", request.what)
            self._fail(request, _unexpected(request, error))
            return
        left: Loaded | None = loaded
        with self._changed:
            if self._wanted is request:
                self._wanted = None
                # Under the lock, so that nobody sees neither "loading" nor "installed"; what is
                # closed for it is closed below.
                left = self._install(loaded)
        if left is not None:
            self._put_aside(left)

    def _load(self, request: LoadRequest) -> Loaded:
        with cancel_scope(self._loading):
            return self._load_warm(request)

    def _load_warm(self, request: LoadRequest) -> Loaded:
        runner = self._load_runner(request.network, request.engine_id, request.options)
        try:
            checkpoint()
            # The first run allocates and plans; that must not happen to a live frame.
            runner.run(np.zeros(runner.info.input_shape, np.float32))
        except BaseException:
            runner.close()
            raise
        return Loaded(replace(request, fresh=False), runner)

    def _fail(self, request: LoadRequest, error: TwinlensError) -> None:
        with self._changed:
            if self._wanted is not request:
                return  # Nobody waits for this one any more.
            self._wanted = None
        self._failed(request)
        self._news.put_event(
            LoadFailed(request.what, error, request.network, request.engine_id, request.options)
        )


def _unexpected(request: LoadRequest, error: Exception) -> TwinlensError:
    return EngineError(
        f"{request.network.name} could not be loaded on {engine_title(request.engine_id)}: "
        f"{type(error).__name__}: {error}",
        hint="The model may be damaged, or of a kind that this engine does not know.",
    )
