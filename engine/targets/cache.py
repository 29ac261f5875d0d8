"""What targets keep on disk (compiled plans, findings), one file each.

A file is written whole or not at all, and checked when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from functools import cache
from pathlib import Path

from twinlens.engine.files import write_whole

#: Environment variable: another folder for compiled plans; empty means none.
FOLDER = "TWINLENS_CACHE"

# What a file begins with; behind it the SHA-256 of the rest.
_MAGIC = b"twinlens plan 1\n"
# The newest files are kept, so that trying many models does not fill a disk.
_KEEP = 64

_log = logging.getLogger(__name__)


def folder() -> Path | None:
    """Where plans are kept; None where nothing may be."""
    chosen = os.environ.get(FOLDER)
    if chosen is not None:
        return Path(chosen) if chosen else None
    from platformdirs import user_cache_path

    return user_cache_path("twinlens", appauthor=False) / "plans"


@cache
def source_version() -> str:
    """Digest of this package's source: another version's plans are not taken."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(store: Path, name: str) -> bytes | None:
    """A plan's object, or None if there is none or its file is damaged."""
    path = _path(store, name)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 32
    body = data[head:]
    if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != data[len(_MAGIC) : head]:
        _log.warning("%s is damaged; the plan is compiled again", path)
        return None
    with contextlib.suppress(OSError):  # A cache that can only be read still serves.
        os.utime(path)
    return body


def write(store: Path, name: str, body: bytes) -> None:
    """Keep a plan's object; failing to is no error, the next start compiles again."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        data = _MAGIC + hashlib.sha256(body).digest() + body
        # Private: what is kept here is run.
        write_whole(_path(store, name), data, private=True)
        _forget_oldest(store)
    except OSError as why:
        _log.info("the compiled plan could not be kept: %s", why)


def usage(store: Path) -> tuple[int, int]:
    """Number of files that are kept in a folder, and their bytes; zeros where there is none."""
    sizes = []
    try:
        for path in store.glob("*.plan"):
            with contextlib.suppress(OSError):  # Another process may be clearing it.
                sizes.append(path.stat().st_size)
    except OSError:
        return 0, 0
    return len(sizes), sum(sizes)


def _path(store: Path, name: str) -> Path:
    return store / f"{hashlib.sha256((source_version() + name).encode()).hexdigest()[:32]}.plan"


def _forget_oldest(store: Path) -> None:
    plans = sorted(store.glob("*.plan"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in plans[_KEEP:]:
        path.unlink(missing_ok=True)
