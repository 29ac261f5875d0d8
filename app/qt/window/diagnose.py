"""Copies what a person can send when something went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from twinlens.app.core.diagnostics.record import RECORD
from twinlens.app.core.session.session import (
    EngineReady,
    Event,
    LoadFailed,
    LoadStarted,
    SourceFailed,
    SourceOpened,
)
from twinlens.app.overlays import Banner
from twinlens.app.qt.ports import BannerPort, EnginePort, SessionPort, SettingsPort
from twinlens.app.qt.threads.bridge import Background
from twinlens.engine.api.protocol import Network

if TYPE_CHECKING:
    from twinlens.app.core.diagnostics.report import Live
    from twinlens.app.core.hosts.process import HostProcess


class Diagnose:
    """Puts diagnostics on the clipboard, and writes them where something failed.

    Args:
        live: the session.
        memory: what a person chose.
        engines: the engines.
        banners: says that it is done.
        background: does it, since hosts are waited for.
        hosts: gives the processes that engines and sources run in.
    """

    def __init__(
        self,
        live: SessionPort,
        memory: SettingsPort,
        engines: EnginePort,
        banners: BannerPort,
        background: Background,
        hosts: Callable[[], Sequence[HostProcess]],
    ) -> None:
        self._live, self._memory, self._engines = live, memory, engines
        self._banners, self._background, self._hosts = banners, background, hosts

    def copy(self) -> None:
        """Copy the diagnostics of now; a banner says so when it is done."""
        self._background.run("diagnostics", self._compose, self._copied, self._banners.show_error)

    def keep(self) -> None:
        """Write them where reports of faults are kept; not on the window's thread.

        Raises:
            OSError: the folder does not take it.
        """
        # late: only what failed needs it
        from twinlens.app.core.diagnostics.report import keep_fault

        keep_fault(self._now())

    def _compose(self) -> str:
        # late: a person has to ask for it first
        from twinlens.app.core.diagnostics.report import compose

        return compose(self._now())

    def _now(self) -> Live:
        from twinlens.app.core.diagnostics.report import Live

        session = self._live.session
        return Live(
            self._memory.settings,
            self._engines.engines,
            None if session is None else session.state,
            None if session is None else session.stats(),
            self._hosts(),
        )

    def _copied(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        hint = "Paste them into a message. No paths, names or addresses are in them."
        self._banners.show_banner(Banner("Diagnostics are copied", hint))


def note(event: Event) -> None:
    """Keep an event of the session for a report."""
    kind = type(event).__name__
    names: list[str] = []
    if isinstance(event, LoadStarted):
        told = event.what.rpartition(" · ")[2]
    elif isinstance(event, LoadFailed):
        told = f"{event.engine_id}: {type(event.error).__name__}: {event.error.message}"
        names = [event.what.rpartition(" · ")[0], *_names(event.network)]
    elif isinstance(event, EngineReady):
        told = f"{event.info.engine_id} in {event.info.precision}"
        names = _names(event.network)
    elif isinstance(event, SourceOpened):
        info = event.info
        told = f"{info.kind}, {info.width}×{info.height}, {info.fps:.2f} fps"
        names = [info.title] if info.kind in _PERSONAL else names
    elif isinstance(event, SourceFailed):
        told = f"{type(event.error).__name__}: {event.error.message}"
        names = [event.title]
    else:
        told = ""
    RECORD.add("session", f"{kind} {told}".rstrip(), names=names)


def _names(network: Network | None) -> list[str]:
    """What a model is called; those of the catalog are told apart when a report is made."""
    if network is None:
        return []
    path = [] if network.path is None else [str(network.path), network.path.name]
    return [network.spec.title, network.spec.id, *path]


_PERSONAL = ("camera", "file", "image", "stream")
