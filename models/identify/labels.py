"""The names of the classes: read from wherever they lie, in one order of precedence.

A source is a reader that gives names with their origin, and a line in ``READERS``. What a file of
names may look like stands in ``layouts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from twinlens.engine.api.labels import fitting
from twinlens.engine.errors import LabelError
from twinlens.models.identify.exports import unpacked_metadata
from twinlens.models.identify.facts import Origin, Subject
from twinlens.models.identify.layouts import KEYS, by_number, names_in, names_of_text
from twinlens.models.identify.sidecar import sidecar_path

MAX_BYTES = 4 << 20
"""Largest label file."""

_IMAGENET = 1000
_NUMBERS = "numbers"

# How files of names are called that could belong to any model.
_GENERAL = tuple(
    f"{stem}{ending}"
    for stem in (
        *("labels", "label", "classes", "class_names", "classnames", "class_labels", "labelmap"),
        *("label_map", "labels_map", "names", "categories", "id2label", "class_indices"),
        *("class_index", "index_to_name", "imagenet_classes", "imagenet_class_index", "synset"),
        *("synset_words", "synsets"),
    )
    for ending in (".txt", ".json", ".names", ".csv", ".tsv", ".pbtxt", ".yaml", ".yml")
)
# What programs write for no names at all.
_NOTHING = ("none", "null", "nan", "undefined")
# The first line of a file that has one more than there are classes.
_LEADS = {
    *("background", "__background__", "_background_", "???", "n/a", "none of the above"),
    *("label", "labels", "name", "names", "class", "classes", "class_name", "category"),
}


@dataclass(frozen=True)
class Names:
    """Names of classes.

    Attributes:
        names: class 0 first; those of the background may be in front.
        origin: where they come from.
        source: what errors call that.
        note: what was assumed; empty where nothing was.
        fault: why they cannot be read; None where they can.
        strict: whether somebody wrote them down for this model, so that they have to fit.
    """

    names: tuple[str, ...]
    origin: Origin
    source: str
    note: str = ""
    fault: LabelError | None = None
    strict: bool = False


@dataclass(frozen=True)
class Labels:
    """What was found out about the labels of a model.

    Attributes:
        names: class 0 first, without those of a background; empty where none are known.
        origin: where they come from; None where none are known.
        note: what was assumed; empty where nothing was.
        problem: why none are known; None where they are.
        source: what names them, for display.
        passed: what has names that do not fit, and why; it is not used.
    """

    names: tuple[str, ...] = ()
    origin: Origin | None = None
    note: str = ""
    problem: LabelError | None = None
    source: str = ""
    passed: tuple[str, ...] = ()

    @property
    def unnamed(self) -> bool:
        """Whether nothing names the classes, so that they are called by their numbers."""
        return self.source == _NUMBERS


def find_labels(subject: Subject) -> Labels:
    """The labels of the first reader whose names fit the outputs.

    What does not fit is passed over, and a note says so; only what somebody wrote down for the
    model (--labels, ``NAME.toml``) has to fit. Where nothing names the classes they are called by
    their numbers.
    """
    of = f"{subject.title} of {subject.path.name}" if subject.title else subject.path.name
    passed: list[str] = []
    for read in READERS:
        source = read(subject)
        while True:
            found = next(source, None)
            if found is None:
                break
            try:
                names = _held(found, subject, of)
            except LabelError as error:
                if found.strict:
                    return Labels(problem=error)
                if (reason := f"{error.message}: not used") not in passed:
                    passed.append(reason)
                continue
            note = "; ".join(part for part in (found.note, *passed) if part)
            return Labels(names, found.origin, note, source=found.source, passed=tuple(passed))
    classes = (subject.outputs or 0) - subject.background
    if classes < 1:
        return Labels(problem=_none(subject, of))
    note = "; ".join(("labels: nothing names the classes, so their numbers do", *passed))
    return Labels(numbered(classes), Origin.ASSUMED, note, source=_NUMBERS, passed=tuple(passed))


@cache
def numbered(count: int) -> tuple[str, ...]:
    """Names for classes without names: ``"class 0"`` ..."""
    return tuple(f"class {number}" for number in range(count))


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file of any layout that ``layouts`` knows; class 0 first.

    Raises:
        LabelError: it cannot be read or is empty.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LabelError(f"{path}: too large for a label file")
        names = names_in(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: cannot be read as a label file ({error})") from error
    if not names:
        raise LabelError(f"{path}: has no labels")
    return names


def _given(subject: Subject) -> Iterator[Names]:
    """A label file that was named."""
    if subject.given is not None:
        yield replace(_read(subject.given, Origin.GIVEN), strict=True)


def _in_sidecar(subject: Subject) -> Iterator[Names]:
    """``labels`` in ``NAME.toml``, or in what is kept in its place."""
    names = tuple(subject.beside.get("labels", ()))
    if names:
        place = sidecar_path(subject.path).name
        yield Names(names, subject.beside_origin, place, strict=True)


def _beside(subject: Subject) -> Iterator[Names]:
    """``NAME.labels.txt``, or what else is called after the model."""
    stem = subject.path.stem
    for name in (
        f"{stem}.labels.txt",
        *(f"{stem}{mark}{word}.txt" for mark in "_-." for word in ("labels", "classes")),
        *(f"{stem}{mark}{word}.json" for mark in "_-." for word in ("labels", "classes")),
        *(f"{stem}.{ending}" for ending in ("labels", "names", "pbtxt")),
    ):
        yield from _file(subject, subject.path.with_name(name))


def _in_file(subject: Subject) -> Iterator[Names]:
    """What the model file says."""
    if subject.described is None:
        return
    if subject.described.labels:
        yield Names(subject.described.labels, Origin.FILE, subject.path.name)
    said = unpacked_metadata(subject.described.metadata)
    metadata = {key.lower(): text for key, text in said.items()}
    for key in KEYS:
        text = metadata.get(key, "")
        names = names_of_text(text) if text.strip().lower() not in _NOTHING else ()
        if names:
            yield Names(names, Origin.FILE, subject.path.name)


def _of_export(subject: Subject) -> Iterator[Names]:
    """What the tool that exported the model wrote beside it."""
    for export in subject.exported:
        if export.names:
            yield Names(export.names, Origin.BESIDE, export.source)


def _of_any_name(subject: Subject) -> Iterator[Names]:
    """``labels.txt`` and the like, beside the file or inside the folder that it is."""
    if subject.published_origin is Origin.CARD:
        return  # what lies there by accident does not rename the classes of a known model
    inside = subject.path.is_dir() and subject.described is None
    for name in _GENERAL:
        place = subject.path / name if inside else subject.path.with_name(name)
        for found in _file(subject, place):
            note = (
                ""
                if inside or subject.exported
                else f"labels: {place.name} beside it, assumed to be its own"
            )
            yield replace(found, note=note)


def _published(subject: Subject) -> Iterator[Names]:
    """What belongs to a card or to a network that is known."""
    names = subject.published() if subject.published is not None else ()
    if not names or (
        subject.published_origin is Origin.NETWORK
        and len(names) != (subject.outputs or 0) - subject.background
    ):
        return  # the network was trained anew, for other classes
    yield Names(names, subject.published_origin, subject.title)


def _imagenet(subject: Subject) -> Iterator[Names]:
    """A thousand classes are ImageNet's, by convention."""
    classes = (subject.outputs or 0) - subject.background
    if classes == _IMAGENET and subject.imagenet is not None:
        note = "labels: ImageNet, assumed"
        yield Names(subject.imagenet(), Origin.CONVENTION, "ImageNet", note=note)


