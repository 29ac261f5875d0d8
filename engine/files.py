"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes, *, private: bool = False, durable: bool = False) -> None:
    """Write a file beside its place and move it there: a crash leaves the old one or the new one.

    Args:
        path: the file; its folder exists.
        data: its contents.
        private: only its owner may read it.
        durable: wait until it is on the disk, so that a power failure does not lose both.

    Raises:
        OSError: the folder cannot be written; nothing was changed.
    """
    # Of the name only so much that the longer one is still allowed.
    temporary = path.with_name(f".{path.name[:40]}-{secrets.token_hex(8)}.part")
    descriptor = os.open(
        temporary,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
        0o600 if private else 0o666,
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
