"""Core ML layers, written field by field: each against NumPy."""

import math

import numpy as np
import pytest

from helpers.compare import naive_conv2d, naive_conv_transpose2d, naive_pool2d
from helpers.coreml_fill import conv, pool, settings
from helpers.coreml_protos import SHAPE, add, network, single
from twinlens.engine.formats.coreml.importer import load_coreml
from twinlens.engine.formats.coreml.layers import BUILDERS

RNG = np.random.default_rng(4)
X = RNG.uniform(-1, 1, (1, *SHAPE))
WEIGHT = RNG.uniform(-1, 1, (3, 4, 3, 3)).astype(np.float32)
DEEP = RNG.uniform(-1, 1, (4, 1, 3, 3)).astype(np.float32)
BACK = RNG.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.uniform(-1, 1, 3).astype(np.float32)
FOUR = RNG.uniform(0.5, 1, 4).astype(np.float32)
DENSE = RNG.uniform(-1, 1, (3, 120)).astype(np.float32)
C = FOUR[:, None, None]
ERF = np.vectorize(math.erf)


def _edges(field, *edges):
    def fill(s):
        for start, end in edges:
            getattr(s, field).amounts.add(start=start, end=end)

    return fill


def _both(*fills):
    def fill(s):
        for one in fills:
            one(s)

    return fill


def _convolved(weight=WEIGHT, bias=None, stride=(1, 1), groups=1, pads=(0, 0, 0, 0)):
    return naive_conv2d(X, weight, bias, stride, (1, 1), groups, pads)


def _pooled(join, pads, grid, include=False):
    return naive_pool2d(X, join, (3, 2), (2, 2), (1, 1), pads, grid=grid, count_include_pad=include)


def _mean(samples):
    return sum(samples) / len(samples)


def _window_mean(samples):
    """Padding counts as zeros, whatever a window covers of it."""
    return sum(samples) / 6


def _softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def _enlarged(x, factor):
    return x.repeat(factor, 2).repeat(factor, 3)


