"""What a damaged file makes Python say, as one clear error."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from twinlens.engine.errors import ModelFileError

# What reading numbers, names and sizes that make no sense ends in.
_RAISED = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    struct.error,
)


LFS_POINTER = b"version https://git-lfs"
"""What stands in a clone without Git LFS for a large file begins so."""


def lfs_pointer(path: object) -> ModelFileError:
    """What is said of such a file."""
    return ModelFileError(
        f"{path} is a Git LFS pointer, not the file itself",
        hint="Fetch the file: run `git lfs pull` in its folder.",
    )


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what damaged contents raise into a ModelFileError.

    Args:
        what: what is read, for the error (``"net.onnx: node 'conv1' (Conv)"``).

    Raises:
        ModelFileError: something in the block failed in a way that only wrong contents cause.
    """
    try:
        yield
    except _RAISED as why:
        raise ModelFileError(
            f"{what} makes no sense: {type(why).__name__}: {why}",
            hint="The file is damaged, or was written by a program that does it otherwise.",
        ) from why
