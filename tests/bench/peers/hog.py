"""A process that takes a quarter of a core, as a window's does: 1 ms of work every 4 ms.

Runs until its input ends; then says what share of a core it really had.
"""

from __future__ import annotations

import sys
import threading
import time

PERIOD_S, WORK_S = 0.004, 0.001


def main() -> None:
    """Work and sleep until the input ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    began, used = time.perf_counter(), time.process_time()
    due = began
    while not ended.is_set():
        woken = time.perf_counter()
        while time.perf_counter() - woken < WORK_S:
            pass
        due = max(due + PERIOD_S, time.perf_counter() - PERIOD_S)
        time.sleep(max(0.0, due - time.perf_counter()))
    print((time.process_time() - used) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
