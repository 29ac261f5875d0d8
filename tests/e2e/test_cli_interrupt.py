"""Ctrl-C in a terminal command: status 130, no traceback, no abort, however often it is pressed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.closing import big_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")

# However this process was started: a job in the background ignores Ctrl-C, and so do its children.
_START = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
print("started", flush=True)
runpy.run_module("twinlens.app", run_name="__main__", alter_sys=True)
"""
ENDED_S = 2.5


def interrupt(words: list[str], *, lines: int, after_s: float, times: int) -> tuple[int, str, str]:
    """Status, standard output and error of a command that is interrupted."""
    with subprocess.Popen(
        [sys.executable, "-c", _START, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        for _ in range(lines + 1):
            assert run.stdout.readline()
        time.sleep(after_s)
        asked_s = time.monotonic()
        for _ in range(times):
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
            time.sleep(0.02)
        output, errors = run.communicate(timeout=30)
        assert time.monotonic() - asked_s < ENDED_S
    return run.returncode, output, errors


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("engine", ["vision", "layers-cpu"])
def test_a_run_ends_with_its_summary(engine: str, times: int) -> None:
    words = ["run", "--headless", "--source", "clip", "--realtime", "--engine", engine]
    status, output, errors = interrupt(words, lines=3, after_s=0.05 * times, times=times)
    assert (status, errors) == (130, "")
    if times == 1:
        assert " frames, " in output.splitlines()[-1]


@pytest.mark.parametrize("times", [1, 3])
def test_a_command_that_compiles_ends_at_once(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "plans"))
    clip = str(Path(__file__).parents[2] / "assets" / "clip.mp4")
    words = ["run", "--headless", "--source", clip, "--model", str(big_model(tmp_path))]
    words += ["--engine", "layers-cpu", "--values", "imagenet"]  # nothing is assumed, or said
    assert interrupt(words, lines=0, after_s=2.0, times=times)[::2] == (130, "")


@pytest.mark.parametrize("times", [1, 2])
def test_a_comparison_of_engines_ends_at_once(times: int) -> None:
    status, _, errors = interrupt(["bench"], lines=0, after_s=2.5, times=times)
    assert status == 130
    assert "Traceback" not in errors


def test_listing_the_engines_ends_at_once() -> None:
    status, _, errors = interrupt(["doctor"], lines=0, after_s=0.4, times=2)
    assert (status, errors) == (130, "")
