"""Recipes that may be right for a model that does not say how it is fed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twinlens.engine.image import Recipe

AS_KNOWN = "as-known"
"""Id of the only candidate of a model whose values are known."""


@dataclass(frozen=True)
class Values:
    """A way of scaling pixels that many tools use.

    Attributes:
        id, title: its names.
        scale: factor on pixels of 0 to 255.
        mean: then subtracted; of R, G, B, or of grey.
        std: then divides.
    """

    id: str
    title: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


COLOUR_VALUES = (
    Values("unit", "0 to 1", 1 / 255, (0.0,) * 3, (1.0,) * 3),
    Values("symmetric", "−1 to 1", 1 / 127.5, (1.0,) * 3, (1.0,) * 3),
    Values("imagenet", "ImageNet mean, std", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Values("pixels", "0 to 255", 1.0, (0.0,) * 3, (1.0,) * 3),
    # Means of ImageNet's training pictures, as Caffe's VGG models subtract them.
    Values("caffe", "Caffe mean", 1.0, (123.68, 116.779, 103.939), (1.0,) * 3),
)
GREY_VALUES = (
    Values("unit", "0 to 1", 1 / 255, (0.0,), (1.0,)),
    Values("symmetric", "−1 to 1", 1 / 127.5, (1.0,), (1.0,)),
    Values("mnist", "MNIST mean, std", 1 / 255, (0.1307,), (0.3081,)),
    Values("pixels", "0 to 255", 1.0, (0.0,), (1.0,)),
)
COLOUR_COLUMNS = ("RGB", "BGR")
GREY_COLUMNS = ("as it is", "inverted")


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be the right one.

    Attributes:
        id: ``"symmetric BGR"`` ...
        row: how values are scaled.
        column: order of colours, or whether grey is inverted.
        recipe: all of it.
    """

    id: str
    row: str
    column: str
    recipe: Recipe


def candidates_of(base: Recipe) -> tuple[Candidate, ...]:
    """All of them, row by row; size, axes and crop are those of ``base``."""
    grey = base.color == "GRAY"
    make = _grey if grey else _coloured
    return tuple(
        Candidate(f"{values.id} {column}", values.title, column, make(base, values, column))
        for values in (GREY_VALUES if grey else COLOUR_VALUES)
        for column in (GREY_COLUMNS if grey else COLOUR_COLUMNS)
    )


def _coloured(base: Recipe, values: Values, order: str) -> Recipe:
    step = 1 if order == "RGB" else -1
    mean, std = values.mean[::step], values.std[::step]
    if base.channels == 4:
        # Alpha is scaled as the colours are where they are all scaled alike.
        alike = len({*mean}) == len({*std}) == 1
        mean, std = (*mean, mean[0] if alike else 0.0), (*std, std[0] if alike else 1.0)
        order += "A"
    return replace(base, color=order, scale=values.scale, mean=mean, std=std)


def _grey(base: Recipe, values: Values, column: str) -> Recipe:
    scale, mean = values.scale, values.mean
    if column == "inverted":  # 255 - pixel in place of pixel
        scale, mean = -scale, tuple(m - 255 * values.scale for m in mean)
    return replace(base, scale=scale, mean=mean, std=values.std)


def alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes scale values and order colours alike."""
    return one.color == other.color and bool(
        np.allclose(
            [one.scale, *one.mean, *one.std], [other.scale, *other.mean, *other.std], rtol=1e-6
        )
    )
