"""Core ML files and packages: found, parsed and checked before anything is built of them.

A package (``.mlpackage``) is a folder with a ``Manifest.json`` that names the model's file among
its items, and a folder of weights beside that file; coremltools' ``modelpackage`` writes it so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.coreml.schema import message
from twinlens.engine.formats.described import no_picture
from twinlens.engine.formats.tflite.file import file_bytes

MAX_BYTES = 2 << 30
MAX_NODES = 50_000
_MAX_MANIFEST = 1 << 20
_PIPELINE = (
    "Create ML's go through Apple's own feature extractor, which is part of Apple's systems, so "
    "that they run nowhere else; train a network of its own on the same pictures, and export that."
)
_NETWORKS = ("neuralNetworkClassifier", "neuralNetwork", "mlProgram")

COLORS = {10: "GRAY", 20: "RGB", 30: "BGR", 40: "GRAY"}
"""Names of the specification's colour spaces."""


@dataclass(frozen=True)
class CoreMLFile:
    """A parsed file.

    Attributes:
        path: the file or the package.
        title: what errors call it.
        model: the ``Model`` message.
        kind: ``"neuralNetworkClassifier"``, ``"neuralNetwork"`` or ``"mlProgram"``.
        folder: the folder that weights of an ML Program lie in, below the model's own; None for
            a single file.
    """

    path: Path
    title: str
    model: Any
    kind: str
    folder: Path | None

    @property
    def network(self) -> Any:
        """The network's message: ``Network`` or ``Program``."""
        return getattr(self.model, self.kind)

    @property
    def input(self) -> Any:
        """The only input's description."""
        return self.model.description.input[0]


def read_coreml(path: Path) -> CoreMLFile:
    """Read a ``.mlmodel`` file or a ``.mlpackage`` folder.

    Raises:
        ModelFileError: missing, too large, damaged, or without one picture in; or a package
            whose files lie outside it.
        UnsupportedOperatorError: another kind of model than a neural network.
    """
    if path.is_dir():
        inner = _model_of(path)
        return parse_coreml(file_bytes(inner, MAX_BYTES), path, inner.parent)
    return parse_coreml(file_bytes(path, MAX_BYTES), path, None)


def parse_coreml(data: bytes, path: Path, folder: Path | None) -> CoreMLFile:
    """Read the contents of a ``.mlmodel`` file; raises as ``read_coreml``."""
    from google.protobuf.message import DecodeError

    model = message("Model")()
    try:
        model.ParseFromString(data)
    except DecodeError as why:
        raise ModelFileError(
            f"{path} is truncated or not a Core ML model",
            hint="The file is damaged or incomplete; fetch it again.",
        ) from why
    kinds = [field.name for field, _ in model.ListFields() if field.number >= 200]
    kind = next((name for name in _NETWORKS if name in kinds), None)
    if kind is None:
        raise UnsupportedOperatorError(
            f"{path.name}: is a Core ML model of kind {', '.join(kinds) or 'none'}; neural "
            "network classifiers and ML Programs are read",
            hint=_PIPELINE if any(name.startswith("pipeline") for name in kinds) else "",
        )
    if len(model.description.input) != 1:
        raise ModelFileError(
            f"{path.name}: takes {len(model.description.input)} inputs, expected one picture"
        )
    return CoreMLFile(path, path.name, model, kind, folder)


def input_shape(file: CoreMLFile) -> tuple[int, int, int, int]:
    """(1, C, H, W) of the input, image or array.

    Raises:
        ModelFileError: it is neither a picture nor an array of three axes.
    """
    kind = file.input.type
    if kind.HasField("image"):
        channels = 1 if COLORS.get(kind.image.colorSpace) == "GRAY" else 3
        shape = [1, channels, kind.image.height, kind.image.width]
    else:
        shape = [int(size) for size in kind.array.shape]
        shape = [1] * (4 - len(shape)) + shape if len(shape) == 3 else shape
    if len(shape) != 4 or shape[0] != 1 or not all(0 < size <= 1 << 16 for size in shape):
        raise ModelFileError(f"{file.title}: {no_picture(file.input.name, shape)}")
    return shape[0], shape[1], shape[2], shape[3]


def _model_of(package: Path) -> Path:
    """The model's file of a package, by its manifest."""
    manifest = package / "Manifest.json"
    try:
        listed = json.loads(file_bytes(manifest, _MAX_MANIFEST))
        root = listed["itemInfoEntries"][listed["rootModelIdentifier"]]["path"]
        where = package / "Data" / root
    except (ValueError, KeyError, TypeError, RecursionError) as why:
        raise ModelFileError(f"{manifest}: does not name the package's model ({why!r})") from why
    return inside(package, where)


def inside(package: Path, path: Path) -> Path:
    """A file of a package, after checking that it lies inside, links followed.

    Raises:
        ModelFileError: it lies outside, or does not exist.
    """
    try:
        found = path.resolve()
        within = found.is_relative_to(package.resolve()) and found.is_file()
    except (OSError, ValueError, RuntimeError) as why:
        raise ModelFileError(f"{package}: names a file that cannot be read: {why}") from why
    if not within:
        raise ModelFileError(
            f"{package}: names {str(path)!r}, which is not a file inside it",
            hint="Data are read only from the folder of the model.",
        )
    return found
