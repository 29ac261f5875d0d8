"""Core ML files, written field by field: every layer against NumPy, and every refusal."""

import numpy as np
import pytest

from helpers.compare import naive_conv2d, naive_conv_transpose2d, naive_pool2d
from helpers.coreml_protos import (
    SHAPE,
    add,
    blob,
    network,
    package,
    packed,
    program,
    single,
)
from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats import Format, recognize
from twinlens.engine.formats.coreml_import import load_coreml
from twinlens.engine.formats.coreml_layers import BUILDERS
from twinlens.engine.formats.coreml_schema import message
from twinlens.engine.formats.coreml_weights import unpack
from twinlens.engine.modelfile import inspect, spec_of
from twinlens.engine.protocol import EngineOptions
from twinlens.engine.vision import VisionEngine

RNG = np.random.default_rng(4)
X = RNG.uniform(-1, 1, (1, *SHAPE))
WEIGHT = RNG.uniform(-1, 1, (3, 4, 3, 3)).astype(np.float32)
DEEP = RNG.uniform(-1, 1, (4, 1, 3, 3)).astype(np.float32)
BACK = RNG.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.uniform(-1, 1, 3).astype(np.float32)
FOUR = RNG.uniform(0.5, 1, 4).astype(np.float32)
DENSE = RNG.uniform(-1, 1, (3, 120)).astype(np.float32)
C = FOUR[:, None, None]


def _conv(weight, outputs, groups=1, **more):
    def fill(s):
        s.outputChannels, s.kernelChannels, s.groups = outputs, weight.shape[1], groups
        s.kernel.extend(weight.shape[2:])
        s.stride.extend(more.get("stride", (1, 1)))
        s.dilation.extend((1, 1))
        s.weights.floats = packed(weight)
        if more.get("bias") is not None:
            s.hasBias = True
            s.bias.floats = packed(more["bias"])
        if "same" in more:
            s.same.asymmetry = more["same"]
        for start, end in more.get("border", ()):
            s.valid.padding.amounts.add(start=start, end=end)
        if more.get("back"):
            s.isDeconvolution, s.kernelChannels = True, weight.shape[0]
        if "size" in more:
            s.outputShape.extend(more["size"])

    return fill


def _pool(kind, **more):
    def fill(s):
        s.type = kind
        s.kernel.extend((3, 2))
        s.stride.extend((2, 2))
        s.excludePadding = more.get("exclude", False)
        s.globalPooling = more.get("whole", False)
        if "complete" in more:
            s.complete.amounts.extend(more["complete"])
        elif "same" in more:
            s.same.asymmetry = more["same"]
        for start, end in more.get("border", ()):
            s.valid.padding.amounts.add(start=start, end=end)

    return fill


