"""Errors that nobody expected, on the window's thread: they end nothing."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)


class Surprises:
    """Logs and shows each of them once; what comes sixty times a second is shown once as well.

    Qt would print what a callback raises and go on, without whatever the callback had still to do.

    Args:
        show: shows an error; may fail itself.
    """

    def __init__(self, show: Callable[[Exception], object]) -> None:
        self._show = show
        self._known: set[tuple[type, str, int]] = set()

    def guard(self, act: Callable[..., object], *args: Any) -> None:
        """Call something, whatever it raises."""
        try:
            act(*args)
        except Exception as error:  # noqa: BLE001
            # The boundary of the window's thread: what was about to be shown is lost; report it.
            self.report(error)

    def report(self, error: Exception) -> None:
        """Log and show an error, unless one of its kind came from the same place before."""
        frames = traceback.extract_tb(error.__traceback__)
        place = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
        kind = (type(error), *place)
        if kind in self._known:
            return
        self._known.add(kind)
        _log.error("unexpected, on the window's thread", exc_info=error)
        try:
            self._show(error)
        except Exception:  # noqa: BLE001 - what cannot even be shown is in the log
            _log.exception("an error cannot be shown")
