"""The names of the classes: read from wherever they lie, in one order of precedence.

A layout is a reader that returns names with their origin, and a line in ``READERS``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinlens.engine.api.labels import fitting
from twinlens.engine.errors import LabelError
from twinlens.models.identify.facts import Origin, Subject
from twinlens.models.identify.sidecar import sidecar_path

_MAX_BYTES = 4 << 20
_IMAGENET = 1000
_KEYS = ("labels", "classes", "class_labels")


@dataclass(frozen=True)
class Names:
    """Names of classes.

    Attributes:
        names: class 0 first; those of the background may be in front.
        origin: where they come from.
        source: what errors call that.
        note: what was assumed; empty where nothing was.
    """

    names: tuple[str, ...]
    origin: Origin
    source: str
    note: str = ""


@dataclass(frozen=True)
class Labels:
    """What was found out about the labels of a model.

    Attributes:
        names: class 0 first, without those of a background; empty where none are known.
        origin: where they come from; None where none are known.
        note: what was assumed; empty where nothing was.
        problem: why none are known; None where they are.
        source: what names them, for display.
    """

    names: tuple[str, ...] = ()
    origin: Origin | None = None
    note: str = ""
    problem: LabelError | None = None
    source: str = ""


def find_labels(subject: Subject) -> Labels:
    """The labels of the first reader that has any; they have to fit the outputs."""
    of = f"{subject.title} of {subject.path.name}" if subject.title else subject.path.name
    try:
        for read in READERS:
            found = read(subject)
            if found is not None:
                names = fitting(
                    found.names, subject.outputs, subject.background, source=found.source, of=of
                )
                return Labels(names, found.origin, found.note, source=found.source)
    except LabelError as error:
        return Labels(problem=error)
    return Labels(problem=_none(subject, of))


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file: one name a line, UTF-8, class 0 first; empty lines at the end go.

    Raises:
        LabelError: it cannot be read or is empty.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise LabelError(f"{path}: too large for a label file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: cannot be read as a label file ({error})") from error
    lines = tuple(line.strip() for line in text.rstrip().splitlines())
    if not lines:
        raise LabelError(f"{path}: has no labels")
    return lines


def _given(subject: Subject) -> Names | None:
    """A label file that was named."""
    if subject.given is None:
        return None
    return Names(read_labels(subject.given), Origin.GIVEN, subject.given.name)


def _in_sidecar(subject: Subject) -> Names | None:
    """``labels`` in ``NAME.toml``, or in what is kept in its place."""
    names = tuple(subject.beside.get("labels", ()))
    if not names:
        return None
    return Names(names, subject.beside_origin, sidecar_path(subject.path).name)


def _beside(subject: Subject) -> Names | None:
    """``NAME.labels.txt``."""
    return _file(subject, subject.path.with_suffix(".labels.txt"))


def _beside_of_any_name(subject: Subject) -> Names | None:
    """``labels.txt`` beside the file, or inside the folder that it is."""
    if subject.path.is_dir() and subject.described is None:
        return _file(subject, subject.path / "labels.txt")
    if subject.published_origin is Origin.CARD:
        return None  # what lies there by accident does not rename the classes of a known model
    return _file(subject, subject.path.with_name("labels.txt"))


def _in_file(subject: Subject) -> Names | None:
    """What the model file says."""
    if subject.described is None:
        return None
    names = subject.described.labels or _of_metadata(subject)
    return Names(names, Origin.FILE, subject.path.name) if names else None


def _published(subject: Subject) -> Names | None:
    """What belongs to a card or to a network that is known."""
    names = subject.published() if subject.published is not None else ()
    if not names or (
        subject.published_origin is Origin.NETWORK
        and len(names) != (subject.outputs or 0) - subject.background
    ):
        return None  # the network was trained anew, for other classes
    return Names(names, subject.published_origin, subject.title)


def _imagenet(subject: Subject) -> Names | None:
    """A thousand classes are ImageNet's, by convention."""
    classes = (subject.outputs or 0) - subject.background
    if classes != _IMAGENET or subject.imagenet is None:
        return None
    return Names(
        subject.imagenet(), Origin.CONVENTION, "ImageNet", note="labels: ImageNet, assumed"
    )


def _one_class(subject: Subject) -> Names | None:
    """One output is for or against one class, whatever that is."""
    if subject.outputs != 1:
        return None
    return Names(("class 1",), Origin.ASSUMED, "the only output", note="labels: class 1, assumed")


READERS: tuple[Callable[[Subject], Names | None], ...] = (
    _given,
    _in_sidecar,
    _beside,
    _beside_of_any_name,
    _in_file,
    _published,
    _imagenet,
    _one_class,
)
"""In the order of precedence."""


def _file(subject: Subject, path: Path) -> Names | None:
    if not subject.look_beside or not path.is_file():
        return None
    return Names(read_labels(path), Origin.BESIDE, path.name)


def _of_metadata(subject: Subject) -> tuple[str, ...]:
    metadata = subject.described.metadata if subject.described is not None else {}
    for key in _KEYS:
        text = metadata.get(key)
        if not text:
            continue
        try:
            values = json.loads(text)
        except json.JSONDecodeError:
            values = text.splitlines()
        if isinstance(values, list):
            return tuple(str(value).strip() for value in values)
    return ()


def _none(subject: Subject, of: str) -> LabelError:
    """Nobody names the classes."""
    if subject.outputs is None:
        message = f"{of} has an unknown number of outputs and brings no labels"
    elif subject.title:
        message = f"{of} has {subject.outputs - subject.background} classes and brings no labels"
    else:
        message = f"{of} has {subject.outputs} outputs and brings no labels"
    return LabelError(
        message,
        hint=f"Put {subject.path.stem}.labels.txt beside it, one name a line, or use --labels.",
    )
