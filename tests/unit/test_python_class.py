"""Generated classes: pictures in, named probabilities out, as the model itself answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.generated import (
    load_module,
    write_module,
)
from twinlens.engine.errors import (
    LabelError,
    ModelFileError,
)
from twinlens.engine.image import PixelBuffer
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve


@pytest.fixture(scope="module")
def default_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model as Python, with its labels."""
    network = resolve(EMBEDDED_MODEL)
    spec = network.spec
    folder = tmp_path_factory.mktemp("default")
    return write_module(network.graph, spec, folder, "mobilenet")


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_the_class_says_what_the_model_says(default_module: Path, engine: str) -> None:
    from twinlens.engine import ClassificationRequest, ImageRequestHandler, Model

    pixels = np.random.default_rng(5).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    with Model(resolve(EMBEDDED_MODEL)) as model:
        request = ClassificationRequest(model)
        ImageRequestHandler(pixels).perform([request])
        expected = request.results
    with load_module(default_module).MobileNetV2(engine) as network:
        prediction = network.prediction(pixels)
        assert prediction.class_label == expected[0].identifier
        probs = prediction.class_label_probs
        assert len(probs) == 1000
        assert next(iter(probs)) == prediction.class_label
        assert list(probs.values()) == sorted(probs.values(), reverse=True)
        for one in expected:
            assert probs[one.identifier] == pytest.approx(one.confidence, abs=1e-5)
        buffer = PixelBuffer.from_array(pixels)
        assert network.prediction(buffer) == prediction


def test_the_class_reads_files_and_loads_when_it_is_asked(
    default_module: Path, tmp_path: Path
) -> None:
    import cv2

    pixels = np.random.default_rng(5).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    picture = tmp_path / "noise.png"
    cv2.imwrite(str(picture), pixels)
    alone = Path(shutil.copy(default_module, tmp_path))
    network = load_module(alone).MobileNetV2("layers-cpu")  # nothing beside it, nothing loaded
    with pytest.raises(LabelError, match=r"mobilenet\.toml: does not exist"):
        network.prediction(picture)
    shutil.copy(default_module.with_suffix(".toml"), tmp_path)
    with pytest.raises(ModelFileError, match=r"mobilenet\.safetensors"):
        network.prediction(picture)
    shutil.copy(default_module.with_suffix(".safetensors"), tmp_path)
    first = network.prediction(picture)
    network.close()
    assert network.prediction(str(picture)) == first
    assert network.prediction(picture.read_bytes()) == first
    network.close()
    network.close()


def test_labels_that_are_missing_in_the_file_are_told(tmp_path: Path) -> None:
    from twinlens.models.identify.sidecar import labels_beside

    (tmp_path / "net.toml").write_text('title = "Net"\n', encoding="utf-8")
    with pytest.raises(LabelError, match="has no labels"):
        labels_beside(tmp_path / "net.safetensors")


def test_the_readme_shows_what_is_written(default_module: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```python\ndef ", 1)[1].split("\n```", 1)[0]
    assert f"def {shown}\n" in default_module.read_text(encoding="utf-8")
