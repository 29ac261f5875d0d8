"""The one conversion: geometry, resize against Pillow, colours, values, layouts."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from twinlens.engine.errors import ModelError
from twinlens.engine.image import Converter, CropAndScale, PixelBuffer, Recipe, Region
from twinlens.engine.image.geometry import Rect, place, upright_to_stored
from twinlens.engine.image.pixels import turn_upright
from twinlens.engine.image.resize import shrink

PLAIN = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}

# Largest allowed difference from Pillow's antialiased BILINEAR on a detailed picture, in grey
# levels: on average, and for the 99th percentile of values. Between 1 and 2 the filter is met
# less well, because one Gaussian of three taps stands for the difference of two filters.
MEAN_TOLERANCE = 0.8
TAIL_TOLERANCE = 6.0
TAIL_TOLERANCE_UNDER_2 = 8.0


def detailed_picture(width: int, height: int) -> np.ndarray:
    """Smooth shapes with sharp edges and some noise, (height, width, 3) uint8."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        x, y = rng.integers(0, width), rng.integers(0, height)
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.circle(picture, (int(x), int(y)), int(rng.integers(4, 60)), colour, -1)
    noise = rng.normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((720, 720), (224, 224)),
        ((720, 720), (208, 208)),
        ((1080, 1080), (224, 224)),
        ((1280, 720), (224, 224)),
        ((480, 480), (224, 224)),
        ((300, 300), (224, 224)),
        ((280, 280), (224, 224)),
        ((600, 600), (224, 224)),
        ((671, 673), (224, 224)),
        ((1440, 1440), (160, 160)),
        ((2160, 2160), (192, 192)),
        ((640, 300), (224, 224)),
        ((1000, 180), (224, 224)),
    ],
)
def test_shrinking_is_close_to_pillow(size: tuple[int, int], target: tuple[int, int]) -> None:
    picture = detailed_picture(*size)
    ours = shrink(picture, *target).astype(float)
    pillow = np.asarray(Image.fromarray(picture).resize(target, Image.Resampling.BILINEAR))
    difference = np.abs(ours - pillow)
    assert difference.mean() < MEAN_TOLERANCE
    by_two = all(s >= 2 * t for s, t in zip(size, target, strict=True))
    tail = TAIL_TOLERANCE if by_two else TAIL_TOLERANCE_UNDER_2
    assert np.percentile(difference, 99) < tail


@pytest.mark.parametrize("size", [(720, 720), (300, 301), (1000, 180), (90, 80)])
def test_threads_do_not_change_the_result(size: tuple[int, int]) -> None:
    picture = detailed_picture(*size)
    threads = cv2.getNumThreads()
    results = []
    try:
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            results.append(shrink(picture, 224, 224))
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("size", [(720, 720), (300, 200), (100, 500), (30, 20)])
def test_one_channel_shrinks_like_three(size: tuple[int, int]) -> None:
    grey = detailed_picture(*size)[..., :1]
    three = shrink(np.ascontiguousarray(grey.repeat(3, 2)), 64, 48)
    one = shrink(grey, 64, 48)
    assert one.shape == (48, 64, 1)
    assert np.array_equal(one.repeat(3, 2), three)


def test_stripes_finer_than_the_input_become_grey() -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(shrink(stripes, 224, 224)[:, 2:-2].astype(int) - 100).max() <= 2


def test_enlarging_is_bilinear_and_the_own_size_is_untouched() -> None:
    picture = detailed_picture(100, 80)
    assert shrink(picture, 100, 80) is picture
    ours = shrink(picture, 150, 170).astype(float)
    pillow = np.asarray(Image.fromarray(picture).resize((150, 170), Image.Resampling.BILINEAR))
    assert np.abs(ours - pillow).max() <= 2


def test_center_crop_is_the_largest_centred_part() -> None:
    placement = place((1280, 720), (224, 224), CropAndScale.CENTER_CROP)
    assert placement.source == Rect(280, 0, 720, 720)
    assert placement.target == Rect(0, 0, 224, 224)
    tall = place((100, 400), (200, 100), CropAndScale.CENTER_CROP)
    assert tall.source == Rect(0, 175, 100, 50)


