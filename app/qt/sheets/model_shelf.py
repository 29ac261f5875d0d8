"""What the page of models does: fetches, uses and removes what the catalog has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, QTimer

from twinlens.app.core.shelf.pulls import Finished, Pulls
from twinlens.app.core.shelf.rows import Catalog, megabytes, read_catalog
from twinlens.app.overlays import Banner, BannerKind
from twinlens.app.qt.ports import (
    BackgroundPort,
    BannerPort,
    ModelPort,
    SessionPort,
    SheetPort,
    ViewPort,
)
from twinlens.app.qt.sheets.models_page import ModelsActions, ModelsPage
from twinlens.app.views.models import MODELS, ModelAction, ModelLine, ModelsState, model_lines
from twinlens.engine.errors import DownloadCancelledError, TwinlensError
from twinlens.models.catalog.cards import Card
from twinlens.models.catalog.store import Store

_TICK_MS = 100


class ModelShelf(QObject):
    """Opens the page, starts and stops downloads, removes models, and shows how it ended.

    Downloads go on when the page is closed, and the picture goes on meanwhile.

    Args:
        live: the session.
        models: changes the model.
        views: shows the page.
        sheets: the open sheet.
        banners: where it shows how a download ended.
        store: where models are kept.
        background: looks at the catalog and at what is kept, and removes models.
        pulls: downloads; None makes them.

    Attributes:
        catalog: the catalog as it was seen last; empty before the first time.
    """

    def __init__(
        self,
        live: SessionPort,
        models: ModelPort,
        views: ViewPort,
        sheets: SheetPort,
        banners: BannerPort,
        store: Store,
        background: BackgroundPort,
        pulls: Pulls | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._live, self._models, self._views = live, models, views
        self._sheets, self._banners = sheets, banners
        self._store, self._background = store, background
        self.pulls = pulls or Pulls(store)
        self.catalog = Catalog()
        self._once_read: list[Callable[[], object]] = []
        self._errors: dict[str, str] = {}
        self._removing: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def page(self) -> ModelsPage | None:
        """The open page."""
        sheet = self._sheets.sheet
        return sheet if isinstance(sheet, ModelsPage) else None

    def read(self, then: Callable[[], object]) -> None:
        """Look at the catalog anew, and call ``then`` when it has been seen."""
        self._once_read.append(then)
        look = partial(read_catalog, self._store)
        self._background.run("catalog", look, self._seen, self._unseen)

    def open_read(self, open_sheet: Callable[[], object]) -> None:
        """Look at the catalog anew, then open a sheet, unless another was opened meanwhile."""
        before = self._sheets.sheet

        def then() -> None:
            if self._sheets.sheet is before:
                open_sheet()

        self.read(then)

    def _seen(self, catalog: Catalog) -> None:
        self.catalog = catalog
        waiting, self._once_read = self._once_read, []
        for then in waiting:
            then()

    def _unseen(self, error: Exception) -> None:
        self._banners.show_error(error)
        self._seen(self.catalog)

    def toggle(self) -> None:
        """Open the page, or close it."""
        if self.page is not None:
            self._sheets.close_sheet()
        else:
            self.open_read(self._open)

    def _open(self) -> None:
        if self.catalog.problem is not None:
            self._banners.show_error(self.catalog.problem)
            return
        close, folder = self._sheets.close_sheet, str(self._store.root)
        # At once, so that the page does not open empty: a few rows that were read already.
        actions = ModelsActions(self._lines(), self.act, self.remove, close, folder)
        self._views.open(MODELS, self._known, actions)
        if self.page is not None:
            self.page.first.setFocus()
        self._timer.start()

    def _known(self) -> ModelsState:
        return ModelsState(self.catalog.rows, self.pulls.progress(), dict(self._errors))

    def act(self, model: str) -> None:
        """Use, fetch or stop fetching a model, whichever its line offers."""
        line = next((line for line in self._lines() if line.id == model), None)
        if line is None:
            return
        if line.action is ModelAction.USE:
            self._sheets.close_sheet()
            self._models.model(model)
        elif line.action is ModelAction.STOP:
            self.pulls.stop(model)
        elif line.action is ModelAction.PULL:
            self._pull(model)
        self._tick()

    def remove(self, model: str) -> None:
        """Delete a model's files, and show how much room that frees."""
        line = next((line for line in self._lines() if line.id == model), None)
        if line is None or not line.removable or model in self._removing:
            return
        self._errors.pop(model, None)
        self._removing.add(model)
        card = self._card(model)

        def removed(freed: int) -> None:
            banner = Banner(f"{card.title} is removed", f"{megabytes(freed)} freed.")
            self.read(partial(ended, banner))

        def failed(error: Exception) -> None:
            if isinstance(error, TwinlensError):
                self._errors[model] = f"{error.message} {error.hint}".strip()
            else:
                self._banners.show_error(error)
            self.read(ended)

        def ended(banner: Banner | None = None) -> None:
            if banner is not None:
                self._banners.show_banner(banner)
            self._removing.discard(model)
            self._tick()

        # Elsewhere: another process may hold the store's lock while it puts a model in its place.
        work = partial(self._store.remove, card)
        self._background.run(f"remove {model}", work, removed, failed)

    def stop(self) -> None:
        """Ask all downloads to stop; called when the window closes, returns at once."""
        self._timer.stop()
        self.pulls.request_stop()

    def _pull(self, model: str) -> None:
        self._errors.pop(model, None)
        self.pulls.start(self._card(model))
        self._timer.start()

    def _card(self, model: str) -> Card:
        return next(card for card in self.catalog.cards if card.id == model)

    def _lines(self) -> tuple[ModelLine, ...]:
        session = self._live.session
        serving = session.state.spec.id if session is not None else ""
        return model_lines(self.catalog.rows, serving, self.pulls.progress(), self._errors)

    def _tick(self) -> None:
        """Show how far downloads are; rests when there is nothing to show."""
        finished = self.pulls.take_finished()
        if finished:
            self.read(partial(self._ended, finished))
        if self.page is None:
            if not self.pulls.progress():
                self._timer.stop()
        elif not self._once_read:  # else it would show what has ended as not begun
            self._views.refresh(MODELS)

    def _ended(self, finished: Sequence[Finished]) -> None:
        for ended in finished:
            self._show_outcome(ended)
        self._tick()

    def _show_outcome(self, ended: Finished) -> None:
        card, error = ended.card, ended.error
        if isinstance(error, DownloadCancelledError):
            return
        if error is not None:
            self._errors[card.id] = f"{error.message} {error.hint}".strip()
            banner = Banner(error.message, error.hint, BannerKind.ERROR, action="Try again")
            self._banners.show_banner(banner, lambda: self._retry(card.id))
            return
        fetched = ended.outcome.fetched if ended.outcome else None
        confirmed = bool(ended.outcome and ended.outcome.confirmed)
        checked = "size and hash are kept as its own" if confirmed else "size and hash are right"
        hint = f"{megabytes(fetched.bytes)} from {fetched.url}; {checked}." if fetched else ""
        banner = Banner(f"{card.title} is here", hint, action="Use it")
        self._banners.show_banner(banner, lambda: self._use(card.id))

    def _retry(self, model: str) -> None:
        self._banners.close_banner()
        self._pull(model)

    def _use(self, model: str) -> None:
        self._banners.close_banner()
        self._models.model(model)
