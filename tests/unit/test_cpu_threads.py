"""Threads of compiled programs: the same bits, no leftovers, no burning, nobody held up."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.cpu_check import Layers, can, isas, poison, ranges_of, some_inputs
from helpers.cpu_nets import Weights, conv, everything
from twinlens.engine.errors import InferenceError
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import LocalResponseNorm
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.codegen.driver import FIRST, GO, LAST, RANGE, THREADS
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.run.program import Options, Program

RUNS = 250
#: More than anything here takes on a busy machine.
DEADLINE_S = 30


@contextmanager
def busy_neighbours(count: int = 2) -> Iterator[None]:
    """Processes that hold processors, as other programs do."""
    # They end by themselves, should this process not live to end them.
    code = (
        "import time; end = time.monotonic() + 60; print('busy', flush=True)\n"
        "while time.monotonic() < end: pass"
    )
    with ExitStack() as running:
        for _ in range(count):
            process = running.enter_context(
                subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            )
            running.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        yield


def heavy(layers: int = 12, channels: int = 64, size: int = 48) -> Graph:
    """Some hundred million multiply-adds."""
    weights, net = Weights(0), Layers(x=(1, channels, size, size))
    name = "x"
    for _ in range(layers):
        name = net.add(conv(weights, channels, channels, pads=(1, 1, 1, 1)), name)
    return optimize(net.graph())


def all_of_it(program: Program) -> None:
    """Use every thread in every run, also where one would be faster."""
    program._pace._adapts = False


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_any_number_of_threads_gives_the_same_bits_beside_busy_processes(threads, precision):
    isa = isas()[0]
    if not can(isa, precision):
        pytest.skip(f"{isa.title} here does not compute in {precision}")
    # Large enough that its kernels are cut into parts, with layers in NumPy between kernels.
    graph = everything(1, size=(61, 58))
    inputs = [some_inputs(graph, seed) for seed in range(4)]
    ranges = ranges_of(graph, inputs[0]) if precision == "int8" else None
    with closing(Program(graph, Options(precision, 1, ranges), isa)) as alone:
        expected = [alone.run(x) for x in inputs]
    with (
        closing(Program(graph, Options(precision, threads, ranges), isa)) as together,
        busy_neighbours(),
    ):
        all_of_it(together)
        poison(together)
        for turn in range(RUNS):
            answers = together.run(inputs[turn % 4])
            for name, answer in expected[turn % 4].items():
                np.testing.assert_array_equal(answers[name], answer)


def test_a_late_helper_leaves_the_next_run_alone():
    # Two ranges of kernels with a layer in NumPy between them: two runs, each with its range.
    weights, net = Weights(0), Layers(x=(1, 8, 40, 40))
    first = net.add(conv(weights, 8, 48, (5, 5)), "x")
    graph = net.graph(net.add(conv(weights, 48, 48, (5, 5)), net.add(LocalResponseNorm(3), first)))
    x = some_inputs(graph, 0)
    with closing(Program(graph, Options(threads=2))) as program:
        all_of_it(program)
        program.run(x)
        # From now on this thread is all there is: it plays the helper that comes late.
        program._helpers.close()
        program._helpers = None
        program.run(x)
        before, behind = (part for part in program._segments if isinstance(part, tuple))
        state = program._state.view(np.int64)
        arguments = program._table_address, program._state_address
        program.machine.run(*arguments, 2, *before)
        number = int(state[GO // 8])
        # The next run's range stands there already, its number does not.
        place = RANGE * ((number + 1) % 2)
        for offset, value in zip((FIRST, LAST, THREADS), (*behind, 2), strict=True):
            state[(place + offset) // 8] = value
        program._arena[...] = 0x55
        seen = program.machine.serve(*arguments, 1, number - 1, 1)
        assert seen == number
        assert (program._arena == 0x55).all(), "kernels of the next run were computed"


def test_no_thread_outlives_its_program():
    graph = everything(2)
    program = Program(graph, Options(threads=3))
    program.run(some_inputs(graph, 0))
    helpers = [t for t in threading.enumerate() if t.name.startswith("twinlens-layers")]
    assert len(helpers) == 2
    program.close()
    program.close()
    assert not any(thread.is_alive() for thread in helpers)


def test_a_forgotten_program_is_collected_with_its_threads():
    graph = everything(2)
    program = Program(graph, Options(threads=3))
    program.run(some_inputs(graph, 0))
    helpers = [t for t in threading.enumerate() if t.name.startswith("twinlens-layers")]
    gone = weakref.ref(program)
    del program
    gc.collect()
    assert gone() is None
    for thread in helpers:
        thread.join(DEADLINE_S)
    assert not any(thread.is_alive() for thread in helpers)


@contextmanager
def held_helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Program]]:
    """Programs whose helpers are held in generated code, as long as this lasts."""
    let_go, inside = threading.Event(), threading.Semaphore(0)
    load = compiler.load_object

    def held(*_: int) -> int:
        inside.release()
        let_go.wait()
        return 0

    def loaded(data: bytes, isa: Isa) -> compiler.Machine:
        return replace(load(data, isa), serve=held)

    def make() -> Program:
        program = Program(everything(2), Options(threads=3))
        for _ in range(2):
            assert inside.acquire(timeout=DEADLINE_S)
        return program

    monkeypatch.setattr(compiler, "load_object", loaded)
    try:
        yield make
    finally:
        let_go.set()
        for thread in threading.enumerate():
            if thread.name.startswith("twinlens-layers"):
                thread.join(DEADLINE_S)
                assert not thread.is_alive()


def test_a_finaliser_waits_for_nobody(monkeypatch):
    with held_helpers(monkeypatch) as make:
        programs = [make()]

        def forget() -> None:
            programs.clear()
            gc.collect()

        collector = threading.Thread(target=forget, daemon=True)
        collector.start()
        collector.join(DEADLINE_S)
        waited = collector.is_alive()
    assert not waited


def test_closing_does_not_wait_for_ever(monkeypatch):
    with held_helpers(monkeypatch) as make:
        closer = threading.Thread(target=make().close, daemon=True)
        closer.start()
        closer.join(DEADLINE_S)
        waited = closer.is_alive()
    assert not waited


def test_a_process_ends_whatever_its_helpers_do():
    code = (
        "from dataclasses import replace\n"
        "import threading, time\n"
        "from helpers.cpu_nets import everything\n"
        "from twinlens.engine.targets.cpu.codegen import compiler\n"
        "from twinlens.engine.targets.cpu.run.program import Options, Program\n"
        "load, inside = compiler.load_object, threading.Event()\n"
        "def held(*_):\n"
        "    inside.set()\n"
        "    time.sleep(600)\n"
        "compiler.load_object = lambda *given: replace(load(*given), serve=held)\n"
        "program = Program(everything(2), Options(threads=2))\n"
        "inside.wait()\n"
    )
    ended = _ended(code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_that_forgot_to_close_ends_in_peace():
    code = (
        "from helpers.cpu_check import some_inputs\n"
        "from helpers.cpu_nets import everything\n"
        "from twinlens.engine.targets.cpu.run.program import Options, Program\n"
        "graph = everything(2)\n"
        "program = Program(graph, Options(threads=4))\n"
        "program._pace._adapts = False\n"
        "program.run(some_inputs(graph, 0))\n"
    )
    for _ in range(5):
        ended = _ended(code)
        assert (ended.returncode, ended.stderr) == (0, "")


def _ended(code: str) -> subprocess.CompletedProcess[str]:
    """A Python process that has run to its end."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_closing_waits_for_a_run():
    graph = heavy()
    x = some_inputs(graph, 0)
    program = Program(graph, Options(threads=2))
    expected = program.run(x)[graph.outputs[0]]
    started = threading.Event()
    answers: list[object] = []
    refused: list[str] = []

    def run() -> None:
        started.set()
        try:
            answers.append(program.run(x)[graph.outputs[0]])
        except InferenceError as why:
            refused.append(why.message)

    runner = threading.Thread(target=run)
    runner.start()
    started.wait()
    program.close()
    runner.join()
    # Whichever came first: a whole run, or a word that it is too late.
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)
    assert len(answers) + len(refused) == 1


