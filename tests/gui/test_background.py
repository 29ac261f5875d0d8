"""What runs beside the window leaves nothing in Python that Qt has deleted."""

from __future__ import annotations

import gc
from typing import Any

from PySide6.QtCore import QRunnable

from twinlens.app.qt.threads.bridge import Background

TASKS = 40


def test_no_wrapper_outlives_what_qt_deletes_by_itself(qtbot: Any) -> None:
    """Such a wrapper is taken for whatever comes to lie at its address, and ends the process.

    Qt deletes a runnable once it has run; PySide hangs ``QRunnable.create(…)`` on the pool that
    starts it, for as long as the pool lives. A widget or timer that Qt then makes in that memory
    is found under the old wrapper, and when it is deleted the old wrapper is freed twice.
    """
    background, done = Background(), []
    for number in range(TASKS):
        background.run(f"task {number}", lambda: 1, done.append, done.append)
    qtbot.waitUntil(lambda: len(done) == TASKS, timeout=20_000)
    gc.collect()
    left = [thing for thing in gc.get_objects() if isinstance(thing, QRunnable)]
    background.stop()
    assert done == [1] * TASKS
    assert not left
