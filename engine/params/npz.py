"""NumPy's ``.npz``: a zip of arrays; what would have to be unpickled is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers import Array, Shape
from twinlens.engine.params.parameters import MAX_TENSORS, Entry, Parameters
from twinlens.engine.params.zipped import DAMAGE, opened_zip

_PICKLES = (".pkl", ".pickle")


def open_npz(path: Path) -> Parameters:
    """Read an ``.npz`` file; a tensor is named as its member, without ``.npy``.

    Raises:
        ModelFileError: damaged, a pickle, or a member whose size is not what its header says.
    """
    with _zip(path) as archive:
        members = archive.infolist()
        if any(member.filename.endswith(_PICKLES) for member in members):
            raise ModelFileError(
                f"{path}: holds a Python pickle, which is not opened because it can run any code",
                hint="Save the weights as safetensors: safetensors.torch.save_file(state, path).",
            )
        if len(members) > MAX_TENSORS:
            raise ModelFileError(f"{path}: {len(members):,} members, at most {MAX_TENSORS:,}")
        arrays = [member for member in members if member.filename.endswith(".npy")]
        entries = {_name(member): _entry(archive, member, path) for member in arrays}
    if not entries or len(entries) != len(arrays):
        what = "two arrays of one name" if entries else "no arrays"
        raise ModelFileError(f"{path}: has {what}, expected a zip of .npy files")

    def read(name: str, _: np.dtype[Any]) -> Array:
        with _zip(path) as archive, archive.open(f"{name}.npy") as stream:
            return np.asarray(npy.read_array(stream, allow_pickle=False))

    return Parameters(str(path), entries, read)


def has_arrays(path: Path) -> bool:
    """Whether a zip file lists an array that `open_npz` would read."""
    try:
        with _zip(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except ModelFileError:
        return False


# What NumPy's reader of headers raises on damaged files, beside what the archive's does.
_DAMAGE = (*DAMAGE, SyntaxError, TokenError)


@contextmanager
def _zip(path: Path) -> Iterator[ZipFile]:
    try:
        with opened_zip(path) as archive:
            yield archive
    except _DAMAGE as why:
        raise ModelFileError(f"{path}: cannot be read as .npz ({why})") from why


def _name(member: ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _entry(archive: ZipFile, member: ZipInfo, path: Path) -> Entry:
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        rest = member.file_size - stream.tell()
    if dtype.kind not in "fiu":
        raise ModelFileError(f"{path}: {_name(member)} holds {dtype}, expected numbers")
    if rest != prod(shape) * dtype.itemsize:
        raise ModelFileError(
            f"{path}: {_name(member)} has {rest:,} bytes, its header says "
            f"{prod(shape) * dtype.itemsize:,}"
        )
    return Entry.of(shape, dtype)


def _header(stream: IO[bytes]) -> tuple[Shape, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f".npy version {version}, expected (1, 0) or (2, 0)")
    return shape, dtype
