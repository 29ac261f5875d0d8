"""safetensors, as PyTorch and Hugging Face projects publish weights.

The library checks the header (its length, that arrays neither overlap nor leave the file) before
anything is allocated, and maps the file into memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers import Array
from twinlens.engine.params.parameters import Entry, Parameters
from twinlens.engine.params.statedict import unwrapped

_TYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "bfloat16",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
}


def open_safetensors(path: Path) -> Parameters:
    """Read a safetensors file, by its tensors' names; where PyTorch wrote it, without the names
    of wrappers in front of most of them.

    Raises:
        ModelFileError: damaged, or a tensor of a type that NumPy cannot hold.
    """
    import ml_dtypes  # noqa: F401  teaches NumPy the name bfloat16
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            pytorch = (file.metadata() or {}).get("format") == "pt"
            found = {name: (one.get_dtype(), one.get_shape()) for name, one in slices.items()}
    except (SafetensorError, OSError) as why:
        raise ModelFileError(f"{path}: cannot be read as safetensors ({why})") from why
    if unknown := {name: kind for name, (kind, _) in found.items() if kind not in _TYPES}:
        listed = ", ".join(f"{name} has type {kind}" for name, kind in unknown.items())
        raise ModelFileError(f"{path}: {listed}; known are {', '.join(_TYPES)}")

    # Others' names may only look like a wrapper's: a graph's own, for one.
    places = unwrapped(found) if pytorch else {name: name for name in found}

    def read(name: str, _: np.dtype[Any]) -> Array:
        try:
            with safe_open(path, "np") as file:
                return np.asarray(file.get_tensor(places[name]))
        except (SafetensorError, OSError) as why:
            raise ModelFileError(f"{path}: {name} cannot be read ({why})") from why

    entries = {
        name: Entry.of(tuple(found[place][1]), np.dtype(_TYPES[found[place][0]]))
        for name, place in places.items()
    }
    return Parameters(str(path), entries, read)
