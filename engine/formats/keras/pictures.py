"""Keras layers that pad, crop, resize or rescale pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from twinlens.engine.formats.keras.layer import TO_PICTURE, Call, whole
from twinlens.engine.layers import Pad, Resize
from twinlens.engine.layers.base import Array

Builder = Callable[[Call], None]


def pad(call: Call) -> None:
    """ZeroPadding2D and Cropping2D: one number, (height, width), or a pair for each."""
    cut = call.kind == "Cropping2D"
    given = call.setting("cropping" if cut else "padding", 1)
    sign = -1 if cut else 1
    both = [given, given] if isinstance(given, (int, float)) else list(given)
    pairs = [list(one) if isinstance(one, (list, tuple)) else [one, one] for one in both]
    if len(pairs) != 2 or any(len(one) != 2 for one in pairs):
        raise call.unsupported(f"it pads by {given!r}")
    sides = [(sign * whole(before), sign * whole(after)) for before, after in pairs]
    if any(sign * side < 0 for one in sides for side in one):
        raise call.unsupported(f"it pads by {given!r}")
    value = call.emit(Pad([(0, 0), (0, 0), *sides]), call.picture())
    call.finish(value, picture=not call.channels_first)


def upsample(call: Call) -> None:
    """UpSampling2D: nearest or bilinear."""
    x = call.picture()
    rows, columns = call.pair("size", 2)
    height, width = call.net.values.shapes[x][2:]
    value = resampled(call, x, height * rows, width * columns, call.setting("interpolation"))
    call.finish(value, picture=not call.channels_first)


def resize(call: Call) -> None:
    """Resizing, stretched or cropped or padded to the new shape first."""
    x = call.picture()
    rows, columns = whole(call.setting("height")), whole(call.setting("width"))
    if call.flag("antialias", False):
        raise call.unsupported("antialias is not implemented")
    if call.flag("crop_to_aspect_ratio", False):
        x = _cropped(call, x, rows, columns)
    elif call.flag("pad_to_aspect_ratio", False):
        x = _padded(call, x, rows, columns)
    value = resampled(call, x, rows, columns, call.setting("interpolation"))
    call.finish(value, picture=not call.channels_first)


def center_crop(call: Call) -> None:
    """CenterCrop; a picture that is smaller is resized instead."""
    x = call.picture()
    rows, columns = whole(call.setting("height")), whole(call.setting("width"))
    height, width = call.net.values.shapes[x][2:]
    if height >= rows and width >= columns:
        value = _cut(call, x, rows, columns)
    else:
        value = resampled(call, _cropped(call, x, rows, columns), rows, columns, None)
    call.finish(value, picture=not call.channels_first)


def resampled(call: Call, x: str, rows: int, columns: int, how: Any) -> str:
    """A picture in another size, by TensorFlow's rule: centres of pixels on half coordinates."""
    mode = str(how or ("nearest" if call.kind == "UpSampling2D" else "bilinear")).lower()
    if mode not in ("nearest", "bilinear"):
        raise call.unsupported(f"interpolation {mode!r}")
    layer = Resize(
        sizes=(rows, columns),
        axes=(2, 3),
        mode="nearest" if mode == "nearest" else "linear",
        coordinates="half_pixel",
        nearest_mode="round_prefer_ceil",
    )
    return call.emit(layer, x, step="resize")


def _cropped(call: Call, x: str, rows: int, columns: int) -> str:
    """The largest centred part of a shape."""
    height, width = call.net.values.shapes[x][2:]
    cut_height = max(min(height, int(float(width * rows) / columns)), 1)
    cut_width = max(min(width, int(float(height * columns) / rows)), 1)
    return _cut(call, x, cut_height, cut_width)


def _cut(call: Call, x: str, rows: int, columns: int) -> str:
    height, width = call.net.values.shapes[x][2:]
    top, left = (height - rows) // 2, (width - columns) // 2
    sides = [(-top, rows + top - height), (-left, columns + left - width)]
    return call.emit(Pad([(0, 0), (0, 0), *sides]), x, step="crop")


def _padded(call: Call, x: str, rows: int, columns: int) -> str:
    """The smallest picture of a shape around this one."""
    height, width = call.net.values.shapes[x][2:]
    tall = max(height, int(float(width * rows) / columns))
    wide = max(width, int(float(height * columns) / rows))
    top, left = (tall - height) // 2, (wide - width) // 2
    sides = [(top, tall - height - top), (left, wide - width - left)]
    layer = Pad([(0, 0), (0, 0), *sides], value=call.number("fill_value", 0.0))
    return call.emit(layer, x, step="bars")


def rescale(call: Call) -> None:
    """Rescaling: scale and offset, one or one for each channel."""
    place = call.place()
    scale = _along_last(numbers(call.setting("scale", 1.0)), place.picture)
    offset = _along_last(numbers(call.setting("offset", 0.0)), place.picture)
    call.finish(call.affine(place.name, scale, offset), picture=place.picture)


def normalize(call: Call) -> None:
    """Normalization: mean and variance from the settings, or adapted to data."""
    place = call.place()
    shape = call.shape(place)
    given = call.layer.settings.get("axis", -1)
    listed = [] if given is None else given if isinstance(given, (list, tuple)) else [given]
    axes = sorted(whole(axis) % len(shape) for axis in listed)
    sizes = [shape[axis] for axis in axes]
    if call.setting("mean") is not None:
        both = (numbers(call.setting(name)) for name in ("mean", "variance"))
        mean, variance = (one * np.ones(sizes) for one in both)
    else:
        mean, variance = call.array("mean", *sizes), call.array("variance", *sizes)
    wide = [size if axis in axes else 1 for axis, size in enumerate(shape)]
    if not (variance >= 0).all():
        raise ValueError("a variance is below 0")
    middle = mean.reshape(wide).astype(np.float64)
    spread = np.maximum(np.sqrt(variance.reshape(wide).astype(np.float64)), 1e-7)
    if place.picture:
        middle, spread = middle.transpose(TO_PICTURE), spread.transpose(TO_PICTURE)
    if call.flag("invert", False):
        value = call.affine(place.name, spread, middle)
    else:
        value = call.affine(call.affine(place.name, 1.0, -middle), 1 / spread, 0.0)
    call.finish(value, picture=place.picture)


def numbers(value: Any) -> Array:
    """Numbers of a setting, also where Keras wrapped them as an array.

    Raises:
        ValueError: they are none, or not finite.
    """
    if isinstance(value, dict):
        value = value.get("config", {}).get("value")
    array = np.asarray(value, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{value!r} are no finite numbers")
    return array


def _along_last(array: Array, picture: bool) -> Array:
    """One number for each channel, where a picture has them."""
    return array.reshape(-1, 1, 1) if picture and array.ndim == 1 else array


PICTURES: dict[str, Builder] = {
    **dict.fromkeys(("Cropping2D", "ZeroPadding2D"), pad),
    "CenterCrop": center_crop,
    "Normalization": normalize,
    "Rescaling": rescale,
    "Resizing": resize,
    "UpSampling2D": upsample,
}
