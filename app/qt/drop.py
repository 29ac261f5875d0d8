"""What a dropped file or folder is, and what the window will do with it; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinlens.app.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from twinlens.engine.errors import ModelError
from twinlens.engine.formats.recognize import Format, recognize
from twinlens.engine.params import holds_parameters


@dataclass(frozen=True)
class Dropped:
    """A dropped path.

    Attributes:
        path: the file or folder.
        kind: ``"model"``, ``"source"``, or None when it is nothing that Twinlens takes.
        says: what will be done with it, or why nothing will.
        hint: where nothing will, what to do instead; may be empty.
    """

    path: Path
    kind: Literal["model", "source"] | None
    says: str
    hint: str = ""


def recognise(path: Path) -> Dropped:
    """Tell what a path is, by its content where that is quickly seen; whether it holds, loading
    it will show.
    """
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return Dropped(path, "source", f"Play {path.name}")
    if suffix in PICTURE_SUFFIXES:
        return Dropped(path, "source", f"Show {path.name}")
    try:
        if holds_parameters(path):
            says = f"Assemble the network whose parameters {path.name} holds"
            return Dropped(path, "model", says)
        if path.is_dir() and not (path / "Manifest.json").is_file():
            return Dropped(path, "source", f"Show the pictures in {path.name}")
        kind = recognize(path)
    except ModelError as why:
        return Dropped(path, None, why.message, why.hint)
    if kind is Format.ONNX and suffix != ".onnx":
        # What is nothing known counts as ONNX there.
        return Dropped(path, None, f"{path.name} is no model, parameters, picture or video")
    return Dropped(path, "model", f"Use {path.name} as the model ({kind.value})")
