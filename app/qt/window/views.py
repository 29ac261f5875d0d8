"""Opens and closes views, and has their snapshots computed and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtWidgets import QWidget

from twinlens.app.core.session.events import Stats
from twinlens.app.core.session.types import Needs
from twinlens.app.core.snapshots import Snapshots
from twinlens.app.overlays import Palette
from twinlens.app.qt.drawn import Drawn
from twinlens.app.qt.ports import SessionPort, SettingsPort, SheetPort
from twinlens.app.qt.sheets.view_panel import ViewPanel
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.views.view import AnyView, Inputs, Place


@dataclass
class _Open:
    """An open view: what its desk knows, its panel, and what was drawn last."""

    view: AnyView
    own: Callable[[], Any]
    show: Callable[[Any], object] | None
    failed: Callable[[Exception], object] | None
    panel: ViewPanel | None = None
    data: Any = None


class ViewDesk:
    """The views of a window: one a place, each fed by what it needs and nothing else.

    Args:
        views: the table of views.
        drawn: what draws their data.
        stage: what is painted on.
        live: the session.
        memory: remembers some of them.
        sheets: where panels stand.
        snapshots: computes what is shown off the window's thread.
        failed: called with what a snapshot raised where its desk does not care.
    """

    def __init__(
        self,
        views: Sequence[AnyView],
        drawn: Drawn,
        stage: Stage,
        live: SessionPort,
        memory: SettingsPort,
        sheets: SheetPort,
        snapshots: Snapshots,
        failed: Callable[[Exception], object],
    ) -> None:
        self.views, self._drawn = tuple(views), drawn
        self._stage, self._live, self._memory = stage, live, memory
        self._sheets, self._snapshots, self._failed = sheets, snapshots, failed
        self._open: dict[Place, _Open] = {}
        self._toggles: Mapping[str, Callable[[], object]] = {}

    def leave_to_desks(self, toggles: Mapping[str, Callable[[], object]]) -> None:
        """Let desks show and hide their views themselves, by the views' ids."""
        self._toggles = toggles

    def toggle(self, view: AnyView) -> None:
        """Show a view, or hide it."""
        if view.id in self._toggles:
            self._toggles[view.id]()
        elif view.setting:
            self._memory.remember(**{view.setting: not self.shows(view)})
            self._live.refresh()
            self.apply_needs()
        elif self.shows(view):
            self.close(view)
        else:
            self.open(view)

    def shows(self, view: AnyView) -> bool:
        """Whether a view is shown."""
        if view.setting:
            return bool(getattr(self._memory.settings, view.setting))
        return self._opened(view) is not None

    def open(
        self,
        view: AnyView,
        own: Callable[[], Any] = lambda: None,
        actions: object = None,
        closed: Callable[[], object] | None = None,
        show: Callable[[Any], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Show a view, in place of what stands there.

        Args:
            view: the view.
            own: gives what its desk knows now (``Inputs.own``); it must not change any more.
            actions: what the buttons of its panel do.
            closed: called when it goes, however it goes.
            show: draws its data, where its desk has more to do with it than the panel's
                ``show_data``; None leaves it to that.
            failed: called with what its snapshot raised; None reports it as unexpected.
        """
        before = self._open.get(view.place)
        if before is not None:
            self.close(before.view)
        opened, how = _Open(view, own, show, failed), self._drawn[view.data]
        if isinstance(how, type):

            def make(palette: Palette, unit: float, parent: QWidget) -> ViewPanel:
                opened.panel = how(actions, palette, unit, parent)
                return opened.panel

            def gone() -> None:
                self._forget(view)
                if closed is not None:
                    closed()

            self._sheets.open_panel(make, gone)
        self._open[view.place] = opened
        self.apply_needs()
        self.refresh(view)

    def close(self, view: AnyView) -> None:
        """Hide a view; nothing happens where it is not shown."""
        opened = self._opened(view)
        if opened is not None and opened.panel is not None:
            self._sheets.close_sheet()  # which forgets it
        elif opened is not None:
            self._forget(view)
            self._paint()

    def close_newest(self) -> bool:
        """Hide what was painted on the picture last; returns whether there was something."""
        painted = [opened for opened in self._open.values() if opened.panel is None]
        if painted:
            self.close(painted[-1].view)
        return bool(painted)

    def refresh(self, view: AnyView, *, outdated: bool = False) -> None:
        """Compute and draw a view anew, since its desk knows more.

        Args:
            view: the view.
            outdated: what is computed now, or waits to be drawn, must not be drawn any more.
        """
        opened = self._opened(view)
        if opened is not None:
            if outdated:
                self._snapshots.forget(view.id)
            self.ask(view, opened.own(), partial(self._show, opened), opened.failed)

    def ask(
        self,
        view: AnyView,
        own: object,
        show: Callable[[Any], object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Compute a view's snapshot off the window's thread, then ``show`` it; newest wins."""
        session = self._live.session
        inputs = Inputs(
            own,
            self._live.last_result,
            session.stats() if session is not None else Stats(),
            self._memory.settings,
            session.state if session is not None else None,
        )
        self._snapshots.ask(view.id, partial(view.snapshot, inputs), show, failed or self._failed)

    def pending(self, view: AnyView) -> bool:
        """Whether a snapshot of a view is being computed, or waits to be drawn."""
        return self._snapshots.pending(view.id)

    def answered(self) -> None:
        """There is a new answer: draw those views anew that follow answers."""
        for opened in tuple(self._open.values()):
            if opened.view.follows:
                self.refresh(opened.view)

    def apply_needs(self) -> None:
        """Have so much kept of each answer as the shown views need."""
        session = self._live.session
        if session is not None:
            needs = Needs()
            for view in self.views:
                if self.shows(view):
                    needs |= view.needs
            session.set_needs(needs)

    def _opened(self, view: AnyView) -> _Open | None:
        opened = self._open.get(view.place)
        return opened if opened is not None and opened.view is view else None

    def _forget(self, view: AnyView) -> None:
        if self._opened(view) is not None:
            del self._open[view.place]
            self._snapshots.forget(view.id)
            self.apply_needs()

    def _show(self, opened: _Open, data: object) -> None:
        if self._opened(opened.view) is not opened:
            return  # it was closed while this was on its way
        opened.data = data
        if opened.panel is None:
            self._paint()
        elif opened.show is not None:
            opened.show(data)
        elif data is not None:
            opened.panel.show_data(data)
            self._sheets.place_sheet()

    def _paint(self) -> None:
        painted = [one for one in self._open.values() if one.panel is None]
        under = [one.data for one in painted if one.view.place is Place.LENS]
        over = [one.data for one in painted if one.view.place is not Place.LENS]
        self._stage.show_views(
            tuple(data for data in under if data is not None),
            tuple(data for data in over if data is not None),
        )
