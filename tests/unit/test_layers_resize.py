"""Resize: values that follow from each coordinate rule by hand."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.compare import check_layer
from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers import Resize

ROW = np.array([[1.0, 2.0, 4.0, 8.0]])


def resize(**settings):
    return Resize(axes=[1], **settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # coordinates 0.5, 2.5 and their roundings
        ({"sizes": [2], "nearest_mode": "round_prefer_floor"}, [1, 4]),
        ({"sizes": [2], "nearest_mode": "round_prefer_ceil"}, [2, 8]),
        ({"sizes": [2], "nearest_mode": "floor"}, [1, 4]),
        ({"sizes": [2], "nearest_mode": "ceil"}, [2, 8]),
        ({"scales": [2.0], "coordinates": "asymmetric", "nearest_mode": "floor"},
         [1, 1, 2, 2, 4, 4, 8, 8]),
        ({"sizes": [2], "mode": "linear"}, [1.5, 6]),
        ({"sizes": [8], "mode": "linear"}, [1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8]),
        ({"sizes": [7], "mode": "linear", "coordinates": "align_corners"},
         [1, 1.5, 2, 3, 4, 6, 8]),
        ({"sizes": [1], "mode": "linear", "coordinates": "align_corners"}, [1]),
        ({"sizes": [1], "mode": "linear", "coordinates": "pytorch_half_pixel"}, [1]),
        ({"sizes": [8], "mode": "linear", "coordinates": "asymmetric"},
         [1, 1.5, 2, 3, 4, 6, 8, 8]),
        # 4 * 0.6 = 2.4 gives two samples at 0.5 / 0.6 - 0.5 = 1/3 and 2
        ({"scales": [0.6], "mode": "linear"}, [1 + 1 / 3, 4]),
        # the same, moved so that the two samples are centred: 2 * (1 - 2 / 2.4) = 1/3
        ({"scales": [0.6], "mode": "linear", "coordinates": "half_pixel_symmetric"},
         [1 + 2 / 3, 4 + 4 / 3]),
        # halving: a triangle of half-width 2 weighs 1 3 3 1; the outer taps repeat the edge
        ({"sizes": [2], "mode": "linear", "antialias": True},
         [(1 + 3 + 6 + 4) / 8, (2 + 12 + 24 + 8) / 8]),
        ({"sizes": [2], "mode": "linear", "antialias": True, "exclude_outside": True},
         [(3 + 6 + 4) / 7, (2 + 12 + 24) / 7]),
        # Keys' kernel at a distance of 0.5 and 1.5 with a = -0.5: 9/16 and -1/16
        ({"sizes": [2], "mode": "cubic", "cubic_a": -0.5},
         [(-1 + 9 + 18 - 4) / 16, (-2 + 36 + 72 - 8) / 16]),
        ({"sizes": [2], "mode": "cubic", "cubic_a": -0.5, "exclude_outside": True},
         [(9 + 18 - 4) / 17, (-2 + 36 + 72) / 17]),
        ({"sizes": [3], "mode": "linear", "coordinates": "tf_crop_and_resize",
          "region": [(0.0, 2 / 3)]}, [1, 2, 4]),
        ({"sizes": [3], "mode": "linear", "coordinates": "tf_crop_and_resize",
          "region": [(2 / 3, 4 / 3)], "extrapolation_value": -5.0}, [4, 8, -5]),
        ({"sizes": [1], "mode": "linear", "coordinates": "tf_crop_and_resize",
          "region": [(0.0, 1.0)]}, [3]),
    ],
)  # fmt: skip
def test_values_by_hand(settings, expected):
    check_layer(resize(**settings), np.array([expected], np.float64), ROW)


@pytest.mark.parametrize(
    ("mode", "antialias"),
    [("nearest", False), ("linear", False), ("linear", True), ("cubic", False), ("cubic", True)],
)
def test_a_flat_image_stays_flat(mode, antialias):
    x = np.full((1, 2, 7, 5), 3.0)
    layer = Resize(sizes=[1, 2, 4, 11], mode=mode, antialias=antialias)
    check_layer(layer, np.full((1, 2, 4, 11), 3.0), x)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_axes_are_resampled_one_after_the_other(mode):
    x = np.random.default_rng(5).standard_normal((1, 1, 6, 5))
    both = Resize(sizes=[9, 3], axes=[2, -1], mode=mode).forward(x)
    rows = Resize(sizes=[9], axes=[2], mode=mode).forward(x)
    np.testing.assert_allclose(both, Resize(sizes=[3], axes=[3], mode=mode).forward(rows))


@pytest.mark.parametrize(
    ("policy", "expected"), [("stretch", (7, 8)), ("not_larger", (7, 4)), ("not_smaller", (16, 8))]
)
def test_aspect_policies(policy, expected):
    layer = Resize(sizes=[7, 8], axes=[0, 1], keep_aspect=policy)
    assert layer.output_shape((4, 2)) == expected
    assert layer.forward(np.ones((4, 2), np.float32)).shape == expected


def test_scale_of_one_is_a_copy_and_integers_pass_nearest():
    result = Resize(scales=[1.0, 1.0]).forward(ROW)
    assert not np.shares_memory(result, ROW)
    np.testing.assert_array_equal(result, ROW)
    whole = np.array([[1, 2]], np.uint8)
    doubled = Resize(scales=[1.0, 2.0]).forward(whole)
    assert doubled.dtype == np.uint8
    np.testing.assert_array_equal(doubled, [[1, 1, 2, 2]])


@pytest.mark.parametrize(
    ("settings", "received"),
    [
        ({}, "scales are None and sizes None"),
        ({"scales": [1.0], "sizes": [1]}, "exactly one"),
        ({"scales": [0.0]}, "(0.0,)"),
        ({"scales": [float("inf")]}, "inf"),
        ({"sizes": [2], "axes": [0, 1]}, "(0, 1)"),
        ({"sizes": [2], "mode": "area"}, "'area'"),
        ({"sizes": [2], "coordinates": "corner"}, "'corner'"),
        ({"sizes": [2], "nearest_mode": "up"}, "'up'"),
        ({"sizes": [2], "keep_aspect": "fit"}, "'fit'"),
        ({"sizes": [2], "coordinates": "tf_crop_and_resize"}, "region is None"),
    ],
)
def test_wrong_settings_are_named(settings, received):
    with pytest.raises(ParameterError, match=r"required|requires") as caught:
        Resize(**settings)
    assert received in str(caught.value)


def test_wrong_inputs_are_named():
    with pytest.raises(ShapeError, match="1 non-empty axes are required"):
        Resize(sizes=[2]).output_shape((3, 3))
    with pytest.raises(ShapeError, match="leaves an empty axis"):
        Resize(scales=[0.1]).output_shape((3,))
    with pytest.raises(ShapeError, match="input dtype is int64"):
        Resize(sizes=[2], mode="linear").forward(np.array([1, 2, 3]))
