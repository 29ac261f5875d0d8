"""TensorFlow Lite, Core ML and graphs of layers are read by the same code as ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.coreml_fill import pool, settings
from helpers.coreml_protos import add, constant, network, operation, package
from helpers.tflite_files import File
from twinlens.engine.api import registry
from twinlens.engine.api.observations import probabilities
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.answer.answers import answers_of
from twinlens.engine.formats.answer.graph import chart_of_graph
from twinlens.engine.formats.coreml.schema import message
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    Clip,
    Div,
    Flatten,
    GlobalAvgPool2d,
    HardSigmoid,
    Linear,
    LogSoftmax,
    Mul,
    Reshape,
    Sigmoid,
    Softmax,
    Sub,
)
from twinlens.models.identify.resolve import identify

Array = np.ndarray
NAMES = tuple("abcd")
WEIGHT = np.random.default_rng(3).uniform(-9, 9, (4, 3)).astype(np.float32)


def softmax(z: Array) -> Array:
    """``exp(z) / sum(exp(z))``."""
    powers = np.exp(z - z.max())
    return np.asarray(powers / powers.sum())


def sigmoid(z: Array) -> Array:
    """``1 / (1 + exp(-z))``."""
    return np.asarray(1 / (1 + np.exp(-z)))


def doubled(z: Array) -> Array:
    """``sigmoid(2 z)``, which is ``(1 + tanh(z)) / 2``."""
    return sigmoid(2 * z)


def hard(z: Array) -> Array:
    """``clip(z / 6 + 1 / 2, 0, 1)``."""
    return np.asarray(np.clip(z / 6 + 0.5, 0, 1))


def check(path: Path, kind: str, right: Callable[[Array], Array], names: tuple[str, ...]) -> None:
    """Identify a file and hold both engines' answers against NumPy's."""
    given = path.with_name("names")
    given.write_text("\n".join(names), encoding="utf-8")
    net = identify(path, labels=given).network
    assert net.spec.output == kind
    shape = net.spec.recipe.input_shape
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    z = x.astype(np.float64).mean((2, 3))[0] @ WEIGHT.T
    for engine in ("layers-cpu", "vision"):
        try:
            runner = registry.load(net, engine, EngineOptions(threads=1))
        except UnsupportedOperatorError:
            pytest.skip("an operator that the layers lack")
        raw = runner.run(x)
        runner.close()
        wanted = right(z[:1] if raw.size == 1 else z)
        np.testing.assert_allclose(probabilities(raw, net.spec), wanted, atol=1e-5)


# TensorFlow Lite


def lite(path: Path, end: Callable[[File, int], int | tuple[int, ...]], width: int = 4) -> Path:
    """A file whose scores go through whatever ``end`` adds."""
    file = File()
    x = file.tensor("x", (1, 8, 8, 3))
    m, z = file.tensor("m", (1, 3)), file.tensor("z", (1, width))
    axes = file.tensor("axes", (2,), "int32", [1, 2])
    w = file.tensor("w", (width, 3), data=WEIGHT[:width])
    file.operator("MEAN", [x, axes], [m], {0: ("B", 0)})
    file.operator("FULLY_CONNECTED", [m, w, -1], [z], {0: ("b", 0), 1: ("b", 0), 2: ("B", 0)})
    outputs = end(file, z)
    path.write_bytes(file.bytes([x], outputs if isinstance(outputs, tuple) else (outputs,)))
    return path


def steps(*kinds: str, width: int = 4) -> Callable[[File, int], int]:
    """Operators in a row; ``"MUL:100"`` takes a constant, ``"ADD:3:3"`` applies ReLU6 as well."""

    def end(file: File, value: int) -> int:
        for number, text in enumerate(kinds):
            kind, _, rest = text.partition(":")
            by, _, applied = rest.partition(":")
            inputs = [value]
            if by:
                inputs.append(file.tensor(f"by{number}", (), data=float(by)))
            value = file.tensor(f"y{number}", (1, width))
            options = {0: ("f", 1.0)} if kind == "SOFTMAX" else {0: ("b", int(applied or 0))}
            file.operator(kind, inputs, [value], options if by or kind == "SOFTMAX" else None)
        return value

    return end


def spelled(file: File, z: int) -> int:
    """Softmax as EXP, SUM and DIV."""
    e, s, y = (file.tensor(n, (1, k)) for n, k in (("e", 4), ("s", 1), ("y", 4)))
    axis = file.tensor("axis", (1,), "int32", [1])
    file.operator("EXP", [z], [e])
    file.operator("SUM", [e, axis], [s])
    file.operator("DIV", [e, s], [y], {0: ("b", 0)})
    return y


def with_index(file: File, z: int) -> tuple[int, ...]:
    """The index of the best class first."""
    y, n = file.tensor("y", (1, 4)), file.tensor("n", (1,), "int64")
    axis = file.tensor("axis", (), "int32", 1)
    file.operator("SOFTMAX", [z], [y], {0: ("f", 1.0)})
    file.operator("ARG_MAX", [y, axis], [n])
    return n, y


def rounded(file: File, z: int) -> int:
    """Integers at the end."""
    y = file.tensor("y", (1, 4))
    q = file.tensor("q", (1, 4), "uint8", scale=1 / 256)
    file.operator("SOFTMAX", [z], [y], {0: ("f", 1.0)})
    file.operator("QUANTIZE", [y], [q])
    return q


@pytest.mark.parametrize(
    ("end", "kind", "right"),
    [
        (steps("SOFTMAX"), "probabilities", softmax),
        (steps("SOFTMAX", "MUL:100"), "probabilities", softmax),
        (steps("SOFTMAX", "MAXIMUM:0.000001"), "probabilities", softmax),
        (spelled, "probabilities", softmax),
        (rounded, "probabilities", softmax),
        (with_index, "probabilities", softmax),
        (steps("LOG_SOFTMAX"), "log-probabilities", softmax),
        (steps("SOFTMAX", "LOG"), "log-probabilities", softmax),
        (steps("LOG_SOFTMAX", "NEG"), "log-probabilities", softmax),
        (steps("LOGISTIC"), "independent", sigmoid),
        (steps("LOGISTIC", "MUL:255"), "independent", sigmoid),
        (steps("ADD:3", "RELU6", "MUL:0.16666667"), "independent", hard),
        (steps("ADD:3:3", "DIV:6"), "independent", hard),
        (steps("TANH", "MUL:0.5", "ADD:0.5"), "independent", doubled),
        (steps("ADD:0"), "logits", softmax),
    ],
)
def test_lite_answers(
    end: Callable[[File, int], int], kind: str, right: Callable[[Array], Array], tmp_path: Path
) -> None:
    check(lite(tmp_path / "net.tflite", end), kind, right, NAMES)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (steps("LOGISTIC", width=1), "binary"),
        (steps("LOGISTIC", "MUL:100", width=1), "binary"),
        (steps("ADD:0", width=1), "binary-logits"),
    ],
)
def test_one_lite_output(end: Callable[[File, int], int], kind: str, tmp_path: Path) -> None:
    path = lite(tmp_path / "net.tflite", end, width=1)

    def right(z: Array) -> Array:
        return np.concatenate([1 - sigmoid(z), sigmoid(z)])

    check(path, kind, right, ("cat", "dog"))


def test_lite_networks_of_other_tasks_are_named(tmp_path: Path) -> None:
    def boxes(file: File, z: int) -> tuple[int, ...]:
        outputs = [file.tensor(f"o{i}", (1, 10, 4) if i == 0 else (1, 10)) for i in range(3)]
        file.operator("CUSTOM", [z], outputs)
        return tuple(outputs)

    def described(file: File, z: int) -> int:
        y = file.tensor("y", (1, 4))
        file.operator("L2_NORMALIZATION", [z], [y])
        return y

    with pytest.raises(ModelFileError, match="a detector"):
        identify(lite(tmp_path / "boxes.tflite", boxes))
    with pytest.raises(ModelFileError, match="an embedder"):
        identify(lite(tmp_path / "described.tflite", described))


# Core ML


def core(
    path: Path, *layers: tuple[str, Any], width: int = 4, named: bool = False, output: int = -1
) -> Path:
    """A network whose scores go through layers in a row; the last is the answer."""
    model, net = network((3, 6, 5), labels=NAMES[:width])
    model.description.output[0].name = "answer"
    if not named:
        del net.stringLabels.vector[:]
    flat = add(net, "pooling", "picture", fill=pool(1, whole=True))
    dense = settings(inputChannels=3, outputChannels=width, weights=WEIGHT[:width])
    value = add(net, "innerProduct", flat, fill=dense)
    for index, (kind, fill) in enumerate(layers):
        last = index == len(layers) - 1
        value = add(net, kind, value, output="answer" if last else None, fill=fill)
    path.write_bytes(model.SerializeToString())
    return path


def act(kind: str, **values: float) -> tuple[str, Any]:
    """An activation layer."""
    fields = {f"{kind}__{name}": value for name, value in values.items()} or {kind: None}
    return "activation", settings(**fields)


@pytest.mark.parametrize(
    ("layers", "kind", "right"),
    [
        ([("softmax", None)], "probabilities", softmax),
        ([("softmax", None), ("multiply", settings(alpha=100.0))], "probabilities", softmax),
        ([("softmax", None), ("clip", settings(low=1e-7, high=1.0))], "probabilities", softmax),
        ([("softmax", None), ("unary", settings(type=5))], "log-probabilities", softmax),
        ([act("sigmoid")], "independent", sigmoid),
        ([act("sigmoid"), act("linear", alpha=100.0)], "independent", sigmoid),
        ([act("sigmoidHard", alpha=1 / 6, beta=0.5)], "independent", hard),
        (
            [act("tanh"), act("linear", alpha=0.5, beta=0.5)],
            "independent",
            lambda z: sigmoid(2 * z),
        ),
        ([("copy", None)], "logits", softmax),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_core_ml_answers(
    layers: Any, kind: str, right: Callable[[Array], Array], named: bool, tmp_path: Path
) -> None:
    check(core(tmp_path / "net.mlmodel", *layers, named=named), kind, right, NAMES)


def program(folder: Path, *operations: tuple[str, dict[str, float]], width: int = 4) -> Path:
    """An ML Program of the same kind, without a class for its answer."""
    model = message("Model")(specificationVersion=6)
    entry = model.description.input.add(name="picture")
    entry.type.array.shape.extend((1, 3, 6, 5))
    function = message("Function")(opset="CoreML5")
    block = message("Block")()
    constant(block, "axes", (2,), 23, ints=[2, 3])
    constant(block, "keep", (), 1, bools=[0])
    constant(block, "weight", (width, 3), 11, floats=WEIGHT[:width])
    operation(block, "reduce_mean", "m", x="picture", axes="axes", keep_dims="keep")
    operation(block, "linear", "z", x="m", weight="weight")
    value = "z"
    for index, (kind, numbers) in enumerate(operations):
        inputs = {}
        for name, number in numbers.items():
            inputs[name] = f"{name}{index}"
            if name == "axis":
                constant(block, inputs[name], (), 23, ints=[int(number)])
            else:
                constant(block, inputs[name], (), 11, floats=[number])
        first = "y" if "x" in numbers else "x"
        operation(block, kind, f"v{index}", **{first: value}, **inputs)
        value = f"v{index}"
    block.outputs.append(value)
    function.blocks.add(key="CoreML5").value.CopyFrom(block)
    model.mlProgram.functions.add(key="main").value.CopyFrom(function)
    return package(folder, model)


@pytest.mark.parametrize(
    ("operations", "kind", "right"),
    [
        ([("softmax", {"axis": -1})], "probabilities", softmax),
        ([("softmax", {"axis": -1}), ("mul", {"y": 100.0})], "probabilities", softmax),
        ([("softmax", {"axis": -1}), ("log", {})], "log-probabilities", softmax),
        ([("sigmoid", {})], "independent", sigmoid),
        ([("sigmoid", {}), ("sub", {"x": 1.0})], "independent", sigmoid),
        ([("sigmoid_hard", {"alpha": 1 / 6, "beta": 0.5})], "independent", hard),
        ([("add", {"y": 3.0}), ("relu6", {}), ("real_div", {"y": 6.0})], "independent", hard),
        ([("identity", {})], "logits", softmax),
    ],
)
def test_program_answers(
    operations: Any, kind: str, right: Callable[[Array], Array], tmp_path: Path
) -> None:
    path = program(tmp_path / "net.mlpackage", *operations)
    check(path, kind, right, NAMES)


# Graphs of layers


def test_a_graph_of_layers_is_read_alike() -> None:
    def kind(*layers: Any, width: int = 4) -> str:
        nodes = [
            Node("pool", GlobalAvgPool2d(), ("x",), "pool"),
            Node("flat", Flatten(), ("pool",), "flat"),
            Node("z", Linear(WEIGHT[:width]), ("flat",), "z"),
        ]
        constants = {}
        for index, given in enumerate(layers):
            layer, *numbers = given if isinstance(given, tuple) else (given,)
            inputs = [nodes[-1].output]
            if numbers:
                inputs.append(f"c{index}")
                constants[f"c{index}"] = np.asarray(numbers[0], np.float32)
            nodes.append(Node(f"v{index}", layer, tuple(inputs), f"v{index}"))
        graph = Graph("net", {"x": (1, 3, 8, 8)}, [nodes[-1].output], nodes, constants=constants)
        best = answers_of(chart_of_graph(graph)).best
        assert best is not None
        assert best.width == width
        return best.kind

    assert kind(Softmax()) == "probabilities"
    assert kind(Softmax(), Clip(1e-7, 1.0), Reshape((1, 1, 4))) == "probabilities"
    assert kind(Softmax(), (Mul(), 100)) == "probabilities"
    assert kind(LogSoftmax()) == "log-probabilities"
    assert kind(Sigmoid()) == "independent"
    assert kind(HardSigmoid(), (Sub(), 0.0)) == "independent"
    assert kind((Add(), 3), Clip(0, 6), (Div(), 6)) == "independent"
    assert kind(Sigmoid(), width=1) == "binary"
    assert kind(width=1) == "binary-logits"
    assert kind() == "logits"
