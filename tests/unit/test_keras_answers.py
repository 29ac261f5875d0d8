"""Small Keras models of every kind of layer answer as Keras itself, from either kind of file."""

import numpy as np
import pytest

from helpers.keras_files import cases
from twinlens.engine.formats import onnx_bytes
from twinlens.engine.formats.keras.importer import load_keras
from twinlens.engine.graph import optimize

ALL = [
    (version, name, suffix)
    for version in ("2", "3")
    for name, case in cases(version).items()
    for suffix in (".h5", ".keras")
    if suffix[1:] in case.about
]
MOST = 2e-6


def _as_ours(x, shape):
    """Keras' picture in the order of our input."""
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 and x.shape != shape else x


@pytest.mark.parametrize(("version", "name", "suffix"), ALL, ids=["-".join(one) for one in ALL])
def test_a_model_answers_as_keras_does(tmp_path, version, name, suffix):
    case = cases(version)[name]
    graph = load_keras(case.write(tmp_path, suffix))
    ((key, shape),) = graph.inputs.items()
    x, expected = _as_ours(case.array("x"), shape), case.array("y")
    for net in (graph, optimize(graph)):
        answer = net.run({key: np.ascontiguousarray(x)})[net.outputs[0]]
        if answer.ndim == 4 and answer.shape != expected.shape:
            answer = answer.transpose(0, 2, 3, 1)
        assert answer.size == expected.size
        error = np.abs(answer.reshape(-1) - expected.reshape(-1)).max()
        assert error <= MOST * max(1.0, np.abs(expected).max())
    assert onnx_bytes(graph)
