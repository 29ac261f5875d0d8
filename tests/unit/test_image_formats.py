"""Every pixel format, bit for bit against integer arithmetic written out here."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from twinlens.engine.errors import ImageError
from twinlens.engine.image import PixelBuffer, PixelFormat

Pixels = NDArray[np.uint8]
RNG = np.random.default_rng(5)
WIDTH, HEIGHT = 10, 6


def random_bytes(*shape: int) -> Pixels:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def yuv_to_bgr(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    """BT.601 limited range in 20-bit fixed point; planes of the full size."""
    shift = 20
    luma = np.maximum(y.astype(np.int64) - 16, 0) * 1_220_542
    cb, cr = u.astype(np.int64) - 128, v.astype(np.int64) - 128
    half = 1 << (shift - 1)
    blue = (luma + half + 2_116_026 * cb) >> shift
    green = (luma + half - 852_492 * cr - 409_993 * cb) >> shift
    red = (luma + half + 1_673_527 * cr) >> shift
    return np.clip(np.stack([blue, green, red], -1), 0, 255).astype(np.uint8)


def doubled(plane: Pixels, rows: int) -> Pixels:
    return plane.repeat(rows, 0).repeat(2, 1)


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize(
    ("form", "order"),
    [("BGR8", (0, 1, 2)), ("RGB8", (2, 1, 0)), ("BGRA8", (0, 1, 2)), ("RGBA8", (2, 1, 0))],
)
def test_packed_colours(form: str, order: tuple[int, ...], padding: int) -> None:
    channels = 4 if "A" in form else 3
    stride = WIDTH * channels + padding
    data = random_bytes(HEIGHT * stride)
    buffer = PixelBuffer(data, PixelFormat(form), WIDTH, HEIGHT, stride)
    rows = data.reshape(HEIGHT, stride)[:, : WIDTH * channels].reshape(HEIGHT, WIDTH, channels)
    assert np.array_equal(buffer.to_bgr(), rows[..., list(order)])
    assert np.array_equal(buffer.to_rgb(), rows[..., list(order)][..., ::-1])


def test_grey() -> None:
    pixels = random_bytes(HEIGHT, WIDTH)
    grey = PixelBuffer.from_array(pixels, "GRAY8")
    assert np.array_equal(grey.to_bgr(), np.stack([pixels] * 3, -1))


@pytest.mark.parametrize("form", ["YUYV", "UYVY"])
@pytest.mark.parametrize("padding", [0, 6])
def test_packed_yuv(form: str, padding: int) -> None:
    stride = WIDTH * 2 + padding
    data = random_bytes(HEIGHT * stride)
    pairs = data.reshape(HEIGHT, stride)[:, : WIDTH * 2].reshape(HEIGHT, WIDTH // 2, 4)
    places = (0, 1, 2, 3) if form == "YUYV" else (1, 0, 3, 2)
    first, u, second, v = (pairs[..., place] for place in places)
    luma = np.stack([first, second], -1).reshape(HEIGHT, WIDTH)
    buffer = PixelBuffer(data, PixelFormat(form), WIDTH, HEIGHT, stride)
    assert np.array_equal(buffer.to_bgr(), yuv_to_bgr(luma, doubled(u, 1), doubled(v, 1)))


@pytest.mark.parametrize("padding", [0, 6])
def test_nv12(padding: int) -> None:
    stride = WIDTH + padding
    data = random_bytes(HEIGHT * stride * 3 // 2)
    rows = data.reshape(-1, stride)[:, :WIDTH]
    chroma = rows[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2)
    expected = yuv_to_bgr(rows[:HEIGHT], doubled(chroma[..., 0], 2), doubled(chroma[..., 1], 2))
    buffer = PixelBuffer(data, PixelFormat.NV12, WIDTH, HEIGHT, stride)
    assert np.array_equal(buffer.to_bgr(), expected)


@pytest.mark.parametrize("padding", [0, 6])
def test_i420(padding: int) -> None:
    stride = WIDTH + padding
    data = random_bytes(HEIGHT * stride * 3 // 2)
    luma = data[: HEIGHT * stride].reshape(HEIGHT, stride)[:, :WIDTH]
    planes = data[HEIGHT * stride :].reshape(2, HEIGHT // 2, stride // 2)[..., : WIDTH // 2]
    expected = yuv_to_bgr(luma, doubled(planes[0], 2), doubled(planes[1], 2))
    buffer = PixelBuffer(data, PixelFormat.I420, WIDTH, HEIGHT, stride)
    assert np.array_equal(buffer.to_bgr(), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_as_pillow_turns_it(orientation: int) -> None:
    pixels = random_bytes(HEIGHT, WIDTH, 3)
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    buffer = PixelBuffer.from_array(pixels, "RGB8", orientation=orientation)
    assert np.array_equal(buffer.to_rgb(), expected)
    assert buffer.upright_size == expected.shape[1::-1]


def test_views_with_gaps_are_wrapped_without_a_copy() -> None:
    big = random_bytes(20, 30, 3)
    view = big[4:10, 5:15]
    buffer = PixelBuffer.from_array(view)
    assert np.shares_memory(buffer.data, big)
    assert np.array_equal(buffer.to_bgr(), view)


def test_mirrored_views_are_copied() -> None:
    pixels = random_bytes(6, 10, 3)
    buffer = PixelBuffer.from_array(pixels[:, ::-1])
    assert np.array_equal(buffer.to_bgr(), pixels[:, ::-1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((random_bytes(10), PixelFormat.BGR8, 2, 2, 6), "needs 12 bytes, received 10"),
        ((random_bytes(99), PixelFormat.BGR8, 4, 2, 6), "stride 6"),
        ((random_bytes(99), PixelFormat.YUYV, 3, 2, 6), "width must be even"),
        ((random_bytes(99), PixelFormat.NV12, 4, 3, 4), "must be even"),
        ((random_bytes(99), PixelFormat.GRAY8, 0, 3, 4), "0×3"),
        ((random_bytes(99), PixelFormat.GRAY8, 4, 3, 4, 9), "orientation 9"),
        ((random_bytes(99)[::-1], PixelFormat.GRAY8, 4, 3, 4), "contiguous"),
        ((random_bytes(99)[::2], PixelFormat.GRAY8, 4, 3, 4), "contiguous"),
        ((random_bytes(9, 11), PixelFormat.GRAY8, 4, 3, 4), "2 of uint8"),
        ((random_bytes(99), PixelFormat.GRAY8, 40_000, 1, 40_000), "40000×1"),
        ((random_bytes(99), PixelFormat.I420, 4, 4, 5), "must be even"),
        ((random_bytes(23), PixelFormat.I420, 4, 4, 4), "needs 24 bytes, received 23"),
        ((random_bytes(27), PixelFormat.NV12, 4, 4, 5), "must be even"),
        ((np.zeros(99, np.float32), PixelFormat.GRAY8, 4, 3, 4), "uint8"),
    ],
)
def test_what_does_not_fit_is_named(arguments: tuple[object, ...], told: str) -> None:
    with pytest.raises(ImageError, match=told):
        PixelBuffer(*arguments)  # type: ignore[arg-type]


def test_arrays_of_another_shape_are_named() -> None:
    with pytest.raises(ImageError, match=r"\(2, 2, 5\)"):
        PixelBuffer.from_array(np.zeros((2, 2, 5), np.uint8))
    with pytest.raises(ImageError, match="BGR9"):
        PixelBuffer.from_array(np.zeros((2, 2, 3), np.uint8), "BGR9")
