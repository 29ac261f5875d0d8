"""Eight models of all formats that load without a question, for tests that change models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from helpers.tflite_files import classifier
from helpers.tiny_nets import tiny_classifier
from twinlens.models.identify.kept import keep
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

MNIST_SIZES = {
    "conv1": (20 * 25, 20),
    "conv2": (50 * 25 * 20, 50),
    "fc1": (320 * 2450, 320),
    "fc2": (10 * 320, 10),
}


def raw_parameters(folder: Path) -> Path:
    """Files as the MPSCNN example has them, random numbers in them."""
    folder.mkdir()
    random = np.random.default_rng(5)
    for name, (weights, biases) in MNIST_SIZES.items():
        for part, count in (("W", weights), ("b", biases)):
            values = random.normal(0, 0.05, count).astype("<f4")
            (folder / f"{name}_{part}.bin").write_bytes(values.tobytes())
    return folder


def eight_models(folder: Path, test_data: Path) -> list[tuple[Path, str]]:
    """Path and title of each, no two neighbours of one title.

    Args:
        folder: where those are made that are made.
        test_data: the folder with real models.
    """
    lite = folder / "lite.tflite"
    lite.write_bytes(classifier("uint8"))
    lite.with_suffix(".labels.txt").write_text(_names(6), encoding="utf-8")
    pets = tiny_classifier(folder / "pets.onnx", 3)
    recipe = {"width": 16, "height": 16, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    keep(pets, {"labels": ["cat", "dog", "bird"], "recipe": recipe})
    embedded = Path(shutil.copy(resolve(EMBEDDED_MODEL).path, folder))
    real = test_data / "models"
    return [
        (real / "mobilenet_v2_1.0_224.onnx", "MobileNet-v2 1.0 224"),
        (lite, "lite"),
        (raw_parameters(folder / "weights"), "MNIST"),
        (pets, "pets"),
        (real / "mobilenet_v2_1.0_224_quant.tflite", "MobileNet-v2, uint8"),
        (embedded, "MobileNet-v2"),
        (real / "mobilenet_edgetpu_224_1.0_uint8.tflite", "MobileNet EdgeTPU, uint8"),
        (real / "mnist_mpscnn", "MNIST"),
    ]


def _names(count: int) -> str:
    return "\n".join(f"thing {n}" for n in range(count))