def _set(**values):
    def fill(s):
        for path, value in values.items():
            *parents, field = path.split("__")
            target = s
            for parent in parents:
                target = getattr(target, parent)
            if isinstance(value, (list, tuple)):
                getattr(target, field).extend(value)
            elif value is None:
                getattr(target, field).SetInParent()
            elif isinstance(value, np.ndarray):
                getattr(target, field).floats = packed(value)
            else:
                setattr(target, field, value)

    return fill


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
    "convolution": (_conv(WEIGHT, 3, bias=BIAS), _convolved(bias=BIAS)),
    "convolution, border": (
        _conv(WEIGHT, 3, border=((1, 2), (0, 3)), stride=(2, 1)),
        _convolved(stride=(2, 1), pads=(1, 0, 2, 3)),
    ),
    "convolution, same": (
        _conv(WEIGHT, 3, same=0, stride=(2, 2)),
        _convolved(stride=(2, 2), pads=(0, 1, 1, 1)),
    ),
    "convolution, same, top heavy": (
        _conv(WEIGHT, 3, same=1, stride=(2, 2)),
        _convolved(stride=(2, 2), pads=(1, 1, 0, 1)),
    ),
    "convolution, depthwise": (_conv(DEEP, 4, 4), _convolved(DEEP, groups=4)),
    "convolution, back": (
        _conv(BACK, 3, back=True, stride=(2, 2), bias=BIAS, border=((1, 0), (0, 1))),
        naive_conv_transpose2d(X, BACK, BIAS, (2, 2), (1, 1), 1, (1, 0, 0, 1), (0, 0)),
    ),
    "convolution, back to a size": (
        _conv(BACK, 3, back=True, stride=(2, 2), same=0, size=(12, 10)),
        naive_conv_transpose2d(X, BACK, None, (2, 2), (1, 1), 1, (0, 0, 1, 1), (0, 0)),
    ),
    "pooling, max": (_pool(0), _pooled(max, (0, 0, 0, 0), (2, 2))),
    "pooling, max, complete": (
        _pool(0, complete=(1, 0)),
        _pooled(lambda s: max(s), (1, 0, 1, 0), (4, 3)),
    ),
    "pooling, mean, border": (
        _pool(1, border=((1, 1), (1, 0))),
        _pooled(_window_mean, (1, 1, 1, 0), (3, 3)),
    ),
    "pooling, mean, border left out": (
        _pool(1, border=((1, 1), (1, 0)), exclude=True),
        _pooled(_mean, (1, 1, 1, 0), (3, 3)),
    ),
    "pooling, mean, same": (
        _pool(1, same=0, exclude=True),
        _pooled(_mean, (0, 0, 1, 1), (3, 3)),
    ),
    "pooling, mean of all": (_pool(1, whole=True), X.mean((2, 3), keepdims=True)),
    "pooling, max of all": (_pool(0, whole=True), X.max((2, 3), keepdims=True)),
    "innerProduct": (
        _set(inputChannels=120, outputChannels=3, weights=DENSE, hasBias=True, bias=BIAS),
        X.reshape(1, -1) @ DENSE.T + BIAS,
    ),
    "batchnorm": (
        _set(channels=4, epsilon=0.5, gamma=FOUR, beta=-FOUR, mean=FOUR / 2, variance=FOUR),
        (X - C / 2) / np.sqrt(C + 0.5) * C - C,
    ),
    "batchnorm, of each picture": (
        _set(channels=4, epsilon=0.5, gamma=FOUR, beta=-FOUR, instance=True, computeMeanVar=True),
        (X - X.mean((2, 3), keepdims=True)) / np.sqrt(X.var((2, 3), keepdims=True) + 0.5) * C - C,
    ),
    "lrn": (_set(size=3, alpha=0.5, beta=0.75, k=2.0), _lrn(X)),
    "activation, linear": (_set(linear__alpha=2.0, linear__beta=0.5), 2 * X + 0.5),
    "activation, ReLU": (_set(ReLU=None), np.maximum(X, 0)),
    "activation, leaky": (_set(leakyReLU__alpha=0.25), np.where(X < 0, X / 4, X)),
    "activation, threshold": (_set(thresholdedReLU__alpha=0.5), np.where(X > 0.5, X, 0)),
    "activation, slopes": (_set(PReLU__alpha=FOUR), np.where(X < 0, X * C, X)),
    "activation, one slope": (_set(PReLU__alpha=FOUR[:1]), np.where(X < 0, X * FOUR[0], X)),
    "activation, tanh": (_set(tanh=None), np.tanh(X)),
    "activation, scaled tanh": (
        _set(scaledTanh__alpha=2.0, scaledTanh__beta=0.5),
        2 * np.tanh(X / 2),
    ),
    "activation, sigmoid": (_set(sigmoid=None), 1 / (1 + np.exp(-X))),
    "activation, hard": (
        _set(sigmoidHard__alpha=0.5, sigmoidHard__beta=0.25),
        np.clip(X / 2 + 0.25, 0, 1),
    ),
    "activation, ELU": (_set(ELU__alpha=0.5), np.where(X > 0, X, np.expm1(X) / 2)),
    "activation, softsign": (_set(softsign=None), X / (1 + np.abs(X))),
    "activation, softplus": (_set(softplus=None), np.log1p(np.exp(X))),
    "activation, softplus with slopes": (
        _set(parametricSoftplus__alpha=FOUR, parametricSoftplus__beta=FOUR),
        C * np.log1p(np.exp(C * X)),
    ),
    "add": (_set(alpha=0.5), X + 0.5),
    "multiply": (_set(alpha=0.5), X * 0.5),
    "average": (None, X),
    "addBroadcastable": (None, X),
    "multiplyBroadcastable": (None, X),
    "concat": (None, X),
    "concatND": (_set(axis=-1), X),
    "copy": (None, X),
    "softmax": (None, _softmax(X, 1)),
    "softmaxND": (_set(axis=-1), _softmax(X, 3)),
    "flatten": (None, X.reshape(1, -1)),
    "flatten, channels last": (_set(mode=1), X.transpose(0, 2, 3, 1).reshape(1, -1)),
    "flattenTo2D": (_set(axis=2), X.reshape(4, 30)),
    "reshape": (_set(shape=[2, 3, 20]), X.reshape(1, 2, 3, 20)),
    "reshape, with a sequence": (_set(shape=[1, 5, 6, 4]), X.reshape(1, 5, 6, 4)),
    "reshape, channels last": (
        _set(shape=[2, 3, 20], mode=1),
        X.transpose(0, 2, 3, 1).reshape(1, 3, 20, 2).transpose(0, 3, 1, 2),
    ),
    "reshapeStatic": (_set(shape=[1, -1]), X.reshape(1, -1)),
    "rankPreservingReshape": (_set(shape=[0, 2, 12, -1]), X.reshape(1, 2, 12, 5)),
    "permute": (_set(axes=[0, 3, 1, 2]), X.transpose(0, 3, 1, 2)),
    "transpose": (_set(axes=[0, 2, 3, 1]), X.transpose(0, 2, 3, 1)),
    "squeeze": (_set(axes=[0]), X[0]),
    "squeeze, all": (_set(all=True), X[0]),
    "expandDims": (_set(axes=[0]), X[None]),
    "padding": (
        _both(_set(constant__alpha=0.5), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=0.5),
    ),
    "padding, mirror": (
        _both(_set(reflection=None), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), mode="reflect"),
    ),
    "padding, edge": (
        _both(_set(replication=None), _edges("amounts", (1, 0), (2, 1))),
        np.pad(X, ((0, 0), (0, 0), (1, 0), (2, 1)), mode="edge"),
    ),
    "constantPad": (
        _set(value=0.25, amounts=[0, 0, 0, 0, 1, 2, 0, 1]),
        np.pad(X, ((0, 0), (0, 0), (1, 2), (0, 1)), constant_values=0.25),
    ),
    "crop": (_edges("amounts", (1, 2), (0, 1)), X[:, :, 1:4, :4]),
    "upsample": (_set(factors=[2, 2]), _enlarged(X, 2)),
    "resizeBilinear": (_set(size=[6, 5]), X),
    "unary, threshold": (_set(type=7, alpha=-0.25, scale=1.0), np.maximum(X, -0.25)),
    "unary, power": (_set(type=3, alpha=2.0, scale=2.0, shift=1.0), (2 * X + 1) ** 2),
    "unary, affine": (_set(type=3, alpha=1.0, scale=2.0, shift=1.0), 2 * X + 1),
    "unary, inverse": (_set(type=2, scale=1.0, shift=3.0, epsilon=0.5), 1 / (X + 3.5)),
    "scale": (
        _set(shapeScale=[4], scale=FOUR, hasBias=True, shapeBias=[1], bias=FOUR[:1]),
        X * C + FOUR[0],
    ),
    "bias": (_set(shape=[4, 1, 1], bias=FOUR), X + C),
    "reduce, mean": (_set(mode=1, axis=1), X.mean((2, 3), keepdims=True)),
    "reduce, sum": (_set(mode=0, axis=2), X.sum(1, keepdims=True)),
    "reduce, max": (_set(mode=7, axis=1), X.max((2, 3), keepdims=True)),
    "reduceMean": (_set(axes=[-1], keep=True), X.mean(3, keepdims=True)),
    "batchedMatmul": (
        _set(rows=5, columns=24, weights=DENSE[0], hasBias=True, bias=DENSE[1, :24]),
        X @ DENSE[0].reshape(5, 24) + DENSE[1, :24],
    ),
    "clip": (_set(low=-0.5, high=0.25), np.clip(X, -0.5, 0.25)),
    "clampedReLU": (_set(alpha=0.5, beta=0.25), np.minimum(np.where(X < 0, X / 2, X), 0.25)),
    "tanh": (None, np.tanh(X)),
}
# Layers that need a second input have tests of their own.
TWO_INPUTS = {"divideBroadcastable", "subtractBroadcastable", "max", "min"}
TWO_INPUTS |= {"maxBroadcastable", "minBroadcastable", "loadConstant", "loadConstantND"}
ELSEWHERE = {"erf", "gelu"}  # tested with the layers


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
    load = _set(shape=shape, data=values)
    other = add(net, "loadConstant", fill=load)
    add(net, kind, "picture", other, output="answer")
    answer = _answer(_load(model.SerializeToString(), tmp_path))
    if expected is None:
        expected = np.concatenate([X, np.ones_like(X)], 1)
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "join"), [("max", np.maximum), ("minBroadcastable", np.minimum)])
def test_bounds_by_a_number(kind, join, tmp_path):
    model, net = network()
    bound = add(net, "loadConstantND", fill=_set(shape=[1], data=FOUR[:1]))
    add(net, kind, "picture", bound, output="answer")
    answer = _answer(_load(model.SerializeToString(), tmp_path))
    np.testing.assert_allclose(answer, join(X, FOUR[0]), atol=1e-6)


