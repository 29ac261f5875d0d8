"""What nobody expects, on the window's thread: shown once, logged, and everything goes on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QTimer

from helpers.fakes import WAIT_S
from helpers.gated import Gated
from helpers.gui_stand import Stand


class Surprise:
    """Raises in place of a method, so many times."""

    def __init__(self, real: Any, times: int = 1) -> None:
        self.real, self.left, self.raised = real, times, 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self.left:
            self.left -= 1
            self.raised += 1
            raise KeyError("surprise")
        return self.real(*args, **more)


@pytest.fixture
def slow_reads() -> Iterator[threading.Event]:
    """Set when whatever waits for it may end."""
    let_go = threading.Event()
    yield let_go
    let_go.set()


def banner_of(stand: Stand) -> str:
    stand.until(lambda: stand.window.banner is not None)
    assert stand.window.banner is not None
    return stand.window.banner.title


def test_an_error_while_a_frame_is_shown_does_not_freeze_the_picture(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    show = Surprise(stand.window.stage.show_frame, times=3)
    monkeypatch.setattr(stand.window.stage, "show_frame", show)
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            before = show.raised, stand.window.last_result
            stand.source.allow(1)
            stand.until(lambda before=before: (show.raised, stand.window.last_result) != before)
        stand.feed(2)
    assert show.raised == 3
    assert "surprise" in banner_of(stand)
    assert len([r for r in caplog.records if r.exc_info]) == 1, "the same again is not logged again"


def test_an_error_while_an_event_is_shown_loses_no_other(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = stand.window
    monkeypatch.setattr(window.choose, "ready", Surprise(window.choose.ready))
    assert window.session is not None
    window.session.use_engine("vision")
    stand.feed(3)
    assert "surprise" in banner_of(stand)
    window.popups.close_banner()
    stand.feed(1)
    window.session.use_engine("layers-cpu")
    stand.until(lambda: window.controls.switch.live == "layers-cpu")


def test_an_error_behind_a_background_task_is_shown_and_the_next_one_runs(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = stand.window
    monkeypatch.setattr(window.choose, "use", Surprise(window.choose.use))
    window.choose.model("pets")
    assert "surprise" in banner_of(stand)
    window.popups.close_banner()
    window.choose.model("pets")
    stand.until(lambda: bool(window.session and window.session.state.spec.id == "pets"))


def test_an_error_while_a_table_is_shown_does_not_end_the_measuring(
    waiting: Stand, gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = waiting.window
    window.bench.toggle()
    waiting.until(lambda: gated.timing)
    sheet = window.bench.sheet
    assert sheet is not None
    monkeypatch.setattr(sheet, "show_data", Surprise(sheet.show_data))
    gated.open()
    waiting.until(lambda: not window.bench.running)
    assert "surprise" in banner_of(waiting)
    assert window.bench.table is not None
    assert window.bench.table.complete
    assert window.session is not None
    assert window.session.state.answering


def test_reads_that_never_end_do_not_keep_settings_from_the_disk(
    stand: Stand, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, slow_reads: threading.Event
) -> None:
    window = stand.window
    monkeypatch.setattr(window.intake, "look", lambda path: slow_reads.wait(WAIT_S))
    for number in range(4):
        window.intake.open(tmp_path / f"{number}.onnx")
    window.look.toggle_mirror()
    path = tmp_path / "settings.json"
    QTimer.singleShot(3000, slow_reads.set)
    stand.until(path.exists)
    assert not slow_reads.is_set(), "the settings waited for the reads"


_RAISING = """
import os, runpy, signal, sys, threading
from twinlens.app.qt.sheets.popups import Popups
from twinlens.app.qt.window.presenter import Presenter
signal.signal(signal.SIGTERM, signal.SIG_DFL)
ticks = []
def tick(self):
    ticks.append(1)
    if len(ticks) == 8:
        os.kill(os.getpid(), signal.SIGTERM)
    raise KeyError("surprise")
def show_banner(self, banner, act=None):
    print(banner.title, flush=True)
Presenter.refresh, Popups.show_banner = tick, show_banner
sys.argv = ["twinlens", "--settings", sys.argv[1], "--source", "clip", "--engine", "vision"]
runpy.run_module("twinlens.app", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_a_timer_that_raises_is_shown_once_and_ends_nothing(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RAISING, str(tmp_path / "settings.json")],
        env=os.environ
        | {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "qt.multimedia.ffmpeg=false"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if "surprise" in line] == [
        "Something unexpected happened: KeyError: 'surprise'"
    ]
    assert done.stderr.count("KeyError: 'surprise'") == 1, "in the log, once"
