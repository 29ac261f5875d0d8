"""What always stands on the picture, as plain data; painters live in ``twinlens.app.qt``.

Goes in: the label block, the status line, notices, banners, colours, and the card with all keys,
which names what every key does. Stays out: what a key shows and hides, which is a view
(`app.views`), and Qt.
"""

from twinlens.app.overlays.build import build_overlays
from twinlens.app.overlays.colors import (
    PALETTES,
    Palette,
    contrast_ratio,
    engine_color,
    engine_shape,
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
)
from twinlens.app.overlays.keys import CHEAT_SHEET
from twinlens.app.views.top5 import TopOverlay, TopRow

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
]
