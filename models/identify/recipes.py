"""How a model is fed: told by what lies beside it, by the file itself, or by conventions.

An origin of recipes is a reader that gives plain values of ``Recipe`` with their origin, and a line
in ``READERS``. Of each part the first that says anything counts; conventions fill in what is left
out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twinlens.engine.errors import ModelError
from twinlens.engine.formats import TFLITE
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.image import Recipe
from twinlens.models.identify.exports import values_inside
from twinlens.models.identify.facts import Origin, Subject

# Which keys of a recipe say what.
_PART_KEYS = {
    "size": {"width", "height"},
    "layout": {"layout"},
    "color": {"color"},
    "values": {"scale", "mean", "std", "dtype"},
    "crop": {"crop_and_scale"},
}


@dataclass(frozen=True)
class Fed:
    """What was found out about how a model is fed.

    Attributes:
        recipe: all of it.
        origins: by part (of ``facts.PARTS``) where it comes from.
        notes: what was assumed, for display.
    """

    recipe: Recipe
    origins: Mapping[str, Origin] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stated:
    """Plain values of a recipe, or some of them.

    Attributes:
        values: as for ``Recipe.from_dict``.
        origin: where they come from.
        source: who wrote them, for display; empty where the origin says enough.
        strict: whether somebody wrote them for this model, so that they have to be right.
    """

    values: Mapping[str, Any]
    origin: Origin
    source: str = ""
    strict: bool = False


def _asked(subject: Subject) -> Iterator[Stated]:
    """What somebody asked for, on the command line."""
    yield Stated(subject.asked, Origin.GIVEN, strict=True)


def _in_sidecar(subject: Subject) -> Iterator[Stated]:
    """``[recipe]`` in ``NAME.toml``, or in what is kept in its place."""
    yield Stated(subject.beside.get("recipe", {}), subject.beside_origin, strict=True)


def _in_file(subject: Subject) -> Iterator[Stated]:
    """What the file says in its metadata, its quantisation or its preprocessing."""
    file = subject.described
    if file is None:
        return
    if "twinlens.recipe" in file.metadata:
        try:
            values = dict(json.loads(file.metadata["twinlens.recipe"]))
        except (TypeError, ValueError, RecursionError) as error:
            raise ModelError(f"{file.path}: its recipe cannot be read ({error})") from error
        yield Stated(values, Origin.FILE, strict=True)
    yield Stated(file.recipe, Origin.FILE)
    for tool, values in values_inside(file.metadata):
        yield Stated(values, Origin.FILE, tool)


def _of_export(subject: Subject) -> Iterator[Stated]:
    """What the tool that exported the model wrote beside it."""
    for export in subject.exported:
        yield Stated(export.recipe, Origin.BESIDE, export.source)


READERS: tuple[Callable[[Subject], Iterator[Stated]], ...] = (
    _asked,
    _in_sidecar,
    _in_file,
    _of_export,
)
"""In the order of precedence; of each part the first that says anything of it counts."""


def recipe_of_file(subject: Subject, file: ModelFile) -> Fed:
    """How a model file is fed.

    Raises:
        ModelError: the recipe that somebody wrote down is wrong; says where.
    """
    shape = file.input_shape
    layout, certain = layout_of(shape)
    channels, height, width = _sides(shape, layout)
    sized = height is not None and width is not None
    given = _merged(subject, channels or 3, sized=sized)
    notes = [*given.notes]
    if file.metadata.get("Image.ColorSpaceGamma", "").strip().lower() == "linear":
        # Windows ML, whose metadata these are, takes nothing but sRGB either.
        notes.append("colours: the model asks for linear light, and is fed sRGB")
    if not sized and "size" not in given.origins:
        notes.append("input size: 224, assumed")
    values: dict[str, Any] = {"width": width or 224, "height": height or 224, "layout": layout}
    convention, span = _convention(subject, file, channels)
    values |= convention
    values |= _color_of(channels, given.values)
    if "values" not in given.origins and file.input_dtype != "uint8":
        notes.append(f"values: {span}, assumed")
    origins = {
        "size": Origin.FILE if sized else Origin.ASSUMED,
        "layout": Origin.FILE if certain else Origin.ASSUMED,
        "color": Origin.FILE if channels == 1 else Origin.CONVENTION,
        "values": Origin.FILE if file.input_dtype == "uint8" else Origin.ASSUMED,
        "crop": Origin.CONVENTION,
    }
    origins |= given.origins
    return Fed(Recipe.from_dict(values | given.values), origins, tuple(notes))


def _sides(shape: tuple[int | None, ...], layout: str) -> tuple[int | None, ...]:
    """(channels, height, width) of a declared input of three or four axes."""
    picture = shape[-3:]
    return picture if layout == "NCHW" else (picture[2], *picture[:2])


def _convention(
    subject: Subject, file: ModelFile, channels: int | None
) -> tuple[dict[str, Any], str]:
    """How values are scaled where nobody says it, and what that is called."""
    count = channels if channels in (1, 3, 4) else 3
    if file.input_dtype == "uint8":
        return {"dtype": "uint8", **_flat(1.0, 0.0, count)}, "0 to 255"
    if file.input_dtype == "int8":
        return _flat(1.0, 128.0, count), "−128 to 127"
    if "int" in file.input_dtype:
        return _flat(1.0, 0.0, count), "0 to 255"
    if file.usual:
        return dict(file.usual), file.usual_values
    if count == 1:
        return _flat(1 / 255, 0.0, count), "0 to 1"
    if subject.background == 1 or file.format == TFLITE.title:
        return _flat(1 / 127.5, 1.0, count), "−1 to 1"
    return ({}, "ImageNet mean, std") if count == 3 else (_flat(1 / 255, 0.0, count), "0 to 1")


def _flat(scale: float, mean: float, channels: int) -> dict[str, Any]:
    return {"scale": scale, "mean": (mean,) * channels, "std": (1.0,) * channels}


def _color_of(channels: int | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The order of colours that a number of channels allows."""
    if channels == 1:
        return {"color": "GRAY"}
    if channels == 4:
        return {"color": "RGBA"} if given.get("color") not in ("BGR", "BGRA") else {"color": "BGRA"}
    return {}


