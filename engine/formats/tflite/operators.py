"""TensorFlow Lite operators as layers: one function for each kind, and a table of them.

Numbers of settings are those of the option tables in TensorFlow's ``schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from twinlens.engine.formats.tflite import more
from twinlens.engine.formats.tflite.operator import TO_PICTURE, Op
from twinlens.engine.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    Clip,
    Concat,
    Conv2d,
    DepthwiseConv2d,
    Div,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSwish,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Mul,
    Pad,
    PReLU,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Resize,
    Sigmoid,
    Softmax,
    Sub,
    Tanh,
    Transpose,
    same_padding,
)
from twinlens.engine.layers.base import Array, Layer

Builder = Callable[[Op], None]
Pair = tuple[int, int]

# Where an axis of (N, H, W, C) is in (N, C, H, W).
_AXES = (0, 2, 3, 1)


def conv(op: Op) -> None:
    """CONV_2D: weights (O, H, W, I), grouped where the input has more channels than they."""
    weight = op.constant(1, "weight")
    if weight.ndim != 4:
        raise op.unsupported(f"its weight has shape {weight.shape}; (O, H, W, I) is required")
    x, channels = op.picture(), op.shape()[3]
    groups = channels // weight.shape[3] if weight.shape[3] else 0
    stride, dilation = (
        (op.integer(2), op.integer(1)),
        (op.integer(5, default=1), op.integer(4, default=1)),
    )
    layer = Conv2d(
        np.ascontiguousarray(weight.transpose(0, 3, 1, 2)),
        _bias(op),
        stride=stride,
        dilation=dilation,
        groups=groups,
        pads=_pads(op, weight.shape[1:3], stride, dilation),
        weight_scale=_weight_scale(op, weight.shape[0], axis=0),
    )
    op.finish(op.emit(layer, x), picture=True, activation=op.integer(3, "b"))


def depthwise(op: Op) -> None:
    """DEPTHWISE_CONV_2D: weights (1, H, W, channels × multiplier)."""
    weight = op.constant(1, "weight")
    if weight.ndim != 4 or weight.shape[0] != 1:
        raise op.unsupported(f"its weight has shape {weight.shape}; (1, H, W, C) is required")
    x, channels = op.picture(), op.shape()[3]
    outputs = weight.shape[3]
    stride, dilation = (
        (op.integer(2), op.integer(1)),
        (op.integer(6, default=1), op.integer(5, default=1)),
    )
    layer = DepthwiseConv2d(
        np.ascontiguousarray(weight[0].transpose(2, 0, 1)[:, None]),
        _bias(op),
        stride=stride,
        dilation=dilation,
        pads=_pads(op, weight.shape[1:3], stride, dilation),
        multiplier=max(1, outputs // max(1, channels)),
        weight_scale=_weight_scale(op, outputs, axis=3),
    )
    op.finish(op.emit(layer, x), picture=True, activation=op.integer(4, "b"))


def fully_connected(op: Op) -> None:
    """FULLY_CONNECTED: weights (outputs, inputs) over all axes but the first."""
    weight = op.constant(1, "weight")
    if weight.ndim != 2 or op.integer(1, "b") != 0:
        raise op.unsupported(f"its weight of shape {weight.shape} is shuffled or not a matrix")
    scale = _weight_scale(op, weight.shape[0], axis=0)
    x, shape = op.place().name, op.shape()
    keeps = op.integer(2, "B") != 0
    if op.place().picture and not keeps and weight.shape[1] == int(np.prod(shape[1:])):
        # The matrix is put into our order of channels, instead of every picture into the file's.
        cube = weight.reshape(-1, *shape[1:]).transpose(0, 3, 1, 2)
        weight = np.ascontiguousarray(cube).reshape(weight.shape)
        x = op.emit(Flatten(), x, step="flatten")
    elif keeps:
        x = op.plain()
    elif len(shape) != 2 or shape[1] != weight.shape[1]:
        x = op.emit(Reshape((-1, weight.shape[1])), op.plain(), step="flatten")
    layer = Linear(weight, _bias(op), weight_scale=scale)
    op.finish(op.emit(layer, x), picture=False, activation=op.integer(0, "b"))


def pool(op: Op) -> None:
    """AVERAGE_POOL_2D (padding is not counted) and MAX_POOL_2D."""
    kernel, stride = (op.integer(4), op.integer(3)), (op.integer(2), op.integer(1))
    x = op.picture()
    pads = _pads(op, kernel, stride, (1, 1))
    mean = op.kind == "AVERAGE_POOL_2D"
    if kernel == op.shape()[1:3] and not any(pads):
        layer: Layer = GlobalAvgPool2d() if mean else GlobalMaxPool2d()
    else:
        layer = (AvgPool2d if mean else MaxPool2d)(kernel, stride=stride, pads=pads)
    op.finish(op.emit(layer, x), picture=True, activation=op.integer(5, "b"))


def arithmetic(op: Op) -> None:
    """ADD, SUB, MUL and DIV; a constant is put into the order that the other input has."""
    kinds: dict[str, type[Layer]] = {"ADD": Add, "SUB": Sub, "MUL": Mul, "DIV": Div}
    names, whole = more.operands(op)
    value = op.emit(kinds[op.kind](), *names)
    op.finish(value, picture=whole, activation=op.integer(0, "b"))


def elementwise(op: Op) -> None:
    """Functions of each sample."""
    place = op.place()
    op.finish(op.emit(_FUNCTIONS[op.kind](op), place.name), picture=place.picture)


def prelu(op: Op) -> None:
    """PRELU: one slope for each channel, or all."""
    slope = op.constant(1, "slope")
    if len(op.shape()) == 4:
        wide = slope.reshape((1,) * (4 - slope.ndim) + slope.shape).transpose(TO_PICTURE)
        op.finish(op.emit(PReLU(wide[0]), op.picture()), picture=True)
        return
    op.finish(op.emit(PReLU(slope), op.plain()), picture=False)


def bound(op: Op) -> None:
    """MAXIMUM and MINIMUM; with one constant number they are a Clip."""
    index = 1 if op.is_constant(1) else 0
    limit = op.constant(index, "bound") if op.is_constant(index) else np.zeros(0)
    if limit.size != 1 or op.is_constant(1 - index):
        more.join(op)
        return
    value = float(limit.reshape(()))
    layer = Clip(value, None) if op.kind == "MAXIMUM" else Clip(None, value)
    place = op.place(1 - index)
    op.finish(op.emit(layer, place.name), picture=place.picture)


def softmax(op: Op) -> None:
    """SOFTMAX and LOG_SOFTMAX over the last axis."""
    place = op.place()
    x = place.name
    beta = op.real(0, 1.0) if op.kind == "SOFTMAX" else 1.0
    if beta != 1.0:
        x = op.emit(Mul(), x, op.keep(np.float32(beta), "beta"), step="beta")
    layer = Softmax if op.kind == "SOFTMAX" else LogSoftmax
    op.finish(op.emit(layer(1 if place.picture else -1), x), picture=place.picture)


def mean(op: Op) -> None:
    """MEAN over axes that are known at import."""
    place, rank = op.place(), len(op.shape())
    axes = [axis % rank for axis in op.whole_numbers(1, "axes")] if rank else []
    keep = op.integer(0, "B") != 0
    if place.picture and (keep or 3 not in axes) and (keep or set(axes) >= {1, 2}):
        layer = ReduceMean(sorted(_AXES[axis] for axis in axes), keep_dims=keep)
        op.finish(op.emit(layer, place.name), picture=keep)
        return
    layer = ReduceMean(axes, keep_dims=keep)
    op.finish(op.emit(layer, op.plain()), picture=False)


def concatenation(op: Op) -> None:
    """CONCATENATION."""
    rank = len(op.shape())
    axis = op.integer(0)
    axis = axis + rank if axis < 0 else axis
    count = range(op.input_count)
    if rank == 4 and 0 <= axis < 4:
        x = op.emit(Concat(_AXES[axis]), *(op.picture(i) for i in count))
        op.finish(x, picture=True, activation=op.integer(1, "b"))
        return
    x = op.emit(Concat(axis), *(op.plain(i) for i in count))
    op.finish(x, picture=False, activation=op.integer(1, "b"))


def reshape(op: Op) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the shape is that of the output, or the option's."""
    place, before = op.place(), op.shape()
    after = _new_shape(op)
    if place.picture and max(before[1:3]) == 1 and len(after) == 2:
        # One pixel has its samples in the same order either way.
        op.finish(op.emit(Reshape(after), place.name), picture=False, rounded=False)
        return
    op.finish(op.emit(Reshape(after), op.plain()), picture=False, rounded=False)