def _classifier(image="RGB", bias=(0.0, 0.0, 0.0), scale=1.0, mean=None):
    channels = 1 if image == "GRAY" else 3
    model, net = network((channels, 6, 5), image=image)
    step = net.preprocessing.add(featureName="picture")
    step.scaler.channelScale = scale
    red, green, blue = bias
    step.scaler.redBias, step.scaler.greenBias, step.scaler.blueBias = red, green, blue
    step.scaler.grayBias = red
    if mean is not None:
        net.preprocessing.add().meanImage.values = packed(mean)
    flat = add(net, "pooling", "picture", fill=_pool(1, whole=True))
    weight = np.arange(2 * channels, dtype=np.float32).reshape(2, channels) / 100
    dense = _set(inputChannels=channels, outputChannels=2, weights=weight)
    scores = add(net, "innerProduct", flat, fill=dense)
    add(net, "softmax", scores, output="probabilities")
    return model, weight


@pytest.mark.parametrize("image", ["RGB", "BGR", "GRAY"])
def test_pictures_and_labels_come_from_the_file(image, tmp_path):
    model, weight = _classifier(image, (-0.5, -0.25, 0.125), 1 / 64)
    path = tmp_path / "net.bin"
    path.write_bytes(model.SerializeToString())
    assert recognize(path) is Format.CORE_ML
    spec = spec_of(path)
    assert (spec.labels, spec.output, spec.notes) == (("a", "b"), "probabilities", ())
    assert (spec.recipe.color, spec.recipe.width, spec.recipe.height) == (image, 5, 6)
    order = {"RGB": (-0.5, -0.25, 0.125), "BGR": (0.125, -0.25, -0.5), "GRAY": (-0.5,)}[image]
    assert spec.recipe.scale == 1 / 64
    assert spec.recipe.mean == tuple(-value for value in order)
    graph = load_coreml(path)
    x = RNG.uniform(-1, 1, spec.recipe.input_shape).astype(np.float32)
    expected = _softmax(x.mean((2, 3)) @ weight.T, 1)
    np.testing.assert_allclose(_answer(graph, x), expected, atol=1e-6)
    runner = VisionEngine().load(spec, EngineOptions(threads=1))
    np.testing.assert_allclose(runner.run(x), expected[0], atol=1e-6)
    runner.close()


