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
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Runner
from twinlens.engine.errors import EngineError, TwinlensError

_log = logging.getLogger(__name__)

Loader = Callable[[ModelSpec, str, EngineOptions], Runner]
"""Loads a model on an engine, by the engine's id; ``registry.load`` in the app."""


def load_from_registry(spec: ModelSpec, engine_id: str, options: EngineOptions) -> Runner:
    """The app's own loader; raises as ``registry.load``."""
    # Late, because the registry's engines import their runtimes.
    from twinlens.engine.api import registry

    return registry.load(spec, engine_id, options)


@dataclass(frozen=True)
class LoadRequest:
    """What is asked for.

    Attributes:
        spec: the model.
        engine_id: the engine.
        options: the engine's options.
        fresh: load from the file even if the same is still at hand.
    """

    spec: ModelSpec
    engine_id: str
    options: EngineOptions
    fresh: bool = field(default=False, compare=False)

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

    Args:
        load: does the work; every exception it raises becomes a ``LoadFailed`` event.
        news: gets the events.
        reuse: gives back a runner that is still at hand, or None; never one for a fresh request.
        install: gets the loaded runner of the newest request.
        put_aside: gets a runner whose request was superseded while it loaded.
        failed: told that the newest request failed.
    """

    def __init__(
        self,
        load: Loader,
        news: NewsBox,
        *,
        reuse: Callable[[LoadRequest], Loaded | None],
        install: Callable[[Loaded], None],
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
        self._thread = threading.Thread(target=self._run, name="twinlens-loader", daemon=True)

    @property
    def wanted(self) -> LoadRequest | None:
        """The request that waits or loads now."""
        with self._changed:
            return self._wanted

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request(self, request: LoadRequest | None) -> None:
        """Ask for a runner, in place of what was asked for before; None only cancels."""
        with self._changed:
            self._wanted, self._taken = request, False
            self._changed.notify_all()

    def request_stop(self) -> None:
        """Make the thread end after what it is doing; returns at once."""
        with self._changed:
            self._stopping = True
            self._wanted = None
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when time is up."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            self._serve(request)
            self._news.tell()

    def _next(self) -> LoadRequest | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or (self._wanted is not None and not self._taken)
            )
            self._taken = True
            return None if self._stopping else self._wanted

    def _serve(self, request: LoadRequest) -> None:
        loaded = self._reuse(request)
        if loaded is None:
            self._news.put_event(LoadStarted(request.what))
            self._news.tell()
        try:
            loaded = loaded or self._load(request)
        except TwinlensError as error:
            self._fail(request, error)
            return
        except Exception as error:  # noqa: BLE001
            # Third-party runtimes and importers raise anything on a broken model. This is the
            # thread's boundary: the old engine goes on, and the person is told what happened.
            _log.exception("loading %s failed unexpectedly", request.what)
            self._fail(request, _unexpected(request, error))
            return
        with self._changed:
            newest = self._wanted is request
            if newest:
                self._wanted = None
                # Under the lock, so that nobody sees neither "loading" nor "installed".
                self._install(loaded)
        if not newest:
            self._put_aside(loaded)

    def _load(self, request: LoadRequest) -> Loaded:
        runner = self._load_runner(request.spec, request.engine_id, request.options)
        try:
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
        self._news.put_event(LoadFailed(request.what, error))


def _unexpected(request: LoadRequest, error: Exception) -> TwinlensError:
    return EngineError(
        f"{request.spec.path.name} could not be loaded on {engine_title(request.engine_id)}: "
        f"{type(error).__name__}: {error}",
        hint="The model may be damaged, or of a kind that this engine does not know.",
    )
