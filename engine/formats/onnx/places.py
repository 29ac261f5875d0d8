"""ONNX operators that write to places, sort, mark places, and read pictures at points."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.onnx.operator import Operator
from twinlens.engine.layers import (
    Add,
    ArgMax,
    Cast,
    Col2Im,
    Equal,
    Gather,
    GridSample,
    Less,
    MatMul,
    Pad,
    Reshape,
    ScatterElements,
    ScatterND,
    Slice,
    TopK,
    Transpose,
    Unsqueeze,
    Where,
)
from twinlens.engine.layers.base import Layer

_LARGEST = 1 << 24


def scatter(operator: Operator) -> None:
    """ScatterElements, its older name Scatter, and ScatterND; constant places are looked at."""
    reduction = operator.attribute("reduction", "none")
    shape = operator.shape()
    if operator.type == "ScatterND":
        layer: Layer = ScatterND(reduction)
        deep = operator.shape(1)[-1:]
        limits = np.asarray(shape[: deep[0] if deep else 0])
    else:
        axis = operator.attribute("axis", 0)
        layer = ScatterElements(axis, reduction)
        limits = np.asarray(shape[axis : axis + 1 or None])
    if operator.dtype(1).kind not in "iu":
        raise ModelFileError(f"node {operator.name!r} ({operator.type}) has no whole indices")
    if operator.is_constant(1) and limits.size:
        places = operator.constant(1, "indices")
        if ((places < -limits) | (places >= limits)).any():
            raise ModelFileError(f"node {operator.name!r} ({operator.type}) writes beyond its data")
    operator.emit(layer, *operator.inputs())


def top_k(operator: Operator) -> None:
    """TopK: the count is an attribute before opset 10; each output that is read is a layer."""
    if operator.opset < 10:
        count = operator.attribute("k", 0)
    else:
        count = int(operator.constant(1, "count").reshape(-1)[0])
    axis, largest = operator.attribute("axis", -1), operator.attribute("largest", True)
    for output, part in enumerate(("values", "places")):
        if operator.uses_output(output):
            layer = TopK(count, axis, part=part, largest=largest)
            operator.emit(layer, operator.input(0), output=output)


def one_hot(operator: Operator) -> None:
    """OneHot of a known depth: where the places along a new axis equal the index."""
    depth = int(operator.constant(1, "depth").reshape(-1)[0])
    off, on = (operator.constant(2, "values").reshape(-1)[place] for place in (0, 1))
    rank = len(operator.shape()) + 1
    axis = operator.attribute("axis", -1) % rank
    index = operator.dtype()
    if not 0 < depth <= _LARGEST:
        raise operator.unsupported(f"a depth of {depth}")
    shape = [1] * rank
    shape[axis] = depth
    whole = operator.emit(Cast(np.int64), operator.input(0), step="index")
    if index.kind in "if":
        zero, count = (operator.keep(np.int64(n), name) for n, name in ((0, "zero"), (depth, "n")))
        below = operator.emit(Less(), whole, zero, step="below")
        ahead = operator.emit(Add(), whole, count, step="ahead")
        whole = operator.emit(Where(), below, ahead, whole, step="from_front")
    whole = operator.emit(Unsqueeze([axis]), whole, step="column")
    places = operator.keep(np.arange(depth).reshape(shape), "places")
    hit = operator.emit(Equal(), whole, places, step="hit")
    operator.emit(Where(), hit, operator.keep(on, "on"), operator.keep(off, "off"))


def hardmax(operator: Operator) -> None:
    """Hardmax: 1 at the first of the largest; before opset 13 over all axes from ``axis`` on."""
    shape, source = operator.shape(), operator.input(0)
    axis = operator.attribute("axis", -1 if operator.opset >= 13 else 1)
    if not -len(shape) <= axis <= len(shape):
        raise operator.unsupported(f"axis {axis} of {shape}")
    axis = axis % max(1, len(shape))
    together = operator.opset < 13
    if together:
        rows, columns = prod(shape[:axis]), prod(shape[axis:])
        source = operator.emit(Reshape((rows, columns)), source, step="rows")
    size, rank, at = (columns, 2, 1) if together else (shape[axis], len(shape), axis)
    places = [1] * rank
    places[at] = size
    best = operator.emit(ArgMax(at, keep_dims=True), source, step="best")
    wanted = operator.keep(np.arange(size).reshape(places), "places")
    hit = operator.emit(Equal(), best, wanted, step="hit")
    one, zero = (operator.keep(np.float32(n), f"number_{n}") for n in (1, 0))
    marked = operator.emit(Where(), hit, one, zero, step="marked" if together else "")
    if together:
        operator.emit(Reshape(shape), marked)


def triangle(operator: Operator) -> None:
    """Trilu: the samples above or below a diagonal, 0 elsewhere."""
    shape = operator.shape()
    if len(shape) < 2:
        raise operator.unsupported(f"its input is {shape}; two axes are required")
    away = operator.optional(1, "diagonal")
    k = 0 if away is None else int(away.reshape(-1)[0])
    rows, columns = np.indices(shape[-2:], sparse=True)
    upper = operator.attribute("upper", True)
    kept = columns - rows >= k if upper else columns - rows <= k
    mask = operator.keep(np.broadcast_to(kept, shape[-2:]), "mask")
    zero = operator.keep(np.zeros((), operator.dtype()), "zero")
    operator.emit(Where(), mask, operator.input(0), zero)


def eye_like(operator: Operator) -> None:
    """EyeLike: known at import, whatever the input."""
    import onnx

    shape = operator.shape()
    if len(shape) != 2 or prod(shape) > _LARGEST:
        raise operator.unsupported(f"its input is {shape}; two axes are required")
    number = operator.attribute("dtype", 0)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(number) if number else operator.dtype()
    operator.emit_constant(np.eye(*shape, operator.attribute("k", 0), dtype=dtype))


def compress(operator: Operator) -> None:
    """Compress by a condition that is known at import."""
    kept = np.flatnonzero(operator.constant(1, "condition"))
    source = operator.input(0)
    axis = operator.attribute("axis", 0)
    if not operator.has_attribute("axis"):
        source = operator.emit(Reshape([-1]), source, step="flat")
    shape = operator.shape_of(source)
    if not -len(shape) <= axis < len(shape) or (kept.size and kept[-1] >= shape[axis]):
        raise ModelFileError(f"node {operator.name!r} (Compress) reads beyond its data")
    operator.emit(Gather(axis), source, operator.keep(kept.astype(np.int64), "places"))


def center_crop_pad(operator: Operator) -> None:
    """CenterCropPad to a shape that is known at import."""
    shape = operator.shape()
    wanted = [int(size) for size in operator.constant(1, "shape").reshape(-1)]
    axes = [axis % len(shape) for axis in operator.attribute("axes", list(range(len(shape))))]
    if len(axes) != len(wanted) or min(wanted, default=1) < 1:
        raise operator.unsupported(f"a shape of {wanted} for axes {axes}")
    starts, ends, pads = [], [], [(0, 0)] * len(shape)
    for axis, size in zip(axes, wanted, strict=True):
        start = max(0, shape[axis] - size) // 2
        starts.append(start)
        ends.append(min(shape[axis], start + size))
        room = max(0, size - shape[axis])
        pads[axis] = (room // 2, room - room // 2)
    cut = operator.emit(Slice(starts, ends, axes), operator.input(0), step="cut")
    operator.emit(Pad(pads), cut)


def grid_sample(operator: Operator) -> None:
    """GridSample; before opset 20 its modes had other names."""
    mode = operator.attribute("mode", "linear" if operator.opset >= 20 else "bilinear")
    layer = GridSample(
        {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode),
        operator.attribute("padding_mode", "zeros"),
        align_corners=operator.attribute("align_corners", False),
    )
    if len(operator.shape()) != 4:
        raise operator.unsupported(f"its input is {operator.shape()}; four axes are required")
    operator.emit(layer, operator.input(0), operator.input(1))


def affine_grid(operator: Operator) -> None:
    """AffineGrid of a picture: points of a grid, moved by matrices (N, 2, 3)."""
    size = [int(n) for n in operator.constant(1, "size").reshape(-1)]
    if len(size) != 4 or operator.shape()[1:] != (2, 3) or prod(size[2:]) > _LARGEST:
        raise operator.unsupported(f"a grid for {size}; (N, C, H, W) is required")
    corners = operator.attribute("align_corners", False)
    rows, columns = (_between(n, corners) for n in size[2:])
    points = np.stack([*np.meshgrid(columns, rows), np.ones(size[2:])], -1).reshape(-1, 3)
    turned = operator.emit(Transpose((0, 2, 1)), operator.input(0), step="turned")
    grid = operator.keep(points.astype(operator.dtype()), "points")
    moved = operator.emit(MatMul(), grid, turned, step="moved")
    operator.emit(Reshape((operator.shape()[0], size[2], size[3], 2)), moved)


def _between(count: int, corners: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Places of a number of pixels between -1 and 1."""
    places = np.arange(count, dtype=np.float64)
    if corners:
        return np.asarray(places * (2 / (count - 1)) - 1 if count > 1 else -np.ones(1))
    return np.asarray((places + 0.5) * (2 / count) - 1)


def col_to_im(operator: Operator) -> None:
    """Col2Im of a picture."""
    size, kernel = (
        [int(n) for n in operator.constant(place, name).reshape(-1)]
        for place, name in ((1, "size"), (2, "window"))
    )
    if len(size) != 2 or len(kernel) != 2:
        raise operator.unsupported(f"{len(size)} spatial axes; 2 are required")
    layer = Col2Im(
        size,
        kernel,
        stride=operator.attribute("strides", [1, 1]),
        dilation=operator.attribute("dilations", [1, 1]),
        pads=operator.attribute("pads", [0, 0, 0, 0]),
    )
    operator.emit(layer, operator.input(0))


BUILDERS: dict[str, Callable[[Operator], None]] = {
    "AffineGrid": affine_grid,
    "CenterCropPad": center_crop_pad,
    "Col2Im": col_to_im,
    "Compress": compress,
    "EyeLike": eye_like,
    "GridSample": grid_sample,
    "Hardmax": hardmax,
    "OneHot": one_hot,
    "Scatter": scatter,
    "ScatterElements": scatter,
    "ScatterND": scatter,
    "TopK": top_k,
    "Trilu": triangle,
}
