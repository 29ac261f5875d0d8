"""TensorFlow Lite operators that take, compare, reduce or compute shapes, as layers.

Numbers of settings are those of the option tables in TensorFlow's ``schema.fbs``. What is no
picture to its operator is computed in the file's own order of axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.tflite.operator import TO_PICTURE, Op
from twinlens.engine.layers import (
    Abs,
    Add,
    And,
    ArgMax,
    ArgMin,
    Cast,
    Ceil,
    Concat,
    ConvTranspose2d,
    Cos,
    CumSum,
    DepthToSpace,
    Div,
    Equal,
    Exp,
    Expand,
    Floor,
    Gather,
    GatherND,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    LocalResponseNorm,
    Log,
    MatMul,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Pad,
    Pow,
    Reciprocal,
    ReduceL2,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reshape,
    Round,
    Sign,
    Sin,
    Slice,
    SpaceToDepth,
    Sqrt,
    Sub,
    Tile,
    Transpose,
    Unsqueeze,
    Where,
    transpose_padding,
)
from twinlens.engine.layers.base import Layer

_FAR = 1 << 40
_SMALLEST_LENGTH = 1e-6

# Where an axis of (N, H, W, C) is in (N, C, H, W).
_AXES = (0, 2, 3, 1)

FUNCTIONS: dict[str, Callable[[Op], Layer]] = {
    "ABS": lambda op: Abs(),
    "CEIL": lambda op: Ceil(),
    "COS": lambda op: Cos(),
    "EXP": lambda op: Exp(),
    "FLOOR": lambda op: Floor(),
    "LOG": lambda op: Log(),
    "LOGICAL_NOT": lambda op: Not(),
    "NEG": lambda op: Neg(),
    "ROUND": lambda op: Round(),
    "SIGN": lambda op: Sign(),
    "SIN": lambda op: Sin(),
    "SQRT": lambda op: Sqrt(),
}

_JOINS: dict[str, type[Layer]] = {
    "EQUAL": Equal,
    "GREATER": Greater,
    "GREATER_EQUAL": GreaterOrEqual,
    "LESS": Less,
    "LESS_EQUAL": LessOrEqual,
    "LOGICAL_AND": And,
    "LOGICAL_OR": Or,
    "MAXIMUM": Maximum,
    "MINIMUM": Minimum,
    "POW": Pow,
    "SELECT": Where,
    "SELECT_V2": Where,
}


_REDUCTIONS: dict[str, type[ReduceMax | ReduceMin | ReduceProd | ReduceSum]] = {
    "REDUCE_MAX": ReduceMax,
    "REDUCE_MIN": ReduceMin,
    "REDUCE_PROD": ReduceProd,
    "SUM": ReduceSum,
}


def operands(op: Op) -> tuple[list[str], bool]:
    """All inputs in one order of axes, and whether that is (N, C, H, W)."""
    count = range(op.input_count)
    pictures = [not op.is_constant(i) and len(op.shape(i)) == 4 for i in count]
    whole = all(pictures[i] or (op.is_constant(i) and any(pictures)) for i in count)
    return [_operand(op, i, whole) for i in count], whole


def _operand(op: Op, index: int, as_picture: bool) -> str:
    if not as_picture:
        return op.plain(index)
    if not op.is_constant(index):
        return op.picture(index)
    array = op.constant(index, "operand")
    if array.size > 1:
        array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TO_PICTURE)
    return op.keep(array, f"operand_{index}")


def join(op: Op) -> None:
    """Comparisons, truth values, extremes, powers and choices of inputs that broadcast."""
    names, whole = operands(op)
    if op.kind == "SELECT" and len(op.shape(0)) == 1 < len(op.shape(1)):
        # One truth value for each slice of the first axis.
        names, whole = [op.plain(i) for i in range(3)], False
        each = (-1, *([1] * (len(op.shape(1)) - 1)))
        names[0] = op.emit(Reshape(each), names[0], step="each")
    op.finish(op.emit(_JOINS[op.kind](), *names), picture=whole)


def not_equal(op: Op) -> None:
    """NOT_EQUAL."""
    names, whole = operands(op)
    op.finish(op.emit(Not(), op.emit(Equal(), *names, step="equal")), picture=whole)


def squared_difference(op: Op) -> None:
    """SQUARED_DIFFERENCE."""
    names, whole = operands(op)
    difference = op.emit(Sub(), *names, step="difference")
    op.finish(op.emit(Mul(), difference, difference), picture=whole)


def floor_div(op: Op) -> None:
    """FLOOR_DIV and FLOOR_MOD."""
    names, whole = operands(op)
    if op.kind == "FLOOR_MOD":
        op.finish(op.emit(Mod(), *names), picture=whole)
        return
    rest = op.emit(Mod(), *names, step="rest")
    whole_times = op.emit(Sub(), names[0], rest, step="whole")
    op.finish(op.emit(Div(), whole_times, names[1]), picture=whole)


def add_many(op: Op) -> None:
    """ADD_N."""
    names, whole = operands(op)
    total = names[0]
    for place, name in enumerate(names[1:], 1):
        total = op.emit(Add(), total, name, step="" if place == len(names) - 1 else f"sum_{place}")
    op.finish(total, picture=whole)


def square(op: Op) -> None:
    """SQUARE."""
    place = op.place()
    op.finish(op.emit(Mul(), place.name, place.name), picture=place.picture)


def inverse_root(op: Op) -> None:
    """RSQRT."""
    place = op.place()
    root = op.emit(Sqrt(), place.name, step="root")
    op.finish(op.emit(Reciprocal(), root), picture=place.picture)


def cast(op: Op) -> None:
    """CAST to the output's type."""
    place, wanted = op.place(), op.output.dtype
    if wanted is None:
        raise op.unsupported("a cast to a type that is no number")
    layer = Cast(np.float32 if wanted.kind == "f" else wanted)
    op.finish(op.emit(layer, place.name), picture=place.picture)


