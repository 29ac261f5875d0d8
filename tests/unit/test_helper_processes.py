"""What tests rely on when they start processes: a crash is seen at once, a signal arrives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.live_window import LiveWindow
from helpers.processes import running

TESTS = Path(__file__).parents[1]
LIMIT_S = 20.0
AT_ONCE_S = 10.0
"""Far more than it takes to see that a process has ended, far less than the limit."""


@contextmanager
def window_that(code: str, folder: Path) -> Iterator[LiveWindow]:
    """A process that stands for the window's."""
    said = folder / "stderr.txt"
    words = [sys.executable, "-X", "faulthandler", "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with said.open("w") as errors, running(words, stderr=errors, **pipes) as process:
        window = LiveWindow(process, {}, said)
        try:
            yield window
        finally:
            window.end()


def crash(name: str) -> str:
    ready = """print('{"event": "ready"}', flush=True)"""
    return f"import os, signal; {ready}; os.kill(os.getpid(), signal.{name})"


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_window_that_dies_is_reported_at_once_with_its_signal(name: str, tmp_path: Path) -> None:
    with window_that(crash(name), tmp_path) as window:
        window.wait_for("ready")
        began = time.monotonic()
        with pytest.raises(AssertionError, match=name) as caught:
            window.wait_for("never", LIMIT_S)
        assert time.monotonic() - began < AT_ONCE_S
        if name != "SIGKILL":
            assert "most recent call first" in str(caught.value)


def test_a_window_that_leaves_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('the reason\\n'); sys.exit(3)"
    with window_that(code, tmp_path) as window:
        began = time.monotonic()
        with pytest.raises(AssertionError, match=r"exit code 3\s+the reason"):
            window.wait_for("never", LIMIT_S)
        assert time.monotonic() - began < AT_ONCE_S


def test_what_is_sent_to_a_window_that_has_gone_says_so(tmp_path: Path) -> None:
    with window_that("raise SystemExit(5)", tmp_path) as window:
        with pytest.raises(AssertionError, match="exit code 5"):
            window.wait_for("never", LIMIT_S)
        with pytest.raises(AssertionError, match="exit code 5"):
            window.report()


def test_a_line_that_is_no_report_does_not_end_the_reading(tmp_path: Path) -> None:
    code = """print('a library speaks'); print('{"event": "x"}', flush=True); input()"""
    with window_that(code, tmp_path) as window:
        assert window.wait_for("x", AT_ONCE_S) == {"event": "x"}


BACKGROUND = """
import json, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
before = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
from helpers.processes import signals_reach_children
with signals_reach_children():
    code = "import time; print('up', flush=True); time.sleep(100)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
child.send_signal(signal.SIGINT)
try:
    ended = child.wait(40)
except subprocess.TimeoutExpired:
    child.kill()
    child.wait()
    ended = "not at all"
after = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
print(json.dumps({"before": before, "ended": ended, "after": after}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_reaches_what_a_job_in_the_background_starts() -> None:
    words = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1" "$2"', sys.executable, BACKGROUND, TESTS]
    run = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=100, check=True
    )
    assert json.loads(run.stdout) == {"before": True, "ended": -signal.SIGINT, "after": True}
