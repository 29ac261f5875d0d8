"""What is drawn over the picture, as plain data; painters live in ``twinlens.app.qt``."""

from twinlens.app.overlays.build import build_overlays
from twinlens.app.overlays.colors import (
    PALETTES,
    Palette,
    contrast_ratio,
    engine_color,
    engine_shape,
    engine_text_color,
)
from twinlens.app.overlays.data import (
    Banner,
    BannerKind,
    CheatSheet,
    KeyGroup,
    LabelOverlay,
    LiveDot,
    Notice,
    Overlays,
    StatusOverlay,
    TopOverlay,
    TopRow,
)
from twinlens.app.overlays.keys import CHEAT_SHEET

__all__ = [
    "CHEAT_SHEET",
    "PALETTES",
    "Banner",
    "BannerKind",
    "CheatSheet",
    "KeyGroup",
    "LabelOverlay",
    "LiveDot",
    "Notice",
    "Overlays",
    "Palette",
    "StatusOverlay",
    "TopOverlay",
    "TopRow",
    "build_overlays",
    "contrast_ratio",
    "engine_color",
    "engine_shape",
    "engine_text_color",
]
