"""Kinds of files that real people have and that were read wrongly or refused for a wrong reason."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.tflite_files import File, classifier
from twinlens.engine.api import registry
from twinlens.engine.api.tasks import task_of
from twinlens.engine.errors import ModelError, ModelFileError, TwinlensError
from twinlens.engine.formats.described import picture_shape
from twinlens.models.identify.resolve import identify, resolve

RANDOM = np.random.default_rng(18)
ENGINES = ["layers-cpu", "vision"]


def onnx_net(
    path: Path,
    nodes: list[Any],
    arrays: dict[str, Any],
    *,
    taken: tuple[Any, ...] = (1, 3, 16, 16),
    gives: tuple[Any, ...] | None = (1, 4),
    producer: str = "",
) -> Path:
    """An ONNX file from x to y; sizes below 0 are written as they are."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.producer_name = producer
    onnx.save(model, str(path))
    return path


def node(kind: str, inputs: str, output: str, **settings: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=output, **settings)


def classifying(path: Path, first: list[Any] | None = None, arrays: Any = (), **made: Any) -> Path:
    """First steps from x to a, a mean, and four classes."""
    channels = made.get("taken", (1, 3, 16, 16))[1]
    before = first or [node("Identity", "x", "a")]
    rest = [
        node("GlobalAveragePool", "a", "m"),
        node("Flatten", "m", "f"),
        node("MatMul", "f w", "z"),
        node("Softmax", "z", "y", axis=1),
    ]
    weight = RANDOM.normal(size=(channels, 4)).astype(np.float32)
    return onnx_net(path, [*before, *rest], {"w": weight, **dict(arrays)}, **made)


def run(path: Path, engine: str, tensor: np.ndarray, **asked: Any) -> np.ndarray:
    runner = registry.load(resolve(path, **asked), engine)
    try:
        return np.asarray(runner.run(tensor))
    finally:
        runner.close()


# --- sizes that are left open ----------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("taken", "size"),
    [
        ((-1, 3, -1, -1), (224, 224)),
        ((-1, 3, 48, 192), (48, 192)),
        ((None, 3, 16, 24), (16, 24)),
        (("n", 3, "h", "w"), (224, 224)),
    ],
    ids=str,
)
def test_a_size_of_less_than_one_is_an_open_one(
    taken: tuple[Any, ...], size: tuple[int, int], engine: str, tmp_path: Path
) -> None:
    path = classifying(tmp_path / "net.onnx", taken=taken, gives=(-1, 4))
    recipe = identify(path).known.spec.recipe
    assert (recipe.height, recipe.width) == size
    tensor = RANDOM.normal(size=(1, 3, *size)).astype(np.float32)
    (right,) = onnxruntime.InferenceSession(path).run(None, {"x": tensor})
    np.testing.assert_allclose(run(path, engine, tensor), right[0], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "meant"),
    [
        ((None, 28, 28), (1, 28, 28)),
        ((1, 28, 28), (1, 28, 28)),
        ((None, 28, 28, 1), (None, 28, 28, 1)),
        ((None, None, None, 3), (None, None, None, 3)),
        ((1, 48, 192), (1, 48, 192)),
        ((None, 130, 13), None),
        ((None, 40, 101), None),
        ((None, None, None), None),
        ((1, 1, 1, 1024), None),
        ((1, 1960, 1, 1), None),
        ((1, 1, 187, 1), None),
        ((1, 6, 64, 64), None),
        ((None, 49, 10, 1), None),
        ((1, 1, 10, 98), None),
        ((1, 32, 320, 1), (1, 32, 320, 1)),
        ((1, 64, 64, 2), None),
        ((None, 784), None),
        ((), None),
    ],
    ids=str,
)
def test_what_can_be_a_picture(shape: tuple[Any, ...], meant: tuple[Any, ...] | None) -> None:
    assert picture_shape(shape) == meant


