"""From which size of network on a GPU pays: the engines on a ladder of networks, batch 1.

Moving a picture to a GPU and the answer back costs the same few hundred microseconds whether the
network is small or large; the gain of parallel work grows with the network. Somewhere the two meet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from twinlens.app.core.bench import ROUNDS, WARMUP, BenchRow, BenchTable, Case, Comparison
from twinlens.app.core.engines import EngineChoice
from twinlens.app.core.loading import Loader
from twinlens.app.core.meters import Clock, percentile
from twinlens.engine.errors import TwinlensError
from twinlens.engine.protocol import EngineOptions, ModelSpec, Runner

if TYPE_CHECKING:
    from twinlens.models.ladder import Rung

GPU = "layers-gpu"
ENGINES = ("layers-cpu", GPU, "vision")
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
    """What a runner on a GPU can tell beside its answers."""

    profile: bool

    def timings(self) -> _Times | None: ...


@dataclass(frozen=True)
class Parts:
    """Where a GPU's time goes, medians in milliseconds by timestamp queries.

    Attributes:
        transfer_ms: the picture on its way there and the answer on its way back; None where the
            adapter does not tell.
        compute_ms: all kernels.
    """

    transfer_ms: float | None
    compute_ms: float


@dataclass(frozen=True)
class Point:
    """One engine on one rung.

    Attributes:
        rung: the rung's id.
        macs: multiply-adds of one answer.
        engine: the engine's id.
        title: the engine's name.
        detail: kernels, provider or adapter that really ran.
        runs: how often it was timed.
        median_ms: milliseconds an answer, from the converted picture to the outputs.
        p95_ms: 95th percentile of the same.
        parts: where a GPU's time goes; None for other engines, and where it cannot be told.
    """

    rung: str
    macs: int
    engine: str
    title: str
    detail: str
    runs: int
    median_ms: float
    p95_ms: float
    parts: Parts | None = None

    @property
    def transfer_share(self) -> float | None:
        """Share of the answer's time (0 to 1) in which data moves; None where it is not known."""
        if self.parts is None or self.parts.transfer_ms is None or self.median_ms <= 0:
            return None
        return min(1.0, self.parts.transfer_ms / self.median_ms)

    @property
    def software(self) -> bool:
        """Whether a processor plays the GPU that ran."""
        adapter = self.detail.split(";")[0]
        return self.engine == GPU and adapter.split(", ")[-1] == "software"


@dataclass(frozen=True)
class LeftOut:
    """What is not measured, and why; ``rung`` is empty where the whole engine is meant."""

    engine: str
    title: str
    reason: str
    rung: str = ""


@dataclass(frozen=True)
class Step:
    """A rung as results name it."""

    id: str
    title: str
    macs: int


