"""Operators that Functional models hold between their layers.

Keras 2.4 and later keep ``x * 2`` as a TFOpLambda or SlicingOpLambda that names TensorFlow's
function, Keras 2.0 to 2.3 as a TensorFlowOpLayer with a node of TensorFlow's graph, and Keras 3 as
an operation of ``keras.ops``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from twinlens.engine.formats.keras.activations import FUNCTIONS
from twinlens.engine.formats.keras.config import LayerOf, Ref
from twinlens.engine.formats.keras.layer import (
    PICTURE_AXES,
    TO_PICTURE,
    Call,
    Place,
    scalar,
    whole,
)
from twinlens.engine.formats.keras.layers import join
from twinlens.engine.formats.keras.operator_names import GRAPH, KERAS, TENSORFLOW
from twinlens.engine.layers import (
    GELU,
    Clip,
    Concat,
    Conv2d,
    Div,
    LeakyReLU,
    LogSoftmax,
    Pad,
    ReduceMean,
    Reshape,
    Softmax,
    Transpose,
)
from twinlens.engine.layers.base import Array
from twinlens.engine.layers.checks import normal_axes, normal_axis

Builder = Callable[["Operation"], None]

LAMBDAS = ("TFOpLambda", "SlicingOpLambda")
NODES = "TensorFlowOpLayer"
_MOST_AXES = 8


class Operation:
    """One operator with its arguments, whoever wrote it.

    Args:
        call: the layer's use.
        name: the operator, by the names of ``OPERATORS``.
    """

    def __init__(self, call: Call, name: str) -> None:
        self.call, self.name = call, name

    def argument(self, index: int, *names: str, default: Any = None) -> Any:
        """An argument by its place or by any of its names, else the layer's setting."""
        call = self.call
        if index < len(call.args) and call.args[index] is not None:
            return call.args[index]
        for name in names:
            for source in (call.kwargs, call.layer.settings):
                if source.get(name) is not None:
                    return source[name]
        return default

    def input(self) -> Place:
        """The first argument, which the network computes."""
        value = self.argument(0, "x", "input", "input_tensor", "tensor", "features", "value")
        return self.call.place_of(value)

    def axes(self, value: Any, rank: int) -> tuple[int, ...]:
        """Axes as the file gives them."""
        listed = value if isinstance(value, (list, tuple)) else [value]
        return normal_axes(self.call.what, [whole(axis) for axis in listed], rank)


def operator_of(layer: LayerOf) -> str | None:
    """The operator that a layer stands for; None for a plain layer.

    What is not known is named as TensorFlow or Keras do.
    """
    if layer.operation:
        return KERAS.get(layer.kind, f"keras.ops {layer.kind}")
    if layer.kind in LAMBDAS:
        name = str(layer.settings.get("function", "")).removeprefix("compat.v1.")
        return TENSORFLOW.get(name, f"tf.{name}")
    if layer.kind == NODES:
        name = str(_node(layer).get("op", ""))
        return GRAPH.get(name, f"TensorFlow's {name}")
    return None


def operate(call: Call, name: str) -> None:
    """Build an operator that is in ``OPERATORS``."""
    if call.kind == NODES:
        constants = call.layer.settings.get("constants") or {}
        args = list(call.places_as_given())
        for index, value in sorted((int(key), value) for key, value in constants.items()):
            args.insert(index, value)
        call.args = tuple(args)
    OPERATORS[name](Operation(call, name))


def _node(layer: LayerOf) -> Mapping[str, Any]:
    """The node of TensorFlow's graph that a layer holds."""
    node = layer.settings.get("node_def")
    if isinstance(node, str):
        try:
            node = json.loads(node)
        except ValueError:
            return {}
    return node if isinstance(node, Mapping) else {}


def _binary(kind: str) -> Builder:
    def build(op: Operation) -> None:
        call = op.call
        first = op.argument(0, "x", "x1", "value")
        second = op.argument(1, "y", "x2", "bias")
        names, picture = call.same_order([call.place_of(first), call.place_of(second)])
        value = call.emit(Div(), *names) if kind == "Divide" else join(call, kind, *names)
        call.finish(value, picture=picture)

    return build


def _bias_add(op: Operation) -> None:
    if op.argument(2, "data_format", default="NHWC") not in ("NHWC", "N...C"):
        raise op.call.unsupported("a bias for channels first is not implemented")
    _binary("Add")(op)


def _function(op: Operation) -> None:
    place = op.input()
    op.call.finish(op.call.emit(FUNCTIONS[op.name](op.call), place.name), picture=place.picture)


