"""Stand-ins for files that people have, with the answers of independent runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinlens.engine.api import registry
from twinlens.engine.api.observations import contradiction, probabilities
from twinlens.engine.errors import ModelFileError
from twinlens.engine.image import Converter, Recipe, read_image
from twinlens.models.identify.resolve import identify

IMAGENET: dict[str, Any] = {}
SIGNED = {"scale": 1 / 127.5, "mean": (1.0,) * 3, "std": (1.0,) * 3}
BYTES = {"color": "BGR", "scale": 1.0, "mean": (0.0,) * 3, "std": (1.0,) * 3}
LOGITS = np.array([-0.35, 5.34, -2.88, 0.77, 1.37])
OF_LOGITS = tuple(np.exp(LOGITS) / np.exp(LOGITS).sum())
# File, how it is fed, how it is read, what is right; None where it was not written down.
RIGHT: list[tuple[str, dict[str, Any], str, tuple[float | None, ...]]] = [
    ("sigmoid_multilabel.onnx", IMAGENET, "independent", (0.0023, 0.0159, 0.0, 0.0021, 0.9984)),
    ("sigmoid_binary_one_output.onnx", IMAGENET, "binary", (0.4185, 0.5815)),
    ("logistic_binary.tflite", SIGNED, "binary", (0.4237, 0.5763)),
    ("softmax_then_clip.onnx", IMAGENET, "probabilities", (0.0, 0.0, 0.9835, 0.0, 0.0165)),
    ("label_and_zipmap.onnx", BYTES, "probabilities", (1.0, 0.0, 0.0, 0.0, 0.0)),
    ("argmax_and_probabilities.onnx", IMAGENET, "probabilities", (None, None, 0.7548, None, None)),
    ("features_before_logits.onnx", IMAGENET, "logits", OF_LOGITS),
]


@pytest.fixture
def field(test_data: Path) -> Path:
    """The folder of stand-ins."""
    folder = test_data / "field"
    if not folder.is_dir():
        pytest.skip("TWINLENS_TEST_DATA has no field")
    return folder


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize(("name", "fed", "kind", "right"), RIGHT, ids=[row[0] for row in RIGHT])
def test_a_stand_in_is_read_as_its_own_runtime_reads_it(
    name: str,
    fed: dict[str, Any],
    kind: str,
    right: tuple[float | None, ...],
    engine: str,
    field: Path,
    tmp_path: Path,
) -> None:
    given = tmp_path / "names"
    given.write_text("\n".join("abcde"[: len(right)]), encoding="utf-8")
    found = identify(field / name, labels=None if "zipmap" in name else given).network
    network = found.with_spec(recipe=Recipe(width=32, height=32, **fed))
    assert network.spec.output == kind
    if "zipmap" in name:
        assert network.spec.labels == ("controller", "keyboard", "laptop", "monitor", "mouse")
    (picture,) = field.parent.glob("eval/**/0576.jpg")
    runner = registry.load(network, engine)
    try:
        raw = runner.run(Converter(network.spec.recipe).convert(read_image(picture)))
    finally:
        runner.close()
    assert not contradiction(raw, network.spec)
    shown = probabilities(raw, network.spec)
    assert len(shown) == len(right)
    for value, wanted in zip(shown, right, strict=True):
        assert wanted is None or abs(value - wanted) <= 0.03


def test_a_text_recogniser_is_named(field: Path) -> None:
    with pytest.raises(ModelFileError, match="text recogniser"):
        identify(field / "sequence_output.onnx")
