"""Pausing, stepping and keeping the picture."""

from __future__ import annotations

from pathlib import Path

from twinlens.app.overlays import Banner
from twinlens.app.qt.ports import BackgroundPort, BannerPort, SessionPort
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.qt.window.screenshot import save_screenshot


class Play:
    """Holds the picture, moves it by one frame, and saves it.

    Args:
        stage: what is saved.
        live: the session.
        banners: where it shows what was saved.
        background: does the saving.
    """

    def __init__(
        self, stage: Stage, live: SessionPort, banners: BannerPort, background: BackgroundPort
    ) -> None:
        self._stage, self._live = stage, live
        self._banners, self._background = banners, background

    def toggle_pause(self) -> None:
        """Pause or go on."""
        session = self._live.session
        if session is not None:
            session.set_paused(not session.state.paused)
            self._live.refresh()

    def step(self) -> None:
        """The next frame or still, when paused."""
        self._step(1)

    def step_back(self) -> None:
        """The frame or still before, when paused."""
        self._step(-1)

    def _step(self, by: int) -> None:
        session = self._live.session
        if session is None:
            return
        if not session.state.paused:
            self._banners.show_banner(Banner("Steps go while it is paused", "Pause it: Space"))
        elif not session.step(by):
            self._banners.show_banner(
                Banner("This source cannot go back", "Videos, pictures and folders can.")
            )

    def screenshot(self) -> None:
        """Save what the stage shows to the Pictures folder and show where."""

        def saved(where: Path) -> None:
            self._banners.show_banner(Banner("Screenshot saved", str(where)))

        save_screenshot(self._stage, self._background, saved, self._banners.show_error)
