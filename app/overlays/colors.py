"""Colours: one per engine, two grounds, and the measure of contrast.

Colour never stands alone: every engine also has a word and a shape.
"""

from __future__ import annotations

from dataclasses import dataclass

_ENGINE_COLORS = {
    "layers-cpu": "#F5A623",
    "layers-gpu": "#9B7BFF",
    "vision": "#2EC4E6",
    "remote": "#5BD68C",
}
# The same hues, darkened until words and thin bars on the light ground reach 4.5:1.
_ENGINE_COLORS_ON_LIGHT = {
    "layers-cpu": "#8A5A00",
    "layers-gpu": "#5B3BD1",
    "vision": "#00748C",
    "remote": "#0A4420",
}
_ENGINE_SHAPES = {
    "layers-cpu": "square",
    "layers-gpu": "diamond",
    "vision": "circle",
    "remote": "triangle",
}
_OTHER = "#A7B0BE"
_OTHER_ON_LIGHT = "#4C5664"


@dataclass(frozen=True)
class Palette:
    """Colours of one theme, as ``#RRGGBB``.

    Attributes:
        ground: behind everything.
        surface: sheets and cards.
        text: words.
        text_dim: second words; still 7:1 on the ground.
        warning: orange-red, only for warnings and errors.
        scrim: colour of the gradient under text on the picture.
        scrim_opacity: the scrim's opacity where text stands; with it white text reaches 7:1
            even over a white frame.
        on_picture: words on the scrim.
    """

    ground: str
    surface: str
    text: str
    text_dim: str
    warning: str
    scrim: str = "#0E1116"
    scrim_opacity: float = 0.8
    on_picture: str = "#FFFFFF"


PALETTES = {
    "dark": Palette("#0E1116", "#1A1F27", "#F2F4F7", "#B4BCC8", "#FF6B3D"),
    "light": Palette("#F6F7F9", "#FFFFFF", "#12161C", "#434C59", "#B83200"),
}


def engine_color(engine_id: str) -> str:
    """The engine's colour as ``#RRGGBB``; a neutral grey for an unknown engine."""
    return _ENGINE_COLORS.get(engine_id, _OTHER)


def engine_text_color(engine_id: str, theme: str = "dark") -> str:
    """The engine's colour where words or thin lines are drawn in it on the theme's ground."""
    if theme == "light":
        return _ENGINE_COLORS_ON_LIGHT.get(engine_id, _OTHER_ON_LIGHT)
    return engine_color(engine_id)


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
