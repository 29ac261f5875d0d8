"""Operations of ML Programs that hold weights in fewer bits, multiplied out when they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from twinlens.engine.formats.coreml.operation import OperationStep
from twinlens.engine.formats.coreml.weights import small_integers
from twinlens.engine.formats.values import LARGEST
from twinlens.engine.layers.base import Array


def affine_dequantize(op: OperationStep) -> None:
    """``(data - zero point) * scale``, along an axis."""
    data = _given(op, "quantized_data")
    scale, zero = _given(op, "scale"), _given(op, "zero_point")
    axis = int(_given(op, "axis").reshape(-1)[0]) if data.ndim else 0
    shape = [1] * data.ndim
    if scale.size > 1 or zero.size > 1:
        shape[axis] = -1
    real = (data.astype(np.float32) - zero.astype(np.float32).reshape(shape)) * scale.reshape(shape)
    op.finish(op.keep(real.astype(np.float32), "dense"))


def lut_to_dense(op: OperationStep) -> None:
    """Entries of a table for each weight; indices packed without gaps, or of their own type."""
    table, indices = _given(op, "lut"), _given(op, "indices")
    if "shape" not in op.attributes and not op.has("shape"):
        op.finish(op.keep(_grouped(op, table, indices), "dense"))
        return
    shape = tuple(int(size) for size in _given(op, "shape").reshape(-1))
    count, bits = prod(shape), int(table.size).bit_length() - 1
    if table.size != 1 << bits or not 1 <= bits <= 8 or not 0 < count <= LARGEST:
        raise op.unsupported(f"a table of {table.size} entries for shape {shape}")
    if indices.dtype.kind not in "iu":
        raise op.unsupported(f"indices of {indices.dtype}")
    steps = small_integers(indices.reshape(-1).astype(np.uint8), bits, count, op.what)
    op.finish(op.keep(table.reshape(-1)[steps].reshape(shape).astype(np.float32), "dense"))


def _grouped(op: OperationStep, table: Array, indices: Array) -> Array:
    """A table per block of weights: (groups ..., entries, 1)."""
    groups, entries, width = table.shape[: indices.ndim], *table.shape[-2:]
    if width != 1 or table.ndim != indices.ndim + 2 or indices.max(initial=0) >= entries:
        raise op.unsupported(f"a table of shape {table.shape} for indices {indices.shape}")
    number = np.zeros(indices.shape, np.int64)
    for axis, (size, count) in enumerate(zip(indices.shape, groups, strict=True)):
        if not count or size % count:
            raise op.unsupported(f"{count} tables along {size} weights")
        along = np.arange(size) // (size // count)
        number = number * count + along.reshape(
            [-1 if a == axis else 1 for a in range(indices.ndim)]
        )
    result: Array = table.reshape(-1, entries)[number, indices].astype(np.float32)
    return result


def blockwise(op: OperationStep) -> None:
    """``(data - offset) * scale``, each scale for a block of weights."""
    data, scale = _given(op, "data").astype(np.float32), _given(op, "scale")
    if op.has("offset") or "offset" in op.attributes:
        data = data - _spread(op, _given(op, "offset").astype(np.float32), data.shape)
    op.finish(op.keep((data * _spread(op, scale, data.shape)).astype(np.float32), "dense"))


def _spread(op: OperationStep, values: Array, shape: Sequence[int]) -> Array:
    if values.ndim != len(shape) or any(
        not count or size % count for count, size in zip(values.shape, shape, strict=True)
    ):
        raise op.unsupported(f"scales of shape {values.shape} for weights of {tuple(shape)}")
    for axis, size in enumerate(shape):
        values = np.repeat(values, size // values.shape[axis], axis)
    return values


def constexpr_cast(op: OperationStep) -> None:
    """Weights of 16 bits."""
    op.finish(op.keep(_given(op, "source_val").astype(np.float32), "dense"))


def _given(op: OperationStep, name: str) -> Array:
    """An input or, in older files, an attribute that must be known."""
    if op.has(name):
        return op.array(name)
    found = op.read_attribute(name)
    if not isinstance(found, np.ndarray):
        raise op.unsupported(f"its {name} is missing")
    return found


BUILDERS: dict[str, Callable[[OperationStep], None]] = {
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": lut_to_dense,
}
