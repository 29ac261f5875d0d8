"""What a path is, by its content: a file by the table in ``rows``, a folder by what is in it.

``glance`` is cheap enough for every move of a pointer: names in a folder and a file's first bytes
are looked at, and of a protobuf the keys of its outermost fields. The same row says how the thing
is read, where it is a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats import CORE_ML, ONNX, Document
from twinlens.engine.params.raw import SUFFIXES as RAW_SUFFIXES
from twinlens.models.identify import signatures as signs
from twinlens.models.identify.exports import INNER_FOLDERS
from twinlens.models.identify.foreign import BESIDE
from twinlens.models.identify.rows import (
    COMPILED,
    COMPILED_HINT,
    COMPILED_REFUSAL,
    CORE_ML_PACKAGE,
    EXPORT,
    FILES,
    KERAS_SUFFIXES,
    MODEL_SUFFIXES,
    PICTURE_SUFFIXES,
    REFUSED,
    Kind,
    Row,
)
from twinlens.models.identify.signatures import Start

__all__ = [
    "EXPORT",
    "FILES",
    "PICTURE_SUFFIXES",
    "Glance",
    "Kind",
    "Row",
    "document",
    "glance",
    "is_picture",
]

_MOST_NAMES = 20_000


@dataclass(frozen=True)
class Glance:
    """What a path is at first sight.

    Attributes:
        path: the file or folder that is meant: of a folder with one model in it, that model.
        kind: what it is.
        row: the row of the table; None where none fits.
        reason: why it is nothing; empty where it is something.
        hint: what helps then; empty where nothing in particular does.
        pictures: how many a folder of pictures has.
        folder: the folder that was looked into, where ``path`` lies in it.
    """

    path: Path
    kind: Kind
    row: Row | None = None
    reason: str = ""
    hint: str = ""
    pictures: int = 0
    folder: Path | None = None

    @property
    def format(self) -> str:
        """Name of the format, for display; empty where it is not known."""
        return self.row.format if self.row is not None else ""


def glance(path: Path) -> Glance:
    """Tell what a path is, without reading it; never raises for what is at the path."""
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except ModelFileError as error:  # a damaged archive, or one that is too large
        return _nothing(path, error.message.replace(str(path), path.name), error.hint)
    except OSError as error:
        reason = f"{path.name} cannot be read ({error.strerror or error})"
        return _nothing(path, reason, "Check its rights, or choose another one.")


def document(path: Path) -> Document:
    """Open a model file or package of any format by its content; nothing is parsed yet.

    Raises:
        ModelFileError: it is of a kind that is known, but no model file; says what helps.
    """
    if path.is_dir():
        if _is_package(path):
            return Document(path, CORE_ML)
        raise ModelFileError(
            f"{path}: is a folder, expected a model file or a Core ML package",
            hint="A package has a Manifest.json.",
        )
    try:
        row = _row_of(Start(path)) if path.is_file() else None
    except OSError as why:
        raise ModelFileError(f"{path} cannot be read: {why.strerror or why}") from why
    if row is not None and row.model is not None:
        return Document(path, row.model)
    if row is not None and row.refusal:
        raise ModelFileError(f"{path}{row.refusal}", hint=row.hint)
    # What is nothing known counts as ONNX, whose reader says what is wrong with it.
    return Document(path, ONNX)


def is_picture(path: Path) -> bool:
    """Whether a file starts as a picture does; False where it cannot be read."""
    try:
        return signs.is_picture(Start(path)) if path.is_file() else False
    except OSError:
        return False


def _row_of(start: Start) -> Row | None:
    return next((row for row in FILES if row.fits(start)), None)


def _of_file(path: Path) -> Glance:
    if not path.is_file():
        return _nothing(path, f"{path.name} is not there")
    start = Start(path)
    if not start.head:
        return _nothing(path, f"{path.name} is empty", "Fetch it again.")
    row = _row_of(start)
    if row is None:
        return _nothing(path, f"{path.name} is nothing that Twinlens takes")
    if row.format == "zip" and _holds_export(path):
        return Glance(path, Kind.MODEL, EXPORT)
    if row.kind is Kind.NOTHING:
        return _nothing(path, f"{path.name}{row.refusal}", row.hint, row)
    return Glance(path, row.kind, row)


def _of_folder(path: Path, depth: int = 0) -> Glance:
    if _is_package(path):
        return Glance(path, Kind.MODEL, CORE_ML_PACKAGE)
    if (path / "coremldata.bin").is_file():
        return _nothing(path, f"{path.name}{COMPILED_REFUSAL}", COMPILED_HINT, COMPILED)
    names = list(islice(_names(path), _MOST_NAMES))
    suffixes = [name.suffix.lower() for name in names]
    models = [n for n, s in zip(names, suffixes, strict=True) if _is_named_model(n, s)]
    if len(models) > 1:
        models = _plainest(models)
    export = None if models else _of_export(path, names)
    if export is not None:
        return export
    refused = None if models else _refused_in(path, names)
    if refused is not None:
        return refused
    if any(suffix in RAW_SUFFIXES for suffix in suffixes):
        return Glance(path, Kind.PARAMETERS)
    if len(models) == 1:
        inner = glance(models[0])
        return Glance(models[0], Kind.MODEL, inner.row, folder=path)
    if not models and _has_parameters(path):
        return Glance(path, Kind.PARAMETERS)
    if models:
        return _nothing(
            path, f"{path.name} has {len(models)} models", f"Drop one of them: {_few(models)}."
        )
    pictures = sum(suffix in PICTURE_SUFFIXES for suffix in suffixes)
    if pictures:
        return Glance(path, Kind.PICTURES, pictures=pictures)
    below = _in_folders(path, names, depth)
    if below is not None:
        return below
    return _nothing(path, f"{path.name} is a folder without a model, parameters or pictures")


_MOST_LOOKED_AT, _MOST_FOLDERS, _DEEPEST = 50, 20, 2


def _refused_in(path: Path, names: list[Path]) -> Glance | None:
    """What a folder holds in place of a model; None where there is something that is read."""
    likely = [n for n in names if n.suffix.lower() in BESIDE or n.name == "checkpoint"]
    found: Glance | None = None
    for name in sorted(likely)[:_MOST_LOOKED_AT]:
        if not name.is_file():
            continue
        seen = _of_file(name)
        if seen.kind in (Kind.MODEL, Kind.PARAMETERS):
            return None
        if seen.row is not None and seen.row in REFUSED and found is None:
            reason = f"{path.name}: {seen.reason}"
            found = _nothing(path, reason, seen.hint, seen.row)
    return found


def _in_folders(path: Path, names: list[Path], depth: int) -> Glance | None:
    """The one model in the folders inside, or what is there in place of one."""
    if depth >= _DEEPEST:
        return None
    folders = [name for name in sorted(names)[:_MOST_NAMES] if name.is_dir()][:_MOST_FOLDERS]
    seen = [_of_folder(folder, depth + 1) for folder in folders]
    models = [one for one in seen if one.kind is Kind.MODEL]
    if len(models) == 1:
        return models[0]
    if models:
        listed = _few([one.path for one in models])
        many = f"{path.name} has models in {len(models)} folders"
        return _nothing(path, many, f"Drop one of them: {listed}.")
    return next((one for one in seen if one.row is not None and one.reason), None)


# What exporters append to the name of the same network in another precision.
_VARIANTS = re.compile(
    r"[-_.](quantized|quant|fp16|float16|fp32|float32|int8|uint8|q4|q4f16|q8|bnb4|dynamic|full|"
    r"integer|range|unquant|optimized|simplified|io)(?=$|[-_.])",
    re.I,
)
_PLAIN = re.compile(r"[-_.](fp32|float32|unquant)$", re.I)


def _plainest(models: list[Path]) -> list[Path]:
    """Of several forms of one network the plain one; all where they are not of one network."""
    stems = {_VARIANTS.sub("", path.stem) or "model" for path in models}
    if len(stems) != 1:
        return models
    plain = [path for path in models if path.stem in stems]
    plain = plain or [path for path in models if _PLAIN.search(path.stem)]
    if len(plain) > 1:  # the same in several formats: ONNX is read by ONNX Runtime itself
        plain = [path for path in plain if path.suffix.lower() == ".onnx"] or plain[:1]
    return plain[:1] or models


def _of_export(path: Path, names: list[Path]) -> Glance | None:
    """What the folder of an export is that has its model in a folder inside, or none we read."""
    inner = [
        name
        for name in names
        if name.name.lower() in INNER_FOLDERS or name.name.lower().endswith(_INNER_ENDS)
    ]
    seen = [glance(folder) for folder in inner if folder.is_dir()]
    for found in seen:
        if found.kind is Kind.MODEL:
            return found
    for name in ("saved_model.pb", "model.json"):
        if path / name in names:
            refused = _of_file(path / name)
            if refused.row is not None and refused.row.refusal:
                return _nothing(
                    path, f"{path.name}{refused.row.refusal}", refused.hint, refused.row
                )
    return next((found for found in seen if found.row is not None and found.reason), None)


_INNER_ENDS = (".savedmodel", ".mlpackage", "_saved_model", ".mlmodelc")


def _is_named_model(path: Path, suffix: str) -> bool:
    """Whether a file in a folder is called a model, and is one where its name is not enough."""
    if suffix in MODEL_SUFFIXES:
        return True
    return suffix in KERAS_SUFFIXES and path.is_file() and signs.has_architecture(path)


def _holds_export(path: Path) -> bool:
    from twinlens.models.identify.exported import holds_export  # late: few files are zips

    return holds_export(path)


def _has_parameters(folder: Path) -> bool:
    from twinlens.engine.params.open import file_in_folder  # late: brings all readers

    return file_in_folder(folder) is not None


def _is_package(path: Path) -> bool:
    return (path / "Manifest.json").is_file()


def _names(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _few(paths: list[Path]) -> str:
    shown = ", ".join(sorted(path.name for path in paths)[:3])
    return shown if len(paths) <= 3 else f"{shown} …"


def _nothing(path: Path, reason: str, hint: str = "", row: Row | None = None) -> Glance:
    return Glance(path, Kind.NOTHING, row, reason, hint)