@dataclass(frozen=True)
class _Given:
    """What readers said, put together: values, and by part where they come from."""

    values: dict[str, Any]
    origins: dict[str, Origin]
    notes: tuple[str, ...]


def _merged(subject: Subject, channels: int, *, sized: bool) -> _Given:
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    sources: list[str] = []
    known = {key for keys in _PART_KEYS.values() for key in keys}
    for read in READERS:
        for stated in read(subject):
            if stated.strict:
                fitting = _for_all(dict(stated.values), channels)
            else:
                fitting = _fit(stated.values, channels, sized)
            # Whoever says anything of a part says all of it.
            parts = {p for p in parts_of(fitting) if p not in origins}
            keys = {key for part in parts for key in _PART_KEYS[part]}
            taken = {
                key: value
                for key, value in fitting.items()
                if key in keys or (key not in known and key not in values)
            }
            values |= taken
            origins |= dict.fromkeys(parts, stated.origin)
            if parts and stated.source:
                names = [_SHOWN[part] for part in _PART_KEYS if part in parts]
                sources.append(f"{', '.join(names)}: as {stated.source} says")
    return _Given(values, origins, tuple(sources))


_SHOWN = {"size": "size", "layout": "axes", "color": "colours", "values": "values", "crop": "crop"}


def _fit(values: Mapping[str, Any], channels: int, sized: bool) -> dict[str, Any]:
    """What a tool says, as far as it can be true of an input: nothing here blocks a model."""
    fitting = dict(values)
    fitting.pop("layout", None)  # the sizes of the input say it
    if sized:
        fitting.pop("width", None)
        fitting.pop("height", None)
    color = fitting.get("color")
    if color is not None and channels != (1 if color == "GRAY" else len(color)):
        fitting.pop("color")
        if channels == 4 and color in ("RGB", "BGR"):
            fitting["color"] = f"{color}A"
    rows = {key: tuple(fitting[key]) for key in ("mean", "std") if key in fitting}
    for key, row in rows.items():
        if len(row) == channels:
            continue
        if channels == 4 and len(row) == 3:
            fitting[key] = (*row, 0.0 if key == "mean" else 1.0)  # alpha stays as it is
        elif len(set(row)) == 1:
            fitting[key] = (row[0],) * channels
        elif channels == 1:
            fitting[key] = (sum(row) / len(row),)
        else:
            return {key: v for key, v in fitting.items() if key not in _PART_KEYS["values"]}
    if not all(rows.get("std", (1.0,))):
        return {key: v for key, v in fitting.items() if key not in _PART_KEYS["values"]}
    return fitting


def recipe_of_network(subject: Subject, published: Recipe, *, certain: bool) -> Fed:
    """How parameters of a known network are fed.

    Args:
        subject: the parameters.
        published: the recipe of the network.
        certain: whether these parameters are named as their publisher names them.

    Raises:
        ModelError: the recipe that somebody wrote down is wrong; says where.
    """
    given = _merged(subject, published.channels, sized=True)
    origins = dict.fromkeys(_PART_KEYS, Origin.NETWORK)
    notes = given.notes
    if not certain and "values" not in given.origins:
        notes = (*notes, "values: as the network is mostly fed, assumed")
        origins["values"] = Origin.ASSUMED
    origins |= given.origins
    return Fed(Recipe.from_dict(published.to_dict() | given.values), origins, notes)


def layout_of(shape: tuple[int | None, ...]) -> tuple[str, bool]:
    """Layout of a declared input of three or four axes, and whether its sizes tell it."""
    last, first = shape[-1] in (1, 3, 4), shape[-3] in (1, 3, 4)
    return "NHWC" if last and not first else "NCHW", last != first


def changed(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """A recipe with plain values changed; raises ModelError for what cannot be."""
    if not asked:
        return recipe
    values = dict(asked)
    count = {"GRAY": 1}.get(color := str(values.get("color", recipe.color)), len(color))
    return Recipe.from_dict(recipe.to_dict() | _for_all(values, count))


def _for_all(values: dict[str, Any], channels: int) -> dict[str, Any]:
    """Values whose one mean and std stand for all channels."""
    for key in ("mean", "std"):
        row = values.get(key)
        if isinstance(row, tuple | list) and len(row) == 1:
            values[key] = tuple(row) * channels
    return values


def parts_of(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Which parts a recipe's plain values tell."""
    return tuple(part for part, keys in _PART_KEYS.items() if keys & set(recipe))
