"""Small classifiers with one operator out of the common, as exporters write them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 4, 8, 6)


class Small:
    """A picture of ``SHAPE``, the operators of one case, then a mean and a dense layer."""

    def __init__(self, opset=17):
        self.nodes, self.weights = [], []
        self.opset = opset
        self.random = np.random.default_rng(5)

    def const(self, values, dtype=None):
        """An initialiser; floats are float32 and whole numbers int64 unless a type is given."""
        array = np.asarray(values)
        kind = dtype or ("float32" if array.dtype.kind == "f" else None)
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(kind or array.dtype), name))
        return name

    def weight(self, *shape):
        return self.const(self.random.normal(0, 0.3, shape))

    def add(self, operator, *inputs, outputs=1, domain="", **attributes):
        """An operator; the name of its output, or of all."""
        names = [f"v{len(self.nodes)}_{n}" for n in range(outputs)]
        node = helper.make_node(operator, list(inputs), names, domain=domain, **attributes)
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def model(self, output, name="y", classify=True, elem=TensorProto.FLOAT):
        """The finished model; pictures are averaged and classified into 5 first."""
        if classify:
            output = self.add("GlobalAveragePool", output)
            output = self.add("Flatten", output)
            columns = self.const(self.random.normal(0, 1, (self._channels, 5)))
            output = self.add("Softmax", self.add("MatMul", output, columns))
        self.nodes.append(helper.make_node("Identity", [output], [name]))
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("x", elem, SHAPE)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
            self.weights,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    _channels = 4


CASES = {}


def case(build):
    """Put a case into the table."""
    CASES[build.__name__] = build
    return build


@case
def layer_norm():
    s = Small()
    x = s.add("Transpose", "x", perm=[0, 2, 3, 1])
    x = s.add("LayerNormalization", x, s.weight(4), s.weight(4), epsilon=1e-6)
    return s.model(s.add("Transpose", x, perm=[0, 3, 1, 2]))


@case
def layer_norm_spelled_out():
    s = Small()
    mean = s.add("ReduceMean", "x", axes=[1])
    centred = s.add("Sub", "x", mean)
    square = s.add("Pow", centred, s.const(2.0))
    deep = s.add("Sqrt", s.add("Add", s.add("ReduceMean", square, axes=[1]), s.const(1e-6)))
    return s.model(s.add("Mul", s.add("Div", centred, deep), s.weight(4, 1, 1)))


@case
def split_in_two():
    s = Small()
    one, two = s.add("Split", "x", s.const([1, 3]), outputs=2, axis=1)
    return s.model(s.add("Concat", two, s.add("Relu", one), axis=1))


@case
def split_old():
    s = Small(11)
    one, two = s.add("Split", "x", outputs=2, axis=-3)
    return s.model(s.add("Concat", two, s.add("Relu", one), axis=1))


@case
def split_by_number():
    s = Small(18)
    parts = s.add("Split", "x", outputs=3, axis=2, num_outputs=3)
    return s.model(s.add("Concat", *parts[::-1], axis=2))


@case
def channel_shuffle_by_slices():
    s = Small()
    a = s.add("Slice", "x", s.const([0]), s.const([2]), s.const([1]))
    b = s.add("Slice", "x", s.const([2]), s.const([2**63 - 1]), s.const([1]))
    return s.model(s.add("Concat", b, a, axis=1))


@case
def slices_with_steps():
    s = Small()
    down = s.add("Slice", "x", s.const([0]), s.const([99]), s.const([2]), s.const([2]))
    back = s.add("Slice", down, s.const([-1]), s.const([-99]), s.const([3]), s.const([-1]))
    return s.model(back)


@case
def slice_old():
    s = Small(9)
    return s.model(s.add("Slice", "x", starts=[1, -4], ends=[7, -1], axes=[2, 3]))


@case
def focus_of_four_slices():
    s = Small()
    parts = []
    for row in (0, 1):
        for column in (0, 1):
            x = s.add("Slice", "x", s.const([row]), s.const([8]), s.const([2]), s.const([2]))
            x = s.add("Slice", x, s.const([column]), s.const([6]), s.const([3]), s.const([2]))
            parts.append(x)
    s._channels = 16
    return s.model(s.add("Concat", *parts, axis=1))


@case
def sum_of_three():
    s = Small()
    return s.model(s.add("Sum", "x", s.add("Relu", "x"), s.weight(4, 1, 1)))


@case
def mean_of_three():
    s = Small()
    return s.model(s.add("Mean", "x", s.add("Relu", "x"), s.weight(4, 1, 1)))


@case
def extremes_of_many():
    s = Small()
    top = s.add("Max", "x", s.weight(4, 1, 1), s.const(-0.5))
    return s.model(s.add("Min", top, s.add("Sigmoid", "x"), s.const(0.75)))


@case
def extreme_of_one():
    s = Small()
    return s.model(s.add("Max", s.add("Sum", "x")))


@case
def cast_float_to_float():
    s = Small()
    return s.model(s.add("Cast", s.add("Cast", "x", to=TensorProto.DOUBLE), to=TensorProto.FLOAT))


@case
def cast_to_whole_numbers():
    s = Small()
    whole = s.add("Cast", s.add("Mul", "x", s.const(10.0)), to=TensorProto.INT32)
    return s.model(s.add("Cast", whole, to=TensorProto.FLOAT))


@case
def bytes_in():
    s = Small()
    x = s.add("Cast", "x", to=TensorProto.FLOAT)
    return s.model(s.add("Div", x, s.const(255.0)), elem=TensorProto.UINT8)


@case
def dropout_with_mask():
    s = Small()
    y, _ = s.add("Dropout", "x", outputs=2)
    return s.model(y)


@case
def dropout_whose_mask_is_read():
    s = Small()
    y, mask = s.add("Dropout", "x", outputs=2)
    return s.model(s.add("Mul", y, s.add("Cast", mask, to=TensorProto.FLOAT)))


@case
def nodes_out_of_order():
    s = Small()
    model = s.model(s.add("Relu", s.add("Conv", "x", s.weight(4, 4, 3, 3))))
    turned = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(turned)
    return model


@case
def attention():
    s = Small()
    s._channels = 8
    rows = s.add("Transpose", s.add("Reshape", "x", s.const([1, 8, 24])), perm=[0, 2, 1])
    packed = s.add("Add", s.add("MatMul", rows, s.weight(8, 24)), s.weight(24))
    heads = s.add("Reshape", packed, s.const([1, 24, 3, 2, 4]))
    heads = s.add("Transpose", heads, perm=[2, 0, 3, 1, 4])
    q, k, v = (s.add("Gather", heads, s.const(n), axis=0) for n in range(3))
    scores = s.add(
        "MatMul", s.add("Mul", q, s.const(0.5)), s.add("Transpose", k, perm=[0, 1, 3, 2])
    )
    mixed = s.add("MatMul", s.add("Softmax", scores, axis=-1), v)
    x = s.add("Reshape", s.add("Transpose", mixed, perm=[0, 2, 1, 3]), s.const([1, 24, 8]))
    x = s.add("Transpose", x, perm=[0, 2, 1])
    return s.model(s.add("Reshape", x, s.const([1, 8, 4, 6])))


@case
def class_token():
    """As vision transformers add it: expanded from a shape that is computed."""
    s = Small()
    rows = s.add("Transpose", s.add("Reshape", "x", s.const([1, 4, 48])), perm=[0, 2, 1])
    size = s.add("Gather", s.add("Shape", rows), s.const(0), axis=0)
    shape = s.add("Concat", s.add("Unsqueeze", size, s.const([0])), s.const([-1, -1]), axis=0)
    same = s.add("Equal", shape, s.const([-1, -1, -1]))
    shape = s.add("Where", same, s.const([1, 1, 1]), shape)
    token = s.add("Expand", s.weight(1, 1, 4), shape)
    x = s.add("Concat", token, rows, axis=1)
    first = s.add("Gather", x, s.const(0), axis=1)
    return s.model(
        s.add("Softmax", s.add("Add", first, s.add("ReduceMean", x, axes=[1], keepdims=0))),
        classify=False,
    )


@case
def einsum():
    s = Small()
    return s.model(s.add("Einsum", "x", s.weight(4, 4), equation="bchw,cd->bdhw"))


@case
def expand_and_tile():
    s = Small()
    wide = s.add("Expand", s.add("ReduceMax", "x", axes=[2, 3]), s.const([1, 4, 8, 6]))
    return s.model(s.add("Tile", s.add("Sub", "x", wide), s.const([1, 1, 2, 1])))


@case
def where_and_comparisons():
    s = Small()
    low = s.add("Less", "x", s.const(-0.2))
    high = s.add("Not", s.add("LessOrEqual", "x", s.const(0.3)))
    middle = s.add("Not", s.add("Or", low, high))
    chosen = s.add(
        "Where", s.add("And", middle, s.add("Greater", "x", s.const(0.0))), "x", s.const(2.0)
    )
    same = s.add("Cast", s.add("Equal", chosen, s.const(2.0)), to=TensorProto.FLOAT)
    more = s.add("Where", s.add("GreaterOrEqual", "x", s.const(0.1)), chosen, same)
    return s.model(more)


@case
def functions():
    s = Small()
    x = s.add("Exp", s.add("Neg", s.add("Abs", "x")))
    x = s.add("Log", s.add("Add", s.add("Sqrt", x), s.const(1.0)))
    x = s.add("Pow", s.add("Reciprocal", s.add("Add", x, s.const(0.5))), s.const(1.7))
    return s.model(
        s.add("Add", s.add("Sin", x), s.add("Add", s.add("Floor", "x"), s.add("Sign", "x")))
    )


@case
def softmax_spelled_out():
    s = Small()
    x = s.add("Flatten", s.add("GlobalAveragePool", "x"))
    e = s.add("Exp", s.add("Sub", x, s.add("ReduceMax", x, axes=[1])))
    return s.model(s.add("Div", e, s.add("ReduceSum", e, s.const([1]))), classify=False)


@case
def reductions():
    s = Small(13)
    x = s.add(
        "Add", s.add("ReduceL2", "x", axes=[2], keepdims=1), s.add("ReduceSum", "x", s.const([-1]))
    )
    x = s.add("Add", x, s.add("ReduceMin", "x", axes=[1]))
    x = s.add("Add", x, s.add("ReduceLogSumExp", "x", axes=[1, 3]))
    return s.model(s.add("Mul", x, s.add("ReduceProd", "x", axes=[2, 3])))


@case
def normalised_rows():
    s = Small()
    return s.model(s.add("LpNormalization", "x", axis=1, p=2))


@case
def group_norm():
    s = Small(21)
    return s.model(s.add("GroupNormalization", "x", s.weight(4), s.weight(4), num_groups=2))


@case
def group_norm_spelled_out():
    s = Small()
    x = s.add("Reshape", "x", s.const([0, 2, -1]))
    x = s.add("InstanceNormalization", x, s.const([1.0, 1.0]), s.const([0.0, 0.0]))
    x = s.add("Reshape", x, s.add("Shape", "x"))
    return s.model(s.add("Add", s.add("Mul", x, s.weight(4, 1, 1)), s.weight(4, 1, 1)))


@case
def padded_channels():
    s = Small()
    s._channels = 7
    return s.model(s.add("Pad", "x", s.const([0, 1, 0, 2, 0, 2, 1, 0]), s.const(0.25)))


@case
def pixel_shuffle():
    s = Small()
    x = s.add("DepthToSpace", "x", blocksize=2, mode="CRD")
    return s.model(s.add("SpaceToDepth", x, blocksize=2))


@case
def argmax_and_gather():
    s = Small()
    places = s.add("ArgMax", "x", axis=1, keepdims=0)
    return s.model(
        s.add("Transpose", s.add("Gather", s.weight(6, 4), places, axis=0), perm=[0, 3, 1, 2])
    )


def _qlinear(s, x, scale=0.02, zero=110, dtype="uint8"):
    return s.add("QuantizeLinear", x, s.const(scale), s.const(zero, dtype))


def _real(s, x, scale, zero, dtype="uint8"):
    return s.add("DequantizeLinear", x, s.const(scale), s.const(zero, dtype))


def _quantised(weights, zeros):
    s = Small()
    random = s.random
    scale = random.uniform(0.005, 0.02, 4)
    data = random.integers(0, 256, (4, 4, 3, 3)) - (128 if weights == "int8" else 0)
    x = _qlinear(s, "x")
    bias = s.const(random.integers(-900, 900, 4), "int32")
    x = s.add(
        "QLinearConv",
        x,
        s.const(0.02),
        s.const(110, "uint8"),
        s.const(data, weights),
        s.const(scale),
        s.const(np.full(4, zeros), weights),
        s.const(0.1),
        s.const(100, "uint8"),
        bias,
        pads=[1, 1, 1, 1],
        strides=[2, 1],
    )
    one = [s.const(0.1), s.const(100, "uint8")]
    y = s.add(
        "QLinearSigmoid", x, *one, s.const(1 / 256), s.const(0, "uint8"), domain="com.microsoft"
    )
    half = [s.const(1 / 256), s.const(0, "uint8")]
    x = s.add(
        "QLinearMul", x, *one, y, *half, s.const(0.1), s.const(90, "uint8"), domain="com.microsoft"
    )
    two = [s.const(0.1), s.const(90, "uint8")]
    x = s.add(
        "QLinearAdd", x, *two, y, *half, s.const(0.12), s.const(95, "uint8"), domain="com.microsoft"
    )
    three = [s.const(0.12), s.const(95, "uint8")]
    x = s.add("QLinearLeakyRelu", x, *three, *three, alpha=0.1, domain="com.microsoft")
    x = s.add("QLinearConcat", *three, x, *three, y, *half, axis=1, domain="com.microsoft")
    x = s.add("MaxPool", x, kernel_shape=[2, 2])
    x = s.add(
        "QLinearAveragePool",
        x,
        *three,
        *three,
        kernel_shape=[2, 2],
        pads=[1, 1, 0, 0],
        domain="com.microsoft",
    )
    x = s.add(
        "QLinearGlobalAveragePool",
        x,
        *three,
        s.const(0.05),
        s.const(128, "uint8"),
        domain="com.microsoft",
    )
    return s, s.add("Flatten", x)


@case
def operators_of_integers():
    s, x = _quantised("int8", 0)
    last = [s.const(0.05), s.const(128, "uint8")]
    w = s.const(s.random.integers(-127, 128, (5, 8)), "int8")
    x = s.add(
        "QGemm",
        x,
        *last,
        w,
        s.const(0.01),
        s.const(0, "int8"),
        s.const(s.random.integers(-90, 90, 5), "int32"),
        s.const(0.04),
        s.const(120, "uint8"),
        transB=1,
        domain="com.microsoft",
    )
    return s.model(s.add("Softmax", _real(s, x, 0.04, 120)), classify=False)


@case
def operators_of_unsigned_integers():
    s, x = _quantised("uint8", 121)
    last = [s.const(0.05), s.const(128, "uint8")]
    w = s.const(s.random.integers(0, 256, (8, 5)), "uint8")
    x = s.add(
        "QLinearMatMul",
        x,
        *last,
        w,
        s.const(0.01),
        s.const(125, "uint8"),
        s.const(0.04),
        s.const(120, "uint8"),
    )
    return s.model(s.add("Softmax", _real(s, x, 0.04, 120)), classify=False)


@case
def dynamic_integers():
    s = Small()
    q, scale, zero = s.add("DynamicQuantizeLinear", "x", outputs=3)
    w = s.const(s.random.integers(-127, 128, (4, 4, 3, 3)), "int8")
    y = s.add("ConvInteger", q, w, zero, s.const(0, "int8"), pads=[1, 1, 1, 1])
    y = s.add("Mul", s.add("Cast", y, to=TensorProto.FLOAT), s.add("Mul", scale, s.const(0.002)))
    y = s.add(
        "Flatten", s.add("GlobalAveragePool", s.add("Relu", s.add("Add", y, s.weight(1, 4, 1, 1))))
    )
    q, scale, zero = s.add("DynamicQuantizeLinear", y, outputs=3)
    w = s.const(s.random.integers(0, 256, (4, 5)), "uint8")
    y = s.add("MatMulInteger", q, w, zero, s.const(126, "uint8"))
    y = s.add("Mul", s.add("Cast", y, to=TensorProto.FLOAT), s.add("Mul", scale, s.const(0.02)))
    return s.model(s.add("Softmax", s.add("Add", y, s.weight(5))), classify=False)


def picture(model):
    """What a case is fed, in its own type."""
    kind = model.graph.input[0].type.tensor_type.elem_type
    random = np.random.default_rng(3)
    if kind == TensorProto.UINT8:
        return random.integers(0, 256, SHAPE).astype(np.uint8)
    return random.uniform(-1, 1, SHAPE).astype(np.float32)
