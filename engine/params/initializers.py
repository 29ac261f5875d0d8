"""An ONNX file's initialisers, without its graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.onnx.file import read_model
from twinlens.engine.layers import Array
from twinlens.engine.params.parameters import Entry, Parameters

if TYPE_CHECKING:
    import onnx


def open_initializers(path: Path) -> Parameters:
    """Read the initialisers of an ONNX file, by their names.

    Raises:
        ModelFileError: no ONNX file, damaged, or an array whose size is not what it says.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in read_model(path).graph.initializer}
    entries = {name: _entry(path, tensor) for name, tensor in tensors.items()}

    def read(name: str, _: np.dtype[Any]) -> Array:
        try:
            return np.asarray(numpy_helper.to_array(tensors[name]))
        except (ValueError, TypeError) as why:
            raise ModelFileError(f"{path}: {name} cannot be read ({why})") from why

    return Parameters(str(path), entries, read)


def _entry(path: Path, tensor: onnx.TensorProto) -> Entry:
    from onnx import helper

    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError) as why:
        raise ModelFileError(f"{path}: {tensor.name} has type {tensor.data_type}") from why
    entry = Entry.of(tuple(tensor.dims), dtype)
    if any(size < 0 for size in tensor.dims) or (
        tensor.HasField("raw_data") and len(tensor.raw_data) != entry.nbytes
    ):
        raise ModelFileError(
            f"{path}: {tensor.name} has {len(tensor.raw_data):,} bytes, expected {entry}"
        )
    return entry
