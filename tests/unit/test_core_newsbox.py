from __future__ import annotations

import threading

from helpers.fakes import WAIT_S, make_frame
from twinlens.app.core.session.events import SourceEnded
from twinlens.app.core.session.news import NewsBox


class Calls:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def test_it_tells_once_until_acknowledged() -> None:
    calls = Calls()
    box = NewsBox(calls)
    for index in range(3):
        box.put_frame(make_frame(index))
        box.notify()
    assert calls.count == 1
    news = box.take()
    assert news.frame is not None
    assert news.frame.index == 2
    box.acknowledge()
    assert calls.count == 1, "nothing new since take"
    box.put_frame(make_frame(3))
    box.notify()
    assert calls.count == 2


def test_news_between_take_and_acknowledge_is_not_lost() -> None:
    calls = Calls()
    box = NewsBox(calls)
    box.put_frame(make_frame(0))
    box.notify()
    box.take()
    box.put_event(SourceEnded("clip"))
    box.notify()
    assert calls.count == 1
    box.acknowledge()
    assert calls.count == 2
    assert box.take().events == (SourceEnded("clip"),)


def test_events_are_never_lost_and_keep_their_order() -> None:
    box = NewsBox()
    for title in "abc":
        box.put_event(SourceEnded(title))
    assert [getattr(e, "title", "") for e in box.take().events] == ["a", "b", "c"]
    empty = box.take()
    assert (empty.frame, empty.result, empty.events) == (None, None, ())


def test_no_wakeup_is_lost_between_threads() -> None:
    told = threading.Event()
    box = NewsBox(told.set)
    total = 500

    def write() -> None:
        for index in range(total):
            box.put_event(SourceEnded(str(index)))
            box.notify()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []
    while len(seen) < total:
        assert told.wait(WAIT_S), f"a wake-up was lost after {len(seen)} events"
        told.clear()
        seen.extend(getattr(e, "title", "") for e in box.take().events)
        box.acknowledge()
    writer.join(WAIT_S)
    assert seen == [str(index) for index in range(total)]


def test_after_close_it_is_silent_but_can_be_taken() -> None:
    calls = Calls()
    box = NewsBox(calls)
    box.close()
    box.put_event(SourceEnded("clip"))
    box.notify()
    box.acknowledge()
    assert calls.count == 0
    assert len(box.take().events) == 1
