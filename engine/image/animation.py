"""Pictures that move: GIF, WebP, APNG and AVIF sequences, by Pillow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ImageError
from twinlens.engine.files import shown_name
from twinlens.engine.image.headers import is_iso_still
from twinlens.engine.image.read import check_size
from twinlens.engine.image.stills import PILLOW_DAMAGE, pillow_bgr, register_heif

#: Browsers show a picture that says less for so long.
_SHORTEST_S, _INSTEAD_S = 0.011, 0.1
# An APNG says so with a chunk of its own, before the pixels (W3C PNG, third edition, 11.3.6.1).
_ANIMATED_PNG = b"acTL"
_HEAD = 4096


def moves(path: Path) -> bool:
    """Whether a file is a picture with more than one frame; False where it cannot be told."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not _may_move(head):
            return False
        with contextlib.closing(_opened(path)) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except (*PILLOW_DAMAGE, ImageError):
        return False


def frames(path: Path) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Frames of a picture that moves: (height, width, 3) uint8 B, G, R, and how long each stays.

    Raises:
        ImageError: not even the first can be decoded; where a later one cannot, that is the end.
    """
    name = shown_name(path.name)
    try:
        data = path.read_bytes()
        check_size(name, data)
        with contextlib.closing(_opened(path)) as image:
            for index in range(getattr(image, "n_frames", 1)):
                try:
                    image.seek(index)
                    pixels = pillow_bgr(image)
                except PILLOW_DAMAGE:
                    if not index:
                        raise
                    return
                shown_s = float(image.info.get("duration") or 0) / 1000
                yield pixels, shown_s if shown_s >= _SHORTEST_S else _INSTEAD_S
    except PILLOW_DAMAGE as why:
        raise ImageError(f"{name}: cannot be decoded as a picture that moves") from why


def _opened(path: Path) -> Any:
    import PIL.Image  # late: most pictures do not need it

    register_heif()
    return PIL.Image.open(path)


def _may_move(head: bytes) -> bool:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return b"ANIM" in head
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _ANIMATED_PNG in head
    # Several pictures of a HEIF file are an album, not a film, unless its brand says so.
    return head[:4] == b"GIF8" or (is_iso_still(head) and head[8:12] in (b"avis", b"msf1"))
