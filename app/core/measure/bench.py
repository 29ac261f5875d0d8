"""Engines × precisions × threads side by side: what to measure, and the measuring.

Everything runs in turn within each round (A B A B), so that a busy machine slows all of it alike.
The command and the window's panel both iterate ``compare``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.meters import Clock, percentile
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import CancelledError, TwinlensError

ROUNDS = 30
WARMUP = 3
_MOST_THREADS = 4


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        engine_id: the engine.
        precision: that is asked for.
        threads: that are asked for; 0 where the engine takes no number of threads.
        title: the engine's name.
    """

    engine_id: str
    precision: str
    threads: int
    title: str = field(default="", compare=False)


@dataclass(frozen=True)
class Skipped:
    """What is not measured, and why.

    Attributes:
        engine_id: the engine.
        reason: why.
        precision: empty where the whole engine is meant.
        threads: 0 where all numbers of threads are meant.
        title: the engine's name.
    """

    engine_id: str
    reason: str
    precision: str = ""
    threads: int = 0
    title: str = field(default="", compare=False)


@dataclass(frozen=True)
class BenchRow:
    """One case's figures.

    Attributes:
        engine: the engine's id.
        title: the engine's name.
        detail: kernels, provider or adapter that really run.
        precision: that really runs.
        threads: that really run; 0 where the library does not report it.
        agreement: share of the calibration pictures (0 to 1) with fp32's best label, or None.
        load_ms: milliseconds from the model's file to a runner that is ready.
        runs: how often it was timed so far; without any, the next three are 0.
        median_ms: milliseconds an answer.
        p95_ms: 95th percentile of the same.
        ratio: the median over the first row's.
    """

    engine: str
    title: str
    detail: str
    precision: str
    threads: int
    agreement: float | None
    load_ms: float
    runs: int = 0
    median_ms: float = 0.0
    p95_ms: float = 0.0
    ratio: float = 0.0


