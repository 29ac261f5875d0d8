"""The fastest engine, found on engines that pretend and a clock that is told."""

from __future__ import annotations

import pytest

from helpers.fakes import FakeClock, FakeRunner, make_network
from twinlens.app.core.measure.auto import RUNS, WARMUP, find_fastest
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import EngineError, InferenceError

ENGINES = [(name, EngineOptions()) for name in ("slow", "fast", "broken")]


class Machine:
    """Engines that take 4 ms and 1 ms, and one that does not load."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.runners: list[FakeRunner] = []
        self.rests: list[bool] = []
        self.fails = ""

    def load(self, network: Network, engine_id: str, options: EngineOptions) -> FakeRunner:
        if engine_id == "broken":
            raise EngineError("no such layer")

        def answer(tensor: object) -> tuple[float, ...]:
            self.clock.advance(0.004 if engine_id == "slow" else 0.001)
            return (1.0, 0.0, 0.0)

        errors = {5: InferenceError("lost the device")} if engine_id == self.fails else {}
        runner = FakeRunner(answer, engine_id=engine_id, options=options, errors=dict(errors))
        self.runners.append(runner)
        return runner


def test_the_fastest_comes_first_and_what_does_not_load_is_left_out() -> None:
    machine = Machine()
    network = make_network()
    found = find_fastest(
        network, ENGINES, machine.load, rest=machine.rests.append, clock=machine.clock
    )
    assert found is not None
    assert found.network is network
    assert [one.engine_id for one in found.times] == ["fast", "slow"]
    assert [one.median_ms for one in found.times] == [pytest.approx(1.0), pytest.approx(4.0)]
    assert found.best.title == "Fast"
    assert machine.rests == [True, False]
    assert [runner.runs for runner in machine.runners] == [RUNS + WARMUP] * 2
    assert all(runner.closed.is_set() for runner in machine.runners)


def test_where_nothing_loads_all_reasons_are_told() -> None:
    with pytest.raises(EngineError, match="no such layer"):
        find_fastest(make_network(), ENGINES[2:], Machine().load)


def test_a_failing_engine_ends_it_and_answers_go_on() -> None:
    machine = Machine()
    machine.fails = "slow"
    with pytest.raises(InferenceError, match="lost the device"):
        find_fastest(make_network(), ENGINES, machine.load, rest=machine.rests.append)
    assert machine.rests == [True, False]
    assert all(runner.closed.is_set() for runner in machine.runners)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_stopping_closes_what_was_loaded(after: int) -> None:
    machine, asked = Machine(), [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > after

    assert find_fastest(make_network(), ENGINES, machine.load, stop=stop) is None
    assert all(runner.closed.is_set() for runner in machine.runners)
