"""Helpers of a plan: threads that wait in generated code for a while, then sleep."""

from __future__ import annotations

import threading
from typing import Any

from twinlens.engine.targets.cpu.compiler import Machine

# Looks at the run's number before a helper goes to sleep: about 0.2 ms. The next picture is
# further away than that, but the next run of a benchmark is not.
_SPINS = 5_000


class Helpers:
    """Threads that compute parts of each run.

    The caller's own thread claims parts too; if no helper is awake in time, it does all of it.
    The threads hold nothing of the program, so that a forgotten program can be collected.

    Args:
        machine: the generated code.
        table: address of the table of addresses.
        state: address of the shared state.
        count: threads beside the caller's.
    """

    def __init__(self, machine: Machine, table: int, state: int, count: int) -> None:
        self._machine, self._table, self._state = machine, table, state
        self._condition = threading.Condition()
        self._asleep = 0
        self._calls = 0
        self._closed = False
        self._threads = [
            threading.Thread(
                target=self._serve,
                args=(index + 1,),
                name=f"twinlens-layers-{index + 1}",
                daemon=True,
            )
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def call(self) -> None:
        """Wake whoever sleeps, because a run is about to begin."""
        if self._asleep:
            with self._condition:
                self._calls += 1
                self._condition.notify_all()

    def close(self) -> None:
        """End the threads and wait for them; may be called twice."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._threads = []

    def _serve(self, index: int) -> None:
        seen = 0
        serve: Any = self._machine.serve
        while not self._closed:
            before, seen = seen, serve(self._table, self._state, index, seen, _SPINS)
            if seen != before:
                continue
            with self._condition:
                calls = self._calls
                self._asleep += 1
                while not self._closed and self._calls == calls:
                    self._condition.wait()
                self._asleep -= 1
