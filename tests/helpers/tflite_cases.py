"""TensorFlow Lite operators, one small file each; LiteRT's answers are in tflite_answers.npz.

``python tests/helpers/tflite_cases.py`` records the answers anew (pip install ai-edge-litert).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.tflite_files import File

ANSWERS = Path(__file__).with_name("tflite_answers.npz")
SHAPE = (1, 9, 7, 4)


@dataclass
class Case:
    """A file, what it is fed, and what a step of its answer is worth (0 for floats).

    ``optimized``: LiteRT's reference kernel leaves a channel out, its own users get the other.
    """

    data: bytes
    picture: np.ndarray
    step: float = 0.0
    in_scale: tuple[float, int] = (0.0, 0)
    optimized: bool = False


def _random(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def _one(kind, constants=(), options=None, out=None, shape=SHAPE, first=True):
    """An operator of one picture and constants."""
    file = File()
    x, y = file.tensor("x", shape), file.tensor("y", out or shape)
    others = [
        file.tensor(f"c{n}", np.shape(a), np.asarray(a).dtype.name, a)
        for n, a in enumerate(constants)
    ]
    file.operator(kind, [x, *others] if first else [*others, x], [y], options)
    return Case(file.bytes([x], [y]), _random(7, *shape))


def _conv(stride=(1, 1), padding=0, dilation=(1, 1), activation=0, kernel=(3, 3)):
    constants = [_random(1, 5, *kernel, 4), _random(2, 5)]
    options = {
        0: ("b", padding),
        1: ("i", stride[1]),
        2: ("i", stride[0]),
        3: ("b", activation),
        4: ("i", dilation[1]),
        5: ("i", dilation[0]),
    }
    return _one("CONV_2D", constants, options, _grid(kernel, stride, padding, dilation, 5))


def _depthwise(stride=(1, 1), padding=0, multiplier=1, activation=0):
    options = {
        0: ("b", padding),
        1: ("i", stride[1]),
        2: ("i", stride[0]),
        3: ("i", multiplier),
        4: ("b", activation),
        5: ("i", 1),
        6: ("i", 1),
    }
    outputs = 4 * multiplier
    out = _grid((3, 3), stride, padding, (1, 1), outputs)
    constants = [_random(1, 1, 3, 3, outputs), _random(2, outputs)]
    return _one("DEPTHWISE_CONV_2D", constants, options, out)


def _pool(kind, padding, kernel=(3, 2), stride=(2, 2), activation=0):
    options = {
        0: ("b", padding),
        1: ("i", stride[1]),
        2: ("i", stride[0]),
        3: ("i", kernel[1]),
        4: ("i", kernel[0]),
        5: ("b", activation),
    }
    return _one(kind, [], options, _grid(kernel, stride, padding, (1, 1), 4))


def _grid(kernel, stride, padding, dilation, channels):
    sizes = []
    for axis in (0, 1):
        size = SHAPE[axis + 1]
        extent = dilation[axis] * (kernel[axis] - 1) + 1
        room = size - extent if padding else size - 1
        sizes.append(room // stride[axis] + 1)
    return (1, *sizes, channels)


def _dense(shape=SHAPE, keep=False, activation=0):
    inputs = shape[-1] if keep else int(np.prod(shape[1:]))
    out = (*shape[:-1], 6) if keep else (1, 6)
    options = {0: ("b", activation), 1: ("b", 0), 2: ("B", int(keep))}
    constants = [_random(1, 6, inputs), _random(2, 6)]
    return _one("FULLY_CONNECTED", constants, options, out, shape)


def _concat(axis):
    file = File()
    x = file.tensor("x", SHAPE)
    relu = file.tensor("r", SHAPE)
    out = list(SHAPE)
    out[axis] *= 2
    y = file.tensor("y", out)
    file.operator("RELU", [x], [relu])
    file.operator("CONCATENATION", [x, relu], [y], {0: ("i", axis), 1: ("b", 0)})
    return Case(file.bytes([x], [y]), _random(7, *SHAPE))


def _reshape_then(last):
    """A reshape of the whole picture, then what a classifier does with it."""
    file = File()
    x, flat = file.tensor("x", SHAPE), file.tensor("flat", (1, 252))
    shape = file.tensor("shape", (2,), "int32", [1, 252])
    file.operator("RESHAPE", [x, shape], [flat])
    y = file.tensor("y", (1, 6) if last == "FULLY_CONNECTED" else (1, 252))
    if last == "FULLY_CONNECTED":
        w = file.tensor("w", (6, 252), data=_random(1, 6, 252))
        file.operator(last, [flat, w, -1], [y], {0: ("b", 0), 1: ("b", 0), 2: ("B", 0)})
    else:
        file.operator(last, [flat], [y], {0: ("f", 1.0)})
    return Case(file.bytes([x], [y]), _random(7, *SHAPE))


def _resize(kind, corners, half, size=(5, 13)):
    first = 2 if kind == "RESIZE_BILINEAR" else 0
    options = {first: ("B", corners), first + 1: ("B", half)}
    return _one(kind, [np.asarray(size, np.int32)], options, (1, *size, 4))


def quantized(dtype, per_channel, channels=4):
    """Convolution, depthwise convolution, residual, mean and a dense layer, in 8 bits."""
    rng = np.random.default_rng(11)
    file = File()
    low = -128 if dtype == "int8" else 0
    scales = {"x": 0.0078125, "a": 0.03, "b": 0.02, "s": 0.04, "m": 0.03, "y": 0.2}
    zeros = {"x": low + 128, "a": low, "b": low + 100, "s": low + 90, "m": low + 90, "y": low + 117}
    shapes = {"x": (1, 8, 8, channels), "m": (1, 4), "y": (1, 6)}
    t = {
        name: file.tensor(
            name, shapes.get(name, (1, 8, 8, 4)), dtype, scale=scales[name], zero=zeros[name]
        )
        for name in scales
    }

    def weight(name, shape, axis, entering, outputs):
        many = outputs if per_channel else 1
        scale = rng.uniform(0.004, 0.02, many).astype(np.float32)
        zero = np.full(many, 0 if dtype == "int8" else 121)
        data = rng.integers(low, low + 256, shape)
        # The kernels of signed weights leave the lowest value out.
        data = np.maximum(data, -127) if dtype == "int8" else data
        w = file.tensor(name, shape, dtype, data, scale=scale, zero=zero, axis=axis)
        bias = file.tensor(
            f"{name}_bias",
            (outputs,),
            "int32",
            rng.integers(-500, 500, outputs),
            scale=np.float32(scales[entering]) * scale,
            zero=np.zeros(many),
        )
        return [w, bias]

    conv = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 3), 4: ("i", 1), 5: ("i", 1)}
    file.operator("CONV_2D", [t["x"], *weight("w", (4, 3, 3, channels), 0, "x", 4)], [t["a"]], conv)
    deep = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("i", 1), 4: ("b", 0)}
    deep |= {5: ("i", 1), 6: ("i", 1)}
    file.operator(
        "DEPTHWISE_CONV_2D", [t["a"], *weight("d", (1, 3, 3, 4), 3, "a", 4)], [t["b"]], deep
    )
    file.operator("ADD", [t["a"], t["b"]], [t["s"]], {0: ("b", 0)})
    axes = file.tensor("axes", (2,), "int32", [1, 2])
    file.operator("MEAN", [t["s"], axes], [t["m"]], {0: ("B", 0)})
    # A dense layer has one scale for all outputs.
    per_channel = False
    dense = {0: ("b", 0), 1: ("b", 0), 2: ("B", 0)}
    file.operator("FULLY_CONNECTED", [t["m"], *weight("f", (6, 4), 0, "m", 6)], [t["y"]], dense)
    picture = rng.integers(0, 256, (1, 8, 8, channels)) + low
    return Case(
        file.bytes([t["x"]], [t["y"]]),
        picture.astype(dtype),
        scales["y"],
        (scales["x"], zeros["x"]),
    )


def quantized_reshaped(dtype):
    """A picture's mean, put into a row without being rounded again, and a dense layer."""
    file = File()
    low = -128 if dtype == "int8" else 0
    rng = np.random.default_rng(2)

    def value(name, shape, scale, zero):
        return file.tensor(name, shape, dtype, scale=scale, zero=low + zero)

    x = value("x", (1, 8, 8, 4), 0.0078125, 128)
    p, r = (value(n, s, 0.0078125, 128) for n, s in (("p", (1, 1, 1, 4)), ("r", (1, 4))))
    y = value("y", (1, 6), 0.02, 117)
    pool = {0: ("b", 1), 1: ("i", 1), 2: ("i", 1), 3: ("i", 8), 4: ("i", 8), 5: ("b", 0)}
    file.operator("AVERAGE_POOL_2D", [x], [p], pool)
    shape = file.tensor("shape", (2,), "int32", [1, 4])
    file.operator("RESHAPE", [p, shape], [r])
    data = np.maximum(rng.integers(low, low + 256, (6, 4)), low + 1)
    zero = 0 if dtype == "int8" else 121
    w = file.tensor("w", (6, 4), dtype, data, scale=np.float32([0.01]), zero=[zero], axis=0)
    file.operator("FULLY_CONNECTED", [r, w, -1], [y], {0: ("b", 0), 1: ("b", 0), 2: ("B", 0)})
    picture = rng.integers(0, 256, (1, 8, 8, 4)) + low
    return Case(file.bytes([x], [y]), picture.astype(dtype), 0.02, (0.0078125, low + 128))


