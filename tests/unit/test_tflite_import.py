"""TensorFlow Lite files as graphs: every operator against LiteRT's recorded answers, and errors."""

import json
import zipfile

import numpy as np
import onnxruntime as ort
import pytest

from helpers.graphs import assert_same_graph
from helpers.networks import described
from helpers.tflite_cases import ANSWERS, CASES, SHAPE, lite_rt
from helpers.tflite_files import File, classifier
from twinlens.engine import layers as kinds
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import (
    LabelError,
    ModelFileError,
    ParameterError,
    ShapeError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats import graph_from_onnx, onnx_bytes, onnx_from_graph
from twinlens.engine.formats.tflite import file as tflite_file
from twinlens.engine.formats.tflite.file import parse_tflite
from twinlens.engine.formats.tflite.importer import graph_from_tflite, load_tflite
from twinlens.engine.formats.tflite.operators import BUILDERS
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.image import Recipe
from twinlens.engine.vision import VisionEngine
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import resolve

TOLERANCE = 2e-6


def _graph(data):
    return graph_from_tflite(parse_tflite(data, "made.tflite"))


def _answer(case, graph):
    x = case.picture
    if case.step:
        scale, zero = case.in_scale
        x = (x.astype(np.float32) - zero) * np.float32(scale)
    if x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    (name,) = graph.inputs
    (answer,) = graph.run({name: x}).values()
    return answer


def _file_order(answer, expected, graph):
    """Pictures come out as (N, C, H, W) unless the file's order was asked for."""
    last = graph.nodes[-1].layer
    moved = isinstance(last, (kinds.Reshape, kinds.Transpose, kinds.Linear))
    turned = answer.transpose(0, 2, 3, 1) if expected.ndim == 4 and not moved else answer
    # What is no picture to its operator stays in the file's order; no size is there twice.
    return turned if turned.shape == expected.shape else answer


@pytest.mark.parametrize("name", sorted(CASES))
def test_operators_answer_as_litert_did(name):
    case = CASES[name]()
    expected = np.load(ANSWERS)[name]
    graph = _graph(case.data)
    answer = _file_order(_answer(case, graph), expected, graph)
    assert answer.shape == expected.shape
    assert np.abs(answer - expected).max() <= max(1.01 * case.step, TOLERANCE * 4)


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_is_written_opens_in_onnx_runtime_and_answers_the_same(name):
    case = CASES[name]()
    for graph in (_graph(case.data), optimize(_graph(case.data))):
        session = ort.InferenceSession(onnx_bytes(graph))
        ((entry, shape),) = graph.inputs.items()
        x = np.random.default_rng(1).uniform(-0.9, 0.9, shape).astype(np.float32)
        (wanted,) = graph.run({entry: x}).values()
        (answer,) = session.run(None, {entry: x})
        assert answer.dtype == wanted.dtype
        assert np.abs(answer - wanted).max() <= max(1.01 * case.step, TOLERANCE * 4)


@pytest.mark.parametrize("name", sorted(CASES))
def test_recorded_answers_are_those_of_litert(name):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    np.testing.assert_allclose(lite_rt(CASES[name]()), np.load(ANSWERS)[name], atol=1e-5)


def test_every_operator_has_a_case():
    written = {kind for name in CASES for kind in _kinds(CASES[name]().data)}
    # QUANTIZE stands where files change from floats to integers.
    assert set(BUILDERS) - written == {"QUANTIZE", "RELU_0_TO_1"}


def _kinds(data):
    return {operation.kind for operation in parse_tflite(data, "made").operations}


@pytest.mark.parametrize("name", sorted(CASES))
def test_graphs_go_through_onnx_and_optimisation(name):
    case = CASES[name]()
    graph = _graph(case.data)
    back = graph_from_onnx(onnx_from_graph(graph))
    np.testing.assert_allclose(_answer(case, back), _answer(case, graph), atol=1e-6, rtol=1e-5)
    assert_same_graph(back, graph_from_onnx(onnx_from_graph(back)))
    small = optimize(graph)
    np.testing.assert_allclose(_answer(case, small), _answer(case, graph), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["quantized_uint8", "quantized_int8_per_channel"])
def test_integers_survive_the_way_to_onnx(name):
    graph = _graph(CASES[name]().data)
    model = onnx_from_graph(graph)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    integers = [key for key in stored if key.endswith("weight_integers")]
    assert len(integers) == 3
    assert len([key for key in stored if key.endswith("bias_integers")]) == 3
    assert_same_graph(graph, graph_from_onnx(model))
    # Every weight is a whole number of its channel's steps.
    for node in graph.nodes:
        scale = getattr(node.layer, "weight_scale", None)
        if scale is not None:
            flat = node.layer.weight.reshape(scale.size, -1)
            steps = np.rint(flat / scale[:, None])
            np.testing.assert_array_equal(steps.astype(np.float32) * scale[:, None], flat)


@pytest.mark.parametrize("name", ["quantized_uint8", "quantized_int8_per_channel"])
def test_rounding_stands_in_the_graph(name):
    graph = _graph(CASES[name]().data)
    rounded = [node for node in graph.nodes if isinstance(node.layer, kinds.QuantizeLinear)]
    # Input, convolution, depthwise convolution, sum and mean; not the answer.
    assert len(rounded) == 5
    assert {node.layer.dtype.name for node in rounded} == {name.split("_")[1]}


def test_a_whole_file_runs_on_every_engine(tmp_path):
    path = tmp_path / "net.bin"
    path.write_bytes(classifier())
    assert glance(path).format == "TensorFlow Lite"
    network = resolve(path, labels=_labels(tmp_path, 6))
    spec = network.spec
    assert spec.recipe.input_shape == (1, 3, 8, 8)
    assert spec.output == "probabilities"
    assert spec.notes == ("values: −1 to 1, assumed",)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    graph = network.graph
    (expected,) = graph.run(dict.fromkeys(graph.inputs, x)).values()
    runner = VisionEngine().load(network, EngineOptions(threads=1))
    np.testing.assert_allclose(runner.run(x), expected.reshape(-1), atol=1e-6)
    runner.close()


def _labels(folder, count):
    path = folder / "names.txt"
    path.write_text("\n".join(f"thing {n}" for n in range(count)))
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_the_recipe_of_integers_comes_from_their_scale(tmp_path, dtype):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(dtype))
    recipe = resolve(path, labels=_labels(tmp_path, 6)).spec.recipe
    assert recipe.dtype == "float32"
    zero, low = (0, -128) if dtype == "int8" else (128, 0)
    for pixel in (0, 255):
        value = (pixel * recipe.scale - recipe.mean[0]) / recipe.std[0]
        assert value == pytest.approx((pixel + low - zero) / 128, abs=1e-5)


