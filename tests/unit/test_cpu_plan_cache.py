"""Compiled plans on disk: taken when they fit, made again when they do not, and nothing else."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cpu_check import Layers, can, isa_named, isas, ranges_of, some_inputs
from helpers.cpu_nets import Weights, conv
from helpers.cpu_variants import samples, variants
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Flatten, Linear, MaxPool2d, ReLU, Softmax
from twinlens.engine.targets import cache
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.codegen.isa import Isa, detect
from twinlens.engine.targets.cpu.run.program import Options, Program


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """An empty folder for plans."""
    folder = tmp_path / "plans"
    monkeypatch.setenv("TWINLENS_CACHE", str(folder))
    return folder


def small(seed: int = 0) -> Graph:
    net, w = Layers(x=(1, 3, 7, 6)), Weights(seed)
    row = net.add(Flatten(), net.add(MaxPool2d((2, 2)), net.add(conv(w, 3, 5), "x")))
    net.add(Softmax(), net.add(Linear(w(4, 60)), row))
    return net.graph()


def answer(graph: Graph, isa: Isa | None = None) -> tuple[bool, Any]:
    """Whether the plan came from disk, and what the program says."""
    with closing(Program(graph, Options(), isa)) as program:
        return program.cached, program.run(some_inputs(graph, 0))[graph.outputs[0]]


def test_a_second_program_takes_the_plan_of_the_first(store):
    first = answer(small())
    assert not first[0]
    assert len(list(store.iterdir())) == 1
    second = answer(small())
    assert second[0]
    np.testing.assert_array_equal(second[1], first[1])


def test_other_weights_take_the_same_plan_and_give_their_own_answer(store):
    answer(small())
    taken, again = answer(small(1))
    assert taken
    right = small(1).run({"x": some_inputs(small(), 0)["x"].astype(np.float64)})
    np.testing.assert_allclose(again, right[small().outputs[0]], rtol=1e-5)


DAMAGES = {
    "empty": lambda data: b"",
    "head only": lambda data: data[:20],
    "truncated": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "one bit": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "other version": lambda data: data.replace(b"plan 1", b"plan 0", 1),
    "other file": lambda data: b"PK\3\4" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_plans_are_compiled_again(store, damage, caplog):
    _, expected = answer(small())
    (path,) = store.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    with caplog.at_level(logging.WARNING):
        taken, again = answer(small())
    assert not taken
    assert str(path) in caplog.text
    np.testing.assert_array_equal(again, expected)
    # The file was put right.
    assert answer(small())[0]


def test_a_folder_in_a_plans_place_is_no_error(store):
    _, expected = answer(small())
    (path,) = store.iterdir()
    path.unlink()
    path.mkdir()
    taken, again = answer(small())
    assert not taken
    np.testing.assert_array_equal(again, expected)
    assert list(store.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "file" / "plans"))
    assert not answer(small())[0]
    assert not answer(small())[0]


def test_a_full_disk_is_no_error_and_leaves_nothing(store, monkeypatch):
    answer(small())
    (path,) = store.iterdir()
    path.unlink()

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    assert not answer(small())[0]
    assert list(store.iterdir()) == []


def test_a_folder_without_permission_is_no_error(store, monkeypatch):
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(store))

    monkeypatch.setattr(cache, "write_whole", denied)
    assert not answer(small())[0]
    assert list(store.iterdir()) == []


def test_no_folder_at_all(monkeypatch):
    monkeypatch.setenv("TWINLENS_CACHE", "")
    assert not answer(small())[0]
    assert not answer(small())[0]


def test_a_plan_of_another_instruction_set_is_not_taken(store):
    answers = [answer(small(), isa) for isa in isas()]
    assert not any(taken for taken, _ in answers)
    assert len(list(store.iterdir())) == len(isas())
    for isa, (_, before) in zip(isas(), answers, strict=True):
        taken, again = answer(small(), isa)
        assert taken
        np.testing.assert_array_equal(again, before)


def test_the_newest_plans_are_kept(store, monkeypatch):
    from twinlens.engine.targets import cache

    monkeypatch.setattr(cache, "_KEEP", 3)
    for width in range(4, 9):
        net, w = Layers(x=(1, 3, 7, width)), Weights(0)
        net.add(conv(w, 3, 5), "x")
        answer(net.graph())
    assert len(list(store.iterdir())) == 3


def test_two_processes_at_once(store):
    code = (
        "from helpers.cpu_nets import everything\n"
        "from helpers.cpu_check import some_inputs\n"
        "from twinlens.engine.targets.cpu.run.program import Options, Program\n"
        "import hashlib, sys\n"
        "graph = everything(5)\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(3):\n"
        "    program = Program(graph, Options())\n"
        "    answers = program.run(some_inputs(graph, 0))\n"
        "    program.close()\n"
        "    print(hashlib.sha256(b''.join(a.tobytes() for a in answers.values())).hexdigest())\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n")[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(set(said[0])) == 1
    assert said[0] == said[1]
    assert [path.suffix for path in store.iterdir()] == [".plan"]


# What decides the code must decide the name. Programs are not compiled here: their text is enough.


class _TextError(Exception):
    """Carries what would be compiled."""


def name_and_text(graph: Graph, options: Options, isa: Isa) -> tuple[str, str]:
    """A plan's name, and the code that it would hold."""
    names: list[str] = []

    def refuse(text: str, isa: Isa) -> bytes:
        raise _TextError(text)

    def note(parts: Any, isa: Isa) -> str:
        names.append(CODE_KEY(parts, isa))
        return names[-1]

    kept = compiler.compile_object, compiler.code_key
    compiler.compile_object, compiler.code_key = refuse, note
    try:
        Program(graph, replace(options, use_cache=False), isa)
    except _TextError as text:
        return names[0], str(text)
    finally:
        compiler.compile_object, compiler.code_key = kept
    raise AssertionError("nothing was compiled")