def test_a_mean_image_is_taken_off_in_the_graph(tmp_path):
    mean = RNG.uniform(0, 255, (3, 6, 5)).astype(np.float32)
    model, weight = _classifier(mean=mean)
    graph = _load(model.SerializeToString(), tmp_path)
    x = RNG.uniform(0, 255, (1, 3, 6, 5)).astype(np.float32)
    expected = _softmax((x - mean).mean((2, 3)) @ weight.T, 1)
    np.testing.assert_allclose(_answer(graph, x), expected, atol=1e-5)


def test_numbers_as_labels_become_text(tmp_path):
    model, _ = _classifier()
    model.neuralNetworkClassifier.ClearField("stringLabels")
    model.neuralNetworkClassifier.integerLabels.vector.extend([3, 5])
    path = tmp_path / "net.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert inspect(path).labels == ("3", "5")


@pytest.mark.parametrize("bits", range(1, 9))
def test_packed_integers(bits):
    values = np.random.default_rng(bits).integers(0, 1 << bits, 37)
    digits = "".join(f"{value:0{bits}b}" for value in values)
    digits += "0" * (-len(digits) % 8)
    data = bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))
    np.testing.assert_array_equal(unpack(data, bits, 37, "weights"), values)
    with pytest.raises(ModelFileError, match="37 values of"):
        unpack(data + b"\0", bits, 37, "weights")


