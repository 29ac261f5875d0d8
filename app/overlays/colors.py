"""Colours: one per engine, two grounds, and the measure of contrast.

Colour never stands alone: every engine also has a word and a shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

_ENGINE_COLORS = {
    "layers-cpu": "#F5A623",
    "layers-gpu": "#9B7BFF",
    "vision": "#2EC4E6",
    "remote": "#5BD68C",
}
_ENGINE_SHAPES = {
    "layers-cpu": "square",
    "layers-gpu": "diamond",
    "vision": "circle",
    "remote": "triangle",
}
_OTHER = "#A7B0BE"
_LEGIBLE = 4.5
"""Contrast of words on the picture against the worst frame behind the scrim."""


@dataclass(frozen=True)
class Palette:
    """Colours of one theme, as ``#RRGGBB``.

    Attributes:
        ground: behind everything.
        surface: sheets and cards.
        text: words.
        text_dim: second words; still 7:1 on the ground.
        warning: orange-red, only for warnings and errors.
        scrim: colour of what lies under words and buttons on the picture.
        on_picture: words on the scrim; also the ring around what has the focus.
        track: what a bar runs on: dark in both themes, so that one shade an engine does.
        track_opacity: of the track, over the scrim.
    """

    ground: str
    surface: str
    text: str
    text_dim: str
    warning: str
    scrim: str = "#0E1116"
    on_picture: str = "#FFFFFF"
    track: str = "#0E1116"
    track_opacity: float = 0.7

    @cached_property
    def scrim_opacity(self) -> float:
        """The scrim's opacity where text stands: as light as words can be read on.

        They reach 4.5:1 over the worst frame, a white one where they are light, else a black one.
        """
        worst = "#FFFFFF" if luminance(self.on_picture) > luminance(self.scrim) else "#000000"
        for percent in range(100):
            behind = blend(self.scrim, worst, percent / 100)
            if contrast_ratio(self.on_picture, behind) >= _LEGIBLE:
                return percent / 100
        return 1.0


PALETTES = {
    "dark": Palette("#0E1116", "#1A1F27", "#F2F4F7", "#B4BCC8", "#FF6B3D"),
    "light": Palette(
        "#F6F7F9",
        "#FFFFFF",
        "#12161C",
        "#434C59",
        "#B83200",
        scrim="#F6F7F9",
        on_picture="#12161C",
        track="#12161C",
        track_opacity=0.88,
    ),
}


def engine_color(engine_id: str) -> str:
    """The engine's colour as ``#RRGGBB``; a neutral grey for an unknown engine."""
    return _ENGINE_COLORS.get(engine_id, _OTHER)


def engine_shape(engine_id: str) -> str:
    """``"square"``, ``"diamond"``, ``"circle"`` or ``"triangle"``; ``"bar"`` for an unknown one."""
    return _ENGINE_SHAPES.get(engine_id, "bar")


def rgb(color: str) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1], sRGB, of ``#RRGGBB``.

    Raises:
        ValueError: the text is not of that form.
    """
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f"colour must look like #RRGGBB, got {color!r}")
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def linear(color: str) -> tuple[float, float, float]:
    """Linear-light red, green and blue in [0, 1] (IEC 61966-2-1) of ``#RRGGBB``."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(color)
    )
    return red, green, blue


def luminance(color: str) -> float:
    """Relative luminance in [0, 1], as WCAG 2.2 defines it."""
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_ratio(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def blend(top: str, bottom: str, opacity: float) -> str:
    """``top`` at this opacity over ``bottom``, mixed in sRGB as painters do."""
    mixed = (t * opacity + b * (1 - opacity) for t, b in zip(rgb(top), rgb(bottom), strict=True))
    return "#" + "".join(f"{round(c * 255):02X}" for c in mixed)
