"""Pictures to try a network on: some out of a folder, or frames spread over a video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ImageError
from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.read import read_image
from twinlens.engine.image.video import VideoReader

_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
        *(".heic", ".heif", ".avif"),
    )
)
_log = logging.getLogger(__name__)


def sample_pictures(path: Path, count: int) -> Iterator[PixelBuffer]:
    """Give up to ``count`` pictures, evenly spread.

    Args:
        path: a video, or a folder of pictures (those in folders below count too).
        count: most pictures to give. A picture that cannot be read is left out.

    Raises:
        ImageError: there is nothing there that can be read; names the path.
    """
    given = 0
    for buffer in _of_folder(path, count) if path.is_dir() else _of_video(path, count):
        given += 1
        yield buffer
    if not given:
        raise ImageError(
            f"{path}: no picture to calibrate with",
            hint="Give a video, or a folder of JPEG, PNG or WebP pictures.",
        )


def _of_folder(folder: Path, count: int) -> Iterator[PixelBuffer]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    for position in _spread(len(files), count):
        checkpoint()
        try:
            yield read_image(files[position])
        except ImageError as why:
            _log.warning("left out of the calibration: %s", why)


def _of_video(path: Path, count: int) -> Iterator[PixelBuffer]:
    if not path.is_file():
        return
    try:
        reader = VideoReader(path)
    except (ImageError, OSError) as why:
        _log.warning("no video to calibrate with: %s", why)
        return
    try:
        facts = reader.facts
        total = facts.frames or round((facts.duration_s or 0) * facts.fps) or count
        wanted = set(_spread(total, count))
        for position in range(max(wanted, default=-1) + 1):
            checkpoint()
            if reader.grab() is None:
                return
            if position in wanted:
                yield PixelBuffer.from_array(reader.pixels())
    except (ImageError, OSError) as why:
        _log.warning("left out of the calibration: %s", why)
    finally:
        reader.close()


def _spread(total: int, count: int) -> list[int]:
    """Up to ``count`` positions of ``total``, each in the middle of its share."""
    taken = min(max(total, 0), count)
    return [(2 * i + 1) * total // (2 * taken) for i in range(taken)]
