"""Pictures from files and bytes: what is read, and what is refused with a clear word."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinlens.engine.errors import ImageError
from twinlens.engine.image import read_image
from twinlens.engine.image.read import declared_size

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_lossless_pictures_come_as_they_are(form: str) -> None:
    assert np.array_equal(read_image(encoded(form)).to_rgb(), PIXELS)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_sizes_stand_in_the_header(form: str) -> None:
    assert declared_size(encoded(form)) == (60, 40)
    assert read_image(encoded(form)).upright_size == (60, 40)


def test_lossless_webp_size() -> None:
    assert declared_size(encoded("WEBP", lossless=True)) == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_beside_the_pixels(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = read_image(encoded("JPEG", exif=exif))
    assert buffer.orientation == orientation
    assert (buffer.width, buffer.height) == (60, 40)
    assert buffer.upright_size == ((60, 40) if orientation < 5 else (40, 60))


def test_grey_alpha_and_16_bit(tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(PIXELS[..., 0]).save(grey)
    assert np.array_equal(read_image(grey).to_bgr()[..., 0], PIXELS[..., 0])
    alpha = tmp_path / "alpha.png"
    Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]])).save(alpha)
    assert np.array_equal(read_image(alpha).to_rgb(), PIXELS)
    deep = tmp_path / "deep.png"
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(deep)
    assert np.array_equal(read_image(deep).to_bgr()[..., 0], PIXELS[..., 0])


def lying_png(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lying_png(60_000, 60_000), "60000×60000"),
        (lying_png(0, 10), "0×10"),
        (lying_png(3000, 3000), "cannot be decoded"),
        (b"just a text", "cannot be decoded"),
        (b"", "cannot be decoded"),
        (encoded("PNG")[:30], "cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=told):
        read_image(data)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"picture\.png"):
        read_image(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.jpg: no such file"):
        read_image(tmp_path / "nothing.jpg")


def test_damaged_exif_counts_as_none() -> None:
    good = encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert read_image(good).orientation == 1
