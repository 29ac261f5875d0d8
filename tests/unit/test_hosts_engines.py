"""Networks in hosts: they answer as here, and whatever a host does is one error here."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.hosted import BAD, descriptors, exists, hosts, picture, small, until
from twinlens.app.cli import COMMANDS
from twinlens.app.core.hosts import early
from twinlens.app.core.hosts.arena import Arena
from twinlens.app.core.hosts.distrust import Distrust
from twinlens.app.core.hosts.engines import HostedRunner
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.app.core.workers import CancelToken, Workers
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.cancel import cancel_scope
from twinlens.engine.errors import (
    CancelledError,
    DistrustedError,
    EngineError,
    EngineStoppedError,
    InferenceError,
    UnsupportedOperatorError,
)

CPU = "layers-cpu"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
OPTIONS = EngineOptions()


def bad(title: str, **options: Any) -> Any:
    return hosts(command=BAD, **options), small(title)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    logging.getLogger("twinlens.app.core.hosts").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("twinlens.app.core.hosts").setLevel(logging.NOTSET)


@pytest.mark.parametrize("engine", [CPU, "vision"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_network_answers_as_it_does_here(
    engine: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shared:
        monkeypatch.setattr(Arena, "make", lambda: None)
    network = small()
    here = registry.load(network, engine)
    with hosts() as made:
        there = made.load(network, engine, OPTIONS)
        assert there.info == here.info
        for seed in range(3):
            assert np.array_equal(there.run(picture(seed)), here.run(picture(seed)))
        answer = there.run(picture())
        answer += 1  # its own
        there.close()
        there.close()
        with pytest.raises(InferenceError, match="closed"):
            there.run(picture())
    here.close()


def test_what_an_engine_refuses_is_refused_in_its_words() -> None:
    with hosts() as made:
        for options, engine in ((EngineOptions(precision="fp8"), CPU), (OPTIONS, "nothing")):
            with pytest.raises(EngineError) as there:
                made.load(small(), engine, options)
            with pytest.raises(EngineError) as here:
                registry.load(small(), engine, options)
            assert type(there.value) is type(here.value)
            assert there.value.message == here.value.message
            assert there.value.hint == here.value.hint
        runner = made.load(small(), CPU, OPTIONS)
        with pytest.raises(InferenceError, match="is required"):
            runner.run(np.zeros((1, 3, 4, 4), np.float32))
        assert runner.run(picture()).shape == (3,)  # and goes on
        runner.close()


def test_engines_are_as_a_host_finds_them() -> None:
    from twinlens.app.core.session.engines import engine_choices

    with hosts() as made:
        assert made.choices() == engine_choices()


# --- faults --------------------------------------------------------------------------------------

RUNS = {
    "abort run": "was ended by SIGABRT: LLVM ERROR: out of registers",
    "crash run": "was ended by SIGSEGV",
    "exit run": "ended with status 3",
}


@posix
@pytest.mark.parametrize("act", RUNS)
def test_a_host_that_ends_while_it_runs_is_one_error(act: str) -> None:
    made, network = bad(act)
    with made as owner:
        runner = owner.load(network, CPU, OPTIONS)
        for _ in range(3):
            runner.run(picture())
        begun_s = time.monotonic()
        with pytest.raises(EngineStoppedError, match="Layers CPU stopped: its process ") as error:
            runner.run(picture())
        assert time.monotonic() - begun_s < 3
        assert RUNS[act] in error.value.message
        with pytest.raises(EngineStoppedError):
            runner.run(picture())
        runner.close()
        until(lambda: not owner.keeper.hosts)


@posix
@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("abort load", "SIGABRT: LLVM ERROR"),
        ("exit load", "status 3"),
    ],
)
def test_a_host_that_ends_while_it_loads_is_one_error(act: str, words: str) -> None:
    made, network = bad(act)
    with made as owner:
        with pytest.raises(EngineStoppedError, match=words):
            owner.load(network, CPU, OPTIONS)
        until(lambda: not owner.keeper.hosts)


@posix
def test_a_host_that_is_killed_is_one_error() -> None:
    with hosts() as owner:
        runner = owner.load(small(), CPU, OPTIONS)
        runner.run(picture())
        os.kill(runner.host.pid, signal.SIGKILL)
        with pytest.raises(EngineStoppedError, match="was killed"):
            runner.run(picture())


@posix
def test_a_host_that_hangs_is_ended_by_its_own_measure() -> None:
    made, network = bad("sleep run")
    with made as owner:
        runner = owner.load(network, CPU, OPTIONS)
        assert runner.limit_s is None
        for _ in range(3):
            runner.run(picture())
        assert 1.5 <= runner.limit_s < 2.5
        begun_s = time.monotonic()
        with pytest.raises(EngineStoppedError, match="did not answer within"):
            runner.run(picture())
        assert time.monotonic() - begun_s < runner.limit_s + 2


@posix
def test_a_host_that_is_stopped_is_ended() -> None:
    with hosts() as owner:
        runner = owner.load(small(), CPU, OPTIONS)
        for _ in range(3):
            runner.run(picture())
        os.kill(runner.host.pid, signal.SIGSTOP)
        with pytest.raises(EngineStoppedError, match="did not answer within"):
            runner.run(picture())
        assert not exists(runner.host.pid) or until(lambda: not exists(runner.host.pid)) < 2


@posix
def test_a_host_that_is_stopped_while_it_loads_is_ended() -> None:
    made, network = bad("sleep load")
    with made as owner, pytest.raises(EngineStoppedError, match=r"no sign of life for [34] s"):
        stop = threading.Timer(1.5, lambda: os.kill(owner.keeper.hosts[0].pid, signal.SIGSTOP))
        stop.start()
        try:
            owner.load(network, CPU, OPTIONS)
        finally:
            stop.join()


def test_a_host_that_works_long_is_left_to_work() -> None:
    """Loading has no limit, as long as the host shows that it lives; cancelling ends it."""
    made, network = bad("sleep load")
    token = CancelToken()
    with made as owner:
        timer = threading.Timer(4.5, token.cancel)
        timer.start()
        begun_s = time.monotonic()
        with cancel_scope(token), pytest.raises(CancelledError):
            owner.load(network, CPU, OPTIONS)
        assert 4.4 < time.monotonic() - begun_s < 6
        timer.join()
        until(lambda: not owner.keeper.hosts)


@linux
def test_a_host_that_takes_too_much_memory_is_one_error() -> None:
    for when in ("load", "run"):
        made, network = bad(f"eat {when}", memory=600 << 20)
        with made as owner, pytest.raises(EngineStoppedError, match="memory"):
            runner = owner.load(network, CPU, OPTIONS)
            for _ in range(4):
                runner.run(picture())


def test_answers_of_another_shape_are_refused() -> None:
    made, network = bad("wide run")
    with made as owner:
        runner = owner.load(network, CPU, OPTIONS)
        for _ in range(3):
            runner.run(picture())
        with pytest.raises(InferenceError, match=r"answered 5 values .* expected \(3,\)"):
            runner.run(picture())


def test_errors_of_engines_stay_what_they_are() -> None:
    made, network = bad("refuse load")
    with made as owner:
        with pytest.raises(UnsupportedOperatorError) as refused:
            owner.load(network, CPU, OPTIONS)
        assert (refused.value.operators, refused.value.hint) == ({"Foo": 2}, "leave it out")
        for act, words in (("fail run", "the kernel failed"), ("bug run", "ZeroDivisionError: oh")):
            runner = owner.load(small(act), CPU, OPTIONS)
            for _ in range(3):
                runner.run(picture())
            with pytest.raises(InferenceError, match=words):
                runner.run(picture())
            runner.close()


def test_what_a_library_prints_comes_between_nothing() -> None:
    made, network = bad("print run")
    with made as owner:
        runner = owner.load(network, CPU, OPTIONS)
        assert all(runner.run(picture()).shape == (3,) for _ in range(6))


# --- life ----------------------------------------------------------------------------------------


@linux
def test_nothing_is_left_behind() -> None:
    before, shared = descriptors(), sorted(Path("/dev/shm").iterdir())
    with hosts(spare=True) as owner:
        for _ in range(3):
            owner.load(small(), CPU, OPTIONS).close()
        made = owner.load(small(), CPU, OPTIONS)
        made.run(picture())
    assert descriptors() == before
    assert sorted(Path("/dev/shm").iterdir()) == shared


def test_a_spare_one_waits_and_is_replaced() -> None:
    with hosts(spare=True) as owner:
        owner.begin()
        first = owner._spare
        assert first is not None
        first.wait_ready()
        runner = owner.load(small(), CPU, OPTIONS)
        assert isinstance(runner, HostedRunner)
        assert runner.host is first
        until(lambda: owner._spare not in (None, first))
        # One that died meanwhile is passed over.
        owner._spare.end()
        other = owner.load(small(), CPU, OPTIONS)
        assert other.run(picture()).shape == (3,)


@posix
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_spare_one_that_came_to_harm_is_passed_over_and_no_model_blamed(number: int) -> None:
    distrust = Distrust(None)
    with hosts(spare=True, distrust=distrust) as owner:
        owner.begin()
        spare = owner._spare
        spare.wait_ready()
        os.kill(spare.pid, number)
        runner = owner.load(small(), CPU, OPTIONS)
        assert runner.host is not spare
        assert runner.run(picture()).shape == (3,)
        until(lambda: not exists(spare.pid))
        distrust.check(small(), CPU)


@posix
@pytest.mark.parametrize("shared", [True, False])
def test_a_host_that_ends_while_nobody_asks_is_one_error_later(
    monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    if not shared:
        monkeypatch.setattr("twinlens.app.core.hosts.process.Arena.make", lambda: None)
    with hosts() as owner:
        runner, second = (owner.load(small(), CPU, OPTIONS) for _ in range(2))
        runner.run(picture())
        for host in (runner.host, second.host):
            os.kill(host.pid, signal.SIGKILL)
        until(lambda: not owner.keeper.hosts)  # they are buried
        for one in (runner, second):  # one that has had a picture, and one that has not
            with pytest.raises(EngineStoppedError, match="was killed"):
                one.run(picture())


def test_what_is_measured_shares_a_host_that_goes_with_the_last() -> None:
    with hosts() as owner:
        one, two = (owner.measure(small(), CPU, EngineOptions(threads=n)) for n in (1, 2))
        assert one.host is two.host
        one.close()
        assert two.run(picture()).shape == (3,)
        two.close()
        until(lambda: not owner.keeper.hosts)


def test_loading_can_be_given_up_by_ending_all() -> None:
    made, network = bad("sleep load")
    with made as owner:
        timer = threading.Timer(1.0, owner.request_stop)
        timer.start()
        with pytest.raises(CancelledError):
            owner.load(network, CPU, OPTIONS)
        with pytest.raises(CancelledError):
            owner.load(network, CPU, OPTIONS)
        timer.join()


def test_a_worker_that_is_asked_to_end_ends_its_host() -> None:
    made, network = bad("sleep load")
    workers = Workers()
    with made as owner:
        workers.start("loading", lambda token: owner.load(network, CPU, OPTIONS))
        until(lambda: bool(owner.keeper.hosts))
        assert workers.stop(2.0) == ()
        until(lambda: not owner.keeper.hosts)


PARENT = """
import sys
sys.path[:0] = {path!r}
from helpers.hosted import BAD, picture, small
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.engine.api.protocol import EngineOptions
import threading
idle = Hosts(command=BAD)
idle.begin()
busy = Hosts(command=BAD, spare=False)
runner = busy.load(small("sleep run"), "layers-cpu", EngineOptions())
runner._times.append(1e6); runner._times.append(1e6)
for _ in range(3):
    runner.run(picture())
