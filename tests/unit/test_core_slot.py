from __future__ import annotations

import threading

from helpers.fakes import WAIT_S
from twinlens.app.core.session.slot import LatestSlot


def test_the_newest_item_wins_and_the_replaced_are_counted() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert [slot.put(1), slot.put(2), slot.put(3)] == [False, True, True]
    assert slot.waiting
    assert slot.poll() == 3
    assert slot.poll() is None
    assert not slot.waiting
    assert slot.dropped == 2


def test_take_waits_for_an_item() -> None:
    slot: LatestSlot[str] = LatestSlot()
    taken: list[str | None] = []
    reader = threading.Thread(target=lambda: taken.append(slot.take(WAIT_S)))
    reader.start()
    slot.put("frame")
    reader.join(WAIT_S)
    assert taken == ["frame"]


def test_take_gives_up_when_time_is_up() -> None:
    assert LatestSlot[int]().take(0.0) is None


def test_close_wakes_everybody_and_refuses_new_items() -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int | None] = []
    readers = [threading.Thread(target=lambda: taken.append(slot.take())) for _ in range(3)]
    for reader in readers:
        reader.start()
    slot.close()
    for reader in readers:
        reader.join(WAIT_S)
    assert taken == [None, None, None]
    assert slot.closed
    assert slot.put(1) is False
    assert slot.take() is None


def test_an_item_left_before_close_can_still_be_taken() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(7)
    slot.close()
    assert slot.take() == 7


def test_a_shared_condition_is_notified() -> None:
    condition = threading.Condition()
    slot: LatestSlot[int] = LatestSlot(condition)
    seen: list[bool] = []

    def wait() -> None:
        with condition:
            seen.append(condition.wait_for(lambda: slot.waiting, WAIT_S))

    waiter = threading.Thread(target=wait)
    waiter.start()
    slot.put(1)
    waiter.join(WAIT_S)
    assert seen == [True]


def test_falsy_items_are_items() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(0)
    assert slot.waiting
    assert slot.take(0.0) == 0
