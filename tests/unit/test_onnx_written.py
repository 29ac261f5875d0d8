"""Networks that are no ONNX file run on ONNX Runtime all the same, and files carry their recipe."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.networks import assembled
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats import graph_from_onnx, load_onnx, onnx_bytes
from twinlens.engine.formats.onnx import export
from twinlens.engine.graph import optimize
from twinlens.engine.image import Recipe
from twinlens.engine.vision import VisionEngine
from twinlens.models.identify.embedded import metadata_of
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve
from twinlens.models.networks.mobilenet_v2 import mobilenet_v2, read_parameters


@pytest.fixture(scope="module")
def default():
    return resolve(EMBEDDED_MODEL)


def _picture(network):
    shape = network.spec.recipe.input_shape
    return np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)


def _answer(network):
    runner = VisionEngine().load(network, EngineOptions(threads=1))
    try:
        return runner.run(_picture(network))
    finally:
        runner.close()


def test_an_assembled_network_runs_on_vision(default):
    graph = optimize(mobilenet_v2(read_parameters(default.path)))
    by_hand = assembled(graph, default.spec)
    # Batch norms and activations are folded by us in one case and by the runtime in the other.
    assert np.abs(_answer(by_hand) - _answer(default)).max() < 1e-5


def test_the_default_comes_back_with_the_same_answer(default):
    graph = load_onnx(default.path)
    import onnx

    back = graph_from_onnx(onnx.ModelProto.FromString(onnx_bytes(graph)))
    feeds = {name: _picture(default) for name in graph.inputs}
    for one, other in zip(graph.run(feeds).values(), back.run(feeds).values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("background", [0, 1])
def test_a_written_file_says_how_it_is_fed(default, tmp_path, background):
    recipe = Recipe(208, 208, color="BGR", scale=0.5, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    spec = replace(
        default.spec,
        title="A title",
        recipe=recipe,
        labels=tuple(f"thing {n}" for n in range(1000 - background)),
        background_outputs=background,
        output="logits",
    )
    path = tmp_path / "written.onnx"
    path.write_bytes(onnx_bytes(load_onnx(default.path), metadata=metadata_of(spec)))
    read = resolve(path).spec
    assert (read.title, read.recipe, read.labels) == ("A title", recipe, spec.labels)
    assert (read.background_outputs, read.output, read.notes) == (background, "logits", ())
    assert glance(path).format == "ONNX"


def test_parameters_that_a_file_cannot_hold_are_refused(default, monkeypatch):
    monkeypatch.setattr(export, "MAX_BYTES", 1000)
    with pytest.raises(ModelFileError, match="an ONNX file holds at most 1,000"):
        onnx_bytes(load_onnx(default.path))
