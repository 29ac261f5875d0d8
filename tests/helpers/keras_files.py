"""Small Keras models as real Keras saved and answered them, written again with h5py.

``keras2.npz`` (TensorFlow 2.15) and ``keras3.npz`` (Keras 3 on PyTorch) are made by
``tests/bench/keras_cases.py``.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One model.

    Attributes:
        name: what it shows.
        version: of Keras.
        about: what stands in its files.
        numbers: all arrays of its version, one after the other.
    """

    name: str
    version: str
    about: dict[str, Any]
    numbers: np.ndarray

    def array(self, key: str) -> np.ndarray:
        """``x``, what goes in, or ``y``, Keras' own answer."""
        return self._stored(self.about[key])

    def write(self, folder: Path, suffix: str) -> Path:
        """Write the ``.h5`` or ``.keras`` file."""
        path = folder / f"net{suffix}"
        if suffix == ".h5":
            self._fill(path, self.about["h5"])
            return path
        found = self.about["keras"]
        weights = io.BytesIO()
        self._fill(weights, found["weights"])
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", found["metadata.json"])
            archive.writestr("config.json", found["config.json"])
            archive.writestr("model.weights.h5", weights.getvalue())
        return path

    def _stored(self, place: Any) -> np.ndarray:
        start, shape, kind = place
        return self.numbers[start : start + prod(shape)].reshape(shape).astype(kind)

    def _fill(self, target: Any, content: dict[str, Any]) -> None:
        with h5py.File(target, "w") as file:
            for name, attributes in content["groups"].items():
                group = file.require_group(name) if name else file
                for key, value in attributes.items():
                    names = isinstance(value, list) and value
                    group.attrs[key] = np.array(value, "S") if names else value
            for name, place in content["arrays"].items():
                file.create_dataset(name, data=self._stored(place))


@cache
def cases(version: str) -> dict[str, Case]:
    """All models of a version by name."""
    with np.load(_FOLDER / f"keras{version}.npz") as stored:
        numbers, found = stored["numbers"], json.loads(stored["cases"].tobytes())
    return {name: Case(name, version, about, numbers) for name, about in found.items()}