def rows_onnx(path: Path, sides: tuple[int, int]) -> Path:
    weight = RANDOM.normal(size=(sides[0] * sides[1], 10)).astype(np.float32)
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "z"), node("Softmax", "z", "y")]
    return onnx_net(path, nodes, {"w": weight}, taken=("n", *sides), gives=("n", 10))


def rows_tflite(path: Path, sides: tuple[int, int]) -> Path:
    file = File()
    x = file.tensor("x", (1, *sides), signature=(-1, *sides))
    shape = file.tensor("s", (2,), "int32", [-1, flat_(sides)])
    flat = file.tensor("f", (1, sides[0] * sides[1]))
    weight = file.tensor(
        "w", (10, sides[0] * sides[1]), data=RANDOM.normal(size=(10, flat_(sides)))
    )
    z, y = file.tensor("z", (1, 10)), file.tensor("y", (1, 10))
    file.operator("RESHAPE", [x, shape], [flat])
    file.operator("FULLY_CONNECTED", [flat, weight, -1], [z], {0: ("b", 0)})
    file.operator("SOFTMAX", [z], [y], {0: ("f", 1.0)})
    path.write_bytes(file.bytes([x], [y]))
    return path


def flat_(sides: tuple[int, int]) -> int:
    return sides[0] * sides[1]


def rows_keras(path: Path, sides: tuple[int, int]) -> Path:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, *sides]}},
        {"class_name": "Flatten", "config": {"name": "f"}},
        {
            "class_name": "Dense",
            "config": {"name": "d", "units": 10, "use_bias": False, "activation": "softmax"},
        },
    ]
    model = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.4.0"
        group = file.create_group("model_weights").create_group("d")
        group.attrs["weight_names"] = np.array(["d/kernel:0"], "S")
        group.create_dataset("d/kernel:0", data=RANDOM.normal(size=(flat_(sides), 10)))
    return path


ROWS = {"net.onnx": rows_onnx, "net.tflite": rows_tflite, "net.h5": rows_keras}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ROWS)
def test_a_batch_of_squares_is_one_of_grey_pictures(name: str, engine: str, tmp_path: Path) -> None:
    path = ROWS[name](tmp_path / name, (28, 28))
    recipe = identify(path).known.spec.recipe
    assert (recipe.color, recipe.height, recipe.width) == ("GRAY", 28, 28)
    shares = run(path, engine, RANDOM.random((1, 1, 28, 28)).astype(np.float32))
    assert shares.shape == (10,)
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("sides", [(130, 13), (40, 101)])
@pytest.mark.parametrize("name", ROWS)
def test_a_batch_of_sequences_is_no_picture(
    name: str, sides: tuple[int, int], tmp_path: Path
) -> None:
    path = ROWS[name](tmp_path / name, sides)
    with pytest.raises(ModelFileError, match=f"{sides[0]}×{sides[1]} is no picture"):
        identify(path)


@pytest.mark.parametrize("taken", [(1, 1, 1, 1024), (1, 1024, 1, 1), (1, 2, 8, 8)])
def test_features_that_go_in_are_no_picture(taken: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"'x' of .* is no picture"):
        identify(classifying(tmp_path / "net.onnx", taken=taken))
    file = File()
    x, y = file.tensor("x", taken), file.tensor("y", taken)
    file.operator("SOFTMAX", [x], [y], {0: ("f", 1.0)})
    (tmp_path / "net.tflite").write_bytes(file.bytes([x], [y]))
    with pytest.raises(ModelFileError, match="is no picture"):
        identify(tmp_path / "net.tflite")


def test_several_inputs_are_named(tmp_path: Path) -> None:
    path = classifying(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("keep", TensorProto.FLOAT, []))
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"2 inputs \('x', 'keep'\) and 1 output, expected"):
        identify(path)


# --- what is no classifier -------------------------------------------------------------------


