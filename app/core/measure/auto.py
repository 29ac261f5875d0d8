"""The fastest engine for a model on this machine, by a few answers of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.app.core.measure.bench import one_answer, turns
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.meters import Clock, percentile
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import CancelledError, EngineError, TwinlensError

RUNS = 7
WARMUP = 2


@dataclass(frozen=True)
class Timed:
    """One engine's time: median milliseconds an answer, from converted picture to outputs."""

    engine_id: str
    title: str
    median_ms: float


@dataclass(frozen=True)
class Fastest:
    """What was found out.

    Attributes:
        network: the model.
        times: engines, the fastest first; at least one.
    """

    network: Network
    times: tuple[Timed, ...]

    @property
    def best(self) -> Timed:
        """The fastest."""
        return self.times[0]


def find_fastest(
    network: Network,
    engines: Sequence[tuple[str, EngineOptions]],
    load: Loader,
    *,
    rest: Callable[[bool], object] = lambda resting: None,
    clock: Clock = time.perf_counter,
    stop: Callable[[], bool] = lambda: False,
) -> Fastest | None:
    """Load a model on each engine and time a few answers of each, in turn.

    Args:
        network: the model.
        engines: ids, and what each is asked for.
        load: loads a model on an engine; one that fails is left out.
        rest: called with True before something is timed, and with False after it.
        clock: seconds.
        stop: asked often; true ends it.

    Returns:
        None where it was stopped.

    Raises:
        EngineError: the model runs on none of the engines; says why.
        InferenceError: an engine failed while it was timed.
    """
    runners: list[Runner] = []
    reasons: list[str] = []
    try:
        for engine_id, options in engines:
            if stop():
                return None
            try:
                runners.append(load(network, engine_id, options))
            except CancelledError:
                raise
            except TwinlensError as error:
                reasons.append(error.message)
        if not runners:
            raise EngineError(f"{network.spec.title} runs on no engine here: {'; '.join(reasons)}")
        rest(True)
        try:
            return _time(network, runners, clock, stop)
        finally:
            rest(False)
    finally:
        for runner in runners:
            runner.close()


def _time(
    network: Network, runners: Sequence[Runner], clock: Clock, stop: Callable[[], bool]
) -> Fastest | None:
    tasks = [one_answer(r, np.zeros(r.info.input_shape, np.float32)) for r in runners]
    measured = list(turns(tasks, RUNS, warmup=WARMUP, clock=clock, stop=stop))
    if stop() or not measured:
        return None
    timed = [
        Timed(runner.info.engine_id, runner.info.engine_title, percentile(sorted(own), 50))
        for runner, own in zip(runners, measured[-1], strict=True)
    ]
    return Fastest(network, tuple(sorted(timed, key=lambda one: one.median_ms)))
