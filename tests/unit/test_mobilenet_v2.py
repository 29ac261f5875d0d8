"""The network assembled by hand is the network in the file."""

import numpy as np
import onnxruntime
import pytest

from twinlens.engine.errors import ParameterError
from twinlens.engine.formats import load_onnx
from twinlens.models.identify import resolve as catalog
from twinlens.models.networks.mobilenet_v2 import mobilenet_v2, read_parameters

PATH = catalog.resolve(catalog.EMBEDDED_MODEL).path


@pytest.fixture(scope="module")
def parameters():
    return read_parameters(PATH)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(5).uniform(-1, 1, (1, 3, 208, 208)).astype(np.float32)


def test_equals_the_file_bit_for_bit(parameters, picture):
    by_hand = mobilenet_v2(parameters)
    from_file = load_onnx(PATH)
    (answer,) = by_hand.run({"input": picture}).values()
    (expected,) = from_file.run({"input": picture}).values()
    np.testing.assert_array_equal(answer, expected)
    assert by_hand.macs == from_file.macs
    assert by_hand.parameter_count == from_file.parameter_count


def test_agrees_with_onnx_runtime(parameters, picture):
    (answer,) = mobilenet_v2(parameters).run({"input": picture}).values()
    session = onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"input": picture})
    assert np.abs(answer - expected).max() < 1e-5


def test_stays_within_the_size_that_was_asked_for(parameters):
    graph = mobilenet_v2(parameters)
    assert graph.parameter_count <= 5_000_000
    assert graph.macs <= 300e6


def test_names_a_missing_parameter(parameters):
    del (fewer := dict(parameters))["block7_1_bias"]
    with pytest.raises(ParameterError, match="block7_1_bias"):
        mobilenet_v2(fewer)
