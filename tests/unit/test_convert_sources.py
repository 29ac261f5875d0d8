"""`twinlens convert` from the files of phones: every form answers as the model it was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.coreml_fill import conv, settings
from helpers.coreml_protos import add, blob, network, package, packed, program
from helpers.generated import load_module
from helpers.networks import assembled
from helpers.tflite_cases import quantized
from helpers.tflite_files import classifier
from twinlens.app.cli import main
from twinlens.engine.api.predictor import Predictor
from twinlens.engine.api.protocol import Network
from twinlens.engine.graph import with_arrays
from twinlens.engine.image import Recipe
from twinlens.engine.params import open_parameters
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import resolve
from twinlens.models.identify.sidecar import read_sidecar

TARGETS = ("out.onnx", "folder", "out.safetensors", "out.npz", "out.py")
PICTURE = np.random.default_rng(6).integers(0, 256, (30, 40, 3), dtype=np.uint8)
ENGINES = ("layers-cpu", "vision")


def core_ml(folder: Path) -> Path:
    """A network for BGR pictures: a kernel in 8 bits, a matrix in half precision."""
    rng = np.random.default_rng(1)
    model, net = network((3, 6, 5), image="BGR", labels=("owl", "café", "🦆", "tench"))
    scaler = net.preprocessing.add(featureName="picture").scaler
    scaler.channelScale = 1 / 127.5
    scaler.redBias, scaler.greenBias, scaler.blueBias = -0.5, -1.0, -0.75
    weight = rng.integers(0, 256, (8, 3, 3, 3)).astype(np.uint8)
    dense = rng.uniform(-1, 1, (4, 8)).astype("<f2")

    def quantised(layer: Any) -> None:
        conv(weight, 8, same=0, bias=rng.uniform(-1, 1, 8))(layer)
        layer.weights.floats, layer.weights.raw = b"", weight.tobytes()
        layer.weights.quantization.bits = 8
        layer.weights.quantization.linear.scale = packed(rng.uniform(1, 2, 8) / 128)
        layer.weights.quantization.linear.bias = packed(np.full(8, -1.5))

    def half(layer: Any) -> None:
        settings(inputChannels=8, outputChannels=4)(layer)
        layer.weights.halves = dense.tobytes()

    x = add(net, "convolution", "picture", fill=quantised)
    x = add(net, "activation", x, fill=settings(ReLU=None))
    x = add(net, "pooling", x, fill=settings(type=1, globalPooling=True))
    x = add(net, "innerProduct", x, fill=half)
    add(net, "softmax", x, output="probabilities")
    path = folder / "Owls 2.mlmodel"
    path.write_bytes(model.SerializeToString())
    return path


def core_ml_package(folder: Path) -> Path:
    """A program that keeps its weights in a file of their own."""
    weight = np.random.default_rng(2).uniform(-0.02, 0.02, (2, 3, 1, 1)).astype(np.float32)
    return package(folder / "net.mlpackage", program(), weights=blob(weight, 2))


def lite_floats(folder: Path) -> Path:
    path = folder / "net.tflite"
    path.write_bytes(classifier(norm=([100.0], [60.0])))
    path.with_suffix(".labels.txt").write_text("\n".join("abcdef"), encoding="utf-8")
    return path


def lite_integers(folder: Path) -> Path:
    path = folder / "net.tflite"
    path.write_bytes(quantized("uint8", per_channel=True, channels=3).data)
    path.with_suffix(".labels.txt").write_text("\n".join("abcdef"), encoding="utf-8")
    return path


SOURCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "mlmodel": (core_ml, "Core ML"),
    "mlpackage": (core_ml_package, "Core ML package"),
    "tflite, floats": (lite_floats, "TensorFlow Lite"),
    "tflite, integers": (lite_integers, "TensorFlow Lite"),
}


def bare_parameters(network: Network, path: Path) -> Network:
    """A model with the numbers, the recipe and the labels of other files."""
    values = dict(read_sidecar(path).values)
    recipe, labels = Recipe.from_dict(values.pop("recipe")), tuple(values.pop("labels"))
    graph = with_arrays(network.graph, open_parameters(path))
    return assembled(graph, replace(network.spec, **values, recipe=recipe, labels=labels))


def answer_of(network: Network, out: Path, engine: str) -> tuple[str, dict[str, float]]:
    """What stands in ``out``, asked about the picture."""
    if out.suffix == ".py":
        [kind] = [k for k in vars(load_module(out)).values() if hasattr(k, "prediction")]
        with kind(engine) as written:
            prediction = written.prediction(PICTURE)
            return prediction.class_label, prediction.class_label_probs
    converted = resolve(out) if out.suffix == ".onnx" else bare_parameters(network, out)
    assert converted.spec.title == network.spec.title
    assert converted.spec.recipe == network.spec.recipe
    return answered(converted, engine)


def answered(network: Network, engine: str) -> tuple[str, dict[str, float]]:
    asked = Predictor(lambda: network, engine)
    try:
        return asked.answer(PICTURE)
    finally:
        asked.close()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_form_answers_as_its_source(source: str, target: str, tmp_path: Path) -> None:
    make, form = SOURCES[source]
    path, out = make(tmp_path), tmp_path / target
    assert glance(path).format == form
    assert main(["convert", str(path), str(out)]) == 0
    network = resolve(path)
    spec = network.spec
    for engine in ENGINES:
        label, expected = answered(network, engine)
        best, received = answer_of(network, out, engine)
        assert best == label
        assert set(received) == set(spec.labels)
        assert received == pytest.approx(expected, abs=1e-6)
        # The answers of a network that sees the picture, not of one that is stuck.
        assert max(expected.values()) - min(expected.values()) > 0.01
        assert max(expected.values()) < 0.999
