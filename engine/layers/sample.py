"""Pictures sampled at points that a network computes."""

from __future__ import annotations

from math import prod

import numpy as np

from twinlens.engine.errors import ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import choice, input_count

_MODES = ("linear", "nearest", "cubic")
_PADDINGS = ("zeros", "border", "reflection")
_CUBIC = -0.75


class GridSample(Layer):
    """A picture (N, C, H, W) read at the points of a grid (N, h, w, 2): (N, C, h, w).

    A point is (x, y), from -1 to 1 over the picture.

    Args:
        mode: ``"linear"``, ``"nearest"`` (halves to the even one) or ``"cubic"`` (a = -0.75).
        padding: what lies outside: ``"zeros"``, ``"border"`` (the nearest pixel) or
            ``"reflection"``.
        align_corners: whether -1 and 1 are the middle of the outer pixels instead of their edge.

    Raises:
        ParameterError: another mode or padding.

    Reference: Jaderberg et al. 2015; https://onnx.ai/onnx/operators/onnx__GridSample.html
    """

    def __init__(
        self, mode: str = "linear", padding: str = "zeros", *, align_corners: bool = False
    ) -> None:
        self.mode = choice(self.kind, "mode", mode, _MODES)
        self.padding = choice(self.kind, "padding", padding, _PADDINGS)
        self.align_corners = bool(align_corners)

    def output_shape(self, *inputs: Shape) -> Shape:
        """(N, C, h, w)."""
        input_count(self.kind, inputs, 2)
        x, grid = inputs
        fits = len(x) == len(grid) == 4 and grid[3] == 2 and x[0] == grid[0] and min(x[2:]) > 0
        if not fits:
            raise ShapeError(
                f"{self.kind}: input {x} and grid {grid}; (N, C, H, W) and (N, h, w, 2) are "
                "required"
            )
        return x[0], x[1], grid[1], grid[2]

    def forward(self, *inputs: Array) -> Array:
        """Sample the first input at the points of the second."""
        x, grid = inputs
        self.output_shape(x.shape, grid.shape)
        sizes = x.shape[2:]
        points = [self._pixels(grid[..., 1 - axis], sizes[axis]) for axis in (0, 1)]
        if self.mode == "nearest":
            return self._read(x, np.rint(points[0]), np.rint(points[1]))
        result = np.zeros(self.output_shape(x.shape, grid.shape), x.dtype)
        below = [np.floor(p) for p in points]
        weights = [self._weights(p - b) for p, b in zip(points, below, strict=True)]
        for shift_y, weight_y in weights[0]:
            for shift_x, weight_x in weights[1]:
                pixels = self._read(x, below[0] + shift_y, below[1] + shift_x)
                result += pixels * (weight_y * weight_x)[:, None].astype(x.dtype)
        return result

    def _pixels(self, places: Array, size: int) -> Array:
        """Places from -1 to 1 as pixels; those outside as the padding has them."""
        if self.align_corners:
            pixels = (places + 1) / 2 * (size - 1)
        else:
            pixels = ((places + 1) * size - 1) / 2
        if self.mode != "cubic":
            pixels = self._inside(pixels, size)
        # What is no number, or no place, lies outside.
        beyond = 3.0 * size
        return np.asarray(np.nan_to_num(pixels, nan=-beyond, posinf=beyond, neginf=-beyond))

    def _inside(self, pixels: Array, size: int) -> Array:
        if self.padding == "border":
            return np.clip(pixels, 0, size - 1)
        if self.padding == "reflection":
            return self._reflected(pixels, size)
        return pixels

    def _reflected(self, pixels: Array, size: int) -> Array:
        low, high = (0.0, size - 1.0) if self.align_corners else (-0.5, size - 0.5)
        span = high - low
        if span == 0:
            return np.zeros_like(pixels)
        with np.errstate(invalid="ignore"):
            away = np.mod(pixels - low, 2 * span)
        return np.clip(low + np.minimum(away, 2 * span - away), 0, size - 1)

    def _weights(self, away: Array) -> list[tuple[int, Array]]:
        """(Pixels from the one below, weight) of each that counts along an axis."""
        if self.mode == "linear":
            return [(0, 1 - away), (1, away)]
        near = [(shift, np.abs(away - shift)) for shift in (-1, 0, 1, 2)]
        return [(shift, _cubic(distance)) for shift, distance in near]

    def _read(self, x: Array, rows: Array, columns: Array) -> Array:
        """(N, C, h, w) of whole pixels; those outside as the padding has them."""
        height, width = x.shape[2:]
        outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
        rows, columns = self._inside(rows, height), self._inside(columns, width)
        y = np.clip(rows, 0, height - 1).astype(np.int64)
        z = np.clip(columns, 0, width - 1).astype(np.int64)
        batch = np.arange(x.shape[0])[:, None, None]
        found = np.moveaxis(x[batch, :, y, z], -1, 1)
        if self.padding == "zeros":
            found = np.where(outside[:, None], x.dtype.type(0), found)
        return np.ascontiguousarray(found)

    def macs(self, *inputs: Shape) -> int:
        """One for each pixel that counts."""
        each = {"nearest": 1, "linear": 4, "cubic": 16}[self.mode]
        return prod(self.output_shape(*inputs)) * each

    def describe(self) -> str:
        """Mode and padding."""
        corners = ", corners aligned" if self.align_corners else ""
        return f"{self.mode}, {self.padding}{corners}"


def _cubic(distance: Array) -> Array:
    """Keys' cubic, a = -0.75, of a distance from 0 to 2."""
    a, d = _CUBIC, distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.asarray(np.where(d <= 1, near, far))
