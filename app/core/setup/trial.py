"""Candidates for a model's recipe, tried on pictures by a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from twinlens.app.core.setup.candidates import Candidate
from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.wizard import Answer
from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.engine.api.observations import contradiction, probabilities
from twinlens.engine.api.protocol import Network, Runner
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import CancelledError, EngineError, TwinlensError
from twinlens.engine.image import Converter, PixelBuffer

_log = logging.getLogger(__name__)

LIVE = -1
"""Place of the picture that the window shows now."""

_LIVE_EVERY_S = 0.4


@dataclass(frozen=True, eq=False)
class TrialState:
    """How far a trial has come.

    Attributes:
        answers: candidate's id → picture's place → its answer.
        done: every candidate has seen every golden picture.
        error: why the model cannot be tried like this; None while it can.
        count: grows whenever something has changed.
    """

    answers: Mapping[str, Mapping[int, Answer]] = field(default_factory=dict)
    done: bool = False
    error: TwinlensError | None = None
    count: int = 0


class Trial:
    """Loads the model once and runs every candidate on every picture, then on what is live.

    Args:
        network: the model.
        candidates: recipes whose inputs have one shape.
        pictures: golden pictures; more can be added.
        load: loads the model; called on the trial's thread.
        live: gives the picture that is shown now, or None; called on the trial's thread.
        workers: the owner of its thread; None makes one.
    """

    def __init__(
        self,
        network: Network,
        candidates: Sequence[Candidate],
        pictures: Sequence[Golden],
        load: Callable[[Network], Runner],
        live: Callable[[], PixelBuffer | None] = lambda: None,
        workers: Workers | None = None,
    ) -> None:
        self._workers = workers or Workers()
        self._network, self._candidates = network, tuple(candidates)
        self._load, self._live = load, live
        self._converters = {c.id: Converter(c.recipe) for c in self._candidates}
        self._changed = threading.Condition()
        self._pictures = list(pictures)
        self._answers: dict[str, dict[int, Answer]] = {c.id: {} for c in self._candidates}
        self._error: TwinlensError | None = None
        self._count = 0
        self._watching = self._stopping = self._done = False
        self._worker: Worker | None = None

    @property
    def pictures(self) -> tuple[Golden, ...]:
        """Golden pictures, in the order of their places."""
        with self._changed:
            return tuple(self._pictures)

    @property
    def state(self) -> TrialState:
        """How far it has come."""
        with self._changed:
            answers = {id: dict(found) for id, found in self._answers.items()}
            return TrialState(answers, self._done, self._error, self._count)

    def start(self) -> None:
        """Start the thread."""
        self._worker = self._workers.start("twinlens-trial", self._run, wake=self.request_stop)

    def add(self, picture: Golden) -> int:
        """Try one more picture; returns its place."""
        with self._changed:
            self._pictures.append(picture)
            self._done = False
            self._notify_change()
            return len(self._pictures) - 1

    def watch(self, watching: bool) -> None:
        """Try what is live as well, again and again, or stop doing so."""
        with self._changed:
            self._watching = watching
            self._changed.notify_all()

    def request_stop(self) -> None:
        """Make the thread end after the stage or the run it is at; returns at once."""
        if self._worker is not None:
            self._worker.token.cancel()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when time is up."""
        return self._worker is None or self._worker.join(time.monotonic() + timeout_s)

    def _notify_change(self) -> None:
        self._count += 1
        self._changed.notify_all()

    def _run(self, token: CancelToken) -> None:
        del token  # The engine looks at it; ``_stopping`` is what this thread waits with.
        runner: Runner | None = None
        try:
            runner = self._load(self._network)
            while self._step(runner):
                pass
        except CancelledError:
            pass
        except TwinlensError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001
            # Importers and runtimes raise anything on a model that is fed in the wrong way; the
            # wizard says so, and another answer may be right.
            _log.exception("the trial of %s failed unexpectedly", self._network.spec.title)
            self._fail(EngineError(f"{type(error).__name__}: {error}"))
        finally:
            if runner is not None:
                runner.close()

    def _fail(self, error: TwinlensError) -> None:
        with self._changed:
            self._error = error
            self._notify_change()

    def _step(self, runner: Runner) -> bool:
        """Answer the next picture that waits; False when it is time to end."""
        with self._changed:
            at = self._next()
            if at is None:
                if not self._done:
                    self._done = True
                    self._notify_change()
                self._rest()
            if self._stopping:
                return False
            picture = self._pictures[at] if at is not None else None
            watching = self._watching
        if picture is not None and at is not None:
            self._try(runner, picture, at)
        elif watching and (buffer := self._live()) is not None:
            self._try(runner, Golden(buffer, ()), LIVE)
        return True

    def _rest(self) -> None:
        """Wait for something to do, or until it is time for what is live; the lock is held."""
        watching = self._watching
        self._changed.wait_for(
            lambda: self._stopping or self._next() is not None or self._watching != watching,
            _LIVE_EVERY_S if watching else None,
        )

    def _next(self) -> int | None:
        """Place of a golden picture that a candidate has not seen; the lock is held."""
        last = self._answers[self._candidates[-1].id]
        return next((at for at in range(len(self._pictures)) if at not in last), None)

    def _try(self, runner: Runner, picture: Golden, at: int) -> None:
        for candidate in self._candidates:
            checkpoint()
            converter = self._converters[candidate.id]
            if picture.region is not None:
                converter = Converter(candidate.recipe, picture.region)
            raw = runner.run(converter.convert(picture.picture))
            spec = self._network.spec
            answer = Answer.of(probabilities(raw, spec), contradiction(raw, spec))
            with self._changed:
                if self._stopping:
                    return
                self._answers[candidate.id][at] = answer
                self._notify_change()
