"""Snapshots that are shown on the window's thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from twinlens.app.core.snapshots import Snapshots
from twinlens.app.core.workers import Workers
from twinlens.app.qt.threads.bridge import Deliveries, log_only


def window_snapshots(
    parent: QObject,
    workers: Workers | None = None,
    unexpected: Callable[[Exception], object] = log_only,
) -> Snapshots:
    """Make snapshots that are delivered on the thread of ``parent``, by a queued signal.

    Args:
        parent: lives on the window's thread, and as long as they do.
        workers: the owner of the thread that computes; None makes one.
        unexpected: gets what showing one raises.
    """
    deliveries = Deliveries(unexpected, parent)

    def notify() -> None:
        deliveries.post(made.deliver)

    made = Snapshots(notify, "twinlens-views", workers)
    return made
