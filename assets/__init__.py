"""The clip, pictures and icons that come with Twinlens, all made for it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("twinlens.assets")))


def clip_path() -> Path:
    """The bundled clip, a video."""
    return _FOLDER / "clip.mp4"


def clip_timeline_path() -> Path:
    """What is in view when: a table of start_s, end_s, class_index, label."""
    return _FOLDER / "clip.tsv"


def icon_path(name: str) -> Path:
    """An SVG icon by its name, without ending."""
    return _FOLDER / "icons" / f"{name}.svg"


def picture_path(name: str) -> Path:
    """A picture by its file name."""
    return _FOLDER / "pictures" / name
