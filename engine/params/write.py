"""Trained numbers into files: raw folders, safetensors, npz; each is read back by this package.

Floats are written as float32, or with ``half`` as float16 where they have at least two axes
(kernels and matrices); scales, biases and statistics keep their precision. Integers stay as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from twinlens.engine.errors import ModelFileError, ParameterError
from twinlens.engine.graph import Graph, Named, named_arrays
from twinlens.engine.layers import Array, Conv2d, Flatten, Linear, Shape
from twinlens.engine.params.manifest import NAME, Tensor, manifest_bytes
from twinlens.engine.params.order import MPSCNN, AxisOrder
from twinlens.engine.params.parameters import MAX_BYTES

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNSAFE = re.compile(r"[^A-Za-z0-9_\-]+")
# Names that Windows keeps for devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_LONGEST_NAME = 120


def arrays_of(graph: Graph, *, half: bool = False) -> dict[str, Array]:
    """All trained numbers of a graph by the names of its layers, as they are written.

    Args:
        graph: names are ``conv1_weight``, ``conv1_bias`` ...; see ``named_arrays``.
        half: kernels and matrices as float16.

    Raises:
        ParameterError: a value is too large for float16; names the array.
    """
    return stored({one.name: one.array for one in named_arrays(graph)}, half=half)


def stored(arrays: Mapping[str, Array], *, half: bool = False) -> dict[str, Array]:
    """Arrays in the types that are written; raises as ``arrays_of``."""
    return {name: _stored(name, array, half) for name, array in arrays.items()}


def write_safetensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file.

    Args:
        path: the file.
        arrays: by name.
        metadata: text that goes into the header.

    Raises:
        ModelFileError: there are more bytes than such files may have here.
        OSError: it cannot be written.
    """
    from safetensors.numpy import save

    _check_size(path, arrays.values())
    packed = {name: _packed(array) for name, array in arrays.items()}
    path.write_bytes(save(packed, dict(metadata) if metadata else None))


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an npz file, uncompressed, the same bytes for the same arrays; raises as above."""
    _check_size(path, arrays.values())
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, array in arrays.items():
            stream = BytesIO()
            npy.write_array(stream, _packed(array), allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy", _EPOCH), stream.getvalue())


def write_raw(
    folder: Path, graph: Graph, order: AxisOrder = MPSCNN, *, half: bool = False
) -> list[Tensor]:
    """Write a graph's arrays as one raw little-endian ``.dat`` file each, with a manifest.

    Kernels of convolutions and linear layers are laid out in the axis order; a linear layer over a
    flattened map counts as a convolution whose kernel is that map. All else is written as it is.

    Args:
        folder: exists and is empty.
        graph: the network.
        order: of the kernels.
        half: kernels and matrices as float16.

    Returns:
        What was written.

    Raises:
        ParameterError: a value is too large for float16; names the array.
        ModelFileError: there are more bytes than such folders may have here.
        OSError: it cannot be written.
    """
    named = named_arrays(graph)
    arrays = stored({one.name: one.array for one in named}, half=half)
    _check_size(folder, arrays.values())
    files = _file_names([one.name for one in named])
    tensors = []
    for one in named:
        array = arrays[one.name]
        tensor = _tensor(graph, one, files[one.name], array, order)
        values = np.ascontiguousarray(tensor.to_file(array))
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        (folder / tensor.file).write_bytes(little.tobytes())
        tensors.append(tensor)
    (folder / NAME).write_bytes(manifest_bytes(tensors, order.name))
    return tensors


def _stored(name: str, array: Array, half: bool) -> Array:
    if array.dtype.kind in "iub":
        return array
    if not half or array.ndim < 2:
        return array.astype(np.float32, copy=False)
    limit = float(np.finfo(np.float16).max)
    largest = float(np.abs(array[np.isfinite(array)]).max(initial=0))
    if largest > limit:
        raise ParameterError(
            f"{name} has the value {largest:g}, float16 ends at {limit:g}",
            hint="Write float32: leave out --half.",
        )
    return array.astype(np.float16)


def _packed(array: Array) -> Array:
    """The same values one behind the other; a scalar stays one."""
    return np.ascontiguousarray(array).reshape(array.shape)


def _check_size(path: Path, arrays: Iterable[Array]) -> None:
    total = sum(array.nbytes for array in arrays)
    if total > MAX_BYTES:
        raise ModelFileError(f"{path}: {total:,} bytes of parameters, at most {MAX_BYTES:,}")


def _tensor(graph: Graph, one: Named, file: str, array: Array, order: AxisOrder) -> Tensor:
    shape = tuple(int(size) for size in array.shape)
    kernel, groups = _kernel(graph, one)
    dtype = array.dtype.name
    if not kernel:
        return Tensor(one.name, file, dtype, shape)
    depthwise = groups > 1 and kernel[1] == 1
    axes = order.depthwise if depthwise else order.kernel
    return Tensor(one.name, file, dtype, shape, kernel, groups, axes)


def _kernel(graph: Graph, one: Named) -> tuple[Shape, int]:
    """A weight as (O, I, H, W), and its groups; empty for other arrays."""
    if one.node is None or one.attribute != "weight" or one.of_activation:
        return (), 1
    layer = one.node.layer
    if isinstance(layer, Conv2d):
        return tuple(int(size) for size in one.array.shape), layer.groups
    if not isinstance(layer, Linear):
        return (), 1
    outputs, inputs = (int(size) for size in one.array.shape)
    writer = next((n for n in graph.nodes if n.output == one.node.inputs[0]), None)
    if writer is not None and isinstance(writer.layer, Flatten):
        before = graph.shapes[writer.inputs[0]]
        if len(before) == 4 and prod(before[1:]) == inputs:
            return (outputs, *before[1:]), 1
    return (outputs, inputs, 1, 1), 1


def _file_names(names: Iterable[str]) -> dict[str, str]:
    """A file's name for each array: safe on every system, also where letters' case is ignored."""
    taken: set[str] = set()
    found = {}
    for name in names:
        plain = _UNSAFE.sub("_", name)[-_LONGEST_NAME:] or "tensor"
        if _DEVICES.fullmatch(plain):
            plain = f"{plain}_"
        number, unique = 1, plain
        while unique.lower() in taken:
            number += 1
            unique = f"{plain}_{number}"
        taken.add(unique.lower())
        found[name] = f"{unique}.dat"
    return found
