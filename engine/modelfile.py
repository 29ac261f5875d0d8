"""What a model file says about itself: input, output, recipe and labels.

For a bare file the recipe is taken, in this order, from ``NAME.toml`` beside the file, from the
file itself (ONNX: metadata key ``twinlens.recipe``, JSON; TensorFlow Lite: its metadata or the
input's quantisation; Core ML: its preprocessing), or from conventions; labels from a label file
that is named, from ``NAME.labels.txt`` or ``labels.txt`` beside it, or from the file (ONNX:
metadata key ``labels`` or ``classes``, a JSON list or lines). What had to be assumed is said in
the notes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twinlens.engine.errors import LabelError, ModelError
from twinlens.engine.formats.describe import describe
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.image import Recipe
from twinlens.engine.protocol import ModelSpec, OutputKind

_MAX_LABEL_BYTES = 4 << 20
_IMAGENET = 1000

_TFLITE = "TensorFlow Lite"
# TensorFlow's ImageNet classifiers have a background class in front and take [-1, 1].
_TENSORFLOW = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "std": (1.0, 1.0, 1.0)}


def inspect(path: Path) -> ModelFile:
    """Read what a model file declares, without its weights being interpreted.

    Args:
        path: ONNX, TensorFlow Lite or Core ML, told apart by content.

    Raises:
        ModelFileError: missing, too large, no model, damaged, or without one picture in and one
            classification out.
        LabelError: it has labels that cannot be read.
    """
    return describe(path)


def spec_of(
    path: Path,
    *,
    labels: Path | None = None,
    imagenet_labels: Callable[[], tuple[str, ...]] | None = None,
) -> ModelSpec:
    """Make a model of a bare file of any format.

    Args:
        path: the file.
        labels: label file that overrides all others.
        imagenet_labels: gives the names of ImageNet's classes, for files with 1000 or 1001
            outputs that bring no labels.

    Raises:
        ModelFileError: the file is not a classifier that we can feed.
        LabelError: labels are missing, or their number is not that of the outputs.
        ModelError: the recipe beside the file is wrong; says where.
    """
    file = inspect(path)
    sidecar = read_sidecar(path)
    notes: list[str] = []
    said = _own_settings(file)
    background = int(sidecar.get("background_outputs", said.get("background_outputs", -1)))
    if background < 0:
        background = int(file.output_width == _IMAGENET + 1)
    output: OutputKind = "probabilities" if file.ends_in_softmax else "logits"
    names = _labels(file, labels, background, imagenet_labels, notes)
    recipe = _recipe(file, sidecar, background, notes)
    return ModelSpec(
        id=path.stem,
        title=str(sidecar.get("title") or said.get("title") or path.stem),
        path=path,
        recipe=recipe,
        labels=names,
        background_outputs=background,
        output=sidecar.get("output", said.get("output", output)),
        notes=tuple(notes),
    )


def metadata_of(model: ModelSpec) -> dict[str, str]:
    """What a model is told to be, as text that a file can carry; ``spec_of`` reads it back."""
    settings = {
        "title": model.title,
        "background_outputs": model.background_outputs,
        "output": model.output,
    }
    return {
        "twinlens.recipe": json.dumps(model.recipe.to_dict()),
        "twinlens.model": json.dumps(settings),
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
    }


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file: one name a line, UTF-8, class 0 first; empty lines at the end go.

    Raises:
        LabelError: it cannot be read or is empty.
    """
    try:
        if path.stat().st_size > _MAX_LABEL_BYTES:
            raise LabelError(f"{path}: too large for a label file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: cannot be read as a label file ({error})") from error
    lines = tuple(line.strip() for line in text.rstrip().splitlines())
    if not lines:
        raise LabelError(f"{path}: has no labels")
    return lines


def _own_settings(file: ModelFile) -> dict[str, Any]:
    """Title, background and kind of output that ``metadata_of`` wrote into the file."""
    text = file.metadata.get("twinlens.model")
    if not text:
        return {}
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"{file.path}: its settings cannot be read ({error})") from error
    for key in ("title", "background_outputs", "output"):
        if isinstance(values, dict) and key in values and not _SIDECAR[key](values[key]):
            raise ModelError(f"{file.path}: its {key} is {values[key]!r}, which is not allowed")
    return values if isinstance(values, dict) else {}


