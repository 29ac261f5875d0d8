"""Graphs and specifications on their way to a host: structure as a pickle, arrays apart.

The structure is a pickle in which every array is a number; the arrays themselves are copied into
shared memory once. Reading one makes nothing but the engine's own records: other names are refused.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.hosts.arena import ALIGN, Arena
from twinlens.app.core.hosts.messages import MessageError, Record, field

_OWN = "twinlens.engine."
# What records are made of beside our own classes.
_PLAIN = {
    "builtins": {"complex", "frozenset", "range", "set", "slice"},
    "collections": {"OrderedDict"},
    "numpy": {"dtype", "ndarray"},
    "pathlib": {"Path", "PosixPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "WindowsPath"},
    "numpy.core.multiarray": {"scalar"},
    "numpy._core.multiarray": {"scalar"},
}


@dataclass(frozen=True, eq=False)
class Parcel:
    """A thing that was taken apart.

    Attributes:
        structure: the pickle.
        arrays: what its numbers stand for.
    """

    structure: bytes
    arrays: tuple[NDArray[Any], ...]

    @classmethod
    def of(cls, thing: object) -> Parcel:
        """Take a thing apart; its arrays are not copied."""
        out = io.BytesIO()
        pickler = _Pickler(out)
        pickler.dump(thing)
        return cls(out.getvalue(), tuple(pickler.arrays))

    def post(self, arena: Arena | None, start: int = 0) -> tuple[Record, bytes]:
        """Put the arrays into shared memory; gives what a message says of it, and its bytes.

        Args:
            arena: the memory; None lets the arrays go with the bytes.
            start: where the arrays begin.
        """
        places: list[list[Any]] = []
        at = start if arena is not None else 0
        for array in self.arrays:
            at = -(-at // ALIGN) * ALIGN
            places.append([at, list(array.shape), array.dtype.str])
            at += array.nbytes
        record = {"arrays": places, "structure": len(self.structure), "size": 0}
        if arena is not None:
            arena.reserve(at)
            for array, (offset, *_) in zip(self.arrays, places, strict=True):
                if array.size:
                    arena.put(array, offset)
            return record | {"size": arena.size}, self.structure
        body = bytearray(at)
        for array, (offset, *_) in zip(self.arrays, places, strict=True):
            body[offset : offset + array.nbytes] = np.ascontiguousarray(array).tobytes()
        return record, self.structure + bytes(body)


def open_parcel(record: Record, payload: bytearray, arena: Arena | None) -> Any:
    """Put a thing together again, with arrays of its own.

    Raises:
        MessageError: it is damaged, or of classes that are none of ours.
    """
    size, split = field(record, "size", int), field(record, "structure", int)
    if size and arena is not None:
        arena.follow(size)
    arrays = []
    for offset, shape, dtype in field(record, "arrays", list):
        kind, count = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
        if not count:
            arrays.append(np.zeros(shape, kind))
        elif size and arena is not None:
            arrays.append(arena.array(offset, shape, dtype).copy())
        else:
            arrays.append(np.frombuffer(payload, kind, count, split + offset).reshape(shape))
    return _Unpickler(io.BytesIO(bytes(payload[:split])), arrays).load()


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO) -> None:
        super().__init__(out, protocol=5)
        self.arrays: list[NDArray[Any]] = []
        self._known: dict[int, int] = {}

    def persistent_id(self, thing: Any) -> int | None:
        if type(thing) is not np.ndarray or thing.dtype.kind not in "biufc":
            return None
        if id(thing) not in self._known:
            self._known[id(thing)] = len(self.arrays)
            self.arrays.append(thing)
        return self._known[id(thing)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: io.BytesIO, arrays: list[NDArray[Any]]) -> None:
        super().__init__(data)
        self._arrays = arrays

    def persistent_load(self, number: Any) -> NDArray[Any]:
        try:
            found: NDArray[Any] = self._arrays[number]
            return found
        except (IndexError, TypeError):
            raise MessageError(f"array {number!r} of {len(self._arrays)}") from None

    def find_class(self, module: str, name: str) -> Any:
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.startswith(_OWN):
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise MessageError(f"{module}.{name} is no record of ours")
