"""Pictures from files and bytes: what is read, and what is refused with a clear word."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from twinlens.engine.errors import ImageError
from twinlens.engine.image import read_image
from twinlens.engine.image.read import declared_size

OPENCV = tuple(int(part) for part in cv2.__version__.split(".")[:2])
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_lossless_pictures_come_as_they_are(form: str) -> None:
    assert np.array_equal(read_image(encoded(form)).to_rgb(), PIXELS)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_sizes_stand_in_the_header(form: str) -> None:
    assert declared_size(encoded(form)) == (60, 40)
    if form == "GIF" and OPENCV < (4, 11):
        pytest.skip("OpenCV reads GIF since 4.11")
    assert read_image(encoded(form)).upright_size == (60, 40)


def test_first_kind_of_bmp_header() -> None:
    row = PIXELS[0, :4, ::-1].tobytes()
    header = struct.pack("<IHHHH", 12, 4, 1, 1, 24)
    data = b"BM" + struct.pack("<IHHI", 26 + len(row), 0, 0, 26) + header + row
    assert declared_size(data) == (4, 1)
    assert np.array_equal(read_image(data).to_rgb(), PIXELS[:1, :4])


def test_lossless_webp_size() -> None:
    assert declared_size(encoded("WEBP", lossless=True)) == (60, 40)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_beside_the_pixels(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = read_image(encoded(form, exif=exif))
    assert buffer.orientation == orientation
    assert (buffer.width, buffer.height) == (60, 40)
    assert buffer.upright_size == ((60, 40) if orientation < 5 else (40, 60))


@pytest.mark.parametrize("orientation", [1, 6])
def test_tiff_comes_upright(orientation: int) -> None:
    data = encoded("TIFF", tiffinfo={0x0112: orientation})
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(read_image(data).to_rgb(), expected)


@pytest.mark.parametrize("mode", ["1", "P", "LA"])
def test_other_kinds_of_pixels(mode: str) -> None:
    out = io.BytesIO()
    picture = Image.fromarray(PIXELS).convert(mode)
    picture.save(out, "PNG")
    expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(read_image(out.getvalue()).to_rgb(), expected)


def test_bytes_between_jpeg_segments_are_skipped() -> None:
    good = encoded("JPEG")
    end = 4 + int.from_bytes(good[4:6], "big")
    assert good[2:4] == b"\xff\xe0"
    odd = good[:end] + b"\0\0\xff\xff" + good[end:]
    assert declared_size(odd) == (60, 40)
    assert np.array_equal(read_image(odd).to_rgb(), read_image(good).to_rgb())


def test_grey_alpha_and_16_bit(tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(PIXELS[..., 0]).save(grey)
    assert np.array_equal(read_image(grey).to_bgr()[..., 0], PIXELS[..., 0])
    alpha = tmp_path / "alpha.png"
    Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]])).save(alpha)
    share = PIXELS[..., :1] / 255
    on_white = PIXELS * share + 255 * (1 - share)
    assert np.abs(read_image(alpha).to_rgb() - on_white).max() <= 1
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


def lying_jpeg(width: int, height: int) -> bytes:
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def lying_tiff(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 200), (279, 99)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries).ljust(300, b"\0")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lying_jpeg(9000, 9000), "9000×9000 pixels, expected at most 512 for each"),
        (lying_tiff(30_000, 30_000), "30000×30000"),
        (lying_png(40_000, 1), "40000×1"),
        (b"P6\n30000 30000\n255\n", "cannot be decoded"),
        (encoded("BMP")[:500], "cannot be decoded"),
        (encoded("WEBP")[:500], "cannot be decoded"),
        (encoded("GIF")[:500], "cannot be decoded"),
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


def test_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a file"):
        read_image(tmp_path)


def test_opencv_keeps_quiet_and_its_log_level(capfd: pytest.CaptureFixture[str]) -> None:
    log = getattr(cv2.utils, "logging", cv2)
    level = log.getLogLevel()
    with pytest.raises(ImageError):
        read_image(encoded("BMP")[:500])
    assert capfd.readouterr().err == ""
    assert log.getLogLevel() == level


def test_a_solid_jpeg_is_not_taken_for_a_liar() -> None:
    out = io.BytesIO()
    Image.new("L", (3000, 2000), 255).save(out, "JPEG", optimize=True, progressive=True)
    assert read_image(out.getvalue()).upright_size == (3000, 2000)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.jpg: no such file"):
        read_image(tmp_path / "nothing.jpg")


def test_damaged_exif_counts_as_none() -> None:
    good = encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert read_image(good).orientation == 1
