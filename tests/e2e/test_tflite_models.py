"""Quantised TensorFlow Lite classifiers against the float network that was made of one of them."""

import numpy as np
import pytest

from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.graph import optimize
from twinlens.engine.image import Converter, read_image
from twinlens.engine.targets.cpu.codegen.isa import FORCE, detect
from twinlens.engine.targets.cpu.kernels.gemm import Convolve
from twinlens.models.identify.resolve import resolve

FLOAT = "mobilenet_v2_1.0_224.onnx"
QUANTISED = "mobilenet_v2_1.0_224_quant.tflite"
EDGE = "mobilenet_edgetpu_224_1.0_uint8.tflite"
# With 200, two pictures decide whether 97 % are reached.
PICTURES = 600
AGREE = 0.97


@pytest.fixture(scope="module")
def pictures(test_data):
    table = test_data / "eval" / "labels.tsv"
    if not table.is_file():
        pytest.skip("TWINLENS_TEST_DATA has no eval/labels.tsv")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    chosen = [(row[0], int(row[1])) for row in rows if row[1].isdigit()]
    # tests/bench/bench_formats.py takes all of them.
    return [(read_image(test_data / "eval" / name), label) for name, label in chosen[:PICTURES]]


def _best(test_data, name, engine, pictures):
    path = test_data / "models" / name
    if not path.is_file():
        pytest.skip(f"TWINLENS_TEST_DATA has no models/{name}")
    network = resolve(path)
    spec = network.spec
    runner = registry.load(network, engine, EngineOptions(threads=2))
    converter = Converter(spec.recipe)
    try:
        answers = [runner.run(converter.convert(buffer)) for buffer, _ in pictures]
    finally:
        runner.close()
    return np.array([int(np.argmax(a[spec.background_outputs :])) for a in answers])


@pytest.fixture(scope="module")
def expected(test_data, pictures):
    return _best(test_data, FLOAT, "vision", pictures)


def test_vision_agrees_with_the_float_network(test_data, pictures, expected):
    assert np.mean(_best(test_data, QUANTISED, "vision", pictures) == expected) >= AGREE


def test_layers_in_floats_agree_with_the_float_network(test_data, pictures, expected, monkeypatch):
    """Without instructions for products of integers, the rounded weights run in fp32."""
    if detect().name not in ("avx512", "avx2"):
        pytest.skip(f"this processor has {detect().title}; AVX2 is forced here")
    monkeypatch.setenv(FORCE, "avx2")
    assert np.mean(_best(test_data, QUANTISED, "layers-cpu", pictures) == expected) >= AGREE


@pytest.mark.xfail(
    "weight_scale" not in Convolve.__dataclass_fields__,
    reason="layers-cpu rounds weights again that are 8-bit integers already",
)
def test_layers_in_integers_agree_with_the_float_network(test_data, pictures, expected):
    if not detect().vnni:
        pytest.skip(f"{detect().title} here has no instructions for products of integers")
    assert np.mean(_best(test_data, QUANTISED, "layers-cpu", pictures) == expected) >= AGREE


def test_the_edge_network_knows_most_pictures(test_data, pictures):
    labels = np.array([label for _, label in pictures])
    best = _best(test_data, EDGE, "vision", pictures)
    assert np.mean(best == labels) >= 0.75
    assert np.mean(_best(test_data, EDGE, "layers-cpu", pictures) == best) >= 0.95


@pytest.mark.parametrize("name", [QUANTISED, EDGE])
def test_only_what_no_kernel_has_is_left_to_numpy(test_data, name):
    path = test_data / "models" / name
    if not path.is_file():
        pytest.skip(f"TWINLENS_TEST_DATA has no models/{name}")
    network = resolve(path)
    graph = optimize(network.graph)
    assert list(graph.output_shapes.values()) == [(1, 1001)]
    runner = registry.load(network, "layers-cpu", EngineOptions(threads=1))
    assert runner.info.fallbacks == ()
    runner.close()
