"""Measures engines on networks of rising size, and where a GPU's time goes on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from twinlens.app.core.measure.bench import ROUNDS, WARMUP, BenchRow, BenchTable, Case, Comparison
from twinlens.app.core.measure.crossover import Climb, LeftOut, Parts, Point, Step
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.meters import Clock, percentile
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network, Runner
from twinlens.engine.errors import CancelledError, TwinlensError

if TYPE_CHECKING:
    from twinlens.models.networks.ladder import Rung

FEWEST_ROUNDS = 5
RUNG_S = 3.0
"""Seconds of timing that a rung may take with more than the fewest rounds."""
SLOWEST_MS = 500.0
"""An engine that is expected to take longer for an answer is left out from there on."""
PROBES = 5


class _Times(Protocol):
    @property
    def upload_ms(self) -> float | None: ...

    @property
    def readback_ms(self) -> float | None: ...

    @property
    def compute_ms(self) -> float: ...


@runtime_checkable
class _Profiled(Protocol):
    """What a runner on a GPU can report in addition to its answers."""

    profile: bool

    def timings(self) -> _Times | None: ...


@dataclass
class Ladder:
    """Measures engines on each rung in turn, the smallest first. Used by one thread.

    Engines are timed in turn within each round. A rung gets so many rounds as fit into
    ``rung_s`` by what the rung before took, at least ``FEWEST_ROUNDS``; an engine that is expected
    to take longer than ``slowest_ms`` for an answer is left out from there on.

    Attributes:
        rungs: the networks, the smallest first.
        engines: to measure; those that do not work here are left out with their reason.
        load: loads a network on an engine.
        threads: compute threads of each engine.
        adapter: words of the GPU's name; None means the best.
        rounds: the most rounds.
        rung_s: seconds of timing that a rung may take with more than the fewest rounds.
        slowest_ms: see above.
        clock: seconds.
        stop: asked often; true ends the measuring.
    """

    rungs: Sequence[Rung]
    engines: Sequence[EngineChoice]
    load: Loader
    threads: int
    adapter: str | None = None
    rounds: int = ROUNDS
    rung_s: float = RUNG_S
    slowest_ms: float = SLOWEST_MS
    clock: Clock = time.perf_counter
    stop: Callable[[], bool] = lambda: False
    _climb: Climb = field(init=False, repr=False)
    _parts: dict[str, Parts] = field(default_factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[Climb]:
        """Yield what is known after each step: each load, then each round, of each rung.

        A rung on which an engine fails while it is timed is left out with the reason.
        """
        steps = tuple(Step(rung.id, rung.title, rung.macs) for rung in self.rungs)
        absent = [e for e in self.engines if e.reason is not None]
        left = tuple(LeftOut(e.id, e.title, e.reason or "") for e in absent)
        self._climb = Climb(steps, left_out=left)
        here = [e for e in self.engines if e.reason is None]
        yield self._climb
        for number, rung in enumerate(self.rungs, 1):
            if self.stop():
                return
            yield from self._measure(rung, self._fast_enough(rung, here))
            if self.stop():
                return
            self._climb = replace(self._climb, done=number, activity="")
            yield self._climb

    def _measure(self, rung: Rung, engines: Sequence[EngineChoice]) -> Iterator[Climb]:
        self._parts = {}
        before = self._climb
        comparison = Comparison(
            rung.network,
            [Case(engine.id, "fp32", self.threads, engine.title) for engine in engines],
            _tensor(rung.network.spec),
            self._load_probed,
            rounds=self._rounds(rung, engines),
            clock=self.clock,
            stop=self.stop,
        )
        try:
            for table in comparison:
                self._climb = self._with(before, rung, table)
                yield self._climb
        except CancelledError:
            raise
        except TwinlensError as error:
            failed = LeftOut("", "", error.message, rung.id)
            self._climb = replace(before, left_out=(*before.left_out, failed))

    def _with(self, before: Climb, rung: Rung, table: BenchTable) -> Climb:
        points = [self._point(rung, row) for row in table.rows if row.runs]
        left = [LeftOut(s.engine_id, s.title, s.reason, rung.id) for s in table.skipped]
        activity = f"{rung.title}, round {table.round} of {table.rounds}"
        if table.waiting:
            first = table.waiting[0]
            activity = f"{rung.title}, loading {first.title or first.engine_id}"
        return replace(
            before,
            points=(*before.points, *points),
            left_out=(*before.left_out, *left),
            activity=activity,
        )

    def _point(self, rung: Rung, row: BenchRow) -> Point:
        return Point(
            rung.id,
            rung.macs,
            row.engine,
            row.title,
            row.detail,
            row.runs,
            row.median_ms,
            row.p95_ms,
            self._parts.get(row.engine),
        )

    def _load_probed(self, network: Network, engine_id: str, options: EngineOptions) -> Runner:
        """Load, and where the runner can report where its time goes, ask it a few times."""
        runner = self.load(network, engine_id, replace(options, adapter=self.adapter))
        if isinstance(runner, _Profiled):
            try:
                parts = _probe(runner, network.spec, self.stop)
            except BaseException:
                runner.close()
                raise
            if parts is not None:
                self._parts[engine_id] = parts
        return runner

    def _expected_ms(self, rung: Rung) -> Mapping[str, float]:
        """What each engine's newest point lets one expect of a larger network: time as work."""
        newest = {point.engine: point for point in self._climb.points}
        return {name: p.median_ms * rung.macs / p.macs for name, p in newest.items()}

    def _rounds(self, rung: Rung, engines: Sequence[EngineChoice]) -> int:
        expected = self._expected_ms(rung)
        one = sum(expected.get(engine.id, 0.0) for engine in engines) / 1e3
        fitting = self.rounds if one <= 0 else int(self.rung_s / one) - WARMUP
        return min(self.rounds, max(FEWEST_ROUNDS, fitting))

    def _fast_enough(self, rung: Rung, engines: Sequence[EngineChoice]) -> list[EngineChoice]:
        expected = self._expected_ms(rung)
        slow = [e for e in engines if expected.get(e.id, 0.0) > self.slowest_ms]
        left = [
            LeftOut(
                e.id, e.title, f"about {expected[e.id] / 1e3:.1f} s an answer expected", rung.id
            )
            for e in slow
        ]
        self._climb = replace(self._climb, left_out=(*self._climb.left_out, *left))
        return [engine for engine in engines if engine not in slow]


def _tensor(spec: ModelSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal(spec.recipe.input_shape, np.float32)


def _probe(runner: Runner, spec: ModelSpec, stop: Callable[[], bool]) -> Parts | None:
    """Medians of a few answers' parts; None where the runner does not report them."""
    if not isinstance(runner, _Profiled):
        return None
    tensor = _tensor(spec)
    runner.run(tensor)  # The first run allocates.
    runner.profile = True
    timed: list[_Times] = []
    try:
        for _ in range(PROBES):
            if stop():
                return None
            runner.run(tensor)
            times = runner.timings()
            if times is None:
                return None
            timed.append(times)
    finally:
        runner.profile = False
    moved = [
        times.upload_ms + times.readback_ms
        for times in timed
        if times.upload_ms is not None and times.readback_ms is not None
    ]
    computed = sorted(times.compute_ms for times in timed)
    transfer = percentile(sorted(moved), 50) if moved else None
    return Parts(transfer, percentile(computed, 50))
