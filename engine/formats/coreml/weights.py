"""Weights of Core ML files: 32 and 16 bits, quantised to 1 to 8 bits, and blob files.

``WeightParams`` is described in Apple's ``NeuralNetwork.proto``: quantised values are packed
without gaps, most significant bit first, and stand for ``scale * value + bias`` (per channel of the
first axis, or for all) or for entries of a table. Blob files are described in coremltools'
``mlmodel/src/MILBlob/Blob/StorageFormat.hpp``.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.values import LARGEST
from twinlens.engine.layers.base import Array, Shape

_SENTINEL = 0xDEADBEEF
_METADATA = 64

# Data types of blob files: NumPy's, or the number of bits of smaller integers.
_BLOB_TYPES: dict[int, np.dtype[Any] | int] = {
    1: np.dtype("<f2"),
    2: np.dtype("<f4"),
    3: np.dtype("u1"),
    4: np.dtype("i1"),
    6: np.dtype("<i2"),
    7: np.dtype("<u2"),
    9: 1,
    10: 2,
    11: 4,
    12: 3,
    13: 6,
    14: np.dtype("<i4"),
    15: np.dtype("<u4"),
}


def weights(params: Any, shape: Shape, what: str) -> Array:
    """An array of a ``Weights`` message, as float32 of the given shape.

    Args:
        params: the message.
        shape: what it must have.
        what: what errors call it (``"layer 'conv1': weights"``).

    Raises:
        ModelFileError: it holds other than that many values.
        UnsupportedOperatorError: it is stored in a way that is not implemented.
    """
    count = prod(shape)
    if not 0 < count <= LARGEST:
        raise ModelFileError(f"{what} would have shape {shape}")
    for data, stored in ((params.floats, "<f4"), (params.halves, "<f2")):
        if data:
            return floats(data, stored, count, what).reshape(shape)
    if params.HasField("quantization"):
        return _quantized(params, shape, what)
    if params.signed or params.raw:
        raise UnsupportedOperatorError(f"{what} are integers without a scale")
    raise ModelFileError(f"{what} are missing; {count:,} values of shape {shape} are required")


def floats(data: bytes, stored: str, count: int | None, what: str) -> Array:
    """Packed floats as float32; ``count`` of them, or as many as there are.

    Raises:
        ModelFileError: another number of values.
    """
    dtype = np.dtype(stored)
    if len(data) % dtype.itemsize or (count is not None and len(data) != count * dtype.itemsize):
        required = "whole" if count is None else f"{count:,}"
        raise ModelFileError(
            f"{what} hold {len(data) / dtype.itemsize:,.2f} values; {required} are required"
        )
    return np.frombuffer(data, dtype).astype(np.float32, copy=False)


def _quantized(params: Any, shape: Shape, what: str) -> Array:
    how = params.quantization
    bits, count = int(how.bits), prod(shape)
    steps: Array
    if params.signed:
        steps = _signed(params.signed, count, what)
    else:
        steps = unpack(params.raw, bits, count, what)
    if how.HasField("table"):
        table = floats(how.table.values, "<f4", None, f"{what}: table")
        if table.size == 0 or table.size < int(steps.max()) + 1:
            raise ModelFileError(f"{what}: the table has {table.size} entries for {bits} bits")
        return table[steps].reshape(shape)
    if not how.HasField("linear"):
        raise UnsupportedOperatorError(f"{what} are quantised in a way that is not known")
    scale = floats(how.linear.scale, "<f4", None, f"{what}: scale")
    bias = floats(how.linear.bias, "<f4", None, f"{what}: bias")
    bias = bias if bias.size else np.zeros_like(scale)
    if scale.size not in (1, shape[0]) or bias.size not in (1, shape[0]):
        raise ModelFileError(
            f"{what} have {scale.size} scales and {bias.size} biases; 1 or {shape[0]} are required"
        )
    values = steps.reshape(shape[0], -1).astype(np.float64)
    real = values * scale.reshape(-1, 1) + bias.reshape(-1, 1)
    return real.astype(np.float32).reshape(shape)


def _signed(data: bytes, count: int, what: str) -> Array:
    """Signed bytes, ``count`` of them."""
    if len(data) != count:
        raise ModelFileError(f"{what} hold {len(data):,} values; {count:,} are required")
    return np.frombuffer(data, np.int8)


def unpack(data: bytes, bits: int, count: int, what: str) -> Array:
    """Integers of 1 to 8 bits, packed without gaps, most significant bit first.

    Returns:
        (count,) uint8.

    Raises:
        ModelFileError: another number of bytes or bits.
    """
    if not 1 <= bits <= 8 or len(data) != -(-count * bits // 8):
        raise ModelFileError(
            f"{what} hold {len(data):,} bytes; {count:,} values of {bits} bits are required"
        )
    stored: Array = np.frombuffer(data, np.uint8)
    if bits == 8:
        return stored
    digits = np.unpackbits(stored)[: count * bits].reshape(count, bits)
    result: Array = np.zeros(count, np.uint8)
    for place in range(bits):
        result = (result << 1) | digits[:, place]
    return result


class BlobFile:
    """A file of weights, read through the system's pages.

    Args:
        path: the file.

    Raises:
        ModelFileError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._data: Array = np.memmap(path, np.uint8, mode="r")
        except (OSError, ValueError) as why:
            raise ModelFileError(f"{path} cannot be read: {why}") from why

    def array(self, offset: int, shape: Shape) -> Array:
        """The array whose description begins at a byte.

        Integers of fewer than 8 bits come as uint8.

        Raises:
            ModelFileError: the description or its data lie outside the file or do not fit.
        """
        what = f"{self._path.name}, byte {offset:,}"
        if offset + _METADATA > self._data.size:
            raise ModelFileError(f"{what}: the file has {self._data.size:,} bytes")
        head = self._data[offset : offset + _METADATA].tobytes()
        sentinel, code = np.frombuffer(head, "<u4", 2).tolist()
        size, start = np.frombuffer(head, "<u8", 2, 8).tolist()
        stored = _BLOB_TYPES.get(code)
        if sentinel != _SENTINEL or stored is None or start + size > self._data.size:
            raise ModelFileError(f"{what}: there is no array (type {code}, {size:,} bytes)")
        count = prod(shape)
        if isinstance(stored, int):
            packed = np.asarray(self._data[start : start + size])
            return small_integers(packed, stored, count, what).reshape(shape)
        if size != count * stored.itemsize:
            raise ModelFileError(f"{what}: {size:,} bytes for shape {shape} of {stored}")
        return np.frombuffer(self._data[start : start + size], stored).reshape(shape)


def small_integers(data: Array, bits: int, count: int, what: str) -> Array:
    """Integers of 1 to 8 bits, packed without gaps, least significant bit first.

    Args:
        data: uint8.
        bits: of each integer.
        count: how many there are.
        what: what errors call them.

    Returns:
        (count,) uint8.

    Raises:
        ModelFileError: another number of bytes.
    """
    if data.size != -(-count * bits // 8):
        raise ModelFileError(f"{what}: {data.size:,} bytes for {count:,} values of {bits} bits")
    if bits == 8:
        return data
    digits = np.unpackbits(data, bitorder="little")[: count * bits].reshape(count, bits)
    result = np.zeros(count, np.uint8)
    for place in range(bits):
        result |= digits[:, place] << place
    return result
