"""HDF5 as Keras writes it: ``.h5`` (Keras 2, and 3's old way) and ``.weights.h5`` (Keras 3).

A tensor is named ``layer/kernel``, ``layer/gamma`` ... in both. Keras 3 numbers a layer's
variables instead of naming them; which is which follows from their order and axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.hdf5 import array_of, check_reader, opened, shape_and_type
from twinlens.engine.layers import Array
from twinlens.engine.params.parameters import MAX_TENSORS, Entry, Parameters

_NOT_WEIGHTS = frozenset({"optimizer", "optimizer_weights", "seed_generator"})
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def open_hdf5(path: Path) -> Parameters:
    """Read the arrays of an HDF5 file, an optimiser's left out.

    Only what lies in the file itself is read: links to other files, virtual arrays and external
    storage are refused.

    Raises:
        EngineUnavailableError: pyfive is not installed.
        ModelFileError: damaged, or an array that is not plain numbers in this file.
    """
    check_reader(path)
    with opened(path, f"{path}: cannot be read as HDF5") as file:
        found = _datasets(path, file)
        names = _names(path, file, found)

    def read(name: str, _: np.dtype[Any]) -> Array:
        with opened(path, f"{path}: {name} cannot be read") as file:
            return array_of(file[names[name]])

    return Parameters(str(path), {name: found[place] for name, place in names.items()}, read)


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
        found[place] = Entry.of(*shape_and_type(path, size, place, item))

    # Links within the file come as what they lead to, by its own name.
    file.visititems(visit, noindex=True)
    return found


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
