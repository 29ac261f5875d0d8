"""Pictures for training and measuring: zipped WebP or JPEG files turned into arrays of one size."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

STORED_SIZE = 160


def decode(encoded: bytes, size: int | None) -> NDArray[np.uint8]:
    """Decode one picture to (H, W, 3) uint8 RGB, squashed to `size` x `size` unless it is None."""
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{len(encoded)} bytes that are no picture OpenCV can decode")
    if size is not None:
        shrinks = min(picture.shape[:2]) > size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = cv2.resize(picture, (size, size), interpolation=how)
    return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)


def load_shards(
    shards: Iterable[Path], size: int = STORED_SIZE, limit: int | None = None
) -> NDArray[np.uint8]:
    """Read all pictures of the zips, (N, size, size, 3) uint8 RGB, in name order."""
    pictures: list[NDArray[np.uint8]] = []
    for shard in shards:
        with zipfile.ZipFile(shard) as archive, ThreadPoolExecutor() as pool:
            names = sorted(n for n in archive.namelist() if n.endswith((".webp", ".jpg", ".png")))
            encoded = [archive.read(name) for name in names[:limit]]
            pictures += pool.map(lambda data: decode(data, size), encoded)
    return np.stack(pictures)


def load_labelled(archive_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a zip of equal-sized pictures with `labels.tsv` (file, class): pictures and classes."""
    with zipfile.ZipFile(archive_path) as archive:
        lines = archive.read("labels.tsv").decode().splitlines()
        rows = [line.split("\t")[:2] for line in lines if line.strip()]
        rows = [row for row in rows if row[1].isdigit()]
        pictures = np.stack([decode(archive.read(name), None) for name, _ in rows])
    return pictures, np.array([int(index) for _, index in rows], np.int64)
