"""The real window while its engine's process is killed, stopped, or left without a window."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.hosted import exists, until
from helpers.live_window import LiveWindow, live_window
from twinlens.assets import picture_path

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]


def strike(
    window: LiveWindow, number: int, after: dict[str, Any], what: str = "engine"
) -> tuple[str, float]:
    """Send a signal to a host: the banner, and seconds until another one serves."""
    os.kill(after["hosts"][what], number)
    begun_s = time.monotonic()
    text = window.wait_for("banner")["text"]
    window.until(lambda r: r["hosts"][what] not in (None, after["hosts"][what]))
    return text, time.monotonic() - begun_s


def test_an_engine_that_is_killed_or_hangs_is_a_banner(tmp_path: Path) -> None:
    with live_window(tmp_path, source="clip", engine="layers-cpu", hosts=True) as window:
        first = window.report()
        text, took_s = strike(window, signal.SIGKILL, first)
        assert "Layers CPU stopped: its process was killed" in text
        assert "It is started again." in text
        assert took_s < 8  # 0.1 to 0.5 s where nothing else runs

        window.send("engine vision")
        window.until(lambda r: r["engines"][-1] == "vision")
        text, took_s = strike(window, signal.SIGSTOP, window.report())
        assert "Vision stopped: its process did not answer within" in text
        assert "Layers CPU serves." in text
        last = window.until(lambda r: r["engines"][-1] == "layers-cpu")
        assert last["libraries"] == []  # what reads, compiles and runs models is elsewhere
        assert last["in_order"]
        assert last["painted"] > first["painted"]

        children = [child.pid for child in psutil.Process(window.pid).children(recursive=True)]
        assert window.close() == 0
        until(lambda: not any(map(exists, children)), 2.0)


def test_a_decoder_that_crashes_is_a_banner_and_the_clip_plays(tmp_path: Path) -> None:
    picture = picture_path("start.jpg")
    with live_window(tmp_path, source=picture, engine="layers-cpu", hosts=True) as window:
        first = window.report()
        text, took_s = strike(window, signal.SIGSEGV, first, "source")
        assert "start.jpg: its process was ended by SIGSEGV" in text
        assert "The bundled clip plays instead." in text
        assert took_s < 8  # 0.6 s where nothing else runs
        last = window.until(lambda r: len(r["sources"]) == 2)
        assert last["in_order"]
        assert window.close() == 0


def test_hosts_end_with_a_window_that_is_killed(tmp_path: Path) -> None:
    with live_window(tmp_path, source="clip", engine="layers-cpu", hosts=True) as window:
        process = psutil.Process(window.pid)
        # What serves, the one that waits from a moment later on, and the source's.
        until(lambda: len(process.children(recursive=True)) >= 3, 30)
        children = [child.pid for child in process.children(recursive=True)]
        os.kill(window.pid, signal.SIGKILL)
        until(lambda: not any(map(exists, children)), 2.0)
