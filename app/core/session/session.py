"""A live session: capture, inference and loading on threads of their own.

Threads
-------
``twinlens-capture-N``  one per source (``capture.py``): opens, reads and closes it. The current
                        one puts frames into a one-slot mailbox.
``twinlens-inference``  takes the newest frame, answers it, leaves the result as news.
``twinlens-loader``     loads an engine and runs it once; the old one serves until then.
the window's thread     calls the methods below, which all return at once, and takes the news.

Every worker sleeps on its own condition; nobody polls. Locks are taken in the order session,
loader or capture, inference, news, and never held while a source reads, an engine loads, runs or
is closed, or ``on_news`` is called: so whoever asks for the state never waits for any of these.

The threads are worth having because OpenCV, ONNX Runtime and NumPy's larger kernels release the
interpreter lock while they work; what is held is held by short Python steps between kernels, so
the window's thread gets its turn within the interpreter's switch interval (5 ms).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from twinlens.app.core.session.capture import CaptureDeck
from twinlens.app.core.session.events import (
    AnswersDoubted,
    EngineReady,
    Event,
    InferenceFailed,
    LoadFailed,
    LoadStarted,
    News,
    SessionState,
    SourceEnded,
    SourceFailed,
    SourceOpened,
    Stats,
)
from twinlens.app.core.session.inference import InferenceWorker
from twinlens.app.core.session.loading import EngineLoader, Loader, LoadRequest, load_from_registry
from twinlens.app.core.session.meters import Clock
from twinlens.app.core.session.news import NewsBox
from twinlens.app.core.session.source import Source
from twinlens.app.core.session.types import Needs, Reading
from twinlens.app.core.workers import Workers
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.image import CropAndScale, Region

__all__ = [
    "AnswersDoubted",
    "EngineReady",
    "Event",
    "InferenceFailed",
    "LoadFailed",
    "LoadStarted",
    "Loader",
    "News",
    "Session",
    "SessionState",
    "SourceEnded",
    "SourceFailed",
    "SourceOpened",
    "Stats",
]

_log = logging.getLogger(__name__)
_STOP_WITHIN_S = 1.0


class Session:
    """Frames in, answers out; the source and the engine can be swapped while it runs.

    A session runs once: ``start``, then ``stop``. All methods return at once, except ``stop``.

    Args:
        source: the first source.
        network: the first model.
        engine_id: the first engine.
        options: options of the first engine.
        fallback_source: makes the source (the clip) that plays when no other does; it is used
            once per failure, and its own failure is only reported.
        reconnect: wait for a live source that failed, however long; it takes over again by itself.
        smoothing: smooth answers over time.
        on_news: called when there is something to take; at most once between two
            ``acknowledge`` calls, from a worker thread, or from inside ``acknowledge`` when news
            came in between ``take`` and ``acknowledge``. It must neither block nor raise (in
            Qt: emit a signal over a *queued* connection).
        loader: loads a model on an engine; None means ``twinlens.engine.api.registry.load``.
        clock: the clock of ``Frame.captured_s``.
        workers: the owner of its threads; None makes one.
    """

    def __init__(
        self,
        source: Source,
        network: Network,
        engine_id: str,
        *,
        options: EngineOptions | None = None,
        fallback_source: Callable[[], Source] | None = None,
        reconnect: bool = False,
        smoothing: bool = True,
        on_news: Callable[[], None] | None = None,
        loader: Loader | None = None,
        clock: Clock = time.perf_counter,
        workers: Workers | None = None,
    ) -> None:
        self._workers = workers or Workers()
        self._lock = threading.Lock()
        self._first_source = source
        self._wanted = LoadRequest(network, engine_id, options or EngineOptions())
        self._started = False
        self._news = NewsBox(on_news)
        self._worker = InferenceWorker(
            self._news,
            Reading(smoothing=smoothing),
            reverted=self._on_reverted,
            stranded=self._on_stranded,
            clock=clock,
        )
        self._engines = EngineLoader(
            loader or load_from_registry,
            self._news,
            reuse=self._worker.reuse,
            install=self._worker.install,
            put_aside=self._worker.put_aside,
            failed=self._on_load_failed,
        )
        self._deck = CaptureDeck(
            self._workers,
            self._news,
            deliver=self._worker.frames.put,
            opened=self._worker.source_opened,
            ended=self._worker.source_ended,
            fallback=fallback_source,
            reconnect=reconnect,
            clock=clock,
        )

    @property
    def state(self) -> SessionState:
        """A snapshot of what is asked for and what runs."""
        with self._lock:
            wanted, loading = self._wanted, self._engines.wanted
        serving = self._worker.serving
        return SessionState(
            network=wanted.network,
            engine_id=wanted.engine_id,
            options=wanted.options,
            info=serving.runner.info if serving else None,
            source_info=self._deck.info,
            paused=self._deck.paused,
            loading=loading.what if loading else None,
            answering=self._worker.answering,
            reading=self._worker.reading,
            away=self._deck.away,
            remark=self._deck.remark,
        )

    def start(self) -> None:
        """Start the threads; nothing happens the second time."""
        with self._lock:
            if self._started:
                return
            self._started = True
            self._worker.start(self._workers)
            self._engines.start(self._workers)
            self._engines.request(self._wanted)
        self._deck.use(self._first_source)

    def request_stop(self) -> None:
        """Ask everything to end; returns at once.

        Blocked sources are interrupted, and what is being loaded is given up. ``on_news`` is not
        called any more; what is there can still be taken.
        """
        self._news.close()
        self._deck.request_stop()
        self._engines.request_stop()
        self._worker.request_stop()

    def stop(self, within_s: float = _STOP_WITHIN_S) -> None:
        """Stop and join everything within ``within_s`` seconds; may be called twice.

        All workers of the session's owner end with it. A thread stuck in foreign code is left
        behind.
        """
        self.request_stop()
        for left in self._workers.stop(within_s):
            _log.info("%s did not end within %s s", left.name, within_s)

    def use_engine(self, engine_id: str, options: EngineOptions | None = None) -> None:
        """Swap the engine warm: the old one answers until the new one is loaded and has run.

        A newer call supersedes one that still loads. A failure is reported as ``LoadFailed``; then
        the old engine stays.

        Args:
            engine_id: an id of the registry.
            options: its options; None keeps the ones in use.
        """
        with self._lock:
            options = options or self._wanted.options
            # A model that is still being read anew must be read anew by this engine as well.
            fresh = self._wanted.fresh and self._engines.wanted is self._wanted
            self._request(replace(self._wanted, engine_id=engine_id, options=options, fresh=fresh))

    def use_model(self, network: Network) -> None:
        """Swap the model warm, on the same engine; it is loaded even if the same is in use."""
        with self._lock:
            self._request(replace(self._wanted, network=network, fresh=True))

    def use(self, network: Network, engine_id: str, options: EngineOptions) -> None:
        """Swap model and engine warm, as ``use_engine`` does."""
        with self._lock:
            self._request(LoadRequest(network, engine_id, options, fresh=True))

    def use_source(self, source: Source) -> None:
        """Swap the source; the old one plays until the new one has opened.

        A failure is reported as ``SourceFailed``; then the old one plays on, or the fallback.
        """
        self._deck.use(source)

    def set_paused(self, paused: bool) -> None:
        """Hold the picture, or go on; while paused a new source shows its first frame."""
        self._deck.set_paused(paused)

    def step(self, by: int = 1) -> bool:
        """While paused: capture and answer exactly one new frame, or go back by one.

        Args:
            by: 1, or -1 for back, which only pictures can.

        Returns:
            Whether there will be one.
        """
        return self._deck.step(by)

    def set_answering(self, answering: bool) -> None:
        """Let the engine rest while something else is timed, or go on; the picture moves on.

        The frame that is being answered is still answered.
        """
        self._worker.set_answering(answering)

    def set_crop(self, crop_and_scale: CropAndScale | None) -> None:
        """Change crop and scale; None means the model's own. Also answers the held frame."""
        self._worker.change_reading(lambda reading: replace(reading, crop_and_scale=crop_and_scale))

    def set_smoothing(self, smoothing: bool) -> None:
        """Switch temporal smoothing. Also answers the held frame."""
        self._worker.change_reading(lambda reading: replace(reading, smoothing=smoothing))

    def set_region(self, region: Region | None) -> None:
        """Look at a part of the picture; None means all of it. Also answers the held frame."""
        self._worker.change_reading(lambda reading: replace(reading, region=region))

    def set_needs(self, needs: Needs) -> None:
        """Keep this much of each answer from now on. Also answers the held frame."""
        self._worker.change_reading(lambda reading: replace(reading, needs=needs))

    def take(self) -> News:
        """What happened since the last take."""
        return self._news.take()

    def acknowledge(self) -> None:
        """Ask for the next ``on_news``; it comes at once if there is news since ``take``."""
        self._news.acknowledge()

    def stats(self) -> Stats:
        """Rates, latency and counts, measured."""
        return Stats(
            camera_fps=self._deck.meter.rate(),
            answers_fps=self._worker.meter.rate(),
            latency_p50_ms=self._worker.latency.median(),
            latency_p95_ms=self._worker.latency.p95(),
            captured=self._deck.meter.count,
            answered=self._worker.meter.count,
            dropped=self._worker.frames.dropped,
            damaged=self._deck.damaged,
        )

    def _request(self, request: LoadRequest) -> None:
        """Ask for an engine; the lock is held."""
        same = request == self._wanted and not request.fresh
        self._wanted = request
        newest = self._worker.newest
        if not self._started or (same and self._engines.wanted is not None):
            return
        serves = newest is not None and newest.request == request and not request.fresh
        self._engines.request(None if serves else request)

    def _on_load_failed(self, request: LoadRequest) -> None:
        self._worker.load_failed()
        newest = self._worker.newest
        with self._lock:
            if self._wanted is request and newest is not None:
                self._wanted = newest.request

    def _on_stranded(self, request: LoadRequest) -> bool:
        """Nothing serves any more: load the same again, unless something else is being loaded."""
        with self._lock:
            if self._engines.wanted is None:
                self._wanted = request
                self._engines.request(request)
                return True
            return False

    def _on_reverted(self, request: LoadRequest) -> None:
        with self._lock:
            if self._engines.wanted is None:
                self._wanted = request
