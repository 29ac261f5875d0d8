"""The window on the bundled clip: start, frames painted, answers, latency, processor share.

Several checkouts can be compared in one run (A B A B): each is a Python whose environment has its
Twinlens installed. Every round starts each window once, on an X display of its own, with the
same settings; medians over the rounds.

Run: ``python tests/bench/bench_window.py [--python A --python B] [--rounds N] [--seconds S]
[--engine ID] [--model ID]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.displays import xvfb

# Runs inside each checkout; it uses only what every version of the window has.
_INSIDE = """
import json, sys, time
from pathlib import Path
import psutil
from PySide6.QtCore import QTimer
from twinlens.app.core.settings import SettingsStore
from twinlens.app.qt.main import make_application, make_window

settings, engine, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
application = make_application()
window = make_window(SettingsStore(settings))
process, stamps, begun = psutil.Process(), [], {}

def painted(index, source):
    now = time.perf_counter()
    if window.stage.overlays.label is None:
        return
    if not begun:
        begun.update(wall=time.time(), at=now + 1.0)  # a second to come to rest
    elif now >= begun["at"]:
        if "cpu" not in begun:
            begun.update(cpu=process.cpu_times(), first=window.session.stats(), since=now)
        stamps.append(now)
        if now - begun["since"] >= seconds:
            stop(now)

def stop(now):
    used, was, last = process.cpu_times(), begun["cpu"], window.session.stats()
    span = now - begun["since"]
    gaps = [b - a for a, b in zip(stamps, stamps[1:])]
    print(json.dumps({
        "answering": begun["wall"],
        "painted": (len(stamps) - 1) / span,
        "gap": max(gaps) * 1e3,
        "answers": (last.answered - begun["first"].answered) / span,
        "p50": last.latency_p50_ms,
        "p95": last.latency_p95_ms,
        "cpu": (used.user + used.system - was.user - was.system) / span * 100,
    }), flush=True)
    window.stage.painted.disconnect(painted)
    window.close()

window.stage.painted.connect(painted)
window.show()
window.start("clip", sys.argv[4] or None, engine)
QTimer.singleShot(int((seconds + 60) * 1e3), window.close)
application.exec()
window.stop()
"""
_COLUMNS = (
    ("start ms", "start"),
    ("painted/s", "painted"),
    ("largest gap ms", "gap"),
    ("answers/s", "answers"),
    ("latency p50 ms", "p50"),
    ("p95 ms", "p95"),
    ("processor %", "cpu"),
)


def measure(python: str, engine: str, seconds: float, model: str, folder: Path) -> dict[str, float]:
    """Run one window; times in ms, rates in 1/s, processor in per cent of one core."""
    (folder / "settings.json").unlink(missing_ok=True)
    with xvfb("1280x800x24") as screen:
        # A GPU played by the processor would be asked for while others are measured.
        env = screen | {"VK_DRIVER_FILES": os.devnull}
        started = time.time()
        words = [str(folder / "settings.json"), engine, str(seconds), model]
        command = [python, "-c", _INSIDE, *words]
        done = subprocess.run(
            command,
            check=False,
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds + 120,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{python}: no figures, exit code {done.returncode}\n{done.stderr}")
    record: dict[str, Any] = json.loads(lines[-1])
    record["start"] = (record.pop("answering") - started) * 1e3
    return record


def main(argv: Sequence[str] | None = None) -> None:
    """Measure in turn, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", default=[], help="an environment to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--engine", default="layers-cpu")
    parser.add_argument("--model", default="", help="default: what each starts on")
    args = parser.parse_args(argv)
    pythons = args.python or [sys.executable]
    found: dict[str, list[dict[str, float]]] = {python: [] for python in pythons}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-1, args.rounds):  # one round before, so that plans are kept
            for python in pythons:
                record = measure(python, args.engine, args.seconds, args.model, Path(folder))
                if number >= 0:
                    found[python].append(record)
    print(f"{args.rounds} rounds of {args.seconds} s, {args.engine}, medians")
    print("environment".ljust(40) + "".join(title.rjust(16) for title, _ in _COLUMNS))
    for python, records in found.items():
        cells = (f"{median(one[key] for one in records):.1f}".rjust(16) for _, key in _COLUMNS)
        print(python[-38:].ljust(40) + "".join(cells))


if __name__ == "__main__":
    main()
