"""HDF5 as Keras writes it: ``.h5`` (Keras 2, and 3's old way) and ``.weights.h5`` (Keras 3).

A tensor is named ``layer/kernel``, ``layer/gamma`` ... in both. Keras 3 numbers a layer's
variables instead of naming them; which is which follows from their order and axes.

The files are read by pyfive, which is Python throughout. What HDF5's own library, written in C,
makes of damaged files goes from gigabytes of memory to the end of the process.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import EngineUnavailableError, ModelFileError
from twinlens.engine.layers import Array
from twinlens.engine.params.parameters import MAX_TENSORS, Entry, Parameters

_NOT_WEIGHTS = frozenset({"optimizer", "optimizer_weights", "seed_generator"})
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# pyfive checks little: a file that makes no sense fails wherever its numbers lead.
_DAMAGE = (
    *(OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NameError),
    *(RuntimeError, AssertionError, MemoryError, struct.error, zlib.error),
)
# HDF5's numbers for kinds of storage, and for filters in the order in which they are applied.
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_SHUFFLE, _DEFLATE, _CHECKSUM = 2, 1, 3


def open_hdf5(path: Path) -> Parameters:
    """Read the arrays of an HDF5 file, an optimiser's left out.

    Only what lies in the file itself is read: links to other files, virtual arrays and external
    storage are refused.

    Raises:
        EngineUnavailableError: pyfive is not installed.
        ModelFileError: damaged, or an array that is not plain numbers in this file.
    """
    if find_spec("pyfive") is None:
        raise EngineUnavailableError(
            f"{path}: HDF5 cannot be read: pyfive is not installed",
            hint="pip install 'twinlens[hdf5]'",
        )
    with _opened(path, "cannot be read as HDF5") as file:
        found = _datasets(path, file)
        names = _names(path, file, found)

    def read(name: str, _: np.dtype[Any]) -> Array:
        with _opened(path, f"{name} cannot be read") as file:
            item = file[names[name]]
            if item.id.layout_class == _CHUNKED:
                _check_chunks(item)
            return np.asarray(item[()])

    return Parameters(str(path), {name: found[place] for name, place in names.items()}, read)


@contextmanager
def _opened(path: Path, failed: str) -> Iterator[Any]:
    import pyfive
    from pyfive.core import InvalidHDF5File

    try:
        # As a map, which we close: files that pyfive opens by name stay open after an error.
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
        ):
            yield pyfive.File(view, decode_strings=True)
    except (*_DAMAGE, InvalidHDF5File) as why:
        raise ModelFileError(
            f"{path}: {failed} ({str(why) or type(why).__name__})",
            hint="The file is damaged, leads to other files, or has a layout of HDF5 2.0; saved "
            "again by Keras, without links, it can be read.",
        ) from why


def _datasets(path: Path, file: Any) -> dict[str, Entry]:
    """Every array by its place in the file."""
    import pyfive

    size = path.stat().st_size
    found: dict[str, Entry] = {}

    def visit(place: str, item: Any) -> None:
        if not isinstance(item, pyfive.Dataset) or _NOT_WEIGHTS.intersection(place.split("/")):
            return
        if len(found) >= MAX_TENSORS:
            raise ModelFileError(f"{path}: more than {MAX_TENSORS:,} tensors")
        found[place] = _entry(path, size, place, item)

    # Links within the file come as what they lead to, by its own name.
    file.visititems(visit, noindex=True)
    return found


def _entry(path: Path, size: int, place: str, item: Any) -> Entry:
    dtype = np.dtype(item.dtype)
    if item.shape is None or dtype.kind not in "fiu":
        raise ModelFileError(f"{path}: {place} holds {dtype}, expected numbers")
    shape = tuple(int(axis) for axis in item.shape)
    entry = Entry(prod(shape) * dtype.itemsize, shape, dtype)
    layout = item.id.layout_class
    if layout not in (_COMPACT, _CONTIGUOUS, _CHUNKED):
        raise ModelFileError(f"{path}: {place} lies in another file, which is not opened")
    if layout == _CONTIGUOUS and entry.nbytes and item.id.data_offset + entry.nbytes > size:
        raise ModelFileError(f"{path}: {place} is not all in this file, expected {entry}")
    return entry


def _check_chunks(item: Any) -> None:
    """Refuse chunks that would unpack to more than they hold."""
    steps = [step["filter_id"] for step in item.id.filter_pipeline or ()]
    if steps != [step for step in (_SHUFFLE, _DEFLATE, _CHECKSUM) if step in steps]:
        raise ValueError(f"it is packed by filters {steps}, expected shuffle, deflate, Fletcher-32")
    if _DEFLATE not in steps:
        return
    expected = prod(item.chunks) * item.dtype.itemsize
    for place in item.id.index:
        skipped, packed = item.id.read_direct_chunk(place)
        if skipped >> steps.index(_DEFLATE) & 1:
            continue
        unpacked = len(zlib.decompressobj().decompress(packed, expected + 1))
        if unpacked != expected:
            raise ValueError(f"chunk {place} unpacks to {unpacked:,} bytes, not {expected:,}")


def _names(path: Path, file: Any, found: Mapping[str, Entry]) -> dict[str, str]:
    """Place by name."""
    names: dict[str, str] = {}
    for place in found:
        group, _, last = place.rpartition("/")
        if group.split("/")[-1] == "vars" and last.isdigit():
            order = sorted(file[group], key=_number)
            siblings = [found[f"{group}/{one}"] for one in order]
            name = f"{_layer(file, group)}/{_variable(order.index(last), siblings)}"
        else:
            name = "/".join([*group.split("/")[-1:], last.split(":")[0]]).lstrip("/")
        if name in names:
            raise ModelFileError(f"{path}: {names[name]} and {place} are both {name!r}")
        names[name] = place
    return names


def _number(name: str) -> int:
    return int(name) if name.isdigit() else -1


def _layer(file: Any, group: str) -> str:
    """Keras 3 files a layer under its class and keeps its name as an attribute."""
    name = file[group].attrs.get("name")
    return str(name) if name else group.split("/")[-2]


def _variable(index: int, siblings: list[Entry]) -> str:
    axes = [len(entry.shape or ()) for entry in siblings]
    if axes == [1] * len(_NORM):
        return _NORM[index]
    if axes[0] > 1 and len(axes) <= 2:
        return ("kernel", "bias")[index]
    return str(index)
