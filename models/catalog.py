"""The models that Twinlens knows, and what a name or a file on the command line stands for."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.engine.image import Recipe
from twinlens.engine.modelfile import read_labels, spec_of
from twinlens.engine.protocol import ModelSpec, OutputKind

DEFAULT_MODEL = "twinlens-208"
"""The embedded model that the app starts on."""

_FOLDER = Path(str(files("twinlens.models")))


@dataclass(frozen=True)
class Card:
    """A model card: what a network is, how it is fed, and how good it is.

    Attributes:
        id: name on the command line.
        title: name that is shown.
        description: one paragraph, plain about weaknesses.
        file: path below this package, empty where the file is not embedded.
        bytes: size of the file.
        sha256: hash of the file, by which a dropped file is recognised.
        recipe: how it is fed.
        labels: label file below this package.
        background_outputs: outputs in front of class 0.
        output: ``"probabilities"`` or ``"logits"``.
        accuracy: measured figures, with what they were measured on.
        licence: licence of the weights.
        source: where they come from.
    """

    id: str
    title: str
    description: str
    file: str
    bytes: int
    sha256: str
    recipe: Recipe
    labels: str
    background_outputs: int
    output: OutputKind
    accuracy: str
    licence: str
    source: str

    @property
    def embedded(self) -> bool:
        """Whether the file comes with Twinlens."""
        return bool(self.file)

    def spec(self, path: Path | None = None, labels: Path | None = None) -> ModelSpec:
        """Make the model, from the embedded file or from a copy at ``path``."""
        return ModelSpec(
            id=self.id,
            title=self.title,
            path=path or _FOLDER / self.file,
            recipe=self.recipe,
            labels=read_labels(labels) if labels else read_labels(_FOLDER / self.labels),
            background_outputs=self.background_outputs,
            output=self.output,
        )


@cache
def cards() -> tuple[Card, ...]:
    """All model cards.

    Raises:
        ModelError: the catalog is damaged; names the card.
    """
    text = (_FOLDER / "catalog.toml").read_text(encoding="utf-8")
    return tuple(_card(values) for values in tomllib.loads(text)["model"])


def resolve(name_or_path: str | Path, *, labels: Path | None = None) -> ModelSpec:
    """Find what a catalog name or a path stands for.

    Args:
        name_or_path: a card's id, or the path of an ONNX file.
        labels: label file that overrides the model's own.

    Raises:
        ModelError: there is no such model; names those that there are.
        ModelFileError: the file is not a model that can be used.
        LabelError: labels are missing or their number is wrong.
    """
    path = Path(name_or_path)
    for card in cards():
        if card.id == str(name_or_path):
            if not card.embedded:
                raise ModelError(
                    f"{card.id}: its file does not come with Twinlens", hint=card.source
                )
            return card.spec(labels=labels)
    if not path.exists():
        names = ", ".join(card.id for card in cards() if card.embedded)
        raise ModelError(
            f"model {str(name_or_path)!r}: no such file or catalog name",
            hint=f"Catalog names are {names}.",
        )
    if path.is_dir():
        raise ModelFileError(f"{path}: is a folder, expected an ONNX file")
    known = _recognise(path)
    if known is not None:
        # A label file that somebody put beside a known model is meant.
        beside = path.with_suffix(".labels.txt")
        return known.spec(path, labels or (beside if beside.is_file() else None))
    return spec_of(path, labels=labels, imagenet_labels=imagenet_labels)


def imagenet_labels() -> tuple[str, ...]:
    """Names of ImageNet's 1,000 classes in the order of their synsets."""
    return read_labels(_FOLDER / "labels" / "imagenet1000.txt")


def _recognise(path: Path) -> Card | None:
    """Find the card of a file by its content; hashes only a file of a known size."""
    size = path.stat().st_size
    same_size = [card for card in cards() if card.bytes == size]
    if not same_size:
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return next((card for card in same_size if card.sha256 == digest), None)


def _card(values: Mapping[str, Any]) -> Card:
    plain = dict(values)
    try:
        return Card(**plain | {"recipe": Recipe.from_dict(plain["recipe"])})
    except (KeyError, TypeError) as error:
        raise ModelError(f"catalog: card {plain.get('id')!r} is damaged: {error}") from error