def test_the_recipe_of_floats_comes_from_the_metadata(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(norm=([127.0], [128.0])))
    network = resolve(path, labels=_labels(tmp_path, 6))
    spec = network.spec
    assert (spec.recipe.scale, spec.recipe.mean, spec.recipe.std) == (1, (127,) * 3, (128,) * 3)
    assert spec.notes == ()


def test_labels_come_from_the_archive_behind_the_file(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(names="labels.txt"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "\n".join(f"kind {n}" for n in range(6)))
    assert resolve(path).spec.labels == tuple(f"kind {n}" for n in range(6))
    assert described(path).format == "TensorFlow Lite"


def test_a_damaged_archive_of_labels_is_named(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(names="labels.txt"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "kind\n" * 200)
    data = bytearray(path.read_bytes())
    at = data.index(b"labels.txt", data.index(b"PK\x03\x04")) + 12
    data[at : at + 6] = b"\xff" * 6
    path.write_bytes(data)
    with pytest.raises(LabelError, match="its labels"):
        resolve(path)


def test_open_axes_take_the_recipes_size(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(signature=[-1, -1, -1, 3]))
    assert described(path).input_shape == (None, 3, None, None)
    network = resolve(path, labels=_labels(tmp_path, 6))
    graph = network.with_spec(recipe=Recipe(10, 12)).graph
    assert graph.inputs == {"x": (1, 3, 12, 10)}
    with pytest.raises(ShapeError, match="leaves the size of axis 1 open"):
        load_tflite(path)


def test_all_missing_operators_are_named_at_once():
    file = File()
    x, a, b, y = (file.tensor(name, SHAPE) for name in "xaby")
    file.operator("MATRIX_DIAG", [x], [a])
    file.operator("CUSTOM:Odd", [a], [b])
    file.operator("MATRIX_DIAG", [b], [y])
    with pytest.raises(UnsupportedOperatorError) as error:
        _graph(file.bytes([x], [y]))
    assert "MATRIX_DIAG at nodes 'a', 'y'" in error.value.message
    assert "CUSTOM:Odd at node 'b'" in error.value.message
    assert "No engine here runs it" in error.value.hint


def test_shapes_that_are_computed_for_a_reshape_need_no_operators():
    file = File()
    x, y = file.tensor("x", SHAPE), file.tensor("y", (1, 252))
    shape = file.tensor("shape", (2,), "int32")
    file.operator("SHAPE", [x], [shape])
    file.operator("RESHAPE", [x, shape], [y])
    assert _graph(file.bytes([x], [y])).output_shapes == {"y": (1, 252)}


def _file(edit=None, **more):
    file = File()
    x, y = file.tensor("x", SHAPE), file.tensor("y", SHAPE)
    weight = {"shape": (4, 1, 1, 4), "data": np.ones((4, 1, 1, 4))} | more
    w = file.tensor("w", weight.pop("shape"), weight.pop("dtype", "float32"), **weight)
    options = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0), 4: ("i", 1), 5: ("i", 1)}
    options |= edit or {}
    file.operator("CONV_2D", [x, w, -1], [y], options)
    return file.bytes([x], [y])


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (_file({3: ("b", 4)}), UnsupportedOperatorError, "fused activation is number 4"),
        (_file({0: ("b", 7)}), UnsupportedOperatorError, "padding 7"),
        (_file({1: ("i", 0)}), UnsupportedOperatorError, "stride"),
        (_file({4: ("i", -2)}), UnsupportedOperatorError, "dilation"),
        (_file(shape=(4, 1, 2, 4)), ModelFileError, "64 bytes; 128 are required"),
        (_file(shape=(4, -1, -1, 4)), ModelFileError, "bytes"),
        (_file(data=np.ones((4, 1, 1, 3)), shape=(4, 1, 1, 3)), ShapeError, "channels"),
        (_file(data=np.ones((0, 1, 1, 4)), shape=(0, 1, 1, 4)), UnsupportedOperatorError, "w"),
        (_file(scale=[1.0, 2.0], dtype="int8"), ModelFileError, "2 scales"),
        (_file(scale=[np.nan], dtype="int8"), ModelFileError, "not positive numbers"),
    ],
)
def test_wrong_files_say_what_is_wrong(data, kind, message):
    with pytest.raises((kind, ModelFileError, ParameterError)) as error:
        _graph(data)
    assert message in str(error.value) or isinstance(error.value, kind)


