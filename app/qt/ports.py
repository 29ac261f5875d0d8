"""What a desk may ask of the window: narrow ports, each a small protocol.

A desk is what works behind a sheet, a key or a button: it takes the ports that it needs and
nothing else, so that it can be read, and tested, without the window. The window's parts fill the
ports; ``app.qt.window.wiring`` hands them out, in that one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtWidgets import QWidget

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import EngineReady
from twinlens.app.core.session.session import Session
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings
from twinlens.app.core.workers import Workers
from twinlens.app.overlays import Banner, Palette
from twinlens.app.qt.sheets.sheets import Panel, SheetRow
from twinlens.app.views.view import AnyView
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network

MakePanel = Callable[[Palette, float, QWidget], Panel]
"""Makes a panel of the theme's colours, 1 % of the stage's height in pixels, and its parent."""


class SessionPort(Protocol):
    """What runs, and its newest answer."""

    @property
    def session(self) -> Session | None:
        """The session; None until the first model is known."""
        ...

    @property
    def last_result(self) -> Result | None:
        """The newest answer; None before the first."""
        ...

    def refresh(self) -> None:
        """Show anew what the session reports of itself: figures, engine switch, progress."""
        ...


class BannerPort(Protocol):
    """The slot for messages: one banner, the newest."""

    def show_banner(self, banner: Banner, act: Callable[[], None] | None = None) -> None:
        """Show a banner; it goes by itself after a while. ``act`` is what its button does."""
        ...

    def close_banner(self) -> None:
        """Take the banner away."""
        ...

    def show_error(self, error: Exception, goes_on: str = "") -> None:
        """Show an error, and what goes on all the same where the error has no hint."""
        ...


class SheetPort(Protocol):
    """The slot for sheets: one at a time."""

    @property
    def sheet(self) -> Panel | None:
        """The open sheet."""
        ...

    def open_sheet(self, title: str, rows: Sequence[SheetRow]) -> None:
        """Show rows in place of what is open; the same title again closes them."""
        ...

    def refresh_sheet(self, title: str, rows: Sequence[SheetRow]) -> None:
        """Show new rows where the sheet of that title is open."""
        ...

    def shows(self, title: str) -> bool:
        """Whether the sheet of that title is open."""
        ...

    def open_panel(self, make: MakePanel, closed: Callable[[], object] | None = None) -> None:
        """Show a panel in place of what is open; ``closed`` is called when it goes."""
        ...

    def close_sheet(self) -> None:
        """Close the open sheet, if there is one."""
        ...

    def place_sheet(self) -> None:
        """Let the open sheet stand where its content needs it."""
        ...

    def raise_sheet(self) -> None:
        """Let the open sheet stand before everything else."""
        ...


class SettingsPort(Protocol):
    """What is remembered between runs."""

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        ...

    def remember(self, **changes: Any) -> Settings:
        """Change settings; they hold at once and are saved a moment later."""
        ...


class EnginePort(Protocol):
    """The engines, and which of them answers."""

    @property
    def engines(self) -> tuple[EngineChoice, ...]:
        """All engines, usable or not, in the order of the switch."""
        ...

    @property
    def usable(self) -> list[str]:
        """Ids of the engines that run here."""
        ...

    @property
    def serving(self) -> EngineReady | None:
        """What answers now; None before the first answer."""
        ...

    def choice(self, engine_id: str) -> EngineChoice | None:
        """An engine by its id."""
        ...

    def options(self, engine_id: str) -> EngineOptions:
        """What an engine is asked for by the settings."""
        ...

    def engine(self, engine_id: str) -> None:
        """Flip to an engine, or show why it cannot be."""
        ...


class PrecisionPort(EnginePort, Protocol):
    """How engines compute, and how far that agrees with fp32."""

    def agreement(self, spec: ModelSpec, engine_id: str, options: EngineOptions) -> float | None:
        """Share of the calibration pictures, where it has been found out by now."""
        ...

    def remember_agreement(
        self, asked: EngineReady, engine_id: str, precision: str, share: float
    ) -> None:
        """Keep how far a precision agrees with fp32 on that model and those pictures."""
        ...

    def precision(self, precision: str) -> None:
        """Let the engine in use compute in another precision."""
        ...

    def threads(self, threads: int | None) -> None:
        """Let engines compute with so many threads; None is their own choice."""
        ...

    def calibration(self, pictures: str) -> None:
        """Compare precisions on other pictures; empty is the bundled clip."""
        ...


class SourcePort(Protocol):
    """What is looked at."""

    @property
    def source_text(self) -> str:
        """The source in use, in the text form of ``open_source``."""
        ...

    def source(self, text: str) -> None:
        """Change to another source; the old one plays until the new one delivers."""
        ...


class ModelPort(Protocol):
    """What answers."""

    def model(self, name: str) -> None:
        """Change to a model of the catalog or of a path."""
        ...

    def use(
        self, network: Network, name: str, answered: Callable[[], object] | None = None
    ) -> None:
        """Change to a model that is known; ``answered`` is called once it answers."""
        ...


class ViewPort(Protocol):
    """Views, as their desks show and hide them."""

    def open(
        self,
        view: AnyView,
        own: Callable[[], Any] = ...,
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
        ...

    def refresh(self, view: AnyView, *, outdated: bool = False) -> None:
        """Compute and draw a view anew, since its desk knows more.

        Args:
            view: the view.
            outdated: what is computed now, or waits to be drawn, must not be drawn any more.
        """
        ...

    def pending(self, view: AnyView) -> bool:
        """Whether a snapshot of a view is being computed, or waits to be drawn."""
        ...

    def ask(self, view: AnyView, own: object, show: Callable[[Any], object]) -> None:
        """Compute a view's snapshot off the window's thread, then ``show`` it; newest wins."""
        ...


class AskPort(Protocol):
    """The system's dialogs; each gives an empty text where a person changed their mind."""

    def file(self, title: str, names: str) -> str:
        """A file; ``names`` is Qt's filter of names."""
        ...

    def folder(self, title: str) -> str:
        """A folder."""
        ...

    def text(self, title: str, words: str) -> str:
        """A line of text."""
        ...

    def password(self, title: str, words: str) -> str:
        """A line that nobody can read while it is typed."""
        ...

    def region(self, picked: Callable[[str], object]) -> None:
        """A part of the screen; ``picked`` gets ``"x,y,width,height"`` in the screen's pixels."""
        ...


@dataclass(frozen=True)
class Threads:
    """What starts and ends threads of one's own.

    Attributes:
        workers: their owner, which ends them under one deadline.
        unexpected: gets errors that nobody expected.
    """

    workers: Workers
    unexpected: Callable[[Exception], object]


class BackgroundPort(Protocol):
    """Work off the window's thread."""

    def run(
        self,
        name: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run ``work`` elsewhere, then ``done`` or ``failed`` on the window's thread.

        A newer task of the same name makes the outcome of an older one void.
        """
        ...

    def cancel(self, name: str) -> None:
        """Give up what runs under that name; its outcome is void."""
        ...
