"""Asks hosts where their threads are, whatever these are at.

A signal makes faulthandler write the stacks to a host's standard error, also while native code
runs or holds the interpreter. Nothing asks a host that has not said that it hears the signal:
the signal would end it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence

from twinlens.app.core.hosts.process import HostProcess

WITHIN_S = 0.5
_SETTLED_S = 0.03


def ask_stacks(hosts: Sequence[HostProcess], within_s: float = WITHIN_S) -> list[list[str] | str]:
    """What faulthandler writes of each host, in lines; or, in words, why there is nothing.

    Args:
        hosts: whom to ask; all are asked before one is waited for.
        within_s: how long to wait for all of them together.
    """
    number = getattr(signal, "SIGUSR1", None)
    if number is None:
        return ["stacks of other processes cannot be told on this system"] * len(hosts)
    told: list[list[str] | str] = ["has ended"] * len(hosts)
    asked: list[tuple[int, HostProcess, int]] = []
    for place, host in enumerate(hosts):
        if host.running and not _hears(host, number):
            told[place] = "has not begun to listen"
        elif host.running:
            with contextlib.suppress(OSError, ValueError):  # it has ended just now
                since = host.written()
                os.kill(host.pid, number)
                asked.append((place, host, since))
                told[place] = f"did not answer within {within_s} s"
    deadline_s = time.monotonic() + within_s
    for place, host, since in asked:
        text = _settled(host, since, deadline_s)
        if text:
            told[place] = text.splitlines()
    return told


def _settled(host: HostProcess, since: int, deadline_s: float) -> str:
    """What a host writes until it has written nothing for a moment."""
    before, changed_s = since, time.monotonic()
    while time.monotonic() < deadline_s:
        size, now_s = host.written(), time.monotonic()
        if size != before:
            before, changed_s = size, now_s
        elif size > since and now_s - changed_s >= _SETTLED_S:
            break
        time.sleep(_SETTLED_S / 3)
    return host.wrote(since)


def _hears(host: HostProcess, number: int) -> bool:
    """Whether a host has something that answers the signal."""
    if not sys.platform.startswith("linux"):
        return host.greeted
    try:
        with open(f"/proc/{host.pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
