"""Named arrays that are read when they are asked for; their sizes are known before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError, ParameterError
from twinlens.engine.layers import Array, Shape

MAX_BYTES = 2 << 30
"""Most that one source may hold, unpacked."""
MAX_TENSORS = 20_000

RAW_TYPE = np.dtype("<f4")
"""What a file without a type of its own is taken for, unless its size says otherwise."""


@dataclass(frozen=True)
class Entry:
    """What is known of an array before it is read.

    Attributes:
        nbytes: size of the stored values.
        shape: stored shape; None where the file does not say (raw files).
        dtype: stored type; None where the file does not say.
    """

    nbytes: int
    shape: Shape | None = None
    dtype: np.dtype[Any] | None = None

    @classmethod
    def of(cls, shape: Shape, dtype: np.dtype[Any]) -> Entry:
        """An array of known shape and type."""
        return cls(prod(shape) * dtype.itemsize, tuple(shape), dtype)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.nbytes:,} bytes"
        return f"{shape_text(self.shape)} {self.dtype}, {self.nbytes:,} bytes"


class Parameters(Mapping[str, Array]):
    """Trained arrays by name, read one by one.

    Args:
        source: file or folder that they come from, for messages.
        entries: size, and where known shape and type, by name.
        read: reads one array; raw bytes are read as the type that it is given.

    Raises:
        ModelFileError: there are more arrays, or more bytes, than one source may hold.
    """

    def __init__(
        self,
        source: str,
        entries: Mapping[str, Entry],
        read: Callable[[str, np.dtype[Any]], Array],
    ) -> None:
        self.source = source
        self.entries = dict(entries)
        self._read = read
        if len(self.entries) > MAX_TENSORS:
            raise ModelFileError(
                f"{source}: {len(self.entries):,} tensors, expected at most {MAX_TENSORS:,}"
            )
        total = sum(entry.nbytes for entry in self.entries.values())
        if total > MAX_BYTES:
            raise ModelFileError(f"{source}: {total:,} bytes, expected at most {MAX_BYTES:,}")

    @classmethod
    def of(cls, arrays: Mapping[str, Array], source: str = "memory") -> Parameters:
        """Arrays that are at hand already."""
        if isinstance(arrays, Parameters):
            return arrays
        entries = {name: Entry.of(array.shape, array.dtype) for name, array in arrays.items()}
        return cls(source, entries, lambda name, _: arrays[name])

    def read(self, name: str, raw_type: np.dtype[Any] = RAW_TYPE) -> Array:
        """Read an array.

        Args:
            name: one of the keys.
            raw_type: type of a raw file's values, which come in one axis.

        Raises:
            KeyError: there is no such array.
            ParameterError: it is not what was announced, or a raw file of a broken size.
            ModelFileError: the file cannot be read any more.
        """
        entry = self.entries[name]
        if entry.dtype is None and entry.nbytes % raw_type.itemsize:
            raise ParameterError(
                f"{self.source}: {name} has {entry.nbytes:,} bytes, expected a multiple of "
                f"{raw_type.itemsize} for {raw_type.name}"
            )
        array = self._read(name, raw_type)
        shape = (entry.nbytes // raw_type.itemsize,) if entry.shape is None else entry.shape
        if array.shape != shape:
            raise ParameterError(
                f"{self.source}: {name} has {shape_text(array.shape)} values, "
                f"expected {shape_text(shape)}"
            )
        return array

    def __getitem__(self, name: str) -> Array:
        return self.read(name)

    def __contains__(self, name: object) -> bool:
        return name in self.entries  # without reading it, as Mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def shape_text(shape: Shape) -> str:
    """``20×5×5×1``; ``scalar`` without axes."""
    return "×".join(map(str, shape)) or "scalar"
