"""Pictures for training and measuring: zipped WebP or JPEG files turned into arrays of one size."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Pictures:
    """(N, size, size, 3) uint8 RGB; classes (N,) int64, -1 where unknown; where each came from."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    sources: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def where(self, chosen: NDArray[np.bool_]) -> Pictures:
        """Some of the pictures."""
        return Pictures(self.pixels[chosen], self.classes[chosen], self.sources[chosen])


def load_index(folder: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Class and source of each picture, by (shard, member), from index.tsv and synsets.txt.

    Both files are optional; synsets.txt has one WordNet number a line, in class order.
    """
    index, order = folder / "index.tsv", folder / "synsets.txt"
    if not index.is_file():
        return {}
    numbers: dict[str, int] = {}
    if order.is_file():
        lines = order.read_text(encoding="utf-8").split("\n")
        numbers = {line.split()[0]: n for n, line in enumerate(lines) if line.strip()}
    with index.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {
        (row["shard"], row["member"]): (numbers.get(row["synset"], -1), row["source"])
        for row in rows
    }


def load_shards(
    shards: Iterable[Path],
    size: int = STORED_SIZE,
    limit: int | None = None,
    only: str | None = None,
) -> Pictures:
    """Read the pictures of the zips `shard-NUMBER.zip`, in name order.

    `limit` takes the first so many of each zip, `only` those of one source.
    """
    pictures: list[NDArray[np.uint8]] = []
    facts: list[tuple[int, str]] = []
    for shard in shards:
        index = load_index(shard.parent)
        number = shard.stem.removeprefix("shard-")
        with zipfile.ZipFile(shard) as archive, ThreadPoolExecutor() as pool:
            names = sorted(n for n in archive.namelist() if n.endswith((".webp", ".jpg", ".png")))
            if only is not None:
                names = [n for n in names if index.get((number, n), (-1, ""))[1] == only]
            names = names[:limit]
            encoded = [archive.read(name) for name in names]
            pictures += pool.map(lambda data: decode(data, size), encoded)
        facts += [index.get((number, name), (-1, "")) for name in names]
    classes, sources = zip(*facts, strict=True)
    return Pictures(np.stack(pictures), np.array(classes, np.int64), np.array(sources))


def load_labelled(archive_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a zip of equal-sized pictures with `labels.tsv` (file, class): pictures and classes."""
    with zipfile.ZipFile(archive_path) as archive:
        lines = archive.read("labels.tsv").decode().splitlines()
        rows = [line.split("\t")[:2] for line in lines if line.strip()]
        rows = [row for row in rows if row[1].isdigit()]
        pictures = np.stack([decode(archive.read(name), None) for name, _ in rows])
    return pictures, np.array([int(index) for _, index in rows], np.int64)


def load_synthetic(
    path: Path, size: int = STORED_SIZE, least_odds: float = 0.3
) -> NDArray[np.uint8]:
    """Pictures that `invert` drew and that the teachers believe, (N, size, size, 3) uint8 RGB."""
    with np.load(path, allow_pickle=False) as archive:
        believed = archive["pictures"][archive["odds"] >= least_odds]
    with ThreadPoolExecutor() as pool:
        how = cv2.INTER_CUBIC
        scaled = pool.map(lambda p: cv2.resize(p, (size, size), interpolation=how), believed)
        return np.stack([np.asarray(p, np.uint8) for p in scaled])
