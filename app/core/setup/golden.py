"""Golden pictures: pictures whose class is known, on which a recipe can be proved."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twinlens.app.core.drawing.digits import STROKES, drawn
from twinlens.assets import clip_path, clip_timeline_path
from twinlens.engine.image import PixelBuffer, Region, read_image

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, eq=False)
class Golden:
    """A picture and what it shows.

    Attributes:
        picture: the pixels.
        names: what its class may be called; empty where nobody knows what it shows.
        region: the part that counts; None is all of it.
    """

    picture: PixelBuffer
    names: tuple[str, ...]
    region: Region | None = None

    def index(self, labels: Sequence[str]) -> int | None:
        """The class that is right; None where no label, or more than one, is called so."""
        wanted = {_plain(name) for name in self.names}
        found = [at for at, label in enumerate(labels) if wanted & _names_of(label)]
        return found[0] if len(found) == 1 else None


@cache
def clip_pictures() -> tuple[Golden, ...]:
    """One picture of each object in the bundled clip, from the middle of its turn.

    Raises:
        ImageError: the clip cannot be read.
    """
    from twinlens.engine.image.samples import sample_pictures  # with it comes OpenCV

    with clip_timeline_path().open(encoding="utf-8", newline="") as file:
        shown = [row["label"] for row in csv.DictReader(file, delimiter="\t")]
    # Each object is shown equally long, so that evenly spread pictures meet each one once.
    pictures = sample_pictures(clip_path(), len(shown))
    return tuple(Golden(p, (name,)) for p, name in zip(pictures, shown, strict=True))


@cache
def digit_pictures() -> tuple[Golden, ...]:
    """The ten digits, drawn."""
    boards = {digit: drawn(digit) for digit in STROKES}
    return tuple(
        Golden(board.look().buffer, (digit, _WORDS[int(digit)]), board.region())
        for digit, board in boards.items()
    )


def golden_pictures(channels: int) -> tuple[Golden, ...]:
    """The pictures that come with Twinlens for a network of so many colours: clip, or digits."""
    return digit_pictures() if channels == 1 else clip_pictures()


def own_picture(path: Path) -> Golden:
    """A picture of one's own; its file or folder may be named as what it shows (``banana_2.jpg``).

    Raises:
        ImageError: it cannot be read.
    """
    names = (re.sub(r"[\d\s._-]+$", "", path.stem), path.parent.name)
    return Golden(read_image(path), tuple(name for name in names if name))


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _names_of(label: str) -> set[str]:
    """A label may give several names of one class (``"tench, Tinca tinca"``)."""
    return {_plain(label), *map(_plain, label.split(","))}
