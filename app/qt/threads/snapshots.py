"""Snapshots that are delivered on the window's thread."""

from __future__ import annotations

from PySide6.QtCore import QObject

from twinlens.app.core.snapshots import Snapshots
from twinlens.app.core.workers import Workers
from twinlens.app.qt.threads.bridge import NewsBridge


def window_snapshots(parent: QObject, name: str, workers: Workers | None = None) -> Snapshots:
    """Make snapshots whose ``deliver`` runs on the thread of ``parent``, by a queued signal.

    Args:
        parent: lives on the window's thread, and as long as they do.
        name: of the thread that computes.
        workers: who owns that thread; None means nobody else.
    """

    def deliver() -> None:
        made.deliver()

    bridge = NewsBridge(deliver, parent)
    made = Snapshots(bridge.notify, name, workers)
    return made
