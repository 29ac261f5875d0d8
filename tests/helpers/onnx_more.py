"""More small models of one operator each: places, tokens, rows, branches, functions, optimised.

They are added to ``onnx_small.CASES``.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from helpers.onnx_small import SHAPE, Small, case

H, W = SHAPE[2:]


@case
def scatter_elements():
    s = Small(18)
    places = s.const(np.arange(4 * W).reshape(1, 4, 1, W) % H)
    x = s.add("ScatterElements", "x", places, s.weight(1, 4, 1, W), axis=2)
    return s.model(
        s.add("ScatterElements", x, places, s.weight(1, 4, 1, W), axis=2, reduction="add")
    )


@case
def scatter_at_points():
    """As PyTorch writes ``x[:, 1] = ...`` and masks of windows."""
    s = Small(18)
    points = s.const([[0, 1], [0, -1]])
    x = s.add("ScatterND", "x", points, s.weight(2, H, W))
    x = s.add("ScatterND", x, s.const([[0, 0], [0, 0]]), s.weight(2, H, W), reduction="mul")
    return s.model(s.add("ScatterND", x, points, s.weight(2, H, W), reduction="max"))


@case
def sorted_channels():
    s = Small()
    top, places = s.add("TopK", "x", s.const([3]), outputs=2, axis=1)
    low, _ = s.add("TopK", "x", s.const([1]), outputs=2, axis=1, largest=0)
    places = s.add("Cast", places, to=TensorProto.FLOAT)
    return s.model(s.add("Concat", s.add("Sub", top, places), low, axis=1))


@case
def one_hot_and_hardmax():
    s = Small()
    best = s.add("ArgMax", "x", axis=1, keepdims=0)
    hot = s.add("OneHot", best, s.const([4]), s.const([0.25, 1.0]), axis=1)
    return s.model(s.add("Add", hot, s.add("Hardmax", "x", axis=1)))


@case
def triangles():
    s = Small()
    upper = s.add("Trilu", "x", s.const(1), upper=1)
    eye = s.add(
        "EyeLike",
        s.add(
            "Squeeze",
            s.add("Slice", "x", s.const([0]), s.const([1]), s.const([1])),
            s.const([0, 1]),
        ),
    )
    return s.model(s.add("Add", s.add("Trilu", "x", upper=0), s.add("Add", upper, eye)))


@case
def compressed():
    s = Small()
    kept = s.add("Compress", "x", s.const([False, True, True, True]), axis=1)
    first = s.add("Compress", "x", s.const([True, False, False, False]), axis=1)
    return s.model(s.add("Concat", kept, s.add("Relu", first), axis=1))


@case
def cropped():
    s = Small(18)
    return s.model(s.add("CenterCropPad", "x", s.const([H - 3, W + 3]), axes=[2, 3]))


@case
def spatial_transformer():
    s = Small(20)
    theta = s.add("MatMul", s.add("Flatten", s.add("GlobalAveragePool", "x")), s.weight(4, 6))
    theta = s.add("Reshape", theta, s.const([1, 2, 3]))
    grid = s.add("AffineGrid", theta, s.const([1, 4, 5, 7]))
    near = s.add("GridSample", "x", grid, mode="nearest", padding_mode="border")
    bent = s.add("GridSample", "x", grid, mode="cubic", padding_mode="reflection", align_corners=1)
    flat = s.add("GridSample", "x", grid)
    return s.model(s.add("Sum", near, bent, flat))


@case
def spatial_transformer_old():
    s = Small(16)
    grid = s.add("Tanh", s.add("Conv", "x", s.weight(2, 4, 1, 1)))
    grid = s.add("Transpose", grid, perm=[0, 2, 3, 1])
    return s.model(s.add("GridSample", "x", grid, mode="bilinear", align_corners=1))


@case
def folded_windows():
    s = Small(18)
    x = s.add("Reshape", "x", s.const([1, 4, -1]))
    x = s.add("Gather", x, s.const(np.arange(12).reshape(3, 4)), axis=2)
    x = s.add("Reshape", x, s.const([1, 16, 3]))
    x = s.add("Col2Im", x, s.const([2, 4]), s.const([2, 2]))
    return s.model(s.add("Add", x, s.weight(1, 4, 1, 1)))


@case
def channel_attention_by_rows():
    """A convolution over the channels, as ECA networks have it."""
    s = Small()
    row = s.add("Reshape", s.add("GlobalAveragePool", "x"), s.const([1, 1, 4]))
    row = s.add("Conv", row, s.weight(1, 1, 3), kernel_shape=[3], pads=[1, 1])
    gate = s.add("Sigmoid", s.add("Reshape", row, s.const([1, 4, 1, 1])))
    return s.model(s.add("Mul", "x", gate))


@case
def windows_over_rows():
    s = Small()
    row = s.add("Reshape", "x", s.const([1, 4, -1]))
    row = s.add(
        "Conv", row, s.weight(4, 2, 3), s.weight(4), group=2, auto_pad="SAME_UPPER", strides=[2]
    )
    row = s.add("MaxPool", row, kernel_shape=[3], strides=[2], pads=[1, 0])
    row = s.add("AveragePool", row, kernel_shape=[2], pads=[0, 1])
    row = s.add("ConvTranspose", row, s.weight(4, 4, 3), strides=[2], output_padding=[1])
    row = s.add("BatchNormalization", row, *[s.const([0.5, 1.0, 1.5, 2.0]) for _ in range(4)])
    return s.model(s.add("GlobalMaxPool", row))


@case
def windows_that_keep_to_slices():
    """Convolutions of volumes with a kernel of 1 along an axis, as lambda networks have."""
    s = Small()
    x = s.add("Reshape", "x", s.const([1, 2, 2, H, W]))
    x = s.add("Conv", x, s.weight(3, 2, 1, 3, 3), s.weight(3), pads=[0, 1, 1, 0, 1, 1])
    x = s.add("Transpose", x, perm=[0, 1, 3, 4, 2])
    x = s.add("Conv", x, s.weight(4, 3, 3, 2, 1), strides=[2, 1, 1], pads=[1, 0, 0, 1, 1, 0])
    x = s.add("Conv", x, s.weight(4, 4, 2, 1, 1), dilations=[2, 1, 1])
    return s.model(s.add("ReduceMean", x, axes=[4], keepdims=0))


@case
def powers_of_windows():
    s = Small(18)
    x = s.add("LpPool", "x", kernel_shape=[2, 3], strides=[1, 2], pads=[1, 0, 0, 1], p=2)
    return s.model(
        s.add("Concat", s.add("GlobalLpPool", x, p=2), s.add("GlobalLpPool", x, p=3), axis=2)
    )


@case
def standardised_weights():
    """BatchNormalization in training mode of a constant, as weights are standardised."""
    s = Small()
    ones, zeros = s.const([1.0] * 6), s.const([0.0] * 6)
    flat = s.add("Reshape", s.weight(6, 4, 3, 3), s.const([1, 6, -1]))
    flat = s.add("BatchNormalization", flat, ones, zeros, zeros, ones, training_mode=1, outputs=3)[
        0
    ]
    weight = s.add("Reshape", flat, s.const([6, 4, 3, 3]))
    x = s.add("Conv", "x", weight)
    return s.model(s.add("Conv", x, s.weight(4, 6, 1, 1)))


@case
def mean_variance():
    s = Small()
    return s.model(s.add("MeanVarianceNormalization", s.add("Abs", "x"), axes=[1, 3]))


@case
def shrunk():
    s = Small()
    return s.model(s.add("Shrink", "x", lambd=0.3, bias=0.1))


@case
def bits():
    s = Small(18)
    whole = s.add("Cast", s.add("Mul", "x", s.const(20.0)), to=TensorProto.INT32)
    x = s.add("BitwiseAnd", whole, s.const(13, "int32"))
    x = s.add("BitwiseXor", s.add("BitwiseOr", x, s.const(2, "int32")), s.const(5, "int32"))
    x = s.add("BitwiseNot", x)
    byte = s.add("Cast", s.add("Clip", "x", s.const(0.0), s.const(9.0)), to=TensorProto.UINT8)
    byte = s.add("BitShift", byte, s.const(2, "uint8"), direction="LEFT")
    both = [s.add("Cast", one, to=TensorProto.FLOAT) for one in (x, byte)]
    return s.model(s.add("Mul", s.add("Add", *both), s.const(0.05)))


def _tokens(s):
    """The picture as tokens (1, L, 4)."""
    return s.add("Transpose", s.add("Reshape", "x", s.const([1, 4, -1])), perm=[0, 2, 1])


def _picture(s, tokens):
    return s.add("Reshape", s.add("Transpose", tokens, perm=[0, 2, 1]), s.const([1, 4, H, W]))


@case
def attention_as_one():
    s = Small(23)
    x = _tokens(s)
    q, k, v = (s.add("MatMul", x, s.weight(4, n)) for n in (8, 4, 4))
    mask = s.const(np.random.default_rng(1).random((H * W, H * W)) < 0.8)
    y = s.add("Attention", q, k, v, mask, q_num_heads=4, kv_num_heads=2, softcap=2.0)
    return s.model(_picture(s, s.add("MatMul", y, s.weight(8, 4))))


@case
def attention_in_order():
    s = Small(23)
    x = s.add("Reshape", _tokens(s), s.const([1, 2, -1, 2]))
    y = s.add("Attention", x, s.add("Tanh", x), x, is_causal=1, scale=0.5)
    return s.model(s.add("Reshape", y, s.const([1, 4, H, W])))


@case
def a_branch_that_is_known():
    """As exporters write squeeze and interpolate."""
    s = Small()
    size = s.add("Gather", s.add("Shape", "x"), s.const(1))
    known = s.add("Equal", size, s.const(4))
    graphs = []
    for word in ("Relu", "Abs"):
        w = numpy_helper.from_array(np.full((4, 1, 1), 0.5, np.float32), f"{word}_w")
        nodes = [
            helper.make_node(word, ["x"], [f"{word}_a"]),
            helper.make_node("Mul", [f"{word}_a", f"{word}_w"], [f"{word}_y"]),
        ]
        output = helper.make_tensor_value_info(f"{word}_y", TensorProto.FLOAT, None)
        graphs.append(helper.make_graph(nodes, word, [], [output], [w]))
    return s.model(s.add("If", known, then_branch=graphs[0], else_branch=graphs[1]))


@case
def a_loop_that_is_known():
    s = Small()
    scale = s.weight(4, 1, 1)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Cast", ["number"], ["turn"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["state", scale], ["scaled"]),
            helper.make_node("Add", ["scaled", "turn"], ["next"]),
            helper.make_node("ReduceMean", ["next"], ["row"], axes=[0], keepdims=0),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("row", TensorProto.FLOAT, None),
        ],
    )
    count = s.add("Size", s.const([7, 7, 7]))
    last, rows = s.add("Loop", count, s.const(True), "x", outputs=2, body=body)
    return s.model(s.add("Add", last, s.add("ReduceMean", rows, axes=[0])))


@case
def functions_of_its_own():
    """Functions that call functions, with attributes, as exporters write modules."""
    s = Small()
    x = s.add("Block", "x", s.weight(4, 4, 1, 1), domain="lab", alpha=0.3)
    model = s.model(s.add("Block", x, s.weight(4, 4, 1, 1), domain="lab"))
    opsets = [helper.make_opsetid("", s.opset), helper.make_opsetid("lab", 1)]
    leaky = helper.make_node("LeakyRelu", ["c"], ["y"])
    leaky.attribute.add(name="alpha", ref_attr_name="alpha", type=1)
    inner = helper.make_function("lab", "Gate", ["c"], ["y"], [leaky], opsets, ["alpha"])
    call = helper.make_node("Gate", ["c"], ["y"], domain="lab")
    call.attribute.add(name="alpha", ref_attr_name="alpha", type=1)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), call]
    outer = helper.make_function(
        "lab", "Block", ["x", "w"], ["y"], nodes, opsets, [], [helper.make_attribute("alpha", 0.1)]
    )
    model.functions.extend([inner, outer])
    model.opset_import.append(helper.make_opsetid("lab", 1))
    return model


ORT = "com.microsoft"


@case
def optimised_gates():
    s = Small()
    x = _tokens(s)
    x = s.add("BiasGelu", x, s.weight(4), domain=ORT)
    x = s.add("FastGelu", x, s.weight(4), domain=ORT)
    x = s.add("QuickGelu", s.add("Gelu", x, domain=ORT), domain=ORT, alpha=1.5)
    return s.model(_picture(s, x))


@case
def optimised_norms():
    s = Small()
    x = _tokens(s)
    y, _, _, total = s.add(
        "SkipLayerNormalization", x, s.weight(1, H * W, 4), s.weight(4), s.weight(4), s.weight(4),
        domain=ORT, outputs=4, epsilon=1e-5,
    )  # fmt: skip
    z = s.add("SkipSimplifiedLayerNormalization", y, total, s.weight(4), domain=ORT, outputs=1)
    z = s.add("SimplifiedLayerNormalization", z, s.weight(4), axis=-1, epsilon=1e-5)
    return s.model(_picture(s, z))


@case
def optimised_products():
    s = Small()
    x = s.add(
        "FusedConv",
        "x",
        s.weight(4, 4, 3, 3),
        s.weight(4),
        "x",
        domain=ORT,
        pads=[1] * 4,
        activation="Relu",
    )
    x = s.add(
        "FusedConv",
        x,
        s.weight(4, 4, 1, 1),
        domain=ORT,
        activation="LeakyRelu",
        activation_params=[0.2],
    )
    x = s.add("FusedMatMul", x, x, domain=ORT, transA=1, alpha=0.25)
    pooled = s.add("Flatten", s.add("GlobalAveragePool", x))
    y = s.add("FusedGemm", pooled, s.weight(4, 4), s.weight(4), domain=ORT, activation="Tanh")
    return s.model(s.add("Reshape", y, s.const([1, 4, 1, 1])))


@case
def optimised_attention():
    s = Small()
    x = _tokens(s)
    x = s.add("Attention", x, s.weight(4, 24), s.weight(24), domain=ORT, num_heads=2)
    q, k, v = (s.add("MatMul", x, s.weight(8, 4)) for _ in range(3))
    y = s.add("MultiHeadAttention", q, k, v, s.weight(12), domain=ORT, num_heads=2)
    return s.model(_picture(s, y))


@case
def four_bit_products():
    """As ``model_q4.onnx`` of a transformer has them."""
    s = Small()
    rows, columns, block = 40, 4, 16
    packed = s.random.integers(0, 256, (columns, 3, block // 2)).astype(np.uint8)
    scale, zeros = s.random.uniform(0.05, 0.2, columns * 3), s.random.integers(0, 256, columns * 2)
    x = s.add("MatMul", _tokens(s), s.weight(4, rows))
    settings = {"N": columns, "K": rows, "bits": 4, "block_size": block, "domain": ORT}
    y = s.add(
        "MatMulNBits", x, s.const(packed), s.const(scale), s.const(zeros, "uint8"), **settings
    )
    z = s.add("MatMulNBits", x, s.const(packed), s.const(scale), **settings)
    return s.model(_picture(s, s.add("Add", y, s.add("Mul", z, s.const(0.1)))))


@case
def weights_by_blocks():
    s = Small(21)
    stored, scale = s.const(s.random.integers(-8, 8, (8, 4)), "int8"), s.const(np.full((2, 4), 0.1))
    weight = s.add("DequantizeLinear", stored, scale, axis=0, block_size=4)
    x = s.add("MatMul", _tokens(s), s.weight(4, 8))
    return s.model(_picture(s, s.add("MatMul", x, weight)))
