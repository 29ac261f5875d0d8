"""Helpers of a plan: threads that wait in generated code for a while, then sleep."""

from __future__ import annotations

import threading
from collections import deque
from statistics import median
from typing import Any

from twinlens.engine.targets.cpu.codegen.compiler import Machine

# Looks at the run's number before a helper goes to sleep: about 0.2 ms. The next picture is
# further away than that, but the next run of a benchmark is not.
_SPINS = 5_000


# Multiply-adds of a network, about a quarter of a millisecond's, below which waking and waiting for
# other threads may cost more than they save.
_SMALL = 30_000_000
# Runs of a trial of the way that lost, how many of its first do not count because the helpers are
# only waking up, and how many such stretches lie between trials.
_TRIAL, _WAKING, _BETWEEN = 4, 1, 16


class Pace:
    """Whether a small network runs on one thread or on all: both are tried, the faster is taken.

    Which one that is depends on how far apart the processors are and on how often pictures come,
    so that the other is tried again from time to time. Large networks always run on all.

    Args:
        threads: how many there are.
        work: the network's multiply-adds.
        adapts: whether to try at all; otherwise it runs on all.
    """

    def __init__(self, threads: int, work: int, *, adapts: bool = True) -> None:
        self._threads = threads
        self._adapts = adapts and threads > 1 and work < _SMALL
        self._runs = 0
        self._taken = threads
        self._times: dict[int, deque[float]] = {
            n: deque(maxlen=_TRIAL - _WAKING) for n in (1, threads)
        }

    @property
    def taken(self) -> int:
        """How many threads are taken at present, but for trials."""
        return self._taken

    def threads(self) -> int:
        """How many threads the next run takes."""
        if not self._adapts:
            return self._threads
        stretch = self._runs // _TRIAL
        # The second trial comes early: at the first there is nothing to compare with.
        if stretch % _BETWEEN and stretch != 2:
            return self._taken
        return 1 if self._taken != 1 else self._threads

    def tell(self, threads: int, seconds: float) -> None:
        """Say how long a run took."""
        if not self._adapts:
            return
        place = self._runs % _TRIAL
        self._runs += 1
        tried = threads != self._taken
        if not tried or place >= _WAKING:
            self._times[threads].append(seconds)
        known = self._times[self._taken]
        ends = tried and place == _TRIAL - 1 and known
        if ends and median(self._times[threads]) < median(known):
            self._taken = threads


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
