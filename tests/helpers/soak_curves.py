"""Draws the curves of a soak with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT, _LEFT, _TOP = 1200, 170, 110, 26
_PANELS = (
    ("memory of all processes, PSS in MB", "samples", "pss"),
    ("the same when calm, PSS in MB", "minutes", "pss"),
    ("the window's own when calm, USS in MB", "minutes", "window"),
    ("handles", "samples", "fds"),
    ("threads", "samples", "threads"),
    ("latency when calm, 95th percentile in ms", "minutes", "calm_p95"),
)


def draw_curves(
    samples: Sequence[dict[str, Any]],
    minutes: Sequence[dict[str, Any]],
    faults: Sequence[dict[str, Any]],
    path: Path,
) -> None:
    """A panel a curve over minutes; faults are upright lines."""
    rows = {"samples": samples, "minutes": minutes}
    picture = Image.new("RGB", (_WIDTH, _HEIGHT * len(_PANELS) + 20), "white")
    draw = ImageDraw.Draw(picture)
    end_s = max((row["t_s"] for row in (*samples, *minutes)), default=1.0)
    for place, (title, kind, name) in enumerate(_PANELS):
        top = place * _HEIGHT
        draw.text((_LEFT, top + 6), title, fill="black")
        for fault in faults:
            x = _across(fault["t_s"], end_s)
            draw.line((x, top + _TOP, x, top + _HEIGHT - 8), fill=(240, 200, 190))
        _draw(draw, [(row["t_s"], row[name]) for row in rows[kind]], end_s, top)
    draw.text((_LEFT, _HEIGHT * len(_PANELS)), f"0 to {end_s / 60:.1f} minutes", fill="black")
    picture.save(path)


def _across(t_s: float, end_s: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - 20) * t_s / end_s


def _draw(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], end_s: float, top: int
) -> None:
    if not points:
        return
    least, most = min(y for _, y in points), max(y for _, y in points)
    span, low = (most - least) or 1.0, top + _HEIGHT - 10
    high = top + _TOP
    draw.text((8, high), f"{most:.1f}", fill="black")
    draw.text((8, low - 10), f"{least:.1f}", fill="black")
    line = [(_across(t, end_s), low - (low - high) * (y - least) / span) for t, y in points]
    if len(line) > 1:
        draw.line(line, fill=(20, 90, 170), width=2)
    for x, y in line:
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(20, 90, 170))
