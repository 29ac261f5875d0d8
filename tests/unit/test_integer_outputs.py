"""A network that ends in integers is read as what they are worth, on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from twinlens.engine.api import registry
from twinlens.engine.api.observations import probabilities
from twinlens.engine.api.protocol import EngineOptions
from twinlens.models.identify.resolve import resolve

SCALE, KINDS = np.float32(0.05), {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
KINDS |= {"uint16": TensorProto.UINT16}
ORT = "com.microsoft"


def _network(path: Path, ending: str, dtype: str, zero: int) -> Path:
    rng, weights = np.random.default_rng(0), []

    def const(array: object) -> str:
        weights.append(numpy_helper.from_array(np.asarray(array), f"c{len(weights)}"))
        return str(weights[-1].name)

    step = [const(SCALE), const(np.asarray(zero, dtype))]
    bytes_ = [const(np.float32(0.02)), const(np.uint8(128))]
    nodes = [
        helper.make_node("Conv", ["x", const(rng.normal(0, 1, (6, 3, 3, 3)).astype("f4"))], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
    ]
    matrix = rng.normal(0, 1, (6, 10)).astype(np.float32)
    if ending == "QLinearMatMul":
        stored = [const((matrix * 40).astype(np.int8)), const(np.float32(0.02)), const(np.int8(0))]
        nodes.append(helper.make_node("QuantizeLinear", ["f", *bytes_], ["q"]))
        nodes.append(helper.make_node("QLinearMatMul", ["q", *bytes_, *stored, *step], ["y"]))
    else:
        nodes.append(helper.make_node("MatMul", ["f", const(matrix)], ["m" if zero else "r"]))
        if not zero:  # steps of what lies between 0 and 1, without a zero point
            nodes.append(helper.make_node("Sigmoid", ["r"], ["m"]))
        domain = ORT if dtype == "uint16" else ""
        given = step if zero or dtype != "uint8" else step[:1]
        nodes.append(helper.make_node("QuantizeLinear", ["m", *given], ["y"], domain=domain))
    if ending == "Reshape":
        nodes.append(helper.make_node("Reshape", ["y", const(np.array([1, 1, 10]))], ["z"]))
        nodes.append(helper.make_node("Flatten", ["z"], ["out"]))
    elif ending == "QLinearSoftmax":
        more = [*step, const(np.float32(1 / 256)), const(np.asarray(0, dtype))]
        nodes.append(
            helper.make_node("QLinearSoftmax", ["y", *more], ["out"], domain=ORT, opset=13)
        )
    else:
        nodes[-1].output[0] = "out"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", KINDS[dtype], [1, 10])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ORT, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize(
    ("ending", "dtype", "zero"),
    [
        ("QLinearMatMul", "uint8", 100),
        ("QuantizeLinear", "uint8", 0),
        ("QuantizeLinear", "int8", -7),
        ("QuantizeLinear", "uint16", 30000),
        ("Reshape", "int8", 3),
        ("QLinearSoftmax", "uint8", 90),
    ],
)
def test_integers_at_the_end_are_read_as_what_they_are_worth(
    ending: str, dtype: str, zero: int, engine: str, tmp_path: Path
) -> None:
    path = _network(tmp_path / "net.onnx", ending, dtype, zero)
    x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32)
    (steps,) = ort.InferenceSession(path).run(None, {"x": x})
    scale, start = (1 / 256, 0) if ending == "QLinearSoftmax" else (float(SCALE), zero)
    wanted = (steps.reshape(-1).astype(np.float64) - start) * scale
    network = resolve(path)
    runner = registry.load(network, engine, EngineOptions(threads=1))
    try:
        answer = runner.run(x)
    finally:
        runner.close()
    # Engines may leave the rounding out, or round what lies between two steps the other way.
    assert np.abs(answer - wanted).max() <= scale * 1.01
    if ending == "QLinearMatMul" and engine == "vision":
        np.testing.assert_allclose(answer, wanted, atol=1e-6)
    kinds = {
        "QLinearSoftmax": "probabilities",
        "QuantizeLinear": "logits" if zero else "independent",
    }
    assert network.spec.output == kinds.get(ending, "logits")
    if not network.spec.independent:
        assert probabilities(answer, network.spec).sum() == pytest.approx(1, abs=0.05)
