"""Runs the real command, brings its window into a state, and reports that; a process of its own.

Usage: ``python closing_probe.py STATE WORDS...``; the words are those of ``twinlens``. When the
state is reached, a setting is changed and the state's name goes out on standard output. A line
``close`` on standard input closes the window as its cross does.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal

_POLL_MS = 20


class Probe(QObject):
    """Waits for a state of a window, on the window's thread."""

    close = Signal()
    entered = Signal()

    def __init__(self, state: str, window: Any) -> None:
        super().__init__()
        self.state, self.window = state, window
        self.begun = self.reached = False
        queued = Qt.ConnectionType.QueuedConnection
        self.close.connect(window.close, queued)
        self.entered.connect(self.reach, queued)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.poll)
        self.timer.start(_POLL_MS)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        for line in sys.stdin:
            if line.strip() == "close":
                self.close.emit()

    def reach(self) -> None:
        if not self.reached:
            self.reached = True
            self.window.look.toggle_mirror()
            os.write(1, f"{self.state}\n".encode())

    def poll(self) -> None:
        if self.reached or self.state in ENTERED or self.window.stage.overlays.label is None:
            return
        begin, holds = POLLED[self.state]
        if not self.begun:
            self.begun = True
            begin(self.window)
        if holds(self.window):
            self.reach()


def _proving(window: Any) -> bool:
    trial = window.intake.desk.trial
    return trial.count > 0 and not trial.done and trial.error is None


def _pulling(window: Any) -> bool:
    return any(pull.done for pull in window.shelf.pulls.progress().values())


def _pull(window: Any) -> None:
    window.shelf.toggle()
    window.shelf.read(lambda: window.shelf.act("slow"))  # the catalog is read elsewhere first


#: By state: what begins it once the window answers, and how it is known that it is there.
POLLED: dict[str, tuple[Callable[[Any], object], Callable[[Any], bool]]] = {
    "live": (lambda window: None, lambda window: True),
    "hosted": (
        lambda window: window.choose.model(os.environ["PROBE_MODEL"]),
        lambda window: window.session.state.loading is not None,
    ),
    "proving": (
        lambda window: window.intake.open(Path(os.environ["PROBE_MODEL"])),
        _proving,
    ),
    "bench": (
        lambda window: window.bench.toggle(),
        lambda window: window.bench.table is not None and window.bench.table.round > 0,
    ),
    "crossover": (
        lambda window: window.crossover.toggle(),
        lambda window: window.crossover.climb is not None and window.crossover.climb.round > 0,
    ),
    "pulling": (_pull, _pulling),
}

#: By state: module, and class and function that it is in while that runs.
ENTERED = {
    "loading": "twinlens.engine.vision.engine:open_session",
    "compiling": "twinlens.engine.targets.cpu.codegen.compiler:compile_object",
    "calibrating": "twinlens.engine.targets.cpu.run.calibrate:Calibration._compare",
    "stream": "twinlens.app.sources.stream:NetworkStream.open",
    "opening": "twinlens.app.sources.hosted:HostedSource.open",
}


def report_when_entered(place: str, entered: Callable[[], None]) -> None:
    module, _, name = place.partition(":")
    owner: Any = import_module(module)
    *classes, function = name.split(".")
    for one in classes:
        owner = getattr(owner, one)
    real = getattr(owner, function)

    @wraps(real)
    def spied(*args: Any, **more: Any) -> Any:
        entered()
        return real(*args, **more)

    setattr(owner, function, spied)


def main() -> None:
    state, *words = sys.argv[1:]
    # As a terminal gives them, however this process was started: a job in the background ignores
    # Ctrl-C, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    from twinlens.app.qt import main as qt_main

    probes: list[Probe] = []
    make = qt_main.make_window

    def made(*args: Any, **more: Any) -> Any:
        window = make(*args, **more)
        probes.append(Probe(state, window))
        return window

    qt_main.make_window = made
    if state in ENTERED:
        report_when_entered(ENTERED[state], lambda: probes[0].entered.emit())
    sys.argv = ["twinlens", *words]
    runpy.run_module("twinlens.app", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
