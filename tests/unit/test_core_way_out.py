"""The end of the process: one status, within a moment, heard while the main thread is busy."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from helpers.fakes import WAIT_S
from twinlens.app.core.way_out import WayOut

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")

#: Many seconds in native code, without the interpreter's lock and deaf to signals.
NATIVE = "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'', b'', 100_000_000)\n"


def python(text: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has signals as a terminal gives them."""
    before = (
        "import os, signal, sys, threading, time\n"
        "from twinlens.app.core.way_out import WayOut\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def later(number, *after):\n"
        "    for s in after:\n"
        "        threading.Timer(s, os.kill, (os.getpid(), number)).start()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", before + text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_happens_before_it_is_installed() -> None:
    left: list[int] = []
    way = WayOut(left.append)
    way.for_window()
    way.closes_by(lambda: None)
    threads = threading.active_count()
    way.begin(0, within_s=0.0)
    time.sleep(0.05)
    assert (left, threading.active_count()) == ([], threads)


def test_leaving_flushes_what_was_written() -> None:
    done = python("way = WayOut(); sys.stdout.write('written'); way.leave(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "written", "")


@posix
def test_a_command_is_interrupted_once_and_the_second_time_is_not_raised() -> None:
    done = python(
        "way = WayOut(); way.install(); later(signal.SIGINT, 0.1, 0.2, 0.3)\n"
        "try:\n"
        "    time.sleep(20)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(0.5)\n"
        "    print('tidied', flush=True)\n"
        "    way.leave(130)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "tidied\n", "")


@posix
@pytest.mark.parametrize(
    "busy",
    [
        "try:\n    time.sleep(20)\nfinally:\n    time.sleep(20)\n",
        "try:\n    time.sleep(20)\nfinally:\n    threading.Event().wait()\n",
        NATIVE,
    ],
    ids=["tidying is slow", "tidying never ends", "native code does not return"],
)
def test_what_stands_still_does_not_keep_a_command(busy: str) -> None:
    started_s = time.monotonic()
    done = python("way = WayOut(); way.install(); later(signal.SIGINT, 0.2)\n" + busy)
    assert time.monotonic() - started_s < WAIT_S
    assert done.returncode == 130
    assert "Fatal" not in done.stderr


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_window_is_closed_by_every_signal_though_its_thread_is_busy(name: str) -> None:
    done = python(
        "way = WayOut(); way.install(); way.for_window()\n"
        "closed = threading.Event()\n"
        "way.closes_by(closed.set)\n"
        f"later(signal.{name}, 0.1, 0.2)\n"
        "if closed.wait(20):\n"
        "    way.leave(0)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_window_that_does_not_close_is_left_all_the_same(name: str) -> None:
    done = python(
        "way = WayOut(); way.install(); way.for_window()\n"
        "way.closes_by(lambda: print('asked', flush=True))\n"
        f"later(signal.{name}, 0.1)\n" + NATIVE
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "asked\n", "")


@posix
def test_a_window_that_is_not_there_yet_just_ends() -> None:
    started_s = time.monotonic()
    done = python(
        "way = WayOut(); way.install(); way.for_window(); later(signal.SIGTERM, 0.1)\n"
        "time.sleep(20)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started_s < WAIT_S


@posix
def test_what_was_ignored_from_the_start_stays_ignored() -> None:
    done = python(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"  # as nohup does
        "way = WayOut(); way.install(); way.for_window()\n"
        "os.kill(os.getpid(), signal.SIGHUP); time.sleep(0.3); way.leave(7)\n"
    )
    assert done.returncode == 7


@posix
def test_an_interrupt_that_hits_a_finaliser_says_nothing_and_still_ends_it() -> None:
    done = python(
        "way = WayOut(); way.install()\n"
        "class Slow:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(0.2)\n"
        "one = Slow()\n"
        "del one\n"
        "time.sleep(20)\n"
    )
    assert (done.returncode, done.stderr) == (130, "")
