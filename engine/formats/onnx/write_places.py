"""How layers that take, write, sort, repeat or reduce samples are written in ONNX."""

from __future__ import annotations

import numpy as np

from twinlens.engine.formats.onnx.writer import Writer, integers
from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    ArgMax,
    ArgMin,
    Bitwise,
    CumSum,
    Expand,
    Gather,
    GatherElements,
    GatherND,
    ScatterElements,
    ScatterND,
    Slice,
    Tile,
    TopK,
)
from twinlens.engine.layers.reduce import Reduce


def reduce(to: Writer, node: Node, layer: Reduce) -> None:
    """Reductions."""
    if layer.axes == ():
        inputs = [*node.inputs, *node.inputs] if layer.kind == "ReduceSumSquare" else node.inputs
        to.node(_REDUCED_BY_NONE.get(layer.kind, "Identity"), inputs)
        return
    axes = "" if layer.axes is None else to.parameter("axes", integers(layer.axes))
    to.node(layer.kind, [*node.inputs, axes], keepdims=int(layer.keep_dims))


_REDUCED_BY_NONE = {
    "ReduceL1": "Abs",
    "ReduceL2": "Abs",
    "ReduceLogSum": "Log",
    "ReduceSumSquare": "Mul",
}


def extreme(to: Writer, node: Node, layer: ArgMax | ArgMin) -> None:
    """ArgMax and ArgMin."""
    to.node(
        layer.kind,
        node.inputs,
        axis=layer.axis,
        keepdims=int(layer.keep_dims),
        select_last_index=int(layer.last),
    )


def cum_sum(to: Writer, node: Node, layer: CumSum) -> None:
    """CumSum."""
    axis = to.parameter("axis", integers(layer.axis))
    exclusive, reverse = int(layer.exclusive), int(layer.reverse)
    to.node("CumSum", [*node.inputs, axis], exclusive=exclusive, reverse=reverse)


def slice_of(to: Writer, node: Node, layer: Slice) -> None:
    """Slice."""
    settings = {
        "starts": layer.starts,
        "ends": layer.ends,
        "axes": layer.axes,
        "steps": layer.steps,
    }
    names = [to.parameter(name, integers(values)) for name, values in settings.items()]
    to.node("Slice", [*node.inputs, *names])


def gather(to: Writer, node: Node, layer: Gather | GatherElements | GatherND) -> None:
    """Gather, GatherElements and GatherND."""
    data, places = node.inputs
    inputs = [data, _whole(to, places)]
    if isinstance(layer, GatherND):
        to.node("GatherND", inputs, batch_dims=layer.batch_dims)
    else:
        to.node(layer.kind, inputs, axis=layer.axis)


def expand(to: Writer, node: Node, layer: Expand) -> None:
    """Expand."""
    to.node("Expand", [*node.inputs, to.parameter("shape", integers(layer.shape))])


def tile(to: Writer, node: Node, layer: Tile) -> None:
    """Tile."""
    to.node("Tile", [*node.inputs, to.parameter("repeats", integers(layer.repeats))])


def scatter(to: Writer, node: Node, layer: ScatterElements | ScatterND) -> None:
    """ScatterElements and ScatterND."""
    data, places, updates = node.inputs
    inputs = [data, _whole(to, places), updates]
    if isinstance(layer, ScatterND):
        to.node("ScatterND", inputs, reduction=layer.reduction)
    else:
        to.node("ScatterElements", inputs, axis=layer.axis, reduction=layer.reduction)


def top_k(to: Writer, node: Node, layer: TopK) -> None:
    """TopK."""
    count = to.parameter("count", integers([layer.count]))
    place = ("values", "places").index(layer.part)
    axis, largest = layer.axis, int(layer.largest)
    to.node("TopK", [*node.inputs, count], axis=axis, largest=largest, output_of=(place, 2))


def bitwise(to: Writer, node: Node, layer: Bitwise) -> None:
    """BitwiseAnd, BitwiseOr, BitwiseXor and BitShift."""
    if layer.operation in ("left", "right"):
        to.node("BitShift", node.inputs, direction=layer.operation.upper())
    else:
        to.node(f"Bitwise{layer.operation.title()}", node.inputs)


def _whole(to: Writer, places: str) -> str:
    """Places as int64: GatherND and the scatters take nothing else, the others not all integers."""
    import onnx

    if to.dtype(places) == np.int64:
        return places
    return to.node("Cast", [places], step="places", to=onnx.TensorProto.INT64)
