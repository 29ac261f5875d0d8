"""What goes between this process and a host: messages, shared memory, parcels."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.all_layers import all_layers
from helpers.hosted import descriptors
from twinlens.app.core.hosts.arena import Arena, ArenaClosedError, available_memory
from twinlens.app.core.hosts.messages import MessageError, Wire, field
from twinlens.app.core.hosts.parcel import Parcel, open_parcel
from twinlens.app.core.hosts.records import (
    choice_of,
    choice_record,
    error_of,
    error_record,
    info_of,
    info_record,
    options_of,
    options_record,
)
from twinlens.app.core.session.engines import EngineChoice
from twinlens.engine.api.protocol import EngineOptions, RunnerInfo
from twinlens.engine.errors import SourceError, UnsupportedOperatorError

posix = pytest.mark.skipif(sys.platform == "win32", reason="a mapping there has no descriptor")


@pytest.fixture
def wires() -> Iterator[tuple[Wire, Wire]]:
    (a, b), (c, d) = os.pipe(), os.pipe()
    here, there = Wire(a, d), Wire(c, b)
    yield here, there
    here.close()
    there.close()


def test_a_message_arrives_as_it_was_sent(wires: tuple[Wire, Wire]) -> None:
    here, there = wires
    here.send({"op": "run", "text": "é · ×"}, b"\0\1\2")
    assert there.receive() == ({"op": "run", "text": "é · ×"}, bytearray(b"\0\1\2"))
    there.send({})
    assert here.receive() == ({}, bytearray())


def test_the_other_side_gone_is_no_message(wires: tuple[Wire, Wire]) -> None:
    here, there = wires
    there.close()
    assert here.receive() is None
    with pytest.raises(OSError, match=r"[Pp]ipe"):
        here.send({"op": "run"})


@pytest.mark.parametrize("sent", [b"[1]", b"{", b"\xff\xff"])
def test_what_is_no_record_is_refused(wires: tuple[Wire, Wire], sent: bytes) -> None:
    here, there = wires
    there._outgoing.write(struct.pack("<II", len(sent), 0) + sent)
    with pytest.raises(MessageError):
        here.receive()


def test_a_record_that_says_it_is_endless_is_refused(wires: tuple[Wire, Wire]) -> None:
    here, there = wires
    there._outgoing.write(struct.pack("<II", 2**31, 0))
    with pytest.raises(MessageError, match="2147483648 bytes"):
        here.receive()


@pytest.mark.parametrize(
    ("record", "kind"), [({}, int), ({"x": "1"}, int), ({"x": True}, int), ({"x": 1.5}, int)]
)
def test_a_field_of_another_type_is_refused(record: dict[str, Any], kind: type) -> None:
    with pytest.raises(MessageError, match=r"x: .* expected int"):
        field(record, "x", kind)


def test_records_come_back() -> None:
    info = RunnerInfo("e", "E", "d", "int8", 2, (1, 3, 8, 8), 5, ("a",), 0.5)
    assert info_of(info_record(info)) == info
    options = EngineOptions(2, "auto", Path("a/b"), ("CPU",), "nvidia")
    assert options_of(options_record(options)) == options
    assert options_of(options_record(EngineOptions())) == EngineOptions()
    choice = EngineChoice("e", "E", "why", ("fp32", "bf16"), {"int8": "no"})
    assert choice_of(choice_record(choice)) == choice


def test_errors_come_back_as_what_they_are() -> None:
    error = error_of(error_record(UnsupportedOperatorError("no", hint="h", operators={"Foo": 2})))
    assert isinstance(error, UnsupportedOperatorError)
    assert (error.message, error.hint, error.operators) == ("no", "h", {"Foo": 2})
    away = error_of(error_record(SourceError("x", passing=True, password=True)))
    assert isinstance(away, SourceError)
    assert (away.passing, away.password) == (True, True)


@pytest.mark.parametrize("name", ["Mapping", "annotations", "ValueError", "nothing"])
def test_an_error_of_no_type_of_ours_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match=name):
        error_of({"type": name, "text": "", "hint": ""})


# --- memory --------------------------------------------------------------------------------------


@posix
def test_both_sides_see_the_same_memory_while_it_grows() -> None:
    arena = Arena.make()
    assert arena is not None
    other = Arena(os.dup(arena.inherited[0]))
    one = np.arange(6, dtype=np.float32).reshape(2, 3)
    arena.put(one)
    other.follow(arena.size)
    seen = other.array(0, (2, 3), "<f4")
    assert np.array_equal(seen, one)
    arena.put(np.ones(1 << 20, np.uint8), 1 << 20)
    arena.put(one + 1)
    assert np.array_equal(seen, one + 1)
    other.follow(arena.size)
    assert other.array(1 << 20, (1 << 20,), "|u1").all()
    arena.close()
    other.close()
    assert np.array_equal(seen, one + 1)


@posix
def test_what_is_beyond_is_an_error_not_a_signal() -> None:
    arena = Arena.make()
    assert arena is not None
    arena.reserve(1)
    for offset, count in ((arena.size, 1), (0, arena.size + 1), (-1, 1)):
        with pytest.raises(ValueError, match="beyond"):
            arena.array(offset, (count,), "|u1")
    arena.close()


@posix
@pytest.mark.parametrize(
    "use",
    [
        lambda arena: arena.put(np.ones(4, np.uint8)),
        lambda arena: arena.reserve(1),
        lambda arena: arena.follow(1 << 12),
        lambda arena: arena.array(0, (4,), "|u1"),
        lambda arena: arena.bytes_at(0, 4),
        lambda arena: Parcel.of([np.ones(4)]).post(arena),
    ],
)
def test_what_was_closed_is_used_no_more(use: Any) -> None:
    arena = Arena.make()
    assert arena is not None
    arena.put(np.ones(1 << 14, np.uint8))
    arena.close()
    arena.close()
    with pytest.raises(ArenaClosedError):
        use(arena)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what is free")
def test_more_than_there_is_is_not_tried() -> None:
    arena = Arena.make()
    assert arena is not None
    assert available_memory() > 1 << 20
    with pytest.raises(MemoryError, match=r"no room for .* are free"):
        arena.reserve(1 << 60)
    assert arena.size == 0
    arena.close()


@posix
def test_pages_that_were_given_back_are_empty_and_come_again() -> None:
    arena = Arena.make()
    assert arena is not None
    arena.put(np.ones(1 << 20, np.uint8))
    arena.forget(1 << 16)
    assert arena.array(0, (1 << 16,), "|u1").all()
    rest = arena.array(1 << 16, ((1 << 20) - (1 << 16),), "|u1")
    assert sys.platform != "linux" or not rest.any()
    rest[:] = 7
    assert (rest == 7).all()
    arena.close()


@posix
def test_without_memfd_a_file_without_a_name_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = descriptors()
    arena = Arena.make()
    assert arena is not None
    arena.put(np.ones(100, np.uint8))
    assert arena.array(0, (100,), "|u1").all()
    assert list(tmp_path.iterdir()) == []
    arena.close()
    assert descriptors() == before


def test_without_any_there_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> int:
        raise OSError("no space left")

    monkeypatch.setattr("twinlens.app.core.hosts.arena._unnamed", refuse)
    assert Arena.make() is None
    assert "no space left" in caplog.text


# --- parcels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_a_network_of_every_layer_arrives_whole(shared: bool) -> None:
    graph = all_layers()
    arena = Arena.make() if shared else None
    parcel = Parcel.of(graph)
    record, payload = parcel.post(arena, 64)
    assert b"float32" not in payload[: len(parcel.structure)]  # no array is in the structure
    back = open_parcel(record, bytearray(payload), arena)
    if arena is not None:
        arena.forget(0)  # what arrived is its own
        arena.close()
    assert back.summary() == graph.summary()
    for one, other in zip(graph.nodes, back.nodes, strict=True):
        for name, array in one.layer.parameters.items():
            assert np.array_equal(array, other.layer.parameters[name])
    assert all(np.array_equal(a, back.constants[n]) for n, a in graph.constants.items())


def test_arrays_of_every_kind_arrive() -> None:
    arrays = [
        np.float32(3)[...],
        np.zeros((0, 4), np.int64),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.eye(3)),
        np.array([True, False]),
        np.arange(3, dtype=">i2"),
    ]
    arrays = [np.asarray(a) for a in arrays]
    for arena in (None, Arena.make()):
        record, payload = Parcel.of([*arrays, arrays[0]]).post(arena)
        back = open_parcel(record, bytearray(payload), arena)
        assert back[-1] is back[0]
        for one, other in zip(arrays, back, strict=False):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        if arena is not None:
            arena.close()


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "thing", [Evil(), os.system, print, Path.exists, pytest.raises], ids=lambda t: type(t).__name__
)
def test_nothing_but_our_own_records_is_made(thing: Any) -> None:
    structure = pickle.dumps(thing)
    record = {"arrays": [], "structure": len(structure), "size": 0}
    with pytest.raises(MessageError, match="no record of ours"):
        open_parcel(record, bytearray(structure), None)
