"""What a path is, by its content: one table of kinds and formats, a row each.

``glance`` is cheap enough for every move of a pointer: names in a folder and a file's first bytes
are looked at, and of a protobuf the keys of its outermost fields. The same row says how the thing
is read, where it is a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats import CORE_ML, KERAS, ONNX, TFLITE, Document, ModelFormat
from twinlens.engine.params.raw import SUFFIXES as RAW_SUFFIXES
from twinlens.models.identify import signatures as signs
from twinlens.models.identify.exports import INNER_FOLDERS
from twinlens.models.identify.signatures import Start


class Kind(Enum):
    """What a path can be."""

    MODEL = "model"
    PARAMETERS = "parameters"
    PICTURE = "picture"
    VIDEO = "video"
    PICTURES = "folder of pictures"
    LABELS = "labels"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Row:
    """A kind of file and how it is told.

    Attributes:
        kind: what it is.
        format: its name, for display; empty where it is not known.
        fits: whether a file is of this kind.
        model: how it is read, where it is a model.
        refusal: why it is no model file, behind the file's name; empty where it is one.
        hint: what helps then.
    """

    kind: Kind
    format: str
    fits: Callable[[Start], bool]
    model: ModelFormat | None = None
    refusal: str = ""
    hint: str = ""


MODEL_SUFFIXES = (".onnx", ".tflite", ".lite", ".mlmodel", ".mlpackage")
# Keras' endings do not say whether a file has a network or only parameters.
_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_LABEL_SUFFIXES = (".txt", ".names", ".labels", ".csv", ".tsv", "")
_EXPORT = (
    "torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'model.onnx', dynamo=True)."
)
_PICKLE_HINT = (
    "To open a pickle is to run what its author wrote into it, so it is not opened. In Python, "
    "where you trust the file, save arrays as safetensors (safetensors.numpy.save_file), or export "
    f"the network: {_EXPORT}"
)

_SAVED_MODEL_HINT = (
    "Convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx "
    "(pip install tf2onnx tensorflow)."
)

# The first row that fits counts. Pictures come first because nothing else starts like them; what
# is only a name comes last.
FILES: tuple[Row, ...] = (
    Row(
        Kind.NOTHING,
        "Git LFS pointer",
        signs.is_lfs_pointer,
        refusal=" is a Git LFS pointer, not the file itself",
        hint="Fetch the file: run `git lfs pull` in its folder.",
    ),
    Row(
        Kind.NOTHING,
        "ORT",
        signs.is_ort,
        refusal=": is in ONNX Runtime's own format (.ort), which only the runtime that made it "
        "reads",
        hint="Use the .onnx file that it was made from.",
    ),
    Row(
        Kind.NOTHING,
        "TensorFlow.js",
        signs.is_tfjs,
        refusal=": is a TensorFlow.js model, which is not read",
        hint="Convert it: tensorflowjs_converter --input_format=tfjs_layers_model "
        "--output_format=keras model.json model.h5 (pip install tensorflowjs); in Teachable "
        "Machine export it as TensorFlow Lite or Keras.",
    ),
    Row(Kind.PICTURE, "picture", signs.is_picture),
    Row(Kind.VIDEO, "video", signs.is_video),
    Row(Kind.MODEL, TFLITE.title, signs.is_tflite, TFLITE),
    # Before HDF5 and zip, which it is as well.
    Row(
        Kind.MODEL,
        KERAS.title,
        signs.is_keras,
        KERAS,
    ),
    Row(
        Kind.PARAMETERS,
        "HDF5",
        signs.is_hdf5,
        refusal=": is an HDF5 file, which holds parameters, not a network that we can read",
        hint="Save all of the Keras model, model.save('net.keras'), or export it: "
        "model.export('model.onnx', format='onnx').",
    ),
    # Before pickles: a header of 640 bytes makes safetensors start as they do.
    Row(
        Kind.PARAMETERS,
        "safetensors",
        signs.is_safetensors,
        refusal=": is a safetensors file, which holds parameters, but no network",
        hint="Give the network as ONNX, TensorFlow Lite or Core ML.",
    ),
    Row(
        Kind.PARAMETERS,
        "PyTorch",
        signs.is_pytorch,
        refusal=": is a PyTorch file, which holds parameters, but no network that we can read",
        hint=f"In Python, export the network: {_EXPORT}",
    ),
    Row(
        Kind.PARAMETERS,
        "npz",
        signs.is_npz,
        refusal=": is a zip archive with arrays, which are parameters, but no network",
        hint="Give the network as ONNX, TensorFlow Lite or Core ML.",
    ),
    Row(
        Kind.NOTHING,
        "pickle",
        signs.is_pickle,
        refusal=": is a Python pickle, and no PyTorch file that torch.save wrote, expected ONNX",
        hint=_PICKLE_HINT,
    ),
    Row(
        Kind.NOTHING,
        "zip",
        signs.is_zip,
        refusal=": is a zip archive, expected a model file",
        hint="Unpack it, and open what is inside.",
    ),
    Row(
        Kind.LABELS,
        "text",
        lambda start: start.suffix in _LABEL_SUFFIXES and signs.is_text(start),
    ),
    Row(
        Kind.NOTHING,
        "Core ML pipeline",
        signs.is_core_ml_pipeline,
        refusal=": is a Core ML pipeline; Create ML's go through Apple's own feature extractor, "
        "which is part of Apple's systems, not of the file, so that it runs nowhere else",
        hint="Train a network of its own on the same pictures (Keras, PyTorch), and export that: "
        f"{_EXPORT}",
    ),
    Row(Kind.MODEL, CORE_ML.title, signs.is_core_ml, CORE_ML),
    Row(Kind.MODEL, ONNX.title, signs.is_onnx, ONNX),
    Row(
        Kind.NOTHING,
        "TensorFlow",
        lambda start: start.path.name == "saved_model.pb" and signs.is_tensorflow(start),
        refusal=": is a TensorFlow SavedModel, which is not read",
        hint=_SAVED_MODEL_HINT,
    ),
    Row(
        Kind.NOTHING,
        "TensorFlow",
        signs.is_tensorflow,
        refusal=": is a frozen TensorFlow graph, which is not read",
        hint="Convert it: python -m tf2onnx.convert --graphdef FILE.pb --inputs input:0 "
        "--outputs output:0 --output model.onnx (pip install tf2onnx tensorflow).",
    ),
    # What is called a model is left to a reader, which says what is wrong with it.
    Row(Kind.MODEL, "", lambda start: start.suffix in MODEL_SUFFIXES, ONNX),
    Row(
        Kind.NOTHING,
        "tensor",
        lambda start: start.suffix in RAW_SUFFIXES,
        refusal=" is one tensor",
        hint="Drop the folder with all of them.",
    ),
    Row(
        Kind.NOTHING,
        "HEIF",
        signs.is_heif,
        refusal=" is a HEIF or AVIF picture",
        hint="Save it as JPEG or PNG.",
    ),
)
EXPORT = Row(Kind.MODEL, "zip archive of an export", lambda start: False)
"""An archive with a model among its members; what it is, its members say."""
CORE_ML_PACKAGE = Row(Kind.MODEL, "Core ML package", lambda start: False, CORE_ML)

PICTURE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"])
"""Endings of pictures, by which a folder's are told; each is known by its content when read."""

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
        return _nothing(path, f"{path.name} is empty")
    row = _row_of(start)
    if row is None:
        return _nothing(path, f"{path.name} is nothing that Twinlens takes")
    if row.format == "zip" and _holds_export(path):
        return Glance(path, Kind.MODEL, EXPORT)
    if row.kind is Kind.NOTHING:
        return _nothing(path, f"{path.name}{row.refusal}", row.hint, row)
    return Glance(path, row.kind, row)


def _of_folder(path: Path) -> Glance:
    if _is_package(path):
        return Glance(path, Kind.MODEL, CORE_ML_PACKAGE)
    names = list(islice(_names(path), _MOST_NAMES))
    suffixes = [name.suffix.lower() for name in names]
    models = [n for n, s in zip(names, suffixes, strict=True) if _is_named_model(n, s)]
    if len(models) > 1:
        models = _plainest(models)
    export = None if models else _of_export(path, names)
    if export is not None:
        return export
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
    return _nothing(path, f"{path.name} has no model, parameters or pictures in it")


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


_INNER_ENDS = (".savedmodel", ".mlpackage", "_saved_model")


def _is_named_model(path: Path, suffix: str) -> bool:
    """Whether a file in a folder is called a model, and is one where its name is not enough."""
    if suffix in MODEL_SUFFIXES:
        return True
    return suffix in _KERAS_SUFFIXES and path.is_file() and signs.has_architecture(path)


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
