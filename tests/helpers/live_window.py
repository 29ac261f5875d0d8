"""Drives the real window in a process of its own, on a display of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageGrab

from helpers.displays import xvfb
from helpers.processes import how_it_ended, running

_PROBE = Path(__file__).with_name("window_probe.py")
_LOOK_S = 0.1
"""How often a wait looks whether the window is still there."""
_LAST_WORDS_S = 5.0
_MOST_WORDS = 20_000


class LiveWindow:
    """A running window: press keys, send commands, wait for what it reports."""

    def __init__(self, process: subprocess.Popen[str], env: dict[str, str], errors: Path) -> None:
        self._process, self._env, self._errors = process, env, errors
        self._records: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                record = json.loads(line)
            except ValueError:  # a library that writes to standard output
                continue
            if isinstance(record, dict) and "event" in record:
                self._records.put(record)

    def send(self, line: str) -> None:
        """Send a command.

        Raises:
            AssertionError: the window has gone; says how.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:  # a pipe without a reader
            raise AssertionError(f"{line!r} cannot be sent: {self._state()}") from None

    def wait_for(self, event: str, timeout_s: float = 60) -> dict[str, Any]:
        """The next report of an event.

        Raises:
            AssertionError: it did not come in time, or the window has gone, which is noticed at
                once; says how it ended, or where its threads are, and what it wrote.
        """
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            gone = self._process.poll() is not None
            if gone:
                self._reader.join(_LAST_WORDS_S)  # what it reported before it went
            try:
                record = self._records.get(not gone, min(left, _LOOK_S))
            except queue.Empty:
                if gone:
                    raise AssertionError(f"no {event!r} will come: {self._state()}") from None
                continue
            if record["event"] == event:
                return record
        raise AssertionError(f"no {event!r} within {timeout_s} s: {self._state()}")

    def _state(self) -> str:
        """How the window ended, or where its threads are, which ends it; and its last words."""
        code = self._process.poll()
        if code is None:
            self._process.send_signal(signal.SIGABRT)  # which the fault handler answers
            self._process.wait(30)
            how = "the window still ran, like this"
        else:
            how = f"the window has gone, {how_it_ended(code)}"
        words = self._errors.read_text(encoding="utf-8", errors="replace")
        return f"{how}\n{words[-_MOST_WORDS:]}"

    @property
    def pid(self) -> int:
        """The window's process."""
        return self._process.pid

    def press(self, key: str) -> None:
        subprocess.run(["xdotool", "key", key], env=self._env, check=True, timeout=20)

    def stroke(self, places: Sequence[tuple[float, float]]) -> None:
        """Draw with the real pointer, in pixels of the screen."""
        (x, y), *others = places
        words = ["mousemove", str(round(x)), str(round(y)), "mousedown", "1"]
        for x, y in others:
            words += ["sleep", "0.004", "mousemove", str(round(x)), str(round(y))]
        command = ["xdotool", *words, "mouseup", "1"]
        subprocess.run(command, env=self._env, check=True, timeout=60)

    def grab(self) -> np.ndarray:
        """What stands on the screen: (H, W, 3) uint8 R, G, B."""
        return np.asarray(ImageGrab.grab(xdisplay=self._env["DISPLAY"]).convert("RGB"))

    def report(self) -> dict[str, Any]:
        self.send("report")
        return self.wait_for("report")

    def until(
        self, holds: Callable[[dict[str, Any]], Any], timeout_s: float = 60
    ) -> dict[str, Any]:
        """Ask for reports until one is such."""
        deadline = time.monotonic() + timeout_s
        while not holds(report := self.report()):
            if time.monotonic() > deadline:
                raise AssertionError(report)
            time.sleep(0.05)
        return report

    def close(self) -> int:
        """Close the window; gives its exit code.

        Raises:
            AssertionError: it went before or by a signal, or it does not go.
        """
        self.send("quit")
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not close: {self._state()}") from None
        self._reader.join(_LAST_WORDS_S)
        if code < 0:
            raise AssertionError(f"it did not close by itself: {self._state()}")
        return code

    def end(self) -> None:
        """End the process, whatever it does, and what reads from it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._reader.join(_LAST_WORDS_S)


@contextmanager
def live_window(
    folder: Path,
    *,
    source: object,
    model: object = "",
    engine: str,
    size: str = "1280x720",
    hosts: bool = False,
    probe: Path = _PROBE,
) -> Iterator[LiveWindow]:
    """Start the window on a source and wait until it answers.

    Args:
        folder: an empty one.
        source: in the text form of ``open_source``.
        model: catalog name or path; empty for the embedded one.
        engine: its id.
        size: of the screen.
        hosts: whether engines run in processes of their own.
        probe: the program that shows the window and takes the commands.
    """
    with xvfb(f"{size}x24") as screen, (folder / "stderr.txt").open("w") as errors:
        # A processor that plays a GPU takes it from the picture; what the window makes of the
        # others is looked at here.
        env = screen | {"VK_DRIVER_FILES": os.devnull, "PYTHONFAULTHANDLER": "1"}
        words = [sys.executable, probe, folder / "settings.json", source, model, engine]
        words += ["hosts"] if hosts else []
        with running(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
        ) as process:
            window = LiveWindow(process, env, folder / "stderr.txt")
            try:
                window.wait_for("answering", 90)
                subprocess.run(
                    ["xdotool", "search", "--onlyvisible", "--name", "Twinlens", "windowfocus"],
                    env=env,
                    check=False,
                    timeout=20,
                    stdout=subprocess.DEVNULL,
                )
                yield window
            finally:
                window.end()
