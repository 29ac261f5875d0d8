"""FlatBuffers read with care: every offset is checked against the file before it is followed.

The wire format is described at https://flatbuffers.dev/internals/: a table begins with a signed
offset back to its vtable; the vtable has its own size, the table's, and an offset for each field
(0: left out); strings, vectors and tables are reached by unsigned offsets from where they stand.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers.base import Array

_LONGEST_NAME = 4096


class Table:
    """One table of a FlatBuffers file.

    Args:
        data: the file.
        position: where the table begins.
        what: what errors call the file.

    Raises:
        ModelFileError: the table or its vtable lies outside the file.
    """

    def __init__(self, data: bytes, position: int, what: str) -> None:
        self._data, self._what, self._start = data, what, position
        self._vtable = position - self._number("<i", position)
        self._slots = self._number("<H", self._vtable)
        if self._slots < 4 or self._slots % 2:
            raise self._damaged(self._vtable)
        self._within(self._vtable, self._slots)

    @classmethod
    def root(cls, data: bytes, what: str) -> Table:
        """The table that a file begins with; raises as the class does."""
        if len(data) < 8:
            raise ModelFileError(f"{what}: {len(data)} bytes are too few for a model")
        (position,) = struct.unpack_from("<I", data, 0)
        return cls(data, position, what)

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """An integer or enumeration.

        Args:
            field: number of the field in its schema.
            form: how it is stored, as in ``struct`` (``"b"``, ``"i"``, ``"Q"`` ...).
            default: its value where it is left out.
        """
        place = self._place(field)
        return default if place is None else int(self._number("<" + form, place))

    def real(self, field: int, default: float = 0.0) -> float:
        """A float32."""
        place = self._place(field)
        return default if place is None else float(self._number("<f", place))

    def flag(self, field: int, default: bool = False) -> bool:
        """A bool."""
        return bool(self.integer(field, "B", default))

    def text(self, field: int) -> str:
        """A string; empty where it is left out."""
        found = self._vector(field, 1)
        if found is None:
            return ""
        start, length = found
        if length > _LONGEST_NAME:
            raise ModelFileError(f"{self._what}: a name of {length:,} bytes; {_LONGEST_NAME} fit")
        return self._data[start : start + length].decode("utf-8", "replace")

    def table(self, field: int) -> Table | None:
        """A table, or None where it is left out."""
        place = self._place(field)
        return None if place is None else Table(self._data, self._follow(place), self._what)

    def tables(self, field: int, most: int) -> list[Table]:
        """A vector of at most ``most`` tables."""
        found = self._vector(field, 4)
        if found is None:
            return []
        start, count = found
        if count > most:
            raise ModelFileError(f"{self._what}: {count:,} entries in one list; {most:,} fit")
        places = range(start, start + 4 * count, 4)
        return [Table(self._data, self._follow(place), self._what) for place in places]

    def array(self, field: int, dtype: DTypeLike) -> Array | None:
        """A vector of numbers as an array on the file's own bytes; None where it is left out."""
        stored = np.dtype(dtype).newbyteorder("<")
        found = self._vector(field, stored.itemsize)
        if found is None:
            return None
        start, count = found
        return np.frombuffer(self._data, stored, count, start)

    def _vector(self, field: int, item: int) -> tuple[int, int] | None:
        """(first byte, number of entries) of a vector that lies inside the file."""
        place = self._place(field)
        if place is None:
            return None
        start = self._follow(place)
        count = int(self._number("<I", start))
        self._within(start + 4, count * item)
        return start + 4, count

    def _place(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot + 2 > self._slots:
            return None
        offset = int(self._number("<H", self._vtable + slot))
        return self._start + offset if offset else None

    def _follow(self, place: int) -> int:
        return place + int(self._number("<I", place))

    def _number(self, form: str, place: int) -> Any:
        self._within(place, struct.calcsize(form))
        return struct.unpack_from(form, self._data, place)[0]

    def _within(self, place: int, size: int) -> None:
        if place < 0 or place + size > len(self._data):
            raise self._damaged(place)

    def _damaged(self, place: int) -> ModelFileError:
        return ModelFileError(
            f"{self._what}: points to byte {place:,} of {len(self._data):,}",
            hint="The file is damaged or incomplete; fetch it again.",
        )
