"""What is shown is computed elsewhere: the newest of each name wins, nothing is queued."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from helpers.fakes import WAIT_S
from twinlens.app.core.snapshots import Snapshots


class Desk:
    """A window's place: is told, and delivers when the test says so."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.notified = 0
        self.shown: list[object] = []
        self.errors: list[Exception] = []
        self.snapshots = Snapshots(self._tell)

    def _tell(self) -> None:
        self.notified += 1
        self.told.set()

    def ask(self, key: str, compute: Callable[[], object]) -> None:
        self.snapshots.ask(key, compute, self.shown.append, self.errors.append)

    def deliver(self) -> None:
        assert self.told.wait(WAIT_S)
        self.told.clear()
        self.snapshots.deliver()

    def until(self, count: int) -> None:
        while len(self.shown) + len(self.errors) < count:
            self.deliver()


class Held:
    """A computation that waits until it is let go."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.began, self.go_on = threading.Event(), threading.Event()
        self.thread = 0

    def __call__(self) -> object:
        self.thread = threading.get_ident()
        self.began.set()
        assert self.go_on.wait(WAIT_S)
        return self.outcome


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.snapshots.request_stop()
    assert made.snapshots.join(WAIT_S)


def test_it_is_computed_elsewhere_and_shown_here(desk: Desk) -> None:
    held = Held("view")
    held.go_on.set()
    shown_on: list[int] = []
    desk.snapshots.ask("view", held, lambda _: shown_on.append(threading.get_ident()))
    desk.deliver()
    assert shown_on == [threading.get_ident()]
    assert held.thread not in (0, threading.get_ident())


def test_nothing_is_queued_and_the_newest_wins(desk: Desk) -> None:
    first, last = Held("first"), Held("last")
    desk.ask("view", first)
    assert first.began.wait(WAIT_S)
    computed: list[int] = []
    for number in range(100):
        desk.ask("view", lambda number=number: computed.append(number))  # type: ignore[misc]
    desk.ask("view", last)
    first.go_on.set()
    desk.until(1)
    assert desk.shown == ["first"], "what was being computed is shown all the same"
    assert desk.snapshots.pending("view")
    last.go_on.set()
    desk.until(2)
    assert desk.shown == ["first", "last"]
    assert not computed
    assert not desk.snapshots.pending("view")


def test_a_desk_that_does_not_take_is_told_once_and_gets_the_newest(desk: Desk) -> None:
    for number in range(50):
        ended = threading.Event()
        desk.ask("view", lambda number=number: number)  # type: ignore[misc]
        desk.ask("other", ended.set)
        assert ended.wait(WAIT_S)
    # Computed in turn, so that what was asked for before is ready by then.
    gate = Held("gate")
    desk.ask("gate", gate)
    assert gate.began.wait(WAIT_S)
    assert desk.notified == 1
    desk.deliver()
    assert desk.shown == [49, None]
    gate.go_on.set()
    desk.until(3)


def test_what_is_forgotten_is_never_shown(desk: Desk) -> None:
    running = Held("running")
    desk.ask("view", running)
    assert running.began.wait(WAIT_S)
    desk.ask("view", lambda: "waiting")
    desk.snapshots.forget("view")
    assert not desk.snapshots.pending("view")
    desk.ask("view", lambda: "after")
    assert desk.snapshots.pending("view")
    running.go_on.set()
    desk.until(1)
    assert desk.shown == ["after"]


def test_names_do_not_replace_each_other(desk: Desk) -> None:
    gate = Held("gate")
    desk.ask("gate", gate)
    assert gate.began.wait(WAIT_S)
    for key in "abc":
        desk.ask(key, lambda key=key: key)  # type: ignore[misc]
    gate.go_on.set()
    desk.until(4)
    assert desk.shown == ["gate", "a", "b", "c"]


def test_an_error_is_handed_over_and_the_next_is_computed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> object:
        raise ValueError("no")

    desk.ask("view", fails)
    desk.until(1)
    assert [str(error) for error in desk.errors] == ["no"]
    desk.snapshots.ask("quiet", fails, desk.shown.append)
    desk.ask("view", lambda: "next")
    desk.until(2)
    assert desk.shown == ["next"]
    assert "quiet could not be computed" in caplog.text


def test_one_that_cannot_be_shown_does_not_hold_up_the_others(desk: Desk) -> None:
    def raises(_: object) -> None:
        raise RuntimeError("a widget is gone")

    gate = Held("gate")
    desk.snapshots.ask("gate", gate, raises)
    assert gate.began.wait(WAIT_S)
    desk.ask("a", lambda: "a")
    gate.go_on.set()
    with pytest.raises(RuntimeError, match="widget"):
        while True:
            desk.deliver()
    desk.until(1)
    assert desk.shown == ["a"]


def test_after_a_stop_nothing_is_computed_or_shown() -> None:
    desk = Desk()
    held = Held("view")
    desk.ask("view", held)
    assert held.began.wait(WAIT_S)
    desk.snapshots.request_stop()
    assert not desk.snapshots.join(0)
    held.go_on.set()
    assert desk.snapshots.join(WAIT_S)
    desk.ask("view", lambda: pytest.fail("computed after the stop"))
    desk.snapshots.deliver()
    assert desk.shown == []
    assert desk.notified == 0


def test_without_a_request_there_is_no_thread() -> None:
    before = threading.active_count()
    desk = Desk()
    assert threading.active_count() == before
    assert desk.snapshots.join(0)
