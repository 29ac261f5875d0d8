"""How the picture and the answer are shown: what a person toggles, and how it is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlens.app.overlays import Banner
from twinlens.engine.image import CropAndScale

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow

_CROPS: tuple[str, ...] = ("", *(crop.value for crop in CropAndScale))


class Look:
    """Changes how a window shows what it gets; each change is remembered."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def toggle_top5(self) -> None:
        """Show or hide the five best classes."""
        self._window.remember(top5=not self._window.settings.top5)
        self._window.refresh()

    def toggle_mirror(self) -> None:
        """Mirror the display; the network sees the picture as it is."""
        window = self._window
        window.remember(mirror=not window.settings.mirror)
        window.stage.mirror = window.settings.mirror
        window.stage.update()

    def toggle_smoothing(self) -> None:
        """Smooth answers over time, or show each frame's own."""
        window = self._window
        window.remember(smoothing=not window.settings.smoothing)
        if window.session is not None:
            window.session.set_smoothing(window.settings.smoothing)

    def set_threshold(self, percent: int) -> None:
        """Set the confidence under which the label says that it is not sure."""
        self._window.remember(threshold=percent / 100)
        self._window.refresh()

    def set_crop(self, crop: str) -> None:
        """Choose how pictures are cropped; empty is the model's own."""
        window = self._window
        window.remember(crop=crop)
        if window.session is not None:
            window.session.set_crop(window.settings.crop_and_scale)

    def next_crop(self) -> None:
        """Go to the next crop and say which."""
        crop = _CROPS[(_CROPS.index(self._window.settings.crop) + 1) % len(_CROPS)]
        self.set_crop(crop)
        shown = crop.replace("-", " ") or "the model’s own"
        self._window.show_banner(Banner(f"Crop: {shown}"))

    def set_theme(self, theme: str) -> None:
        """Dark, light, or the system's."""
        self._window.remember(theme=theme)
        self._window.apply_theme()

    def toggle_full_screen(self) -> None:
        """Full screen, or back."""
        window = self._window
        window.showNormal() if window.isFullScreen() else window.showFullScreen()