def pooled(path: Path, width: int, last: str = "", *, kind: str = "GlobalAveragePool") -> Path:
    """A convolution, its activation, and the mean of each channel, or its largest."""
    nodes = [
        node("Conv", "x k", "c"),
        node("Relu", "c", "r"),
        node(kind, "r", "p"),
        node("Flatten", "p", "f" if last else "y"),
    ]
    nodes += [node(last, "f", "y")] if last else []
    kernel = RANDOM.normal(size=(width, 3, 1, 1)).astype(np.float32)
    return onnx_net(path, nodes, {"k": kernel}, gives=(1, width))


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_pooled_features_are_no_classes(kind: str, tmp_path: Path) -> None:
    path = pooled(tmp_path / "net.onnx", 256, kind=kind)
    with pytest.raises(ModelFileError, match=r"an embedder .*not a classifier") as refused:
        identify(path)
    assert refused.value.hint is not None
    assert "--labels" in refused.value.hint
    assert identify(path, output_kind="logits").known.outputs == 256
    names = "\n".join(f"name {number}" for number in range(256))
    path.with_suffix(".labels.txt").write_text(names, encoding="utf-8")
    assert resolve(path).spec.labels[3] == "name 3", "what is named is a class"


@pytest.mark.parametrize(
    ("width", "last"), [(10, ""), (256, "Softmax"), (1000, ""), (256, "Sigmoid")]
)
def test_a_mean_for_each_class_is_a_classifier(width: int, last: str, tmp_path: Path) -> None:
    assert identify(pooled(tmp_path / "net.onnx", width, last)).known.outputs == width


def test_pooled_features_of_tensorflow_lite_are_no_classes(tmp_path: Path) -> None:
    file = File()
    x = file.tensor("x", (1, 8, 8, 3))
    kernel = file.tensor("k", (256, 1, 1, 3), data=RANDOM.normal(size=(256, 1, 1, 3)))
    bias = file.tensor("b", (256,), data=np.zeros(256))
    c, y = file.tensor("c", (1, 8, 8, 256)), file.tensor("y", (1, 1, 1, 256))
    strides = {1: ("i", 1), 2: ("i", 1)}
    file.operator("CONV_2D", [x, kernel, bias], [c], {0: ("b", 1), **strides, 3: ("b", 3)})
    sides = {3: ("i", 8), 4: ("i", 8)}
    file.operator("AVERAGE_POOL_2D", [c], [y], {0: ("b", 1), **strides, **sides})
    (tmp_path / "net.tflite").write_bytes(file.bytes([x], [y]))
    with pytest.raises(ModelFileError, match="an embedder"):
        identify(tmp_path / "net.tflite")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("last", ["Conv", "ConvTranspose"])
def test_open_sizes_do_not_hide_a_segmenter(last: str, engine: str, tmp_path: Path) -> None:
    size = (5, 3, 1, 1) if last == "Conv" else (3, 5, 1, 1)
    kernel = RANDOM.normal(size=size).astype(np.float32)
    nodes = [node(last, "x k", "c"), node("Sigmoid", "c", "y")]
    sizes = {"taken": (-1, 3, -1, -1), "gives": (-1, -1, -1, -1)}
    path = onnx_net(tmp_path / "net.onnx", nodes, {"k": kernel}, **sizes)
    with pytest.raises(TwinlensError, match="a segmenter"):
        registry.load(resolve(path), engine)


@pytest.mark.parametrize(
    ("picture", "answer", "task"),
    [
        ((1, 3, 352, 352), (1, 484, 85), "detector"),
        ((1, 3, 320, 320), (1, 400, 25), "detector"),
        ((1, 1, 224, 224), (1, 1, 672, 672), "makes pictures"),
        ((1, 1, 64, 64), (1, 1, 128, 128), "makes pictures"),
        ((1, 3, 64, 96), (1, 3, 256, 384), "makes pictures"),
        ((1, 3, 96, 96), (1, 3, 12, 12), "a detector or segmenter"),
        ((1, 3, 224, 224), (1, 21, 56, 56), "a segmenter"),
        ((1, 3, 224, 224), (1, 196, 768), "gives features"),
        ((1, 3, 64, 64), (1, 40, 31), "text recogniser"),
    ],
    ids=str,
)
def test_shapes_of_answers_tell_the_task(
    picture: tuple[int, ...], answer: tuple[int, ...], task: str
) -> None:
    assert task in task_of(answer, picture)


