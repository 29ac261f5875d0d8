"""What a dropped file or folder is, and what the window will do with it; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinlens.app.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES


@dataclass(frozen=True)
class Dropped:
    """A dropped path.

    Attributes:
        path: the file or folder.
        kind: ``"model"``, ``"source"``, or None when it is nothing that Twinlens takes.
        says: what will be done with it, or why nothing will.
    """

    path: Path
    kind: Literal["model", "source"] | None
    says: str


def recognise(path: Path) -> Dropped:
    """Tell what a path is by its ending; whether it holds, loading it will show."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return Dropped(path, "model", f"Use {path.name} as the model")
    if suffix in VIDEO_SUFFIXES:
        return Dropped(path, "source", f"Play {path.name}")
    if suffix in PICTURE_SUFFIXES:
        return Dropped(path, "source", f"Show {path.name}")
    if path.is_dir():
        return Dropped(path, "source", f"Show the pictures in {path.name}")
    return Dropped(path, None, f"{path.name} is no model (.onnx), picture or video")
