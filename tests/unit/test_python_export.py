"""Graphs as Python: clean code, the same answers, repeats written once, names that are safe."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import quantization

from helpers.generated import (
    assemble,
    assert_clean,
    assert_same_answers,
    load_module,
    write_module,
)
from helpers.onnx_nets import NETS, save
from helpers.tflite_cases import CASES
from twinlens.engine import layers as kinds
from twinlens.engine.errors import (
    LabelError,
    ModelError,
    ModelFileError,
    ParameterError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats import graph_from_onnx, load_graph, load_onnx
from twinlens.engine.formats.python import python_module
from twinlens.engine.formats.python.names import class_name, layer_name, module_name, plain_text
from twinlens.engine.formats.tflite_file import parse_tflite
from twinlens.engine.formats.tflite_import import graph_from_tflite
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.image import CropAndScale, PixelBuffer, Recipe
from twinlens.engine.params import OWN, open_parameters
from twinlens.engine.protocol import ModelSpec
from twinlens.models.assembly import random_parameters
from twinlens.models.catalog import DEFAULT_MODEL, resolve
from twinlens.models.networks import NETWORKS

HAND = ("mnist", "squeezenet-1.1", "resnet-18", "inception-v3", "mobilenet-v3-small")


def spec_of(graph: Graph, title: str = "Some net", labels: int = 0) -> ModelSpec:
    """A model around a graph; its recipe has the size of the input where that is a picture."""
    shape = next(iter(graph.inputs.values()))
    recipe = Recipe(8, 8)
    if len(shape) == 4 and shape[1] in (1, 3):
        grey = {"color": "GRAY", "mean": (0.0,), "std": (1.0,)} if shape[1] == 1 else {}
        recipe = Recipe(shape[3], shape[2], scale=1 / 255, **grey)
    names = tuple(f"class {number}" for number in range(labels))
    return ModelSpec("net", title, Path("net.onnx"), recipe, names)


class _Noise(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self._rest = iter([{name: rng.uniform(-1, 1, shape).astype(np.float32)} for _ in range(3)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


def tflite_graph(name: str) -> Graph:
    """One of the small TensorFlow Lite files."""
    return graph_from_tflite(parse_tflite(CASES[name]().data, name))


def quantised(folder: Path) -> Graph:
    """A ResNet-like network as ONNX Runtime's quantiser writes it."""
    source = save(NETS["squeezenet"](), folder / "float.onnx")
    target = folder / "qdq.onnx"
    reader = _Noise("image", (1, 3, 35, 35))
    form = quantization.QuantFormat.QDQ
    quantization.quantize_static(str(source), str(target), reader, form, per_channel=True)
    return load_onnx(target)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Graph]:
    """Networks of every family, by the name of their module."""
    folder = tmp_path_factory.mktemp("sources")
    found = {f"like_{name}": graph_from_onnx(build()) for name, build in NETS.items()}
    found["default"] = load_onnx(resolve(DEFAULT_MODEL).path)
    found["tflite"] = tflite_graph("quantized_uint8")
    found["tflite_int8"] = tflite_graph("quantized_int8_per_channel")
    found["qdq"] = quantised(folder)
    return found