def _new_shape(op: Op) -> list[int]:
    before = op.shape()
    if op.kind == "SQUEEZE":
        given = None if op.options is None else op.options.array(0, np.int32)
        axes = [int(a) % len(before) for a in given] if given is not None and before else []
        chosen = axes or [axis for axis, size in enumerate(before) if size == 1]
        return [size for axis, size in enumerate(before) if axis not in chosen]
    if op.kind == "RESHAPE":
        if op.is_constant(1):
            return op.whole_numbers(1, "shape")
        given = None if op.options is None else op.options.array(0, np.int32)
        if given is not None and given.size:
            return [int(size) for size in given[:8]]
    return list(op.output.shape)


def transpose(op: Op) -> None:
    """TRANSPOSE."""
    order = op.whole_numbers(1, "permutation")
    op.finish(op.emit(Transpose(order), op.plain()), picture=False, rounded=False)


def pad(op: Op) -> None:
    """PAD and PADV2 with a constant, MIRROR_PAD."""
    amounts = op.constant(1, "pads")
    if amounts.ndim != 2 or amounts.shape != (len(op.shape()), 2):
        raise op.unsupported(f"its pads have shape {amounts.shape}; one pair per axis is required")
    value, mode = 0.0, "constant"
    if op.kind == "PADV2":
        value = float(op.constant(2, "value").reshape(-1)[0])
    if op.kind == "MIRROR_PAD":
        if op.integer(0, "b") != 0:
            raise op.unsupported("mirroring with the edge itself (SYMMETRIC) is not implemented")
        mode = "reflect"
    pairs = [(int(before), int(after)) for before, after in amounts]
    rounded = op.kind == "PADV2"
    if len(pairs) == 4:
        x = op.emit(Pad([pairs[a] for a in TO_PICTURE], mode=mode, value=value), op.picture())
        op.finish(x, picture=True, rounded=rounded)
        return
    x = op.emit(Pad(pairs, mode=mode, value=value), op.plain())
    op.finish(x, picture=False, rounded=rounded)


