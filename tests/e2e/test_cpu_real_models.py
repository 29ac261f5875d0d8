"""Real networks on a real picture, compiled, layer by layer against float64."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.cpu_check import can, check, each_isa, isas, reference
from twinlens.assets import picture_path
from twinlens.engine.api.protocol import Network
from twinlens.engine.graph import optimize
from twinlens.engine.image import Converter
from twinlens.engine.image.read import read_image
from twinlens.engine.targets.cpu.run.calibrate import measure_ranges
from twinlens.engine.targets.quantized import without_pairs
from twinlens.models.identify.resolve import EMBEDDED_MODEL, PREFERRED_MODEL, resolve

BEST = isas()[0]
OUT_OF_THE_BOX = (PREFERRED_MODEL, EMBEDDED_MODEL)


def loaded(network: Network):
    """A network, its ranges where it came quantised, and a picture as it takes one."""
    graph = optimize(network.graph)
    ((name, _),) = graph.inputs.items()
    picture = Converter(network.spec.recipe).convert(read_image(picture_path("window.jpg")))
    graph, ranges = without_pairs(graph)
    return graph, ranges, {name: np.array(picture)}


@pytest.mark.parametrize("model", OUT_OF_THE_BOX)
@each_isa("avx512", "avx2", "neon", "generic")
def test_every_layer_of_the_default(isa, model):
    graph, _, inputs = loaded(resolve(model))
    seen = check(graph, inputs, isa, threads=2, shared=False)
    assert not seen.fallbacks
    if isa is BEST:
        _same_answer(graph, inputs, seen.outputs, 1e-3)


@pytest.mark.parametrize("model", OUT_OF_THE_BOX)
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_every_layer_of_the_default_in_short_types(precision, model):
    if not can(BEST, precision):
        pytest.skip(f"{BEST.title} here does not compute in {precision}")
    graph, _, inputs = loaded(resolve(model))
    ranges = measure_ranges(graph, [inputs], 1, BEST) if precision == "int8" else None
    seen = check(graph, inputs, BEST, precision=precision, ranges=ranges, shared=False)
    assert not seen.fallbacks


@each_isa()
def test_every_layer_of_mobilenet_v2(test_data, isa):
    graph, _, inputs = loaded(resolve(test_data / "models" / "mobilenet_v2_1.0_224.onnx"))
    seen = check(graph, inputs, isa, threads=2, shared=False)
    assert not seen.fallbacks
    _same_answer(graph, inputs, seen.outputs, 1e-3)


@pytest.mark.parametrize(
    "name", ["mobilenet_v2_1.0_224_quant.tflite", "mobilenet_edgetpu_224_1.0_uint8.tflite"]
)
def test_every_layer_of_quantised_networks(test_data, name):
    if not can(BEST, "int8"):
        pytest.skip(f"{BEST.title} here does not compute in int8")
    graph, ranges, inputs = loaded(resolve(test_data / "models" / name))
    assert len(ranges) > 30
    check(graph, inputs, BEST, precision="int8", ranges=ranges, threads=2, shared=False)


def _same_answer(graph, inputs, answers, share):
    """Errors of all layers together, as a share of the largest answer."""
    expected = reference(graph, inputs)
    for name, answer in answers.items():
        error = np.abs(answer - expected[name]).max()
        assert error <= share * np.abs(expected[name]).max()
        assert int(np.argmax(answer)) == int(np.argmax(expected[name]))
