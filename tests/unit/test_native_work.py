"""What native code runs: known while it does, in whatever thread."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from helpers.cpu_check import some_inputs
from helpers.cpu_nets import everything
from twinlens.engine.native import native_work, running_work
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.run.program import Options, Program


def test_work_is_known_while_it_runs_and_forgotten_when_it_fails():
    before = running_work()
    with native_work("one"), native_work("two"):
        assert set(running_work()) >= {"one", "two"}
    with pytest.raises(ValueError, match="broken"), native_work("three"):
        raise ValueError("broken")
    assert not {"one", "two", "three"} & set(running_work())
    assert len(running_work()) <= len(before)


def test_a_compilation_and_a_run_are_known_to_other_threads(monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    compile_object = compiler.compile_object

    def slow(*given):
        inside.set()
        go_on.wait(60)
        return compile_object(*given)

    monkeypatch.setattr(compiler, "compile_object", slow)
    made: list[Program] = []
    graph = everything(2)
    loader = threading.Thread(target=lambda: made.append(Program(graph, Options(use_cache=False))))
    loader.start()
    assert inside.wait(60)
    assert f"layers-cpu compiles {graph.name}" in running_work()
    go_on.set()
    loader.join()
    assert running_work() == ()
    with closing(made[0]) as program:
        seen: list[tuple[str, ...]] = []
        run = program.machine.run

        def watched(*given):
            seen.append(running_work())
            run(*given)

        program.machine.run = watched
        program.run(some_inputs(graph, 0))
    assert seen
    assert all(f"layers-cpu runs {graph.name}" in each for each in seen)
    assert running_work() == ()
