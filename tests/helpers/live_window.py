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

from helpers.displays import xvfb

_PROBE = Path(__file__).with_name("window_probe.py")


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
            self._records.put(json.loads(line))

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait_for(self, event: str, timeout_s: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                record = self._records.get(timeout=max(0.01, left))
            except queue.Empty:
                raise AssertionError(f"no {event!r} within {timeout_s} s{self._state()}") from None
            if record["event"] == event:
                return record

    def _state(self) -> str:
        """Where the window's threads are; ends it."""
        code = self._process.poll()
        if code is None:
            self._process.send_signal(signal.SIGABRT)  # which the fault handler answers
            self._process.wait(30)
        stacks = self._errors.read_text(encoding="utf-8", errors="replace")
        return f"; exit code {code}\n{stacks}"

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
        self.send("quit")
        code = self._process.wait(30)
        self._reader.join(10)
        return code


@contextmanager
def live_window(
    folder: Path, *, source: object, model: object = "", engine: str, size: str = "1280x720"
) -> Iterator[LiveWindow]:
    """Start the window on a source and wait until it answers."""
    with xvfb(f"{size}x24") as screen, (folder / "stderr.txt").open("w") as errors:
        # A processor that plays a GPU takes it from the picture; what the window makes of the
        # others is looked at here.
        env = screen | {"VK_DRIVER_FILES": os.devnull, "PYTHONFAULTHANDLER": "1"}
        settings = str(folder / "settings.json")
        process = subprocess.Popen(
            [sys.executable, str(_PROBE), settings, str(source), str(model), engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
        )
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
            if process.poll() is None:
                process.kill()
            process.wait(10)
            window._reader.join(10)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
