"""Graphs as Python: clean code, the same answers, repeats written once, names that are safe."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import quantization

from helpers.all_layers import all_layers, odd_spec
from helpers.generated import (
    assemble,
    assert_clean,
    assert_same_answers,
    load_module,
    spec_of,
    tflite_graph,
    write_module,
)
from helpers.onnx_nets import NETS, save
from twinlens.engine import layers as kinds
from twinlens.engine.errors import (
    ModelError,
    ParameterError,
)
from twinlens.engine.formats import graph_from_onnx, load_onnx
from twinlens.engine.formats.python import python_module
from twinlens.engine.formats.python.names import class_name, layer_name, module_name, plain_text
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.params import OWN, open_parameters
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve
from twinlens.models.networks.assembly import random_parameters
from twinlens.models.networks.published import NETWORKS

HAND = ("mnist", "squeezenet-1.1", "resnet-18", "inception-v3", "mobilenet-v3-small")


class _Noise(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self._rest = iter([{name: rng.uniform(-1, 1, shape).astype(np.float32)} for _ in range(3)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


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
    found["default"] = load_onnx(resolve(EMBEDDED_MODEL).path)
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