def reduce(op: Op) -> None:
    """SUM, REDUCE_MAX, REDUCE_MIN and REDUCE_PROD over axes that are known at import."""
    kind = _REDUCTIONS[op.kind]
    place, rank = op.place(), len(op.shape())
    axes = [axis % rank for axis in op.whole_numbers(1, "axes")] if rank else []
    keep = op.integer(0, "B") != 0
    if place.picture and keep:
        op.finish(op.emit(kind([_AXES[axis] for axis in axes]), place.name), picture=True)
        return
    op.finish(op.emit(kind(axes, keep_dims=keep), op.plain()), picture=False)


def place_of_extreme(op: Op) -> None:
    """ARG_MAX and ARG_MIN, in the output's type."""
    (axis,) = op.whole_numbers(1, "axis")
    kind = ArgMax if op.kind == "ARG_MAX" else ArgMin
    places = op.emit(kind(axis, keep_dims=False), op.plain(), step="places")
    op.finish(op.emit(Cast(op.output.dtype or np.int64), places), picture=False)


def cumulative_sum(op: Op) -> None:
    """CUMSUM."""
    (axis,) = op.whole_numbers(1, "axis")
    exclusive, reverse = op.integer(0, "B") != 0, op.integer(1, "B") != 0
    layer = CumSum(axis, exclusive=exclusive, reverse=reverse)
    op.finish(op.emit(layer, op.plain()), picture=False)


def l2_normalization(op: Op) -> None:
    """L2_NORMALIZATION over the last axis."""
    place = op.place()
    axis = 1 if place.picture else -1
    length = op.emit(ReduceL2((axis,)), place.name, step="length")
    smallest = op.keep(np.float32(_SMALLEST_LENGTH), "smallest")
    length = op.emit(Maximum(), length, smallest, step="divisor")
    value = op.emit(Div(), place.name, length)
    op.finish(value, picture=place.picture, activation=op.integer(0, "b"))


