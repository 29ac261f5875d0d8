"""Core ML files: what they say of themselves, how weights are stored, and every refusal."""

import numpy as np
import pytest

from helpers.compare import naive_conv_transpose2d
from helpers.coreml_fill import classifier, conv
from helpers.coreml_protos import (
    add,
    blob,
    constant,
    network,
    operation,
    package,
    packed,
    program,
    single,
)
from helpers.networks import described
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.coreml import file as coreml_file
from twinlens.engine.formats.coreml import importer as coreml_import
from twinlens.engine.formats.coreml import program as coreml_program
from twinlens.engine.formats.coreml.importer import load_coreml
from twinlens.engine.formats.coreml.schema import message
from twinlens.engine.formats.coreml.weights import unpack
from twinlens.engine.vision import VisionEngine
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import resolve

RNG = np.random.default_rng(4)
WEIGHT = RNG.uniform(-1, 1, (3, 4, 3, 3)).astype(np.float32)
BIAS = RNG.uniform(-1, 1, 3).astype(np.float32)


def _load(data, tmp_path):
    path = tmp_path / "net.mlmodel"
    path.write_bytes(data)
    return load_coreml(path)


def _answer(graph, x):
    (name,) = graph.inputs
    (answer,) = graph.run({name: x}).values()
    return answer


def _softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@pytest.mark.parametrize("image", ["RGB", "BGR", "GRAY"])
def test_pictures_and_labels_come_from_the_file(image, tmp_path):
    model, weight = classifier(image, (-0.5, -0.25, 0.125), 1 / 64)
    path = tmp_path / "net.bin"
    path.write_bytes(model.SerializeToString())
    assert glance(path).format == "Core ML"
    network = resolve(path)
    spec = network.spec
    assert (spec.labels, spec.output, spec.notes) == (("a", "b"), "probabilities", ())
    assert (spec.recipe.color, spec.recipe.width, spec.recipe.height) == (image, 5, 6)
    order = {"RGB": (-0.5, -0.25, 0.125), "BGR": (0.125, -0.25, -0.5), "GRAY": (-0.5,)}[image]
    assert spec.recipe.scale == 1 / 64
    assert spec.recipe.mean == tuple(-value for value in order)
    graph = load_coreml(path)
    x = RNG.uniform(-1, 1, spec.recipe.input_shape).astype(np.float32)
    expected = _softmax(x.mean((2, 3)) @ weight.T, 1)
    np.testing.assert_allclose(_answer(graph, x), expected, atol=1e-6)
    runner = VisionEngine().load(network, EngineOptions(threads=1))
    np.testing.assert_allclose(runner.run(x), expected[0], atol=1e-6)
    runner.close()


def test_a_mean_image_is_taken_off_in_the_graph(tmp_path):
    mean = RNG.uniform(0, 255, (3, 6, 5)).astype(np.float32)
    model, weight = classifier(mean=mean)
    graph = _load(model.SerializeToString(), tmp_path)
    x = RNG.uniform(0, 255, (1, 3, 6, 5)).astype(np.float32)
    expected = _softmax((x - mean).mean((2, 3)) @ weight.T, 1)
    np.testing.assert_allclose(_answer(graph, x), expected, atol=1e-5)


def test_numbers_as_labels_become_text(tmp_path):
    model, _ = classifier()
    model.neuralNetworkClassifier.ClearField("stringLabels")
    model.neuralNetworkClassifier.integerLabels.vector.extend([3, 5])
    path = tmp_path / "net.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert described(path).labels == ("3", "5")


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
        conv(WEIGHT, 3)(s)
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
        conv(WEIGHT, 3, bias=BIAS)(s)
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
    conv(WEIGHT, 3)(s)
    s.weights.ClearField("floats")