def _half_precision():
    """Weights of 16 bits that a DEQUANTIZE makes float32."""
    file = File()
    x, y = file.tensor("x", SHAPE), file.tensor("y", (1, 9, 7, 5))
    w16 = file.tensor("w16", (5, 1, 1, 4), "float16", _random(1, 5, 1, 1, 4))
    w = file.tensor("w", (5, 1, 1, 4))
    b = file.tensor("b", (5,), data=_random(2, 5))
    file.operator("DEQUANTIZE", [w16], [w])
    options = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 1), 4: ("i", 1), 5: ("i", 1)}
    file.operator("CONV_2D", [x, w, b], [y], options)
    return Case(file.bytes([x], [y]), _random(7, *SHAPE))


def _chain(*steps, out=SHAPE, answer="float32"):
    """Operators one after the other; each names what it reads: "x", an earlier result, an array."""
    file = File()
    known = {"x": file.tensor("x", SHAPE)}
    for number, (name, kind, inputs, options, shape, dtype) in enumerate(steps):
        numbers = []
        for one in inputs:
            if isinstance(one, str):
                numbers.append(known[one])
                continue
            array = np.asarray(one)
            numbers.append(file.tensor(f"k{number}", array.shape, array.dtype.name, array))
        names = name.split()
        shapes = [shape] * len(names) if isinstance(shape, tuple) else shape
        results = [file.tensor(n, s, dtype) for n, s in zip(names, shapes, strict=True)]
        known |= dict(zip(names, results, strict=True))
        file.operator(kind, numbers, results, options)
    return Case(file.bytes([known["x"]], [known["y"]]), _random(7, *SHAPE))