def local_response(op: Op) -> None:
    """LOCAL_RESPONSE_NORMALIZATION over channels; alpha is that of the sum, not of the mean."""
    size = 2 * op.integer(0) + 1
    layer = LocalResponseNorm(size, alpha=op.real(2) * size, beta=op.real(3), bias=op.real(1))
    op.finish(op.emit(layer, op.picture()), picture=True)


def slice_of(op: Op) -> None:
    """SLICE: first sample and number of each axis; -1 takes all that follow."""
    starts, sizes = op.whole_numbers(1, "begin"), op.whole_numbers(2, "size")
    ends = [_FAR if size < 0 else start + size for start, size in zip(starts, sizes, strict=True)]
    _take(op, Slice(starts, ends, range(len(starts))))


def _take(op: Op, layer: Slice) -> None:
    """Take samples in the order that the input has."""
    place = op.place()
    if place.picture:
        layer = Slice(layer.starts, layer.ends, [_AXES[a] for a in layer.axes], layer.steps)
    op.finish(op.emit(layer, place.name), picture=place.picture, rounded=False)


def strided_slice(op: Op) -> None:
    """STRIDED_SLICE with its masks; see https://www.tensorflow.org/api_docs/python/tf/strided_slice."""
    given = [
        op.whole_numbers(index, name) for index, name in enumerate(("begin", "end", "step"), 1)
    ]
    first, last, ellipsis, added, shrunk = (op.integer(field) for field in range(5))
    if ellipsis or added or op.integer(5, "B"):
        raise op.unsupported("an ellipsis, a new axis or an offset in its bounds")
    starts, ends, steps = given
    shape = op.shape()
    for axis, step in enumerate(steps):
        if shrunk >> axis & 1:
            starts[axis] %= max(1, shape[axis])
            ends[axis], steps[axis] = starts[axis] + 1, 1
            continue
        if first >> axis & 1:
            starts[axis] = 0 if step > 0 else _FAR
        if last >> axis & 1:
            ends[axis] = _FAR if step > 0 else -_FAR
    layer = Slice(starts, ends, range(len(starts)), steps)
    if not shrunk:
        _take(op, layer)
        return
    cut = op.emit(layer, op.plain(), step="slice")
    sizes = layer.output_shape(shape)
    kept = [size for axis, size in enumerate(sizes) if not shrunk >> axis & 1]
    op.finish(op.emit(Reshape(kept, allow_zero=True), cut), picture=False, rounded=False)


