"""Runs the real window and reports what it did; started by tests as a process of its own.

Usage: ``python window_probe.py SETTINGS SOURCE MODEL ENGINE [HOSTS]``. Commands come as lines on
standard input (``drop PATH``, ``source TEXT``, ``engine ID``, ``shot PATH``, ``report``, ``quit``);
answers go out as JSON lines. With ``hosts`` engines run in processes of their own.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from PySide6.QtCore import QEventLoop, QMimeData, QObject, QPoint, QPointF, Qt, QUrl, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from twinlens.app.core.hosts.hosts import window_hosts
from twinlens.app.core.settings import SettingsStore
from twinlens.app.core.way_out import WAY_OUT
from twinlens.app.qt.main import end, make_application, make_window

#: What holds up the window's thread while it is imported or works.
_HEAVY = {"llvmlite", "wgpu", "onnxruntime", "onnx", "google.protobuf"}


class Commands(QObject):
    line = Signal(str)


class Probe:
    def __init__(self, window: Any) -> None:
        self.window = window
        self.painted = 0
        self.captured: list[int] = []
        self.frames: list[tuple[int, int]] = []
        self.engines: list[str] = []
        self.banners: list[str] = []
        self.answering_from: float | None = None
        window.stage.painted.connect(self.on_painted)
        window.popups.show_banner = self.on_banner(window.popups.show_banner)

    def on_painted(self, index: int, source_id: int) -> None:
        label = self.window.stage.overlays.label
        if label is None:
            return
        self.painted += 1
        self.captured.append(self.window.session.stats().captured)
        self.frames.append((source_id, index))
        if not self.engines:
            say({"event": "answering"})
        if not self.engines or self.engines[-1] != label.engine_id:
            self.engines.append(label.engine_id)
            say({"event": "engine", "id": label.engine_id})

    def on_banner(self, show: Any) -> Any:
        def wrapped(banner: Any, act: Any = None) -> None:
            self.banners.append(f"{banner.title} | {banner.hint}")
            say({"event": "banner", "text": self.banners[-1]})
            show(banner, act)

        return wrapped

    def report(self) -> dict[str, Any]:
        unseen = [b - a - 1 for a, b in zip(self.captured, self.captured[1:], strict=False)]
        stats = self.window.session.stats()
        return {
            "event": "report",
            "painted": self.painted,
            "most_unseen": max(unseen, default=0),
            "sources": sorted({source for source, _ in self.frames}),
            "in_order": self.frames == sorted(self.frames),
            "engines": self.engines,
            "hosts": self.hosts(),
            "libraries": sorted(_HEAVY & set(sys.modules)),
            "rss": psutil.Process().memory_info().rss,
            "captured": stats.captured,
            "dropped": stats.dropped,
            "banners": self.banners,
            "label": getattr(self.window.stage.overlays.label, "label", ""),
            "who": getattr(self.window.stage.overlays.status, "who", ""),
            "bench": self.bench(),
            "model": self.window.session.state.spec.title,
            "source": self.window.choose.source_text,
            "live": self.window.controls.switch.live,
            "pad": self.window.pad.active,
            "strokes": self.window.pad.board.strokes if self.window.pad.board else 0,
            "wizard": self.wizard(),
            "sheet": type(self.window.sheet).__name__ if self.window.sheet else "",
        }

    def act(self, word: str, rest: str) -> None:
        """Do what another kind of probe has a command for."""

    def hosts(self) -> dict[str, int | None]:
        """Processes of what serves."""
        serving = self.window.session._worker.serving
        host = getattr(serving.runner, "host", None) if serving else None
        player = self.window.session._deck._current
        source = getattr(player.source, "host", None) if player else None
        return {"engine": host.pid if host else None, "source": source.pid if source else None}

    def wizard(self) -> dict[str, Any] | None:
        desk = self.window.intake.desk
        if desk.sheet is None or desk.wizard is None:
            return None
        return {
            "asks": list(desk.wizard.report.asks),
            "chosen": desk.wizard.chosen,
            "missing": desk.wizard.missing,
            "done": desk.trial.done,
            "status": desk.sheet.status.text(),
        }

    def drop(self, path: Path) -> None:
        """As a file manager does it: hover, then let go."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        stage, copy = self.window.stage, Qt.DropAction.CopyAction
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(stage, QDragEnterEvent(QPoint(50, 50), copy, data, left, none))
        while stage.target.dropped is None:  # it is looked at on another thread
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        target = stage.target.dropped
        say({"event": "hover", "text": target.summary if target else ""})
        QApplication.sendEvent(stage, QDropEvent(QPointF(50, 50), copy, data, left, none))

    def bench(self) -> dict[str, Any]:
        table = self.window.bench.table
        rows = [[row.engine, row.precision, row.runs] for row in table.rows] if table else []
        return {"running": self.window.bench.running, "rows": rows}


def say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def run(make_probe: Callable[[Any], Probe] = Probe) -> int:
    """Show the window until it is closed; returns the exit code."""
    settings, source, model, engine = sys.argv[1:5]
    hosts = window_hosts() if sys.argv[5:] == ["hosts"] else None
    application = make_application()
    window = make_window(SettingsStore(Path(settings)), hosts=hosts)
    probe = make_probe(window)
    commands = Commands()

    def act(line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "drop":
            probe.drop(Path(rest))
        elif word == "source":
            window.choose.source(rest)
        elif word == "engine":
            window.choose.engine(rest)
        elif word == "shot":
            window.grab().save(rest)
            say({"event": "shot"})
        elif word == "report":
            say(probe.report())
        elif word == "quit":
            window.close()
        else:
            probe.act(word, rest)

    commands.line.connect(act, Qt.ConnectionType.QueuedConnection)

    def listen() -> None:
        for line in sys.stdin:
            commands.line.emit(line.strip())

    threading.Thread(target=listen, daemon=True).start()
    window.show()
    window.start(source, model or None, engine)
    code = application.exec()
    end(window, hosts)
    return int(code)


if __name__ == "__main__":
    WAY_OUT.leave(run())
