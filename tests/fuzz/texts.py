"""What a fuzzer feeds to readers of texts: labels, recipes, what exports bring, Python, JSON.

These read in memory, so that many more are tried a second than of whole files. What stands beside a
model without having been written for it must not block the model, so those readers may not even
raise one of our errors.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from twinlens.engine.errors import LabelError, ModelError, TwinlensError
from twinlens.engine.formats.answer.answers import UNKNOWN
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.formats.keras.describe import describe_keras
from twinlens.engine.formats.keras.file import KerasFile, _parsed
from twinlens.engine.formats.keras.importer import outline
from twinlens.engine.formats.python import read_text
from twinlens.models.identify.embedded import settings_in
from twinlens.models.identify.exports import BESIDE, Export
from twinlens.models.identify.facts import Subject
from twinlens.models.identify.labels import find_labels
from twinlens.models.identify.layouts import MAX_NAMES, names_in, text_of
from twinlens.models.identify.recipes import recipe_of_file, recipe_of_network
from twinlens.models.identify.sidecar import read_values, write_values

_SHAPES = ((1, 3, 16, 24), (1, 1, 16, 16), (None, 16, 24, 4), (1, 3, None, None))
_OUTPUTS = 3


def labels(data: bytes, folder: Path) -> None:
    """A label file of any layout, of text in any encoding."""
    del folder
    try:
        names = names_in(data)
    except ValueError:
        return
    _check_names(names)


def sidecar(data: bytes, folder: Path) -> None:
    """``NAME.toml``: read, used, and kept again."""
    path = folder / "net.toml"
    path.write_bytes(data)
    try:
        values = read_values(path)
    except ModelError:
        return
    for shape in _SHAPES:
        with suppress(ModelError):
            file = _file(shape)
            recipe = recipe_of_file(_subject(file, beside=values), file).recipe
            recipe_of_network(_subject(file, beside=values), recipe, certain=True)
            find_labels(_subject(file, beside=values))
    # What is chosen later is written beside what stands there.
    with suppress(ModelError):
        write_values(path, values)
        if read_values(path) != values:
            raise ValueError(f"{values} came back as {read_values(path)}")


def export(data: bytes, folder: Path) -> None:
    """A file that an exporter leaves beside a model: a byte says which, the rest is its text."""
    del folder
    if not data:
        return
    name = tuple(BESIDE)[data[0] % len(BESIDE)]
    try:
        text = text_of(data[1:])
    except ValueError:
        return
    found = BESIDE[name][1](text)
    if found is None:
        return
    recipe, names = found
    _check_names(names)
    for shape in _SHAPES:
        file = _file(shape)
        subject = _subject(file, exported=(Export("tool", name, recipe, names),))
        recipe_of_file(subject, file)
        if find_labels(subject).problem is not None:
            raise ValueError(f"{name} blocks the model")


def metadata(data: bytes, folder: Path) -> None:
    """Key-value pairs inside a model, as JSON; only what we write ourselves may be refused."""
    del folder
    try:
        values = json.loads(text_of(data))
    except (ValueError, RecursionError):
        return
    if not isinstance(values, dict):
        return
    pairs = {str(key): str(value) for key, value in values.items()}
    ours = any(key.startswith("twinlens.") for key in pairs)
    for shape in _SHAPES:
        file = replace(_file(shape), metadata=pairs)
        try:
            settings_in(file)
            recipe_of_file(_subject(file), file)
        except ModelError:
            if not ours:
                raise
        if find_labels(_subject(file)).problem is not None:
            raise ValueError("metadata block the model")


def python_module(data: bytes, folder: Path) -> None:
    """A module as ``twinlens convert`` writes it, read as data."""
    del folder
    with suppress(TwinlensError, UnicodeDecodeError):
        read_text(data.decode("utf-8"), "net.py")(_ARRAYS)


def keras_json(data: bytes, folder: Path) -> None:
    """The description of a Keras model alone, without a file around it."""
    path = folder / "net.keras"
    with suppress(TwinlensError):
        model = _parsed(data, "net.keras: config")
        for version in ("2.15.0", "3.9.0"):
            file = KerasFile(path, path.name, model, version, b"", numbered=version[0] == "3")
            for ask in (describe_keras, _outline):
                with suppress(TwinlensError):
                    ask(file)


_ARRAYS = {
    "a_weight": np.ones((2, 3, 1, 1), np.float32),
    "a_bias": np.ones(2, np.float32),
    "b_weight": np.ones((4, 2), np.float32),
    "b_bias": np.ones(4, np.float32),
}
"""What a module's network may be made of."""

TEXTS = {
    "labels": labels,
    "sidecar": sidecar,
    "export": export,
    "metadata": metadata,
    "python_module": python_module,
    "keras_json": keras_json,
}


def _outline(file: KerasFile) -> None:
    outline(file, open_sizes=(1, 3, 16, 16))


def _file(shape: tuple[int | None, ...]) -> ModelFile:
    return ModelFile(Path("net.onnx"), shape, _OUTPUTS, UNKNOWN, {})


def _subject(file: ModelFile, **more: object) -> Subject:
    return Subject(file.path, outputs=_OUTPUTS, described=file, look_beside=False, **more)  # type: ignore[arg-type]


def _check_names(names: object) -> None:
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise LabelError(f"names are {names!r:.200}")
    if len(names) > MAX_NAMES:
        raise LabelError(f"{len(names):,} names")
