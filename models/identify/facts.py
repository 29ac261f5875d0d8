"""What is known of a model before anybody is asked, and where each part of it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from twinlens.engine.formats.described import ModelFile
from twinlens.models.identify.exports import Export


class Origin(Enum):
    """Where something that is known of a model comes from; the value is for display."""

    GIVEN = "as given"
    BESIDE = "from the file beside it"
    KEPT = "as chosen before"
    CARD = "from the catalog"
    FILE = "from the file"
    NETWORK = "as published"
    CONVENTION = "by convention"
    ASSUMED = "assumed"


PARTS = ("size", "layout", "color", "values", "crop", "labels")
"""What has to be known to feed and to read a classifier."""


@dataclass(frozen=True)
class Subject:
    """What the readers of facts look at.

    Attributes:
        path: the model: a file or folder.
        title: what errors call it, where it is a known network.
        outputs: number of outputs, background included; None where nothing tells it yet.
        background: outputs in front of class 0.
        beside: plain values of the file beside it, and where they come from.
        beside_origin: beside it, or kept elsewhere for it.
        given: label file that was named for it.
        described: what the file declares; None where it is bare parameters, or was not looked at.
        published: labels of the network that it is, or of its card, and which of the two.
        imagenet: gives the names of ImageNet's classes; None where they shall not be assumed.
        look_beside: whether files beside it count at all.
        exported: what the tool that exported it wrote beside it.
        asked: plain values of a recipe that somebody asked for.
    """

    path: Path
    title: str = ""
    outputs: int | None = None
    background: int = 0
    beside: Mapping[str, Any] = field(default_factory=dict)
    beside_origin: Origin = Origin.BESIDE
    given: Path | None = None
    described: ModelFile | None = None
    published: Callable[[], tuple[str, ...]] | None = None
    published_origin: Origin = Origin.NETWORK
    imagenet: Callable[[], tuple[str, ...]] | None = None
    look_beside: bool = True
    exported: tuple[Export, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