@pytest.mark.parametrize("per_channel", [False, True])
def test_scaled_weights(per_channel, tmp_path):
    steps = RNG.integers(0, 256, WEIGHT.shape)
    count = 3 if per_channel else 1
    scale = RNG.uniform(0.01, 0.02, count).astype(np.float32)
    shift = RNG.uniform(-1, 0, count).astype(np.float32)

    def fill(s):
        _conv(WEIGHT, 3)(s)
        s.weights.floats = b""
        s.weights.raw = steps.astype(np.uint8).tobytes()
        s.weights.quantization.bits = 8
        s.weights.quantization.linear.scale = packed(scale)
        s.weights.quantization.linear.bias = packed(shift)

    (node,) = _load(single("convolution", fill), tmp_path).nodes
    expected = steps * scale.reshape(-1, 1, 1, 1) + shift.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(node.layer.weight, expected, rtol=1e-6, atol=1e-6)


def test_weights_from_a_table_and_in_half_precision(tmp_path):
    steps = RNG.integers(0, 4, WEIGHT.size)
    table = np.float32([-1, -0.25, 0.5, 2])

    def fill(s):
        _conv(WEIGHT, 3, bias=BIAS)(s)
        s.weights.floats, s.bias.floats = b"", b""
        s.weights.raw = np.packbits(np.stack([steps >> 1, steps & 1], 1)).tobytes()
        s.weights.quantization.bits = 2
        s.weights.quantization.table.values = packed(table)
        s.bias.halves = BIAS.astype("<f2").tobytes()

    (node,) = _load(single("convolution", fill), tmp_path).nodes
    np.testing.assert_array_equal(node.layer.weight.reshape(-1), table[steps])
    np.testing.assert_array_equal(node.layer.bias, BIAS.astype(np.float16).astype(np.float32))


def _refused(data, kind, message, tmp_path):
    with pytest.raises(kind) as error:
        _load(data, tmp_path)
    assert message in str(error.value)


def _without_weights(s):
    s.weights.ClearField("floats")


@pytest.mark.parametrize(
    ("fill", "kind", "message"),
    [
        (_conv(WEIGHT[:, :2], 3), ModelError, "channels"),
        (_conv(WEIGHT[:2], 3), ModelFileError, "108 are required"),
        (
            lambda s: _conv(WEIGHT, 3)(s) or s.weights.ClearField("floats"),
            ModelFileError,
            "missing",
        ),
        (_conv(WEIGHT, 1 << 40), ModelFileError, "would have shape"),
        (_conv(WEIGHT, 3, border=((1, 1),)), UnsupportedOperatorError, "borders"),
        (_conv(WEIGHT, 3, border=((1 << 40, 1), (0, 0))), UnsupportedOperatorError, "borders"),
        (_conv(WEIGHT, 3, stride=(1 << 40, 1)), UnsupportedOperatorError, "no two sizes"),
    ],
)
def test_wrong_settings_are_named(fill, kind, message, tmp_path):
    _refused(single("convolution", fill), kind, message, tmp_path)


