"""Links of a download cache: the only ones that lead out of a model's own folder.

Hugging Face keeps each file once, by its hash, in ``blobs``, and ``snapshots/REVISION/NAME`` are
links there; where a file system has no links, the link may stand as a short text in its place.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_LONGEST = 512
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"


def blobs_of(path: Path) -> Path | None:
    """The folder of contents of the cache that a path lies in, resolved; None outside of one."""
    for folder in path.absolute().parents:
        if folder.name == _SNAPSHOTS:
            blobs = folder.parent / _BLOBS
            if blobs.is_dir() and blobs.resolve().is_relative_to(folder.parent.resolve()):
                return blobs.resolve()
    return None


def followed(path: Path) -> Path:
    """The contents of a file in a cache: what its link, or its text, leads to inside ``blobs``.

    Returns:
        The path itself where it is in no cache, or no link of one.

    Raises:
        OSError: it cannot be looked at.
    """
    blobs = blobs_of(path)
    if blobs is None or not path.is_file():
        return path
    if path.is_symlink():
        target = path.resolve()
        return target if target.is_relative_to(blobs) else path
    if path.stat().st_size > _LONGEST:
        return path
    try:
        text = path.read_bytes().decode("utf-8").strip()
    except UnicodeDecodeError:
        return path
    if not text.startswith("../") or "\n" in text or "\0" in text:
        return path
    target = (path.parent / text).resolve()
    return target if target.is_relative_to(blobs) and target.is_file() else path


def inside(path: Path, location: str) -> Path | None:
    """Where a file that a model names lies: in the model's own folder, or in its cache.

    Args:
        path: the model, as it was named.
        location: the name, below the model's folder.

    Returns:
        The file, links followed; None where it would lie elsewhere. It need not exist.
    """
    if not location or "\0" in location or "\\" in location:
        return None
    if PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
        return None
    blobs = blobs_of(path)
    if blobs is None:  # where the model really lies, if somebody made a link to it
        folder = path.resolve().parent
        target = (folder / location).resolve()
        return target if target.is_relative_to(folder) else None
    target = followed(path.parent / location).resolve()
    rooms = (path.parent.resolve(), blobs)
    return target if any(target.is_relative_to(room) for room in rooms) else None
