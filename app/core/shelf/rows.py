"""What is shown about a model of the catalog, on the command line and in the window."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.models.catalog.cards import FORMATS, Card
from twinlens.models.catalog.store import State, Store


@dataclass(frozen=True)
class ModelRow:
    """A model of the catalog, for display.

    Attributes:
        id: catalog name.
        title: name that is shown.
        task: what it tells apart.
        format: format of its file, as shown.
        size: size of its file (``"14.0 MB"``), or that it is not known.
        parameters: ``"3.5 M"``.
        accuracy: ``"69.4 %"`` top-1, or ``"–"``.
        licence: licence of its weights.
        state: where its file is.
        verified: whether size and hash are known as facts, or were confirmed by a download.
        kept_bytes: what has arrived of a download that was not finished.
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
        return text if self.verified or self.state is State.NO_DOWNLOAD else f"{text}, unverified"


def model_rows(store: Store) -> tuple[ModelRow, ...]:
    """All models of the catalog, in its order.

    Raises:
        ModelError: the user's own catalog is damaged.
    """
    return tuple(model_row(card, store) for card in store.cards())


def model_row(card: Card, store: Store) -> ModelRow:
    """What is shown about one model."""
    record = store.record(card)
    size = card.bytes or (record.bytes if record else 0)
    part = store.part(card)
    return ModelRow(
        id=card.id,
        title=card.title,
        task=card.task,
        format=FORMATS[card.format],
        size=megabytes(size) if size else "not known",
        parameters=count(card.parameters),
        accuracy="–" if card.top1 is None else f"{card.top1:.1f} %",
        licence=card.licence,
        state=store.state(card),
        verified=store.verified(card),
        kept_bytes=part.stat().st_size if part.is_file() else 0,
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
