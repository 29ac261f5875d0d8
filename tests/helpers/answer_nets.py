"""Small ONNX networks whose answers come in all the ways that exporters write them.

All begin alike: five scores ``z`` of a picture, its channels' means times a matrix. What follows is
the case: operators, outputs, and what a person should be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float64]
SHAPE = (1, 3, 16, 16)
NAMES = ("red", "green", "blue", "dark", "light")
_FLOAT, _TEXT, _INT = TensorProto.FLOAT, TensorProto.STRING, TensorProto.INT64


@dataclass(frozen=True)
class Case:
    """A network.

    Attributes:
        name: of the case.
        lines: operators behind ``z``: ``"p = Softmax(z)"``, attributes in braces.
        right: what of the scores a person should be shown, (classes,).
        kind: how the output should be read, in ``ModelSpec.output``'s words.
        outputs: ``"name shape"`` or ``"name type"`` each; the first is what a runtime lists first.
        labels: names that belong to it; None where it brings its own.
        named: names that should be shown, where they are not ``labels``.
        opset: of its operators.
        width: number of scores.
    """

    name: str
    lines: str
    right: Callable[[Array], Array]
    kind: str
    outputs: tuple[str, ...] = ("y 1,5",)
    labels: tuple[str, ...] | None = NAMES
    named: tuple[str, ...] | None = None
    opset: int = 17
    width: int = 5
    constants: dict[str, object] = field(default_factory=dict)


def softmax(z: Array) -> Array:
    """``exp(z) / sum(exp(z))``."""
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def sigmoid(z: Array) -> Array:
    """``1 / (1 + exp(-z))``."""
    return 1 / (1 + np.exp(-z))


def two(p: Array) -> Array:
    """(against, for) of one probability."""
    return np.array([1 - p[0], p[0]])


def write_net(path: Path, case: Case, *, seed: int = 0) -> Path:
    """Write the network of a case, with weights by chance."""
    rng = np.random.default_rng(seed)
    weights = {
        "w": rng.normal(size=(3, case.width)).astype(np.float32) * 3,
        "b": rng.normal(size=case.width).astype(np.float32),
        **{name: np.asarray(value) for name, value in _CONSTANTS.items()},
        **{name: np.asarray(value) for name, value in case.constants.items()},
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["z"]),
        *(_node(line.strip()) for line in case.lines.split("\n") if line.strip()),
    ]
    read = {name for node in nodes for name in node.input} | {o.split()[0] for o in case.outputs}
    tensors = [
        helper.make_tensor(name, _TEXT, array.shape, [str(t).encode() for t in array.reshape(-1)])
        if array.dtype.kind == "U"
        else numpy_helper.from_array(array, name)
        for name, array in weights.items()
        if name in read
    ]
    graph = helper.make_graph(
        nodes,
        case.name,
        [helper.make_tensor_value_info("x", _FLOAT, SHAPE)],
        [_output(text) for text in case.outputs],
        tensors,
    )
    opsets = [helper.make_opsetid("", case.opset), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def scores_of(path: Path, x: NDArray[np.float32]) -> Array:
    """The scores ``z`` that a written network gives, computed by NumPy."""
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
    return np.asarray(x.astype(np.float64).mean((2, 3))[0] @ weights["w"] + weights["b"])


_CONSTANTS: dict[str, object] = {
    "zero": np.float32(0),
    "tiny": np.float32(1e-7),
    "almost": np.float32(1 - 1e-7),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "sixth": np.float32(1 / 6),
    "hundred": np.float32(100),
    "minus": np.float32(-1),
    "byte": np.float32(1 / 255),
    "none": np.uint8(0),
    "last": np.array([-1], np.int64),
    "first": np.array([1], np.int64),
    "k": np.array([3], np.int64),
    "flat1": np.array([5], np.int64),
    "cube": np.array([1, 1, 5], np.int64),
    "nhwc": np.array([1, 1, 1, 5], np.int64),
    "nchw": np.array([1, 5, 1, 1], np.int64),
    "names": np.array(NAMES),
    "numbers": np.array([10, 20, 30, 40, 50], np.int64),
}


def _node(line: str) -> onnx.NodeProto:
    """``"a, b = Kind(x, y) {axis: 1}"``."""
    left, right = line.split(" = ", 1)
    call, _, rest = right.partition(" {")
    kind, _, inputs = call.partition("(")
    attributes = {}
    for part in filter(None, rest.rstrip("}").split(";")):
        key, value = part.split(":", 1)
        attributes[key.strip()] = _value(value.strip())
    ml = kind in ("ZipMap", "ArrayFeatureExtractor", "Normalizer", "LinearClassifier")
    names = [name.strip() for name in inputs.rstrip(")").split(",")]
    return helper.make_node(
        kind, names, left.split(", "), domain="ai.onnx.ml" if ml else "", **attributes
    )


def _value(text: str) -> object:
    if text.startswith("["):
        return [_value(part.strip()) for part in text.strip("[]").split(",")]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _output(text: str) -> onnx.ValueInfoProto:
    name, _, what = text.partition(" ")
    if what.startswith("map"):
        key = _TEXT if what == "map" else _INT
        value = helper.make_tensor_type_proto(_FLOAT, [])
        kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, value))
        return helper.make_value_info(name, kind)
    if what in ("text", "int"):
        return helper.make_tensor_value_info(name, _TEXT if what == "text" else _INT, [1])
    sizes: Sequence[object] | None = None
    if what != "?":
        sizes = [int(n) if n.isdigit() else n for n in what.split(",") if n]
    return helper.make_tensor_value_info(name, _FLOAT, sizes)


_STRINGS = "classlabels_strings: [red, green, blue, dark, light]"
_LABEL = (
    "p = Softmax(z)\nn = ArgMax(p) {axis: 1; keepdims: 0}\nlabel = ArrayFeatureExtractor(names, n)"
)
_LOGISTIC = "y = Sigmoid(z)"
_HARD = lambda z: np.clip(z / 6 + 0.5, 0, 1)  # noqa: E731

PROBABILITIES = [
    Case("plain", "y = Softmax(z)", softmax, "probabilities"),
    Case("clip", "p = Softmax(z)\ny = Clip(p, tiny, almost)", softmax, "probabilities"),
    Case("relu", "p = Softmax(z)\ny = Relu(p)", softmax, "probabilities"),
    Case("percent", "p = Softmax(z)\ny = Mul(p, hundred)", softmax, "probabilities"),
    Case("per cent by division", "p = Softmax(z)\ny = Div(p, two)", softmax, "probabilities"),
    Case("from the left", "p = Softmax(z)\ny = Mul(hundred, p)", softmax, "probabilities"),
    Case("cast", "p = Softmax(z)\ny = Cast(p) {to: 1}", softmax, "probabilities"),
    Case("identity", "p = Softmax(z)\ny = Identity(p)", softmax, "probabilities"),
    Case("dropout", "p = Softmax(z)\ny = Dropout(p)", softmax, "probabilities"),
    Case(
        "turned",
        "q = Reshape(z, nchw)\np = Softmax(q) {axis: 1}\ny = Transpose(p) {perm: [0, 2, 3, 1]}",
        softmax,
        "probabilities",
        ("y 1,1,1,5",),
    ),
    Case(
        "as a picture of channels last",
        "q = Reshape(z, nhwc)\ny = Softmax(q) {axis: -1}",
        softmax,
        "probabilities",
        ("y 1,1,1,5",),
    ),
    Case(
        "as a picture of channels first",
        "q = Reshape(z, nchw)\ny = Softmax(q) {axis: 1}",
        softmax,
        "probabilities",
        ("y 1,5,1,1",),
    ),
    Case("no batch", "p = Softmax(z)\ny = Reshape(p, flat1)", softmax, "probabilities", ("y 5",)),
    Case("size unknown", "y = Softmax(z)", softmax, "probabilities", ("y ?",)),
    Case("size open", "y = Softmax(z)", softmax, "probabilities", ("y batch,n",)),
    Case("old softmax", "y = Softmax(z) {axis: 1}", softmax, "probabilities", opset=11),
    Case(
        "spelled out",
        "e = Exp(z)\ns = ReduceSum(e, first) {keepdims: 1}\ny = Div(e, s)",
        softmax,
        "probabilities",
    ),
    Case(
        "spelled out safely",
        "m = ReduceMax(z) {axes: [1]; keepdims: 1}\nd = Sub(z, m)\ne = Exp(d)\n"
        "s = ReduceSum(e, first) {keepdims: 1}\ny = Div(e, s)",
        softmax,
        "probabilities",
    ),
    Case(
        "spelled out by a reciprocal",
        "e = Exp(z)\ns = ReduceSum(e, first) {keepdims: 1}\nr = Reciprocal(s)\ny = Mul(e, r)",
        softmax,
        "probabilities",
    ),
    Case(
        "spelled out with a floor",
        "e = Exp(z)\ns = ReduceSum(e, first) {keepdims: 1}\nf = Add(s, tiny)\nc = Identity(e)\n"
        "y = Div(c, f)",
        softmax,
        "probabilities",
    ),
    Case("logarithm undone", "l = LogSoftmax(z)\ny = Exp(l)", softmax, "probabilities"),
    Case(
        "sigmoids over their sum",
        "p = Sigmoid(z)\ns = ReduceSum(p, first) {keepdims: 1}\ny = Div(p, s)",
        lambda z: sigmoid(z) / sigmoid(z).sum(),
        "probabilities",
    ),
    Case(
        "two heads averaged",
        "p = Softmax(z)\nt = Mul(z, two)\nq = Softmax(t)\ns = Add(p, q)\ny = Mul(s, half)",
        lambda z: (softmax(z) + softmax(2 * z)) / 2,
        "probabilities",
    ),
    Case(
        "rounded",
        "p = Softmax(z)\nq = QuantizeLinear(p, byte, none)\ny = DequantizeLinear(q, byte, none)",
        lambda z: np.round(softmax(z) * 255) / 255,
        "probabilities",
    ),
    Case(
        "hot and cold",
        "p = Sigmoid(z)\nq = Sub(one, p)\ny = Concat(q, p) {axis: 1}",
        lambda z: two(sigmoid(z)),
        "probabilities",
        ("y 1,2",),
        labels=("no", "yes"),
        width=1,
    ),
]
LOGITS = [
    Case("plain", "y = Identity(z)", softmax, "logits"),
    Case("scaled", "y = Mul(z, half)", lambda z: softmax(z / 2), "logits"),
    Case("shifted", "y = Add(z, one)", softmax, "logits"),
    Case("relu6 at the end", "y = Clip(z, zero, six)", lambda z: softmax(z.clip(0, 6)), "logits"),
    Case("relu at the end", "y = Relu(z)", lambda z: softmax(z.clip(0)), "logits"),
    Case("size unknown", "y = Identity(z)", softmax, "logits", ("y ?",)),
]
LOGARITHMS = [
    Case("plain", "y = LogSoftmax(z)", softmax, "log-probabilities"),
    Case("of a softmax", "p = Softmax(z)\ny = Log(p)", softmax, "log-probabilities"),
    Case(
        "of a softmax and a little",
        "p = Softmax(z)\nq = Add(p, tiny)\ny = Log(q)",
        softmax,
        "log-probabilities",
    ),
    Case("negative", "l = LogSoftmax(z)\ny = Neg(l)", softmax, "log-probabilities"),
    Case(
        "moved",
        "l = LogSoftmax(z)\ny = Reshape(l, cube)",
        softmax,
        "log-probabilities",
        ("y 1,1,5",),
    ),
    Case(
        "less the logarithm of the sum",
        "s = ReduceLogSumExp(z) {axes: [1]; keepdims: 1}\ny = Sub(z, s)",
        softmax,
        "log-probabilities",
    ),
    Case(
        "spelled out safely",
        "m = ReduceMax(z) {axes: [1]; keepdims: 1}\nd = Sub(z, m)\ne = Exp(d)\n"
        "s = ReduceSum(e, first) {keepdims: 1}\nl = Log(s)\ny = Sub(d, l)",
        softmax,
        "log-probabilities",
    ),
]
INDEPENDENT = [
    Case("plain", _LOGISTIC, sigmoid, "independent"),
    Case("clip", "p = Sigmoid(z)\ny = Clip(p, tiny, almost)", sigmoid, "independent"),
    Case("percent", "p = Sigmoid(z)\ny = Mul(p, hundred)", sigmoid, "independent"),
    Case("moved", "p = Sigmoid(z)\ny = Reshape(p, nhwc)", sigmoid, "independent", ("y 1,1,1,5",)),
    Case("no batch", "p = Sigmoid(z)\ny = Reshape(p, flat1)", sigmoid, "independent", ("y 5",)),
    Case(
        "spelled out",
        "n = Neg(z)\ne = Exp(n)\na = Add(one, e)\ny = Div(one, a)",
        sigmoid,
        "independent",
    ),
    Case(
        "spelled out by a reciprocal",
        "n = Mul(z, minus)\ne = Exp(n)\na = Add(e, one)\ny = Reciprocal(a)",
        sigmoid,
        "independent",
    ),
    Case(
        "spelled out upside down",
        "e = Exp(z)\na = Add(e, one)\ny = Div(e, a)",
        sigmoid,
        "independent",
    ),
    Case(
        "hard",
        "y = HardSigmoid(z) {alpha: 0.16666667; beta: 0.5}",
        _HARD,
        "independent",
    ),
    Case(
        "hard, spelled out",
        "m = Mul(z, sixth)\na = Add(m, half)\ny = Clip(a, zero, one)",
        _HARD,
        "independent",
    ),
    Case(
        "hard, by relu6",
        "a = Add(z, three)\nr = Clip(a, zero, six)\ny = Div(r, six)",
        _HARD,
        "independent",
    ),
    Case("from -1 to 1", "y = Tanh(z)", lambda z: (np.tanh(z) + 1) / 2, "independent"),
    Case(
        "by tanh",
        "h = Mul(z, half)\nt = Tanh(h)\nm = Mul(t, half)\ny = Add(m, half)",
        sigmoid,
        "independent",
    ),
    Case(
        "two heads",
        "p = Sigmoid(z)\nt = Mul(z, two)\nq = Sigmoid(t)\ny = Concat(p, q) {axis: 1}",
        lambda z: np.concatenate([sigmoid(z), sigmoid(2 * z)]),
        "independent",
        ("y 1,10",),
        labels=tuple("abcdefghij"),
    ),
    Case(
        "logarithm",
        "p = Sigmoid(z)\ny = Log(p)",
        sigmoid,
        "log-independent",
    ),
    Case(
        "logarithm by softplus",
        "n = Neg(z)\ns = Softplus(n)\ny = Neg(s)",
        sigmoid,
        "log-independent",
    ),
]


def _binary(
    name: str, lines: str, right: object = None, kind: str = "binary", **more: object
) -> Case:
    given = {"outputs": ("y 1,1",), "labels": ("cat", "dog"), "width": 1, **more}
    return Case(name, lines, right or (lambda z: two(sigmoid(z))), kind, **given)  # type: ignore[arg-type]


BINARY = [
    _binary("plain", _LOGISTIC),
    _binary("one label", _LOGISTIC, labels=("dog",), named=("not dog", "dog")),
    _binary("no label", _LOGISTIC, labels=None, named=("not class 1", "class 1")),
    _binary("no batch", "p = Sigmoid(z)\ny = Reshape(p, last)", outputs=("y 1",)),
    _binary("no axes", "p = Sigmoid(z)\ny = Squeeze(p)", outputs=("y ",)),
    _binary("size unknown", _LOGISTIC, outputs=("y ?",)),
    _binary("size open", _LOGISTIC, outputs=("y batch,1",)),
    _binary("clip", "p = Sigmoid(z)\ny = Clip(p, tiny, almost)"),
    _binary("percent", "p = Sigmoid(z)\ny = Mul(p, hundred)"),
    _binary("against", "p = Sigmoid(z)\ny = Sub(one, p)", lambda z: two(sigmoid(z))),
    _binary("spelled out", "n = Neg(z)\ne = Exp(n)\na = Add(one, e)\ny = Div(one, a)"),
    _binary(
        "hard",
        "m = Mul(z, sixth)\na = Add(m, half)\ny = Clip(a, zero, one)",
        lambda z: two(_HARD(z)),
    ),
    _binary("from -1 to 1", "y = Tanh(z)", lambda z: two((np.tanh(z) + 1) / 2)),
    _binary("score", "y = Identity(z)", kind="binary-logits"),
]
SEVERAL = [
    Case(
        "label, then names with numbers",
        _LABEL + f"\nloss = ZipMap(p) {{{_STRINGS}}}",
        softmax,
        "probabilities",
        ("label text", "loss map"),
        labels=None,
        named=NAMES,
    ),
    Case(
        "names with numbers, then label",
        _LABEL + f"\nloss = ZipMap(p) {{{_STRINGS}}}",
        softmax,
        "probabilities",
        ("loss map", "label text"),
        labels=None,
        named=NAMES,
    ),
    Case(
        "numbers as names",
        "p = Softmax(z)\nlabel = ArgMax(p) {axis: 1; keepdims: 0}\n"
        "loss = ZipMap(p) {classlabels_int64s: [0, 1, 2, 3, 4]}",
        softmax,
        "probabilities",
        ("label int", "loss mapint"),
        labels=None,
        named=tuple("01234"),
    ),
    Case(
        "other numbers as names",
        "p = Softmax(z)\nn = ArgMax(p) {axis: 1; keepdims: 0}\n"
        "label = ArrayFeatureExtractor(numbers, n)\n"
        "loss = ZipMap(p) {classlabels_int64s: [10, 20, 30, 40, 50]}",
        softmax,
        "probabilities",
        ("label int", "loss mapint"),
        labels=None,
        named=("10", "20", "30", "40", "50"),
    ),
    Case(
        "independent classes by name",
        f"p = Sigmoid(z)\nloss = ZipMap(p) {{{_STRINGS}}}",
        sigmoid,
        "independent",
        ("loss map",),
        labels=None,
        named=NAMES,
    ),
    Case(
        "label by name, numbers as they are",
        _LABEL,
        softmax,
        "probabilities",
        ("label text", "p 1,5"),
        labels=None,
        named=NAMES,
    ),
    Case(
        "index first",
        "p = Softmax(z)\nn = ArgMax(p) {axis: 1; keepdims: 0}",
        softmax,
        "probabilities",
        ("n int", "p 1,5"),
    ),
    Case(
        "index alone",
        "n = ArgMax(z) {axis: 1; keepdims: 0}",
        softmax,
        "logits",
        ("n int",),
    ),
    Case(
        "index as a number",
        "p = Softmax(z)\nn = ArgMax(p) {axis: 1; keepdims: 0}\nf = Cast(n) {to: 1}",
        softmax,
        "probabilities",
        ("f 1", "p 1,5"),
    ),
    Case(
        "the best three",
        "p = Softmax(z)\nv, n = TopK(p, k)",
        softmax,
        "probabilities",
        ("v 1,3", "n int"),
    ),
    Case("features first", "y = Softmax(z)", softmax, "probabilities", ("flat 1,3", "y 1,5")),
    Case("features last", "y = Softmax(z)", softmax, "probabilities", ("y 1,5", "flat 1,3")),
    Case("scores first", "y = Softmax(z)", softmax, "probabilities", ("z 1,5", "y 1,5")),
    Case("features and scores", "y = Identity(z)", softmax, "logits", ("flat 1,3", "y 1,5")),
    Case(
        "heads aside, as Inception and GoogLeNet have them",
        "r = Relu(z)\naux1 = MatMul(z, other)\naux2 = MatMul(r, other)\n"
        "t = MatMul(r, same)\nu = Relu(t)\nmain = MatMul(u, same)",
        lambda z: softmax(z.clip(0)),
        "logits",
        ("aux2 1,5", "aux1 1,5", "main 1,5"),
        constants={"other": -np.eye(5, dtype=np.float32), "same": np.eye(5, dtype=np.float32)},
    ),
    Case(
        "heads aside without a name",
        "u = MatMul(z, other)\nr = Relu(z)\nt = MatMul(r, same)\ns = Relu(t)\nv = MatMul(s, same)",
        lambda z: softmax(z.clip(0)),
        "logits",
        ("u 1,5", "v 1,5"),
        constants={"other": -np.eye(5, dtype=np.float32), "same": np.eye(5, dtype=np.float32)},
    ),
    Case(
        "integers of a last rounding",
        "p = Softmax(z)\ny = QuantizeLinear(p, byte, none)",
        softmax,
        "probabilities",
        ("y byte",),
    ),
]
CASES = {
    "probabilities": PROBABILITIES,
    "logits": LOGITS,
    "logarithms": LOGARITHMS,
    "independent": INDEPENDENT,
    "binary": BINARY,
    "several": SEVERAL,
}