def test_all_missing_layers_are_named_at_once(tmp_path):
    model, net = network()
    for kind in ("gru", "sin", "gru"):
        add(net, kind, "picture")
    _refused(
        model.SerializeToString(),
        UnsupportedOperatorError,
        "gru at nodes 'v0', 'v2'; sin at node 'v1'",
        tmp_path,
    )


def test_other_kinds_of_models_are_named(tmp_path):
    model = message("Model")(specificationVersion=1)
    model.glmClassifier.SetInParent()
    model.description.input.add(name="x")
    _refused(model.SerializeToString(), UnsupportedOperatorError, "glmClassifier", tmp_path)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    data = _classifier()[0].SerializeToString()
    for size in range(40, len(data) - 1, 13):
        with pytest.raises(ModelError):
            _load(data[:size], tmp_path)


def test_a_program_with_weights_beside_it(tmp_path):
    weight = RNG.uniform(-1, 1, (2, 3, 1, 1)).astype(np.float32)
    path = package(tmp_path / "net.mlpackage", program(), weights=blob(weight, 2))
    assert recognize(path) is Format.CORE_ML_PACKAGE
    spec = spec_of(path)
    assert (spec.labels, spec.output) == (("cat", "dog"), "probabilities")
    assert (spec.recipe.scale, spec.recipe.mean, spec.recipe.color) == (1, (0, 0, 0), "RGB")
    x = RNG.uniform(0, 1, (1, 3, 4, 5)).astype(np.float32)
    expected = _softmax(x.mean((2, 3)) @ weight[:, :, 0, 0].T, 1)
    np.testing.assert_allclose(_answer(load_coreml(path), x), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("made", "data", "message"),
    [
        (program(weight_offset=64 + 8), None, "no array"),
        (program(weight_offset=1 << 40), None, "bytes"),
        (program(shape=(2, 3, 3, 3)), None, "24 bytes for shape"),
        (program(file="@model_path/../../../outside.bin"), None, "not a file inside it"),
        (program(file="/etc/hostname"), None, "not beside it"),
        (program(shape=(1 << 30, 1 << 30)), None, "values fit"),
        (program(), b"", "cannot be read"),
    ],
)
def test_weights_that_are_not_where_they_should_be(made, data, message, tmp_path):
    (tmp_path / "outside.bin").write_bytes(blob(np.zeros((2, 3, 1, 1), "<f4"), 2))
    stored = blob(np.zeros((2, 3, 1, 1), "<f4"), 2) if data is None else data
    path = package(tmp_path / "net.mlpackage", made, weights=stored)
    with pytest.raises(ModelFileError) as error:
        load_coreml(path)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["../../outside.mlmodel", "/etc/hostname", "none", "\0"])
def test_a_package_names_only_files_of_its_own(name, tmp_path):
    (tmp_path / "outside.mlmodel").write_bytes(b"x")
    path = package(tmp_path / "net.mlpackage", program(), name=name)
    with pytest.raises(ModelFileError):
        load_coreml(path)


def test_a_link_out_of_a_package_is_not_followed(tmp_path):
    outside = tmp_path / "weights.bin"
    outside.write_bytes(blob(np.zeros((2, 3, 1, 1), "<f4"), 2))
    path = package(tmp_path / "net.mlpackage", program(), weights=b"")
    inner = path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    inner.unlink()
    try:
        inner.symlink_to(outside)
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(ModelFileError, match="not a file inside it"):
        load_coreml(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rootModelIdentifier": []}', "[" * 100_000])
def test_a_manifest_that_names_nothing(text, tmp_path):
    path = package(tmp_path / "net.mlpackage", program())
    (path / "Manifest.json").write_text(text)
    with pytest.raises(ModelFileError, match="Manifest"):
        load_coreml(path)


def test_programs_name_all_missing_operations(tmp_path):
    model = program()
    block = model.mlProgram.functions[0].value.blocks[0].value
    block.operations[5].type = "gru"
    path = package(tmp_path / "net.mlpackage", model)
    with pytest.raises(UnsupportedOperatorError, match="gru at node 'c'"):
        load_coreml(path)
