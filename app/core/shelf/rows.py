"""What is shown about a model of the catalog, on the command line and in the window."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.errors import TwinlensError
from twinlens.models.catalog.cards import FORMATS, Card, cards
from twinlens.models.catalog.store import Pulled, State, Store


@dataclass(frozen=True)
class ModelRow:
    """A model of the catalog, for display.

    Attributes:
        id: catalog name.
        title: name that is shown.
        task: what it distinguishes.
        format: format of its file, as shown.
        size: size of its file (``"14.0 MB"``), or that it is not known.
        parameters: ``"3.5 M"``.
        accuracy: ``"69.4 %"`` top-1, or ``"–"``.
        licence: licence of its weights.
        state: where its file is.
        verified: whether size and hash are known as facts, or were confirmed by a download.
        kept_bytes: what has arrived of a download that was not finished.
        package: what to install, where it comes as a Python package.
    """

    id: str
    title: str
    task: str
    format: str
    size: str
    parameters: str
    accuracy: str
    licence: str
    state: State
    verified: bool
    kept_bytes: int
    package: str = ""

    @property
    def removable(self) -> bool:
        """Whether files of it take room that removing it frees."""
        return self.state is State.HERE or self.kept_bytes > 0

    @property
    def state_text(self) -> str:
        """State in words, with what is unusual about it."""
        text = self.state.value
        if self.state is State.NOT_HERE and self.kept_bytes:
            text = f"{megabytes(self.kept_bytes)} of it here"
        fetched = self.state in (State.HERE, State.NOT_HERE)
        return f"{text}, unverified" if fetched and not self.verified else text


@dataclass(frozen=True)
class Catalog:
    """The catalog as it was when it was read.

    Attributes:
        cards: the models.
        rows: the same, for display.
        problem: why the user's own catalog is left out; None where it is not.
    """

    cards: tuple[Card, ...] = ()
    rows: tuple[ModelRow, ...] = ()
    problem: TwinlensError | None = None

    @property
    def at_hand(self) -> tuple[Card, ...]:
        """Models that can be used at once."""
        pairs = zip(self.cards, self.rows, strict=True)
        return tuple(card for card, row in pairs if row.state.usable)


def read_catalog(store: Store) -> Catalog:
    """Look at all models; reads files, so it is no work for a window's thread."""
    known, problem = cards(), None
    try:
        known = store.cards()
    except TwinlensError as error:
        problem = error
    return Catalog(known, _rows(known, store), problem)


def model_rows(store: Store) -> tuple[ModelRow, ...]:
    """All models of the catalog, in its order.

    Raises:
        ModelError: the user's own catalog is damaged.
    """
    return _rows(store.cards(), store)


def _rows(known: tuple[Card, ...], store: Store) -> tuple[ModelRow, ...]:
    records = store.records()
    return tuple(_row(card, store, records.get(card.id)) for card in known)


def model_row(card: Card, store: Store) -> ModelRow:
    """What is shown about one model."""
    return _row(card, store, store.record(card))


def _row(card: Card, store: Store, record: Pulled | None) -> ModelRow:
    size = card.bytes or (record.bytes if record else 0)
    part = store.part(card)
    state = store.state(card)
    return ModelRow(
        id=card.id,
        title=card.title,
        task=card.task,
        format=FORMATS[card.format],
        size=megabytes(size) if size else "not known",
        parameters=count(card.parameters),
        accuracy="–" if card.top1 is None else f"{card.top1:.1f} %",
        licence=card.licence,
        state=state,
        verified=card.verified or bool(card.file or card.package) or record is not None,
        kept_bytes=part.stat().st_size if part.is_file() else 0,
        package=card.package,
    )


def megabytes(size: int) -> str:
    """A size in bytes, in decimal units of three digits or so."""
    if size < 1_000:
        return f"{size} bytes"
    if size < 1_000_000:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def count(number: int) -> str:
    """A number of parameters, in thousands or millions."""
    if number < 1_000:
        return str(number)
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number / 1e3:.0f} k"
