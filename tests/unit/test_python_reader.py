"""Generated Python is read as data: what was written comes back, and nothing is ever run."""

from __future__ import annotations

import pytest

from helpers.all_layers import all_layers, odd_spec
from helpers.generated import assert_same_answers, load_module, spec_of, tflite_graph
from helpers.onnx_nets import NETS, save
from helpers.onnx_small import CASES
from helpers.tflite_cases import CASES as TFLITE
from twinlens.app.cli import main
from twinlens.engine.errors import ModelError, ModelFileError, TwinlensError
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.formats.python import python_module, read_module, read_text
from twinlens.engine.params import open_parameters, renamed
from twinlens.models.identify.resolve import resolve

HEAD = (
    "def assemble(parameters):\n    net = Builder('n', parameters)\n    x = net.input('x', 1, 3)\n"
)


def _back(graph, spec):
    module = python_module(graph, spec, "net")
    return read_text(module.text, "net.py")(module.arrays)


def test_every_layer_is_read_back():
    graph = all_layers()
    assert_same_answers(graph, _back(graph, odd_spec(graph)))


@pytest.mark.parametrize("name", sorted(NETS))
def test_networks_are_read_back(name):
    graph = graph_from_onnx(NETS[name]())
    assert_same_answers(graph, _back(graph, spec_of(graph)), exact=False)


@pytest.mark.parametrize("name", ["attention", "class_token", "operators_of_integers"])
def test_operators_are_read_back(name):
    graph = graph_from_onnx(CASES[name]())
    assert_same_answers(graph, _back(graph, spec_of(graph)), exact=False)


def test_quantisers_are_read_back():
    graph = tflite_graph("quantized_int8_per_channel")
    assert_same_answers(graph, _back(graph, spec_of(graph)))


@pytest.mark.parametrize(
    "body",
    [
        "import os",
        "__import__('os').system('true')",
        "x = open('/etc/passwd')",
        "x = net.__class__",
        "x = net.add.__globals__",
        "x = (lambda: 1)()",
        "x = [y for y in range(3)]",
        "while True:\n        pass",
        "for i in range(10000000000):\n        x = i",
        "x = net._taker",
        "x = net.add('a', Layer(), x)",
        "x = eval('1')",
        "x = 2 ** 99999999",
        "x = assemble(parameters)",
        "x = f'{parameters}'",
        "x = net.parameter('w', 100000, 100000, 100000)",
        "x = net.linear('w', x, 10000000000)",
        "x = net.add('a', Tile((1, 1000000000000)), x)\n    return net.graph(x)",
        "del x",
        "global y",
        "class A:\n        pass",
        "x, y = 1, 2, 3",
        "x = net.add(*x)",
        "x = net.add(**x)",
        "pass",
    ],
)
def test_anything_else_is_refused(body):
    with pytest.raises(TwinlensError):
        read_text(f"{HEAD}    {body}\n", "net.py")({})


@pytest.mark.parametrize("text", ["", "(" * 5000, "\0", "def assemble(: pass", "x = 1"])
def test_text_that_assembles_nothing_is_refused(text):
    with pytest.raises(ModelFileError):
        read_text(text, "net.py")({})


def test_functions_that_call_themselves_are_refused():
    text = f"def _a(net):\n    return _a(net)\n{HEAD}    return _a(net)\n"
    with pytest.raises(ModelFileError, match="without an end"):
        read_text(text, "net.py")({})


def test_arrays_that_are_stored_by_other_names_are_found(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(TFLITE["quantized_int8_per_channel"]().data)
    (tmp_path / "net.labels.txt").write_text("a\nb\nc\nd\ne\nf\n", encoding="utf-8")
    for target, module in (("out.npz", "out.py"), ("folder", "folder/model.py")):
        assert main(["convert", str(path), str(tmp_path / target)]) == 0
        parameters = open_parameters(tmp_path / target)
        assert "x/quantize_scale" in parameters
        back = assemble(tmp_path, target, module)
        assert_same_answers(tflite_graph("quantized_int8_per_channel"), back)


def assemble(folder, target, module):
    """By our reader, and by Python itself."""
    graph = read_module(folder / module)(open_parameters(folder / target))
    made = load_module(folder / module)
    arrays = renamed(open_parameters(made.PARAMETERS), made.NAMES)
    assert_same_answers(graph, made.assemble(arrays))
    return graph


@pytest.mark.parametrize("target", ["net.safetensors", "my net.npz", "net"])
@pytest.mark.parametrize("order", ["OHWI", "HWIO"])
def test_what_is_converted_from_an_unknown_network_opens_again(tmp_path, target, order):
    source = save(NETS["squeezenet"](), tmp_path / "source.onnx")
    names = "".join(f"thing {number}\n" for number in range(10))
    (tmp_path / "source.labels.txt").write_text(names, encoding="utf-8")
    more = ["--order", order] if target == "net" else []
    assert main(["convert", str(source), str(tmp_path / target), *more]) == 0
    one, other = resolve(source), resolve(tmp_path / target)
    assert other.spec.recipe == one.spec.recipe
    assert other.spec.labels == one.spec.labels
    assert_same_answers(one.graph, other.graph, exact=False)
    module = tmp_path / target / "model.py" if target == "net" else tmp_path / target
    assert module.with_suffix(".py").is_file()


def test_parameters_of_an_unknown_network_without_a_module_are_refused(tmp_path):
    source = save(NETS["squeezenet"](), tmp_path / "source.onnx")
    names = "".join(f"thing {number}\n" for number in range(10))
    (tmp_path / "source.labels.txt").write_text(names, encoding="utf-8")
    assert main(["convert", str(source), str(tmp_path / "net.npz")]) == 0
    module = tmp_path / "net.py"
    kept = module.read_text(encoding="utf-8")
    module.write_text(kept + "\nopen('ran', 'w')\n", encoding="utf-8")
    # What stands outside the functions is neither run nor read.
    assert resolve(tmp_path / "net.npz").graph.name
    assert not (tmp_path / "ran").exists()
    module.write_text(kept.replace("    net = Builder", "    open('ran')\n    net = Builder"))
    with pytest.raises(ModelFileError, match=r"net\.py: line \d+ has a statement"):
        resolve(tmp_path / "net.npz")
    module.unlink()
    with pytest.raises(ModelError, match="belong to no network that is known"):
        resolve(tmp_path / "net.npz")