def _lrn(x):
    squares = np.pad(x * x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    total = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    return x / (2 + 0.5 / 3 * total) ** 0.75


# kind, what is set, expected answer. Names say what differs.
CASES = {
    "convolution": (conv(WEIGHT, 3, bias=BIAS), _convolved(bias=BIAS)),
    "convolution, border": (
        conv(WEIGHT, 3, border=((1, 2), (0, 3)), stride=(2, 1)),
        _convolved(stride=(2, 1), pads=(1, 0, 2, 3)),
    ),
    "convolution, same": (
        conv(WEIGHT, 3, same=0, stride=(2, 2)),
        _convolved(stride=(2, 2), pads=(0, 1, 1, 1)),
    ),
    "convolution, same, top heavy": (
        conv(WEIGHT, 3, same=1, stride=(2, 2)),
        _convolved(stride=(2, 2), pads=(1, 1, 0, 1)),
    ),
    "convolution, depthwise": (conv(DEEP, 4, 4), _convolved(DEEP, groups=4)),
    "convolution, back": (
        conv(BACK, 3, back=True, stride=(2, 2), bias=BIAS, border=((1, 0), (0, 1))),
        naive_conv_transpose2d(X, BACK, BIAS, (2, 2), (1, 1), 1, (1, 0, 0, 1), (0, 0)),
    ),
    "convolution, back to a size": (
        conv(BACK, 3, back=True, stride=(2, 2), same=0, size=(12, 10)),
        naive_conv_transpose2d(X, BACK, None, (2, 2), (1, 1), 1, (0, 0, 1, 1), (0, 0)),
    ),
    "pooling, max": (pool(0), _pooled(max, (0, 0, 0, 0), (2, 2))),
    "pooling, max, complete": (
        pool(0, complete=(1, 0)),
        _pooled(lambda s: max(s), (1, 0, 1, 0), (4, 3)),
    ),
    "pooling, mean, border": (
        pool(1, border=((1, 1), (1, 0))),
        _pooled(_window_mean, (1, 1, 1, 0), (3, 3)),
    ),
    "pooling, mean, border left out": (
        pool(1, border=((1, 1), (1, 0)), exclude=True),
        _pooled(_mean, (1, 1, 1, 0), (3, 3)),
    ),
    "pooling, mean, same": (
        pool(1, same=0, exclude=True),
        _pooled(_mean, (0, 0, 1, 1), (3, 3)),
    ),
    "pooling, mean of all": (pool(1, whole=True), X.mean((2, 3), keepdims=True)),
    "pooling, max of all": (pool(0, whole=True), X.max((2, 3), keepdims=True)),
    "innerProduct": (
        settings(inputChannels=120, outputChannels=3, weights=DENSE, hasBias=True, bias=BIAS),
        X.reshape(1, -1) @ DENSE.T + BIAS,
    ),
    "batchnorm": (
        settings(channels=4, epsilon=0.5, gamma=FOUR, beta=-FOUR, mean=FOUR / 2, variance=FOUR),
        (X - C / 2) / np.sqrt(C + 0.5) * C - C,
    ),
    "batchnorm, of each picture": (
        settings(
            channels=4, epsilon=0.5, gamma=FOUR, beta=-FOUR, instance=True, computeMeanVar=True
        ),
        (X - X.mean((2, 3), keepdims=True)) / np.sqrt(X.var((2, 3), keepdims=True) + 0.5) * C - C,
    ),
    "lrn": (settings(size=3, alpha=0.5, beta=0.75, k=2.0), _lrn(X)),
    "activation, linear": (settings(linear__alpha=2.0, linear__beta=0.5), 2 * X + 0.5),
    "activation, ReLU": (settings(ReLU=None), np.maximum(X, 0)),
    "activation, leaky": (settings(leakyReLU__alpha=0.25), np.where(X < 0, X / 4, X)),
    "activation, threshold": (settings(thresholdedReLU__alpha=0.5), np.where(X > 0.5, X, 0)),
    "activation, slopes": (settings(PReLU__alpha=FOUR), np.where(X < 0, X * C, X)),
    "activation, one slope": (settings(PReLU__alpha=FOUR[:1]), np.where(X < 0, X * FOUR[0], X)),
    "activation, tanh": (settings(tanh=None), np.tanh(X)),
    "activation, scaled tanh": (
        settings(scaledTanh__alpha=2.0, scaledTanh__beta=0.5),
        2 * np.tanh(X / 2),
    ),
    "activation, sigmoid": (settings(sigmoid=None), 1 / (1 + np.exp(-X))),
    "activation, hard": (
        settings(sigmoidHard__alpha=0.5, sigmoidHard__beta=0.25),
        np.clip(X / 2 + 0.25, 0, 1),
    ),
    "activation, ELU": (settings(ELU__alpha=0.5), np.where(X > 0, X, np.expm1(X) / 2)),
    "activation, softsign": (settings(softsign=None), X / (1 + np.abs(X))),
    "activation, softplus": (settings(softplus=None), np.log1p(np.exp(X))),
    "activation, softplus with slopes": (
        settings(parametricSoftplus__alpha=FOUR, parametricSoftplus__beta=FOUR),
        C * np.log1p(np.exp(C * X)),
    ),
    "add": (settings(alpha=0.5), X + 0.5),
    "multiply": (settings(alpha=0.5), X * 0.5),
    "average": (None, X),
    "addBroadcastable": (None, X),
    "multiplyBroadcastable": (None, X),
    "concat": (None, X),
    "concatND": (settings(axis=-1), X),
    "copy": (None, X),
    "softmax": (None, _softmax(X, 1)),
    "softmaxND": (settings(axis=-1), _softmax(X, 3)),
    "flatten": (None, X.reshape(1, -1)),
    "flatten, channels last": (settings(mode=1), X.transpose(0, 2, 3, 1).reshape(1, -1)),
    "flattenTo2D": (settings(axis=2), X.reshape(4, 30)),
    "reshape": (settings(shape=[2, 3, 20]), X.reshape(1, 2, 3, 20)),
    "reshape, with a sequence": (settings(shape=[1, 5, 6, 4]), X.reshape(1, 5, 6, 4)),
    "reshape, channels last": (
        settings(shape=[2, 3, 20], mode=1),
        X.transpose(0, 2, 3, 1).reshape(1, 3, 20, 2).transpose(0, 3, 1, 2),
    ),
    "reshapeStatic": (settings(shape=[1, -1]), X.reshape(1, -1)),
    "rankPreservingReshape": (settings(shape=[0, 2, 12, -1]), X.reshape(1, 2, 12, 5)),
    "permute": (settings(axes=[0, 3, 1, 2]), X.transpose(0, 3, 1, 2)),
    "transpose": (settings(axes=[0, 2, 3, 1]), X.transpose(0, 2, 3, 1)),
    "squeeze": (settings(axes=[0]), X[0]),
    "squeeze, all": (settings(all=True), X[0]),
    "expandDims": (settings(axes=[0]), X[None]),
    "padding": (
        _both(settings(constant__alpha=0.5), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=0.5),
    ),
    "padding, mirror": (
        _both(settings(reflection=None), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), mode="reflect"),
    ),
    "padding, edge": (
        _both(settings(replication=None), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), mode="edge"),
    ),
    "constantPad": (
        settings(value=0.25, amounts=[0, 0, 0, 0, 1, 2, 0, 1]),
        np.pad(X, ((0, 0), (0, 0), (1, 2), (0, 1)), constant_values=0.25),
    ),
    "crop": (_edges("amounts", (1, 2), (0, 1)), X[:, :, 1:4, :4]),
    "upsample": (settings(factors=[2, 2]), _enlarged(X, 2)),
    "resizeBilinear": (settings(size=[6, 5]), X),
    "unary, threshold": (settings(type=7, alpha=-0.25, scale=1.0), np.maximum(X, -0.25)),
    "unary, power": (settings(type=3, alpha=2.0, scale=2.0, shift=1.0), (2 * X + 1) ** 2),
    "unary, affine": (settings(type=3, alpha=1.0, scale=2.0, shift=1.0), 2 * X + 1),
    "unary, inverse": (settings(type=2, scale=1.0, shift=3.0, epsilon=0.5), 1 / (X + 3.5)),
    "scale": (
        settings(shapeScale=[4], scale=FOUR, hasBias=True, shapeBias=[1], bias=FOUR[:1]),
        X * C + FOUR[0],
    ),
    "bias": (settings(shape=[4, 1, 1], bias=FOUR), X + C),
    "reduce, mean": (settings(mode=1, axis=1), X.mean((2, 3), keepdims=True)),
    "reduce, sum": (settings(mode=0, axis=2), X.sum(1, keepdims=True)),
    "reduce, max": (settings(mode=7, axis=1), X.max((2, 3), keepdims=True)),
    "reduceMean": (settings(axes=[-1], keep=True), X.mean(3, keepdims=True)),
    "batchedMatmul": (
        settings(rows=5, columns=24, weights=DENSE[0], hasBias=True, bias=DENSE[1, :24]),
        X @ DENSE[0].reshape(5, 24) + DENSE[1, :24],
    ),
    "gelu": (None, X * (1 + ERF(X / np.sqrt(2))) / 2),
    "gelu, by tanh": (
        settings(mode=1),
        X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))) / 2,
    ),
    "gelu, by sigmoid": (settings(mode=2), X / (1 + np.exp(-1.702 * X))),
    "clip": (settings(low=-0.5, high=0.25), np.clip(X, -0.5, 0.25)),
    "clampedReLU": (settings(alpha=0.5, beta=0.25), np.minimum(np.where(X < 0, X / 2, X), 0.25)),
    "tanh": (None, np.tanh(X)),
}
# Layers that need a second input have tests of their own.
TWO_INPUTS = {"divideBroadcastable", "subtractBroadcastable", "max", "min"}
TWO_INPUTS |= {"maxBroadcastable", "minBroadcastable", "loadConstant", "loadConstantND"}
ELSEWHERE = {"erf"}  # tested with the layers


