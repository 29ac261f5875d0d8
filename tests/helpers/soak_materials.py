"""Models and sources, good and bad, for long random work; all are made here."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

from helpers.numbered import LEVELS, NAME, level_picture
from helpers.tiny_nets import color_reader, tiny_classifier
from helpers.videos import write_video
from twinlens.assets import picture_path
from twinlens.models.identify.kept import keep
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

_RECIPE = {"width": 16, "height": 16, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def labelled(path: Path, names: tuple[str, ...] = ()) -> Path:
    """Keep labels and recipe for a model, so that it loads without a question."""
    labels = names or tuple(NAME.format(number) for number in range(LEVELS))
    keep(path, {"labels": list(labels), "recipe": _RECIPE})
    return path


class Materials:
    """What is chosen from.

    Args:
        folder: where it is made.
        reader: the model that reads numbers.
        dice: for random weights.

    Attributes:
        models: names and paths for ``--model``.
        sources: texts for ``--source``.
        drops: paths.
    """

    def __init__(self, folder: Path, reader: Path, dice: random.Random) -> None:
        self._folder, self._dice, self._count = folder, dice, 0
        self.reader = reader
        self.numbered = write_video(
            folder / "numbers.mp4", pictures=level_picture, count=240, fps=24
        )
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        for name in ("start.jpg",):
            shutil.copy(picture_path(name), self.pictures)
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 255, (180, 240, 3), np.uint8)
            cv2.imwrite(str(self.pictures / f"{number}.png"), pixels)
        (self.pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
        damaged = self._damaged_video()
        broken = self._broken_models()
        embedded = Path(shutil.copy(resolve(EMBEDDED_MODEL).path, folder / "again.onnx"))
        colors = folder / "colors.onnx"
        color_reader(colors)
        keep(
            colors,
            {
                "labels": ["red", "green", "blue"],
                "recipe": {"width": 8, "height": 8, "mean": [0.5] * 3, "std": [0.5] * 3},
            },
        )
        self.models = ["twinlens-208", "twinlens-digits", "efficientnet-lite0"]
        self.models += [str(path) for path in (reader, colors, embedded, *broken)]
        self.sources = ["clip", str(self.numbered), str(self.pictures), str(damaged)]
        self.sources += [str(folder / "missing.mp4"), str(self.pictures / "start.jpg")]
        self.drops = [reader, colors, *broken, self.numbered, damaged, self.pictures / "0.png"]

    def fresh(self) -> Path:
        """A small model that there has not been yet."""
        self._count += 1
        path = tiny_classifier(self._folder / f"fresh{self._count}.onnx", 3)
        model = onnx.load(str(path))
        weight = np.random.default_rng(self._dice.randrange(1 << 30)).normal(size=(3, 3))
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight.astype("f"), "w"))
        onnx.save(model, str(path))
        return labelled(path, ("one", "two", "three"))

    def _damaged_video(self) -> Path:
        path = write_video(self._folder / "damaged.mp4", pictures=level_picture, count=96, fps=24)
        data = bytearray(path.read_bytes())
        for _ in range(40):
            data[self._dice.randrange(len(data) // 4, len(data) // 2)] ^= 0xFF
        path.write_bytes(bytes(data))
        return path

    def _broken_models(self) -> tuple[Path, ...]:
        whole = self.reader.read_bytes()
        cut, noise, nans = (self._folder / f"{n}.onnx" for n in ("cut", "noise", "nans"))
        cut.write_bytes(whole[: len(whole) // 2])
        noise.write_bytes(self._dice.randbytes(5000))
        tiny_classifier(nans, 3)
        model = onnx.load(str(nans))
        weight = np.full((3, 3), np.nan, "f")
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
        onnx.save(model, str(nans))
        return cut, noise, labelled(nans, ("one", "two", "three"))


def replace_model(path: Path) -> None:
    """Put a model of another shape in the place of one, as a trainer that saves does it."""
    other = tiny_classifier(path.with_suffix(".new"), 7)
    other.replace(path)
