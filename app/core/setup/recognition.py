"""What will be done with what was dropped, as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinlens.models.identify.kinds import Glance, Kind, glance

__all__ = ["Dropped", "Kind", "recognise"]

TAKEN = (
    "Drop an ONNX, TensorFlow Lite or Core ML model, a folder of parameters, a label file, a "
    "picture, a video or a folder of pictures."
)


@dataclass(frozen=True)
class Dropped:
    """A dropped path.

    Attributes:
        path: the file or folder that is meant: of a folder with one model in it, that model.
        kind: what it is.
        summary: what will be done with it, or why nothing will.
        hint: what to drop instead, where nothing will be done.
    """

    path: Path
    kind: Kind
    summary: str
    hint: str = ""


def recognise(path: Path) -> Dropped:
    """Find out what will be done with a path; nothing but its first bytes is read."""
    seen = glance(path)
    hint = (seen.hint or TAKEN) if seen.kind is Kind.NOTHING else ""
    return Dropped(seen.path, seen.kind, _sentence(seen), hint)


def _sentence(seen: Glance) -> str:
    name = seen.path.name
    if seen.kind is Kind.MODEL and seen.folder is not None:
        return f"Use {name} in {seen.folder.name} as the model"
    if seen.kind is Kind.MODEL:
        return f"Use {name} as the model" + (f" ({seen.format})" if seen.format else "")
    if seen.kind is Kind.PICTURES:
        many = f"{seen.pictures} pictures" if seen.pictures > 1 else "picture"
        return f"Show the {many} in {name}"
    return {
        Kind.PARAMETERS: f"Use the parameters in {name}",
        Kind.LABELS: f"Name the classes by {name}",
        Kind.PICTURE: f"Show {name}",
        Kind.VIDEO: f"Play {name}",
    }.get(seen.kind, seen.reason)