def _load(data, tmp_path):
    path = tmp_path / "net.mlmodel"
    path.write_bytes(data)
    return load_coreml(path)


def _answer(graph, x=X):
    (name,) = graph.inputs
    (answer,) = graph.run({name: x}).values()
    return answer


@pytest.mark.parametrize("name", CASES)
def test_layers(name, tmp_path):
    fill, expected = CASES[name]
    kind = name.split(",")[0]
    exact = kind in ("flattenTo2D", "squeeze", "expandDims", "reduceMean")
    graph = _load(single(kind, fill, exact=exact), tmp_path)
    answer = _answer(graph)
    assert answer.shape == expected.shape
    np.testing.assert_allclose(answer, expected, atol=1e-6, rtol=1e-6)


def test_every_layer_has_a_case():
    assert set(BUILDERS) == {name.split(",")[0] for name in CASES} | TWO_INPUTS | ELSEWHERE


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("subtractBroadcastable", X - C),
        ("divideBroadcastable", X / C),
        ("addBroadcastable", X + C),
        ("multiply", X * C),
        ("concat", None),
        ("average", (X + C) / 2),
    ],
)
def test_layers_of_two_inputs(kind, expected, tmp_path):
    model, net = network()
    shape = [4, 1, 1] if kind != "concat" else list(SHAPE)
    values = C if kind != "concat" else np.ones(SHAPE)
    load = settings(shape=shape, data=values)
    other = add(net, "loadConstant", fill=load)
    add(net, kind, "picture", other, output="answer")
    answer = _answer(_load(model.SerializeToString(), tmp_path))
    if expected is None:
        expected = np.concatenate([X, np.ones_like(X)], 1)
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "join"), [("max", np.maximum), ("minBroadcastable", np.minimum)])
def test_bounds_by_a_number(kind, join, tmp_path):
    model, net = network()
    bound = add(net, "loadConstantND", fill=settings(shape=[1], data=FOUR[:1]))
    add(net, kind, "picture", bound, output="answer")
    answer = _answer(_load(model.SerializeToString(), tmp_path))
    np.testing.assert_allclose(answer, join(X, FOUR[0]), atol=1e-6)