def _step(name, kind, *inputs, options=None, shape=SHAPE, dtype="float32"):
    return name, kind, inputs, options, shape, dtype


def _compared(kind):
    """A comparison, chosen by."""
    return _chain(
        _step("r", "ROUND", "x"),
        _step("t", kind, "r", np.zeros(SHAPE, np.float32), dtype="bool"),
        _step("n", "NEG", "x"),
        _step("y", "SELECT", "t", "x", "n"),
    )


def _truth(kind):
    return _chain(
        _step("a", "GREATER", "x", np.float32(-0.5), dtype="bool"),
        _step("b", "LESS", "x", np.float32(0.5), dtype="bool"),
        _step("c", kind, "a", "b", dtype="bool"),
        _step("d", "LOGICAL_NOT", "c", dtype="bool"),
        _step("y", "SELECT_V2", "d", "x", np.float32(2)),
    )


def _positive(kind):
    return _chain(_step("a", "ABS", "x"), _step("y", kind, "a"))


def _strided(begin, end, step, shape, **masks):
    fields = ("first", "last", "ellipsis", "new", "shrink")
    options = {number: ("i", masks.get(name, 0)) for number, name in enumerate(fields)}
    bounds = [np.array(values, INT) for values in (begin, end, step)]
    return _one("STRIDED_SLICE", bounds, options, shape)


