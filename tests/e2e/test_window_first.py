"""The first window on a small screen, under a window manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.displays import xvfb
from helpers.processes import running

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
    pytest.mark.skipif(shutil.which("openbox") is None, reason="openbox is not installed"),
    pytest.mark.skipif(shutil.which("xwininfo") is None, reason="xwininfo is not installed"),
]
_PROBE = Path(__file__).parents[1] / "helpers" / "window_probe.py"


def asked(env: dict[str, str], *words: str) -> str:
    run = subprocess.run(words, env=env, check=False, capture_output=True, text=True, timeout=20)
    return run.stdout


def number(text: str, title: str) -> int:
    return int(text.partition(f"{title}:")[2].split()[0])


@pytest.mark.parametrize("screen", [(1280, 720), (1024, 600)])
def test_it_hangs_over_no_edge_of_the_screen(tmp_path: Path, screen: tuple[int, int]) -> None:
    width, height = screen
    with xvfb(f"{width}x{height}x24") as display:
        env = display | {"VK_DRIVER_FILES": os.devnull}
        words = [sys.executable, _PROBE, tmp_path / "settings.json", "clip", "", "vision"]
        with (
            running(["openbox", "--sm-disable"], env=env, stderr=subprocess.DEVNULL),
            running(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as window,
        ):
            deadline_s, found = time.monotonic() + 90, ""
            while not found and time.monotonic() < deadline_s:
                time.sleep(0.3)
                found = asked(env, "xdotool", "search", "--onlyvisible", "--name", "Twinlens")
            assert found, "there is no window"
            time.sleep(1.0)  # the window manager puts its frame around it
            told = asked(env, "xwininfo", "-id", found.split()[-1])
            window.kill()
    left, top = number(told, "Absolute upper-left X"), number(told, "Absolute upper-left Y")
    assert left >= 0
    assert top >= 15, "its title bar is on the screen"
    assert left + number(told, "Width") <= width
    assert top + number(told, "Height") <= height
