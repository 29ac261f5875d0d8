"""Opens the wizard's sheet, keeps its proof going, and hands on what was confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QImage

from twinlens.app.core.session.loading import Loader
from twinlens.app.core.setup.golden import Golden, golden_pictures, own_picture
from twinlens.app.core.setup.preflight import Preflight
from twinlens.app.core.setup.trial import LIVE, Trial, TrialState
from twinlens.app.core.setup.wizard import Wizard
from twinlens.app.core.workers import Workers
from twinlens.app.overlays import Banner
from twinlens.app.qt.ports import (
    AskPort,
    BackgroundPort,
    BannerPort,
    EnginePort,
    SessionPort,
    SheetPort,
    ViewPort,
)
from twinlens.app.qt.setup.wizard_sheet import WizardActions, WizardSheet
from twinlens.app.views.wizard import WIZARD, Proof, ProofView, proof_view
from twinlens.engine.api.protocol import Network, Runner
from twinlens.engine.errors import TwinlensError
from twinlens.engine.image import CropAndScale, PixelBuffer

_TICK_MS = 60
_THUMB = (320, 180)

Thumb = NDArray[np.uint8]
"""A small picture, (rows, columns, 3) B, G, R."""

Confirmed = Callable[[Network, dict[str, Any]], None]
"""Gets the model as it was answered, and what is to be kept beside it."""


class WizardDesk(QObject):
    """Asks about one model at a time; nothing changes before ``confirmed`` is called.

    Args:
        live: the session; its frames are proved on, too.
        engines: what engines are asked for.
        views: shows the sheet.
        sheets: the open sheet.
        banners: where it offers to go on.
        background: reads golden pictures and labels.
        ask: the system's dialogs.
        workers: the owner of the proof's thread.
        load: loads a model on an engine, for the proof.
    """

    def __init__(
        self,
        live: SessionPort,
        engines: EnginePort,
        views: ViewPort,
        sheets: SheetPort,
        banners: BannerPort,
        background: BackgroundPort,
        ask: AskPort,
        workers: Workers,
        load: Loader,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._engines, self._views = live, engines, views
        self._sheets, self._banners, self._background = sheets, banners, background
        self._dialogs, self._workers, self._load = ask, workers, load
        self.wizard: Wizard | None = None
        self._confirmed: Confirmed | None = None
        self._engine_id = ""
        self._pictures: list[Golden] = []
        self._bundled, self._shown, self._pick = 0, LIVE, False
        self._notice = ""
        self._then: Callable[[], object] | None = None
        self._waiting: list[tuple[Golden, Thumb]] = []
        self._trial: Trial | None = None
        self._seen = -1
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._left: tuple[Wizard, Confirmed] | None = None
        self._leaving = QTimer(self)
        self._leaving.setSingleShot(True)
        self._leaving.setInterval(0)
        self._leaving.timeout.connect(self._put_aside)

    @property
    def sheet(self) -> WizardSheet | None:
        """The open sheet."""
        sheet = self._sheets.sheet
        return sheet if isinstance(sheet, WizardSheet) else None

    @property
    def trial(self) -> TrialState:
        """How far the proof is."""
        return self._trial.state if self._trial is not None else TrialState()

    def ask(self, report: Preflight, engine_id: str, confirmed: Confirmed) -> None:
        """Open the sheet.

        Args:
            report: the model.
            engine_id: what the proof runs on.
            confirmed: called once, if it is confirmed.
        """
        self._sheets.close_sheet()
        self._begin(Wizard(report), engine_id, confirmed)

    def _begin(self, wizard: Wizard, engine_id: str, confirmed: Confirmed) -> None:
        self.wizard, self._confirmed = wizard, confirmed
        self._engine_id = engine_id
        self._pictures, self._bundled, self._shown, self._notice = [], 0, LIVE, ""
        self._waiting, self._pick = [], False
        self._open()
        channels = wizard.report.spec.recipe.channels

        def read() -> tuple[tuple[Golden, ...], tuple[Thumb, ...]]:
            pictures = golden_pictures(channels)
            return pictures, tuple(_thumb(golden) for golden in pictures)

        self._background.run("golden", read, lambda got: self._got(*got), self._no_pictures)

    def _open(self) -> None:
        if self.wizard is None:
            return
        actions = self._actions(self.wizard)
        failed = self._banners.show_error
        self._views.open(WIZARD, self._proof, actions, self._closed, self._show, failed)
        if self.sheet is not None:
            self.sheet.focus_first()

    def _actions(self, wizard: Wizard) -> WizardActions:
        return WizardActions(
            wizard=wizard,
            # Without pictures no class is looked up: nothing that a window would have to wait for.
            first=proof_view(self._proof_of(wizard)).view,
            confirm=self.confirm,
            cancel=self._sheets.close_sheet,
            choose=self.choose,
            show_picture=self.show_picture,
            crop=self.set_crop,
            layout=self.set_layout,
            size=self.set_size,
            pick_labels=self._pick_labels,
            number_labels=self._number_labels,
        )

    # --- the proof -------------------------------------------------------------------------

    def _got(self, pictures: Sequence[Golden], thumbs: Sequence[Thumb]) -> None:
        if self.sheet is None:
            return
        self._pictures, self._bundled = list(pictures), len(pictures)
        for at, thumb in enumerate(thumbs):
            self.sheet.add_picture(at, _image(thumb))
        self._pick = True
        self._try()
        self._refresh()
        self._take_waiting()

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for golden, thumb in waiting:
            self._got_own(golden, thumb)

    def _no_pictures(self, error: Exception) -> None:
        self._show_error(error)
        self._try()
        self._take_waiting()

    def _try(self) -> None:
        """Begin the proof anew, since something that it depends on has changed."""
        self._end_trial()
        wizard = self.wizard
        if wizard is None:
            return
        try:
            network, candidates = wizard.trial_network, wizard.candidates()
        except TwinlensError as error:
            self._show_error(error)
            return
        options = replace(self._engines.options(self._engine_id), precision="fp32")

        def load(model: Network) -> Runner:
            return self._load(model, self._engine_id, options)

        workers = self._workers
        self._trial = Trial(network, candidates, self._pictures, load, self._live, workers)
        self._trial.watch(self._shown == LIVE)
        self._trial.start()
        self._seen = -1
        self._timer.start()

    def _live(self) -> PixelBuffer | None:
        result = self._session.last_result
        return result.frame.buffer if result is not None else None

    def _end_trial(self) -> None:
        if self._trial is not None:
            self._trial.request_stop()
            self._trial = None

    def _tick(self) -> None:
        if self._trial is None:
            self._timer.stop()
            return
        # A view that is still computed is of the state before; the next tick asks anew.
        if self._trial.state.count != self._seen and not self._views.pending(WIZARD):
            self._refresh()

    def _proof(self) -> Proof | None:
        """What is to be shown, as it is now."""
        return self._proof_of(self.wizard) if self.wizard is not None else None

    def _proof_of(self, wizard: Wizard) -> Proof:
        state, pictures = self.trial, tuple(self._pictures)
        self._seen = state.count
        return Proof(
            wizard.copy(), pictures, state, self._shown, self._bundled, self._pick, self._notice
        )

    def show_notice(self, text: str) -> None:
        """Show what went wrong, on the sheet itself, until the next answer."""
        self._notice = text
        self._refresh()

    def _show_error(self, error: Exception) -> None:
        if self.sheet is None:
            return
        if isinstance(error, TwinlensError):
            self.show_notice(f"{error.message}. {error.hint}".strip())
        else:
            self.show_notice(f"{type(error).__name__}: {error}")

    def _refresh(self, then: Callable[[], object] | None = None) -> None:
        """Have the sheet show how things are; ``then`` is called when it does."""
        self._then = then or self._then
        # What a person has just answered must not be overtaken by a view of before.
        self._views.refresh(WIZARD, outdated=True)

    def _show(self, proved: ProofView | None) -> None:
        sheet, wizard = self.sheet, self.wizard
        if sheet is None or wizard is None or proved is None:
            return
        wizard.prefer(proved.winner)
        self._pick = False
        if proved.view.shown != self._shown:
            self._shown = proved.view.shown
            self._watch()
        sheet.show_data(proved)
        self._sheets.place_sheet()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _watch(self) -> None:
        if self._trial is not None:
            self._trial.watch(self._shown == LIVE)

    # --- what a person answers -------------------------------------------------------------

    def choose(self, candidate: str) -> None:
        """Choose a candidate."""
        if self.wizard is not None:
            self._notice = ""
            self.wizard.choose(candidate)
            self._refresh()

    def show_picture(self, place: int) -> None:
        """Show what the candidates make of another picture."""
        self._shown, self._notice, self._pick = place, "", False
        self._watch()
        self._refresh()

    def set_crop(self, crop: CropAndScale) -> None:
        """Choose how pictures are fitted; the proof begins anew."""
        self._answer(lambda wizard: wizard.set_crop(crop))

    def set_layout(self, layout: str) -> None:
        """Choose the order of axes; the proof begins anew."""
        self._answer(lambda wizard: wizard.set_layout(layout))

    def set_size(self, size: int) -> None:
        """Choose the input's size; the proof begins anew."""
        self._answer(lambda wizard: wizard.set_size(size))

    def _answer(self, take: Callable[[Wizard], None]) -> None:
        if self.wizard is not None:
            self._notice = ""
            take(self.wizard)
            self._try()
            self._refresh()

    def take_labels(self, path: Path) -> None:
        """Take labels from a file, or show why not."""
        wizard = self.wizard
        if wizard is None:
            return

        def done(names: tuple[str, ...]) -> None:
            if wizard is self.wizard:
                wizard.take_labels(names, path.name)
                self._labels_changed()

        self._background.run(
            "wizard labels", lambda: wizard.labels_in(path), done, self._show_error
        )

    def _number_labels(self) -> None:
        if self.wizard is not None:
            self.wizard.number_labels()
            self._labels_changed()

    def _labels_changed(self) -> None:
        had = self.sheet is not None and self.sheet.pick.hasFocus()
        self._notice, self._pick = "", True
        if self.trial.error is not None:
            self._try()
        self._refresh(self._focus_first if had else None)

    def _focus_first(self) -> None:
        if self.sheet is not None:
            self.sheet.focus_first()

    def _pick_labels(self) -> None:
        names = "Labels (*.txt *.names *.labels *)"
        name = self._dialogs.file("Label file, one name a line", names)
        if name:
            self.take_labels(Path(name))

    def take_picture(self, path: Path) -> None:
        """Prove on a picture of one's own as well."""

        def read() -> tuple[Golden, Thumb]:
            golden = own_picture(path)
            return golden, _thumb(golden)

        self._background.run("own picture", read, lambda got: self._got_own(*got), self._show_error)

    def _got_own(self, golden: Golden, thumb: Thumb) -> None:
        if self.sheet is None:
            return
        if self._trial is None:  # those that come with Twinlens have not come yet
            self._waiting.append((golden, thumb))
            return
        self._notice, self._pick = "", False
        self._pictures.append(golden)
        self._shown = len(self._pictures) - 1
        self.sheet.add_picture(self._shown, _image(thumb))
        self._trial.watch(False)
        self._trial.add(golden)
        self._refresh()

    def confirm(self) -> None:
        """Close the sheet and hand on what was answered."""
        wizard, confirmed = self.wizard, self._confirmed
        if wizard is None or confirmed is None or wizard.missing:
            return
        network, kept = wizard.network, wizard.kept
        self._confirmed = None
        self._sheets.close_sheet()
        confirmed(network, kept)

    def _closed(self) -> None:
        wizard, confirmed = self.wizard, self._confirmed
        self._end()
        if wizard is not None and confirmed is not None:
            # Only when the call that closes it is over is it known what stands in its place.
            self._left = (wizard, confirmed)
            self._leaving.start()

    def _put_aside(self) -> None:
        """Where another sheet took the place of this one, offer to go on with the answers."""
        left, self._left = self._left, None
        if left is None or self._sheets.sheet is None or self.wizard is not None:
            return
        wizard, confirmed = left

        def go_on() -> None:
            self._banners.close_banner()
            self._sheets.close_sheet()
            self._begin(wizard, self._engine_id, confirmed)

        message = f"{wizard.report.spec.title} is not set up yet"
        banner = Banner(message, "Nothing has changed. Your answers are kept.", action="Go on")
        self._banners.show_banner(banner, go_on)

    def _end(self) -> None:
        self.wizard = self._confirmed = self._then = None
        self._timer.stop()
        self._leaving.stop()
        self._end_trial()

    def stop(self) -> None:
        """Ask the proof to end; called when the window closes, returns at once."""
        self._end()


def _thumb(golden: Golden) -> Thumb:
    """A small picture of it; called on another thread."""
    from twinlens.engine.image.thumbnail import thumbnail  # with it comes OpenCV

    return thumbnail(golden.picture, *_THUMB)


def _image(thumb: Thumb) -> QImage:
    height, width = thumb.shape[:2]
    return QImage(thumb.data, width, height, 3 * width, QImage.Format.Format_BGR888).copy()
