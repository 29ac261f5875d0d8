"""Whole networks: the layers against ONNX Runtime, float32 against float64, passes on and off."""

import os
from pathlib import Path

import numpy as np
import pytest

from helpers.onnx_nets import NETS
from twinlens.engine.formats import graph_from_onnx, load_onnx
from twinlens.engine.graph import optimize

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "models" / "weights" / "twinlens_208.onnx"

# Largest difference, as a share of the largest value.
AGAINST_ONNX_RUNTIME = 1e-4
AGAINST_DOUBLE = 1e-5


def _distance(answer, expected):
    return float(np.abs(answer - expected).max() / np.abs(expected).max())


def _picture(graph, seed=0):
    ((name, shape),) = graph.inputs.items()
    return {name: np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)}


def _onnx_runtime(model, inputs):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def _test_data(name):
    folder = os.environ.get("TWINLENS_TEST_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"TWINLENS_TEST_DATA does not lead to {name}")
    return Path(folder) / name


@pytest.fixture(params=["default", "mobilenet_v2"])
def real_model(request):
    if request.param == "default":
        return DEFAULT
    return _test_data("models/mobilenet_v2_1.0_224.onnx")


@pytest.mark.parametrize("family", sorted(NETS))
@pytest.mark.parametrize("optimized", [False, True])
def test_families_agree_with_onnx_runtime(family, optimized):
    model = NETS[family]()
    graph = graph_from_onnx(model)
    inputs = _picture(graph)
    graph = optimize(graph) if optimized else graph
    (answer,) = graph.run(inputs).values()
    expected = _onnx_runtime(model.SerializeToString(), inputs)
    assert answer.shape == expected.shape
    assert answer.dtype == np.float32
    assert _distance(answer, expected) < AGAINST_ONNX_RUNTIME


@pytest.mark.parametrize("optimized", [False, True])
def test_real_networks_agree_with_onnx_runtime(real_model, optimized):
    graph = load_onnx(real_model)
    inputs = _picture(graph)
    (answer,) = (optimize(graph) if optimized else graph).run(inputs).values()
    expected = _onnx_runtime(str(real_model), inputs)
    assert _distance(answer, expected) < AGAINST_ONNX_RUNTIME
    assert answer.argmax() == expected.argmax()


def test_every_layer_in_single_follows_double(real_model):
    graph = optimize(load_onnx(real_model))
    inputs = _picture(graph)
    double = graph.run_traced({name: array.astype(np.float64) for name, array in inputs.items()})
    compared = 0
    for (node, single), (other, exact) in zip(graph.run_traced(inputs), double, strict=True):
        assert node is other
        assert (single.dtype, exact.dtype) == (np.float32, np.float64)
        assert _distance(single, exact) < AGAINST_DOUBLE, node.name
        compared += 1
    assert compared == len(graph.nodes)


def test_optimizing_removes_what_it_says():
    graph = graph_from_onnx(NETS["resnet"]())
    small = optimize(graph)
    kinds = [node.kind for node in small.nodes]
    assert not any(kind.startswith(("BatchNorm", "Dropout", "Identity")) for kind in kinds)
    assert "Conv2d + ReLU" in kinds
    assert "Add + ReLU" in kinds
    assert len(small.nodes) == 11
    assert "BatchNorm2d" in {node.kind for node in graph.nodes}