CODE_KEY = compiler.code_key


def test_whatever_changes_the_code_changes_its_name():
    isa = isas()[-1]
    count = 0
    for graph in samples(0):
        name, text = name_and_text(graph, Options(), isa)
        for what, other in variants(graph):
            count += 1
            same = name_and_text(other, Options(), isa)
            assert (same[0] == name) <= (same[1] == text), f"{what}: other code, but the same name"
    assert count > 150


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mode=st.sampled_from([("fp32", 1), ("fp32", 3), ("bf16", 1), ("int8", 2)]),
)
def test_weights_are_no_part_of_the_code(seed, mode):
    precision, threads = mode
    isa = isas()[0]
    if not can(isa, precision):
        return
    graphs = [small(seed), small(seed + 1)]
    ranges = ranges_of(graphs[0], some_inputs(graphs[0], 0)) if precision == "int8" else None
    first, second = (name_and_text(g, Options(precision, threads, ranges), isa) for g in graphs)
    assert first == second


def test_ranges_and_instruction_sets_change_the_name():
    isa = isa_named("avx512")
    if isa is None or not isa.vnni:
        pytest.skip(f"{detect().title} here does not compute in int8")
    graph = small()
    ranges = ranges_of(graph, some_inputs(graph, 0))
    wider = {name: (2 * low, high) for name, (low, high) in ranges.items()}
    plain = isa_named("avx512-plain")
    assert plain is not None
    names = [
        name_and_text(graph, Options("int8", ranges=ranges), isa)[0],
        name_and_text(graph, Options("int8", ranges=wider), isa)[0],
        name_and_text(graph, Options("bf16"), isa)[0],
        name_and_text(graph, Options("fp32"), isa)[0],
        name_and_text(graph, Options("fp32"), plain)[0],
        name_and_text(graph, Options("fp32", share=False), isa)[0],
    ]
    assert len(set(names)) == len(names)


def test_the_text_is_the_same_every_time():
    # Otherwise no two processes would agree, and comparing texts above would say nothing.
    graph = next(samples(0))
    texts = {name_and_text(graph, Options(), isas()[0]) for _ in range(3)}
    assert len(texts) == 1
    net, w = Layers(x=(1, 3, 7, 6)), Weights(0)
    net.add(ReLU(), net.add(conv(w, 3, 5), "x"))
    assert name_and_text(net.graph(), Options(), isas()[0]) not in texts