def custom(path: Path, operator: str, shape: tuple[int, ...]) -> Path:
    file = File()
    x, y = file.tensor("x", (1, 16, 16, 3)), file.tensor("y", shape)
    file.operator(f"CUSTOM:{operator}", [x], [y])
    path.write_bytes(file.bytes([x], [y]))
    return path


@pytest.mark.parametrize(
    ("operator", "chip"), [("edgetpu-custom-op", "Edge TPU"), ("ethos-u", "Ethos-U")]
)
def test_code_for_one_chip_is_said_to_be_that(operator: str, chip: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"compiled for .*{chip}") as refused:
        identify(custom(tmp_path / "net.tflite", operator, (1, 10)))
    assert "compiled from" in str(refused.value.hint)


def test_poses_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="a pose estimator"):
        identify(custom(tmp_path / "net.tflite", "PosenetDecoderOp", ()))


def test_operators_are_named_before_labels_are_asked_for(tmp_path: Path) -> None:
    """How many outputs there are is not known only because an operator is not."""
    path = custom(tmp_path / "net.tflite", "MyOwn", ())
    with pytest.raises(ModelError, match="CUSTOM:MyOwn"):
        resolve(path)


# --- files of other tools --------------------------------------------------------------------


@pytest.mark.parametrize("head", ["{", '{"format": "graph-model", '])
def test_a_graph_of_tensorflow_js_is_converted_otherwise_than_layers(
    head: str, tmp_path: Path
) -> None:
    text = (
        head + '"modelTopology": {"node": [{"name": "a", "op": "Const"}]}, "weightsManifest": []}'
    )
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    for path in (tmp_path / "model.json", tmp_path):
        problem = identify(path).problem
        assert problem is not None
        assert "--tfjs" in str(problem.hint)
        assert "tfjs_layers_model" not in str(problem.hint)


def test_a_compiled_core_ml_model_is_said_to_be_that(tmp_path: Path) -> None:
    folder = tmp_path / "net.mlmodelc"
    folder.mkdir()
    (folder / "coremldata.bin").write_bytes(bytes(64))
    (folder / "model.mil").write_text("program(1.0)", encoding="utf-8")
    problem = identify(folder).problem
    assert problem is not None
    assert "compiled Core ML" in problem.message
    assert ".mlmodel" in str(problem.hint)


