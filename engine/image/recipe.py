"""How a picture becomes a model's input: the recipe belongs to the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from twinlens.engine.errors import ModelError


class CropAndScale(Enum):
    """How a picture of another shape is brought to the model's size."""

    CENTER_CROP = "center-crop"
    """The largest centred part of the model's shape; nothing is distorted, edges are lost."""
    SCALE_FIT = "scale-fit"
    """All of the picture, with bars (letterbox); nothing is distorted or lost."""
    SCALE_FILL = "scale-fill"
    """All of the picture, stretched."""


@dataclass(frozen=True)
class Region:
    """Part of a picture, in shares of its upright width and height, origin at the top left."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def __post_init__(self) -> None:
        inside = (
            0 <= self.x < 1
            and 0 <= self.y < 1
            and 0 < self.width <= 1 - self.x + 1e-9
            and 0 < self.height <= 1 - self.y + 1e-9
        )
        if not inside:
            raise ModelError(
                f"region {self.x}, {self.y}, {self.width} × {self.height} is not inside the "
                "picture (shares from 0 to 1)"
            )


@dataclass(frozen=True)
class Recipe:
    """Size, crop and scale, colour order, scaling of values and layout of a model's input.

    A value is ``(pixel · scale − mean[c]) / std[c]``, with pixel in 0–255 and channels ``c`` in
    the recipe's colour order. With a contrast, pixel is first pushed towards black and white:
    ``255 / (1 + exp(−contrast · (pixel / 255 − 0.5)))``. A negative scale inverts.

    Attributes:
        width: input width in pixels.
        height: input height in pixels.
        crop_and_scale: how another shape is brought to this size.
        color: ``"RGB"``, ``"BGR"``, ``"GRAY"`` (BT.601 luma), or ``"RGBA"``, ``"BGRA"``, whose
            alpha is 255 throughout: what is transparent was laid on a background before.
        scale: factor on the pixel values.
        mean: subtracted from each channel, after ``scale``; one value for a channel.
        std: divides each channel.
        layout: ``"NCHW"`` or ``"NHWC"``.
        dtype: ``"float32"``; ``"uint8"`` gives the pixels themselves, without contrast,
            scale, mean and std.
        interpolation: ``"bilinear"`` (antialiased where it shrinks) or ``"nearest"``.
        padding: pixel value, 0–255, of the bars of ``scale-fit``.
        contrast: slope of the sigmoid, 0 to 1000; 0 leaves pixels as they are.

    Raises:
        ModelError: a value is not one of those above; names it.
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
    padding: int = 0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.width, int) and isinstance(self.height, int)):
            raise ModelError(
                f"recipe: input of {self.width!r}×{self.height!r}, expected whole numbers"
            )
        if not (0 < self.width <= 4096 and 0 < self.height <= 4096):
            raise ModelError(f"recipe: input of {self.width}×{self.height}, expected 1 to 4096")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ModelError(
                    f"recipe: {name} is {getattr(self, name)!r}, expected {' or '.join(known)}"
                )
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ModelError(
                    f"recipe: {name} has {len(getattr(self, name))} values, "
                    f"expected {self.channels} for {self.color}"
                )
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.std))):
            raise ModelError("recipe: scale, mean and std must be finite numbers")
        if not all(self.std):
            raise ModelError(f"recipe: std is {self.std}, expected no zeros")
        if not 0 <= self.padding <= 255:
            raise ModelError(f"recipe: padding is {self.padding}, expected 0 to 255")
        if not 0 <= self.contrast <= 1000:
            raise ModelError(f"recipe: contrast is {self.contrast}, expected 0 to 1000")

    @property
    def channels(self) -> int:
        """Channels of the input: 1 for GRAY, 4 with alpha, else 3."""
        return 1 if self.color == "GRAY" else len(self.color)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of the converted picture, batch of 1."""
        if self.layout == "NCHW":
            return (1, self.channels, self.height, self.width)
        return (1, self.height, self.width, self.channels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for TOML or JSON."""
        values = asdict(self)
        values["crop_and_scale"] = self.crop_and_scale.value
        values["mean"], values["std"] = list(self.mean), list(self.std)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe from plain values.

        Raises:
            ModelError: a key is unknown or missing, or a value is not allowed; names it.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ModelError(
                f"recipe: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        plain = dict(values)
        try:
            if "crop_and_scale" in plain:
                plain["crop_and_scale"] = CropAndScale(plain["crop_and_scale"])
            for name in ("mean", "std"):
                if name in plain:
                    plain[name] = tuple(float(v) for v in plain[name])
            return cls(**plain)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"recipe: {error}") from error


_CHOICES = {
    "color": ("RGB", "BGR", "GRAY", "RGBA", "BGRA"),
    "layout": ("NCHW", "NHWC"),
    "dtype": ("float32", "uint8"),
    "interpolation": ("bilinear", "nearest"),
}
