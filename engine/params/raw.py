"""A folder of raw little-endian files, one tensor each, as the MPSCNN samples ship them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers import Array
from twinlens.engine.params.manifest import Tensor, read_manifest
from twinlens.engine.params.parameters import Entry, Parameters

SUFFIXES = (".dat", ".bin")


def open_raw(folder: Path) -> Parameters:
    """Read a folder of ``.dat`` and ``.bin`` files: float32 or float16, without a header.

    A tensor is named as its file, without the ending. The files are memory-mapped when they are
    read; others in the folder are left alone. Links are followed within the folder only. Where
    `write_raw` left its manifest, names, shapes and types come from there, and kernels come in the
    layers' own axis order.

    Raises:
        ModelFileError: no such files, two of one name, or one that leads out of the folder; or the
            manifest is damaged, or a file is missing or not of the size that it says.
    """
    tensors = read_manifest(folder)
    if tensors is not None:
        return _described(folder, tensors)
    files = _files(folder)
    entries = {name: Entry(path.stat().st_size) for name, path in files.items()}

    def read(name: str, raw_type: np.dtype[Any]) -> Array:
        return _map(files[name], raw_type) if entries[name].nbytes else np.empty(0, raw_type)

    return Parameters(str(folder), entries, read)


def _described(folder: Path, tensors: Sequence[Tensor]) -> Parameters:
    """The files of a manifest."""
    home = folder.resolve()
    by_name = {tensor.name: tensor for tensor in tensors}
    for tensor in tensors:
        target = _inside(folder / tensor.file, home)
        size, expected = target.stat().st_size, tensor.entry.nbytes
        if size != expected:
            raise ModelFileError(
                f"{folder / tensor.file}: has {size:,} bytes, expected {expected:,}: {tensor.entry}"
            )

    def read(name: str, _: np.dtype[Any]) -> Array:
        tensor = by_name[name]
        dtype = np.dtype(tensor.dtype)
        if not tensor.entry.nbytes:
            return np.empty(tensor.shape, dtype)
        stored = _map(_inside(folder / tensor.file, home), dtype.newbyteorder("<"))
        return tensor.to_layers(stored).astype(dtype, copy=False)

    return Parameters(str(folder), {name: one.entry for name, one in by_name.items()}, read)


def _files(folder: Path) -> Mapping[str, Path]:
    home = folder.resolve()
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.is_dir():
            continue
        target = _inside(path, home)
        if path.stem in files:
            raise ModelFileError(
                f"{folder}: {files[path.stem].name} and {path.name} are both tensor {path.stem!r}"
            )
        files[path.stem] = target
    if not files:
        raise ModelFileError(f"{folder}: has no {' or '.join(SUFFIXES)} file")
    return files


def _inside(path: Path, home: Path) -> Path:
    """Where a file really is; it has to be in the folder."""
    target = path.resolve()
    if not target.is_relative_to(home):
        raise ModelFileError(
            f"{path}: leads to {target}, outside its folder",
            hint="Parameters are read only from the folder that was given.",
        )
    if not target.is_file():
        what = "is not a regular file" if target.exists() else "does not exist"
        raise ModelFileError(f"{path}: {what}")
    return target


def _map(path: Path, raw_type: np.dtype[Any]) -> Array:
    try:
        return np.memmap(path, raw_type, "r")
    except (OSError, ValueError) as why:
        raise ModelFileError(f"{path}: cannot be read ({why})") from why
