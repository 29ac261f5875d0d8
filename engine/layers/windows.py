"""What convolutions and pools share: output sizes, SAME padding, padded copies.

Along one axis, with input size ``n``, kernel ``k``, stride ``s``, dilation ``d`` and pads
``p0`` (before) and ``p1`` (after)::

    extent = d * (k - 1) + 1
    output = floor((n + p0 + p1 - extent) / s) + 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinlens.engine.errors import ShapeError
from twinlens.engine.layers.base import Array, Shape
from twinlens.engine.layers.checks import Pads, Pair


def kernel_extent(kernel: int, dilation: int) -> int:
    """Input samples that a dilated kernel spans along one axis."""
    return dilation * (kernel - 1) + 1


def same_padding(
    size: int, kernel: int, stride: int, dilation: int = 1, *, upper: bool = True
) -> Pair:
    """Pads (before, after) of one axis that make the output ``ceil(size / stride)``.

    ONNX ``SAME_UPPER`` and TensorFlow ``SAME`` put an odd sample after (``upper=True``),
    ONNX ``SAME_LOWER`` puts it before.
    """
    output = -(-size // stride)
    total = max(0, (output - 1) * stride + kernel_extent(kernel, dilation) - size)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


@dataclass(frozen=True)
class Window:
    """How a kernel walks along an image: all pairs are (height, width).

    Attributes:
        kernel: samples of the kernel.
        stride: samples between two positions.
        dilation: samples between two taps.
        pads: (top, left, bottom, right).
        ceil_mode: whether a last window may hang over the end; it must start inside the input
            or the pad before it.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pads
    ceil_mode: bool = False

    def grid(self, layer: str, shape: Shape) -> Pair:
        """Output (height, width) for an input shape (N, C, H, W).

        Raises:
            ShapeError: the padded input is smaller than the kernel; ``layer`` is named.
        """
        return self._count(layer, shape, 0), self._count(layer, shape, 1)

    def _count(self, layer: str, shape: Shape, axis: int) -> int:
        size, stride = shape[axis + 2], self.stride[axis]
        before, after = self.pads[axis], self.pads[axis + 2]
        extent = kernel_extent(self.kernel[axis], self.dilation[axis])
        room = size + before + after - extent
        if size < 1 or room < 0:
            raise ShapeError(
                f"{layer}: input {shape} has {size} samples on axis {axis + 2}, "
                f"{size + before + after} with its pads; at least {extent} are required"
            )
        if not self.ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - 1 if (count - 1) * stride >= size + before else count


def padded(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Copy of (N, C, H, W) with a border of ``value``; ``x`` itself when there is no border.

    ``np.pad`` does the same through a general path that costs more than a small layer.
    """
    top, left, bottom, right = pads
    if not any(pads):
        return x
    batch, channels, height, width = x.shape
    shape = (batch, channels, height + top + bottom, width + left + right)
    result = np.zeros(shape, x.dtype) if value == 0 else np.full(shape, value, x.dtype)
    result[:, :, top : top + height, left : left + width] = x
    return result
