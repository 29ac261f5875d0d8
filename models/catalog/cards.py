"""Model cards: what a network is, how it is fed, how good it is, and where its file comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from twinlens.engine.api.protocol import OutputKind
from twinlens.engine.errors import ModelError
from twinlens.engine.image import Recipe

FOLDER = Path(str(files("twinlens.models")))
"""Where embedded weights and labels lie."""

FORMATS = {
    "onnx": "ONNX",
    "tflite": "TFLite",
    "mlmodel": "Core ML",
    "mlpackage": "Core ML",
    "pytorch": "PyTorch",
}
"""Formats of cards, and how they are shown."""

_MAX_BYTES = 1_000_000
_ID = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Remote:
    """A file that can be fetched.

    Attributes:
        urls: where it lies, best first.
        bytes: its size; 0 where it is not known.
        sha256: its hash in lower-case hexadecimal digits; empty where it is not known.
    """

    urls: tuple[str, ...]
    bytes: int = 0
    sha256: str = ""

    @property
    def filename(self) -> str:
        """Last part of the first address."""
        return PurePosixPath(unquote(urlsplit(self.urls[0]).path)).name


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        id: name on the command line: lower-case letters, digits, ``.`` and ``-``.
        title: name that is shown.
        description: one paragraph, plain about weaknesses.
        task: what it distinguishes (``"ImageNet, 1,000 classes"``).
        format: a key of ``FORMATS``.
        parameters: number of weights and biases, batch norms folded.
        accuracy: figures, and whose they are.
        licence: licence of the weights, as their publisher states it.
        source: where they come from.
        recipe: how it is fed; None where the file itself says it.
        labels: label file below this package; empty where ``label_file`` or the model brings them.
        background_outputs: outputs in front of class 0.
        output: ``"probabilities"`` or ``"logits"``; None where the file is looked at for it.
        top1: published or measured top-1 accuracy in percent; None where there is none.
        file: path below this package, empty where the file is not embedded.
        bytes: size of the file; 0 where it is not known.
        sha256: hash of the file, by which a dropped file is recognised; empty where not known.
        urls: where it can be fetched, best first; empty where it cannot.
        label_file: labels that are fetched with the model.
        archive: ``"zip"`` or ``"tar"`` where what is fetched has to be unpacked.
        member: path of the model in the unpacked archive, or in the installed package.
        package: what to install from PyPI, for files that lie in a Python package.
        network: key of the networks that are assembled by hand, for files without one.
        verified: whether address, size and hash are all known as facts. Other cards stay
            unverified until one download confirms them.
        evidence: where size and hash come from.
    """

    id: str
    title: str
    description: str
    task: str
    format: str
    parameters: int
    accuracy: str
    licence: str
    source: str
    recipe: Recipe | None = None
    labels: str = ""
    background_outputs: int = 0
    output: OutputKind | None = None
    top1: float | None = None
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    urls: tuple[str, ...] = ()
    label_file: Remote | None = None
    archive: str = ""
    member: str = ""
    package: str = ""
    network: str = ""
    verified: bool = False
    evidence: str = ""

    def __post_init__(self) -> None:
        for what, wrong in _faults(self):
            if wrong:
                raise ModelError(f"card {self.id!r}: {what}")

    @property
    def embedded(self) -> bool:
        """Whether the file comes with Twinlens."""
        return bool(self.file)

    @property
    def installed(self) -> Path | None:
        """The file in a Python package that is installed; None where there is none."""
        paths = [place / self.member for place in package_folders(self.package)]
        return next((path for path in paths if path.is_file()), None)

    @property
    def remote(self) -> Remote | None:
        """What there is to fetch; None where the file is embedded or has no address."""
        return Remote(self.urls, self.bytes, self.sha256) if self.urls else None


def package_folders(package: str) -> tuple[Path, ...]:
    """Folders of an installed package; empty where it is not installed, or none is named. It is
    looked up, and none of its code is run.
    """
    found = find_spec(package.replace("-", "_")) if package else None
    return tuple(map(Path, (found and found.submodule_search_locations) or ()))


@cache
def cards() -> tuple[Card, ...]:
    """All model cards, the default first.

    Raises:
        ModelError: the catalog is damaged; names the card.
    """
    return read_cards(FOLDER / "catalog" / "catalog.toml")


def read_cards(path: Path) -> tuple[Card, ...]:
    """Read a file of model cards.

    Raises:
        ModelError: it cannot be read or is damaged; names the file and the card.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: too large for a catalog")
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
        return tuple(card_from(values) for values in entries)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise ModelError(f"{path}: cannot be read as a catalog ({error})") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error


def card_from(values: Mapping[str, Any]) -> Card:
    """Make a card of plain values.

    Raises:
        ModelError: a value is missing, unknown or not allowed; names the card.
    """
    plain = dict(values)
    try:
        if "recipe" in plain:
            plain["recipe"] = Recipe.from_dict(plain["recipe"])
        if "label_file" in plain:
            remote = dict(plain["label_file"])
            plain["label_file"] = Remote(**remote | {"urls": tuple(remote["urls"])})
        plain["urls"] = tuple(plain.get("urls", ()))
        return Card(**plain)
    except (KeyError, TypeError) as error:
        raise ModelError(f"card {plain.get('id')!r} is damaged: {error}") from error


def _faults(card: Card) -> list[tuple[str, bool]]:
    """What could be wrong with a card, and whether it is."""
    hashes = [card.sha256, card.label_file.sha256 if card.label_file else ""]
    known = card.bytes > 0 and bool(card.sha256)
    return [
        ("its id is not of lower-case letters, digits, '.' and '-'", not _ID.fullmatch(card.id)),
        (f"format {card.format!r} is not one of {', '.join(FORMATS)}", card.format not in FORMATS),
        (
            "a hash is not of 64 hex digits",
            any(h and not _SHA256.fullmatch(h) for h in hashes),
        ),
        ("it is verified, but size or hash is missing", card.verified and not known),
        ("it is verified, but there is no address", card.verified and not card.urls),
        (f"archive {card.archive!r} is not zip or tar", card.archive not in ("", "zip", "tar")),
        (
            "an archive or a package needs a member",
            bool(card.archive or card.package) != bool(card.member),
        ),
        (
            "of embedded, fetched and installed it is more than one",
            bool(card.file) + bool(card.urls) + bool(card.package) > 1,
        ),
        ("a state dictionary needs a network", (card.format == "pytorch") != bool(card.network)),
        ("a path leads outside", any(".." in p for p in (card.file, card.labels, card.member))),
    ]
