"""The picture's way in as bytes: crop, scale, colours and values in one shader.

The conversion is the one that ``engine.image.Converter`` does. Along one axis its steps are a
weighted sum of the picture's columns or rows (``engine.image.filters``); the shader sums up along
both, so that what remains of differences is the converter's rounding to whole grey levels between
its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import InferenceError
from twinlens.engine.image import CropAndScale, PixelBuffer, PixelFormat, Recipe, Region
from twinlens.engine.image.filters import axis_weights
from twinlens.engine.image.geometry import Rect, place, upright_to_stored
from twinlens.engine.targets.gpu.kernels.picture import Picture
from twinlens.engine.targets.gpu.run.adapters import TITLE
from twinlens.engine.targets.gpu.run.flight import Feed
from twinlens.engine.targets.gpu.run.native import Bytes
from twinlens.engine.targets.gpu.run.program import Program

Fill = Callable[[Bytes], None]
Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class _Part:
    """What is uploaded of a picture: some of its rows and columns, with their chroma.

    Attributes:
        rect: in the stored picture; even where chroma is shared.
        counted: what counts of it.
    """

    rect: Rect
    counted: Rect

    @classmethod
    def of(cls, buffer: PixelBuffer, upright: Rect) -> _Part:
        """The part for a rectangle of the upright picture."""
        stored = (buffer.width, buffer.height)
        counted = upright_to_stored(upright, stored, buffer.orientation)
        pairs = buffer.format.is_planar or buffer.format in (PixelFormat.YUYV, PixelFormat.UYVY)
        x, y = counted.x, counted.y
        right, bottom = x + counted.width, y + counted.height
        if pairs:
            x, right = x // 2 * 2, -(-right // 2) * 2
        if buffer.format.is_planar:
            y, bottom = y // 2 * 2, -(-bottom // 2) * 2
        return cls(Rect(x, y, right - x, bottom - y), counted)

    def planes(self, buffer: PixelBuffer) -> list[Plane]:
        """Views (rows, bytes) of the picture's planes."""
        rect, stride, data = self.rect, buffer.stride, buffer.data

        def cut(start: int, step: int, rows: int, count: int) -> Plane:
            return np.lib.stride_tricks.as_strided(
                data[start:], (rows, count), (step, 1), writeable=False
            )

        size = buffer.format.bytes_per_pixel
        start = rect.y * stride + rect.x * size
        first = cut(start, stride, rect.height, rect.width * size)
        if not buffer.format.is_planar:
            return [first]
        behind, half = buffer.height * stride, rect.height // 2
        if buffer.format is PixelFormat.NV12:
            start = behind + rect.y // 2 * stride + rect.x
            return [first, cut(start, stride, half, rect.width)]
        start = rect.y // 2 * (stride // 2) + rect.x // 2
        second = behind + start
        third = behind + buffer.height // 2 * (stride // 2) + start
        return [first, *(cut(at, stride // 2, half, rect.width // 2) for at in (second, third))]


@dataclass(eq=False)
class _Way:
    """What one geometry needs on the GPU."""

    feed: Feed
    part: _Part


class FrameDoor:
    """The way in for pictures, by one recipe.

    Args:
        program: all of whose layers have kernels, and which takes one picture.
        recipe: the model's; it gives float32.

    Raises:
        InferenceError: the program has no entrance for a picture.
    """

    def __init__(self, program: Program, recipe: Recipe) -> None:
        self._program, self._recipe = program, recipe
        if program.entrance is None:
            raise InferenceError(f"{TITLE}: {program.name} takes no picture at one place")
        self._result = program.entrance.result
        values = np.arange(256.0) * recipe.scale
        mean, std = (np.asarray(numbers)[:, None] for numbers in (recipe.mean, recipe.std))
        self._values = program.device.upload(((values - mean) / std).astype(np.float32))
        self._key: tuple[Any, ...] | None = None
        self._way: _Way | None = None

    def serves(self, recipe: Recipe) -> bool:
        """Whether this is the way in for a recipe."""
        return recipe == self._recipe

    def way(
        self,
        buffer: PixelBuffer,
        region: Region | None = None,
        crop_and_scale: CropAndScale | None = None,
    ) -> tuple[Feed, Fill]:
        """The feed for a picture, and what writes the picture's bytes.

        It is made anew when the geometry changes; frames of one source have one.
        """
        recipe = self._recipe
        crop = crop_and_scale or recipe.crop_and_scale
        geometry = (buffer.format, buffer.width, buffer.height, buffer.orientation)
        key = (*geometry, region, crop)
        if self._way is None or self._key != key:
            if self._way is not None:
                self._program.forget(self._way.feed)
            self._way, self._key = self._make(buffer, region, crop), key
        planes = self._way.part.planes(buffer)

        def fill(memory: Bytes) -> None:
            start = 0
            for plane in planes:
                end = start + plane.size
                np.copyto(memory[start:end].reshape(plane.shape), plane)
                start = end

        return self._way.feed, fill

    def _make(self, buffer: PixelBuffer, region: Region | None, crop: CropAndScale) -> _Way:
        recipe, device = self._recipe, self._program.device
        placement = place(buffer.upright_size, (recipe.width, recipe.height), crop, region)
        part = _Part.of(buffer, placement.source)
        planes = part.planes(buffer)
        sizes = [plane.size for plane in planes]
        target = placement.target
        turned = buffer.orientation >= 5
        small = (target.height, target.width) if turned else (target.width, target.height)
        near = recipe.interpolation == "nearest"
        columns = axis_weights(part.counted.width, small[0], nearest=near)
        rows = axis_weights(part.counted.height, small[1], nearest=near)
        numbers = (
            planes[0].shape[1],
            sizes[0],
            sum(sizes[:2]),
            planes[-1].shape[1],
            part.counted.x - part.rect.x,
            part.counted.y - part.rect.y,
            *astuple(target),
            columns[1].shape[1],
            rows[1].shape[1],
            buffer.orientation,
            recipe.padding,
        )
        op = Picture(self._result, buffer.format, recipe.color)
        size = -(-sum(sizes) // 8) * 8
        given = [
            device.buffer(size),
            device.upload(np.asarray(numbers, np.uint32)),
            device.upload(np.concatenate([columns[0], rows[0]])),
            device.upload(np.concatenate([columns[1].reshape(-1), rows[1].reshape(-1)])),
            self._values,
        ]
        call = device.call(op, self._program.target, given)
        label = op.describe(self._program.target)
        return _Way(self._program.feed_through(call, label, size, given[0]), part)
