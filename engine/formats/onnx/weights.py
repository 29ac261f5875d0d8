"""Weights and biases in ONNX: as integers with a DequantizeLinear where they came as such.

ONNX Runtime computes a convolution in integers where its input, weights, bias and output all pass
through DequantizeLinear and QuantizeLinear ("QDQ" form), see
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinlens.engine.formats.onnx.writer import Writer
from twinlens.engine.graph import Node
from twinlens.engine.layers import Conv2d, DequantizeLinear, Linear
from twinlens.engine.layers.base import Array


@dataclass(frozen=True)
class _Integers:
    """Weights as integers: ``weight = (integers - zero_point) * scale``, exactly.

    Attributes:
        integers: uint8 or int8, of the weight's shape.
        scale: float32 scalar, or one per output.
        zero_point: like ``scale``, in the integers' dtype.
    """

    integers: Array
    scale: Array
    zero_point: Array


def weights(to: Writer, node: Node, layer: Conv2d | Linear) -> list[str]:
    """Write a layer's weight and bias; return the names to read them by ("" for no bias)."""
    with np.errstate(all="ignore"):  # What overflows is no whole number, and is written as floats.
        stored = _integers(to, node, layer)
    if stored is None:
        bias = "" if layer.bias is None else to.parameter("bias", layer.bias)
        return [to.parameter("weight", layer.weight), bias]
    arrays = {
        "weight_integers": stored.integers,
        "weight_scale": stored.scale,
        "weight_zero_point": stored.zero_point,
    }
    names = [to.parameter(name, array) for name, array in arrays.items()]
    axis = None if stored.scale.size == 1 else 0
    given = {} if axis is None else {"axis": axis}
    return [to.beside("DequantizeLinear", names, "weight", **given), _bias(to, node, layer, stored)]


def _integers(to: Writer, node: Node, layer: Conv2d | Linear) -> _Integers | None:
    """The weights as integers, or None where they are none or do not fit 8 bits."""
    scale, weight = layer.weight_scale, layer.weight.astype(np.float32, copy=False)
    if scale is None or not (np.isfinite(scale).all() and (scale > 0).all()):
        return None
    scale = scale.astype(np.float32)
    if (scale == scale[0]).all():
        scale = scale[0].reshape(())
    shaped = scale.reshape((-1,) + (1,) * (weight.ndim - 1)) if scale.size > 1 else scale
    steps = np.rint(weight / shaped)
    whole = np.isfinite(steps).all() and np.array_equal(steps.astype(np.float32) * shaped, weight)
    if not whole:
        return None
    low, high = int(steps.min()), int(steps.max())
    entering = _entering(to, node)
    # Kernels take signed weights with signed pictures, and unsigned with unsigned.
    signed = entering is not None and _dtype(entering) == np.int8
    if low >= -128 and high <= 127 and (signed or entering is None):
        dtype, zero = "int8", 0
    elif high - min(low, 0) <= 255 and max(high, 0) - low <= 255 and not signed:
        # Zero itself is one of the integers, in the middle where both ends allow it.
        dtype, zero = "uint8", min(max(128, -low), 255 - max(high, 0))
    else:
        return None
    integers = (steps + zero).astype(dtype)
    return _Integers(integers, scale, np.full(scale.shape, zero, dtype))


def _bias(to: Writer, node: Node, layer: Conv2d | Linear, stored: _Integers) -> str:
    """The bias, counted in steps of (input's scale × weights' scale) where it is a whole number."""
    if layer.bias is None:
        return ""
    entering = _entering(to, node)
    bias = layer.bias.astype(np.float32, copy=False)
    if entering is None or entering.scale.size != 1:
        return to.parameter("bias", bias)
    step = (entering.scale.reshape(()).astype(np.float32) * stored.scale).astype(np.float32)
    if not (step > 0).all():
        return to.parameter("bias", bias)
    with np.errstate(all="ignore"):
        counts = np.rint(bias / step)
        whole = np.array_equal(counts.astype(np.float32) * step, bias)
    if not whole or np.abs(counts).max() >= 2**31:
        return to.parameter("bias", bias)
    names = [
        to.parameter("bias_integers", counts.astype(np.int32)),
        to.parameter("bias_scale", step),
        to.parameter("bias_zero_point", np.zeros(step.shape, np.int32)),
    ]
    given = {} if step.size == 1 else {"axis": 0}
    return to.beside("DequantizeLinear", names, "bias", **given)


def _dtype(layer: DequantizeLinear) -> object:
    return np.dtype(np.uint8) if layer.zero_point is None else layer.zero_point.dtype


def _entering(to: Writer, node: Node) -> DequantizeLinear | None:
    """What dequantises the layer's input, if that is where it comes from."""
    writer = to.writer_of(node.inputs[0])
    layer = None if writer is None or writer.activation is not None else writer.layer
    return layer if isinstance(layer, DequantizeLinear) else None
