"""One way in: a file or a folder is recognised by what it holds, not by its ending."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.params.hdf5 import open_hdf5
from twinlens.engine.params.initializers import open_initializers
from twinlens.engine.params.manifest import NAME as MANIFEST
from twinlens.engine.params.npz import open_npz
from twinlens.engine.params.parameters import MAX_BYTES, Parameters
from twinlens.engine.params.pytorch import is_pytorch_zip, open_pytorch, refuse_pickle
from twinlens.engine.params.raw import open_raw
from twinlens.engine.params.safetensors_file import open_safetensors
from twinlens.engine.params.signs import HEAD, is_pickle, is_pytorch, is_safetensors
from twinlens.engine.params.zipped import DAMAGE, opened_zip

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_parameters(path: Path) -> Parameters:
    """Open trained parameters; their values are read when they are asked for.

    Args:
        path: a folder of raw ``.dat`` or ``.bin`` files, or an HDF5, safetensors, npz, ONNX or
            PyTorch file; or a folder with one of safetensors or PyTorch.

    Raises:
        ModelFileError: missing, damaged, too large, a program, or none of these; says which.
        EngineUnavailableError: HDF5, where h5py is not installed.
    """
    if path.is_dir():
        inside = file_in_folder(path)
        return open_raw(path) if inside is None else open_parameters(inside)
    return (_opener(path) or open_initializers)(path)


_EXPORTED = ("model.safetensors", "pytorch_model.bin")
"""What Hugging Face calls the file with all parameters, best first."""
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_MAX_FILES = 10_000


def file_in_folder(folder: Path) -> Path | None:
    """The file of a folder that holds all parameters, beside settings and labels; None where
    there is none, so that its files may be raw.

    Raises:
        ModelFileError: there are several.
    """
    if (folder / MANIFEST).exists():
        return None
    files = [p for p in islice(folder.iterdir(), _MAX_FILES) if p.suffix.lower() in _SUFFIXES]
    found = [path for path in sorted(files) if path.is_file() and _holds_all(path)]
    if len(found) <= 1:
        return found[0] if found else None
    exported = [path for name in _EXPORTED for path in found if path.name == name]
    if not exported:
        listed = ", ".join(path.name for path in found)
        raise ModelFileError(f"{folder}: has several files with parameters: {listed}; name one")
    return exported[0]


def _holds_all(path: Path) -> bool:
    """Whether a file is a state dictionary by its content, surely enough to be no raw numbers."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(HEAD)
    except OSError:
        return False
    if start.startswith(_ZIP):
        return _of_zip(path) is open_pytorch
    return is_pytorch(start) or is_safetensors(start, size)


def _opener(path: Path) -> Callable[[Path], Parameters] | None:
    """What opens a file that holds nothing but parameters."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(HEAD)
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be read ({why.strerror or why})") from why
    if size > MAX_BYTES:
        raise ModelFileError(f"{path}: {size:,} bytes, expected at most {MAX_BYTES:,}")
    if start.startswith(_ZIP):
        return _of_zip(path)
    if start.startswith(_HDF5):
        return open_hdf5
    # Before pickles: a header of 640 bytes makes safetensors start as they do.
    if is_safetensors(start, size):
        return open_safetensors
    if is_pytorch(start):
        return open_pytorch
    return refuse_pickle if is_pickle(start) else None


def _of_zip(path: Path) -> Callable[[Path], Parameters]:
    try:
        with opened_zip(path) as archive:
            return open_pytorch if is_pytorch_zip(archive.namelist()) else open_npz
    except DAMAGE:
        return open_npz  # says what is wrong with it