def _leaky_relu(op: Operation) -> None:
    place, slope = op.input(), scalar(op.argument(1, "negative_slope", "alpha", default=0.2))
    op.call.finish(op.call.emit(LeakyReLU(slope), place.name), picture=place.picture)


def _gelu(op: Operation) -> None:
    # The operators' own defaults differ: keras.ops approximates, tf.nn does not.
    default = op.call.layer.operation
    exact = not op.argument(1, "approximate", default=default)
    place = op.input()
    value = op.call.emit(GELU("none" if exact else "tanh"), place.name)
    op.call.finish(value, picture=place.picture)


def _softmax(op: Operation) -> None:
    place, given = op.input(), op.argument(1, "axis", default=-1)
    axis = normal_axis(op.call.what, whole(given), len(op.call.shape(place)))
    layer = Softmax if op.name == "softmax" else LogSoftmax
    value = op.call.emit(layer(PICTURE_AXES[axis] if place.picture else axis), place.name)
    op.call.finish(value, picture=place.picture)


def _same(op: Operation) -> None:
    place = op.input()
    op.call.finish(place.name, picture=place.picture)


def _cast(op: Operation) -> None:
    kind = str(op.argument(1, "dtype", default="float32"))
    if "float" not in kind:
        raise op.call.unsupported(f"it casts to {kind}; floats are computed")
    _same(op)


def _negative(op: Operation) -> None:
    place = op.input()
    op.call.finish(op.call.affine(place.name, -1.0, 0.0), picture=place.picture)


def _square(op: Operation) -> None:
    place = op.input()
    value = join(op.call, "Multiply", place.name, place.name)
    op.call.finish(value, picture=place.picture)


def _clip(op: Operation) -> None:
    place = op.input()
    low, high = op.argument(1, "clip_value_min", "x_min"), op.argument(2, "clip_value_max", "x_max")
    layer = Clip(scalar(low), scalar(high))
    op.call.finish(op.call.emit(layer, place.name), picture=place.picture)


def _mean(op: Operation) -> None:
    place = op.input()
    rank, given = len(op.call.shape(place)), op.argument(1, "axis")
    keep = bool(op.argument(2, "keepdims", "keep_dims", default=False))
    axes = tuple(range(rank)) if given is None else op.axes(given, rank)
    if place.picture and (keep or {1, 2} <= set(axes)):
        ours = sorted(PICTURE_AXES[axis] for axis in axes)
        value = op.call.emit(ReduceMean(ours, keep_dims=keep), place.name)
        op.call.finish(value, picture=keep)
        return
    value = op.call.emit(ReduceMean(axes, keep_dims=keep), op.call.plain(place))
    op.call.finish(value, picture=False)


def _reshape(op: Operation) -> None:
    place, given = op.input(), op.argument(1, "shape", "newshape", "target_shape")
    if not isinstance(given, (list, tuple)) or any(isinstance(size, Ref) for size in given):
        raise op.call.unsupported("its shape is computed while the network runs")
    sizes = [-1 if size is None else whole(size) for size in given]
    layer = Reshape(sizes, allow_zero=True)
    op.call.finish(op.call.emit(layer, op.call.plain(place)), picture=False)


def _transpose(op: Operation) -> None:
    place, given = op.input(), op.argument(1, "perm", "axes")
    order = None if given is None else [whole(axis) for axis in given]
    op.call.finish(op.call.emit(Transpose(order), op.call.plain(place)), picture=False)


def _squeeze(op: Operation) -> None:
    place, given = op.input(), op.argument(1, "axis")
    shape = op.call.shape(place)
    ones = [axis for axis, size in enumerate(shape) if size == 1 and axis]
    axes = ones if given is None else op.axes(given, len(shape))
    left = [size for axis, size in enumerate(shape) if axis not in axes]
    op.call.finish(op.call.emit(Reshape(left), op.call.plain(place)), picture=False)


def _expand_dims(op: Operation) -> None:
    place = op.input()
    shape = list(op.call.shape(place))
    axis = whole(op.argument(1, "axis", default=0))
    shape.insert(normal_axis(op.call.what, axis, len(shape) + 1), 1)
    op.call.finish(op.call.emit(Reshape(shape), op.call.plain(place)), picture=False)


def _concatenate(op: Operation) -> None:
    call, given = op.call, op.argument(0, "values", "xs")
    places = [call.place_of(item) for item in given] if isinstance(given, list) else [op.input()]
    names, picture = call.same_order(places)
    axis = whole(op.argument(1, "axis", default=-1))
    axis = normal_axis(call.what, axis, len(call.shape(places[0])))
    value = call.emit(Concat(PICTURE_AXES[axis] if picture else axis), *names)
    call.finish(value, picture=picture)


