"""The layout law, as numbers: six places, none in another's way, in windows of any shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.app.overlays.places import Box, places

SIZES = [(1280, 720), (1920, 1080), (3840, 2160), (800, 450), (480, 854), (900, 900), (960, 720)]


def rounded(box: Box) -> tuple[int, int, int, int]:
    """Left, right, top and bottom in whole pixels."""
    return round(box.x), round(box.right), round(box.y), round(box.bottom)


def test_at_1280_by_720_they_stand_where_the_law_says() -> None:
    made = places(1280, 720)
    assert rounded(made.label) == (22, 790, 560, 700)
    assert rounded(made.drawer) == (814, 1258, 72, 652)
    assert not made.stacked


@pytest.mark.parametrize("drawer", [False, True])
@given(st.integers(320, 4000), st.integers(240, 4000))
def test_no_place_covers_another_and_none_leaves_the_window(
    drawer: bool, width: int, height: int
) -> None:
    made = places(width, height, drawer=drawer)
    window = Box(0, 0, width, height)
    for box in (made.label, made.drawer, made.inset, made.picture, made.foot):
        assert window.contains(box)
        assert box.width > 0
        assert box.height > 0
    assert not made.drawer.overlaps(made.label)
    assert not made.message.overlaps(made.label)
    assert made.label.contains(made.foot)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(16, 9), (4, 3), (1, 1), (9, 16), (3, 1)])
@pytest.mark.parametrize("drawer", [False, True])
def test_a_picture_of_any_shape_is_shown_whole(
    size: tuple[int, int], shape: tuple[int, int], drawer: bool
) -> None:
    made = places(*size, drawer=drawer)
    shown = made.fitted(*shape)
    assert made.picture.contains(shown)
    assert shown.width / shown.height == pytest.approx(shape[0] / shape[1])
    if drawer and not made.stacked:
        assert not shown.overlaps(made.drawer)


def test_beside_a_drawer_a_video_is_clear_of_label_and_controls() -> None:
    made = places(1280, 720, drawer=True)
    shown = made.fitted(16, 9)
    assert shown.y >= 72
    assert shown.bottom <= 560


@pytest.mark.parametrize(("size", "stacked"), [((480, 854), True), ((800, 450), False)])
def test_a_narrow_window_stacks(size: tuple[int, int], stacked: bool) -> None:
    made = places(*size)
    assert made.stacked is stacked
    assert made.drawer.width >= 60 * made.unit
    assert made.drawer.height >= 70 * made.unit
