"""The wizard's proof as the window sees it: one trial at a time, and a tick while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer

from twinlens.app.core.session.loading import Loader
from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.trial import Trial, TrialState
from twinlens.app.core.setup.wizard import Wizard
from twinlens.app.core.workers import Workers
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.image import PixelBuffer

_TICK_MS = 60


class Proving(QObject):
    """Tries a wizard's candidates on a thread of its own, and tells when there is more to show.

    Args:
        workers: the owner of that thread.
        load: loads a model on an engine.
        live: gives the picture that is shown now; called on the trial's thread.
        more: called on the window's thread when answers have come.
    """

    def __init__(
        self,
        workers: Workers,
        load: Loader,
        live: Callable[[], PixelBuffer | None],
        more: Callable[[], object],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._workers, self._load, self._live, self._more = workers, load, live, more
        self.trial: Trial | None = None
        self._seen = -1
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def state(self) -> TrialState:
        """How far it is."""
        return self.trial.state if self.trial is not None else TrialState()

    def seen(self) -> TrialState:
        """How far it is, to be shown: told anew only when there is more."""
        state = self.state
        self._seen = state.count
        return state

    def begin(
        self,
        wizard: Wizard,
        pictures: Sequence[Golden],
        engine_id: str,
        options: EngineOptions,
        *,
        watch: bool,
    ) -> None:
        """Begin anew, since something that the answers depend on has changed.

        Args:
            wizard: the candidates, and how answers are read.
            pictures: what they are tried on.
            engine_id: what they are tried with.
            options: how that computes.
            watch: whether what is live is tried as well.

        Raises:
            TwinlensError: the wizard's answers cannot be together.
        """
        self.stop()
        network, candidates = wizard.trial_network, wizard.candidates()

        def load(model: Network) -> Runner:
            return self._load(model, engine_id, options)

        self.trial = Trial(network, candidates, pictures, load, self._live, self._workers)
        self.trial.watch(watch)
        self.trial.start()
        self._seen = -1
        self._timer.start()

    def watch(self, live: bool) -> None:
        """Try what is live as well, or stop doing so."""
        if self.trial is not None:
            self.trial.watch(live)

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self._timer.stop()
        if self.trial is not None:
            self.trial.request_stop()
            self.trial = None

    def _tick(self) -> None:
        if self.state.count != self._seen:
            self._more()
