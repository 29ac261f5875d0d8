"""Networks whose input is no float32 (1, C, H, W) answer, and metadata count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.picture_nets import picture_net
from twinlens.engine.api import registry
from twinlens.models.identify.resolve import resolve


@pytest.mark.parametrize(
    "made", [{"dtype": "float16"}, {"shape": (3, 16, 24)}, {"shape": (8, 3, 16, 24)}]
)
def test_vision_feeds_what_a_network_takes(made: dict[str, object], tmp_path: Path) -> None:
    runner = registry.load(resolve(picture_net(tmp_path / "net.onnx", **made)), "vision")
    assert runner.run(np.zeros(runner.info.input_shape, np.float32)).shape == (4,)
    runner.close()


def test_image_metadata_say_how_a_model_is_fed(tmp_path: Path) -> None:
    metadata = {
        "Image.BitmapPixelFormat": "Bgr8",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
    recipe = resolve(picture_net(tmp_path / "net.onnx", metadata=metadata)).spec.recipe
    assert (recipe.color, recipe.scale, recipe.mean) == ("BGR", 1.0, (0.0, 0.0, 0.0))


def test_linear_light_is_told(tmp_path: Path) -> None:
    for gamma in ("Linear", "SRGB"):
        metadata = {"Image.BitmapPixelFormat": "Rgb8", "Image.ColorSpaceGamma": gamma}
        notes = resolve(picture_net(tmp_path / f"{gamma}.onnx", metadata=metadata)).spec.notes
        told = [note for note in notes if "linear light" in note]
        assert len(told) == (gamma == "Linear")