def _get_item(op: Operation) -> None:
    """Slices of whole axes, ranges, one sample, and the channels in reverse order."""
    call, place = op.call, op.input()
    shape = call.shape(place)
    given = op.argument(1, "slice_spec", "key")
    parts = _for_each_axis(call, given if isinstance(given, list) else [given], len(shape))
    value, picture = place.name, place.picture
    for axis, part in enumerate(parts):
        if isinstance(part, slice) and part.step == -1:
            if (part.start, part.stop) != (None, None) or len(shape) != 4 or axis not in (1, 3):
                raise call.unsupported("it reverses another axis than that of a picture's channels")
            value = call.picture(Place(value, picture), first=axis == 1)
            value, picture = call.emit(_reversal(shape[axis]), value, step="reversed"), axis == 3
    cuts = [_cut(call, part, size) for part, size in zip(parts, shape, strict=True)]
    if any(pair != (0, 0) for pair in cuts):
        ours = [cuts[axis] for axis in TO_PICTURE] if picture else cuts
        value = call.emit(Pad(ours), value, step="slice")
    gone = [axis for axis, part in enumerate(parts) if not isinstance(part, slice)]
    if gone:
        left = [
            size for axis, size in enumerate(call.shape(Place(value, picture))) if axis not in gone
        ]
        # One channel of a picture lies in the same order either way.
        source = value if gone == [3] else call.plain(Place(value, picture))
        value, picture = call.emit(Reshape(left), source), False
    call.finish(value, picture=picture)


def _stack(op: Operation) -> None:
    """Values along a new axis; channels of pictures become a picture."""
    call, given = op.call, op.argument(0, "values", "x")
    if not isinstance(given, list):
        raise call.unsupported("it takes one value; several are required")
    names = [call.plain(call.place_of(item)) for item in given]
    shape = list(call.net.values.shapes[names[0]])
    axis = normal_axis(call.what, whole(op.argument(1, "axis", default=0)), len(shape) + 1)
    picture = len(shape) == axis == 3
    axis = 1 if picture else axis
    wide = [*shape[:axis], 1, *shape[axis:]]
    parts = [call.emit(Reshape(wide), name, step="axis") for name in names]
    call.finish(call.emit(Concat(axis), *parts), picture=picture)


def _for_each_axis(call: Call, parts: Sequence[Any], rank: int) -> list[Any]:
    """One slice or number for each axis."""
    if len(parts) > _MOST_AXES or not all(
        part is Ellipsis or isinstance(part, (int, slice)) for part in parts
    ):
        raise call.unsupported("it is indexed by something else than numbers and ranges")
    dots = [at for at, part in enumerate(parts) if part is Ellipsis]
    at = dots[0] if dots else len(parts)
    before, after = parts[:at], parts[at + 1 :]
    missing = rank - len(before) - len(after)
    if len(dots) > 1 or missing < 0:
        raise call.unsupported(f"{len(parts)} indices do not fit {rank} axes")
    return [*before, *[slice(None)] * missing, *after]


def _cut(call: Call, part: Any, size: int) -> tuple[int, int]:
    """What a part leaves of an axis, as pads below 0."""
    if isinstance(part, int):
        start = normal_axis(call.what, part, size)
        return -start, start + 1 - size
    if part.step == -1:
        return 0, 0
    if part.step not in (None, 1):
        raise call.unsupported(f"it takes every {part.step}th sample")
    start, stop, _ = part.indices(size)
    if stop <= start:
        raise call.unsupported("it takes no sample")
    return -start, stop - size


def _reversal(channels: int) -> Conv2d:
    """The channels in reverse order, exactly: each output is one input times 1."""
    weight: Array = np.eye(channels, dtype=np.float32)[::-1]
    return Conv2d(np.ascontiguousarray(weight)[:, :, None, None])


OPERATORS: dict[str, Builder] = {
    **dict.fromkeys(FUNCTIONS, _function),
    "add": _binary("Add"),
    "bias_add": _bias_add,
    "cast": _cast,
    "clip": _clip,
    "concatenate": _concatenate,
    "divide": _binary("Divide"),
    "expand_dims": _expand_dims,
    "gelu": _gelu,
    "get_item": _get_item,
    "leaky_relu": _leaky_relu,
    "log_softmax": _softmax,
    "maximum": _binary("Maximum"),
    "mean": _mean,
    "minimum": _binary("Minimum"),
    "multiply": _binary("Multiply"),
    "negative": _negative,
    "reshape": _reshape,
    "same": _same,
    "softmax": _softmax,
    "square": _square,
    "squeeze": _squeeze,
    "stack": _stack,
    "subtract": _binary("Subtract"),
    "transpose": _transpose,
}