def split(op: Op) -> None:
    """SPLIT into equal parts and SPLIT_V into given ones: one Slice for each output."""
    source, at = (1, 0) if op.kind == "SPLIT" else (0, 2)
    (axis,) = op.whole_numbers(at, "axis")
    shape = op.shape(source)
    axis = axis % max(1, len(shape))
    count = op.output_count
    sizes = [shape[axis] // count] * count
    if op.kind == "SPLIT_V":
        sizes = op.whole_numbers(1, "sizes")
        rest = shape[axis] - sum(size for size in sizes if size >= 0)
        sizes = [rest if size < 0 else size for size in sizes]
    if len(sizes) != count or sum(sizes) != shape[axis]:
        raise ModelFileError(f"operator {op.kind} at {op.name!r} parts {shape} into {sizes}")
    place, start = op.place(source), 0
    for part, size in enumerate(sizes):
        layer = Slice([start], [start + size], [_AXES[axis] if place.picture else axis])
        value = op.emit(layer, place.name, step=f"part_{part}")
        op.finish(value, picture=place.picture, rounded=False, output=part)
        start += size


def unpack(op: Op) -> None:
    """UNPACK: one slice of an axis for each output."""
    shape, axis = op.shape(), op.integer(1)
    axis = axis % max(1, len(shape))
    rest = [size for at, size in enumerate(shape) if at != axis]
    for part in range(op.output_count):
        cut = op.emit(Slice([part], [part + 1], [axis]), op.plain(), step=f"part_{part}")
        value = op.emit(Reshape(rest), cut, step=f"slice_{part}")
        op.finish(value, picture=False, rounded=False, output=part)


def pack(op: Op) -> None:
    """PACK: inputs joined along a new axis."""
    axis, rank = op.integer(1), len(op.shape()) + 1
    axis = axis % rank
    parts = [
        op.emit(Unsqueeze((axis,)), op.plain(index), step=f"part_{index}")
        for index in range(op.input_count)
    ]
    op.finish(op.emit(Concat(axis), *parts), picture=False)


def gather(op: Op) -> None:
    """GATHER along an axis."""
    if op.integer(1):
        raise op.unsupported("axes that both inputs have in common")
    layer = Gather(op.integer(0))
    op.finish(op.emit(layer, op.plain(0), op.plain(1)), picture=False, rounded=False)


def gather_nd(op: Op) -> None:
    """GATHER_ND."""
    value = op.emit(GatherND(), op.plain(0), op.plain(1))
    op.finish(value, picture=False, rounded=False)


def tile(op: Op) -> None:
    """TILE."""
    layer = Tile(op.whole_numbers(1, "multiples"))
    op.finish(op.emit(layer, op.plain()), picture=False, rounded=False)


def broadcast_to(op: Op) -> None:
    """BROADCAST_TO."""
    layer = Expand(op.whole_numbers(1, "shape"))
    op.finish(op.emit(layer, op.plain()), picture=False, rounded=False)


def reverse(op: Op) -> None:
    """REVERSE_V2."""
    axes = op.whole_numbers(1, "axes")
    count = len(axes)
    _take(
        op, Slice([-1] * count, [-_FAR] * count, [a % len(op.shape()) for a in axes], [-1] * count)
    )


def shape_of(op: Op) -> None:
    """SHAPE and RANK: known at import."""
    shape = op.shape()
    wanted = op.output.dtype or np.dtype(np.int32)
    array = np.asarray(shape if op.kind == "SHAPE" else len(shape), wanted)
    op.finish(op.keep(array, "value"), picture=False)


def fill(op: Op) -> None:
    """FILL and ZEROS_LIKE: known at import."""
    if op.kind == "FILL":
        shape = op.whole_numbers(0, "shape")
        value = op.constant(1, "value")
        array = np.broadcast_to(value.reshape(()), shape)
    else:
        array = np.broadcast_to(np.zeros((), op.output.dtype or np.float32), op.shape())
    op.finish(op.keep(array, "value"), picture=False)


def depth_to_space(op: Op) -> None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH."""
    kind = DepthToSpace if op.kind == "DEPTH_TO_SPACE" else SpaceToDepth
    op.finish(op.emit(kind(op.integer(0)), op.picture()), picture=True, rounded=False)


def space_to_batch(op: Op) -> None:
    """SPACE_TO_BATCH_ND of pictures, which converters write around dilated convolutions."""
    (tall, wide), pads = _blocks(op)
    padded = op.plain()
    if any(pads):
        edges = [(0, 0), (pads[0], pads[1]), (pads[2], pads[3]), (0, 0)]
        padded = op.emit(Pad(edges), padded, step="pad")
    n, height, width, channels = op.shape()
    rows, columns = (height + pads[0] + pads[1]) // tall, (width + pads[2] + pads[3]) // wide
    parts = op.emit(Reshape((n, rows, tall, columns, wide, channels)), padded, step="blocks")
    moved = op.emit(Transpose((2, 4, 0, 1, 3, 5)), parts, step="moved")
    value = op.emit(Reshape((tall * wide * n, rows, columns, channels)), moved)
    op.finish(value, picture=False, rounded=False)


def batch_to_space(op: Op) -> None:
    """BATCH_TO_SPACE_ND of pictures."""
    (tall, wide), crops = _blocks(op)
    n, height, width, channels = op.shape()
    parts = op.emit(
        Reshape((tall, wide, n // (tall * wide), height, width, channels)),
        op.plain(),
        step="blocks",
    )
    moved = op.emit(Transpose((2, 3, 0, 4, 1, 5)), parts, step="moved")
    shape = (n // (tall * wide), height * tall, width * wide, channels)
    whole = op.emit(Reshape(shape), moved, step="whole")
    ends = (shape[1] - crops[1], shape[2] - crops[3])
    value = op.emit(Slice((crops[0], crops[2]), ends, (1, 2)), whole)
    op.finish(value, picture=False, rounded=False)


def _blocks(op: Op) -> tuple[tuple[int, int], list[int]]:
    """(Block's height and width, four sides to pad or crop) of a picture."""
    block, sides = op.whole_numbers(1, "block"), op.whole_numbers(2, "sides")
    if len(op.shape()) != 4 or len(block) != 2 or len(sides) != 4 or min(block) < 1:
        raise op.unsupported(f"blocks {block} of {op.shape()}; two axes of a picture are required")
    return (block[0], block[1]), sides


def transpose_conv(op: Op) -> None:
    """TRANSPOSE_CONV: output shape, weights (O, H, W, I), picture, and a bias or none."""
    weight = op.constant(1, "weight")
    shape = list(op.output.shape)
    if op.is_constant(0):
        shape = op.whole_numbers(0, "shape")
    if weight.ndim != 4 or len(shape) != 4:
        raise op.unsupported(f"its weight has shape {weight.shape}; (O, H, W, I) is required")
    stride = (op.integer(2), op.integer(1))
    x, entering = op.picture(2), op.shape(2)
    bias = op.optional(3, "bias")
    if op.integer(0, "b") == 1:
        pads = (0, 0, 0, 0)
        extra = [
            shape[axis + 1] - (entering[axis + 1] - 1) * stride[axis] - weight.shape[axis + 1]
            for axis in (0, 1)
        ]
    else:
        # SAME: the pads of the convolution that this one undoes, the odd one at the end.
        sides = [
            transpose_padding(
                *(entering[axis + 1], weight.shape[axis + 1], stride[axis], 1, 0, shape[axis + 1]),
                upper=True,
            )
            for axis in (0, 1)
        ]
        pads = (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
        extra = [sides[0][2], sides[1][2]]
    layer = ConvTranspose2d(
        np.ascontiguousarray(weight.transpose(3, 0, 1, 2)),
        None if bias is None else bias.reshape(-1),
        stride=stride,
        pads=pads,
        output_padding=extra,
    )
    op.finish(op.emit(layer, x), picture=True, activation=op.integer(3, "b"))


def batch_matmul(op: Op) -> None:
    """BATCH_MATMUL, either side turned or not."""
    sides = []
    for index in (0, 1):
        name, rank = op.plain(index), len(op.shape(index))
        if op.integer(index, "B"):
            order: Sequence[int] = (*range(rank - 2), rank - 1, rank - 2)
            name = op.emit(Transpose(order), name, step=f"turned_{index}")
        sides.append(name)
    op.finish(op.emit(MatMul(), *sides), picture=False)


BUILDERS: dict[str, Callable[[Op], None]] = {
    **dict.fromkeys(set(_JOINS) - {"MAXIMUM", "MINIMUM"}, join),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), place_of_extreme),
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), depth_to_space),
    **dict.fromkeys(("FILL", "ZEROS_LIKE"), fill),
    **dict.fromkeys(("FLOOR_DIV", "FLOOR_MOD"), floor_div),
    **dict.fromkeys(("RANK", "SHAPE"), shape_of),
    **dict.fromkeys(_REDUCTIONS, reduce),
    **dict.fromkeys(("SPLIT", "SPLIT_V"), split),
    "ADD_N": add_many,
    "BATCH_MATMUL": batch_matmul,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "BROADCAST_TO": broadcast_to,
    "CAST": cast,
    "CUMSUM": cumulative_sum,
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "L2_NORMALIZATION": l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": local_response,
    "NOT_EQUAL": not_equal,
    "PACK": pack,
    "REVERSE_V2": reverse,
    "RSQRT": inverse_root,
    "SLICE": slice_of,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "SQUARE": square,
    "SQUARED_DIFFERENCE": squared_difference,
    "STRIDED_SLICE": strided_slice,
    "TILE": tile,
    "TRANSPOSE_CONV": transpose_conv,
    "UNPACK": unpack,
}
