"""Colours and type: sizes are shares of the window's height, so that every window looks alike."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication

from twinlens.app.overlays import PALETTES, Palette

SMALLEST_TEXT = 0.018
"""Share of the height under which no text may be."""

OWN_ARROWS = "ownArrows"
"""Property of a widget that moves by arrow keys itself, so that they are no shortcuts there."""

_RING_PX = 2


def palette_of(theme: str) -> tuple[str, Palette]:
    """Name and palette of ``"dark"``, ``"light"``, or of the system's for ``"system"``."""
    if theme not in PALETTES:
        scheme = QGuiApplication.styleHints().colorScheme()
        theme = "light" if scheme == Qt.ColorScheme.Light else "dark"
    return theme, PALETTES[theme]


def color(text: str, opacity: float = 1.0) -> QColor:
    """``#RRGGBB`` with an opacity."""
    made = QColor(text)
    made.setAlphaF(opacity)
    return made


def rgba(text: str, opacity: float) -> str:
    """``#RRGGBB`` with an opacity, as style sheets write it."""
    made = color(text, opacity)
    return f"rgba({made.red()}, {made.green()}, {made.blue()}, {made.alpha()})"


def font(pixels: float, *, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The interface font with tabular figures, so that numbers do not jitter."""
    made = QFont(QGuiApplication.font())
    made.setPixelSize(max(1, round(pixels)))
    made.setWeight(weight)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def sheet_style(palette: Palette, unit: float) -> str:
    """Style sheet of everything that stands on sheets; ``unit`` is 1 % of the window's height."""
    ring, inner = focus_color(palette), unit * 0.9 - _RING_PX
    return f"""
    QFrame#panel {{
        background: {palette.surface}; border: 1px solid {line_color(palette)};
        border-radius: {unit * 1.4:.0f}px;
    }}
    * {{ outline: 0; }}
    QLabel {{ color: {palette.text}; font-size: {unit * 2.2:.0f}px; background: transparent; }}
    QLabel#title {{ font-size: {unit * 3:.0f}px; font-weight: 600; }}
    QLabel#detail, QLabel#group {{ color: {palette.text_dim}; font-size: {unit * 2:.0f}px; }}
    QLabel#fine {{ color: {palette.text_dim}; font-size: {unit * 2.4:.0f}px; }}
    QLabel#group {{ font-weight: 600; }}
    QLabel#headline {{ font-weight: 600; font-size: {unit * 2.6:.0f}px; }}
    QLabel#key {{
        font-weight: 600; border: 1px solid {line_color(palette)};
        border-radius: {unit * 0.6:.0f}px;
        padding: {unit * 0.2:.0f}px {unit * 0.9:.0f}px;
    }}
    QPushButton {{
        color: {palette.text}; font-size: {unit * 2.2:.0f}px; background: transparent;
        border: {_RING_PX}px solid transparent; border-radius: {unit * 0.8:.0f}px;
        text-align: left;
        padding: {max(0.0, inner):.0f}px {max(0.0, unit * 1.4 - _RING_PX):.0f}px;
    }}
    QPushButton#action {{
        border: {_RING_PX}px solid {line_color(palette)}; font-weight: 600;
    }}
    QPushButton#chip, QPushButton#chosen {{
        border: {_RING_PX}px solid {line_color(palette)}; text-align: center;
        padding: {unit * 0.7:.0f}px {unit * 1.6:.0f}px;
    }}
    QPushButton#chosen {{
        background: {tint_color(palette)}; border-color: {palette.text}; font-weight: 600;
    }}
    QPushButton:hover {{ background: {tint_color(palette)}; }}
    QPushButton:focus, QPushButton#action:focus, QPushButton#chip:focus,
    QPushButton#chosen:focus {{ border: {_RING_PX}px solid {ring}; }}
    QPushButton:disabled {{ color: {palette.text_dim}; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: 0; }}
    QScrollBar:vertical {{ background: transparent; width: {unit:.0f}px; margin: 0; }}
    QScrollBar::handle:vertical {{
        background: {line_color(palette)}; border-radius: {unit * 0.5:.0f}px;
        min-height: {unit * 4:.0f}px;
    }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QSlider {{ min-height: {unit * 3:.0f}px; }}
    QSlider::groove:horizontal {{
        height: {unit * 0.6:.0f}px; background: {line_color(palette)};
        border-radius: {unit * 0.3:.0f}px;
    }}
    QSlider::handle:horizontal {{
        background: {palette.text}; width: {unit * 2:.0f}px; margin: -{unit * 0.7:.0f}px 0;
        border-radius: {unit:.0f}px;
    }}
    """


def is_light(palette: Palette) -> bool:
    """Whether a palette is of a light theme."""
    return palette.text < palette.ground


def focus_color(palette: Palette) -> str:
    """The ring around what has the focus: white, or black where all is white."""
    return palette.on_picture


def line_color(palette: Palette) -> str:
    """Lines that part things."""
    return "#C9CED6" if is_light(palette) else "#3A4250"


def tint_color(palette: Palette) -> str:
    """Ground of what is chosen, or under the pointer."""
    return "#E6E9EE" if is_light(palette) else "#2A313C"
