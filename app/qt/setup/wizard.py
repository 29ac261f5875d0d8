"""Opens the wizard's sheet, keeps its proof going, and hands on what was confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer

from twinlens.app.core.session.loading import Loader
from twinlens.app.core.setup.golden import Golden, golden_pictures, own_picture
from twinlens.app.core.setup.preflight import Preflight, preflight
from twinlens.app.core.setup.trial import LIVE, TrialState
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
from twinlens.app.qt.setup.proving import Proving
from twinlens.app.qt.setup.thumbs import Thumb, image_of, thumb_of
from twinlens.app.qt.setup.wizard_sheet import WizardActions, WizardSheet
from twinlens.app.views.wizard import WIZARD, Proof, ProofView, proof_view
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import TwinlensError
from twinlens.engine.image import CropAndScale, PixelBuffer

Confirmed = Callable[[Network, dict[str, Any]], None]
"""Gets the model as it was answered, and what is to be kept beside it."""


def _at_output(path: Path, name: str) -> Preflight:
    return preflight(path, output_name=name)


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
        look: looks at a model's file at one of its outputs; called on another thread.
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
        look: Callable[[Path, str], Preflight] = _at_output,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._engines, self._views = live, engines, views
        self._sheets, self._banners, self._background = sheets, banners, background
        self._dialogs, self._look = ask, look
        self.wizard: Wizard | None = None
        self._confirmed: Confirmed | None = None
        self._engine_id = ""
        self._pictures: list[Golden] = []
        self._bundled, self._shown, self._pick = 0, LIVE, False
        self._notice = ""
        self._then: Callable[[], object] | None = None
        self._waiting: list[tuple[Golden, Thumb]] = []
        self._proving = Proving(workers, load, self._live, self._more, self)
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
        return self._proving.state

    def ask(
        self, report: Preflight, engine_id: str, confirmed: Confirmed, *, doubted: bool = False
    ) -> None:
        """Open the sheet.

        Args:
            report: the model.
            engine_id: what the proof runs on.
            confirmed: called once, if it is confirmed.
            doubted: whether its answers spoke against the way that they are read.
        """
        self._sheets.close_sheet()
        self._begin(Wizard(report, doubted=doubted), engine_id, confirmed)

    def _begin(self, wizard: Wizard, engine_id: str, confirmed: Confirmed) -> None:
        self.wizard, self._confirmed = wizard, confirmed
        self._engine_id = engine_id
        self._pictures, self._bundled, self._shown, self._notice = [], 0, LIVE, ""
        self._waiting, self._pick = [], False
        self._open()
        channels = wizard.report.spec.recipe.channels

        def read() -> tuple[tuple[Golden, ...], tuple[Thumb, ...]]:
            pictures = golden_pictures(channels)
            return pictures, tuple(thumb_of(golden) for golden in pictures)

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
            output=self.choose_output,
            kind=self.set_kind,
            pick_labels=self._pick_labels,
            number_labels=self._number_labels,
        )

    # --- the proof -------------------------------------------------------------------------

    def _got(self, pictures: Sequence[Golden], thumbs: Sequence[Thumb]) -> None:
        if self.sheet is None:
            return
        self._pictures, self._bundled = list(pictures), len(pictures)
        for at, thumb in enumerate(thumbs):
            self.sheet.add_picture(at, image_of(thumb))
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
        wizard = self.wizard
        if wizard is None:
            self._proving.stop()
            return
        options = replace(self._engines.options(self._engine_id), precision="fp32")
        try:
            self._proving.begin(
                wizard, self._pictures, self._engine_id, options, watch=self._shown == LIVE
            )
        except TwinlensError as error:
            self._show_error(error)

    def _live(self) -> PixelBuffer | None:
        result = self._session.last_result
        return result.frame.buffer if result is not None else None

    def _more(self) -> None:
        # A view that is still computed is of the state before; the next tick asks anew.
        if not self._views.pending(WIZARD):
            self._refresh()

    def _proof(self) -> Proof | None:
        """What is to be shown, as it is now."""
        return self._proof_of(self.wizard) if self.wizard is not None else None

    def _proof_of(self, wizard: Wizard) -> Proof:
        state, pictures = self._proving.seen(), tuple(self._pictures)
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
        if proved.doubted:
            wizard.doubt()  # asked from now on, also while it is tried anew
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
        self._proving.watch(self._shown == LIVE)

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

    def set_kind(self, kind: str) -> None:
        """Choose how the output is read; the proof begins anew."""
        self._answer(lambda wizard: wizard.set_kind(kind))

    def choose_output(self, name: str) -> None:
        """Read another output: the model is looked at anew, then the proof begins anew."""
        wizard = self.wizard
        if wizard is None or name == wizard.output:
            return
        path, engine_id = Path(wizard.report.name), self._engine_id

        def done(report: Preflight) -> None:
            if wizard is not self.wizard:
                return
            if report.refused is not None and engine_id not in (report.runs_on or ()):
                self._show_error(report.refused)
                return
            self._pick = True
            self._answer(lambda wizard: wizard.take_output(report))

        self._background.run(
            "wizard output", partial(self._look, path, name), done, self._show_error
        )

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
        path = self.label_file()
        if path is not None:
            self.take_labels(path)

    def label_file(self) -> Path | None:
        """Ask for a label file; None where a person changed their mind."""
        names = "Labels (*.txt *.names *.labels *)"
        name = self._dialogs.file("Label file, one name a line", names)
        return Path(name) if name else None

    def take_picture(self, path: Path) -> None:
        """Prove on a picture of one's own as well."""

        def read() -> tuple[Golden, Thumb]:
            golden = own_picture(path)
            return golden, thumb_of(golden)

        self._background.run("own picture", read, lambda got: self._got_own(*got), self._show_error)

    def _got_own(self, golden: Golden, thumb: Thumb) -> None:
        if self.sheet is None:
            return
        trial = self._proving.trial
        if trial is None:  # those that come with Twinlens have not come yet
            self._waiting.append((golden, thumb))
            return
        self._notice, self._pick = "", False
        self._pictures.append(golden)
        self._shown = len(self._pictures) - 1
        self.sheet.add_picture(self._shown, image_of(thumb))
        trial.watch(False)
        trial.add(golden)
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
        self._leaving.stop()
        self._proving.stop()

    def stop(self) -> None:
        """Ask the proof to end; called when the window closes, returns at once."""
        self._end()
