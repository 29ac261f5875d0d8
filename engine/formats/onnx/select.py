"""ONNX operators that take or repeat samples, and those that reduce axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.onnx.operator import Operator
from twinlens.engine.layers import (
    Abs,
    ArgMax,
    ArgMin,
    CumSum,
    Div,
    Equal,
    Expand,
    Gather,
    GatherElements,
    GatherND,
    Identity,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    Slice,
    Tile,
    Where,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.layers.reduce import Reduce

_REDUCTIONS: dict[str, type[Reduce]] = {
    kind.__name__: kind
    for kind in (
        *(ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp, ReduceMax, ReduceMean, ReduceMin),
        *(ReduceProd, ReduceSum, ReduceSumSquare),
    )
}


def slice_of(operator: Operator) -> None:
    """Slice: bounds are attributes before opset 10 and inputs from it on."""
    starts = operator.integers("starts", 1, since=10) or []
    ends = operator.integers("ends", 2, since=10) or []
    axes = operator.integers("axes", 3, since=10)
    steps = None
    if operator.opset >= 10 and operator.has(4):
        steps = [int(step) for step in operator.constant(4, "steps").reshape(-1)]
    operator.emit(Slice(starts, ends, axes, steps), operator.input(0))


def split(operator: Operator) -> None:
    """Split: one Slice for each output that something reads."""
    axis, count = operator.attribute("axis", 0), operator.output_count
    shape = operator.shape()
    if not -len(shape) <= axis < len(shape):
        raise operator.unsupported(f"axis {axis} of {shape}")
    size = shape[axis]
    sizes = operator.integers("split", 1, since=13)
    if not sizes:
        count = operator.attribute("num_outputs", count)
        chunk = -(-size // max(1, count))
        sizes = [min(chunk, max(0, size - place * chunk)) for place in range(count)]
    if len(sizes) < operator.output_count or sum(sizes) != size or min(sizes) < 0:
        raise ModelFileError(
            f"node {operator.name!r} (Split) parts {size} samples into {sizes}, which do not fit "
            f"its {operator.output_count} outputs"
        )
    start = 0
    for place in range(operator.output_count):
        end = start + sizes[place]
        if operator.uses_output(place):
            operator.emit(Slice([start], [end], [axis]), operator.input(0), output=place)
        start = end


def gather(operator: Operator) -> None:
    """Gather and GatherElements."""
    axis = operator.attribute("axis", 0)
    kind = Gather if operator.type == "Gather" else GatherElements
    _take(operator, kind(axis), operator.shape()[axis : axis + 1 or None])


def gather_nd(operator: Operator) -> None:
    """GatherND."""
    batch = operator.attribute("batch_dims", 0)
    deep = operator.shape(1)[-1:]
    _take(operator, GatherND(batch), operator.shape()[batch : batch + (deep[0] if deep else 0)])


def _take(operator: Operator, layer: Layer, sizes: Sequence[int]) -> None:
    """A layer that takes samples; constant places are looked at now."""
    if operator.dtype(1).kind not in "iu":
        raise ModelFileError(f"node {operator.name!r} ({operator.type}) has no whole indices")
    if operator.is_constant(1) and sizes:
        places, limits = operator.constant(1, "indices"), np.asarray(sizes)
        if ((places < -limits) | (places >= limits)).any():
            raise ModelFileError(f"node {operator.name!r} ({operator.type}) reads beyond its data")
    operator.emit(layer, operator.input(0), operator.input(1))


def expand(operator: Operator) -> None:
    """Expand to a shape that is known at import."""
    shape = [int(size) for size in operator.constant(1, "shape").reshape(-1)]
    operator.emit(Expand(shape), operator.input(0))


def tile(operator: Operator) -> None:
    """Tile by numbers that are known at import."""
    repeats = [int(count) for count in operator.constant(1, "repeats").reshape(-1)]
    operator.emit(Tile(repeats), operator.input(0))


def reduce(operator: Operator) -> None:
    """Reductions: axes are an attribute before opset 18 (13 for ReduceSum), then an input."""
    since = 13 if operator.type == "ReduceSum" else 18
    axes = operator.integers("axes", 1, since=since)
    if not axes and operator.attribute("noop_with_empty_axes", False):
        layer: Layer = Identity()
        if operator.type == "ReduceL1":
            layer = Abs()
        elif operator.type not in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"):
            layer = _REDUCTIONS[operator.type]((), keep_dims=True)
    else:
        keep = operator.attribute("keepdims", True)
        layer = _REDUCTIONS[operator.type](axes or None, keep_dims=keep)
    operator.emit(layer, operator.input(0))


def place_of_extreme(operator: Operator) -> None:
    """ArgMax and ArgMin."""
    kind = ArgMax if operator.type == "ArgMax" else ArgMin
    layer = kind(
        operator.attribute("axis", 0),
        keep_dims=operator.attribute("keepdims", True),
        last=operator.attribute("select_last_index", False),
    )
    operator.emit(layer, operator.input(0))


def cumulative_sum(operator: Operator) -> None:
    """CumSum along an axis that is known at import."""
    layer = CumSum(
        int(operator.constant(1, "axis").reshape(())),
        exclusive=operator.attribute("exclusive", False),
        reverse=operator.attribute("reverse", False),
    )
    operator.emit(layer, operator.input(0))


def lp_normalization(operator: Operator) -> None:
    """LpNormalization: each sample divided by the length along an axis."""
    axis, power = operator.attribute("axis", -1), operator.attribute("p", 2)
    if power not in (1, 2):
        raise operator.unsupported(f"p is {power}; 1 or 2 is required")
    norm = (ReduceL1 if power == 1 else ReduceL2)((axis,))
    length = operator.emit(norm, operator.input(0), step="length")
    # What has no length stays as it is.
    zero, one = (operator.keep(np.float32(value), f"number_{value}") for value in (0, 1))
    none = operator.emit(Equal(), length, zero, step="none")
    length = operator.emit(Where(), none, one, length, step="divisor")
    operator.emit(Div(), operator.input(0), length)


BUILDERS: dict[str, Callable[[Operator], None]] = {
    **dict.fromkeys(_REDUCTIONS, reduce),
    "ArgMax": place_of_extreme,
    "ArgMin": place_of_extreme,
    "CumSum": cumulative_sum,
    "Expand": expand,
    "Gather": gather,
    "GatherElements": gather,
    "GatherND": gather_nd,
    "LpNormalization": lp_normalization,
    "Slice": slice_of,
    "Split": split,
    "Tile": tile,
}
