"""How a model is fed: told by what lies beside it, by the file itself, or by conventions.

An origin of recipes is a reader that returns plain values of ``Recipe`` with their origin, and a
line in ``READERS``. The first that says anything counts; conventions fill in what it leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twinlens.engine.errors import ModelError
from twinlens.engine.formats import TFLITE
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.image import Recipe
from twinlens.models.identify.facts import Origin, Subject

# TensorFlow's ImageNet classifiers have a background class in front and take [-1, 1].
_TENSORFLOW = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0), "std": (1.0, 1.0, 1.0)}

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


def _in_sidecar(subject: Subject) -> tuple[Mapping[str, Any], Origin]:
    """``[recipe]`` in ``NAME.toml``, or in what is kept in its place."""
    return subject.beside.get("recipe", {}), subject.beside_origin


def _in_file(subject: Subject) -> tuple[Mapping[str, Any], Origin]:
    """What the file says in its metadata, its quantisation or its preprocessing."""
    file = subject.described
    if file is None:
        return {}, Origin.FILE
    if "twinlens.recipe" not in file.metadata:
        return file.recipe, Origin.FILE
    try:
        return dict(json.loads(file.metadata["twinlens.recipe"])), Origin.FILE
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise ModelError(f"{file.path}: its recipe cannot be read ({error})") from error


READERS: tuple[Callable[[Subject], tuple[Mapping[str, Any], Origin]], ...] = (
    _in_sidecar,
    _in_file,
)
"""In the order of precedence."""


def recipe_of_file(subject: Subject, file: ModelFile) -> Fed:
    """How a model file is fed.

    Raises:
        ModelError: the recipe that somebody wrote down is wrong; says where.
    """
    given, source = _first(subject)
    shape = file.input_shape
    layout, certain = layout_of(shape)
    height, width = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    channels = shape[3] if layout == "NHWC" else shape[1]
    notes: list[str] = []
    if height is None or width is None:
        notes.append("input size: 224, assumed")
    values: dict[str, Any] = {"width": width or 224, "height": height or 224, "layout": layout}
    span = "ImageNet mean, std"
    if channels == 1:
        values |= {"color": "GRAY", "mean": (0.0,), "std": (1.0,)}
        span = "0 to 1"
    elif file.usual:
        values |= file.usual
        span = file.usual_values
    elif subject.background == 1 or file.format == TFLITE.title:
        values |= _TENSORFLOW
        span = "−1 to 1"
    if file.input_is_integer:
        values["dtype"] = "uint8"
    elif not given:
        notes.append(f"values: {span}, assumed")
    origins = {
        "size": Origin.FILE if height and width else Origin.ASSUMED,
        "layout": Origin.FILE if certain else Origin.ASSUMED,
        "color": Origin.FILE if channels == 1 else Origin.CONVENTION,
        "values": Origin.FILE if file.input_is_integer else Origin.ASSUMED,
        "crop": Origin.CONVENTION,
    }
    origins |= dict.fromkeys(_parts_of(given), source)
    return Fed(Recipe.from_dict(values | given), origins, tuple(notes))


def recipe_of_network(subject: Subject, published: Recipe, *, certain: bool) -> Fed:
    """How parameters of a known network are fed.

    Args:
        subject: the parameters.
        published: the recipe of the network.
        certain: whether these parameters are named as their publisher names them.

    Raises:
        ModelError: the recipe that somebody wrote down is wrong; says where.
    """
    given, source = _first(subject)
    origins = dict.fromkeys(_PART_KEYS, Origin.NETWORK)
    notes: tuple[str, ...] = ()
    if not certain and not given:
        notes = ("values: as the network is mostly fed, assumed",)
        origins["values"] = Origin.ASSUMED
    origins |= dict.fromkeys(_parts_of(given), source)
    return Fed(Recipe.from_dict(published.to_dict() | given), origins, notes)


def layout_of(shape: tuple[int | None, ...]) -> tuple[str, bool]:
    """Layout of a declared input of four axes, and whether its sizes tell it."""
    last, first = shape[3] in (1, 3), shape[1] in (1, 3)
    return "NHWC" if last and not first else "NCHW", last != first


def _first(subject: Subject) -> tuple[dict[str, Any], Origin]:
    for read in READERS:
        values, origin = read(subject)
        if values:
            return dict(values), origin
    return {}, Origin.ASSUMED


def _parts_of(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Which parts a recipe's plain values tell."""
    return tuple(part for part, keys in _PART_KEYS.items() if keys & set(recipe))
