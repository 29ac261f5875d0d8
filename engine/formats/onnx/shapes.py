"""ONNX operators that rearrange samples, and those that exporters compute shapes with.

The second kind (Shape, Gather, Slice, Cast ...) works on constants only: every shape is known at
import, so that what a classifier computes from shapes is a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.onnx.operator import Operator
from twinlens.engine.layers import (
    Concat,
    Dropout,
    Flatten,
    Identity,
    Reshape,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from twinlens.engine.layers.saturate import saturated

# Attribute → its kind, and the element type of the array that it becomes.
_CONSTANT_ATTRIBUTES: dict[str, tuple[str, type | None]] = {
    "value": ("TENSOR", None),
    "value_float": ("FLOAT", np.float32),
    "value_floats": ("FLOATS", np.float32),
    "value_int": ("INT", np.int64),
    "value_ints": ("INTS", np.int64),
}


def concat(operator: Operator) -> None:
    """Concat."""
    operator.emit(Concat(operator.attribute("axis", 1)), *operator.inputs())


def flatten(operator: Operator) -> None:
    """Flatten."""
    operator.emit(Flatten(operator.attribute("axis", 1)), operator.input(0))


def reshape(operator: Operator) -> None:
    """Reshape to a shape that is known at import."""
    shape = [int(size) for size in operator.constant(1, "shape").reshape(-1)]
    layer = Reshape(shape, allow_zero=operator.attribute("allowzero", False))
    operator.emit(layer, operator.input(0))


def squeeze(operator: Operator) -> None:
    """Squeeze: axes are an attribute before opset 13 and an input from it on."""
    operator.emit(Squeeze(operator.integers("axes", 1, since=13)), operator.input(0))


def unsqueeze(operator: Operator) -> None:
    """Unsqueeze: axes are an attribute before opset 13 and an input from it on."""
    operator.emit(Unsqueeze(operator.integers("axes", 1, since=13) or []), operator.input(0))


def transpose(operator: Operator) -> None:
    """Transpose."""
    operator.emit(Transpose(operator.attribute("perm", None)), operator.input(0))


def identity(operator: Operator) -> None:
    """Identity."""
    operator.emit(Identity(), operator.input(0))


def dropout(operator: Operator) -> None:
    """Dropout at inference; its mask is not implemented."""
    if operator.uses_output(1):
        raise operator.unsupported("its second output (mask) is not implemented")
    training = operator.optional(2, "training mode") if operator.opset >= 12 else None
    if training is not None and bool(training.reshape(-1)[0]):
        raise operator.unsupported("training mode is not implemented")
    rate = operator.attribute("ratio", 0.5)
    if operator.opset >= 12 and (array := operator.optional(1, "ratio")) is not None:
        rate = float(array.reshape(-1)[0])
    operator.emit(Dropout(rate), operator.input(0))


def constant(operator: Operator) -> None:
    """Constant: a tensor, or numbers."""
    for name, (kind, dtype) in _CONSTANT_ATTRIBUTES.items():
        if operator.has_attribute(name):
            value: Any = operator.attribute(name, None, kind)
            operator.emit_constant(np.asarray(value, dtype))
            return
    raise operator.unsupported("a constant that is neither a tensor nor numbers")


def shape_of(operator: Operator) -> None:
    """Shape: known at import, whatever the input."""
    shape = operator.shape()
    end: int | None = operator.attribute("end", None, "INT")
    operator.emit_constant(np.asarray(shape[operator.attribute("start", 0) : end], np.int64))


def size_of(operator: Operator) -> None:
    """Size: known at import, whatever the input."""
    operator.emit_constant(np.asarray(int(np.prod(operator.shape())), np.int64))


def gather(operator: Operator) -> None:
    """Gather on constants."""
    data, indices = operator.constant(0, "data"), operator.constant(1, "indices")
    try:
        operator.emit_constant(
            np.asarray(np.take(data, indices, axis=operator.attribute("axis", 0)))
        )
    except IndexError as why:
        raise ModelFileError(f"node {operator.name!r} (Gather) reads beyond its data") from why


def cast(operator: Operator) -> None:
    """Cast of constants; 16-bit floats become float32."""
    import onnx

    data = operator.constant(0, "data")
    wanted = operator.attribute("to", int(onnx.TensorProto.FLOAT))
    if wanted in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16):
        wanted = int(onnx.TensorProto.FLOAT)
    kind = onnx.helper.tensor_dtype_to_np_dtype(wanted)
    whole = data.dtype.kind == "f" and kind.kind in "iu"
    operator.emit_constant(saturated(data, kind) if whole else data.astype(kind))


def constant_of_shape(operator: Operator) -> None:
    """ConstantOfShape with a shape that is known at import."""
    shape = [int(size) for size in operator.constant(0, "shape").reshape(-1)]
    value = np.asarray(operator.attribute("value", np.zeros(1, np.float32))).reshape(-1)
    if value.size != 1 or any(size < 0 for size in shape) or np.prod(shape) > _LARGEST:
        raise operator.unsupported(f"shape {shape} of {value.size} values")
    operator.emit_constant(np.full(shape, value[0], value.dtype))


def slice_constant(operator: Operator) -> None:
    """Slice of constants: bounds are attributes before opset 10 and inputs from it on."""
    data = operator.constant(0, "data")
    starts = operator.integers("starts", 1, since=10) or []
    ends = operator.integers("ends", 2, since=10) or []
    axes = operator.integers("axes", 3, since=10) or list(range(len(starts)))
    steps = [1] * len(starts)
    if operator.opset >= 10 and operator.has(4):
        steps = [int(step) for step in operator.constant(4, "steps").reshape(-1)]
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ModelFileError(f"node {operator.name!r} (Slice) has bounds of different lengths")
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Going backwards, "before the first" has no number of its own in Python.
        stop = None if step < 0 and end < -data.shape[axis] else end
        cut[axis] = slice(start, stop, step)
    operator.emit_constant(data[tuple(cut)])


_LARGEST = 1 << 20

BUILDERS: dict[str, Callable[[Operator], None]] = {
    "Cast": cast,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gather": gather,
    "Identity": identity,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": slice_constant,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
