"""The inference thread: the newest frame through the engine that serves.

Runners that served before are kept on a small shelf while the model stays the same, so that
flipping back and forth between engines costs nothing. Before a new runner has answered its
first frame, the old one stays at hand whatever its model is, and takes over if that fails.

Locking: all fields are guarded by ``_changed``, except the pipeline and ``_previous``, which
only the thread itself touches. Runners and callbacks are called with no lock held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from twinlens.app.core.session.events import (
    AnswersDoubted,
    EngineReady,
    InferenceFailed,
    SourceEnded,
)
from twinlens.app.core.session.loading import Loaded, LoadRequest
from twinlens.app.core.session.meters import Clock, LatencyStats, RateMeter
from twinlens.app.core.session.news import NewsBox
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.slot import LatestSlot
from twinlens.app.core.session.types import Frame, Reading
from twinlens.app.core.workers import CancelToken, Workers
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import (
    CancelledError,
    EngineStoppedError,
    ImageError,
    InferenceError,
    TwinlensError,
)

_log = logging.getLogger(__name__)
_SHELF_SIZE = 3


@dataclass(frozen=True, eq=False)
class _Job:
    reading: Reading
    incoming: Loaded | None = None
    frame: Frame | None = None
    again: bool = False
    ended: str | None = None


class InferenceWorker:
    """Answers frames; engines and views change between two frames.

    Args:
        news: gets results and events.
        reading: how frames are read at first.
        reverted: called with the request that serves again after a newer engine failed.
        stranded: called with the request of an engine that stopped for good while nothing else
            was at hand; returns whether it is loaded again.
        clock: the clock of ``Frame.captured_s``.
    """

    def __init__(
        self,
        news: NewsBox,
        reading: Reading,
        *,
        reverted: Callable[[LoadRequest], None],
        stranded: Callable[[LoadRequest], bool] = lambda request: False,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._changed = threading.Condition()
        self.frames: LatestSlot[Frame] = LatestSlot(self._changed)
        self.meter = RateMeter(clock=clock)
        self.latency = LatencyStats()
        self._news = news
        self._reverted = reverted
        self._stranded = stranded
        self._clock = clock
        self._reading = reading
        self._incoming: Loaded | None = None
        self._serving: Loaded | None = None
        self._shelf: dict[LoadRequest, Loaded] = {}
        self._last: Frame | None = None
        self._again = False
        self._ended: str | None = None
        self._hopeless = False
        self._held = False
        self._stopping = False
        self._pipeline: Pipeline | None = None
        self._previous: Loaded | None = None
        self._reported_engine = False
        self._reported_source: int | None = None
        self._doubted_network: Network | None = None

    @property
    def serving(self) -> Loaded | None:
        """What answers now."""
        with self._changed:
            return self._serving

    @property
    def newest(self) -> Loaded | None:
        """What answers now or from the next frame on."""
        with self._changed:
            return self._incoming or self._serving

    def start(self, workers: Workers) -> None:
        """Start the thread."""
        workers.start("twinlens-inference", self._run, wake=self.request_stop)

    def request_stop(self) -> None:
        """Make the thread end after the frame it is at; returns at once."""
        with self._changed:
            self._stopping = True
            self.frames.close()

    @property
    def reading(self) -> Reading:
        """How frames are read, from the next one on."""
        with self._changed:
            return self._reading

    def change_reading(self, change: Callable[[Reading], Reading]) -> None:
        """Change how frames are read; the newest frame is answered again."""
        with self._changed:
            reading = change(self._reading)
            if reading != self._reading:
                self._reading, self._again = reading, True
                self._changed.notify_all()

    @property
    def answering(self) -> bool:
        """Whether frames are answered."""
        with self._changed:
            return not self._held

    def set_answering(self, answering: bool) -> None:
        """Rest after the frame it is at, or go on with the newest one.

        While it rests nothing runs on this thread, so that something else can be timed; a new
        engine waits with it.
        """
        with self._changed:
            self._held = not answering
            self._changed.notify_all()

    def install(self, loaded: Loaded) -> Loaded | None:
        """Let a warm runner serve from the next frame on.

        Returns at once with one that was to serve from then on instead, to be put aside.
        """
        with self._changed:
            replaced, self._incoming = self._incoming, loaded
            self._hopeless = False
            self._changed.notify_all()
        return replaced

    def put_aside(self, loaded: Loaded) -> None:
        """Keep a runner that does not serve, or close it if it will not be asked for again."""
        with self._changed:
            model = (self._incoming or self._serving or loaded).request.network
            serving = self._serving.request if self._serving else None
            stale = [s for s in self._shelf.values() if s.request.network != model]
            if loaded.request.network != model or loaded.request == serving or self._stopping:
                stale.append(loaded)
            else:
                stale.extend(s for s in [self._shelf.pop(loaded.request, None)] if s)
                self._shelf[loaded.request] = loaded
            while len(self._shelf) > _SHELF_SIZE:
                stale.append(next(iter(self._shelf.values())))
                del self._shelf[stale[-1].request]
            for gone in stale:
                if self._shelf.get(gone.request) is gone:
                    del self._shelf[gone.request]
        _close(stale)

    def reuse(self, request: LoadRequest) -> Loaded | None:
        """Take a runner from the shelf; a fresh request empties it, files may have changed."""
        with self._changed:
            if not request.fresh:
                kept = self._shelf.pop(request, None)
                if kept is None or _lives(kept):
                    return kept
                stale = [kept]
            else:
                stale = list(self._shelf.values())
                self._shelf.clear()
        _close(stale)
        return None

    def load_failed(self) -> None:
        """No engine will come; an ended source need not wait for its answer."""
        with self._changed:
            self._hopeless = self._serving is None and self._incoming is None
            self._changed.notify_all()

    def source_opened(self) -> None:
        """Another source plays: what was left of the last one does not matter."""
        with self._changed:
            self._ended = None

    def source_ended(self, title: str) -> None:
        """The source has ended; the window is notified once its last frame has been answered."""
        with self._changed:
            self._ended = title
            self._changed.notify_all()

    def _run(self, token: CancelToken) -> None:
        del token  # Its worker's wake-up sets a flag under the lock that the thread waits with.
        while (job := self._next()) is not None:
            if job.incoming is not None:
                self._swap(job.incoming)
            if job.frame is not None:
                self._answer(job.frame, job.reading, again=job.again)
            if job.ended is not None:
                self._news.put_event(SourceEnded(job.ended))
            self._news.notify()
        with self._changed:
            left = [self._incoming, self._serving, self._previous, *self._shelf.values()]
            self._shelf.clear()
            self._incoming = None
        _close([loaded for loaded in left if loaded is not None])

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._stopping:
                return None
            incoming, self._incoming = self._incoming, None
            if incoming is None and self._serving is None:
                ended, self._ended = self._ended, None
                return _Job(self._reading, ended=ended)
            frame = self.frames.poll()
            fresh = frame is not None
            if frame is None and (self._again or incoming is not None):
                frame = self._last
            self._last = frame or self._last
            self._again = False
            ended, self._ended = self._ended, None
            return _Job(self._reading, incoming, frame, not fresh, ended)

    def _has_work(self) -> bool:
        if self._stopping or self._held:
            return self._stopping
        if self._incoming is not None:
            return True
        if self._serving is None:
            return self._ended is not None and self._hopeless
        again = self._again and self._last is not None
        return self.frames.waiting or again or self._ended is not None

    def _swap(self, loaded: Loaded) -> None:
        with self._changed:
            old, self._serving = self._serving, loaded
        if self._previous is None:
            self._previous = old
        elif old is not None:
            self.put_aside(old)  # It never answered; the one before it stays the safe one.
        self._serve(loaded)

    def _serve(self, loaded: Loaded) -> None:
        network = loaded.request.network

        def doubted(why: str) -> None:
            if self._doubted_network != network:
                self._doubted_network = network
                self._news.put_event(AnswersDoubted(network.spec.title, why, network.path))

        self._pipeline = Pipeline(loaded.runner, network.spec, clock=self._clock, doubted=doubted)
        self._reported_engine = False
        # Both are of this engine from its first answer on.
        self.latency.reset()
        self.meter.reset()
        self._news.put_event(
            EngineReady(loaded.runner.info, loaded.request.network, loaded.request.options)
        )
        self._news.notify()

    def _answer(self, frame: Frame, reading: Reading, *, again: bool) -> None:
        if self._pipeline is None:
            return
        self._pipeline.configure(
            crop_and_scale=reading.crop_and_scale,
            region=reading.region,
            smoothing=reading.smoothing,
        )
        self._pipeline.keep(reading.needs)
        # A frame that is answered again was captured long ago; its latency counts from now.
        asked_s = self._clock() if again else frame.captured_s
        try:
            result = self._pipeline.process(replace(frame, captured_s=asked_s))
        except ImageError as error:
            self._report_unreadable(frame, error)
            return
        except CancelledError:
            return  # It is being ended, and so are we.
        except TwinlensError as error:
            self._fail(frame, reading, error)
            return
        except Exception as error:  # noqa: BLE001
            # An engine's bug must not end the thread, see the loader's same boundary.
            _log.exception("inference failed unexpectedly")
            message = f"The engine failed unexpectedly: {type(error).__name__}: {error}"
            hint = "Choose another engine or model."
            self._fail(frame, reading, InferenceError(message, hint=hint))
            return
        # While the picture is held, what is known of an engine is how it answers that.
        if not again or self.latency.empty:
            self.latency.add(result.timings.latency_ms)
        self.meter.tick()
        self._news.put_result(replace(result, frame=frame))
        previous, self._previous = self._previous, None
        if previous is not None:
            self.put_aside(previous)

    def _fail(self, frame: Frame, reading: Reading, error: TwinlensError) -> None:
        with self._changed:
            failed = self._serving
            kept = [self._previous] if self._previous else []
            while self._shelf:
                kept.append(self._shelf.popitem()[1])
            safe = next((loaded for loaded in kept if _lives(loaded)), None)
            self._previous = None
            self._shelf.update(
                {k.request: k for k in reversed(kept) if k is not safe and _lives(k)}
            )
            if safe is not None:
                self._serving = safe
        if failed is None or (safe is None and self._reported_engine):
            return
        self._reported_engine = True
        again = safe is None and isinstance(error, EngineStoppedError) and self._retire(failed)
        request = failed.request
        self._news.put_event(
            InferenceFailed(
                request.what,
                error,
                request.network,
                request.engine_id,
                request.options,
                reverted=safe is not None,
                serves=safe.request.what if safe is not None else "",
                again=again,
            )
        )
        if safe is not None:
            _close([failed])
            self._serve(safe)
            self._reverted(safe.request)
            self._answer(frame, reading, again=True)

    def _retire(self, failed: Loaded) -> bool:
        """Let nothing serve, since what did has stopped; whether it is loaded again."""
        with self._changed:
            self._serving = self._pipeline = None
        _close([failed])
        return self._stranded(failed.request)

    def _report_unreadable(self, frame: Frame, error: TwinlensError) -> None:
        """A source whose frames cannot be read is no fault of the engine; reported once."""
        if self._reported_source != frame.source_id:
            self._reported_source = frame.source_id
            self._news.put_event(InferenceFailed("frame", error))


def _lives(loaded: Loaded) -> bool:
    """Whether a runner can still answer: one in a process of its own may have ended unseen."""
    return bool(getattr(loaded.runner, "lives", True))


def _close(loaded: list[Loaded]) -> None:
    for one in loaded:
        try:
            one.runner.close()
        except Exception:  # noqa: BLE001
            # A runtime that fails while it frees memory must not end the thread.
            _log.warning("closing %s failed", one.request.what, exc_info=True)
