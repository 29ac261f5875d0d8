"""ONNX operators that rearrange samples, and those that exporters compute shapes with.

Every shape is known at import, so that what a classifier computes from shapes is a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

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
    """Dropout at inference; its mask, where something reads it, keeps everything."""
    training = operator.optional(2, "training mode") if operator.opset >= 12 else None
    if training is not None and bool(training.reshape(-1)[0]):
        raise operator.unsupported("training mode is not implemented")
    rate = operator.attribute("ratio", 0.5)
    if operator.opset >= 12 and (array := operator.optional(1, "ratio")) is not None:
        rate = float(array.reshape(-1)[0])
    operator.emit(Dropout(rate), operator.input(0))
    if operator.uses_output(1):
        kept = np.ones((), np.float32 if operator.opset < 10 else bool)
        operator.emit_constant(np.broadcast_to(kept, operator.shape()), 1)


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


def constant_of_shape(operator: Operator) -> None:
    """ConstantOfShape with a shape that is known at import."""
    shape = [int(size) for size in operator.constant(0, "shape").reshape(-1)]
    value = np.asarray(operator.attribute("value", np.zeros(1, np.float32))).reshape(-1)
    if value.size != 1 or any(size < 0 for size in shape):
        raise operator.unsupported(f"shape {shape} of {value.size} values")
    if prod(shape) > _MOST_FILLED:
        raise operator.unsupported(f"shape {shape}; at most {_MOST_FILLED:,} numbers are filled in")
    # One number seen everywhere: a short file cannot ask for memory.
    operator.emit_constant(np.broadcast_to(value[0], shape))


def range_of(operator: Operator) -> None:
    """Range of constants."""
    start, limit, delta = (
        operator.constant(index, name).reshape(())
        for index, name in enumerate(("start", "limit", "delta"))
    )
    if delta == 0 or abs(float(limit - start) / float(delta)) > _LARGEST:
        raise operator.unsupported(f"from {start} to {limit} by {delta}")
    operator.emit_constant(np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype))


def non_zero(operator: Operator) -> None:
    """NonZero of constants: how many there are has to be known at import."""
    operator.emit_constant(np.stack(np.nonzero(operator.constant(0, "data"))).astype(np.int64))


_LARGEST = 1 << 20
_MOST_FILLED = 1 << 24

BUILDERS: dict[str, Callable[[Operator], None]] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Dropout": dropout,
    "Flatten": flatten,
    "Identity": identity,
    "NonZero": non_zero,
    "Range": range_of,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
