"""Comparing engines: what is planned, that all take turns, what is left out, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.fakes import FakeEngine, FakeRunner, fake_loader, make_network
from twinlens.app.core.measure.bench import (
    BenchTable,
    Case,
    Comparison,
    Skipped,
    default_threads,
    describe,
    one_answer,
    plan,
    turns,
)
from twinlens.app.core.session.engines import EngineChoice, engine_choices
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import EngineError, InferenceError

TENSOR = np.zeros((1, 3, 8, 8), np.float32)
CPU = EngineChoice("cpu", "CPU", None, ("fp32", "bf16", "auto"), {"int8": "needs VNNI"})
GPU = EngineChoice("gpu", "GPU", "no adapter", ("fp32",))


def test_tasks_take_turns_and_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    ticks = iter(float(i) for i in range(1000))
    tasks: list[Callable[[], object]] = [lambda: calls.append("a"), lambda: calls.append("b")]
    seen = [
        [len(own) for own in times]
        for times in turns(tasks, 4, warmup=2, clock=lambda: next(ticks))
    ]
    assert calls == ["a", "b"] * 6
    assert seen == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_times_are_milliseconds_of_the_task_alone() -> None:
    ticks = iter([10.0, 10.5, 20.0, 20.002])
    (times,) = turns([lambda: 0, lambda: 0], 1, warmup=0, clock=lambda: next(ticks))
    assert times[0] == [500.0]
    assert times[1] == [pytest.approx(2.0)]


def test_measuring_stops_between_two_tasks() -> None:
    calls: list[str] = []
    tasks: list[Callable[[], object]] = [lambda: calls.append("a"), lambda: calls.append("b")]
    assert list(turns(tasks, 9, warmup=1, stop=lambda: len(calls) == 1)) == []
    assert calls == ["a"]


def test_all_that_runs_is_planned_and_the_rest_has_a_reason() -> None:
    cases, skipped = plan([GPU, CPU], None, (1, 2))
    assert cases == (
        Case("cpu", "fp32", 1),
        Case("cpu", "fp32", 2),
        Case("cpu", "bf16", 1),
        Case("cpu", "bf16", 2),
    )
    assert skipped == (Skipped("gpu", "no adapter"), Skipped("cpu", "needs VNNI", "int8"))


def test_what_is_asked_for_is_planned_in_that_order() -> None:
    cases, skipped = plan([CPU], ["auto", "int8", "fp4", "fp32"], (3,))
    assert cases == (Case("cpu", "auto", 3), Case("cpu", "fp32", 3))
    assert [(one.precision, one.reason) for one in skipped] == [
        ("int8", "needs VNNI"),
        ("fp4", "is not one of its precisions"),
    ]


@pytest.mark.parametrize(("cores", "threads"), [(1, (1,)), (2, (1, 2)), (4, (1, 4)), (64, (1, 4))])
def test_threads_without_asking(cores: int, threads: tuple[int, ...]) -> None:
    assert default_threads(cores) == threads
    assert default_threads()[0] == 1


def test_the_registrys_engines_are_choices() -> None:
    choices = {choice.id: choice for choice in engine_choices()}
    assert choices["layers-cpu"].precisions[0] == "fp32"
    assert choices["vision"].missing == {}
    assert set(choices) >= {"layers-cpu", "layers-gpu", "vision"}


def compare(*cases: Case, make: Any = None, **more: Any) -> tuple[list[BenchTable], FakeEngine]:
    engine = FakeEngine("cpu", make or (lambda spec, options: FakeRunner(options=options)))
    comparison = Comparison(make_network(), cases, TENSOR, fake_loader(engine), rounds=3, **more)
    return list(comparison), engine


def test_a_comparison_loads_then_measures_then_closes() -> None:
    cases = (Case("cpu", "fp32", 1), Case("cpu", "bf16", 2))
    tables, engine = compare(*cases, calibration=Path("pictures"))
    assert [(len(t.waiting), len(t.rows), t.round) for t in tables] == [
        (2, 0, 0),
        (1, 1, 0),
        (0, 2, 0),
        (0, 2, 1),
        (0, 2, 2),
        (0, 2, 3),
    ]
    assert [table.complete for table in tables] == [False] * 5 + [True]
    last = tables[-1]
    assert [(row.precision, row.threads, row.runs) for row in last.rows] == [
        ("fp32", 1, 3),
        ("bf16", 2, 3),
    ]
    assert last.rows[0].ratio == 1.0
    for row in last.rows:
        assert 0 < row.median_ms <= row.p95_ms
        assert row.load_ms > 0
    for runner in engine.runners:
        assert isinstance(runner, FakeRunner)
        assert runner.runs == 6, "three warm, three timed"
        assert runner.closed.is_set()


def test_figures_come_from_the_clock() -> None:
    now = [0.0]

    def make(network: Network, options: EngineOptions) -> FakeRunner:
        def answer(tensor: object) -> tuple[float, ...]:
            now[0] += 0.004 if options.precision == "fp32" else 0.001
            return (1.0, 0.0, 0.0)

        return FakeRunner(answer, options=options, agreement=0.99)

    cases = (Case("cpu", "fp32", 1), Case("cpu", "bf16", 1))
    tables, _ = compare(*cases, make=make, clock=lambda: now[0])
    first, second = tables[-1].rows
    assert (first.median_ms, second.median_ms) == (pytest.approx(4.0), pytest.approx(1.0))
    assert (first.ratio, second.ratio) == (1.0, pytest.approx(0.25))
    assert second.agreement == 0.99


def test_what_cannot_be_loaded_is_left_out_and_the_rest_is_measured() -> None:
    def make(network: Network, options: EngineOptions) -> FakeRunner:
        if options.precision == "int8":
            raise EngineError("no pictures")
        return FakeRunner(options=options)

    tables, _ = compare(Case("cpu", "int8", 2), Case("cpu", "fp32", 1), make=make)
    assert tables[-1].skipped == (Skipped("cpu", "no pictures", "int8", 2),)
    assert [row.precision for row in tables[-1].rows] == ["fp32"]
    assert tables[-1].complete


def test_where_nothing_can_be_loaded_nothing_is_measured() -> None:
    def make(network: Network, options: EngineOptions) -> FakeRunner:
        raise EngineError("no memory")

    tables, _ = compare(Case("cpu", "fp32", 1), make=make)
    assert tables[-1].rows == ()
    assert not tables[-1].complete
    assert [one.reason for one in tables[-1].skipped] == ["no memory"]


def test_what_really_runs_as_another_row_is_measured_once() -> None:
    cases = (Case("cpu", "bf16", 1), Case("cpu", "auto", 1), Case("cpu", "bf16", 2))
    tables, engine = compare(*cases)
    assert [(row.precision, row.threads) for row in tables[-1].rows] == [("bf16", 1), ("bf16", 2)]
    (left,) = tables[-1].skipped
    assert (left.precision, left.reason) == ("auto", "runs as bf16, 1 thread, as measured")
    assert all(runner.closed.is_set() for runner in engine.runners)  # type: ignore[attr-defined]


def test_an_engine_without_threads_is_measured_once() -> None:
    def make(network: Network, options: EngineOptions) -> FakeRunner:
        runner = FakeRunner()
        runner._info = replace(runner.info, threads=0)
        return runner

    tables, _ = compare(Case("cpu", "fp32", 1), Case("cpu", "fp32", 2), make=make)
    assert [row.threads for row in tables[-1].rows] == [0]
    assert tables[-1].skipped == (Skipped("cpu", "takes no number of threads", "fp32", 2),)


def test_stopping_and_leaving_close_the_runners() -> None:
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 2

    tables, engine = compare(*(Case("cpu", "fp32", n) for n in (1, 2, 3)), stop=stop)
    assert len(engine.runners) == 2
    assert not tables[-1].complete
    assert all(runner.closed.is_set() for runner in engine.runners)  # type: ignore[attr-defined]
    other = FakeEngine("cpu")
    walk = iter(Comparison(make_network(), [Case("cpu", "fp32", 1)], TENSOR, fake_loader(other)))
    next(walk)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    (runner,) = other.runners
    assert runner.closed.is_set()  # type: ignore[attr-defined]


def test_an_engine_that_fails_while_it_is_timed_is_told() -> None:
    def make(network: Network, options: EngineOptions) -> FakeRunner:
        return FakeRunner(errors={4: InferenceError("lost the device")}, fails_from=4)

    engine = FakeEngine("cpu", make)
    with pytest.raises(InferenceError, match="lost the device"):
        list(Comparison(make_network(), [Case("cpu", "fp32", 1)], TENSOR, fake_loader(engine)))
    (runner,) = engine.runners
    assert runner.closed.is_set()  # type: ignore[attr-defined]


def test_descriptions() -> None:
    assert describe("bf16", 2) == "bf16, 2 threads"
    assert describe("bf16", 1) == "bf16, 1 thread"
    assert describe("fp32", 0) == "fp32"


def test_what_runs_in_another_process_tells_its_own_time() -> None:
    """The way there and back is no part of the engine's time."""
    runner = FakeRunner()
    task = one_answer(runner, np.zeros(runner.info.input_shape, np.float32))
    runner.spent_s = 0.25
    assert [len(t) for t in list(turns([task], 3, warmup=1))[-1]] == [3]
    assert list(turns([task], 2, warmup=0))[-1] == [[250.0, 250.0]]
    del runner.spent_s
    clock = iter(range(100))
    assert list(turns([task], 1, warmup=0, clock=lambda: float(next(clock))))[-1] == [[1000.0]]