def _parts(kind, inputs, options, shapes):
    names = " ".join(f"p{n}" for n in range(len(shapes)))
    axis = {0: ("i", 3), 1: ("b", 0)}
    steps = [_step(names, kind, *inputs, options=options, shape=shapes)]
    turned = names.split()[::-1]
    if kind == "UNPACK":
        packed = (*shapes[0][:1], len(shapes), *shapes[0][1:])
        pack = {0: ("i", len(shapes)), 1: ("i", 1)}
        return _chain(*steps, _step("y", "PACK", *turned, options=pack, shape=packed))
    return _chain(*steps, _step("y", "CONCATENATION", *turned, options=axis))


def _dilated():
    """A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, as old converters write it."""
    block, pads = np.array([2, 2], INT), np.array([[2, 3], [2, 3]], INT)
    crops = np.array([[0, 1], [0, 1]], INT)
    conv = {0: ("b", 1), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0), 4: ("i", 1), 5: ("i", 1)}
    return _chain(
        _step("b", "SPACE_TO_BATCH_ND", "x", block, pads, options={}, shape=(4, 7, 6, 4)),
        _step(
            "c",
            "CONV_2D",
            "b",
            _random(1, 4, 3, 3, 4),
            _random(2, 4),
            options=conv,
            shape=(4, 5, 4, 4),
        ),
        _step("y", "BATCH_TO_SPACE_ND", "c", block, crops, options={}),
    )


def _upsampled(padding, shape, kernel=(3, 3)):
    options = {0: ("b", padding), 1: ("i", 2), 2: ("i", 2), 3: ("b", 0)}
    weight = _random(1, 5, *kernel, 4)
    return _chain(
        _step(
            "y", "TRANSPOSE_CONV", np.array(shape, INT), weight, "x", options=options, shape=shape
        )
    )


def _scaled_rows():
    """Rows times a matrix, turned, by numbers that are computed from a shape."""
    return _chain(
        _step("s", "SHAPE", "x", options={0: ("b", 2)}, shape=(4,), dtype="int32"),
        _step(
            "w",
            "STRIDED_SLICE",
            "s",
            np.array([1], INT),
            np.array([2], INT),
            np.array([1], INT),
            options=dict.fromkeys(range(4), ("i", 0)) | {4: ("i", 1)},
            shape=(),
            dtype="int32",
        ),
        _step("f", "CAST", "w", options={}, shape=()),
        _step(
            "m",
            "BATCH_MATMUL",
            "x",
            _random(4, 1, 9, 5, 4),
            options={0: ("B", 0), 1: ("B", 1)},
            shape=(1, 9, 7, 5),
        ),
        _step("y", "DIV", "m", "f", options={0: ("b", 0)}, shape=(1, 9, 7, 5)),
    )


