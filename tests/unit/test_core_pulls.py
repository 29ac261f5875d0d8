"""Downloads on threads of their own, and what is shown of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.fakes import WAIT_S
from helpers.own_models import own_card
from twinlens.app.core.shelf.pulls import PullProgress, Pulls
from twinlens.app.core.shelf.rows import count, megabytes, model_row, model_rows
from twinlens.app.core.workers import Workers
from twinlens.app.views.models import ModelAction, model_lines
from twinlens.engine.errors import DownloadCancelledError, DownloadError
from twinlens.models.catalog.cards import Card, card_from
from twinlens.models.catalog.pull import Outcome
from twinlens.models.catalog.store import Pulled, State, Store

CARD = card_from(own_card("net", b"1234", "https://example.org/net.onnx"))


class Gate:
    """A download that goes on when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.began, self.go_on = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(
        self,
        card: Card,
        store: Store,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        self.calls += 1
        progress(1, 4)
        self.began.set()
        while not self.go_on.wait(0.01):
            if cancelled():
                raise DownloadCancelledError("stopped")
        if self.error is not None:
            raise self.error
        return Outcome(store.folder(card) / "net.onnx", None)


def ended(pulls: Pulls) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while pulls.progress() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return pulls.take_finished()


def test_a_download_tells_how_far_it_is_and_how_it_ended(tmp_path: Path) -> None:
    gate = Gate()
    pulls = Pulls(Store(tmp_path), gate)
    pulls.start(CARD)
    pulls.start(CARD)
    assert gate.began.wait(WAIT_S)
    assert pulls.progress() == {"net": PullProgress(1, 4)}
    assert pulls.take_finished() == []
    gate.go_on.set()
    (finished,) = ended(pulls)
    assert finished.card is CARD
    assert finished.outcome is not None
    assert finished.error is None
    assert pulls.progress() == {}
    assert gate.calls == 1


def test_a_download_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    gate = Gate()
    pulls = Pulls(Store(tmp_path), gate)
    pulls.start(CARD)
    assert gate.began.wait(WAIT_S)
    pulls.stop("net")
    pulls.stop("another")
    (finished,) = ended(pulls)
    assert isinstance(finished.error, DownloadCancelledError)


@pytest.mark.parametrize("error", [DownloadError("net cannot be fetched"), ValueError("odd")])
def test_any_error_is_told(tmp_path: Path, error: Exception) -> None:
    gate = Gate(error)
    gate.go_on.set()
    pulls = Pulls(Store(tmp_path), gate)
    pulls.start(CARD)
    (finished,) = ended(pulls)
    assert "net cannot be fetched" in finished.error.message


def test_closing_stops_all(tmp_path: Path) -> None:
    gate, workers = Gate(), Workers()
    pulls = Pulls(Store(tmp_path), gate, workers)
    pulls.start(CARD)
    assert gate.began.wait(WAIT_S)
    pulls.request_stop()
    assert workers.join(time.monotonic() + WAIT_S) == ()
    (finished,) = pulls.take_finished()
    assert isinstance(finished.error, DownloadCancelledError)


def test_lines_say_what_can_be_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = {row.id: row for row in model_rows(store)}
    progress = {
        "resnet-18": PullProgress(1_000_000, 4_000_000),
        "resnet-50": PullProgress(0, 10, stopping=True),
        "apple-squeezenet": PullProgress(5_000, 0),
    }
    errors = {"mobilenet-v1": "no connection", "resnet-18": "of the try before"}
    lines = {
        line.id: line for line in model_lines([*rows.values()], "twinlens-208", progress, errors)
    }
    actions = {
        "twinlens-208": ModelAction.IN_USE,
        "mobilenet-v2-1.0-224": ModelAction.NONE,
        "mobilenet-v1": ModelAction.PULL,
        "resnet-18": ModelAction.STOP,
        "resnet-50": ModelAction.STOPPING,
    }
    assert {name: lines[name].action for name in actions} == actions
    assert (lines["resnet-18"].share, lines["resnet-18"].state) == (0.25, "1.0 MB of 4.0 MB")
    assert lines["apple-squeezenet"].share is None
    assert lines["apple-squeezenet"].state == "5 kB"
    assert (lines["mobilenet-v1"].error, lines["resnet-18"].error) == ("no connection", "")
    assert lines["apple-resnet-50"].state == "not here, unverified"
    again = model_lines([*rows.values()], "other", {}, {})
    assert again[0].action is ModelAction.USE


def test_a_row_says_what_has_arrived_and_what_was_confirmed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    values = own_card("net", b"1", "https://example.org/net.onnx", bytes=0, sha256="")
    card = card_from(values | {"verified": False})
    row = model_row(card, store)
    assert (row.size, row.state_text) == ("not known", "not here, unverified")
    part = store.part(card)
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(2_500_000))
    assert model_row(card, store).state_text == "2.5 MB of it here, unverified"
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / "net.onnx").write_bytes(b"1")
    store.install(card, staged, Pulled("ab", 3_000_000, card.urls[0], "2026-01-02"))
    row = model_row(card, store)
    assert (row.size, row.state, row.verified) == ("3.0 MB", State.HERE, True)


def test_sizes_and_counts_are_short() -> None:
    assert [megabytes(n) for n in (291, 26_143, 13_964_571, 1_500_000_000)] == [
        *("291 bytes", "26 kB", "14.0 MB", "1.50 GB"),
    ]
    assert [count(n) for n in (9, 5_994, 3_504_872)] == ["9", "6 k", "3.5 M"]
