"""How a picture becomes a model's input."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CropAndScale(Enum):
    """How a picture of another shape is brought to the model's size."""

    CENTER_CROP = "center-crop"
    SCALE_FIT = "scale-fit"
    SCALE_FILL = "scale-fill"


@dataclass(frozen=True)
class Region:
    """Part of a picture, in shares of its upright width and height, origin at the top left."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Size, crop and scale, colour order, scaling of values and layout of a model's input.

    value = (pixel * scale - mean[c]) / std[c], channels in the recipe's colour order.
    """

    width: int
    height: int
    crop_and_scale: CropAndScale = CropAndScale.CENTER_CROP
    color: str = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    layout: str = "NCHW"
    dtype: str = "float32"
    interpolation: str = "bilinear"
