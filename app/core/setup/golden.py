"""Golden pictures: pictures whose class is known, on which a recipe can be proved."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
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
        return label_index(labels).only(self.names) if self.names and labels else None


class LabelIndex:
    """Finds classes by their names, however these are spelled.

    A label may give several names of one class (``"tench, Tinca tinca"``). All labels are one text
    that is searched, since a thread that goes over tens of thousands of them one by one keeps the
    others from the interpreter meanwhile.

    Args:
        labels: names of the classes, in order; read here and never again.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        text = "\n".join(labels)
        if text.count("\n") != len(labels) - 1 or not text.replace("\n", "").isprintable():
            text = "\n".join(map(_plain, labels))  # there is white space of other kinds
        text = text.replace("_", " ").replace("-", " ").casefold()
        while "  " in text:
            text = text.replace("  ", " ")
        self._labels = f"\n{text}\n".replace(" \n", "\n").replace("\n ", "\n")
        self._names = self._labels.replace(" ,", ",").replace(", ", ",")
        self._known: dict[tuple[str, ...], int | None] = {}

    def only(self, names: tuple[str, ...]) -> int | None:
        """The one class that has one of these names; None where none has, or several."""
        if names not in self._known:
            found: set[int] = set()
            for name in names:
                found |= self._classes(_plain(name))
            self._known[names] = found.pop() if len(found) == 1 else None
        return self._known[names]

    def _classes(self, name: str) -> set[int]:
        """Two of the classes that are called so, if there are as many."""
        found = _lines(self._labels, f"\n{name}\n")
        if "," not in name:
            for before, after in product("\n,", repeat=2):
                found |= _lines(self._names, f"{before}{name}{after}")
        return found


def _lines(text: str, part: str) -> set[int]:
    """Numbers of the first lines with a part of a text that begins with a line's end; two at most.

    A line begins behind its end's letter, so that the part may begin with it.
    """
    found: set[int] = set()
    at = text.find(part)
    while at >= 0 and len(found) < 2:
        found.add(text.count("\n", 0, at + 1) - 1)
        at = text.find(part, at + 1)
    return found


_MOST_INDEXES = 4
_indexes: dict[int, tuple[tuple[str, ...], LabelIndex]] = {}
_indexing = threading.Lock()


def label_index(labels: Sequence[str]) -> LabelIndex:
    """The index of these labels; of the last few tuples it is made once, for all threads.

    Tens of thousands of labels take milliseconds, and a proof looks up ten classes each time that
    something is answered.
    """
    if not isinstance(labels, tuple):  # it may change
        return LabelIndex(labels)
    with _indexing:
        # By identity, since a tuple's hash goes over all of it; kept with it, so that no other
        # tuple comes to have the same one.
        known = _indexes.pop(id(labels), None) or (labels, LabelIndex(labels))
        _indexes[id(labels)] = known
        while len(_indexes) > _MOST_INDEXES:
            del _indexes[next(iter(_indexes))]
        return known[1]


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


_APART = str.maketrans("_-", "  ")


def _plain(name: str) -> str:
    """As it is compared: in one case, one space for whatever stands between words."""
    return " ".join(name.translate(_APART).split()).casefold()
