"""What a folder of raw files says about itself: ``manifest.json``.

::

    {"format": "twinlens.parameters", "version": 1, "order": "MPSCNN",
     "tensors": [{"name": "conv1_weight", "file": "conv1_weight.dat", "dtype": "float32",
                  "shape": [20, 1, 5, 5], "kernel": [20, 1, 5, 5], "groups": 1, "axes": "OHWI"}]}

``shape`` is the array's as the layers have it. Where there are ``axes``, the file has the values
of ``kernel``, (O, I, H, W), in that order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers import Array, Shape
from twinlens.engine.params.order import AxisOrder
from twinlens.engine.params.parameters import MAX_TENSORS, Entry

NAME = "manifest.json"
FORMAT, VERSION = "twinlens.parameters", 1

_MAX_BYTES = 16 << 20
_MAX_AXES = 16
_TYPES = (
    *("float32", "float16", "float64"),
    *("uint8", "int8", "uint16", "int16", "int32", "int64", "bool"),
)


@dataclass(frozen=True)
class Tensor:
    """One file.

    Attributes:
        name: of the array.
        file: its name in the folder.
        dtype: type of the stored values, little-endian.
        shape: the array's, as the layers have it.
        kernel: the same values as (O, I, H, W); empty for what is stored as it is.
        groups: channel groups of the kernel.
        axes: order in which the kernel is stored, of ``OIHW`` or ``CMHW``.
    """

    name: str
    file: str
    dtype: str
    shape: Shape
    kernel: Shape = ()
    groups: int = 1
    axes: str = ""

    @property
    def entry(self) -> Entry:
        """Size, shape and type."""
        return Entry.of(self.shape, np.dtype(self.dtype))

    def to_layers(self, stored: Array) -> Array:
        """Values of the file, in one axis, as the array that they are."""
        if not self.axes:
            return stored.reshape(self.shape)
        order = AxisOrder("", self.axes, self.axes)
        return order.to_layers(stored, self.kernel, self.groups).reshape(self.shape)

    def to_file(self, array: Array) -> Array:
        """The way back."""
        if not self.axes:
            return array
        order = AxisOrder("", self.axes, self.axes)
        return order.from_layers(array.reshape(self.kernel), self.groups)


def manifest_bytes(tensors: Sequence[Tensor], order: str) -> bytes:
    """The file's contents.

    Args:
        tensors: what lies in the folder.
        order: name of the axis order of kernels, for people.
    """
    rows = []
    for tensor in tensors:
        row = asdict(tensor)
        if not tensor.axes:
            row = {key: row[key] for key in ("name", "file", "dtype", "shape")}
        rows.append("    " + json.dumps(row, ensure_ascii=False))
    head = f'"format": "{FORMAT}", "version": {VERSION}, "order": "{order}",\n'
    listed = ",\n".join(rows)
    return f'{{\n  {head}  "tensors": [\n{listed}\n  ]\n}}\n'.encode()


def read_manifest(folder: Path) -> list[Tensor] | None:
    """Read a folder's manifest; None where there is none, or one of another kind.

    Raises:
        ModelFileError: damaged, of a later version, or it names files outside the folder, twice,
            or with sizes that do not fit.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelFileError(f"{path}: too large for a manifest")
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as why:
        raise ModelFileError(f"{path}: cannot be read as a manifest ({why})") from why
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        return None
    if values.get("version") != VERSION:
        raise ModelFileError(
            f"{path}: version {values.get('version')!r} of {FORMAT}, expected {VERSION}"
        )
    rows = values.get("tensors")
    if not isinstance(rows, list) or len(rows) > MAX_TENSORS:
        raise ModelFileError(f"{path}: expected a list of at most {MAX_TENSORS:,} tensors")
    tensors = [_tensor(path, row) for row in rows]
    for what in ("name", "file"):
        if len({getattr(tensor, what) for tensor in tensors}) != len(tensors):
            raise ModelFileError(f"{path}: two tensors have one {what}")
    return tensors


def _tensor(path: Path, row: Any) -> Tensor:
    if not isinstance(row, dict):
        raise ModelFileError(f"{path}: a tensor is {row!r}, expected an object")
    name, file, axes = row.get("name"), row.get("file"), row.get("axes", "")
    if not isinstance(name, str) or not isinstance(file, str) or Path(file).name != file:
        raise ModelFileError(f"{path}: tensor {name!r} lies in {file!r}, expected a name of a file")
    if row.get("dtype") not in _TYPES:
        raise ModelFileError(
            f"{path}: {name} has type {row.get('dtype')!r}; known are {', '.join(_TYPES)}"
        )
    shape, kernel = _shape(path, row, "shape"), _shape(path, row, "kernel")
    groups = row.get("groups", 1)
    if axes:
        _check_order(path, str(name), (shape, kernel), groups, axes)
    return Tensor(name, file, row["dtype"], shape, kernel, groups, axes)


def _shape(path: Path, row: Mapping[str, Any], key: str) -> Shape:
    sizes = row.get(key, ())
    plain = isinstance(sizes, list | tuple) and len(sizes) <= _MAX_AXES
    if not plain or not all(type(size) is int and 0 <= size < 1 << 40 for size in sizes):
        raise ModelFileError(f"{path}: {key} of {row.get('name')} is {sizes!r}, expected sizes")
    return tuple(sizes)


def _check_order(
    path: Path, name: str, shapes: tuple[Shape, Shape], groups: Any, axes: Any
) -> None:
    shape, kernel = shapes
    known = isinstance(axes, str) and sorted(axes) in (sorted("OIHW"), sorted("CMHW"))
    fits = len(kernel) == 4 and prod(kernel) == prod(shape)
    split = type(groups) is int and groups > 0 and fits and kernel[0] % groups == 0
    if not known or not split or ("M" in axes and kernel[1] != 1):
        raise ModelFileError(
            f"{path}: {name} of shape {list(shape)} cannot be kernel {list(kernel)} of {groups!r} "
            f"groups in the order {axes!r}"
        )
