"""Buffers, geometry, conversion and picture files under any sizes, turns and damage."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from twinlens.engine.errors import ImageError, ModelError
from twinlens.engine.image import (
    Converter,
    CropAndScale,
    PixelBuffer,
    PixelFormat,
    Recipe,
    Region,
    read_image,
)
from twinlens.engine.image.geometry import Rect, place, upright_to_stored
from twinlens.engine.image.pixels import turn_upright
from twinlens.engine.image.resize import shrink

SIDES = st.integers(1, 400)
SIZES = st.tuples(SIDES, SIDES)
ORIENTATIONS = st.integers(1, 8)
CROPS = st.sampled_from(CropAndScale)
FORMATS = st.sampled_from(PixelFormat)
PLAIN: dict[str, Any] = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@st.composite
def regions(draw: st.DrawFn) -> Region:
    x, y = draw(st.floats(0, 0.95)), draw(st.floats(0, 0.95))
    width, height = draw(st.floats(0.001, 1 - x)), draw(st.floats(0.001, 1 - y))
    return Region(x, y, width, height)


@st.composite
def buffers(draw: st.DrawFn) -> PixelBuffer:
    """A buffer of any format, size, row padding and orientation, with just enough bytes."""
    form = draw(FORMATS)
    width, height = 2 * draw(st.integers(1, 40)), 2 * draw(st.integers(1, 40))
    stride = width * form.bytes_per_pixel + 2 * draw(st.integers(0, 9))
    probe = np.empty(stride * height * 2, np.uint8)
    needed = PixelBuffer(probe, form, width, height, stride).required_bytes
    data = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, needed, dtype=np.uint8)
    return PixelBuffer(data, form, width, height, stride, draw(ORIENTATIONS))


def inside(rect: Rect, size: tuple[int, int]) -> bool:
    return (
        rect.x >= 0
        and rect.y >= 0
        and rect.width > 0
        and rect.height > 0
        and rect.x + rect.width <= size[0]
        and rect.y + rect.height <= size[1]
    )


@given(SIZES, SIZES, CROPS, regions())
def test_placements_stay_inside(
    size: tuple[int, int], target: tuple[int, int], crop: CropAndScale, region: Region
) -> None:
    placement = place(size, target, crop, region)
    assert inside(placement.source, size)
    assert inside(placement.target, target)
    if crop is not CropAndScale.SCALE_FIT:
        assert placement.target == Rect(0, 0, *target)


@given(SIZES, SIZES, st.sampled_from([CropAndScale.CENTER_CROP, CropAndScale.SCALE_FIT]))
def test_nothing_is_distorted_by_more_than_a_pixel(
    size: tuple[int, int], target: tuple[int, int], crop: CropAndScale
) -> None:
    placement = place(size, target, crop)
    source, filled = placement.source, placement.target
    # The side that was computed is at most half a pixel from the exact one, or one pixel long.
    cut = source if crop is CropAndScale.CENTER_CROP else filled
    shape = filled if crop is CropAndScale.CENTER_CROP else source
    width, height = cut.height * shape.width / shape.height, cut.width * shape.height / shape.width
    assert (
        abs(cut.width - width) <= 0.5
        or abs(cut.height - height) <= 0.5
        or min(cut.width, cut.height) == 1
    )


@given(SIZES, SIZES, st.sampled_from([CropAndScale.CENTER_CROP, CropAndScale.SCALE_FIT]))
def test_margins_are_even(
    size: tuple[int, int], target: tuple[int, int], crop: CropAndScale
) -> None:
    placement = place(size, target, crop)
    rect, outer = placement.source, size
    if crop is CropAndScale.SCALE_FIT:
        rect, outer = placement.target, target
    assert outer[0] - rect.width - 2 * rect.x in (0, 1)
    assert outer[1] - rect.height - 2 * rect.y in (0, 1)


@given(st.data(), SIZES, ORIENTATIONS)
def test_rectangles_follow_the_turn(
    data: st.DataObject, size: tuple[int, int], orientation: int
) -> None:
    width, height = size if orientation < 5 else size[::-1]
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    rect = Rect(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    stored = np.arange(size[0] * size[1], dtype=np.int32).reshape(size[::-1])
    found = upright_to_stored(rect, size, orientation)
    cut = stored[found.y : found.y + found.height, found.x : found.x + found.width]
    wanted = turn_upright(stored, orientation)  # type: ignore[arg-type]
    wanted = wanted[y : y + rect.height, x : x + rect.width]
    assert np.array_equal(turn_upright(cut, orientation), wanted)  # type: ignore[arg-type]


@given(buffers())
def test_any_buffer_becomes_an_upright_picture(buffer: PixelBuffer) -> None:
    bgr = buffer.to_bgr()
    assert bgr.shape == (*buffer.upright_size[::-1], 3)
    assert np.array_equal(buffer.to_rgb(), bgr[..., ::-1])


@given(buffers())
def test_one_byte_less_is_refused(buffer: PixelBuffer) -> None:
    with pytest.raises(ImageError, match="needs"):
        PixelBuffer(buffer.data[:-1], buffer.format, buffer.width, buffer.height, buffer.stride)


@settings(deadline=None)
@given(buffers(), regions(), CROPS, st.integers(1, 50), st.integers(1, 50))
def test_formats_convert_like_their_colours(
    buffer: PixelBuffer, region: Region, crop: CropAndScale, width: int, height: int
) -> None:
    # Resizing rounds, and turning it mirrors which way; the stored order is compared instead.
    buffer = PixelBuffer(buffer.data, buffer.format, buffer.width, buffer.height, buffer.stride)
    converter = Converter(Recipe(width, height, **PLAIN), region, crop)
    ours = converter.convert(buffer).copy()
    plain = PixelBuffer.from_array(buffer.to_rgb(), "RGB8")
    assert ours.shape == (1, 3, height, width)
    assert np.array_equal(ours, converter.convert(plain))


@settings(deadline=None)
@given(buffers(), CROPS, st.sampled_from(["RGB", "BGR"]), st.sampled_from(["NCHW", "NHWC"]))
def test_values_are_those_of_the_picture(
    buffer: PixelBuffer, crop: CropAndScale, color: str, layout: str
) -> None:
    recipe = Recipe(24, 16, crop, color, layout=layout)
    converter = Converter(recipe)
    seen: NDArray[np.floating[Any]] = converter.picture(buffer).astype(np.float64)
    if color == "BGR":
        seen = seen[..., ::-1]
    expected = (seen / 255 - np.array(recipe.mean)) / np.array(recipe.std)
    if layout == "NCHW":
        expected = expected.transpose(2, 0, 1)
    np.testing.assert_allclose(converter.convert(buffer)[0], expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(0, 255))
def test_even_colours_stay_what_they_are(
    size: tuple[int, int], target: tuple[int, int], value: int
) -> None:
    picture = np.full((*size[::-1], 3), value, np.uint8)
    small = shrink(picture, *target)
    assert small.shape == (*target[::-1], 3)
    assert (small == value).all()


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(0, 9))
def test_resizing_keeps_the_range(
    size: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(60, 180, (*size[::-1], 1), dtype=np.uint8)
    small = shrink(picture, *target)
    assert small.shape == (*target[::-1], 1)
    assert small.min() >= picture.min()
    assert small.max() <= picture.max()


def encoded(form: str) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(2).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, form, exif=exif)
    return out.getvalue()


FILES = {form: encoded(form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")}


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(sorted(FILES)))
def test_damaged_files_are_read_or_refused(data: st.DataObject, form: str) -> None:
    damaged = bytearray(FILES[form])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        buffer = read_image(cut)
    except ImageError as error:
        assert "picture of" in error.message  # the picture is named
    else:
        assert buffer.to_bgr().shape == (*buffer.upright_size[::-1], 3)


@settings(deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([0, 2, 4, 8, 12, 20]), st.sampled_from(sorted(FILES))
)
def test_headers_with_any_rest_are_read_or_refused(rest: bytes, keep: int, form: str) -> None:
    try:
        read_image(FILES[form][:keep] + rest)
    except ImageError as error:
        assert "picture of" in error.message


@given(st.floats(0, 1000), st.sampled_from([1.0, -1.0, 1 / 255]), st.floats(-255, 255))
def test_contrast_pushes_values_along_its_sigmoid(
    contrast: float, scale: float, mean: float
) -> None:
    ramp = PixelBuffer.from_array(np.arange(256, dtype=np.uint8)[None], PixelFormat.GRAY8)
    recipe = Recipe(256, 1, color="GRAY", contrast=contrast, scale=scale, mean=(mean,), std=(2.0,))
    pixels = np.arange(256) / 255
    pushed = 1 / (1 + np.exp(-contrast * (pixels - 0.5))) if contrast else pixels
    expected = (255 * pushed * scale - mean) / 2
    np.testing.assert_allclose(
        Converter(recipe).convert(ramp)[0, 0, 0], expected, rtol=1e-6, atol=1e-4
    )
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("contrast", [-1.0, 1001.0, float("nan"), float("inf")])
def test_contrast_out_of_range_is_told(contrast: float) -> None:
    with pytest.raises(ModelError, match="contrast is"):
        Recipe(8, 8, contrast=contrast)
