"""Where a picture's pixels go: pure arithmetic on rectangles, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.image.recipe import CropAndScale, Region


@dataclass(frozen=True)
class Rect:
    """Whole pixels; x and y of the top left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Placement:
    """The part of the upright picture that is read, and the part of the input it fills."""

    source: Rect
    target: Rect


def place(
    size: tuple[int, int],
    target: tuple[int, int],
    crop_and_scale: CropAndScale,
    region: Region | None = None,
) -> Placement:
    """Place a picture in a model's input.

    Args:
        size: (width, height) of the upright picture.
        target: (width, height) of the model's input.
        crop_and_scale: how the shapes are brought together.
        region: the part of the picture that counts; None is all of it.
    """
    area = _region_rect(size, region or Region())
    whole = Rect(0, 0, *target)
    if crop_and_scale is CropAndScale.SCALE_FILL:
        return Placement(area, whole)
    if crop_and_scale is CropAndScale.CENTER_CROP:
        return Placement(_centered(area, target), whole)
    return Placement(area, _centered(whole, (area.width, area.height)))


def upright_to_stored(rect: Rect, stored: tuple[int, int], orientation: int) -> Rect:
    """Where a rectangle of the upright picture lies in the stored rows.

    Args:
        rect: rectangle in the upright picture.
        stored: (width, height) of the stored picture.
        orientation: EXIF orientation that makes the stored picture upright.
    """
    x, y, width, height = rect.x, rect.y, rect.width, rect.height
    upright_width, upright_height = stored if orientation < 5 else stored[::-1]
    # The inverse of ``turn_upright``: undo the flips, then the transposition.
    if orientation in (3, 4, 7, 8):
        y = upright_height - y - height
    if orientation in (2, 3, 6, 7):
        x = upright_width - x - width
    if orientation >= 5:
        x, y, width, height = y, x, height, width
    return Rect(x, y, width, height)


def _region_rect(size: tuple[int, int], region: Region) -> Rect:
    x, y = int(region.x * size[0] + 0.5), int(region.y * size[1] + 0.5)
    x, y = min(x, size[0] - 1), min(y, size[1] - 1)
    width = max(1, min(size[0] - x, int(region.width * size[0] + 0.5)))
    height = max(1, min(size[1] - y, int(region.height * size[1] + 0.5)))
    return Rect(x, y, width, height)


def _centered(area: Rect, shape: tuple[int, int]) -> Rect:
    """Largest centred part of ``area`` with the proportions of ``shape``, at least one pixel."""
    if area.width * shape[1] >= area.height * shape[0]:
        width = max(1, round(area.height * shape[0] / shape[1]))
        return Rect(area.x + (area.width - width) // 2, area.y, width, area.height)
    height = max(1, round(area.width * shape[1] / shape[0]))
    return Rect(area.x, area.y + (area.height - height) // 2, area.width, height)
