"""Remembers settings: at once in memory, a moment later on disk, on another thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, QTimer

from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.qt.threads.bridge import Background

_log = logging.getLogger(__name__)
_SAVE_MS = 250
_LAST_WAIT_S = 0.8


class Memory(QObject):
    """The settings in use, and their way to the disk.

    A slider that moves changes them many times a second, and a disk may be slow: so they are
    saved together and never by the window's thread, except at the end.

    Args:
        store: where they are kept; read once, here.
        background: saves them.
        failed: called, once, with why the disk does not take them.
    """

    def __init__(
        self,
        store: SettingsStore,
        background: Background,
        failed: Callable[[Exception], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.settings = store.load()
        self._store, self._background, self._failed = store, background, failed
        self._unsaved: dict[str, Any] = {}
        self._failure_shown = self._saving = self._ending = False
        self._disk = threading.Lock()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SAVE_MS)
        self._timer.timeout.connect(self._save_soon)

    def remember(self, **changes: Any) -> Settings:
        """Change settings; they hold at once, whatever the disk says."""
        self.settings = replace(self.settings, **changes)
        self._unsaved.update(changes)
        if not self._timer.isActive() and not self._ending:
            self._timer.start()
        return self.settings

    def hold(self) -> None:
        """From now on keep what changes for ``save_now``: whoever saves is about to end."""
        self._ending = True
        self._timer.stop()

    def save_now(self) -> None:
        """Save what is not saved yet, on this thread; for the end.

        Waits a moment for what is being saved, and gives up where the disk does not answer.
        """
        self.hold()
        changes, self._unsaved = self._unsaved, {}
        if not changes or not self._disk.acquire(timeout=_LAST_WAIT_S):
            return
        try:
            self._store.update(**changes)
        except (OSError, ValueError) as error:
            _log.info("settings cannot be saved: %s", error)
        finally:
            self._disk.release()

    def _save_soon(self) -> None:
        if self._saving:
            return  # One after the other: each reads what the one before has written.
        changes, self._unsaved = self._unsaved, {}
        if changes:
            self._saving = True
            self._background.run(
                "settings", lambda: self._save(changes), self._saved, self._failure
            )

    def _save(self, changes: dict[str, Any]) -> None:
        with self._disk:
            self._store.update(**changes)

    def _saved(self, _: object = None) -> None:
        self._saving = False
        if self._unsaved and not self._ending:
            self._timer.start()

    def _failure(self, error: Exception) -> None:
        self._saved()
        if not self._failure_shown:
            self._failure_shown = True
            self._failed(error)
