"""Files: what the system says of a path that is read, and files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from twinlens.engine.errors import TwinlensError

_MOST_LETTERS = 80


@contextlib.contextmanager
def reading(path: str | Path, error: type[TwinlensError]) -> Iterator[None]:
    """Make an error of ours of whatever the system says of a path that is read meanwhile.

    It is looked at first: later versions of Python take a path that cannot be looked at, on a
    mount that is gone or without rights, for one where nothing is.

    Args:
        path: a file or folder; nothing needs to be there.
        error: what is raised.

    Raises:
        TwinlensError: ``error``: no file can have that name, or the system refuses it; says why.
    """
    name = shown_name(str(path))
    try:
        if "\0" in str(path):
            raise error(f"{name} is no name of a file: it has a NUL in it")
        os.fsencode(path)
    except UnicodeEncodeError:
        raise error(f"{name} is no name of a file: this system cannot write it") from None
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            Path(path).stat()
        yield
    except OSError as why:
        hint = "Check its rights and where it lies, or choose another one."
        raise error(f"{name} cannot be read: {why.strerror or why}", hint=hint) from why


def shown_name(name: str, most: int = _MOST_LETTERS) -> str:
    """A name in letters that every window and terminal shows, and not too many of them."""
    plain = name.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    half = most // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"


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
