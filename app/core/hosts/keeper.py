"""The thread that keeps hosts: starts them, watches over those that are waited for, buries them.

It alone starts them, since Linux ends a child with the *thread* that started it. It counts its own
waking moments, so that a computer that was asleep, or a clock that was set, makes nobody overdue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twinlens.app.core.hosts.process import CRASH, HostProcess, Overdue, worked_s
from twinlens.app.core.workers import CancelToken, Worker

_log = logging.getLogger(__name__)

TICK_S = 0.1
_QUIET_TICKS = 20
_NAP_S = 5.0
_WORKS = 0.3
_LONGER = 8
_LAST_STACK_S = 0.15


class Keeper:
    """Keeps hosts until ``stop``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hosts: list[HostProcess] = []
        self._tasks: list[Callable[[], object]] = []
        self._later: list[Any] = []
        self._asleep = self._stopping = False
        self._worker = Worker("twinlens-hosts", self._run, wake=self._wake)
        self._worker.start()

    @property
    def hosts(self) -> tuple[HostProcess, ...]:
        """Those that were not buried yet."""
        with self._changed:
            return tuple(self._hosts)

    @property
    def alive(self) -> int:
        """How many run, and are to go on."""
        return sum(host.alive for host in self.hosts)

    def start(self, make: Callable[[], HostProcess]) -> HostProcess:
        """Have a host started by the keeper's thread; raises what starting it does."""
        made: Future[HostProcess] = Future()

        def act() -> None:
            try:
                made.set_result(self.adopt(make()))
            except OSError as why:
                made.set_exception(why)

        with self._changed:
            if self._stopping:
                raise OSError("no host is started any more")
            self._tasks.append(act)
            self._changed.notify_all()
        return made.result()

    def later(self, after_s: float, act: Callable[[], object]) -> None:
        """Have something done on this thread in so many seconds, in place of what waits."""
        with self._changed:
            self._later = [after_s, act]
            self._changed.notify_all()

    def adopt(self, host: HostProcess) -> HostProcess:
        """Keep a host that somebody else has started."""
        host.notice = self.notice
        with self._changed:
            self._hosts.append(host)
            late = self._stopping
            self._changed.notify_all()
        if late:
            host.end(on_purpose=True)
        return host

    def notice(self) -> None:
        """Somebody begins to wait for a host."""
        if self._asleep:
            self._wake()

    def request_stop(self) -> None:
        """End all hosts, and start no more; returns at once."""
        with self._changed:
            self._stopping = True
            hosts = tuple(self._hosts)
            self._changed.notify_all()
        for host in hosts:
            host.end(on_purpose=True)

    def stop(self, within_s: float) -> bool:
        """End all hosts and wait for their end; False where one has not ended by then."""
        self.request_stop()
        deadline_s = time.monotonic() + within_s
        self._worker.request_stop()
        self._worker.join(deadline_s)
        for host in self.hosts:
            host.bury(max(0.0, deadline_s - time.monotonic()))
        return not any(host.running for host in self.hosts)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self, token: CancelToken) -> None:
        quiet = 0
        before_s = time.monotonic()
        while self._go_on(token):
            with self._changed:
                # Who is waited for, or is to be buried, is looked at ten times a second; where
                # there is nobody for a while, hardly ever.
                self._asleep = quiet > _QUIET_TICKS
                # Looked at once more: whoever did not see it asleep is seen here.
                busy = bool(self._later) or any(
                    host.waiting or host.left_s is not None for host in self._hosts
                )
                if not self._tasks:
                    self._changed.wait(_NAP_S if self._asleep and not busy else TICK_S)
                self._asleep = False
                tasks, self._tasks = self._tasks, []
            for task in tasks:
                task()
            after_s = time.monotonic()
            # Longer than two turns: this process did not run either.
            passed_s = min(after_s - before_s, 2 * TICK_S)
            before_s = after_s
            active = self._do_later(passed_s)
            quiet = 0 if self._look(passed_s) or active else quiet + 1

    def _do_later(self, passed_s: float) -> bool:
        """Do what is due; whether something waits."""
        with self._changed:
            if not self._later or self._stopping:
                return False
            self._later[0] -= passed_s
            if self._later[0] > 0:
                return True
            (_, act), self._later = self._later, []
        act()
        return True

    def _go_on(self, token: CancelToken) -> bool:
        with self._changed:
            left = self._tasks or (self._stopping and self._hosts)
            return not token.cancelled or bool(left)

    def _look(self, passed_s: float) -> bool:
        """Look after every host; whether there was something to look after."""
        active = False
        for host in self.hosts:
            waiting = host.waiting
            if host.left_s is not None and host.alive:
                active = True
                host.left_s -= passed_s
                if host.left_s <= 0:
                    host.end(on_purpose=True)
            if waiting is not None:
                active = True
                waiting.waited_s += passed_s
                if waiting.worked_s is None:
                    waiting.worked_s = worked_s(host.pid)
                if waiting.waited_s > waiting.allowed_s and host.alive:
                    _end_overdue(host, waiting)
            if not host.alive:
                active = True
                if host.bury():
                    with self._changed:
                        self._hosts.remove(host)
        return active


def _end_overdue(host: HostProcess, waiting: Overdue) -> None:
    """End a host that is overdue; one that computes, or gets no processor, has a while longer."""
    now_s, before_s = worked_s(host.pid), waiting.worked_s
    if now_s is not None and before_s is not None:
        works = now_s - before_s > _WORKS * waiting.waited_s
        if works and waiting.waited_s < _LONGER * waiting.allowed_s:
            return
    # late: only where one hangs
    from twinlens.app.core.hosts.stacks import ask_stacks

    why = _overdue(waiting.limit_s, waiting.waited_s)
    (told,) = ask_stacks([host], _LAST_STACK_S)
    where = told if isinstance(told, str) else "\n".join(told)
    _log.info("host of %s %s; its stacks:\n%s", host.role, why, where, extra=CRASH)
    host.end(why)


def _overdue(limit_s: float | None, allowed_s: float) -> str:
    if limit_s is None:
        return f"gave no sign of life for {allowed_s:.0f} s"
    return f"did not answer within {allowed_s:.1f} s"
