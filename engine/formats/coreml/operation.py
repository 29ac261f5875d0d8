"""An operation of an ML Program, and the constants that it may take."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.coreml.file import CoreMLFile, inside
from twinlens.engine.formats.coreml.layer import Net, Step
from twinlens.engine.formats.coreml.weights import BlobFile, floats
from twinlens.engine.formats.values import LARGEST
from twinlens.engine.layers.base import Array, Shape

_MODEL_PATH = "@model_path/"
_MAX_RANK = 16
_BOOL, _STRING = 1, 2

# NumPy types of the language's tensors that are kept as bytes.
_BYTES: dict[int, np.dtype[Any]] = {
    10: np.dtype("<f2"),
    21: np.dtype("i1"),
    22: np.dtype("<i2"),
    31: np.dtype("u1"),
    32: np.dtype("<u2"),
    33: np.dtype("<u4"),
}


class Constants:
    """What is known before the program runs: arrays, and text.

    Args:
        file: gives the folder of weights.
    """

    def __init__(self, file: CoreMLFile) -> None:
        self._file = file
        self._blobs: dict[str, BlobFile] = {}
        self.arrays: dict[str, Array] = {}
        self.texts: dict[str, list[str]] = {}

    def read(self, value: Any) -> Array | list[str]:
        """A ``Value`` message as an array (16-bit floats as float32), or as text.

        Raises:
            ModelFileError: its contents are not what its type says.
        """
        shape = _shape(value.type, self._file.title)
        if value.HasField("file"):
            return _as_float(self._blob(value.file.name).array(int(value.file.offset), shape))
        if value.immediate.HasField("list"):
            parts = [self.read(part) for part in value.immediate.list.values]
            return [part[0] for part in parts if isinstance(part, list) and part]
        tensor = value.immediate.tensor
        if value.type.tensor.dataType == _STRING:
            return list(tensor.strings.values)
        return self._reshaped(_numbers(tensor, value.type.tensor.dataType, self._file.title), shape)

    def _reshaped(self, array: Array, shape: Shape) -> Array:
        count = int(np.prod(shape))
        if array.size != count:
            raise ModelFileError(
                f"{self._file.title}: a constant of shape {shape} has {array.size:,} values"
            )
        return _as_float(array.reshape(shape))

    def _blob(self, name: str) -> BlobFile:
        folder = self._file.folder
        if folder is None or not name.startswith(_MODEL_PATH):
            raise ModelFileError(f"{self._file.title}: its weights lie at {name!r}, not beside it")
        if name not in self._blobs:
            where = inside(self._file.path, folder / name.removeprefix(_MODEL_PATH))
            self._blobs[name] = BlobFile(where)
        return self._blobs[name]


class OperationStep(Step):
    """An operation of a program.

    Args:
        net: where inputs come from and layers go.
        proto: the ``Operation`` message.
        constants: what is known before the program runs.
    """

    def __init__(self, net: Net, proto: Any, constants: Constants) -> None:
        output = proto.outputs[0].name
        self._constants = constants
        self._bound: dict[str, list[Any]] = {
            entry.key: list(entry.value.bindings) for entry in proto.inputs
        }
        self.attributes = {entry.key: entry.value for entry in proto.attributes}
        super().__init__(net, proto.type, output, (), output)

    def has(self, name: str) -> bool:
        """Whether an input is given."""
        return bool(self._bound.get(name))

    def count(self, name: str) -> int:
        """How many values an input has."""
        return len(self._bound.get(name, []))

    def known(self, name: str, index: int = 0) -> Array | list[str] | None:
        """An input that is known before the program runs; None where it is not."""
        bound = self._bound.get(name, [])
        if index >= len(bound):
            return None
        if bound[index].HasField("value"):
            return self._constants.read(bound[index].value)
        key = bound[index].name
        if key in self._constants.texts:
            return self._constants.texts[key]
        if key in self._constants.arrays:
            return self._constants.arrays[key]
        return self.net.values.constants.get(self.net.places.get(key, ""))

    def read_attribute(self, name: str) -> Array | list[str] | None:
        """An attribute; None where there is none."""
        given = self.attributes.get(name)
        return None if given is None else self._constants.read(given)

    def array(self, name: str) -> Array:
        """An input that must be known, as an array."""
        found = self.known(name)
        if found is None or isinstance(found, list):
            raise self.unsupported(f"its {name} is computed while the network runs")
        return found

    def optional(self, name: str) -> Array | None:
        """Like ``array``, or None where the input is left out."""
        return self.array(name) if self.has(name) else None

    def numbers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A list of whole numbers that must be known."""
        if not self.has(name):
            return default
        array = self.array(name).reshape(-1)
        if array.size > 64:
            raise self.unsupported(f"its {name} are {array.size} values")
        return tuple(int(value) for value in array)

    def number(self, name: str, default: float = 0.0) -> float:
        """A number that must be known."""
        if not self.has(name):
            return default
        array = self.array(name)
        if array.size != 1:
            raise self.unsupported(f"its {name} has {array.size} values; one is required")
        return float(array.reshape(()))

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value that must be known."""
        return bool(self.number(name, float(default)))

    def text(self, name: str, default: str) -> str:
        """A word that must be known."""
        found = self.known(name) if self.has(name) else [default]
        return str(found[0]) if isinstance(found, list) and found else default

    def value(self, name: str, index: int = 0) -> str:
        """Graph value of an input; what is known is put into the graph.

        Raises:
            ModelFileError: it is missing, or nothing before this operation gives it.
        """
        bound = self._bound.get(name, [])
        if index < len(bound) and bound[index].name in self.net.places:
            return self.net.places[bound[index].name]
        found = self.known(name, index)
        if found is None or isinstance(found, list):
            raise ModelFileError(f"{self.what} ({self.kind}) lacks input {name!r}")
        return self.keep(found, name)


def _shape(kind: Any, title: str) -> Shape:
    dimensions = kind.tensor.dimensions
    if len(dimensions) > _MAX_RANK:
        raise ModelFileError(f"{title}: a constant of {len(dimensions)} axes; {_MAX_RANK} fit")
    shape = tuple(int(dimension.constant.size) for dimension in dimensions)
    count = 1
    for size in shape:
        count *= size
    if count > LARGEST:
        raise ModelFileError(f"{title}: a constant of shape {shape}; {LARGEST:,} values fit")
    return shape


def _numbers(tensor: Any, code: int, title: str) -> Array:
    if code in _BYTES and tensor.HasField("bytes"):
        stored = _BYTES[code]
        if len(tensor.bytes.values) % stored.itemsize:
            raise ModelFileError(f"{title}: a constant of {len(tensor.bytes.values)} bytes")
        array: Array = np.frombuffer(tensor.bytes.values, stored)
        return array
    if tensor.HasField("floats"):
        return floats(tensor.floats.values, "<f4", None, f"{title}: a constant")
    if tensor.HasField("doubles"):
        return floats(tensor.doubles.values, "<f8", None, f"{title}: a constant")
    for field in (tensor.ints, tensor.bools, tensor.longs):
        if field.values:
            return np.asarray(field.values, np.int64)
    return np.zeros(0, np.int64)


def _as_float(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.kind == "f" else array
