"""Keras files: the description of the model as plain values, and where its arrays lie.

``.h5`` and ``.hdf5`` (Keras 2, and 3's old way) keep the description as an attribute, ``.keras``
is a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``. Only these members are
read; nothing is unpacked to disk, and nothing that the file holds is run.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.hdf5 import SIGNATURE, check_reader, is_readable, opened

MAX_BYTES = 2 << 30
"""Most that a file, or its weights unpacked, may hold."""

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

_MAX_TEXT = 64 << 20
_MAX_DEPTH = 200
_ENCRYPTED = 1
_MAX_MEMBERS = 10_000
# Trained weights hardly shrink; what unpacks to more than this many times its size is no model.
_MOST_EXPANSION, _SMALL = 100, 64 << 20
_PACKED = (BadZipFile, zlib.error, EOFError, KeyError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class KerasFile:
    """A Keras model as its file has it.

    Attributes:
        path: the file.
        title: what errors call it.
        model: the outermost ``{"class_name": ..., "config": ...}``.
        version: Keras' version as text, "" where the file does not say.
        weights: an HDF5 file, or the contents of one.
        numbered: whether variables have numbers (``.keras``), not names.
    """

    path: Path
    title: str
    model: Mapping[str, Any]
    version: str
    weights: Path | bytes
    numbered: bool

    @property
    def size(self) -> int:
        """Bytes of the weights' HDF5 file."""
        source = self.weights
        return len(source) if isinstance(source, bytes) else source.stat().st_size


def read_keras(path: str | Path) -> KerasFile:
    """Read a Keras file's description, and unpack the weights of a ``.keras`` file.

    Args:
        path: ``.h5``, ``.hdf5`` or ``.keras``, told apart by content.

    Raises:
        ModelFileError: missing, too large, damaged, or weights without a model.
        EngineUnavailableError: pyfive, which reads HDF5, is not installed.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(len(SIGNATURE))
    except OSError as why:
        raise ModelFileError(f"{path} cannot be read: {why.strerror or why}") from why
    if size > MAX_BYTES:
        raise ModelFileError(f"{path}: has {size:,} bytes, at most {MAX_BYTES:,} are read")
    return _of_zip(path) if head[:2] == b"PK" else _of_hdf5(path)


def has_architecture(path: Path) -> bool:
    """Whether a file holds a Keras model, not only weights; False where it cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(len(SIGNATURE))
        if head[:2] == b"PK":
            with ZipFile(path) as archive:
                return {CONFIG, WEIGHTS} <= set(archive.namelist())
        if head != SIGNATURE or not is_readable():
            return False
        with opened(path, f"{path}: cannot be read as HDF5") as file:
            return "model_config" in file.attrs
    except (*_PACKED, ModelFileError):
        return False


def _of_hdf5(path: Path) -> KerasFile:
    check_reader(path)
    with opened(path, f"{path}: cannot be read as HDF5") as file:
        text = file.attrs.get("model_config")
        version = file.attrs.get("keras_version")
        if version is None and "model_weights" in file:
            version = file["model_weights"].attrs.get("keras_version")
    if not isinstance(text, (str, bytes)):
        raise ModelFileError(
            f"{path}: holds parameters, but no network",
            hint="It was saved with save_weights(). Save the whole model: model.save('net.keras').",
        )
    model = _parsed(text, f"{path}: model_config")
    return KerasFile(path, path.name, model, _text(version), path, numbered=False)


def _of_zip(path: Path) -> KerasFile:
    try:
        with ZipFile(path) as archive:
            members = _members(path, archive)
            model = _parsed(_unpacked(path, archive, members[CONFIG], _MAX_TEXT), f"{path}: config")
            about: Mapping[str, Any] = {}
            if METADATA in members:
                text = _unpacked(path, archive, members[METADATA], _MAX_TEXT)
                about = _parsed(text, f"{path}: metadata")
            check_reader(path)
            weights = _unpacked(path, archive, members[WEIGHTS], MAX_BYTES)
    except _PACKED as why:
        raise ModelFileError(
            f"{path}: cannot be read as a Keras archive ({why})",
            hint="The file is damaged or incomplete; fetch it again.",
        ) from why
    return KerasFile(path, path.name, model, _text(about.get("keras_version")), weights, True)


def _members(path: Path, archive: ZipFile) -> dict[str, ZipInfo]:
    """The archive's members that matter, by name."""
    listed = archive.infolist()
    if len(listed) > _MAX_MEMBERS:
        raise ModelFileError(f"{path}: has {len(listed):,} members, at most {_MAX_MEMBERS:,}")
    found: dict[str, ZipInfo] = {}
    for member in listed:
        if member.filename not in (CONFIG, METADATA, WEIGHTS):
            continue
        if member.filename in found:
            raise ModelFileError(f"{path}: has two members named {member.filename}")
        found[member.filename] = member
    missing = [name for name in (CONFIG, WEIGHTS) if name not in found]
    if missing:
        raise ModelFileError(
            f"{path}: has no {' and no '.join(missing)}, which a Keras archive has",
            hint="Save the model into one file: model.save('net.keras').",
        )
    return found


def _unpacked(path: Path, archive: ZipFile, member: ZipInfo, most: int) -> bytes:
    """A member's contents, after its size has been looked at."""
    size, name = member.file_size, member.filename
    if member.flag_bits & _ENCRYPTED:
        raise ModelFileError(f"{path}: {name} is encrypted", hint="Save it without a password.")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ModelFileError(f"{path}: {name} is packed by method {member.compress_type}")
    if size > most or (size > _SMALL and size > _MOST_EXPANSION * max(1, member.compress_size)):
        raise ModelFileError(
            f"{path}: {name} would unpack to {size:,} bytes from {member.compress_size:,}; a file "
            "that asks for so much is not read"
        )
    with archive.open(member) as stream:
        data = stream.read(size + 1)
    if len(data) != size:
        raise ModelFileError(f"{path}: {name} has {len(data):,} bytes, its header says {size:,}")
    return data


def _parsed(text: str | bytes, what: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelFileError: too long, too deep, or something else.
    """
    if len(text) > _MAX_TEXT:
        raise ModelFileError(f"{what} has {len(text):,} characters, at most {_MAX_TEXT:,} are read")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as why:
        raise ModelFileError(f"{what} cannot be read as JSON ({why})") from why
    if not isinstance(value, dict):
        raise ModelFileError(f"{what} is {type(value).__name__}, expected an object")
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ModelFileError(f"{what} is nested more than {_MAX_DEPTH} deep")
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [value for items in inner for value in items if isinstance(value, (dict, list))]
    return value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
