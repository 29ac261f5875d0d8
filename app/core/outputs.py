"""Files that are written all or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinlens.engine.errors import TwinlensError


@contextmanager
def outputs(targets: Sequence[Path], *, force: bool = False) -> Iterator[Path]:
    """Write files and folders somewhere else, and move them into place when all are there.

    Args:
        targets: what will be written: files and folders of one folder, which exists.
        force: replace what is there.

    Yields:
        A folder beside the targets; what has a target's name in it goes there at the end. Targets
        that have nothing are left alone.

    Raises:
        TwinlensError: something is there already (without ``force``), or it cannot be written. Then
            everything is as it was.
    """
    check_outputs(targets, force=force)
    parent = targets[0].parent
    staging = parent / f".{targets[0].name}-{os.getpid()}.part"
    try:
        staging.mkdir()
    except OSError as why:
        raise TwinlensError(f"{parent}: cannot be written ({why.strerror or why})") from why
    try:
        new = staging / "new"
        new.mkdir()
        yield new
        _install([target for target in targets if (new / target.name).exists()], staging)
    except OSError as why:
        raise TwinlensError(f"{targets[0]}: cannot be written ({why.strerror or why})") from why
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_outputs(targets: Sequence[Path], *, force: bool = False) -> None:
    """Refuse targets that cannot be written; raises as ``outputs``."""
    parent = targets[0].parent
    if not parent.is_dir():
        raise TwinlensError(f"{parent}: is no folder; {targets[0].name} was to be written there")
    there = [target for target in targets if target.exists() or target.is_symlink()]
    if there and not force:
        names = ", ".join(str(target) for target in there)
        raise TwinlensError(
            f"{names}: exists already" if len(there) == 1 else f"{names}: exist already",
            hint="Give another name, or --force to replace it.",
        )


def _install(targets: Sequence[Path], staging: Path) -> None:
    """Move everything into place; when that fails, move everything back."""
    old = staging / "old"
    old.mkdir()
    moved: list[Path] = []
    saved: list[Path] = []
    try:
        for target in targets:
            if target.exists() or target.is_symlink():
                target.rename(old / target.name)
                saved.append(target)
            (staging / "new" / target.name).rename(target)
            moved.append(target)
    except BaseException:
        for target in moved:
            with contextlib.suppress(OSError):
                target.rename(staging / "new" / target.name)
        for target in saved:
            with contextlib.suppress(OSError):
                (old / target.name).rename(target)
        raise
