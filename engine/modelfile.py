"""What a model file says about itself: input, output, recipe and labels.

For a bare file the recipe is taken, in this order, from ``NAME.toml`` beside the file (or from
what is kept in its place), from the file itself (ONNX: metadata key ``twinlens.recipe``, JSON;
TensorFlow Lite: its metadata or the input's quantisation; Core ML: its preprocessing), or from
conventions; labels from a label file that is named, from ``NAME.toml``, from ``NAME.labels.txt``
or ``labels.txt`` beside it, or from the file (ONNX: metadata key ``labels`` or ``classes``, a
JSON list or lines). What had to be assumed is said in the notes; ``find`` says where each part
comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twinlens.engine.api.protocol import ModelSpec, OutputKind
from twinlens.engine.errors import LabelError, ModelError
from twinlens.engine.formats.describe import describe
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.found import Found, Origin
from twinlens.engine.image import Recipe
from twinlens.engine.sidecar import KNOWN, Sidecar, read_sidecar, sidecar_path

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
    kept: Path | None = None,
) -> ModelSpec:
    """Make a model of a bare file of any format.

    Args:
        path: the file.
        labels: label file that overrides all others.
        imagenet_labels: gives the names of ImageNet's classes, for files with 1000 or 1001
            outputs that bring no labels.
        kept: what stands for ``NAME.toml`` where there is none beside the file.

    Raises:
        ModelFileError: the file is not a classifier that we can feed.
        LabelError: labels are missing, or their number is not that of the outputs.
        ModelError: the recipe beside the file is wrong; says where.
    """
    return find(path, labels=labels, imagenet_labels=imagenet_labels, kept=kept).checked()


def find(
    path: Path,
    *,
    labels: Path | None = None,
    imagenet_labels: Callable[[], tuple[str, ...]] | None = None,
    kept: Path | None = None,
) -> Found:
    """Find out what is known of a bare file, with labels or without; else as ``spec_of``."""
    file = inspect(path)
    sidecar = read_sidecar(path, kept)
    beside = sidecar.values
    notes: list[str] = []
    said = _own_settings(file)
    background = int(beside.get("background_outputs", said.get("background_outputs", -1)))
    if background < 0:
        background = int(file.output_width == _IMAGENET + 1)
    output: OutputKind = "probabilities" if file.ends_in_softmax else "logits"
    names, origin, problem = _labels(file, labels, sidecar, background, imagenet_labels, notes)
    recipe, origins = _recipe(file, sidecar, background, notes)
    spec = ModelSpec(
        id=path.stem,
        title=str(beside.get("title") or said.get("title") or path.stem),
        path=path,
        recipe=recipe,
        labels=names,
        background_outputs=background,
        output=beside.get("output", said.get("output", output)),
        notes=tuple(notes),
    )
    if origin is not None:
        origins["labels"] = origin
    return Found(spec, file.format, file.output_width, origins, problem)


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
        if isinstance(values, dict) and key in values and not KNOWN[key](values[key]):
            raise ModelError(f"{file.path}: its {key} is {values[key]!r}, which is not allowed")
    return values if isinstance(values, dict) else {}


def _labels(
    file: ModelFile,
    given: Path | None,
    sidecar: Sidecar,
    background: int,
    imagenet_labels: Callable[[], tuple[str, ...]] | None,
    notes: list[str],
) -> tuple[tuple[str, ...], Origin | None, LabelError | None]:
    """Names, where they come from, and, where there are none, why."""
    beside = (file.path.with_suffix(".labels.txt"), file.path.with_name("labels.txt"))
    wanted = None if file.output_width is None else file.output_width - background
    said = tuple(sidecar.values.get("labels", ()))
    try:
        if given is None and said:
            source = sidecar_path(file.path).name
            return _fitting(said, source, file, background), sidecar.origin, None
        place = given or next((path for path in beside if path.is_file()), None)
        if place is not None:
            names = _fitting(read_labels(place), place.name, file, background)
            return names, Origin.GIVEN if given else Origin.BESIDE, None
    except LabelError as error:
        return (), None, error
    from_file = file.labels or _metadata_labels(file.metadata)
    if from_file:
        # A file may name its background as well.
        named = background if wanted is not None and len(from_file) == wanted + background else 0
        return from_file[named:], Origin.FILE, None
    if wanted == _IMAGENET and imagenet_labels is not None:
        notes.append("labels: ImageNet, assumed")
        return imagenet_labels(), Origin.CONVENTION, None
    problem = LabelError(
        f"{file.path.name} has {file.output_width or 'an unknown number of'} outputs and brings no "
        "labels",
        hint=f"Put {file.path.stem}.labels.txt beside it, one name a line, or use --labels.",
    )
    return (), None, problem


def _fitting(
    names: tuple[str, ...], source: str, file: ModelFile, background: int
) -> tuple[str, ...]:
    """Names without those of the background, where their number is that of the outputs."""
    if file.output_width is None:
        return names
    wanted = file.output_width - background
    if len(names) == wanted + background:
        names = names[background:]
    if len(names) != wanted:
        raise LabelError(
            f"{source} has {len(names)} labels, but {file.path.name} has "
            f"{file.output_width} outputs",
            hint=f"Give a label file with {file.output_width} lines.",
        )
    return names


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
    file: ModelFile, sidecar: Sidecar, background: int, notes: list[str]
) -> tuple[Recipe, dict[str, Origin]]:
    """The recipe, and where its parts come from."""
    shape = file.input_shape
    layout, told = layout_of(shape)
    height, width = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    channels = shape[3] if layout == "NHWC" else shape[1]
    given, source = dict(sidecar.values.get("recipe", {})), sidecar.origin
    if not given:
        given, source = _file_recipe(file), Origin.FILE
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
    origins = {
        "size": Origin.FILE if height and width else Origin.ASSUMED,
        "layout": Origin.FILE if told else Origin.ASSUMED,
        "color": Origin.FILE if channels == 1 else Origin.CONVENTION,
        "values": Origin.FILE if file.input_is_integer else Origin.ASSUMED,
        "crop": Origin.CONVENTION,
    }
    origins |= dict.fromkeys(parts_of(given), source)
    return Recipe.from_dict(values | given), origins


def layout_of(shape: tuple[int | None, ...]) -> tuple[str, bool]:
    """Layout of a declared input of four axes, and whether its sizes tell it."""
    last, first = shape[3] in (1, 3), shape[1] in (1, 3)
    return "NHWC" if last and not first else "NCHW", last != first


def parts_of(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of ``PARTS`` a recipe's plain values tell."""
    return tuple(part for part, keys in _PART_KEYS.items() if keys & set(recipe))


# Which keys of a recipe say what.
_PART_KEYS = {
    "size": {"width", "height"},
    "layout": {"layout"},
    "color": {"color"},
    "values": {"scale", "mean", "std", "dtype"},
    "crop": {"crop_and_scale"},
}


def _file_recipe(file: ModelFile) -> dict[str, Any]:
    if "twinlens.recipe" not in file.metadata:
        return dict(file.recipe)
    try:
        return dict(json.loads(file.metadata["twinlens.recipe"]))
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise ModelError(f"{file.path}: its recipe cannot be read ({error})") from error