def read_sidecar(path: Path) -> dict[str, Any]:
    """What stands in ``NAME.toml`` beside a model; empty where there is no such file.

    Raises:
        ModelError: it cannot be read, or says what is not known or not allowed; names it.
    """
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        return {}
    try:
        values = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{beside}: cannot be read as a recipe ({error})") from error
    for key, fits in _SIDECAR.items():
        if key in values and not fits(values[key]):
            raise ModelError(f"{beside}: {key} is {values[key]!r}, which is not allowed there")
    if unknown := sorted(set(values) - set(_SIDECAR)):
        raise ModelError(f"{beside}: unknown {', '.join(unknown)}; known are {', '.join(_SIDECAR)}")
    return values


# What may stand beside a model, and what it may be.
_SIDECAR: dict[str, Callable[[Any], bool]] = {
    "title": lambda value: isinstance(value, str),
    "background_outputs": lambda value: type(value) is int and 0 <= value <= 1,
    "output": lambda value: value in ("probabilities", "logits"),
    "recipe": lambda value: isinstance(value, dict),
}


def _labels(
    file: ModelFile,
    given: Path | None,
    background: int,
    imagenet_labels: Callable[[], tuple[str, ...]] | None,
    notes: list[str],
) -> tuple[str, ...]:
    beside = (file.path.with_suffix(".labels.txt"), file.path.with_name("labels.txt"))
    source = given or next((path for path in beside if path.is_file()), None)
    wanted = None if file.output_width is None else file.output_width - background
    if source is not None:
        names = read_labels(source)
        if wanted is not None and len(names) == wanted + background:
            names = names[background:]
        if wanted is not None and len(names) != wanted:
            raise LabelError(
                f"{source.name} has {len(names)} labels, but {file.path.name} has "
                f"{file.output_width} outputs",
                hint=f"Give a label file with {file.output_width} lines.",
            )
        return names
    from_file = file.labels or _metadata_labels(file.metadata)
    if from_file:
        # A file may name its background as well.
        named = background if wanted is not None and len(from_file) == wanted + background else 0
        return from_file[named:]
    if wanted == _IMAGENET and imagenet_labels is not None:
        notes.append("labels: ImageNet, assumed")
        return imagenet_labels()
    raise LabelError(
        f"{file.path.name} has {file.output_width or 'an unknown number of'} outputs and brings no "
        "labels",
        hint=f"Put {file.path.stem}.labels.txt beside it, one name a line, or use --labels.",
    )


def _metadata_labels(metadata: Mapping[str, str]) -> tuple[str, ...]:
    for key in ("labels", "classes", "class_labels"):
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


def _recipe(
    file: ModelFile, sidecar: Mapping[str, Any], background: int, notes: list[str]
) -> Recipe:
    shape = file.input_shape
    layout = "NHWC" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "NCHW"
    height, width = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    channels = shape[3] if layout == "NHWC" else shape[1]
    given = dict(sidecar.get("recipe", {}))
    if not given and "twinlens.recipe" in file.metadata:
        try:
            given = dict(json.loads(file.metadata["twinlens.recipe"]))
        except (json.JSONDecodeError, TypeError, ValueError) as error:
            raise ModelError(f"{file.path}: its recipe cannot be read ({error})") from error
    given = given or dict(file.recipe)
    if height is None or width is None:
        notes.append("input size: 224, assumed")
    values: dict[str, Any] = {"width": width or 224, "height": height or 224, "layout": layout}
    if channels == 1:
        values |= {"color": "GRAY", "mean": (0.0,), "std": (1.0,)}
    elif background == 1 or file.format == _TFLITE:
        values |= _TENSORFLOW
    if file.input_is_integer:
        values["dtype"] = "uint8"
    if not given and not file.input_is_integer:
        span = "ImageNet mean, std"
        if channels == 1:
            span = "0 to 1"
        elif background == 1 or file.format == _TFLITE:
            span = "−1 to 1"
        notes.append(f"values: {span}, assumed")
    return Recipe.from_dict(values | given)
