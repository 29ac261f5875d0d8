"""What the session reports, as overlays on the stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twinlens.app.core.session.events import SessionState
from twinlens.app.core.session.session import Session
from twinlens.app.core.session.types import Result
from twinlens.app.overlays import Overlays, build_overlays
from twinlens.app.qt.ports import SettingsPort
from twinlens.app.qt.stage.stage import Stage

Amend = Callable[[Overlays], Overlays]


class Presenter:
    """Keeps the session and its newest answer, and shows both; fills ``SessionPort``.

    Args:
        stage: where they are shown.
        memory: threshold and what is shown.
        shown: called with the overlays and the session's state when everything was shown anew.

    Attributes:
        session: None until the first model is known.
        last_result: the newest answer; None before the first.
        answered: called when there is a new answer.
        amends: what changes overlays before they are shown, in this order.
    """

    def __init__(
        self,
        stage: Stage,
        memory: SettingsPort,
        shown: Callable[[Overlays, SessionState], None],
    ) -> None:
        self._stage, self._memory, self._shown = stage, memory, shown
        self.session: Session | None = None
        self.last_result: Result | None = None
        self.answered: Callable[[], None] = lambda: None
        self.amends: tuple[Amend, ...] = ()

    def show_result(self, result: Result) -> None:
        """Show an answer; figures that would jitter wait for ``refresh``, unless it flipped."""
        flipped = self.last_result is None or self.last_result.info != result.info
        self.last_result = result
        if self.session is None:
            return
        made = self._overlays(self.session, self.session.state)
        old = self._stage.overlays
        if not flipped and old.status and old.status.measured and made.status:
            made = replace(made, status=old.status)
        self._stage.show_overlays(made)
        self.answered()

    def refresh(self) -> None:
        """Show everything anew: figures, engine switch, progress."""
        if self.session is None:
            return
        state = self.session.state
        made = self._overlays(self.session, state)
        self._stage.show_overlays(made)
        self._shown(made, state)

    def _overlays(self, session: Session, state: SessionState) -> Overlays:
        made = build_overlays(self.last_result, session.stats(), self._memory.settings, state)
        for amend in self.amends:
            made = amend(made)
        return made