@pytest.mark.parametrize(
    ("fill", "kind", "message"),
    [
        (conv(WEIGHT[:, :2], 3), ModelError, "channels"),
        (conv(WEIGHT[:2], 3), ModelFileError, "108 are required"),
        (
            _without_weights,
            ModelFileError,
            "missing",
        ),
        (conv(WEIGHT, 1 << 40), ModelFileError, "would have shape"),
        (conv(WEIGHT, 3, border=((1, 1),)), UnsupportedOperatorError, "borders"),
        (conv(WEIGHT, 3, border=((1 << 40, 1), (0, 0))), UnsupportedOperatorError, "borders"),
        (conv(WEIGHT, 3, stride=(1 << 40, 1)), UnsupportedOperatorError, "no two sizes"),
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


def test_caps(tmp_path, monkeypatch):
    path = tmp_path / "net.mlmodel"
    path.write_bytes(classifier()[0].SerializeToString())
    folder = package(tmp_path / "net.mlpackage", program(), weights=b"")
    monkeypatch.setattr(coreml_import, "MAX_NODES", 2)
    with pytest.raises(ModelFileError, match="has 3 layers; 1 to 2 fit"):
        load_coreml(path)
    monkeypatch.setattr(coreml_program, "MAX_NODES", 8)
    with pytest.raises(ModelFileError, match="1 to 8 operations"):
        load_coreml(folder)
    monkeypatch.setattr(coreml_file, "MAX_BYTES", 100)
    for whole in (path, folder):
        for ask in (load_coreml, described):
            with pytest.raises(ModelFileError, match="at most 100"):
                ask(whole)


def test_other_kinds_of_models_are_named(tmp_path):
    model = message("Model")(specificationVersion=1)
    model.glmClassifier.SetInParent()
    model.description.input.add(name="x")
    _refused(model.SerializeToString(), UnsupportedOperatorError, "glmClassifier", tmp_path)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    data = classifier()[0].SerializeToString()
    for size in range(40, len(data) - 1, 13):
        with pytest.raises(ModelError):
            _load(data[:size], tmp_path)


def test_a_program_with_weights_beside_it(tmp_path):
    weight = RNG.uniform(-1, 1, (2, 3, 1, 1)).astype(np.float32)
    path = package(tmp_path / "net.mlpackage", program(), weights=blob(weight, 2))
    assert glance(path).format == "Core ML package"
    network = resolve(path)
    spec = network.spec
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


@pytest.mark.parametrize(("kind", "pads"), [("valid", (0, 0, 0, 0)), ("custom", (1, 1, 0, 2))])
def test_a_program_pads_only_where_it_says_so(kind, pads, tmp_path):
    """`pad` counts for pad_type "custom" alone; it is top, bottom, left, right."""
    weight = RNG.uniform(-1, 1, (3, 2, 3, 3)).astype(np.float32)
    model = _windows("conv_transpose", weight, kind, (1, 1, 0, 2))
    path = package(tmp_path / "net.mlpackage", model, weights=blob(weight, 2))
    x = RNG.uniform(0, 1, (1, 3, 4, 5))
    top, bottom, left, right = pads
    edges = (top, left, bottom, right)
    expected = naive_conv_transpose2d(x, weight, None, (1, 1), (1, 1), 1, edges, (0, 0))
    np.testing.assert_allclose(_answer(load_coreml(path), x), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_pads_of_a_program_are_four(kind, tmp_path):
    weight = np.ones((3, 3, 3, 3), np.float32)
    path = package(
        tmp_path / "net.mlpackage",
        _windows(kind, weight, "custom", (1, 1, 1)),
        weights=blob(weight, 2),
    )
    with pytest.raises(UnsupportedOperatorError, match="four are required"):
        load_coreml(path)


def _windows(kind, weight, padding, pads):
    """A program of one operation with pads."""
    model = program(shape=weight.shape)
    block = model.mlProgram.functions[0].value.blocks[0].value
    del block.operations[5:], block.outputs[:]
    constant(block, "padding", (), 2, strings=[padding])
    constant(block, "pads", (len(pads),), 23, ints=pads)
    operation(block, kind, "c", x="picture", weight="weight", pad_type="padding", pad="pads")
    block.outputs.append("c")
    return model


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (
            "TANH_APPROXIMATION",
            lambda x: x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) / 2,
        ),
        ("SIGMOID_APPROXIMATION", lambda x: x / (1 + np.exp(-1.702 * x))),
    ],
)
def test_approximations_of_gelu_in_programs(mode, expected, tmp_path):
    path = package(tmp_path / "net.mlpackage", _simple("gelu", mode=(2, [mode])), weights=b"")
    x = RNG.uniform(-3, 3, (1, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(_answer(load_coreml(path), x), expected(x), atol=1e-6)
    path = package(tmp_path / "odd.mlpackage", _simple("gelu", mode=(2, ["ODD"])), weights=b"")
    with pytest.raises(UnsupportedOperatorError, match="mode 'ODD'; known are EXACT"):
        load_coreml(path)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"align_corners": True}, [0, 1 / 3, 2 / 3, 1]),
        ({"align_corners": False}, [0, 0.25, 0.75, 1]),
        ({"align_corners": False, "half_pixel_centers": False}, [0, 0.5, 1, 1]),
    ],
)
def test_where_samples_of_an_enlargement_lie(flags, expected, tmp_path):
    """Half pixels are the default only where corners are not aligned."""
    values = {name: (1, [int(flag)]) for name, flag in flags.items()}
    values |= {"scale_factor_width": (11, [2.0]), "scale_factor_height": (11, [1.0])}
    model = _simple("upsample_bilinear", **values)
    model.description.input[0].type.image.width = 2
    model.description.input[0].type.image.height = 1
    path = package(tmp_path / "net.mlpackage", model, weights=b"")
    x = np.broadcast_to(np.float32([0, 1]), (1, 3, 1, 2))
    answer = _answer(load_coreml(path), x)
    np.testing.assert_allclose(answer[0, 0, 0], expected, atol=1e-6)


def _simple(kind, **values):
    """A program of one operation, with numbers (their type, what they are) by name."""
    model = program()
    block = model.mlProgram.functions[0].value.blocks[0].value
    del block.operations[:], block.outputs[:]
    fields = {1: "bools", 2: "strings", 11: "floats"}
    for name, (code, numbers) in values.items():
        constant(block, f"{name}_value", (), code, **{fields[code]: numbers})
    operation(block, kind, "c", x="picture", **{name: f"{name}_value" for name in values})
    block.outputs.append("c")
    return model