def _one_class(subject: Subject) -> Iterator[Names]:
    """One output is for or against one class, whatever that is."""
    if subject.outputs == 1:
        note = "labels: class 1, assumed"
        yield Names(("class 1",), Origin.ASSUMED, "the only output", note=note)


READERS: tuple[Callable[[Subject], Iterator[Names]], ...] = (
    _given,
    _in_sidecar,
    _beside,
    _in_file,
    _of_export,
    _of_any_name,
    _published,
    _imagenet,
    _one_class,
)
"""In the order of precedence."""


def _held(found: Names, subject: Subject, of: str) -> tuple[str, ...]:
    """Names that fit; raises LabelError."""
    if found.fault is not None:
        raise found.fault
    outputs, background = subject.outputs, subject.background
    return fitted(found.names, outputs, background, source=found.source, of=of)


def fitted(
    names: tuple[str, ...],
    outputs: int | None,
    background: int,
    *,
    source: str,
    of: str,
    hint: str = "",
) -> tuple[str, ...]:
    """Names out of a file for a model's classes; as ``fitting``, but for what files may have.

    That is a head or a background that the network has no output for, and lines that number only
    some of the classes. Raises as ``fitting``.
    """
    lead = names[0].strip().lower() in _LEADS if len(names) > 1 else False
    if lead and outputs is not None and len(names) == outputs - background + 1 and not background:
        names = names[1:]
    elif outputs is not None and len(names) < outputs - background:
        names = by_number(names, outputs - background) or names
    return fitting(names, outputs, background, source=source, of=of, hint=hint)


def _file(subject: Subject, path: Path) -> Iterator[Names]:
    if subject.look_beside and path.is_file():
        yield _read(path, Origin.BESIDE)


def _read(path: Path, origin: Origin) -> Names:
    try:
        return Names(read_labels(path), origin, path.name)
    except LabelError as fault:
        return Names((), origin, path.name, fault=fault)


def _none(subject: Subject, of: str) -> LabelError:
    """Nobody names the classes, and nothing tells how many there are."""
    if subject.outputs is None:
        message = f"{of} has an unknown number of outputs and brings no labels"
    else:
        message = f"{of} has {subject.outputs} outputs and brings no labels"
    return LabelError(
        message,
        hint=f"Put {subject.path.stem}.labels.txt beside it, one name a line, or use --labels.",
    )
