"""Resampling along axes, with ONNX's coordinate rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import choice, normal_axes, one_input

_MODES = ("nearest", "linear", "cubic")
_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_POLICIES = ("stretch", "not_larger", "not_smaller")
_Real = NDArray[np.float64]


class Resize(Layer):
    """Resample axes by nearest, linear or cubic interpolation.

    With input size ``n``, output size ``m``, factor ``f`` and output sample ``i``, the input
    coordinate is::

        half_pixel            (i + 0.5) / f - 0.5
        half_pixel_symmetric  the same, centred when n * f is not whole
        pytorch_half_pixel    the same, 0 when m == 1
        align_corners         i * (n - 1) / (m - 1), 0 when m == 1
        asymmetric            i / f
        tf_crop_and_resize    start * (n - 1) + i * (end - start) * (n - 1) / (m - 1)

    The output size is ``floor(n * f)``, or what ``sizes`` says.

    Args:
        scales: factor per axis; exactly one of ``scales`` and ``sizes`` is given.
        sizes: output size per axis.
        axes: the axes meant, negative from the end; None means all.
        mode: ``"nearest"``, ``"linear"`` or ``"cubic"``.
        coordinates: one of the rules above.
        nearest_mode: how nearest rounds: ``"round_prefer_floor"``, ``"round_prefer_ceil"``,
            ``"floor"`` or ``"ceil"``.
        cubic_a: the cubic kernel's coefficient (Keys 1981); -0.75, or -0.5 for Catmull-Rom.
        exclude_outside: taps outside the input weigh 0 and the rest is rescaled, instead of
            repeating the edge.
        antialias: widen the kernel when shrinking; linear and cubic only.
        extrapolation_value: what ``tf_crop_and_resize`` writes outside the input.
        region: (start, end) per axis as fractions, for ``tf_crop_and_resize``.
        keep_aspect: ``"stretch"``, or with ``sizes`` one common factor so that the output is
            ``"not_larger"`` or ``"not_smaller"`` than asked.

    Raises:
        ParameterError: an unknown mode, sizes and factors that are missing, doubled or not
            positive, or a region that is not finite.
    """

    def __init__(
        self,
        *,
        scales: Sequence[float] | None = None,
        sizes: Sequence[int] | None = None,
        axes: Sequence[int] | None = None,
        mode: str = "nearest",
        coordinates: str = "half_pixel",
        nearest_mode: str = "round_prefer_floor",
        cubic_a: float = -0.75,
        exclude_outside: bool = False,
        antialias: bool = False,
        extrapolation_value: float = 0.0,
        region: Sequence[tuple[float, float]] | None = None,
        keep_aspect: str = "stretch",
    ) -> None:
        given = scales if sizes is None else sizes
        if given is None or (scales is not None and sizes is not None):
            raise ParameterError(
                f"{self.kind}: scales are {scales} and sizes {sizes}; exactly one is required"
            )
        if not all(value > 0 and np.isfinite(value) for value in given):
            raise ParameterError(
                f"{self.kind}: scales or sizes are {tuple(given)}; positive numbers are required"
            )
        self.scales = None if scales is None else tuple(float(scale) for scale in scales)
        self.sizes = None if sizes is None else tuple(int(size) for size in sizes)
        self.axes = None if axes is None else tuple(int(axis) for axis in axes)
        self.mode = choice(self.kind, "mode", mode, _MODES)
        self.coordinates = choice(self.kind, "coordinates", coordinates, _COORDINATES)
        self.nearest_mode = choice(self.kind, "nearest_mode", nearest_mode, _NEAREST)
        self.keep_aspect = choice(self.kind, "keep_aspect", keep_aspect, _POLICIES)
        self.cubic_a = float(cubic_a)
        self.exclude_outside = bool(exclude_outside)
        self.antialias = bool(antialias)
        self.extrapolation_value = float(extrapolation_value)
        self.region = None if region is None else tuple((float(s), float(e)) for s, e in region)
        if self.region is not None and not np.isfinite(self.region).all():
            raise ParameterError(f"{self.kind}: region is {region}; finite numbers are required")
        count = len(given)
        if self.coordinates == "tf_crop_and_resize" and (
            self.region is None or len(self.region) != count
        ):
            raise ParameterError(
                f"{self.kind}: region is {region}; tf_crop_and_resize requires "
                f"{count} pairs (start, end)"
            )
        if self.axes is not None and len(self.axes) != count:
            raise ParameterError(
                f"{self.kind}: axes are {self.axes}; {count} are required, one per scale or size"
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape with the resampled sizes."""
        shape = one_input(self.kind, inputs)
        result = list(shape)
        for axis, (size, _) in self._targets(shape).items():
            result[axis] = size
        return tuple(result)

    def forward(self, *inputs: Array) -> Array:
        """Resample one input, axis by axis; integers only with nearest."""
        (x,) = inputs
        targets = self._targets(x.shape)
        if self.mode != "nearest" and not np.issubdtype(x.dtype, np.floating):
            raise ShapeError(
                f"{self.kind}: input dtype is {x.dtype}; {self.mode} requires a float type"
            )
        result = x
        outside = np.zeros((1,) * x.ndim, np.bool_)
        for at, (axis, (size, factor)) in enumerate(targets.items()):
            if size == x.shape[axis] and factor == 1 and self.coordinates != "tf_crop_and_resize":
                continue
            place = self._places(x.shape[axis], size, factor, at)
            if self.mode == "nearest":
                result = np.take(result, self._nearest(place, x.shape[axis]), axis=axis)
            else:
                weights = self._weights(place, x.shape[axis], factor).astype(x.dtype)
                moved = np.moveaxis(result, axis, -1)
                result = np.moveaxis(np.matmul(moved, weights.T), -1, axis)
            if self.coordinates == "tf_crop_and_resize":
                beyond = (place < 0) | (place > x.shape[axis] - 1)
                outside = outside | beyond.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        if outside.any():
            result = np.where(outside, x.dtype.type(self.extrapolation_value), result)
        return x.copy() if result is x else np.ascontiguousarray(result)

    def _targets(self, shape: Shape) -> dict[int, tuple[int, float]]:
        """Output size and factor of each axis meant."""
        given = self.scales if self.sizes is None else self.sizes
        wanted = len(given or ())
        axes = range(len(shape)) if self.axes is None else self.axes
        chosen = normal_axes(self.kind, tuple(axes), len(shape))
        if len(chosen) != wanted or any(shape[axis] < 1 for axis in chosen):
            raise ShapeError(
                f"{self.kind}: input shape is {shape}; {wanted} non-empty axes are required"
            )
        if self.scales is not None:
            result = {
                axis: (floor(shape[axis] * scale), scale)
                for axis, scale in zip(chosen, self.scales, strict=True)
            }
        else:
            sizes = dict(zip(chosen, self.sizes or (), strict=True))
            result = {axis: (size, size / shape[axis]) for axis, size in sizes.items()}
            if self.keep_aspect != "stretch":
                pick = min if self.keep_aspect == "not_larger" else max
                common = pick(factor for _, factor in result.values())
                result = {axis: (floor(common * shape[axis] + 0.5), common) for axis in chosen}
        if any(size < 1 for size, _ in result.values()):
            raise ShapeError(
                f"{self.kind}: input {shape} by scales {given} leaves an empty axis; "
                "at least one sample is required"
            )
        return result

    def _places(self, size: int, output: int, factor: float, at: int) -> _Real:
        """Input coordinate of each output sample along one axis."""
        index = np.arange(output, dtype=np.float64)
        if self.coordinates == "asymmetric":
            return index / factor
        if self.coordinates == "align_corners":
            return index * ((size - 1) / (output - 1)) if output > 1 else index
        if self.coordinates == "tf_crop_and_resize":
            start, end = (self.region or ())[at]
            if output == 1:
                return index + (start + end) * (size - 1) / 2
            return start * (size - 1) + index * ((end - start) * (size - 1) / (output - 1))
        place = (index + 0.5) / factor - 0.5
        if self.coordinates == "half_pixel_symmetric":
            place += size / 2 * (1 - output / (factor * size))
        if self.coordinates == "pytorch_half_pixel" and output == 1:
            return np.zeros(1)
        return place

    def _nearest(self, place: _Real, size: int) -> NDArray[np.intp]:
        """Input index of each output sample."""
        rounded = {
            "round_prefer_floor": lambda: np.ceil(place - 0.5),
            "round_prefer_ceil": lambda: np.floor(place + 0.5),
            "floor": lambda: np.floor(place),
            "ceil": lambda: np.ceil(place),
        }[self.nearest_mode]()
        return np.clip(rounded, 0, size - 1).astype(np.intp)

    def _weights(self, place: _Real, size: int, factor: float) -> _Real:
        """Interpolation matrix (output, input) of one axis."""
        stretch = min(factor, 1.0) if self.antialias else 1.0
        reach = ceil((1 if self.mode == "linear" else 2) / stretch)
        base = np.floor(place)
        taps = base[:, None] + np.arange(-reach, reach + 2)
        distance = np.abs(taps - place[:, None]) * stretch
        weights = np.maximum(0.0, 1 - distance) if self.mode == "linear" else self._cubic(distance)
        if self.exclude_outside:
            weights = np.where((taps < 0) | (taps > size - 1), 0.0, weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
        columns = np.clip(taps, 0, size - 1).astype(np.intp)
        matrix = np.zeros((len(place), size))
        np.add.at(matrix, (np.arange(len(place))[:, None], columns), weights)
        return matrix

    def _cubic(self, distance: _Real) -> _Real:
        """Keys' kernel."""
        a, d = self.cubic_a, distance
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((d - 5) * d + 8) * d * a - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))

    def describe(self) -> str:
        """Mode and what was asked for."""
        if self.sizes is not None:
            return f"{self.mode}, to {'×'.join(map(str, self.sizes))}"
        return f"{self.mode}, by {'×'.join(f'{scale:g}' for scale in self.scales or ())}"
