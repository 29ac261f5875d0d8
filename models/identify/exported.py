"""Zip archives that tools export models in: unpacked once, as if they meant harm.

The unpacked files lie in the user's cache, in a folder by the archive's hash, since an engine may
open them again at any time; the oldest make room.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from twinlens.engine.errors import DownloadError, ModelFileError
from twinlens.engine.params.zipped import DAMAGE, opened_zip
from twinlens.models.catalog.archive import unpack
from twinlens.models.catalog.store import sha256_of

VARIABLE = "TWINLENS_CACHE"
"""Environment variable that names another cache."""

MAX_BYTES = 2 << 30
"""Most that an export may unpack to."""

# Weights are noise, which no archive makes much smaller.
_MOST_RATIO, _SMALL = 100, 64 << 20
_KEPT = 6
_DEEPEST = 4
_SUFFIXES = (
    *(".onnx", ".tflite", ".lite", ".mlmodel", ".keras", ".h5", ".hdf5", ".safetensors", ".pt"),
    *(".pth",),
)
_NAMES = ("saved_model.pb", "model.json", "Manifest.json")


def holds_export(path: Path) -> bool:
    """Whether a zip archive lists a model among its members; nothing is unpacked."""
    try:
        with opened_zip(path) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()[:1_000]]
    except DAMAGE:
        return False
    return any(n.suffix.lower() in _SUFFIXES or n.name in _NAMES for n in names)


def unpacked(path: Path) -> Path:
    """The folder that an archive unpacks to; unpacked at the first call only.

    Raises:
        ModelFileError: damaged, a bomb, or with members that would lie outside; says which.
    """
    try:
        place = _room() / sha256_of(path)
        if place.is_dir():
            os.utime(place)
            return _inmost(place)
        _check_ratio(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
        try:
            unpack(path, "zip", part, max_bytes=MAX_BYTES)
            part.rename(place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            if place.is_dir():  # another process was faster
                return _inmost(place)
            raise
        _make_room(place)
        return _inmost(place)
    except DownloadError as error:
        raise ModelFileError(
            f"{path}: {error.message.removeprefix(f'{path.name}: ')}",
            hint="Unpack it yourself if you trust it, and open what is inside.",
        ) from error
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be unpacked ({why.strerror or why})") from why


def _inmost(place: Path) -> Path:
    """The folder that was packed, where an archive has it around its files."""
    for _ in range(_DEEPEST):
        found = [path for path in place.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        if len(found) != 1 or not found[0].is_dir():
            break
        place = found[0]
    return place


def _check_ratio(path: Path) -> None:
    size = path.stat().st_size
    try:
        with opened_zip(path) as archive:
            inside = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, RuntimeError) as why:
        raise ModelFileError(f"{path}: not a zip archive, or damaged ({why})") from why
    if inside > _SMALL and inside > _MOST_RATIO * size:
        raise ModelFileError(
            f"{path}: {size:,} bytes would unpack to {inside:,}; no export of a model does, "
            "so it is not unpacked",
            hint="Unpack it yourself if you trust it, and open what is inside.",
        )


def _room() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser() / "exports"
    from platformdirs import user_cache_path

    return user_cache_path("twinlens", appauthor=False) / "exports"


def _make_room(newest: Path) -> None:
    """Keep the newest few."""
    found = [path for path in newest.parent.iterdir() if path.is_dir() and path != newest]
    for old in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
        if not old.name.startswith(".part-"):
            shutil.rmtree(old, ignore_errors=True)
