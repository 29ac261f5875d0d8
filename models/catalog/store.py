"""Models that were fetched: one folder each, and a record of what was fetched from where.

The folder is ``models`` in the user's data folder; the environment variable ``TWINLENS_MODELS``
names another one::

    mobilenet-v2-12/mobilenetv2-12.onnx   a model, with its labels where they are not embedded
    pulled.json                           size, hash, address and day of every model fetched
    catalog.toml                          cards of one's own, like ``models/catalog/catalog.toml``
    .parts/mobilenet-v2-12.part           a download that was not finished

``pulled.json`` outlives the models, so that a card without a known hash, once confirmed, is held
to what came first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ModelError
from twinlens.engine.files import write_whole
from twinlens.models.catalog.cards import Card, cards, read_cards

if TYPE_CHECKING:
    from filelock import FileLock

VARIABLE = "TWINLENS_MODELS"
"""Environment variable that names another folder."""

LABELS = "labels.txt"
"""Name of a fetched label file in the model's folder."""

_STAGING = ".staging-"
_PIECE = 1 << 20
_MAX_RECORD_BYTES = 1_000_000


class State(Enum):
    """Where a model is."""

    EMBEDDED = "embedded"
    HERE = "here"
    NOT_HERE = "not here"
    INSTALLED = "installed"
    NOT_INSTALLED = "not installed"
    """It comes in a Python package."""
    NO_DOWNLOAD = "no download"
    """Its file cannot be fetched; it is recognised when somebody has it."""

    @property
    def usable(self) -> bool:
        """Whether the model can be used at once."""
        return self in (State.EMBEDDED, State.INSTALLED, State.HERE)


@dataclass(frozen=True)
class Pulled:
    """What was fetched.

    Attributes:
        sha256: hash of the file that came (of the archive, where it was one).
        bytes: its size.
        url: where it came from.
        date: day, ``YYYY-MM-DD``.
    """

    sha256: str
    bytes: int
    url: str
    date: str


class Store:
    """The folder of fetched models.

    Args:
        root: the folder; None means the one of the module's docstring. It is made when needed.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or _default_root()

    def cards(self) -> tuple[Card, ...]:
        """The catalog's cards, then those of ``catalog.toml`` in this folder.

        Raises:
            ModelError: that file is damaged, or has an id twice; names it.
        """
        path = self.root / "catalog.toml"
        own = read_cards(path) if path.is_file() else ()
        known: dict[str, Card] = {}
        for card in (*cards(), *own):
            if card.id in known or (card.embedded and card in own):
                raise ModelError(f"{path}: card {card.id!r} is there already, or embedded")
            known[card.id] = card
        return tuple(known.values())

    def state(self, card: Card) -> State:
        """Where a card's file is."""
        if card.embedded:
            return State.EMBEDDED
        if card.package:
            return State.NOT_INSTALLED if card.installed is None else State.INSTALLED
        if self.file(card) is not None:
            return State.HERE
        return State.NOT_HERE if card.urls else State.NO_DOWNLOAD

    def verified(self, card: Card) -> bool:
        """Whether size and hash are facts, or one download of this user has confirmed them."""
        known = card.verified or bool(card.file or card.package)
        return known or self.record(card) is not None

    def file(self, card: Card) -> Path | None:
        """The fetched or installed model, None where it is not here. Looks at no content."""
        if card.package:
            return card.installed
        remote = card.remote
        if remote is None:
            return None
        path = self.folder(card) / (card.member or remote.filename)
        return path if path.exists() else None

    def labels(self, card: Card) -> Path | None:
        """The label file that was fetched with a model, None where there is none."""
        path = self.folder(card) / LABELS
        return path if card.label_file and path.is_file() else None

    def folder(self, card: Card) -> Path:
        """Where a card's files are put."""
        return self.root / card.id

    def part(self, card: Card) -> Path:
        """Where a card's file grows while it is fetched."""
        return self.root / ".parts" / f"{card.id}.part"

    def record(self, card: Card) -> Pulled | None:
        """What was fetched for this card, also when it was removed since."""
        return self.records().get(card.id)

    def records(self) -> dict[str, Pulled]:
        """What was fetched, by the cards' ids; the record is read once for all of them."""
        return self._records()

    def install(self, card: Card, staged: Path, pulled: Pulled) -> None:
        """Put a finished folder in place in one step, and write down what it is.

        Raises:
            OSError: the folder cannot be written.
        """
        folder = self.folder(card)
        with self._lock(), self.staging() as old:
            # A folder cannot be renamed over another one that has files.
            if folder.exists():
                folder.replace(old / card.id)
            staged.replace(folder)
            self._write({**self._records(), card.id: pulled})

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the same disk; what is left in it is deleted."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.root))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def remove(self, card: Card, *, forget: bool = False) -> int:
        """Delete a model and what has arrived of it.

        Args:
            card: whose files to delete.
            forget: forget its confirmed hash, too.

        Returns:
            Bytes that were freed.

        Raises:
            ModelError: the model is embedded, or its files cannot be deleted.
        """
        if card.embedded:
            raise ModelError(f"{card.id} comes with Twinlens and cannot be removed")
        if card.package:
            raise ModelError(
                f"{card.id} is a Python package", hint=f"pip uninstall {card.package} removes it."
            )
        part = self.part(card)
        parts = [part, *part.parent.glob(part.name + ".*")]
        folder = self.folder(card)
        if not self.root.exists():
            return 0
        freed = sum(path.stat().st_size for path in [*parts, *folder.rglob("*")] if path.is_file())
        try:
            with self._lock():
                if folder.exists():
                    shutil.rmtree(folder)
                for path in parts:
                    path.unlink(missing_ok=True)
                if forget:
                    self._write({key: v for key, v in self._records().items() if key != card.id})
        except OSError as error:
            raise ModelError(f"{card.id} cannot be removed: {error}") from error
        return freed

    def _lock(self) -> FileLock:
        """Held while the folder changes, so that two pulls write down both their models."""
        from filelock import FileLock

        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / ".lock")

    def _records(self) -> dict[str, Pulled]:
        path = self.root / "pulled.json"
        try:
            if path.stat().st_size > _MAX_RECORD_BYTES:
                return {}
            values = json.loads(path.read_text(encoding="utf-8"))
            return {str(key): Pulled(**value) for key, value in values.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # Without a record a model has to be confirmed once more; nothing else is lost.
            return {}

    def _write(self, records: dict[str, Pulled]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        values = {key: asdict(value) for key, value in records.items()}
        write_whole(self.root / "pulled.json", json.dumps(values, indent=2).encode(), private=True)


def sha256_of(path: Path) -> str:
    """Hash of a file, in lower-case hexadecimal digits.

    Raises:
        CancelledError: see ``engine.cancel``.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            checkpoint()
            digest.update(piece)
    return digest.hexdigest()


def _default_root() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("twinlens", appauthor=False) / "models"