def resize(op: Op) -> None:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR to a size that is known at import."""
    linear = op.kind == "RESIZE_BILINEAR"
    first = 2 if linear else 0
    corners, half = op.integer(first, "B") != 0, op.integer(first + 1, "B") != 0
    coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    x = op.picture()
    layer = Resize(
        sizes=op.whole_numbers(1, "size"),
        axes=(2, 3),
        mode="linear" if linear else "nearest",
        coordinates=coordinates,
        nearest_mode="round_prefer_ceil" if corners or half else "floor",
    )
    op.finish(op.emit(layer, x), picture=True)


def same_value(op: Op) -> None:
    """QUANTIZE and DEQUANTIZE: values stay, what they are rounded to changes."""
    place = op.place()
    op.finish(place.name, picture=place.picture)


def _pads(op: Op, kernel: Sequence[int], stride: Pair, dilation: Pair) -> tuple[int, int, int, int]:
    """Pads (top, left, bottom, right) for SAME (0) or VALID (1), the option's first field."""
    padding = op.integer(0, "b")
    if padding == 1:
        return 0, 0, 0, 0
    if padding != 0 or min(*kernel, *stride, *dilation) < 1:
        raise op.unsupported(
            f"padding {padding}, kernel {tuple(kernel)}, stride {stride}, dilation {dilation}"
        )
    (top, bottom), (left, right) = (
        same_padding(op.shape()[axis + 1], kernel[axis], stride[axis], dilation[axis])
        for axis in (0, 1)
    )
    return top, left, bottom, right


def _bias(op: Op) -> Array | None:
    """The third input; in integers it counts steps of (input's scale × weight's scale)."""
    bias = op.optional(2, "bias")
    if bias is None:
        return None
    tensor, weight = op.tensor(2), op.tensor(1)
    entering = op.tensor(0).scale
    if tensor.scale is None or tensor.data is None or weight.scale is None or entering is None:
        return bias.reshape(-1)
    step = (entering * weight.scale).astype(np.float32)
    if not np.allclose(step, tensor.scale, rtol=1e-5, atol=0):
        return bias.reshape(-1)
    # The file's own scale is this product, rounded once more.
    whole = np.rint(bias / np.where(tensor.scale > 0, tensor.scale, 1))
    result: Array = whole.reshape(-1).astype(np.float32) * step
    return result


def _weight_scale(op: Op, outputs: int, axis: int) -> Array | None:
    tensor = op.tensor(1)
    if tensor.scale is None or tensor.dtype is None or tensor.dtype.itemsize != 1:
        return None
    if tensor.scale.size > 1 and tensor.axis != axis:
        return None
    return np.broadcast_to(tensor.scale.reshape(-1), (outputs,)).astype(np.float32)


_FUNCTIONS: dict[str, Callable[[Op], Layer]] = {
    **more.FUNCTIONS,
    "ELU": lambda op: ELU(1.0),
    "GELU": lambda op: GELU("tanh" if op.integer(0, "B") else "none"),
    "HARD_SWISH": lambda op: HardSwish(),
    "LEAKY_RELU": lambda op: LeakyReLU(op.real(0)),
    "LOGISTIC": lambda op: Sigmoid(),
    "RELU": lambda op: ReLU(),
    "RELU6": lambda op: ReLU6(),
    "RELU_0_TO_1": lambda op: Clip(0.0, 1.0),
    "RELU_N1_TO_1": lambda op: Clip(-1.0, 1.0),
    "TANH": lambda op: Tanh(),
}

BUILDERS: dict[str, Builder] = {
    **more.BUILDERS,
    **dict.fromkeys(_FUNCTIONS, elementwise),
    **dict.fromkeys(("ADD", "DIV", "MUL", "SUB"), arithmetic),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), pool),
    **dict.fromkeys(("EXPAND_DIMS", "RESHAPE", "SQUEEZE"), reshape),
    **dict.fromkeys(("LOG_SOFTMAX", "SOFTMAX"), softmax),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), bound),
    **dict.fromkeys(("MIRROR_PAD", "PAD", "PADV2"), pad),
    **dict.fromkeys(("DEQUANTIZE", "QUANTIZE"), same_value),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), resize),
    "CONCATENATION": concatenation,
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "MEAN": mean,
    "PRELU": prelu,
    "TRANSPOSE": transpose,
}