# --- how they are fed ------------------------------------------------------------------------

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def steps(*given: tuple[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Nodes from x to a, each with its constant."""
    nodes, arrays, value = [], {}, "x"
    for index, (kind, number) in enumerate(given):
        target = "a" if index == len(given) - 1 else f"s{index}"
        if number is None:
            nodes.append(node(kind, value, target, perm=[0, 1, 2, 3]))
        else:
            row = np.asarray(number, np.float32)
            arrays[f"n{index}"] = row.reshape(1, -1, 1, 1) if row.ndim else row
            nodes.append(node(kind, f"{value} n{index}", target))
        value = target
    return nodes, arrays


INSIDE = {
    "a factor": (steps(("Mul", 1 / 255)), 1.0),
    "a divisor": (steps(("Div", 255.0)), 1.0),
    "to −1 to 1": (steps(("Div", 127.5), ("Sub", 1.0)), 1.0),
    "behind a transpose": (steps(("Transpose", None), ("Mul", 1 / 127.5), ("Add", -1.0)), 1.0),
    "mean and std of 0 to 1": (steps(("Sub", IMAGENET[0]), ("Div", IMAGENET[1])), 1 / 255),
    "the mean pixel": (steps(("Sub", [123.7, 116.8, 103.9])), 1.0),
    "from 0 to 1 to −1 to 1": (steps(("Mul", 2.0), ("Sub", 1.0)), 1 / 255),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("what", INSIDE)
def test_a_network_that_scales_pixels_gets_them_as_it_wants_them(
    what: str, channels: int, tmp_path: Path
) -> None:
    (nodes, arrays), scale = INSIDE[what]
    arrays = {k: a[:, :channels] if a.ndim else a for k, a in arrays.items()}
    path = classifying(tmp_path / "net.onnx", nodes, arrays, taken=(1, channels, 16, 16))
    spec = identify(path).known.spec
    assert spec.recipe.scale == pytest.approx(scale)
    assert (spec.recipe.mean, spec.recipe.std) == ((0.0,) * channels, (1.0,) * channels)
    assert any("as it scales them itself, assumed" in note for note in spec.notes)


def test_what_a_file_says_comes_before_what_its_first_operators_say(tmp_path: Path) -> None:
    nodes, arrays = steps(("Mul", 1 / 255))
    path = classifying(tmp_path / "net.onnx", nodes, arrays)
    path.with_suffix(".toml").write_text("[recipe]\nscale = 0.5\n", encoding="utf-8")
    assert identify(path).known.spec.recipe.scale == 0.5


def test_tensorflow_lite_that_scales_pixels_gets_them_as_it_wants_them(tmp_path: Path) -> None:
    file = File()
    x, a = file.tensor("x", (1, 8, 8, 3)), file.tensor("a", (1, 8, 8, 3))
    by = file.tensor("by", (1,), data=[1 / 255])
    m, y = file.tensor("m", (1, 3)), file.tensor("y", (1, 3))
    axes = file.tensor("axes", (2,), "int32", [1, 2])
    file.operator("MUL", [x, by], [a], {0: ("b", 0)})
    file.operator("MEAN", [a, axes], [m], {0: ("B", 0)})
    file.operator("SOFTMAX", [m], [y], {0: ("f", 1.0)})
    (tmp_path / "net.tflite").write_bytes(file.bytes([x], [y]))
    recipe = identify(tmp_path / "net.tflite").known.spec.recipe
    assert (recipe.scale, recipe.mean) == (1.0, (0.0, 0.0, 0.0))


RANGES = {
    "pixels of 0 to 1": (1 / 255, -128, 1 / 255, 0.0, False),
    "pixels of −1 to 1": (1 / 127.5, 0, 1 / 127.5, 128 / 127.5, False),
    "pixels as they are": (1.0, -128, 1.0, 0.0, False),
    "a little more than 0 to 1": (1.147 / 255, -128, 1 / 255, 0.0, True),
    "dark pictures of 0 to 1": (0.8 / 255, -128, 1 / 255, 0.0, True),
    "a little less than −1 to 1": (1.8 / 255, 0, 1 / 127.5, 1.0, True),
    "ImageNet": (4.7 / 255, -12, 1 / 255, 0.485, True),
    "dark pictures of 0 to 255": (201.0 / 255, -128, 1.0, 0.0, True),
}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("what", RANGES)
def test_a_range_of_calibration_is_no_scale_of_pixels(
    what: str, dtype: str, tmp_path: Path
) -> None:
    """Bytes are pixels only where their range is one that pixels are scaled to."""
    scale, zero, right, mean, assumed = RANGES[what]
    file = File()
    zero += 128 if dtype == "uint8" else 0
    x = file.tensor("x", (1, 8, 8, 3), dtype, scale=scale, zero=zero)
    v, m, y = file.tensor("v", (1, 8, 8, 3)), file.tensor("m", (1, 3)), file.tensor("y", (1, 3))
    axes = file.tensor("axes", (2,), "int32", [1, 2])
    file.operator("DEQUANTIZE", [x], [v])
    file.operator("MEAN", [v, axes], [m], {0: ("B", 0)})
    file.operator("SOFTMAX", [m], [y], {0: ("f", 1.0)})
    (tmp_path / "net.tflite").write_bytes(file.bytes([x], [y]))
    spec = identify(tmp_path / "net.tflite").known.spec
    assert spec.recipe.scale == pytest.approx(right)
    assert spec.recipe.mean[0] == pytest.approx(mean)
    assert any("by the range of its integers, assumed" in note for note in spec.notes) is assumed


def packed(path: Path, name: str, text: str) -> Path:
    """A TensorFlow Lite classifier of six, and a file in the archive behind it."""
    path.write_bytes(classifier(names="temp_meta.txt" if name == "temp_meta.txt" else None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, text)
    return path


SIX = dict(enumerate("abcdef"))


@pytest.mark.parametrize("name", ["temp_meta.txt", "metadata.json"])
def test_what_ultralytics_packs_behind_tensorflow_lite_counts(name: str, tmp_path: Path) -> None:
    said = {"task": "classify", "imgsz": [8, 8], "stride": 1, "names": SIX}
    text = json.dumps(said) if name.endswith("json") else repr(said)
    spec = identify(packed(tmp_path / "net.tflite", name, text)).known.spec
    assert spec.labels == tuple("abcdef")
    assert (spec.recipe.scale, spec.recipe.mean) == (pytest.approx(1 / 255), (0.0, 0.0, 0.0))
    assert not any("assumed" in note for note in spec.notes)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"names": 3}', "{'imgsz': __import__('os')}"])
def test_what_is_packed_never_blocks(text: str, tmp_path: Path) -> None:
    spec = identify(packed(tmp_path / "net.tflite", "metadata.json", text)).known.spec
    assert spec.labels == tuple(f"class {number}" for number in range(6))


BY_TOOL = {
    "caffe2": ("onnx-caffe2", "a", "BGR", 1.0, (103.939, 116.779, 123.68)),
    "Keras, unknown": ("tf2onnx", "a", "RGB", 1 / 255, (0.0, 0.0, 0.0)),
    "Keras, MobileNet-v2": (
        "keras2onnx",
        "model/block_1_expand/Conv2D",
        "RGB",
        1 / 127.5,
        (1.0, 1.0, 1.0),
    ),
    "Keras, ResNet": (
        "tf2onnx",
        "StatefulPartitionedCall/resnet50/conv2_block1_1_conv/Conv2D",
        "BGR",
        1.0,
        (103.939, 116.779, 123.68),
    ),
    "PyTorch": ("pytorch", "a", "RGB", 1 / 255, IMAGENET[0]),
}


@pytest.mark.parametrize("tool", BY_TOOL)
def test_who_wrote_a_file_tells_how_its_networks_are_mostly_fed(tool: str, tmp_path: Path) -> None:
    producer, called, color, scale, mean = BY_TOOL[tool]
    first = [helper.make_node("Identity", ["x"], ["a"], name=called)]
    spec = identify(classifying(tmp_path / "net.onnx", first, producer=producer)).known.spec
    assert (spec.recipe.color, spec.recipe.scale) == (color, pytest.approx(scale))
    assert spec.recipe.mean == pytest.approx(mean)
    assert any(note.startswith("values: ") and note.endswith("assumed") for note in spec.notes)


def test_grey_is_fed_from_0_to_1_whoever_wrote_it(tmp_path: Path) -> None:
    path = classifying(tmp_path / "net.onnx", taken=(1, 1, 16, 16), producer="onnx-caffe2")
    recipe = identify(path).known.spec.recipe
    assert (recipe.color, recipe.scale, recipe.mean) == ("GRAY", pytest.approx(1 / 255), (0.0,))


def test_parameters_of_no_known_network_are_told_to_bring_their_layers(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", **{"own.weight": np.ones((3, 5), np.float32)})
    with pytest.raises(TwinlensError, match="belong to no network") as refused:
        identify(tmp_path / "net.npz")
    assert "bring its layers" in str(refused.value.hint)