@dataclass(frozen=True)
class BenchTable:
    """How far a comparison has come.

    Attributes:
        model: the model's title.
        rows: what is loaded, in the order of measuring.
        skipped: what is left out.
        waiting: what is still to be loaded, the one that loads now first.
        round: rounds that are done.
        rounds: rounds that there will be.
    """

    model: str
    rows: tuple[BenchRow, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    waiting: tuple[Case, ...] = ()
    round: int = 0
    rounds: int = ROUNDS

    @property
    def timing(self) -> bool:
        """All is loaded; what comes is timed."""
        return not self.waiting

    @property
    def complete(self) -> bool:
        """Everything has been measured."""
        return not self.waiting and self.round == self.rounds


def default_threads(cores: int | None = None) -> tuple[int, ...]:
    """One thread, and as many as there are cores, up to four."""
    cores = cores or os.cpu_count() or 1
    return tuple(sorted({1, min(_MOST_THREADS, cores)}))


def plan(
    engines: Sequence[EngineChoice], precisions: Sequence[str] | None, threads: Sequence[int]
) -> tuple[tuple[Case, ...], tuple[Skipped, ...]]:
    """What can be measured here, and what cannot.

    Args:
        engines: in the order of the table.
        precisions: None means all that each engine has, without ``auto``, which is one of them.
        threads: numbers of threads.
    """
    cases: list[Case] = []
    skipped: list[Skipped] = []
    for engine in engines:
        if engine.reason is not None:
            skipped.append(Skipped(engine.id, engine.reason, title=engine.title))
            continue
        own = [p for p in engine.precisions if p != "auto"]
        for precision in [*own, *engine.missing] if precisions is None else precisions:
            if precision in engine.precisions:
                counts = threads if engine.takes_threads else (0,)
                cases += [Case(engine.id, precision, n, engine.title) for n in counts]
            else:
                reason = engine.missing.get(precision, "is not one of its precisions")
                skipped.append(Skipped(engine.id, reason, precision, title=engine.title))
    return tuple(cases), tuple(skipped)


def one_answer(runner: Runner, tensor: NDArray[np.float32]) -> Callable[[], float | None]:
    """A task for ``turns``: one answer. Where it runs in another process, its time there counts."""

    def answer() -> float | None:
        runner.run(tensor)
        return getattr(runner, "spent_s", None)

    return answer


def turns(
    tasks: Sequence[Callable[[], object]],
    rounds: int,
    *,
    warmup: int = WARMUP,
    clock: Clock = time.perf_counter,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[list[float]]]:
    """Time tasks in turn.

    Args:
        tasks: what to time; one that gives a number of seconds has timed itself.
        rounds: how often each is timed.
        warmup: rounds before that are not counted.
        clock: seconds.
        stop: asked before each task; true ends the measuring.

    Yields:
        After each counted round, every task's times so far in milliseconds; the lists grow.
    """
    times: list[list[float]] = [[] for _ in tasks]
    for number in range(-warmup, rounds):
        for task, own in zip(tasks, times, strict=True):
            if stop():
                return
            checkpoint()
            started = clock()
            told_s = task()
            spent_s = told_s if isinstance(told_s, float) else clock() - started
            if number >= 0:
                own.append(spent_s * 1e3)
        if number >= 0:
            yield times


@dataclass
class Comparison:
    """Loads what is to be compared, then measures it. Used by one thread.

    Attributes:
        network: the model.
        cases: what to measure, in this order; the first is what the ratios refer to.
        tensor: the input that all get: the recipe's output.
        load: loads a model on an engine.
        calibration: pictures that precisions are compared on.
        skipped: what was left out before.
        rounds: how often each is timed.
        clock: seconds.
        stop: asked often; true ends the comparison.
    """

    network: Network
    cases: Sequence[Case]
    tensor: NDArray[np.float32]
    load: Loader
    calibration: Path | None = None
    skipped: Sequence[Skipped] = ()
    rounds: int = ROUNDS
    clock: Clock = time.perf_counter
    stop: Callable[[], bool] = lambda: False
    _runners: list[Runner] = field(default_factory=list, init=False, repr=False)
    _rows: list[BenchRow] = field(default_factory=list, init=False, repr=False)
    _left_out: list[Skipped] = field(default_factory=list, init=False, repr=False)

    def __iter__(self) -> Iterator[BenchTable]:
        """Yield the table after each step: each load, then each round.

        The first table without ``waiting`` comes before anything is timed. A case that cannot be
        loaded, or that really runs as one that is there already, is left out with the reason.
        Runners are closed at the end, however it comes.

        Raises:
            TwinlensError: an engine failed while it was timed.
        """
        self._left_out = list(self.skipped)
        try:
            for number, case in enumerate(self.cases):
                yield self._table(waiting=self.cases[number:])
                if self.stop():
                    return
                self._add(case)
            yield self._table()
            if not self._runners:
                return
            tasks = [one_answer(runner, self.tensor) for runner in self._runners]
            measured = turns(tasks, self.rounds, clock=self.clock, stop=self.stop)
            for done, times in enumerate(measured, 1):
                self._rows = figures(self._rows, times)
                yield self._table(done)
        finally:
            for runner in self._runners:
                runner.close()

    def _add(self, case: Case) -> None:
        options = EngineOptions(case.threads or None, case.precision, self.calibration)
        started = self.clock()
        try:
            runner = self.load(self.network, case.engine_id, options)
        except CancelledError:
            raise
        except TwinlensError as error:
            self._leave_out(case, error.message)
            return
        loaded_ms = (self.clock() - started) * 1e3
        info = runner.info
        row = BenchRow(
            engine=info.engine_id,
            title=info.engine_title,
            detail=info.detail,
            precision=info.precision,
            threads=info.threads,
            agreement=info.agreement,
            load_ms=loaded_ms,
        )
        if any(_alike(row, other) for other in self._rows):
            runner.close()
            same = f"runs as {describe(info.precision, info.threads)}, as measured"
            self._leave_out(case, same if info.threads else "takes no number of threads")
            return
        self._runners.append(runner)
        self._rows.append(row)

    def _leave_out(self, case: Case, reason: str) -> None:
        left = Skipped(case.engine_id, reason, case.precision, case.threads, case.title)
        self._left_out.append(left)

    def _table(self, done: int = 0, waiting: Sequence[Case] = ()) -> BenchTable:
        return BenchTable(
            self.network.spec.title,
            tuple(self._rows),
            tuple(self._left_out),
            tuple(waiting),
            done,
            self.rounds,
        )


def figures(rows: Sequence[BenchRow], times: Sequence[Sequence[float]]) -> list[BenchRow]:
    """Rows with the figures of their times in milliseconds, at least one each."""
    ordered = [sorted(own) for own in times]
    medians = [percentile(own, 50) for own in ordered]
    return [
        replace(
            row,
            runs=len(own),
            median_ms=median,
            p95_ms=percentile(own, 95),
            ratio=median / medians[0] if medians[0] > 0 else 0.0,
        )
        for row, own, median in zip(rows, ordered, medians, strict=True)
    ]


def describe(precision: str, threads: int) -> str:
    """``"bf16, 2 threads"``; without threads where they are not known."""
    if not threads:
        return precision
    return f"{precision}, {threads} thread{'s' if threads > 1 else ''}"


def _alike(one: BenchRow, other: BenchRow) -> bool:
    own, others = ((r.engine, r.detail.split(",")[0], r.precision, r.threads) for r in (one, other))
    return own == others
