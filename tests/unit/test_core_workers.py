"""One kind of thread, and one owner that ends all of them under one deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from helpers.fakes import WAIT_S
from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.engine.cancel import checkpoint, is_cancelled


def deadline(seconds: float = WAIT_S) -> float:
    return time.monotonic() + seconds


class Deaf:
    """Work that does not look at its token until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.began = threading.Event()

    def __call__(self, token: CancelToken) -> None:
        self.began.set()
        self.let_go.wait(WAIT_S)


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    work = Deaf()
    yield work
    work.let_go.set()


def test_a_token_is_cancelled_once_and_for_all() -> None:
    token = CancelToken()
    assert not token.cancelled
    assert not token.wait(0)
    token.cancel()
    token.cancel()
    assert token.cancelled
    assert token.wait(0)


def test_a_part_of_the_work_is_cancelled_with_the_whole_and_also_alone() -> None:
    whole = CancelToken()
    one, other = whole.child(), whole.child()
    one.cancel()
    assert (one.cancelled, other.cancelled, whole.cancelled) == (True, False, False)
    part = other.child()
    whole.cancel()
    assert other.cancelled
    assert part.cancelled
    assert whole.child().cancelled, "a part that begins too late never runs"


def test_a_worker_runs_in_the_scope_of_its_token() -> None:
    seen: list[bool] = []
    looked = threading.Event()

    def work(token: CancelToken) -> None:
        seen.append(is_cancelled())
        looked.set()
        token.wait(WAIT_S)
        seen.append(is_cancelled())
        checkpoint()
        seen.append(False)

    worker = Worker("test", work)
    assert not worker.alive
    worker.start()
    assert looked.wait(WAIT_S)
    assert worker.alive
    worker.request_stop()
    assert worker.join(deadline())
    assert seen == [False, True], "the checkpoint ended it"
    assert not is_cancelled(), "the scope is that of the worker's thread alone"


def test_ending_by_the_token_is_no_error_but_anything_else_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stopped(token: CancelToken) -> None:
        token.cancel()
        checkpoint()

    def broken(token: CancelToken) -> None:
        raise KeyError("surprise")

    with caplog.at_level(logging.INFO):
        for work in (stopped, broken):
            worker = Worker(work.__name__, work)
            worker.start()
            assert worker.join(deadline())
    assert [record.message for record in caplog.records] == ["broken ended by an error"]


def test_a_worker_that_missed_a_wake_up_is_woken_again() -> None:
    asleep = threading.Event()
    wakes: list[int] = []

    def wake() -> None:
        wakes.append(1)
        if len(wakes) > 2:  # As if the first ones had come just before it fell asleep.
            asleep.set()

    worker = Worker("test", lambda token: asleep.wait(WAIT_S), wake=wake)
    worker.start()
    worker.request_stop()
    assert worker.join(deadline())
    assert len(wakes) >= 3


def test_a_worker_that_was_not_started_has_ended_and_none_waits_for_itself() -> None:
    answers: list[bool] = []
    worker = Worker("test", lambda token: answers.append(worker.join(deadline())))
    assert worker.join(deadline())
    worker.start()
    assert worker.join(deadline())
    assert answers == [False]


def test_all_are_asked_before_anybody_is_waited_for(deaf: Deaf) -> None:
    asked: list[str] = []
    workers = Workers()

    def until_asked(name: str) -> Callable[[CancelToken], None]:
        def work(token: CancelToken) -> None:
            token.wait(WAIT_S)
            asked.append(name)

        return work

    workers.start("deaf", deaf)
    for name in ("one", "two"):
        workers.start(name, until_asked(name))
    assert deaf.began.wait(WAIT_S)
    living = workers.stop(0.3)
    assert [worker.name for worker in living] == ["deaf"], "it is named, and left behind"
    assert sorted(asked) == ["one", "two"]
    deaf.let_go.set()
    assert workers.stop(WAIT_S) == ()


def test_there_is_one_deadline_for_all() -> None:
    workers = Workers()
    works = [Deaf() for _ in range(5)]
    for number, work in enumerate(works):
        workers.start(f"deaf {number}", work)
    started_s = time.monotonic()
    assert len(workers.stop(0.4)) == 5
    # In series it would be 2 s.
    assert time.monotonic() - started_s < 1.5
    for work in works:
        work.let_go.set()
    assert workers.stop(WAIT_S) == ()


def test_nothing_starts_once_the_end_has_begun() -> None:
    workers = Workers()
    workers.request_stop()
    ran: list[int] = []
    worker = workers.start("late", lambda token: ran.append(1))
    assert workers.stopping
    assert worker.token.cancelled
    assert worker.join(deadline())
    assert (ran, workers.alive) == ([], ())


def test_the_owner_can_be_asked_by_one_of_its_own() -> None:
    workers = Workers()
    living: list[tuple[Worker, ...]] = []
    worker = workers.start("own", lambda token: living.append(workers.stop(WAIT_S)))
    assert worker.join(deadline())
    assert living == [(worker,)]