INT = np.int32
ONE = np.float32(0.25)
CASES = {
    "conv": lambda: _conv(),
    "conv_same_stride": lambda: _conv((2, 3), activation=3),
    "conv_valid_relu": lambda: _conv((2, 2), padding=1, activation=1),
    "conv_dilated": lambda: _conv(dilation=(2, 2), activation=2),
    "conv_1x1": lambda: _conv(kernel=(1, 1)),
    "conv_half_precision": _half_precision,
    "depthwise": lambda: _depthwise((2, 2), activation=3),
    "depthwise_valid": lambda: _depthwise(padding=1),
    "depthwise_multiplied": lambda: _depthwise((1, 1), multiplier=2),
    "average_pool_same": lambda: _pool("AVERAGE_POOL_2D", 0, activation=1),
    "average_pool_valid": lambda: _pool("AVERAGE_POOL_2D", 1),
    "average_pool_all": lambda: _pool("AVERAGE_POOL_2D", 1, SHAPE[1:3], (1, 1)),
    "max_pool_same": lambda: _pool("MAX_POOL_2D", 0),
    "max_pool_valid": lambda: _pool("MAX_POOL_2D", 1, activation=3),
    "dense_of_picture": lambda: _dense(),
    "dense_of_row": lambda: _dense((1, 12), activation=1),
    "dense_keeping_axes": lambda: _dense(keep=True),
    "dense_of_reshaped": lambda: _reshape_then("FULLY_CONNECTED"),
    "softmax_of_reshaped": lambda: _reshape_then("SOFTMAX"),
    "softmax_of_picture": lambda: _one("SOFTMAX", [], {0: ("f", 0.5)}),
    "log_softmax": lambda: _one("LOG_SOFTMAX", shape=(1, 12)),
    "add_channels": lambda: _one("ADD", [_random(3, 4)], {0: ("b", 1)}),
    "add_picture": lambda: _one("ADD", [_random(3, *SHAPE)], {0: ("b", 0)}),
    "sub_from_constant": lambda: _one("SUB", [_random(3, 1, 1, 1, 4)], {0: ("b", 0)}, first=False),
    "mul_row_of_pixels": lambda: _one("MUL", [_random(3, 7, 1)], {0: ("b", 3)}),
    "div_number": lambda: _one("DIV", [ONE], {0: ("b", 0)}),
    "mul_of_rows": lambda: _one("MUL", [_random(3, 12)], {0: ("b", 0)}, shape=(1, 12)),
    "concat_channels": lambda: _concat(3),
    "concat_height": lambda: _concat(1),
    "mean_keeping": lambda: _one("MEAN", [np.array([1, 2], INT)], {0: ("B", 1)}, (1, 1, 1, 4)),
    "mean_dropping": lambda: _one("MEAN", [np.array([2, 1], INT)], {0: ("B", 0)}, (1, 4)),
    "mean_of_channels": lambda: _one("MEAN", [np.array([3], INT)], {0: ("B", 0)}, (1, 9, 7)),
    "mean_of_height": lambda: _one("MEAN", [np.array([-3], INT)], {0: ("B", 0)}, (1, 7, 4)),
    "reshape": lambda: _one("RESHAPE", [np.array([1, 7, 36], INT)], {}, (1, 7, 36)),
    "reshape_open": lambda: _one("RESHAPE", [np.array([1, -1, 4], INT)], {}, (1, 63, 4)),
    "squeeze": lambda: _one("SQUEEZE", [], {0: np.array([0], INT)}, (9, 7, 4)),
    "expand": lambda: _one("EXPAND_DIMS", [np.array(1, INT)], {}, (1, 1, 12), (1, 12)),
    "transpose": lambda: _one("TRANSPOSE", [np.array([0, 3, 1, 2], INT)], {}, (1, 4, 9, 7)),
    "pad": lambda: _one(
        "PAD", [np.array([[0, 0], [1, 2], [0, 3], [2, 0]], INT)], {}, (1, 12, 10, 6)
    ),
    "pad_value": lambda: _one(
        "PADV2", [np.array([[0, 0], [1, 2], [0, 3], [0, 0]], INT), ONE], {}, (1, 12, 10, 4)
    ),
    "pad_mirrored": lambda: _one(
        "MIRROR_PAD",
        [np.array([[0, 0], [1, 2], [3, 0], [0, 0]], INT)],
        {0: ("b", 0)},
        (1, 12, 10, 4),
    ),
    "prelu": lambda: _one("PRELU", [_random(3, 1, 1, 4)]),
    "relu": lambda: _one("RELU"),
    "relu6": lambda: _one("RELU6"),
    "relu_n1_to_1": lambda: _one("RELU_N1_TO_1"),
    "logistic": lambda: _one("LOGISTIC"),
    "tanh": lambda: _one("TANH"),
    "elu": lambda: _one("ELU"),
    "leaky_relu": lambda: _one("LEAKY_RELU", [], {0: ("f", 0.125)}),
    "hard_swish": lambda: _one("HARD_SWISH", [], {}),
    "gelu": lambda: _one("GELU", [], {0: ("B", 0)}),
    "gelu_tanh": lambda: _one("GELU", [], {0: ("B", 1)}),
    "maximum": lambda: _one("MAXIMUM", [ONE], {}),
    "minimum": lambda: _one("MINIMUM", [ONE], {}),
    "bilinear": lambda: _resize("RESIZE_BILINEAR", 0, 0),
    "bilinear_corners": lambda: _resize("RESIZE_BILINEAR", 1, 0),
    "bilinear_half": lambda: _resize("RESIZE_BILINEAR", 0, 1),
    "nearest": lambda: _resize("RESIZE_NEAREST_NEIGHBOR", 0, 0),
    "nearest_corners": lambda: _resize("RESIZE_NEAREST_NEIGHBOR", 1, 0),
    "nearest_half": lambda: _resize("RESIZE_NEAREST_NEIGHBOR", 0, 1),
    **{kind.lower(): lambda kind=kind: _one(kind) for kind in ("NEG", "EXP", "ABS", "SIN", "COS")},
    **{k.lower(): lambda k=k: _one(k) for k in ("FLOOR", "CEIL", "ROUND", "SIGN", "SQUARE")},
    **{kind.lower(): lambda kind=kind: _positive(kind) for kind in ("SQRT", "RSQRT", "LOG")},
    **{
        kind.lower(): lambda kind=kind: _compared(kind)
        for kind in ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL")
    },
    **{kind.lower(): lambda kind=kind: _truth(kind) for kind in ("LOGICAL_AND", "LOGICAL_OR")},
    "maximum_of_two": lambda: _one("MAXIMUM", [_random(3, *SHAPE)], {}),
    "minimum_of_channels": lambda: _one("MINIMUM", [_random(3, 4)], {}),
    "squared_difference": lambda: _one("SQUARED_DIFFERENCE", [_random(3, 4)]),
    "floor_div": lambda: _one("FLOOR_DIV", [_random(3, *SHAPE)]),
    "floor_mod": lambda: _one("FLOOR_MOD", [_random(3, *SHAPE)]),
    "power": lambda: _chain(_step("a", "ABS", "x"), _step("y", "POW", "a", np.float32(1.5))),
    "add_n": lambda: _chain(_step("a", "ABS", "x"), _step("y", "ADD_N", "x", "a", "x")),
    "sum_keeping": lambda: _one("SUM", [np.array([1, 2], INT)], {0: ("B", 1)}, (1, 1, 1, 4)),
    "max_dropping": lambda: _one("REDUCE_MAX", [np.array([3], INT)], {0: ("B", 0)}, (1, 9, 7)),
    "min_dropping": lambda: _one("REDUCE_MIN", [np.array([-2], INT)], {0: ("B", 0)}, (1, 9, 4)),
    "product": lambda: _one("REDUCE_PROD", [np.array([1], INT)], {0: ("B", 0)}, (1, 7, 4)),
    "place_of_largest": lambda: _chain(
        _step(
            "a",
            "ARG_MAX",
            "x",
            np.array(3, INT),
            options={0: ("b", 2)},
            shape=(1, 9, 7),
            dtype="int32",
        ),
        _step("y", "CAST", "a", options={}, shape=(1, 9, 7)),
    ),
    "place_of_smallest": lambda: _chain(
        _step(
            "a",
            "ARG_MIN",
            "x",
            np.array(1, INT),
            options={0: ("b", 2)},
            shape=(1, 7, 4),
            dtype="int32",
        ),
        _step("y", "CAST", "a", options={}, shape=(1, 7, 4)),
    ),
    "running_sum": lambda: _one("CUMSUM", [np.array(2, INT)], {0: ("B", 1), 1: ("B", 1)}),
    "l2_normalization": lambda: _one("L2_NORMALIZATION", [], {0: ("b", 0)}),
    "local_response": lambda: replace(
        _one(
            "LOCAL_RESPONSE_NORMALIZATION",
            [],
            {0: ("i", 1), 1: ("f", 1.0), 2: ("f", 0.5), 3: ("f", 0.75)},
        ),
        optimized=True,
    ),
    "slice": lambda: _one(
        "SLICE", [np.array([0, 2, 1, 1], INT), np.array([1, 5, -1, 2], INT)], None, (1, 5, 6, 2)
    ),
    "strided": lambda: _strided([0, 1, 0, -1], [1, 9, 7, -5], [1, 3, 2, -1], (1, 3, 4, 4)),
    "strided_masked": lambda: _strided(
        [0, 3, 5, 0], [0, 5, 0, 2], [1, 1, -2, 1], (1, 5, 3, 2), first=2, last=1 | 4
    ),
    "strided_shrunk": lambda: _strided(
        [0, -2, 0, 1], [1, 0, 7, 2], [1, 1, 1, 1], (1, 7), shrink=2 | 8
    ),
    "split": lambda: _parts("SPLIT", [np.array(3, INT), "x"], {0: ("i", 2)}, [(1, 9, 7, 2)] * 2),
    "split_unequal": lambda: _parts(
        "SPLIT_V",
        ["x", np.array([1, -1], INT), np.array(3, INT)],
        {0: ("i", 2)},
        [(1, 9, 7, 1), (1, 9, 7, 3)],
    ),
    "unpack_and_pack": lambda: _parts("UNPACK", ["x"], {0: ("i", 4), 1: ("i", 3)}, [(1, 9, 7)] * 4),
    "gather": lambda: _one("GATHER", [np.array([3, 0, 1], INT)], {0: ("i", 3)}, (1, 9, 7, 3)),
    "gather_nd": lambda: _one("GATHER_ND", [np.array([[0, 2], [0, 8]], INT)], None, (2, 7, 4)),
    "tile": lambda: _one("TILE", [np.array([1, 2, 1, 3], INT)], None, (1, 18, 7, 12)),
    "broadcast_to": lambda: _one(
        "BROADCAST_TO", [np.array([3, 2, 12], INT)], None, (3, 2, 12), (1, 12)
    ),
    "reverse": lambda: _one("REVERSE_V2", [np.array([1], INT)]),
    "fill": lambda: _chain(
        _step("z", "ZEROS_LIKE", "x"),
        _step("f", "FILL", np.array([9, 7, 4], INT), np.float32(0.5), shape=(9, 7, 4)),
        _step("r", "RANK", "x", shape=(), dtype="int32"),
        _step("c", "CAST", "r", options={}, shape=()),
        _step("a", "ADD", "x", "z", options={0: ("b", 0)}),
        _step("b", "MUL", "a", "f", options={0: ("b", 0)}),
        _step("y", "MUL", "b", "c", options={0: ("b", 0)}),
    ),
    "depth_to_space": lambda: _one("DEPTH_TO_SPACE", [], {0: ("i", 2)}, (1, 18, 14, 1)),
    "space_to_depth": lambda: _one(
        "SPACE_TO_DEPTH", [], {0: ("i", 2)}, (1, 2, 3, 16), (1, 4, 6, 4)
    ),
    "dilated_by_batches": _dilated,
    "transpose_conv_same": lambda: _upsampled(0, (1, 18, 14, 5)),
    "transpose_conv_same_odd": lambda: _upsampled(0, (1, 17, 13, 5), (2, 3)),
    "transpose_conv_valid": lambda: _upsampled(1, (1, 19, 15, 5)),
    "scaled_rows": _scaled_rows,
    "quantized_uint8": lambda: quantized("uint8", per_channel=False),
    "quantized_uint8_reshaped": lambda: quantized_reshaped("uint8"),
    "quantized_int8_reshaped": lambda: quantized_reshaped("int8"),
    "quantized_int8_per_channel": lambda: quantized("int8", per_channel=True),
}


def lite_rt(case):
    """LiteRT's answer, as reals."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        if case.optimized:
            raise ValueError
        reference = OpResolverType.BUILTIN_REF
        runtime = Interpreter(model_content=case.data, experimental_op_resolver_type=reference)
    except ValueError:  # The reference kernels lack a few operators.
        runtime = Interpreter(model_content=case.data)
    runtime.allocate_tensors()
    runtime.set_tensor(runtime.get_input_details()[0]["index"], case.picture)
    runtime.invoke()
    details = runtime.get_output_details()[0]
    answer = runtime.get_tensor(details["index"])
    if not case.step:
        return answer
    scale, zero = details["quantization"]
    return ((answer.astype(np.int32) - zero) * np.float32(scale)).astype(np.float32)


if __name__ == "__main__":
    np.savez_compressed(ANSWERS, **{name: lite_rt(make()) for name, make in CASES.items()})