print(idle._spare.pid, runner.host.pid, flush=True)
runner.run(picture())
"""


@posix
def test_hosts_end_with_a_parent_that_was_killed() -> None:
    code = textwrap.dedent(PARENT.format(path=sys.path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.2)
        parent.kill()
        parent.wait()
    assert until(lambda: not any(map(exists, pids))) < 2


# --- distrust ------------------------------------------------------------------------------------


def test_a_model_that_ended_its_host_is_asked_about_for_a_day(tmp_path: Path) -> None:
    now = [1e9]
    file = tmp_path / "distrusted.json"
    model = tmp_path / "net.onnx"
    model.write_bytes(b"one")
    network = small("abort load")
    network = type(network)(network.spec, network.source, model)
    good = type(network)(small().spec, small().source, tmp_path / "good.onnx")
    (tmp_path / "good.onnx").write_bytes(b"two")
    distrust = Distrust(file, lambda: now[0])
    with hosts(command=BAD, distrust=distrust) as owner:
        with pytest.raises(EngineStoppedError):
            owner.load(network, CPU, OPTIONS)
        with pytest.raises(DistrustedError, match="abort load stopped Layers CPU today"):
            owner.load(network, CPU, OPTIONS)
        until(lambda: owner.keeper.alive == 0)
        distrust.check(network, "vision")  # which may do better
        owner.load(good, CPU, OPTIONS).close()  # as large, but another
        again = Distrust(file, lambda: now[0])
        with pytest.raises(DistrustedError):
            again.check(network, CPU)
        now[0] += 23 * 3600
        with pytest.raises(DistrustedError):
            again.check(network, CPU)
        now[0] += 2 * 3600
        again.check(network, CPU)
        now[0] -= 20 * 3600
        distrust.forgive(network)
        Distrust(file, lambda: now[0]).check(network, CPU)
        with pytest.raises(EngineStoppedError):
            owner.load(network, CPU, OPTIONS)


def test_a_model_that_was_given_up_is_trusted(tmp_path: Path) -> None:
    distrust = Distrust(tmp_path / "distrusted.json")
    made, network = bad("sleep load", distrust=distrust)
    with made as owner:
        timer = threading.Timer(1.0, owner.keeper.request_stop)
        timer.start()
        with pytest.raises(CancelledError):
            owner.load(network, CPU, OPTIONS)
        timer.join()
    distrust.check(network, CPU)
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_model_that_ran_well_is_suspected_at_the_second_time() -> None:
    distrust = Distrust(None)
    made, network = bad("abort run", distrust=distrust)
    with made as owner:
        for _ in range(2):
            runner = owner.load(network, CPU, OPTIONS)
            for _ in range(3):
                runner.run(picture())
            with pytest.raises(EngineStoppedError):
                runner.run(picture())
        with pytest.raises(DistrustedError):
            owner.load(network, CPU, OPTIONS)


@posix
def test_a_model_whose_host_somebody_else_killed_is_trusted() -> None:
    distrust = Distrust(None)
    with hosts(distrust=distrust) as owner:
        for _ in range(3):
            runner = owner.load(small(), CPU, OPTIONS)
            os.kill(runner.host.pid, signal.SIGKILL)
            with pytest.raises(EngineStoppedError):
                runner.run(picture())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [1, 2]}', '{"a": ["x", 2, 3]}'])
def test_what_is_kept_and_damaged_is_forgotten(tmp_path: Path, text: str) -> None:
    file = tmp_path / "distrusted.json"
    file.write_text(text)
    Distrust(file).check(small(), CPU)


def test_hosts_that_cannot_be_started_are_one_error() -> None:
    with hosts(command=["/nothing/here"]) as owner:
        with pytest.raises(EngineError, match="no process can be started"):
            owner.load(small(), CPU, OPTIONS)
        assert owner.keeper.hosts == ()


def test_hosts_end_once_and_start_no_more() -> None:
    owner = Hosts(spare=False)
    assert owner.stop(2.0)
    assert owner.stop(2.0)
    with pytest.raises(CancelledError):
        owner.load(small(), CPU, OPTIONS)


# --- reading models ------------------------------------------------------------------------------


def test_a_model_is_read_where_it_is_loaded(tmp_path: Path) -> None:
    from helpers.tiny_nets import tiny_classifier
    from twinlens.models.identify.resolve import resolve

    path = tiny_classifier(tmp_path / "net.onnx", 5)
    labels = tmp_path / "names.txt"
    labels.write_text("a\nb\nc\nd\ne\n")
    here = resolve(str(path), labels=labels)
    x = np.zeros(here.spec.recipe.input_shape, np.float32)
    with hosts() as owner:
        there = owner.resolve(str(path), labels=labels)
        assert there.spec == here.spec
        assert (there.path, there.onnx) == (here.path, here.onnx)
        host = owner._read[there.source]
        for engine in (CPU, "vision"):
            runner, own = owner.load(there, engine, OPTIONS), registry.load(here, engine)
            assert np.array_equal(runner.run(x), own.run(x))
            assert (runner.host is host) == (engine == CPU)  # then it has one of its own
            own.close()
        assert not there.source.made
        assert there.graph.summary() == here.graph.summary()
        # Made here by now, it goes as it is, whatever has become of the file.
        path.write_bytes(b"")
        again = owner.load(there, CPU, OPTIONS)
        assert np.allclose(again.run(x), runner.run(x), atol=1e-6)


def test_what_cannot_be_read_is_refused_in_its_words(tmp_path: Path) -> None:
    from twinlens.engine.errors import ModelError
    from twinlens.models.identify.resolve import resolve

    (tmp_path / "broken.onnx").write_bytes(b"nothing" * 9)
    with hosts() as owner:
        for name in ("no-such-model", str(tmp_path / "broken.onnx")):
            with pytest.raises(ModelError) as there:
                owner.resolve(name)
            with pytest.raises(ModelError) as here:
                resolve(name)
            assert type(there.value) is type(here.value)
            assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)
        until(lambda: not owner.keeper.hosts)


def test_a_file_that_has_changed_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    from helpers.tiny_nets import tiny_classifier
    from twinlens.engine.errors import ModelFileError

    path = tiny_classifier(tmp_path / "net.onnx", 5)
    with hosts() as owner:
        network = owner.resolve(str(path))
        owner.load(network, CPU, OPTIONS).close()  # by who has read it
        tiny_classifier(path, 7)
        with pytest.raises(ModelFileError, match="has changed since it was chosen"):
            owner.load(network, CPU, OPTIONS)


def test_a_network_that_nobody_keeps_takes_its_host_with_it() -> None:
    import gc

    with hosts() as owner:
        network = owner.resolve("twinlens-208")
        assert owner.keeper.alive == 1
        del network
        gc.collect()
        until(lambda: not owner.keeper.hosts)


def test_networks_of_the_ladder_are_made_in_the_host() -> None:
    from twinlens.models.networks.ladder import ladder

    rung = ladder()[0]
    with hosts() as owner:
        runner = owner.measure(rung.network, CPU, OPTIONS)
        assert not rung.network.source.made
        x = np.ones(rung.network.spec.recipe.input_shape, np.float32)
        own = registry.load(rung.network, CPU)
        assert np.array_equal(runner.run(x), own.run(x))
        own.close()
        runner.close()


# --- the first ones ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "starts"),
    [
        ([], True),
        (["--source", "clip"], True),
        (["run", "--source", "clip"], True),
        (["run", "--headless"], False),
        (["--one-process"], False),
        (["--terminal"], False),
        (["--version"], False),
        (["classify", "a.jpg"], False),
    ],
)
def test_the_first_ones_start_with_the_words_that_mean_the_window(
    words: list[str], starts: bool
) -> None:
    early.begin_for(words, tuple(COMMANDS))
    try:
        assert (set(early._first) == {"engines", "source"}) == starts
        assert bool(early._first) == starts
        pids = [host.pid for host in early._first.values()]
    finally:
        early.drop_first()
    assert early.take_first("engines") is None
    assert not any(map(exists, pids))
