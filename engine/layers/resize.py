"""Resizing by interpolation, with all the conventions of ONNX's Resize."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
_POLICIES = ("stretch", "not_larger", "not_smaller")


class Resize(Layer):
    """Resample along axes; each output value is a weighted sum of input values, axis by axis.

    Args:
        scales: factor for each axis in ``axes``; output length is ``floor(length · scale)``.
        sizes: output length for each axis, instead of scales.
        axes: the axes; None means all, in order.
        mode: ``"nearest"``, ``"linear"`` or ``"cubic"``.
        coordinates: how an output index maps to a place in the input (ONNX's
            coordinate_transformation_mode).
        nearest_mode: how ``"nearest"`` rounds.
        cubic_a: coefficient of the cubic kernel (Keys, 1981).
        exclude_outside: taps outside the input count nothing, rather than as the edge.
        antialias: widen the kernel where an axis shrinks.
        roi: starts, then ends, in shares of the length, for ``tf_crop_and_resize``.
        extrapolation: value of places outside the input, for ``tf_crop_and_resize``.
        policy: with sizes: ``"stretch"``, or keep the proportions and be ``"not_larger"`` or
            ``"not_smaller"`` than the sizes.

    Raises:
        ParameterError: an option is not one of these.

    Reference: ONNX operator Resize (opset 19).
    """

    def __init__(
        self,
        *,
        scales: tuple[float, ...] | None = None,
        sizes: tuple[int, ...] | None = None,
        axes: tuple[int, ...] | None = None,
        mode: str = "nearest",
        coordinates: str = "half_pixel",
        nearest_mode: str = "round_prefer_floor",
        cubic_a: float = -0.75,
        exclude_outside: bool = False,
        antialias: bool = False,
        roi: tuple[float, ...] | None = None,
        extrapolation: float = 0.0,
        policy: str = "stretch",
    ) -> None:
        if (scales is None) == (sizes is None):
            raise ParameterError("Resize: expected scales or sizes, and not both")
        for name, value, known in (
            ("mode", mode, ("nearest", "linear", "cubic")),
            ("coordinates", coordinates, _COORDINATES),
            ("nearest_mode", nearest_mode, tuple(_NEAREST)),
            ("policy", policy, _POLICIES),
        ):
            if value not in known:
                raise ParameterError(f"Resize: {name} is {value!r}, expected one of {known}")
        self.scales, self.sizes, self.axes = scales, sizes, axes
        self.mode, self.coordinates, self.nearest_mode = mode, coordinates, nearest_mode
        self.cubic_a, self.exclude_outside, self.antialias = cubic_a, exclude_outside, antialias
        self.roi, self.extrapolation, self.policy = roi, extrapolation, policy

    def _plan(self, shape: Shape) -> list[tuple[int, float, int]]:
        """(axis, scale, output length) for each resized axis."""
        axes = tuple(range(len(shape))) if self.axes is None else self.axes
        wanted = self.scales if self.scales is not None else self.sizes
        if wanted is None or len(wanted) != len(axes) or any(a >= len(shape) for a in axes):
            raise ShapeError(f"Resize: {wanted} for axes {axes} does not fit {shape}")
        axes = tuple(axis % len(shape) for axis in axes)
        if self.scales is not None:
            return [
                (axis, scale, math.floor(shape[axis] * scale))
                for axis, scale in zip(axes, self.scales, strict=True)
            ]
        ratios = [size / shape[axis] for axis, size in zip(axes, wanted, strict=True)]
        if self.policy != "stretch":
            ratio = min(ratios) if self.policy == "not_larger" else max(ratios)
            return [(axis, ratio, math.floor(ratio * shape[axis] + 0.5)) for axis in axes]
        return [(a, r, int(n)) for a, r, n in zip(axes, ratios, wanted, strict=True)]

    def output_shape(self, *inputs: Shape) -> Shape:
        """The axes take their new lengths."""
        shape = list(inputs[0])
        for axis, _, length in self._plan(inputs[0]):
            if length < 1:
                raise ShapeError(f"Resize: nothing is left of axis {axis} of {inputs[0]}")
            shape[axis] = length
        return tuple(shape)

    def forward(self, *inputs: Array) -> Array:
        """Resample."""
        (x,) = inputs
        self.output_shape(x.shape)
        kind = x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype(np.float64)
        outside: dict[int, Array] = {}
        out = x
        for position, (axis, scale, length) in enumerate(self._plan(x.shape)):
            places = self._places(x.shape[axis], length, scale, position)
            if self.coordinates == "tf_crop_and_resize":
                outside[axis] = (places < 0) | (places > x.shape[axis] - 1)
            if self.mode == "nearest":
                index = _NEAREST[self.nearest_mode](places).astype(int)
                out = out.take(np.clip(index, 0, x.shape[axis] - 1), axis)
            elif length != x.shape[axis] or not np.array_equal(places, np.arange(length)):
                weights = self._weights(x.shape[axis], places, scale).astype(kind)
                out = np.moveaxis(np.tensordot(weights, out, (1, axis)), 0, axis)
        for axis, mask in outside.items():
            place = [slice(None)] * out.ndim
            place[axis] = mask  # type: ignore[call-overload]
            out = out.copy()
            out[tuple(place)] = self.extrapolation
        if out.dtype != x.dtype:
            out = out.astype(x.dtype) if kind == x.dtype else np.rint(out).astype(x.dtype)
        return np.ascontiguousarray(out)

    def _places(self, size: int, length: int, scale: float, position: int) -> Array:
        """Where each output value lies in the input, in input pixels."""
        index = np.arange(length, dtype=np.float64)
        if self.coordinates == "asymmetric":
            return index / scale
        if self.coordinates == "align_corners":
            return index * (size - 1) / (length - 1) if length > 1 else np.zeros(1)
        if self.coordinates == "pytorch_half_pixel" and length == 1:
            return np.zeros(1)
        if self.coordinates == "tf_crop_and_resize":
            roi = self.roi or ()
            count = len(roi) // 2
            start, end = roi[position], roi[position + count]
            if length > 1:
                return start * (size - 1) + index * (end - start) * (size - 1) / (length - 1)
            return np.array([0.5 * (start + end) * (size - 1)])
        places = (index + 0.5) / scale - 0.5
        if self.coordinates == "half_pixel_symmetric":
            places += size / 2 * (1 - length / (scale * size))
        return places

    def _weights(self, size: int, places: Array, scale: float) -> Array:
        """Weight of each input value (columns) in each output value (rows)."""
        shrink = min(scale, 1.0) if self.antialias else 1.0
        reach = 1 if self.mode == "linear" else 2
        first = math.floor(-reach / shrink) + 1
        taps = np.arange(first, reach + 1 - first + (1 - reach) + 1)
        below = np.floor(places)
        at = below[:, None] + taps
        distance = np.abs(at - places[:, None]) * shrink
        weights = self._kernel(distance)
        if self.exclude_outside:
            weights = np.where((at >= 0) & (at < size), weights, 0)
        weights = weights / weights.sum(1, keepdims=True)
        matrix = np.zeros((len(places), size))
        rows = np.broadcast_to(np.arange(len(places))[:, None], at.shape)
        np.add.at(matrix, (rows, np.clip(at, 0, size - 1).astype(int)), weights)
        return matrix

    def _kernel(self, distance: Array) -> Array:
        if self.mode == "linear":
            return np.maximum(0, 1 - distance)
        a, d = self.cubic_a, distance
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    def describe(self) -> str:
        """Mode and factors or sizes."""
        wanted = self.scales if self.scales is not None else self.sizes or ()
        return f"{self.mode}, {'×' if self.scales else 'to '}{', '.join(f'{n:g}' for n in wanted)}"
