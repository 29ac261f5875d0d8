"""From which size of network on a GPU pays: the rule, and the climb on engines that pretend."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.networks import assembled
from twinlens.app.commands.crossover import record
from twinlens.app.core.measure.crossover import GPU, Climb, Parts, Point, Step, crossing
from twinlens.app.core.measure.ladder import Ladder
from twinlens.app.core.session.engines import EngineChoice
from twinlens.engine.api.protocol import ModelSpec, RunnerInfo
from twinlens.engine.errors import InferenceError
from twinlens.engine.image import Recipe
from twinlens.models.networks.ladder import Rung, ladder

CPU = "layers-cpu"
TITLES = {CPU: "Layers CPU", GPU: "Layers GPU", "vision": "Vision"}


def _points(times, adapter="Card, Vulkan, discrete"):
    """Points of {engine: {MACs: milliseconds}}."""
    return [
        Point(f"net-{macs}", macs, engine, TITLES[engine], adapter, 9, ms, ms)
        for engine, own in times.items()
        for macs, ms in own.items()
    ]


def test_the_crossing_lies_where_straight_lines_of_logarithms_meet():
    # CPU time grows as work; the GPU takes 1 ms whatever it is: both are 1 ms at 1000 MACs.
    points = _points({CPU: {100: 0.1, 10_000: 10.0}, GPU: {100: 1.0, 10_000: 1.0}})
    found = crossing(points)
    assert found.kind == "from"
    assert found.macs == pytest.approx(1000)
    assert found.ms == pytest.approx(1.0)
    assert (found.below, found.above) == ("net-100", "net-10000")


def test_the_best_other_engine_is_what_the_gpu_is_held_to():
    times = {CPU: {10: 5.0}, "vision": {10: 1.0}, GPU: {10: 2.0}}
    found = crossing(_points(times))
    assert (found.kind, found.rival, found.ratio) == ("never", "Vision", 2.0)


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        ({CPU: {10: 2.0, 20: 4.0}, GPU: {10: 1.0, 20: 1.0}}, "always"),
        ({CPU: {10: 2.0, 20: 4.0}, GPU: {10: 9.0, 20: 9.0}}, "never"),
        ({CPU: {10: 2.0}, GPU: {20: 1.0}}, "unknown"),
        ({CPU: {10: 2.0}}, "unknown"),
    ],
)
def test_where_there_is_no_crossing_it_says_which_way(times, kind):
    assert crossing(_points(times)).kind == kind


def test_a_lead_that_is_lost_again_counts_from_its_last_start():
    times = {CPU: {10: 2.0, 20: 1.0, 40: 4.0}, GPU: {10: 1.0, 20: 2.0, 40: 2.0}}
    found = crossing(_points(times))
    assert (found.below, found.above) == ("net-20", "net-40")


def test_an_adapter_that_is_the_processor_is_said_to_be():
    points = _points({CPU: {10: 1.0}, GPU: {10: 9.0}}, "llvmpipe, Vulkan, software")
    assert crossing(points).software
    points = _points({CPU: {10: 1.0}, GPU: {10: 9.0}}, "Card, Vulkan, discrete; 2 layers in NumPy")
    assert not crossing(points).software


def test_the_share_of_moving_data_is_of_the_whole_answer():
    point = Point("a", 1, GPU, "Layers GPU", "Card", 3, 2.0, 2.0, Parts(0.5, 1.0))
    assert point.transfer_share == 0.25
    assert replace(point, parts=None).transfer_share is None
    assert replace(point, parts=Parts(None, 1.0)).transfer_share is None


@dataclass
class _Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class _Runner:
    """Takes a time that grows with the network."""

    info: RunnerInfo
    clock: _Clock
    seconds: float
    fails: bool = False
    profile: bool = False
    closed: list[str] = field(default_factory=list)

    def run(self, tensor):
        if self.fails:
            raise InferenceError("the device is gone")
        self.clock.now += self.seconds
        return np.zeros(self.info.output_width, np.float32)

    def timings(self):
        return SimpleNamespace(upload_ms=0.1, readback_ms=0.2, compute_ms=0.5)

    def close(self):
        self.closed.append(self.info.engine_id)


def _rungs(*sizes):
    recipe = Recipe(width=4, height=4)
    spec = ModelSpec("net", "Net", recipe, ("a", "b"))
    return [
        Rung(f"net-{n}", f"Net {n}", n, assembled(None, replace(spec, id=f"net-{n}")))
        for n in sizes
    ]


def _climb(sizes, seconds, engines=(CPU, GPU), **settings):
    clock, closed = _Clock(), []
    rungs = _rungs(*sizes)

    def load(network, engine_id, options):
        spec = network.spec
        if engine_id not in seconds:
            raise InferenceError(f"{engine_id} does not take {spec.id}")
        info = RunnerInfo(engine_id, TITLES[engine_id], "it", "fp32", 1, (1, 3, 4, 4), 2)
        macs = next(rung.macs for rung in rungs if rung.network.spec.id == spec.id)
        runner = _Runner(info, clock, seconds[engine_id](macs), closed=closed)
        runner.fails = settings_fail(spec)
        return runner

    def settings_fail(spec):
        return spec.id == settings.get("fails")

    choices = [EngineChoice(name, TITLES[name], None) for name in engines]
    extra = {k: v for k, v in settings.items() if k != "fails"}
    ladder_ = Ladder(rungs, choices, load, 1, clock=clock, **extra)
    *_, last = ladder_
    return last, closed


def test_each_engine_is_timed_on_each_rung_and_closed():
    last, closed = _climb((100, 10_000), {CPU: lambda n: n * 1e-6, GPU: lambda n: 1e-3}, rounds=7)
    assert last.complete
    assert [(p.rung, p.engine) for p in last.points] == [
        ("net-100", CPU),
        ("net-100", GPU),
        ("net-10000", CPU),
        ("net-10000", GPU),
    ]
    assert last.points[0].median_ms == pytest.approx(0.1)
    assert crossing(last.points).macs == pytest.approx(1000)
    assert sorted(closed) == sorted([CPU, GPU] * 2)
    assert last.points[1].parts == Parts(pytest.approx(0.3), 0.5)


def test_an_engine_that_would_take_too_long_is_left_out_with_what_was_expected():
    seconds = {CPU: lambda n: n * 1e-6, GPU: lambda n: n * 1e-3}
    last, _ = _climb((100, 10_000), seconds, slowest_ms=500.0, rounds=5)
    assert [p.engine for p in last.points] == [CPU, GPU, CPU]
    (left,) = last.left_out
    assert (left.engine, left.rung) == (GPU, "net-10000")
    assert "10.0 s" in left.reason


def test_a_failing_rung_is_told_and_the_next_one_measured():
    seconds = {CPU: lambda n: 1e-3}
    last, _ = _climb((1, 2), seconds, engines=(CPU,), fails="net-1", rounds=5)
    assert [p.rung for p in last.points] == ["net-2"]
    assert "the device is gone" in last.left_out[0].reason


def test_it_stops_when_told():
    seconds = {CPU: lambda n: 1e-3}
    last, closed = _climb((1, 2), seconds, engines=(CPU,), stop=lambda: True)
    assert not last.complete
    assert last.points == ()
    assert closed == []


def test_the_record_has_the_crossing():
    points = _points({CPU: {10: 2.0}, GPU: {10: 1.0}})
    climb = Climb((Step("net-10", "Net", 10),), tuple(points), done=1)
    told = record(climb, crossing(climb.points))
    assert told["crossing"]["kind"] == "always"
    assert [row["engine"] for row in told["results"]] == [CPU, GPU]


def test_the_ladder_rises_and_its_networks_have_numbers():
    rungs = ladder()
    macs = [rung.macs for rung in rungs]
    assert macs == sorted(macs)
    assert len({rung.id for rung in rungs}) == len(rungs) >= 6
    smallest, graph = rungs[0].network.spec, rungs[0].network.graph
    (shape,) = graph.inputs.values()
    assert shape == smallest.recipe.input_shape
    x = np.random.default_rng(0).standard_normal(shape)
    (answer,) = graph.run({next(iter(graph.inputs)): x}).values()
    assert np.isfinite(answer).all()
    assert answer.size == len(smallest.labels)
