"""Ways to shrink a frame's centre crop to 224: time, and difference from Pillow; then whole frames.

Run by hand: ``python tests/bench/bench_convert.py [rounds] [threads]``. All contenders take turns
in every round, so that a slow moment of the machine falls on all of them.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinlens.engine.image import Converter, PixelBuffer, PixelFormat, Recipe
from twinlens.engine.image.resize import shrink

Pixels = NDArray[np.uint8]
SIDE = 224
FRAMES = ((1280, 720), (1920, 1080))
WARM_ROUNDS = 3


def resize(pixels: Pixels, side: int, how: int = cv2.INTER_LINEAR) -> Pixels:
    return cv2.resize(pixels, (side, side), interpolation=how)


def box(pixels: Pixels, factor: int) -> Pixels:
    side = pixels.shape[0] // factor
    return resize(pixels[: side * factor, : side * factor], side, cv2.INTER_AREA)


def box_then_linear(pixels: Pixels) -> Pixels:
    return resize(box(pixels, pixels.shape[0] // SIDE), SIDE)


def half_blur_linear(pixels: Pixels) -> Pixels:
    half = box(pixels, 2)
    ratio = half.shape[0] / SIDE
    sigma = ((ratio * ratio - 1) / 6) ** 0.5
    return resize(cv2.GaussianBlur(half, (3, 3), sigma, borderType=cv2.BORDER_REPLICATE), SIDE)


def pyramid_then_linear(pixels: Pixels) -> Pixels:
    while pixels.shape[0] >= 2 * SIDE:
        pixels = cv2.pyrDown(pixels)
    return resize(pixels, SIDE)


WAYS: dict[str, Callable[[Pixels], Pixels]] = {
    "shrink (in use)": lambda p: shrink(p, SIDE, SIDE),
    "INTER_AREA": lambda p: resize(p, SIDE, cv2.INTER_AREA),
    "INTER_LINEAR": lambda p: resize(p, SIDE),
    "INTER_LINEAR_EXACT": lambda p: resize(p, SIDE, cv2.INTER_LINEAR_EXACT),
    "integer box, linear": box_then_linear,
    "half, Gaussian, linear": half_blur_linear,
    "linear to 2×, pairs": lambda p: resize(resize(p, 2 * SIDE), SIDE, cv2.INTER_AREA),
    "linear to 3×, boxes": lambda p: resize(resize(p, 3 * SIDE), SIDE, cv2.INTER_AREA),
    "pyrDown, linear": pyramid_then_linear,
}


def frame(width: int, height: int) -> Pixels:
    """Smooth ground, sharp discs and a little noise, as a camera gives."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    picture = resize_to(small, width, height)
    for _ in range(40):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.circle(picture, centre, int(rng.integers(4, 60)), colour, -1)
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def resize_to(pixels: Pixels, width: int, height: int) -> Pixels:
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)


def in_turns(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender."""
    times: dict[str, list[float]] = {title: [] for title in contenders}
    for turn in range(rounds + WARM_ROUNDS):
        for title, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn >= WARM_ROUNDS:
                times[title].append((time.perf_counter() - start) * 1e3)
    return {title: median(each) for title, each in times.items()}


def compare_ways(picture: Pixels, rounds: int) -> None:
    height, width = picture.shape[:2]
    left = (width - height) // 2
    crop = picture[:, left : left + height]
    whole = Image.fromarray(np.ascontiguousarray(crop))
    pillow = np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR)).astype(float)
    medians = in_turns({title: lambda w=way: w(crop) for title, way in WAYS.items()}, rounds)
    print(f"\n{height}p centre crop to {SIDE}        ms   mean    p99    max  (grey levels)")
    for title, way in WAYS.items():
        off = np.abs(way(crop) - pillow)
        figures = f"{off.mean():6.2f} {np.percentile(off, 99):6.1f} {off.max():6.0f}"
        print(f"{title:26} {medians[title]:8.3f} {figures}")


def stored(form: PixelFormat, width: int, height: int, picture: Pixels) -> Pixels:
    if form is PixelFormat.BGR8:
        return picture
    if form.is_planar:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    channels = form.bytes_per_pixel
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(0).integers(16, 235, shape, dtype=np.uint8)


def compare_formats(picture: Pixels, rounds: int) -> None:
    height, width = picture.shape[:2]
    converter = Converter(Recipe(SIDE, SIDE))
    contenders: dict[str, Callable[[], object]] = {}
    for form in PixelFormat:
        buffer = PixelBuffer.from_array(stored(form, width, height, picture), form)
        contenders[form.value] = lambda b=buffer: converter.convert(b)
    turned = PixelBuffer.from_array(picture, orientation=6)
    contenders["BGR8, orientation 6"] = lambda: converter.convert(turned)
    print(f"\n{height}p frame to float32 NCHW     ms")
    for title, value in in_turns(contenders, rounds).items():
        print(f"{title:26} {value:8.3f}")


def main(rounds: int, threads: int) -> None:
    if threads:
        cv2.setNumThreads(threads)
    print(f"OpenCV {cv2.__version__}, {cv2.getNumThreads()} threads, {rounds} rounds")
    for size in FRAMES:
        picture = frame(*size)
        compare_ways(picture, rounds)
        compare_formats(picture, rounds)


if __name__ == "__main__":
    main(*(int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 60), (2, 0))))
