"""How the picture and the answer are shown: what a person toggles, and how it is remembered."""

from __future__ import annotations

from collections.abc import Callable

from twinlens.app.overlays import Banner
from twinlens.app.qt.ports import BannerPort, SessionPort, SettingsPort
from twinlens.app.qt.stage.stage import Stage
from twinlens.engine.image import CropAndScale

_CROPS: tuple[str, ...] = ("", *(crop.value for crop in CropAndScale))


class Look:
    """Changes how things are shown; each change is remembered.

    Args:
        stage: what is mirrored.
        live: the session.
        memory: where changes are remembered.
        banners: where a change shows what it is.
        apply_theme: takes the colours of the settings' theme.
    """

    def __init__(
        self,
        stage: Stage,
        live: SessionPort,
        memory: SettingsPort,
        banners: BannerPort,
        apply_theme: Callable[[], None],
    ) -> None:
        self._stage, self._live, self._memory = stage, live, memory
        self._banners, self._apply_theme = banners, apply_theme

    def toggle_mirror(self) -> None:
        """Mirror the display; the network sees the picture as it is."""
        self._stage.mirror = self._memory.remember(mirror=not self._stage.mirror).mirror
        self._stage.update()

    def toggle_smoothing(self) -> None:
        """Smooth answers over time, or show each frame's own."""
        settings = self._memory.remember(smoothing=not self._memory.settings.smoothing)
        if self._live.session is not None:
            self._live.session.set_smoothing(settings.smoothing)

    def set_threshold(self, percent: int) -> None:
        """Set the confidence under which the label says that it is not sure."""
        self._memory.remember(threshold=percent / 100)
        self._live.refresh()

    def set_crop(self, crop: str) -> None:
        """Choose how pictures are cropped; empty is the model's own."""
        settings = self._memory.remember(crop=crop)
        if self._live.session is not None:
            self._live.session.set_crop(settings.crop_and_scale)

    def next_crop(self) -> None:
        """Go to the next crop and show which."""
        crop = _CROPS[(_CROPS.index(self._memory.settings.crop) + 1) % len(_CROPS)]
        self.set_crop(crop)
        shown = crop.replace("-", " ") or "the model’s own"
        self._banners.show_banner(Banner(f"Crop: {shown}"))

    def set_theme(self, theme: str) -> None:
        """Dark, light, or the system's."""
        self._memory.remember(theme=theme)
        self._apply_theme()

    def toggle_blank(self) -> None:
        """A black picture for the audience, or the real one again."""
        self._stage.blank.toggle()

    @property
    def full_screen(self) -> bool:
        """Whether the picture fills the screen."""
        return self._stage.window().isFullScreen()

    def toggle_full_screen(self) -> None:
        """Full screen, or back."""
        window = self._stage.window()
        window.showNormal() if self.full_screen else window.showFullScreen()

    def leave_full_screen(self) -> None:
        """Back to a window, where it is not one."""
        if self.full_screen:
            self._stage.window().showNormal()
