"""HDF5 files, read by pyfive, which is Python throughout.

What HDF5's own library, written in C, makes of damaged files goes from gigabytes of memory to the
end of the process.
"""

from __future__ import annotations

import io
import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import EngineUnavailableError, ModelFileError
from twinlens.engine.layers.base import Array, Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"

# pyfive checks little: a file that makes no sense fails wherever its numbers lead.
_DAMAGE = (
    *(OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NameError),
    *(RuntimeError, AssertionError, MemoryError, struct.error, zlib.error),
)
# HDF5's numbers for kinds of storage, and for filters in the order in which they are applied.
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_SHUFFLE, _DEFLATE, _CHECKSUM = 2, 1, 3


def is_readable() -> bool:
    """Whether pyfive is installed."""
    return find_spec("pyfive") is not None


def check_reader(title: object) -> None:
    """Raise EngineUnavailableError where pyfive is not installed."""
    if not is_readable():
        raise EngineUnavailableError(
            f"{title}: HDF5 cannot be read: pyfive is not installed",
            hint="It comes with Twinlens; alone: pip install 'pyfive>=1.3'",
        )


@contextmanager
def opened(source: Path | bytes, failed: str) -> Iterator[Any]:
    """Open a file, or its contents, as a ``pyfive.File`` that lives in the block.

    Args:
        source: the file, or all of its bytes.
        failed: what the error says of the block, the file's name first.

    Raises:
        ModelFileError: the file is damaged, found out at once or in the block.
    """
    import pyfive
    from pyfive.core import InvalidHDF5File

    try:
        if isinstance(source, bytes):
            yield pyfive.File(io.BytesIO(source), decode_strings=True)
            return
        # As a map, which we close: files that pyfive opens by name stay open after an error.
        with (
            source.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
        ):
            yield pyfive.File(view, decode_strings=True)
    except (*_DAMAGE, InvalidHDF5File) as why:
        raise ModelFileError(
            f"{failed} ({str(why) or type(why).__name__})",
            hint="The file is damaged, leads to other files, or has a layout of HDF5 2.0; saved "
            "again by Keras, without links, it can be read.",
        ) from why


def shape_and_type(title: object, size: int, place: str, item: Any) -> tuple[Shape, np.dtype[Any]]:
    """What a dataset holds, before it is read.

    Args:
        title: what errors call the file.
        size: bytes of the file.
        place: where the dataset is, for errors.
        item: the ``pyfive.Dataset``.

    Raises:
        ModelFileError: it holds something else than numbers, or not all in this file.
    """
    dtype = np.dtype(item.dtype)
    if item.shape is None or dtype.kind not in "fiu":
        raise ModelFileError(f"{title}: {place} holds {dtype}, expected numbers")
    shape = tuple(int(axis) for axis in item.shape)
    nbytes = prod(shape) * dtype.itemsize
    layout = item.id.layout_class
    if layout not in (_COMPACT, _CONTIGUOUS, _CHUNKED):
        raise ModelFileError(f"{title}: {place} lies in another file, which is not opened")
    if layout == _CONTIGUOUS and nbytes and item.id.data_offset + nbytes > size:
        raise ModelFileError(
            f"{title}: {place} is not all in this file, expected "
            f"{'×'.join(map(str, shape)) or 'scalar'} {dtype}, {nbytes:,} bytes"
        )
    return shape, dtype


def array_of(item: Any) -> Array:
    """The numbers of a dataset that ``shape_and_type`` has seen.

    Raises:
        ValueError: chunks that would unpack to more than they hold, or packed otherwise than by
            shuffle and deflate.
    """
    if item.id.layout_class == _CHUNKED:
        _check_chunks(item)
    return np.asarray(item[()])


def _check_chunks(item: Any) -> None:
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