def test_a_file_cut_anywhere_is_refused_or_read(tmp_path):
    whole = _file()
    for size in range(0, len(whole), 7):
        try:
            _graph(whole[:size])
        except (ModelFileError, UnsupportedOperatorError):
            continue
        raise AssertionError(f"{size} of {len(whole)} bytes were enough")


def test_caps(tmp_path, monkeypatch):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier())
    for name, told in (("MAX_NODES", "3"), ("_MAX_TENSORS", "3"), ("MAX_BYTES", "100")):
        with monkeypatch.context() as patch:
            patch.setattr(tflite_file, name, int(told))
            for ask in (load_tflite, described):
                with pytest.raises(ModelFileError, match=rf"(?i)at most {told}|{told} fit"):
                    ask(path)


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with pytest.raises(ModelFileError):
        load_tflite(path)
    with pytest.raises(ModelFileError, match="no such file"):
        load_tflite(tmp_path / "none.tflite")


@pytest.mark.parametrize(
    ("steps", "dtype"),
    [
        ([-128, 0, 127], "int8"),
        ([-200, 0, 55], "uint8"),
        ([0, 128, 255], "uint8"),
        ([-255, -1, 0], "uint8"),
        ([200, 210, 255], "uint8"),
        ([-255, -250, -200], "uint8"),
        ([-200, 0, 56], None),
        ([300, 310, 390], None),
        ([-300, -290, -280], None),
    ],
)
def test_integers_are_written_where_they_fit_with_their_zero(steps, dtype):
    scale = np.full(1, 0.25, np.float32)
    weight = np.float32(steps).reshape(1, 3, 1, 1) * scale[0]
    node = kinds.Conv2d(weight, weight_scale=scale)
    graph = Graph("net", {"x": (1, 3, 2, 2)}, ["y"], [Node("c", node, ("x",), "y")])
    model = onnx_from_graph(graph)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = stored.get("c.weight_integers")
    names = {2: "uint8", 3: "int8"}
    assert (None if found is None else names[found.data_type]) == dtype
    (back,) = graph_from_onnx(model).nodes
    np.testing.assert_array_equal(back.layer.weight, weight)


@pytest.mark.parametrize(
    ("member", "write"),
    [
        ("metadata.json", json.dumps),
        ("TFLITE_ULTRALYTICS_METADATA.json", json.dumps),
        ("temp_meta.txt", str),
    ],
)
def test_what_ultralytics_writes_behind_the_file_counts(tmp_path, member, write):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier())
    names = {n: f"it's a kind {n}" for n in range(6)}
    values = {"task": "classify", "stride": 1, "imgsz": [8, 8], "names": names}
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, write(values))
    spec = resolve(path).spec
    assert spec.labels == tuple(names.values())
    assert (spec.recipe.scale, spec.recipe.mean) == (pytest.approx(1 / 255), (0.0, 0.0, 0.0))


@pytest.mark.parametrize("text", ["{" * 5000, "[1, 2]", "__import__('os')", "\0", '{"names": 3}'])
def test_what_is_no_metadata_behind_the_file_is_left_alone(tmp_path, text):
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", text)
    assert len(resolve(path, labels=_labels(tmp_path, 6)).spec.labels) == 6