@dataclass(frozen=True)
class Climb:
    """How far the measuring has come.

    Attributes:
        steps: all rungs, the smallest first.
        points: what was measured.
        left_out: what was not.
        done: rungs that are done.
        doing: what goes on on the next one.
    """

    steps: tuple[Step, ...]
    points: tuple[Point, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    done: int = 0
    doing: str = ""

    timing = True
    """Answers of the window rest from the first moment on: networks are probed as they load."""

    @property
    def round(self) -> int:
        """Grows while something is timed."""
        return sum(point.runs for point in self.points)

    @property
    def complete(self) -> bool:
        """Every rung has been tried."""
        return self.done == len(self.steps)


@dataclass(frozen=True)
class Crossing:
    """From where on the GPU pays.

    Attributes:
        kind: ``"from"`` a size on, ``"always"`` (on every rung), ``"never"`` (not on the largest
            rung), or ``"unknown"``: no rung has both a GPU and another engine.
        macs: for ``"from"``: multiply-adds where both are as fast.
        ms: for ``"from"``: milliseconds an answer there.
        below: for ``"from"``: the last rung where the GPU is not faster.
        above: for ``"from"``: the first rung from which on it is.
        ratio: the GPU's time over the best other engine's, on the largest rung with both.
        rival: that engine's name.
        largest: that rung's id.
        adapter: the GPU, as it names itself.
        software: a processor plays that GPU.
    """

    kind: Literal["from", "always", "never", "unknown"]
    macs: float = 0.0
    ms: float = 0.0
    below: str = ""
    above: str = ""
    ratio: float = 0.0
    rival: str = ""
    largest: str = ""
    adapter: str = ""
    software: bool = False


def crossing(points: Sequence[Point]) -> Crossing:
    """Find from which rung on the GPU is faster than the best other engine, to the largest.

    Between the last rung where it is not and the next one, both times are taken to be straight
    lines of logarithms; where they meet is the crossing.
    """
    pairs = _pairs(points)
    if not pairs:
        return Crossing("unknown")
    gpu, other = pairs[-1]
    told = Crossing(
        "never",
        ratio=gpu.median_ms / other.median_ms,
        rival=other.title,
        largest=gpu.rung,
        adapter=gpu.detail,
        software=gpu.software,
    )
    slower = [n for n, (g, o) in enumerate(pairs) if g.median_ms >= o.median_ms]
    if not slower:
        return replace(told, kind="always")
    if slower[-1] == len(pairs) - 1:
        return told
    below, above = pairs[slower[-1]], pairs[slower[-1] + 1]
    at = _where_equal(below, above)
    span = math.log(above[0].macs / below[0].macs)
    low, high = (math.log(pair[0].median_ms) for pair in (below, above))
    return replace(
        told,
        kind="from",
        macs=below[0].macs * math.exp(at * span),
        ms=math.exp(low + at * (high - low)),
        below=below[0].rung,
        above=above[0].rung,
    )


def _where_equal(below: tuple[Point, Point], above: tuple[Point, Point]) -> float:
    """Share of the way, in logarithms, at which the GPU is as fast as the other engine."""
    before, after = (math.log(gpu.median_ms / other.median_ms) for gpu, other in (below, above))
    return before / (before - after)


def _pairs(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """(the GPU's, the best other engine's) of each rung that has both, the smallest first."""
    pairs = []
    timed = [point for point in points if point.runs and point.median_ms > 0]
    for gpu in sorted((p for p in timed if p.engine == GPU), key=lambda p: p.macs):
        others = [p for p in timed if p.rung == gpu.rung and p.engine != GPU]
        if others:
            pairs.append((gpu, min(others, key=lambda p: p.median_ms)))
    return pairs


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
            self._climb = replace(self._climb, done=number, doing="")
            yield self._climb

    def _measure(self, rung: Rung, engines: Sequence[EngineChoice]) -> Iterator[Climb]:
        self._parts = {}
        before = self._climb
        comparison = Comparison(
            rung.spec,
            [Case(engine.id, "fp32", self.threads, engine.title) for engine in engines],
            _tensor(rung.spec),
            self._load_probed,
            rounds=self._rounds(rung, engines),
            clock=self.clock,
            stop=self.stop,
        )
        try:
            for table in comparison:
                self._climb = self._with(before, rung, table)
                yield self._climb
        except TwinlensError as error:
            failed = LeftOut("", "", error.message, rung.id)
            self._climb = replace(before, left_out=(*before.left_out, failed))

    def _with(self, before: Climb, rung: Rung, table: BenchTable) -> Climb:
        points = [self._point(rung, row) for row in table.rows if row.runs]
        left = [LeftOut(s.engine_id, s.title, s.reason, rung.id) for s in table.skipped]
        doing = f"{rung.title}, round {table.round} of {table.rounds}"
        if table.waiting:
            first = table.waiting[0]
            doing = f"{rung.title}, loading {first.title or first.engine_id}"
        return replace(
            before,
            points=(*before.points, *points),
            left_out=(*before.left_out, *left),
            doing=doing,
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

    def _load_probed(self, spec: ModelSpec, engine_id: str, options: EngineOptions) -> Runner:
        """Load, and where the runner can tell where its time goes, ask it a few times."""
        runner = self.load(spec, engine_id, replace(options, adapter=self.adapter))
        if isinstance(runner, _Profiled):
            try:
                parts = _probe(runner, spec, self.stop)
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
    """Medians of a few answers' parts; None where the runner does not tell."""
    if not isinstance(runner, _Profiled):
        return None
    tensor = _tensor(spec)
    runner.run(tensor)  # The first run allocates.
    runner.profile = True
    told: list[_Times] = []
    try:
        for _ in range(PROBES):
            if stop():
                return None
            runner.run(tensor)
            times = runner.timings()
            if times is None:
                return None
            told.append(times)
    finally:
        runner.profile = False
    moved = [
        times.upload_ms + times.readback_ms
        for times in told
        if times.upload_ms is not None and times.readback_ms is not None
    ]
    computed = sorted(times.compute_ms for times in told)
    transfer = percentile(sorted(moved), 50) if moved else None
    return Parts(transfer, percentile(computed, 50))
