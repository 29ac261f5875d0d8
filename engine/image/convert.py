"""The one conversion: a pixel buffer becomes a model's input by the model's recipe."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.geometry import Rect, place, upright_to_stored
from twinlens.engine.image.pixel_format import PixelFormat
from twinlens.engine.image.pixels import planar_bgr, turn_upright
from twinlens.engine.image.recipe import CropAndScale, Recipe, Region
from twinlens.engine.image.resize import nearest, shrink

Pixels = NDArray[np.uint8]

_RGB_FROM = {
    PixelFormat.BGR8: cv2.COLOR_BGR2RGB,
    PixelFormat.RGB8: None,
    PixelFormat.BGRA8: cv2.COLOR_BGRA2RGB,
    PixelFormat.RGBA8: cv2.COLOR_RGBA2RGB,
    PixelFormat.GRAY8: cv2.COLOR_GRAY2RGB,
}
_RGB_FROM_PAIRS = {
    PixelFormat.YUYV: cv2.COLOR_YUV2RGB_YUYV,
    PixelFormat.UYVY: cv2.COLOR_YUV2RGB_UYVY,
}


class Converter:
    """Converts pictures by one recipe. Used by one thread at a time.

    The order is crop, resize, turn upright, colours, values: each step works on as few pixels as
    it can. Colours of YUV formats come first, since their chroma is stored at another size.

    Args:
        recipe: the model's recipe.
        region: the part of the upright picture that counts; None is all of it.
        crop_and_scale: overrides the recipe's; None keeps it.
    """

    def __init__(
        self,
        recipe: Recipe,
        region: Region | None = None,
        crop_and_scale: CropAndScale | None = None,
    ) -> None:
        self.recipe = recipe
        self._region = region
        self._crop = crop_and_scale or recipe.crop_and_scale
        self._tables = _value_tables(recipe)
        self._tensor = np.empty(recipe.input_shape, recipe.dtype)

    def convert(self, buffer: PixelBuffer) -> NDArray[np.float32]:
        """Convert a picture to the model's input.

        Returns:
            Array of shape ``recipe.input_shape``, float32 (uint8 where the recipe says so),
            C-contiguous. It is overwritten by the next call.

        Raises:
            ImageError: the buffer is not a picture.
        """
        return self.values(self.picture(buffer))

    def values(self, picture: Pixels) -> NDArray[np.float32]:
        """The second half of ``convert``: a model's input from what ``picture`` gave.

        Args:
            picture: (height, width, 3) uint8 R, G, B, of the recipe's size.
        """
        if self.recipe.color == "GRAY":
            planes = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)]
        else:
            planes = list(cv2.split(picture))
            if self.recipe.color in ("BGR", "BGRA"):
                planes.reverse()
            if self.recipe.channels == 4:
                planes.append(np.full(picture.shape[:2], 255, np.uint8))
        for index, plane in enumerate(planes):
            nchw = self.recipe.layout == "NCHW"
            target = self._tensor[0, index] if nchw else self._tensor[0, ..., index]
            if self._tables is None:
                target[...] = plane
            elif nchw:
                cv2.LUT(plane, self._tables[index], dst=target)
            else:
                target[...] = cv2.LUT(plane, self._tables[index])
        return self._tensor

    def picture(self, buffer: PixelBuffer) -> Pixels:
        """What the network sees: (height, width, 3) uint8 R, G, B, before values are scaled.

        May share memory with the buffer, where nothing had to be done.
        """
        target = (self.recipe.width, self.recipe.height)
        placement = place(buffer.upright_size, target, self._crop, self._region)
        pixels, rgb_code = _crop(buffer, placement.source)
        size = placement.target.width, placement.target.height
        stored_size = size[::-1] if buffer.orientation >= 5 else size
        resize = nearest if self.recipe.interpolation == "nearest" else shrink
        small = turn_upright(resize(pixels, *stored_size), buffer.orientation)
        small = np.ascontiguousarray(small)
        if rgb_code is not None:
            small = cv2.cvtColor(small, rgb_code)  # type: ignore[assignment]
        if size == target:
            return small
        boxed = np.full((target[1], target[0], 3), self.recipe.padding, np.uint8)
        x, y = placement.target.x, placement.target.y
        boxed[y : y + size[1], x : x + size[0]] = small
        return boxed


def _crop(buffer: PixelBuffer, upright: Rect) -> tuple[Pixels, int | None]:
    """Pixels of an upright rectangle as they are stored, and the code that makes them RGB."""
    rect = upright_to_stored(upright, (buffer.width, buffer.height), buffer.orientation)
    if buffer.format in _RGB_FROM:
        part = buffer.rows()[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
        return part, _RGB_FROM[buffer.format]
    # Two pixels of a row share their chroma, so that a part starts and ends at an even column,
    # and at an even row where two rows share it.
    left, right = rect.x // 2 * 2, (rect.x + rect.width + 1) // 2 * 2
    top, bottom = rect.y, rect.y + rect.height
    if buffer.format.is_planar:
        top, bottom = top // 2 * 2, (bottom + 1) // 2 * 2
        pixels = planar_bgr(buffer, left, top, right - left, bottom - top)
        code = cv2.COLOR_BGR2RGB
    else:
        pairs = np.ascontiguousarray(buffer.rows()[top:bottom, left:right])
        pixels, code = cv2.cvtColor(pairs, _RGB_FROM_PAIRS[buffer.format]), None  # type: ignore[assignment]
    x, y = rect.x - left, rect.y - top
    return pixels[y : y + rect.height, x : x + rect.width], code


def _value_tables(recipe: Recipe) -> NDArray[np.float32] | None:
    """Value of each of the 256 pixel values, per channel; None where pixels stay as they are."""
    if recipe.dtype == "uint8":
        return None
    mean = np.asarray(recipe.mean, np.float64)[:, None]
    std = np.asarray(recipe.std, np.float64)[:, None]
    pixels = np.arange(256.0)
    if recipe.contrast:
        pixels = 255 / (1 + np.exp(-recipe.contrast * (pixels / 255 - 0.5)))
    return ((pixels * recipe.scale - mean) / std).astype(np.float32)
