"""The models that Twinlens knows, and what a name or a file stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twinlens.engine import modelfile
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import LabelError, ModelError, ModelFileError
from twinlens.engine.files import reading
from twinlens.engine.found import PARTS, Found, Origin
from twinlens.engine.modelfile import inspect, read_labels
from twinlens.engine.params import holds_parameters
from twinlens.models.catalog.cards import FOLDER, FORMATS, Card, cards
from twinlens.models.catalog.store import State, Store, sha256_of
from twinlens.models.identify.kept import kept_for
from twinlens.models.networks import table as networks

__all__ = [
    "DEFAULT_MODEL",
    "Card",
    "card_of",
    "cards",
    "find",
    "imagenet_labels",
    "resolve",
    "spec_for",
]

DEFAULT_MODEL = "twinlens-208"
"""The embedded model that the app starts on."""


def resolve(
    name_or_path: str | Path, *, labels: Path | None = None, store: Store | None = None
) -> ModelSpec:
    """Find what a catalog name or a path stands for.

    Args:
        name_or_path: a card's id; the path of a model file, of a Core ML package, or of bare
            parameters (a folder of raw files, HDF5, safetensors, npz) of a network that is
            assembled by hand; or that network's id, a colon and such a path.
        labels: label file that overrides the model's own.
        store: where fetched models are; None means the user's folder.

    Raises:
        ModelError: there is no such model (names those that there are), or it was not fetched.
        ModelFileError: the file is not a model that can be used.
        ParameterError: parameters do not fit their network; names all that do not.
        LabelError: labels are missing or their number is wrong.
    """
    return find(name_or_path, labels=labels, store=store).checked()


def find(
    name_or_path: str | Path, *, labels: Path | None = None, store: Store | None = None
) -> Found:
    """Find out what is known of a model, with labels or without; else as ``resolve``."""
    store = store or Store()
    known = store.cards()
    card = _find(str(name_or_path), known)
    if card is not None:
        if not card.embedded:
            return _found(card, _fetched(card, store), labels or store.labels(card))
        return _found(card, FOLDER / card.file, labels)
    chosen = networks.split_name(str(name_or_path))
    if chosen is not None:
        network, path = chosen
        with reading(path, ModelFileError):
            return networks.find(
                path,
                network=network,
                labels=labels,
                imagenet_labels=imagenet_labels,
                kept=kept_for(path),
            )
    path = Path(name_or_path)
    with reading(path, ModelFileError):
        if not path.exists():
            message = f"model {str(name_or_path)!r}: no such file or catalog name"
            raise _unknown(message, known)
        recognised = _recognise(path, known)
        if recognised is not None:
            # A label file that somebody put beside a known model is meant.
            beside = path.with_suffix(".labels.txt")
            return _found(recognised, path, labels or (beside if beside.is_file() else None))
        kept = kept_for(path)
        if holds_parameters(path):
            return networks.find(path, labels=labels, imagenet_labels=imagenet_labels, kept=kept)
        return modelfile.find(path, labels=labels, imagenet_labels=imagenet_labels, kept=kept)


def card_of(name: str, store: Store) -> Card:
    """The card of a catalog name.

    Raises:
        ModelError: there is none; names those that there are.
    """
    known = store.cards()
    card = _find(name, known)
    if card is None:
        raise _unknown(f"no model in the catalog is called {name!r}", known)
    return card


def spec_for(card: Card, path: Path, labels: Path | None = None) -> ModelSpec:
    """Make the model of a card whose file lies at ``path``.

    Args:
        card: says what the file does not.
        path: the file.
        labels: label file that overrides the card's.

    Raises:
        ModelFileError: the file cannot be read.
        LabelError: labels are missing or their number is wrong.
    """
    return _found(card, path, labels).checked()


def _found(card: Card, path: Path, labels: Path | None = None) -> Found:
    """What is known of a card's file."""
    form = FORMATS[card.format]
    if card.recipe is None:
        found = modelfile.find(path, labels=labels, imagenet_labels=imagenet_labels)
        return replace(found, spec=replace(found.spec, id=card.id, title=card.title))
    output = card.output
    if output is None:
        output = "probabilities" if inspect(path).ends_in_softmax else "logits"
    origins = dict.fromkeys(PARTS, Origin.CARD)
    source = labels or (FOLDER / card.labels if card.labels else None)
    names = () if source is None else read_labels(source)
    problem = None
    if source is None:
        del origins["labels"]
        problem = LabelError(
            f"{path.name}: {card.title} brings no labels",
            hint=f"Put {path.stem}.labels.txt beside it, one name a line, or use --labels.",
        )
    elif labels is not None:
        origins["labels"] = Origin.GIVEN
    spec = ModelSpec(
        id=card.id,
        title=card.title,
        path=path,
        recipe=card.recipe,
        labels=names,
        background_outputs=card.background_outputs,
        output=output,
    )
    return Found(spec, form, None, origins, problem)


def imagenet_labels() -> tuple[str, ...]:
    """Names of ImageNet's 1,000 classes in the order of their synsets."""
    return read_labels(FOLDER / "labels" / "imagenet1000.txt")


def _find(name: str, known: tuple[Card, ...]) -> Card | None:
    return next((card for card in known if card.id == name), None)


def _unknown(message: str, known: tuple[Card, ...]) -> ModelError:
    return ModelError(message, hint=f"Catalog names are {', '.join(card.id for card in known)}.")


def _fetched(card: Card, store: Store) -> Path:
    """The file of a card that is not embedded."""
    path = store.file(card)
    if path is None:
        if store.state(card) is State.NO_DOWNLOAD:
            raise ModelError(f"{card.id}: its file does not come with Twinlens", hint=card.source)
        raise ModelError(
            f"{card.id} is not here yet", hint=f"Fetch it once: twinlens models pull {card.id}"
        )
    record = store.record(card)
    wanted = card.bytes or (record.bytes if record else 0)
    size = path.stat().st_size
    if wanted and not card.archive and size != wanted:
        raise ModelFileError(
            f"{path} is damaged: it has {size:,} bytes instead of {wanted:,}",
            hint=f"Fetch it again: twinlens models pull {card.id}",
        )
    return path


def _recognise(path: Path, known: tuple[Card, ...]) -> Card | None:
    """Find the card of a file by its content; hashes only a file of a known size."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    same_size = [card for card in known if card.bytes == size and not card.archive]
    if not same_size:
        return None
    digest = sha256_of(path)
    return next((card for card in same_size if card.sha256 == digest), None)
