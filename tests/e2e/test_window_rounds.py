"""The real window in long use: models change and sheets open, round after round.

Twice a window died here after minutes: Python kept what Qt had deleted, and whatever came to lie
at its address was taken for it. Such a fault shows only where much is loaded and made between, so
the round is short here and long by hand: ``TWINLENS_TEST_LOADS=400`` makes 2,000 sheets of it.
"""

from __future__ import annotations

import os
import shutil
import time
from itertools import cycle, islice
from pathlib import Path

import pytest

from helpers.eight_models import eight_models
from helpers.live_window import LiveWindow, live_window
from twinlens.models.identify.kept import VARIABLE

LOADS = int(os.environ.get("TWINLENS_TEST_LOADS", "8"))
SHEETS = 5
"""A load."""
KEYS = ("o", "shift+e", "l", "v", "comma", "question", "shift+m")

pytestmark = [
    pytest.mark.timeout(240 + 20 * LOADS),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]


def test_sheets_open_and_close_between_loads_of_eight_models(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "recipes"))
    models = eight_models(tmp_path, test_data)
    keys = cycle(KEYS)
    opened = 0
    with live_window(tmp_path, source="clip", engine="layers-cpu") as window:
        for number, (path, title) in enumerate(islice(cycle(models), LOADS), 1):
            window.send(f"drop {path}")
            window.until(lambda report, title=title: f"· {title} ·" in report["who"])
            opened += sum(open_and_close(window, key) for key in islice(keys, SHEETS))
            if len(models) < LOADS:  # by hand, somebody watches
                print(f"{time.strftime('%H:%M:%S')} {number} loads, {opened} sheets", flush=True)
        assert opened == LOADS * SHEETS
        assert window.close() == 0


def open_and_close(window: LiveWindow, key: str) -> bool:
    """Open a sheet by its key and close it by Escape."""
    window.press(key)
    window.until(lambda report: report["sheet"])
    window.press("Escape")
    window.until(lambda report: not report["sheet"])
    return True