def test_scale_fit_leaves_bars_and_scale_fill_none() -> None:
    fit = place((1280, 720), (224, 224), CropAndScale.SCALE_FIT)
    assert fit.source == Rect(0, 0, 1280, 720)
    assert fit.target == Rect(0, 49, 224, 126)
    fill = place((1280, 720), (224, 224), CropAndScale.SCALE_FILL)
    assert (fill.source, fill.target) == (Rect(0, 0, 1280, 720), Rect(0, 0, 224, 224))


def test_region_of_interest_comes_first() -> None:
    region = Region(0.5, 0.25, 0.5, 0.5)
    placement = place((1000, 400), (100, 100), CropAndScale.CENTER_CROP, region)
    assert placement.source == Rect(650, 100, 200, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_rectangles_are_found_in_the_stored_rows(orientation: int) -> None:
    stored = np.arange(6 * 10).reshape(6, 10)
    upright = turn_upright(stored, orientation)  # type: ignore[arg-type]
    rect = Rect(1, 2, 3, 2)
    wanted = upright[2:4, 1:4]
    found = upright_to_stored(rect, (10, 6), orientation)
    cut = stored[found.y : found.y + found.height, found.x : found.x + found.width]
    assert np.array_equal(turn_upright(cut, orientation), wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_convert_like_upright_ones(orientation: int) -> None:
    recipe = Recipe(40, 30, **PLAIN)
    stored = detailed_picture(200, 120)
    turned = PixelBuffer.from_array(stored, orientation=orientation)
    upright = PixelBuffer.from_array(np.ascontiguousarray(turned.to_bgr()))
    region = Region(0.1, 0.0, 0.6, 0.9)
    ours = Converter(recipe, region).convert(turned).copy()
    assert np.abs(ours - Converter(recipe, region).convert(upright)).max() <= 2


def test_values_layout_and_colour_order() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[...] = (10, 20, 30)  # blue, green, red
    buffer = PixelBuffer.from_array(pixels)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    rgb = Converter(Recipe(2, 2, mean=mean, std=std)).convert(buffer)
    assert rgb.shape == (1, 3, 2, 2)
    for channel, value in enumerate((30, 20, 10)):
        expected = np.float32((value / 255 - mean[channel]) / std[channel])
        assert (rgb[0, channel] == expected).all()
    bgr = Converter(Recipe(2, 2, color="BGR", layout="NHWC", **PLAIN)).convert(buffer)
    assert bgr.shape == (1, 2, 2, 3)
    assert (bgr[0, 0, 0] == (10, 20, 30)).all()
    grey = Converter(Recipe(2, 2, color="GRAY", scale=1.0, mean=(0.0,), std=(1.0,))).convert(buffer)
    assert grey.shape == (1, 1, 2, 2)
    assert grey[0, 0, 0, 0] == round(0.299 * 30 + 0.587 * 20 + 0.114 * 10)
    raw = Converter(Recipe(2, 2, dtype="uint8", layout="NHWC")).convert(buffer)
    assert raw.dtype == np.uint8
    assert (raw[0, 1, 1] == (30, 20, 10)).all()


def test_letterbox_bars_have_the_padding_value() -> None:
    buffer = PixelBuffer.from_array(np.full((10, 20, 3), 200, np.uint8))
    recipe = Recipe(8, 8, CropAndScale.SCALE_FIT, padding=114, **PLAIN)
    picture = Converter(recipe).picture(buffer)
    assert (picture[:2] == 114).all()
    assert (picture[2:6] == 200).all()
    assert (picture[6:] == 114).all()


@pytest.mark.parametrize("form", ["RGB8", "BGRA8", "RGBA8", "YUYV", "UYVY", "NV12", "I420"])
def test_formats_convert_like_their_bgr(form: str) -> None:
    bgr = detailed_picture(64, 48)
    codes = {"RGB8": cv2.COLOR_BGR2RGB, "BGRA8": cv2.COLOR_BGR2BGRA, "RGBA8": cv2.COLOR_BGR2RGBA}
    if form in codes:
        stored = cv2.cvtColor(bgr, codes[form])
    elif form in ("NV12", "I420"):
        stored = np.random.default_rng(0).integers(16, 235, (72, 64), dtype=np.uint8)
    else:
        stored = np.random.default_rng(0).integers(16, 235, (48, 64, 2), dtype=np.uint8)
    buffer = PixelBuffer.from_array(stored, form)
    plain = PixelBuffer.from_array(np.ascontiguousarray(buffer.to_bgr()))
    recipe = Recipe(21, 21, **PLAIN)
    region = Region(0.11, 0.0, 0.7, 1.0)
    ours = Converter(recipe, region).convert(buffer).copy()
    assert np.array_equal(ours, Converter(recipe, region).convert(plain))


def test_the_next_picture_does_not_see_the_last() -> None:
    converter = Converter(Recipe(8, 8, **PLAIN))
    first = converter.convert(PixelBuffer.from_array(np.full((9, 9, 3), 50, np.uint8))).copy()
    second = converter.convert(PixelBuffer.from_array(np.full((9, 9, 3), 90, np.uint8)))
    assert (first == 50).all()
    assert (second == 90).all()


def test_recipes_survive_plain_values_and_name_what_is_wrong() -> None:
    recipe = Recipe(32, 16, CropAndScale.SCALE_FIT, "BGR", padding=7)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    for change, told in (
        ({"color": "CMYK"}, "CMYK"),
        ({"mean": (1.0,)}, "mean has 1"),
        ({"std": (0.0, 1.0, 1.0)}, "std"),
        ({"width": 0}, "0×16"),
        ({"width": 32.5}, "32.5×16, expected whole numbers"),
        ({"scale": float("nan")}, "finite"),
        ({"std": (float("inf"), 1.0, 1.0)}, "finite"),
        ({"padding": 256}, "padding is 256"),
        ({"layout": "CHW"}, "CHW"),
        ({"dtype": "float16"}, "float16"),
        ({"interpolation": "cubic"}, "cubic"),
        ({"colour": "RGB"}, "unknown colour"),
        ({"crop_and_scale": "crop"}, "crop"),
    ):
        with pytest.raises(ModelError, match=told):
            Recipe.from_dict(recipe.to_dict() | change)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(ModelError, match="recipe"):
        Recipe.from_dict({"width": 3})


@pytest.mark.parametrize(
    "values", [(0.5, 0, 0.6, 1), (-0.1, 0, 1, 1), (0, 0, 0, 1), (0, 0, float("nan"), 1)]
)
def test_regions_lie_inside_the_picture(values: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="region"):
        Region(*values)


def test_nearest_takes_whole_pixels() -> None:
    picture = detailed_picture(64, 64)
    recipe = Recipe(16, 16, interpolation="nearest", **PLAIN)
    small = Converter(recipe).picture(PixelBuffer.from_array(picture, "RGB8"))
    assert np.array_equal(small, picture[2::4, 2::4])


def test_recipes_and_buffers_load_without_opencv() -> None:
    modules = "sys, twinlens.engine.image, twinlens.engine.api.protocol"
    code = f"import {modules}; print('cv2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_frames_the_camera_lends_are_not_written_to() -> None:
    pixels = detailed_picture(64, 48)
    before = pixels.copy()
    pixels.setflags(write=False)
    buffer = PixelBuffer.from_array(pixels, "RGB8")
    converter = Converter(Recipe(64, 48, CropAndScale.SCALE_FILL, **PLAIN))
    assert np.array_equal(converter.picture(buffer), before)
    assert np.array_equal(converter.convert(buffer)[0], before.transpose(2, 0, 1))
    assert np.array_equal(pixels, before)
