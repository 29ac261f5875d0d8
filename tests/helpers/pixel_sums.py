"""Checksums of pictures on their way to a network, which every processor has to give.

``python tests/helpers/pixel_sums.py`` writes the table anew: only for a change of pixels that is
meant. ``... --compare`` prints what differs here; it needs NumPy and OpenCV only, so that it runs
under emulation as well.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from twinlens.engine.image import CropAndScale, PixelBuffer, PixelFormat, Recipe
from twinlens.engine.image.convert import Converter
from twinlens.engine.image.resize import nearest, shrink
from twinlens.engine.image.thumbnail import thumbnail

TABLE = Path(__file__).with_name("pixel_sums.json")

# (width, height) before and after: halving, thirds, hardly any, only one axis, enlarging, tiny,
# odd sizes whose last column has no partner.
SIZES = [
    ((227, 227), (208, 208)),
    ((256, 256), (128, 128)),
    ((256, 256), (224, 224)),
    ((640, 480), (224, 224)),
    ((641, 479), (224, 160)),
    ((1280, 720), (299, 224)),
    ((1279, 719), (96, 97)),
    ((400, 100), (100, 100)),
    ((100, 400), (100, 99)),
    ((64, 48), (320, 240)),
    ((33, 31), (32, 32)),
    ((7, 5), (3, 2)),
    ((2, 2), (1, 1)),
    ((1, 9), (4, 3)),
    ((333, 777), (28, 28)),
    ((500, 375), (260, 260)),
    ((375, 500), (251, 334)),
]
FORMATS = (
    *(PixelFormat.RGB8, PixelFormat.BGR8, PixelFormat.BGRA8, PixelFormat.RGBA8, PixelFormat.GRAY8),
    *(PixelFormat.YUYV, PixelFormat.UYVY, PixelFormat.NV12, PixelFormat.I420),
)


def picture(width: int, height: int, channels: int, seed: int = 0) -> np.ndarray:
    """Noise on slopes: every sum of neighbours occurs, and so does every rounding."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    slopes = [(rows * (3 + c) + columns * (5 - c)) // 4 for c in range(channels)]
    noise = rng.integers(0, 256, (height, width, channels))
    mixed = np.where(noise & 64, noise, np.stack(slopes, axis=-1) % 256)
    return mixed.astype(np.uint8)


def sums() -> Iterator[tuple[str, int]]:
    """(Name of a case, CRC of its pixels), one after the other."""
    for (width, height), target in SIZES:
        for channels in (1, 3, 4):
            pixels = picture(width, height, channels)
            name = f"{width}x{height}x{channels} {target[0]}x{target[1]}"
            yield f"shrink {name}", _crc(shrink(pixels, *target))
            yield f"nearest {name}", _crc(nearest(pixels, *target))
    # What OpenCV halves: one and the other axis alone, a picture that is no memory of its own.
    yield "shrink a part", _crc(shrink(picture(700, 500, 3)[20:-31, 17:-18], 128, 128))
    yield (
        "shrink ones",
        _crc(shrink(np.tile(np.eye(2, dtype=np.uint8)[..., None], (64, 64, 3)), 64, 64)),
    )
    for form in FORMATS:
        for orientation in range(1, 9):
            buffer = _buffer(form, 322, 242, orientation)
            for how in CropAndScale:
                for color in ("RGB", "BGR", "GRAY"):
                    if orientation > 2 and color != "RGB":
                        continue
                    recipe = Recipe(
                        112, 96, crop_and_scale=how, color=color, scale=1.0, **_neutral(color)
                    )
                    values = Converter(recipe).convert(buffer)
                    name = f"{form.name} {orientation} {how.name} {color}"
                    yield f"convert {name}", _crc(values.astype(np.uint8))
            yield f"thumbnail {form.name} {orientation}", _crc(thumbnail(buffer, 99, 70))


def table() -> dict[str, int]:
    """All checksums by name."""
    return dict(sums())


def stored() -> dict[str, int]:
    """The table that stands beside this file."""
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def _neutral(color: str) -> dict[str, tuple[float, ...]]:
    count = 1 if color == "GRAY" else 3
    return {"mean": (0.0,) * count, "std": (1.0,) * count}


def _buffer(form: PixelFormat, width: int, height: int, orientation: int) -> PixelBuffer:
    rows = height * 3 // 2 if form.is_planar else height
    array = picture(width, rows, form.bytes_per_pixel, seed=len(form.name))
    return PixelBuffer.from_array(array, form, orientation=orientation)


def _crc(pixels: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


if __name__ == "__main__":
    if "--compare" in sys.argv:
        kept = stored()
        wrong = [name for name, value in sums() if kept.get(name) != value]
        print(f"{len(kept) - len(wrong)} of {len(kept)} are the same", *wrong[:40], sep="\n")
    else:
        lines = ",\n".join(f"  {json.dumps(name)}: {value}" for name, value in table().items())
        TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