@pytest.fixture(scope="module")
def modules(graphs: dict[str, Graph], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as modules, all in one folder."""
    folder = tmp_path_factory.mktemp("modules")
    return {
        name: write_module(graph, spec_of(graph, name, 10), folder, name)
        for name, graph in graphs.items()
    }


NAMES = [*(f"like_{name}" for name in NETS), "default", "tflite", "tflite_int8", "qdq"]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_gives_the_answers_of_its_source(
    graphs: dict[str, Graph], modules: dict[str, Path], name: str
) -> None:
    assert_same_answers(graphs[name], assemble(modules[name]))


@pytest.mark.skipif(sys.platform == "win32", reason="mypy finds the sources by a link")
def test_modules_pass_ruff_and_strict_mypy(modules: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("ruff", reason="ruff is not installed")
    pytest.importorskip("mypy", reason="mypy is not installed")
    for path in modules.values():
        shutil.copy(path, tmp_path)
    for name in HAND:
        graph = NETWORKS[name].build()
        graph = NETWORKS[name].build(random_parameters(graph), naming=OWN)
        stem = module_name(name)
        text = python_module(graph, spec_of(graph, NETWORKS[name].title), stem).text
        (tmp_path / f"{stem}.py").write_text(text, encoding="utf-8")
    odd = all_layers()
    (tmp_path / "odd.py").write_text(python_module(odd, odd_spec(odd), "odd").text, "utf-8")
    assert_clean(tmp_path)


@pytest.mark.parametrize("name", HAND)
def test_hand_assembled_networks_come_back_short(name: str, tmp_path: Path) -> None:
    graph = NETWORKS[name].build()
    graph = NETWORKS[name].build(random_parameters(graph), naming=OWN)
    path = write_module(graph, spec_of(graph, NETWORKS[name].title), tmp_path, "net")
    again = assemble(path)
    assert again.parameter_count == graph.parameter_count
    assert again.macs == graph.macs
    assert [type(n.layer) for n in optimize(again).nodes] == [
        type(n.layer) for n in optimize(graph).nodes
    ]
    # Names stay, so that the parameters fit the network that was written by hand as well.
    NETWORKS[name].build(open_parameters(path.with_suffix(".safetensors")), naming=OWN)


def network_lines(path: Path) -> list[str]:
    """The functions that assemble the network."""
    text = path.read_text(encoding="utf-8")
    start, end = text.index("\n\n\ndef "), text.index("\n\n\ndef model()")
    return [line for line in text[start:end].splitlines() if line.strip()]


def test_repeated_blocks_are_functions_and_rows_of_them_loops(modules: dict[str, Path]) -> None:
    lines = network_lines(modules["default"])
    text = "\n".join(lines)
    # 66 layers, activations counted with what they follow.
    assert len(lines) < 60
    assert sum(line.startswith("def _") for line in lines) == 2
    assert "def _residual(net: Builder, x: str, name: str, outputs1: int, outputs2: int)" in text
    assert '    return net.add(f"{name}add", Add(), x, y)' in lines
    at = lines.index("    for number in range(8, 11):")
    assert lines[at + 1] == '        x = _residual(net, x, f"block{number}_", 384, 64)'


def test_a_network_without_repeats_is_one_line_a_layer(modules: dict[str, Path]) -> None:
    lines = network_lines(modules["like_mnist"])
    assert not any(line.startswith("def _") for line in lines)
    assert sum("net." in line for line in lines) >= 10


def chain(names: list[str], *, size: int = 3) -> Graph:
    """A row of residual blocks: two convolutions and a sum, named as given."""
    rng = np.random.default_rng(0)
    nodes, x = [], "x"
    for first, second, add in zip(*[iter(names)] * 3, strict=True):
        weights = [rng.standard_normal((4, 4, size, size), np.float32) / 6 for _ in range(2)]
        pads = (size // 2,) * 4
        nodes.append(Node(first, kinds.Conv2d(weights[0], pads=pads), (x,), first, kinds.ReLU()))
        nodes.append(Node(second, kinds.Conv2d(weights[1], pads=pads), (first,), second))
        nodes.append(Node(add, kinds.Add(), (second, x), add, kinds.ReLU()))
        x = add
    return Graph("net", {"x": (1, 4, 6, 6)}, [x], nodes)


def test_names_without_a_common_form_are_made_anew(tmp_path: Path) -> None:
    graph = chain([f"node_{number * 7 % 31}" for number in range(15)])
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    assert_same_answers(graph, assemble(path))
    text = path.read_text(encoding="utf-8")
    assert "for number in range(1, 6):" in text
    assert 'f"block{number}_"' in text
    assert "node_" not in text


def test_new_names_do_not_meet_the_models_own(tmp_path: Path) -> None:
    names = [f"block{(number * 7) % 12}_x" for number in range(12)]
    graph = chain(names)
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    assert_same_answers(graph, assemble(path))


def test_constants_in_runs_are_shared_or_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes, x = [], "x"
    constants = {"half": np.float32(0.5).reshape(())}
    for number in range(4):
        constants[f"c{number}"] = rng.standard_normal((3 if number else 1, 1, 1), np.float32)
        a, b, c = (f"{kind}{number}" for kind in ("mul", "add", "tanh"))
        nodes.append(Node(a, kinds.Mul(), (x, "half"), a))
        nodes.append(Node(b, kinds.Add(), (a, f"c{number}"), b))
        nodes.append(Node(c, kinds.Tanh(), (b,), c))
        x = c
    graph = Graph("net", {"x": (1, 3, 4, 4)}, [x], nodes, constants=constants)
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    assert_same_answers(graph, assemble(path))


def test_long_networks_are_cut_into_parts(tmp_path: Path) -> None:
    """A value that is made at the start and read at the end goes through all of them."""
    layers = [kinds.Tanh(), kinds.Softsign(), kinds.Sigmoid(), kinds.Mish(), kinds.Softplus()]
    rng = np.random.default_rng(3)
    nodes = [Node("first", kinds.Tanh(), ("x",), "first"), Node("e", kinds.Erf(), ("x",), "e")]
    value = "first"
    for number, kind in enumerate(rng.integers(0, len(layers), 120)):
        name = f"n{number}"
        nodes.append(Node(name, layers[kind], (value,), name))
        value = name
    nodes.append(Node("end", kinds.Concat(), (value, "first", "e"), "end"))
    graph = Graph("net", {"x": (1, 3, 4, 4)}, ["end", "n60"], nodes)
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    text = path.read_text(encoding="utf-8")
    assert "def _part2(" in text
    assert_same_answers(graph, assemble(path))
    for function in text.split("\n\n\ndef ")[1:]:
        assert function.count("\n    ") < 60


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_operator_of_tflite(name: str, tmp_path: Path) -> None:
    graph = tflite_graph(name)
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    assert_same_answers(graph, assemble(path))


def all_layers() -> Graph:
    """Every layer, with settings that are not the usual ones."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)

    scale, zero = np.full(4, 0.25, np.float32), np.full(4, 3, np.int8)
    picture = [
        kinds.Conv2d(array(4, 2, 3, 2), array(4), groups=2, pads=(1, 0, 1, 1), dilation=(1, 1)),
        kinds.DepthwiseConv2d(array(8, 1, 1, 3), pads=(0, 1, 0, 1), multiplier=2),
        kinds.Conv2d(array(4, 8, 1, 1), None, stride=(1, 1)),
        kinds.ConvTranspose2d(array(4, 2, 2, 2), array(4), groups=2, output_padding=(1, 0)),
        kinds.BatchNorm2d(array(4), array(4), array(4), array(4), epsilon=1e-3),
        kinds.InstanceNorm2d(array(4), array(4), epsilon=1e-2),
        kinds.LocalResponseNorm(3, alpha=0.5, beta=0.5, bias=2.0),
        kinds.PReLU(array(4, 1, 1)),
        kinds.MaxPool2d((2, 3), stride=(1, 2), pads=(1, 0, 0, 1), ceil_mode=True),
        kinds.AvgPool2d((2, 2), pads=(1, 0, 0, 1), count_include_pad=True),
        kinds.QuantizeLinear(scale, zero),
        kinds.DequantizeLinear(scale, zero),
        kinds.QuantizeLinear(np.float32(0.25), dtype=np.int8),
        kinds.DequantizeLinear(np.float32(0.5)),
        kinds.Resize(sizes=(7, 9), axes=(2, 3), mode="linear", coordinates="align_corners"),
        kinds.Resize(scales=(1.0, 1.0, 2.0, 1.5)),
        kinds.Pad(((0, 0), (0, 0), (1, 0), (0, 2)), value=0.5),
        kinds.Pad(((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"),
        kinds.Transpose((0, 1, 3, 2)),
        kinds.Transpose(),
        kinds.Transpose(),
        *(kinds.ReLU(), kinds.ReLU6(), kinds.Clip(-1.0, 4.0), kinds.Clip(maximum=5.0)),
        *(kinds.LeakyReLU(0.2), kinds.ThresholdedReLU(0.1), kinds.ELU(0.5), kinds.CELU(2.0)),
        *(kinds.SELU(1.5, 1.1), kinds.HardSigmoid(0.3, 0.4), kinds.HardSwish(), kinds.SiLU(2.0)),
        *(kinds.Mish(), kinds.GELU("tanh"), kinds.Erf(), kinds.Tanh(), kinds.Softplus()),
        *(kinds.Softsign(), kinds.Sigmoid(), kinds.Dropout(0.1), kinds.Identity()),
        *(kinds.Clip(0.0, float("inf")), kinds.Softmax(1), kinds.LogSoftmax(-1)),
        *(kinds.Unsqueeze((0,)), kinds.Squeeze((0,)), kinds.ReduceMean((2,), keep_dims=True)),
        *(kinds.Reshape((1, 4, -1)), kinds.Flatten(2), kinds.Reshape((1, 4, 0, 1))),
    ]
    # Reshape with 0 copies a size; here the third is the product that Flatten made.
    picture[-1] = kinds.Reshape((1, 4, -1, 1))
    nodes, x = [], "x"
    for number, layer in enumerate(picture):
        name = f"{layer.kind}{number}"
        nodes.append(Node(name, layer, (x,), name))
        x = name
    constants = {"c": array(4, 1, 1), "m": array(4, 3), "bias": array(1, 3)}
    for number, binary in enumerate((kinds.Add(), kinds.Sub(), kinds.Mul(), kinds.Div())):
        name = f"binary{number}"
        nodes.append(Node(name, binary, (x, "c"), name))
        x = name
    more = [
        ("fixed", kinds.Constant(array(1, 4, 17, 1)), ()),
        ("joined", kinds.Concat(axis=-1), (x, "fixed")),
        ("most", kinds.GlobalMaxPool2d(), ("joined",)),
        ("mean", kinds.GlobalAvgPool2d(), ("joined",)),
        ("sum", kinds.Add(), ("most", "mean")),
        ("flat", kinds.Flatten(), ("sum",)),
        ("gemm", kinds.Gemm(alpha=0.5, beta=2.0), ("flat", "m", "bias")),
        ("product", kinds.MatMul(), ("flat", "m")),
        ("linear", kinds.Linear(array(5, 3), None), ("gemm",)),
    ]
    nodes += [Node(name, layer, tuple(inputs), name) for name, layer, inputs in more]
    outputs = ["linear", "product"]
    return Graph("all", {"x": (1, 4, 6, 5)}, outputs, nodes, constants=constants)


def odd_spec(graph: Graph) -> ModelSpec:
    """Settings that are not the usual ones, and a title that has to be tamed."""
    recipe = Recipe(
        5,
        6,
        crop_and_scale=CropAndScale.SCALE_FIT,
        color="BGR",
        scale=-1e-05,
        interpolation="nearest",
        padding=3,
    )
    # Wide letters count twice.
    title = '日本語 Ünïcode "quoted" \\back\\ \u202eright-to-left\u202c\n"""end""" {braces} 🦆' * 2
    return ModelSpec("odd", title, Path("odd.onnx"), recipe, (), 1, "logits")


def test_every_layer_has_a_python_form(tmp_path: Path) -> None:
    graph = all_layers()
    used = {type(node.layer).__name__ for node in graph.nodes}
    layers = {
        name
        for name in kinds.__all__
        if isinstance(getattr(kinds, name), type) and issubclass(getattr(kinds, name), kinds.Layer)
    }
    assert layers - used == {"Layer", "Activation"}
    path = write_module(graph, odd_spec(graph), tmp_path, "odd")
    assert_same_answers(graph, assemble(path))
    module = load_module(path)
    assert odd_spec(graph).recipe == module.RECIPE
    assert (module.model().background_outputs, module.model().output) == (1, "logits")
    # Without labels a class is called by its number, the background left out.
    assert module.model().labels == ("0", "1", "2", "3")


def test_a_layer_of_somebody_else_is_named() -> None:
    class Odd(kinds.Tanh):
        pass

    graph = Graph("net", {"x": (1, 3)}, ["y"], [Node("n", Odd(), ("x",), "y")])
    with pytest.raises(UnsupportedOperatorError, match="net: no Python form of Odd"):
        python_module(graph, spec_of(graph), "net")


def test_an_output_that_is_a_constant_is_refused() -> None:
    node = Node("n", kinds.Add(), ("c", "c"), "y")
    constants = {"c": np.ones((1, 3), np.float32)}
    graph = Graph("net", {"x": (1, 3)}, ["y"], [node], constants=constants)
    with pytest.raises(UnsupportedOperatorError, match="output 'y' is a constant"):
        python_module(graph, spec_of(graph), "net")


@pytest.mark.parametrize(
    ("names", "inputs"),
    [
        (["a", "a_weight", "x/y", "x y", "x_y", "größe", "日本", "", 'say "hi"', "{name}"], "x"),
        (["a\nb", "a\\b", "'", "None", "class", "import os", "n" * 300, "p/" * 99, "0", "1"], "名"),
    ],
)
def test_names_of_layers_are_made_safe(names: list[str], inputs: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.5, 1, 3).astype(np.float32)
    nodes, value = [], inputs
    for number, name in enumerate(names):
        layer: kinds.Layer = kinds.QuantizeLinear(np.float32(0.1), np.uint8(3 + number))
        if number % 2 == 0:
            weight = rng.standard_normal((3, 3, 1, 1), np.float32)
            layer = kinds.Conv2d(weight, scale, weight_scale=scale)
        else:
            nodes.append(Node(f"{name}!", layer, (value,), f"{name}!"))
            value = f"{name}!"
            layer = kinds.DequantizeLinear(np.float32(0.1), np.uint8(number))
        nodes.append(Node(name or "?", layer, (value,), name or "?"))
        value = name or "?"
    graph = Graph("net", {inputs: (1, 3, 4, 4)}, [value], nodes)
    path = write_module(graph, spec_of(graph, "None"), tmp_path, "net")
    assert_same_answers(graph, assemble(path))
    text = path.read_text(encoding="utf-8")
    assert text.isascii()
    assert "class NoneModel:" in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("MobileNet-v2", "MobileNetV2"),
        ("mobile net, uint8", "MobileNetUint8"),
        ("3D net", "Model3DNet"),
        ("", "Model"),
        ("日本語", "Model"),
        ("Größe", "Groe"),
        ("class", "Class"),
        ("true", "TrueModel"),
        ("MNIST", "Mnist"),
        ("Path", "PathModel"),
        ("exception", "ExceptionModel"),
        ("Conv2d", "Conv2dModel"),
    ],
)
def test_classes_get_valid_names(title: str, expected: str) -> None:
    name = class_name(title, {"Path", "Conv2d"})
    assert name == expected
    assert name.isidentifier()


def test_other_names_are_made_valid() -> None:
    assert module_name("mobilenet-v2.1") == "mobilenet_v2_1"
    assert module_name("2nd") == "model_2nd"
    assert module_name("class") == "model_class"
    assert module_name("日本") == "model"
    assert layer_name("a b/ç\"'") == "a_b/c_"
    assert plain_text('a "b"\n\\c\u202e') == "a 'b' /c"
    assert plain_text("") == "Model"
    assert len(plain_text("x" * 500)) == 60


@pytest.mark.parametrize("stem", ["mobilenet-v2", "2nd", "class", "a b", ""])
def test_files_that_cannot_be_imported_are_refused(graphs: dict[str, Graph], stem: str) -> None:
    graph = graphs["like_mnist"]
    with pytest.raises(ModelError, match="cannot be imported") as caught:
        python_module(graph, spec_of(graph), stem)
    assert caught.value.hint.startswith("Try ")


def test_parameters_are_loaded_strictly(modules: dict[str, Path]) -> None:
    path = modules["like_mnist"]
    assemble_it = load_module(path).assemble
    arrays = dict(open_parameters(path.with_suffix(".safetensors")))
    weight = next(name for name in arrays if name.endswith("_weight"))
    bias = next(name for name in arrays if name.endswith("_bias"))
    del arrays[bias]
    arrays[weight] = arrays[weight][..., :1]
    arrays["left over"] = np.ones(3, np.float32)
    with pytest.raises(ParameterError) as caught:
        assemble_it(arrays)
    told = str(caught.value)
    assert "1 missing, 1 not expected, 1 of the wrong shape or type" in told
    assert all(name in told for name in (weight, bias, "left over"))


def test_integers_stay_integers(modules: dict[str, Path]) -> None:
    arrays = dict(open_parameters(modules["tflite"].with_suffix(".safetensors")))
    zeros = [name for name in arrays if name.endswith("_zero_point")]
    assert zeros
    assert {arrays[name].dtype for name in zeros} == {np.dtype(np.uint8)}
    arrays[zeros[0]] = arrays[zeros[0]].astype(np.float32)
    with pytest.raises(ParameterError, match="wrong shape or type"):
        load_module(modules["tflite"]).assemble(arrays)


@pytest.fixture(scope="module")
def default_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model as Python, with its labels."""
    spec = resolve(DEFAULT_MODEL)
    folder = tmp_path_factory.mktemp("default")
    return write_module(load_graph(spec), spec, folder, "mobilenet")


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_the_class_says_what_the_model_says(default_module: Path, engine: str) -> None:
    from twinlens.engine import ClassificationRequest, ImageRequestHandler, Model

    pixels = np.random.default_rng(5).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    with Model(resolve(DEFAULT_MODEL)) as model:
        request = ClassificationRequest(model)
        ImageRequestHandler(pixels).perform([request])
        expected = request.results
    with load_module(default_module).MobileNetV2(engine) as network:
        prediction = network.prediction(pixels)
        assert prediction.class_label == expected[0].identifier
        probs = prediction.class_label_probs
        assert len(probs) == 1000
        assert next(iter(probs)) == prediction.class_label
        assert list(probs.values()) == sorted(probs.values(), reverse=True)
        for one in expected:
            assert probs[one.identifier] == pytest.approx(one.confidence, abs=1e-5)
        buffer = PixelBuffer.from_array(pixels)
        assert network.prediction(buffer) == prediction


def test_the_class_reads_files_and_loads_when_it_is_asked(
    default_module: Path, tmp_path: Path
) -> None:
    import cv2

    pixels = np.random.default_rng(5).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    picture = tmp_path / "noise.png"
    cv2.imwrite(str(picture), pixels)
    alone = Path(shutil.copy(default_module, tmp_path))
    network = load_module(alone).MobileNetV2("layers-cpu")  # nothing beside it, nothing loaded
    with pytest.raises(LabelError, match=r"mobilenet\.toml: does not exist"):
        network.prediction(picture)
    shutil.copy(default_module.with_suffix(".toml"), tmp_path)
    with pytest.raises(ModelFileError, match=r"mobilenet\.safetensors"):
        network.prediction(picture)
    shutil.copy(default_module.with_suffix(".safetensors"), tmp_path)
    first = network.prediction(picture)
    network.close()
    assert network.prediction(str(picture)) == first
    assert network.prediction(picture.read_bytes()) == first
    network.close()
    network.close()


def test_labels_that_are_missing_in_the_file_are_told(tmp_path: Path) -> None:
    from twinlens.engine.predictor import labels_beside

    (tmp_path / "net.toml").write_text('title = "Net"\n', encoding="utf-8")
    with pytest.raises(LabelError, match="has no labels"):
        labels_beside(tmp_path / "net.safetensors")


def test_the_readme_shows_what_is_written(default_module: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```python\ndef ", 1)[1].split("\n```", 1)[0]
    assert f"def {shown}\n" in default_module.read_text(encoding="utf-8")
