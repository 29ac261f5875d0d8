"""Where what a person chose about a model is kept: beside it, or else in the user's own folder.

Beside a model is ``NAME.toml``. Where that cannot be written, ``SHA256-BYTES.toml`` in the folder
``recipes`` of the user's configuration takes its place; the environment variable
``TWINLENS_RECIPES`` names another folder. The hash is that of the file, so that a copy elsewhere is
known again; a file is hashed only when something of its size is kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinlens.engine.errors import ModelError
from twinlens.models.catalog.store import sha256_of
from twinlens.models.identify.sidecar import read_values, sidecar_path, write_values

VARIABLE = "TWINLENS_RECIPES"
"""Environment variable that names another folder."""


def recipes_folder() -> Path:
    """Where recipes are kept that cannot stand beside their models."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("twinlens", appauthor=False) / "recipes"


def kept_for(path: Path) -> Path | None:
    """What is kept for a model elsewhere than beside it; None where nothing is."""
    try:
        size = _size(path)
        if not any(recipes_folder().glob(f"*-{size}.toml")):
            return None
        place = _place(path, size)
        return place if place.is_file() else None
    except OSError:
        return None  # a file that cannot be read is told by whoever opens it


def keep(path: Path, values: Mapping[str, Any]) -> Path:
    """Keep what was chosen about a model; what else stands beside it stays.

    Args:
        path: the model's file or folder.
        values: as ``twinlens.models.identify.sidecar`` says.

    Returns:
        The file that was written.

    Raises:
        ModelError: neither place can be written; says why.
    """
    beside = sidecar_path(path)
    try:
        write_values(beside, {**_old(beside), **values})
        return beside
    except OSError:
        pass  # a folder that belongs to somebody else, or a medium that is read-only
    try:
        place = _place(path, _size(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        write_values(place, {**_old(beside), **_old(place), **values})
    except OSError as error:
        raise ModelError(
            f"what was chosen for {path.name} cannot be kept ({error})",
            hint=f"It holds until Twinlens ends; {recipes_folder()} has to be writable.",
        ) from error
    return place


def _old(place: Path) -> dict[str, Any]:
    if not place.is_file():
        return {}
    try:
        return read_values(place)
    except ModelError:
        return {}  # damaged: what is written now replaces it


def _place(path: Path, size: int) -> Path:
    return recipes_folder() / f"{_fingerprint(path)}-{size}.toml"


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _fingerprint(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and hashes."""
    if not path.is_dir():
        return sha256_of(path)
    total = hashlib.sha256()
    for file in _files(path):
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return total.hexdigest()