def test_helpers_sleep_when_there_is_nothing_to_do():
    graph = everything(2)
    with closing(Program(graph, Options(threads=4))) as program:
        all_of_it(program)
        program.run(some_inputs(graph, 0))
        time.sleep(0.2)
        start = time.process_time()
        time.sleep(0.5)
        # Three threads that spin would take 1.5 s, or all of two processors: 1 s.
        assert time.process_time() - start < 0.2


def test_other_python_threads_go_on_during_a_run():
    graph = heavy()
    x = some_inputs(graph, 0)
    called, came = threading.Event(), threading.Event()

    def wait_and_tell() -> None:
        called.wait()
        came.set()

    with closing(Program(graph, Options())) as program:
        program.run(x)
        other = threading.Thread(target=wait_and_tell)
        other.start()
        original = program.machine.run

        def run(*arguments: int) -> None:
            called.set()
            # Usually the first call is long enough; a busy machine may need more.
            for _ in range(200):
                original(*arguments)
                if came.is_set():
                    break

        # The interpreter takes the lock away from a thread after this time at the earliest, so
        # that the other one can only come while a call has let go of it.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(60)
        try:
            program.machine.run = run
            program.run(x)
            seen = came.is_set()
        finally:
            sys.setswitchinterval(interval)
            called.set()
            other.join()
        assert seen
