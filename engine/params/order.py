"""Axis orders by the name of who writes them, and the way to the layers' own.

O is output channels, I input channels of a group, H and W the kernel; a depthwise kernel may be
stored with C channels and M outputs for each. A layer over a whole map is a convolution whose
kernel is that map, and one over a vector is the same with a map of one sample, so that all have
one rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers import Array, Shape


@dataclass(frozen=True)
class AxisOrder:
    """How a tool lays out kernels in memory, slowest axis first.

    Attributes:
        name: who writes them so.
        kernel: order of a convolution's, an arrangement of ``OIHW``.
        depthwise: order of a depthwise convolution's, of ``OIHW`` or ``CMHW``.
    """

    name: str
    kernel: str
    depthwise: str

    def stored_shape(self, shape: Shape, groups: int = 1) -> Shape:
        """Shape in the file of a kernel that the layers want as (O, I, H, W)."""
        sizes, order = self._sizes(shape, groups)
        return tuple(sizes[axis] for axis in order)

    def to_layers(self, array: Array, shape: Shape, groups: int = 1) -> Array:
        """Bring a stored kernel, of any shape but the right size, to (O, I, H, W).

        A depthwise kernel is one with ``I = 1`` and more than one group.
        """
        sizes, order = self._sizes(shape, groups)
        stored = array.reshape([sizes[axis] for axis in order])
        wanted = "CMHW" if "M" in order else "OIHW"
        return stored.transpose([order.index(axis) for axis in wanted]).reshape(shape)

    def from_layers(self, kernel: Array, groups: int = 1) -> Array:
        """Lay out a kernel (O, I, H, W) as the tool stores it; the way back."""
        sizes, order = self._sizes(kernel.shape, groups)
        axes = "CMHW" if "M" in order else "OIHW"
        split = kernel.reshape([sizes[axis] for axis in axes])
        return np.ascontiguousarray(split.transpose([axes.index(axis) for axis in order]))

    def _sizes(self, shape: Shape, groups: int) -> tuple[dict[str, int], str]:
        sizes = dict(zip("OIHW", shape, strict=True))
        sizes |= {"C": groups, "M": sizes["O"] // groups}
        return sizes, self.depthwise if groups > 1 and sizes["I"] == 1 else self.kernel


PYTORCH = AxisOrder("PyTorch", "OIHW", "OIHW")
BNNS = AxisOrder("BNNS", "OIHW", "OIHW")
MPSCNN = AxisOrder("MPSCNN", "OHWI", "OHWI")
TENSORFLOW = AxisOrder("TensorFlow", "HWIO", "HWCM")
"""Keras as well."""
TFLITE = AxisOrder("TFLite", "OHWI", "IHWO")

ORDERS = {order.name: order for order in (PYTORCH, BNNS, MPSCNN, TENSORFLOW, TFLITE)}
