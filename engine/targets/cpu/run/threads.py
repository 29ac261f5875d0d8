"""Helpers of a plan: threads that wait in generated code for a while, then sleep."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from queue import SimpleQueue
from statistics import median
from typing import Any
from weakref import WeakSet

from twinlens.engine.native import native_work
from twinlens.engine.targets.cpu.codegen.compiler import Machine

# Looks at the run's number before a helper goes to sleep: about 0.2 ms. The next picture is
# further away than that, but the next run of a benchmark is not.
_SPINS = 5_000

#: A helper that was asked to end is waited for so long; its part of a layer takes less than 0.1 s.
PATIENCE_S = 1.0

# Multiply-adds of a network, about a quarter of a millisecond's, below which waking and waiting for
# other threads may cost more than they save.
_SMALL = 30_000_000
# Runs of a trial of the way that lost, how many of its first do not count because the helpers are
# only waking up, and how many such stretches lie between trials.
_TRIAL, _WAKING, _BETWEEN = 4, 1, 16

_log = logging.getLogger(__name__)


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

    def record(self, threads: int, seconds: float) -> None:
        """Record how long a run took."""
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
    The threads hold nothing of the program but the memory that its code reads, so that a
    forgotten program can be collected.

    Args:
        machine: the generated code.
        table: address of the table of addresses.
        state: address of the shared state.
        count: threads in addition to the caller's.
        kept: what owns the memory at these addresses; held until the last thread has ended.
    """

    def __init__(
        self, machine: Machine, table: int, state: int, count: int, kept: object = None
    ) -> None:
        self._machine, self._table, self._state, self._kept = machine, table, state, kept
        # A bell for each thread: putting something into a SimpleQueue waits for nobody, not even
        # for the collector's own thread.
        self._bells: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(count)]
        self._asleep: deque[SimpleQueue[None]] = deque()
        self._closed = False
        self._threads = [
            threading.Thread(
                target=self._serve,
                args=(index, bell),
                name=f"twinlens-layers-{index}",
                daemon=True,
            )
            for index, bell in enumerate(self._bells, 1)
        ]
        _living.add(self)
        for thread in self._threads:
            thread.start()

    def call(self) -> None:
        """Wake whoever sleeps, because a run is about to begin."""
        while self._asleep:
            try:
                bell = self._asleep.popleft()
            except IndexError:
                return
            bell.put(None)

    def request_stop(self) -> None:
        """Ask the threads to end; waits for nobody, so that finalisers may call it."""
        self._closed = True
        for bell in self._bells:
            bell.put(None)

    def close(self, patience_s: float = PATIENCE_S) -> bool:
        """End the threads and wait for them, but not for ever; may be called twice.

        Returns:
            Whether all have ended. What has not computes on in memory that it holds itself.
        """
        self.request_stop()
        left = self.join(time.monotonic() + patience_s)
        if left:
            _log.warning("%s did not end within %g s", ", ".join(left), patience_s)
        return not left

    def join(self, deadline_s: float) -> list[str]:
        """Wait for the threads until a point of ``time.monotonic``; gives names of who is left."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _serve(self, index: int, bell: SimpleQueue[None]) -> None:
        seen = 0
        serve: Any = self._machine.serve
        while not self._closed:
            before = seen
            with native_work("layers-cpu helper"):
                seen = serve(self._table, self._state, index, seen, _SPINS)
            if seen == before and not self._closed:
                self._asleep.append(bell)
                bell.get()


# All helpers that may still run, for the end of the process.
_living: WeakSet[Helpers] = WeakSet()


@atexit.register
def _stop_all() -> None:
    """Let no helper be in generated code when the process takes that away, if it can be helped."""
    helpers = list(_living)
    for each in helpers:
        each.request_stop()
    deadline_s = time.monotonic() + PATIENCE_S
    for each in helpers:
        each.join(deadline_s)
