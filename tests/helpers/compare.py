"""Layers in plain loops, and one check that every layer goes through.

The loops follow the definitions sample by sample in float64; they share no code with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.layers import Layer

Array = NDArray[Any]
Pair = tuple[int, int]

# Largest relative error of a float32 forward against float64, for sums of up to some hundred terms.
FLOAT32_TOLERANCE = 2e-5
FLOAT64_TOLERANCE = 1e-12


def check_layer(layer: Layer, expected: Array, *inputs: Array) -> None:
    """Run a layer in float64 and float32: value, dtype, shape rule, and inputs left untouched."""
    for dtype, tolerance in ((np.float64, FLOAT64_TOLERANCE), (np.float32, FLOAT32_TOLERANCE)):
        cast = [x.astype(dtype) for x in inputs]
        kept = [x.copy() for x in cast]
        result = layer.forward(*cast)
        assert isinstance(result, np.ndarray)
        assert result.dtype == dtype, f"{layer.kind}: {result.dtype} came out of {dtype}"
        assert result.shape == layer.output_shape(*(x.shape for x in cast))
        np.testing.assert_allclose(
            result, expected, rtol=tolerance, atol=tolerance * (1 + float(np.abs(expected).max()))
        )
        for before, after in zip(kept, cast, strict=True):
            np.testing.assert_array_equal(before, after, err_msg=f"{layer.kind} wrote its input")


def naive_conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    dilation: Pair,
    groups: int,
    pads: tuple[int, int, int, int],
) -> Array:
    """Convolution, one output sample at a time."""
    top, left, bottom, right = pads
    batch, _, height, width = x.shape
    outputs, per_group, kernel_h, kernel_w = weight.shape
    rows = (height + top + bottom - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    columns = (width + left + right - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    result = np.zeros((batch, outputs, rows, columns))
    for n, o, i, j in np.ndindex(*result.shape):
        first = o // (outputs // groups) * per_group
        total = 0.0 if bias is None else float(bias[o])
        for c, kh, kw in np.ndindex(per_group, kernel_h, kernel_w):
            row = i * stride[0] + kh * dilation[0] - top
            column = j * stride[1] + kw * dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                total += float(x[n, first + c, row, column]) * float(weight[o, c, kh, kw])
        result[n, o, i, j] = total
    return result


def naive_conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    dilation: Pair,
    groups: int,
    pads: tuple[int, int, int, int],
    output_padding: Pair,
) -> Array:
    """Transposed convolution: every input sample adds the kernel to the output."""
    top, left, bottom, right = pads
    batch, inputs, height, width = x.shape
    _, per_group, kernel_h, kernel_w = weight.shape
    size = [
        stride[a] * (x.shape[a + 2] - 1) + output_padding[a] + dilation[a] * (k - 1) + 1
        for a, k in enumerate((kernel_h, kernel_w))
    ]
    full = np.zeros((batch, per_group * groups, size[0], size[1]))
    for n, c, i, j in np.ndindex(batch, inputs, height, width):
        first = c // (inputs // groups) * per_group
        for o, kh, kw in np.ndindex(per_group, kernel_h, kernel_w):
            row, column = i * stride[0] + kh * dilation[0], j * stride[1] + kw * dilation[1]
            full[n, first + o, row, column] += float(x[n, c, i, j]) * float(weight[c, o, kh, kw])
    if bias is not None:
        full += bias.astype(np.float64)[:, None, None]
    return full[:, :, top : size[0] - bottom, left : size[1] - right]


def naive_pool2d(
    x: Array,
    join: Callable[[list[float]], float],
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    pads: tuple[int, int, int, int],
    *,
    grid: Pair,
    count_include_pad: bool = False,
) -> Array:
    """Pool, one window at a time.

    ``join`` gets the window's samples: those inside the input, and with ``count_include_pad``
    a 0 for each that lies in the pads (but not beyond them).
    """
    top, left, bottom, right = pads
    height, width = x.shape[2:]
    result = np.zeros((*x.shape[:2], *grid))
    for n, c, i, j in np.ndindex(*result.shape):
        samples = []
        for kh, kw in np.ndindex(*kernel):
            row = i * stride[0] + kh * dilation[0] - top
            column = j * stride[1] + kw * dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                samples.append(float(x[n, c, row, column]))
            elif count_include_pad and row < height + bottom and column < width + right:
                samples.append(0.0)
        result[n, c, i, j] = join(samples)
    return result
