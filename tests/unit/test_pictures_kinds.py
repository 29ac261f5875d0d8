"""Pictures of every kind: transparent, of inks, deep, of floats, turned, moving, HEIC and AVIF."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from twinlens.app.sources import open_source
from twinlens.app.sources.animation import Animation
from twinlens.app.sources.pacing import Pacer
from twinlens.app.sources.picture import Pictures
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.image import read_image
from twinlens.engine.image.animation import moves
from twinlens.engine.image.stills import jpeg_pixels
from twinlens.models.identify.kinds import Kind, glance

DATA = Path(os.environ.get("TWINLENS_TEST_DATA", "")) / "field" / "transparent_black_stroke.png"
GREEN = (64, 192, 32)
# A HEIC of 64 × 64 pixels of that colour, by libheif; no encoder is among what we install.
HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAAB4AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmu"
    "bgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAA"
    "QAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAACZtZGF0AAAAGigBrwY4Wvz7V897///1"
    "UXf//XYKqvEJj9fg"
)


def rgb(path: Path) -> np.ndarray:
    return read_image(path).to_rgb().astype(int)


def half_transparent(mode: str) -> Image.Image:
    """Black and solid on the left, transparent black on the right."""
    picture = np.zeros((40, 60, 4), np.uint8)
    picture[:, :30, 3] = 255
    return Image.fromarray(picture, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("ending", "mode"),
    [("png", "RGBA"), ("png", "LA"), ("webp", "RGBA"), ("tiff", "RGBA"), ("gif", "RGBA")],
)
def test_transparent_pictures_stand_on_white(tmp_path: Path, ending: str, mode: str) -> None:
    path = tmp_path / f"a.{ending}"
    options = {"lossless": True} if ending == "webp" else {}
    half_transparent(mode).save(path, **options)
    shown = rgb(path)
    assert shown[:, :30].max() == 0
    assert shown[:, 30:].min() == 255


def test_a_palette_with_a_transparent_entry_stands_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (60, 40), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.paste(1, (0, 0, 30, 40))
    picture.save(tmp_path / "p.png", transparency=0)
    shown = rgb(tmp_path / "p.png")
    assert tuple(shown[5, 5]) == (255, 0, 0)
    assert tuple(shown[5, 45]) == (255, 255, 255)


@pytest.mark.skipif(not DATA.is_file(), reason="TWINLENS_TEST_DATA has no field/")
def test_field_black_strokes_stand_on_white() -> None:
    shown = rgb(DATA)
    assert shown.max() == 255
    assert shown.min() < 40
    assert np.median(shown) == 255


def test_inks_are_the_colours_they_print(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (60, 40), (255 - 64, 255 - 192, 255 - 32, 0))
    inks.save(tmp_path / "a.jpg", quality=100)
    inks.save(tmp_path / "a.tiff")
    for name in ("a.jpg", "a.tiff"):
        assert np.abs(rgb(tmp_path / name) - GREEN).max() <= 2, name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_what_they_hold(tmp_path: Path, dtype: type, top: float) -> None:
    picture = np.empty((40, 60, 3), dtype)
    picture[...] = np.array(GREEN[::-1], dtype) / 255 * top
    picture[0, 0] = top
    picture[0, 1] = np.nan
    cv2.imwrite(str(tmp_path / "a.tiff"), picture)
    shown = rgb(tmp_path / "a.tiff")
    assert np.abs(shown[20, 20] - GREEN).max() <= 1
    assert tuple(shown[0, 1]) == (0, 0, 0)


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    deep = np.full((40, 60, 3), [value * 257 for value in GREEN[::-1]], np.uint16)
    for name in ("a.png", "a.tiff"):
        cv2.imwrite(str(tmp_path / name), deep)
        assert np.abs(rgb(tmp_path / name) - GREEN).max() <= 1, name


def test_bilevel_and_palette_pictures(tmp_path: Path) -> None:
    bits = np.zeros((40, 60), bool)
    bits[:20] = True
    for name in ("a.png", "a.tiff", "a.gif"):
        Image.fromarray(bits).save(tmp_path / name)
        shown = rgb(tmp_path / name)
        assert (shown[:20] == 255).all(), name
        assert (shown[20:] == 0).all(), name


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "avif"])
def test_turned_pictures_stand_upright(tmp_path: Path, ending: str) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # needs 90° clockwise: the top comes to the right
    path = tmp_path / f"a.{ending}"
    Image.fromarray(picture).save(
        path, exif=exif, **({"lossless": True} if ending == "webp" else {})
    )
    shown = rgb(path)
    assert shown.shape == (60, 40, 3)
    assert shown[:, -8:].min() > 200
    assert shown[:, :20].max() < 60


def test_heic_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(base64.b64decode(HEIC))
    assert np.abs(rgb(path) - GREEN).max() <= 3
    assert glance(path).kind is Kind.PICTURE
    assert isinstance(open_source(str(path)), Pictures)
    path.write_bytes(base64.b64decode(HEIC)[:300])
    with pytest.raises(ImageError, match=r"a\.heic"):
        read_image(path)


def test_avif_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.new("RGB", (64, 48), GREEN).save(path, quality=100)
    assert np.abs(rgb(path) - GREEN).max() <= 3
    half_transparent("RGBA").save(path, quality=100)
    assert rgb(path)[:, 34:].min() >= 250


def moving(path: Path, **options: object) -> Path:
    shots = [Image.new("RGB", (60, 40), (50 * n, 0, 255 - 50 * n)) for n in range(4)]
    shots[0].save(path, save_all=True, append_images=shots[1:], loop=0, **options)
    return path


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_pictures_that_move_play_at_their_own_pace(tmp_path: Path, ending: str) -> None:
    durations = [100, 300, 200, 100]
    options = {"webp": {"lossless": True}, "avif": {"quality": 100}}.get(ending, {})
    path = moving(tmp_path / f"a.{ending}", duration=durations, **options)
    assert moves(path)
    now, slept = [0.0], []

    def wait(seconds: float) -> bool:
        slept.append(seconds)
        now[0] += seconds
        return False

    source = Animation(path, pacer=Pacer(lambda: now[0], wait))
    source.open()
    shown = [source.read() for _ in range(6)]
    reds = [int(f.buffer.to_rgb()[20, 20, 0]) for f in shown if f]
    assert reds == pytest.approx([0, 50, 100, 150, 0, 50], abs=4)
    assert slept == pytest.approx([0.1, 0.3, 0.2, 0.1, 0.1], abs=0.01)
    once = open_source(str(path), realtime=False)
    assert isinstance(once, Animation)
    once.open()
    assert [once.read() is not None for _ in range(5)] == [True] * 4 + [False]


def test_a_moving_picture_that_is_cut_plays_what_is_there(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.gif", duration=100)
    path.write_bytes(path.read_bytes()[:-200])
    source = open_source(str(path), realtime=False)
    try:
        source.open()
    except SourceError as error:
        assert "a.gif" in error.message
    else:
        assert source.read() is not None


def test_still_pictures_do_not_move(tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp", "a.png", "a.jpg"):
        Image.new("RGB", (60, 40), GREEN).save(tmp_path / name)
        assert not moves(tmp_path / name)
    assert not moves(tmp_path / "missing.gif")


def test_a_cameras_jpeg_is_whole_or_none() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    assert jpeg_pixels(data) is not None
    assert jpeg_pixels(data + bytes(2000)) is not None  # a buffer's end
    for cut in (b"", data[:10], data[: len(data) // 2], bytes(4000), b"\xff\xd8" + bytes(4000)):
        assert jpeg_pixels(cut) is None


def test_a_picture_of_a_hundred_million_pixels_is_refused_by_every_reader(tmp_path: Path) -> None:
    big = io.BytesIO()
    Image.new("1", (20000, 20000)).save(big, "GIF")
    with pytest.raises(ImageError, match="20000×20000"):
        read_image(big.getvalue())
