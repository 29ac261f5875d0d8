"""What a view is: a key, a title, a place, what it needs of each answer, and its snapshot.

A view is one record, in a file of its own beside this one, and one line in ``table.VIEWS``. Keys,
the card with all keys, the rows of the View menu and the tests follow from the table; what paints
its data stands in ``app.qt.drawn.DRAWN``, by the type of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from twinlens.app.core.session.events import SessionState, Stats
from twinlens.app.core.session.types import Needs, Result
from twinlens.app.core.settings import Settings

OwnT = TypeVar("OwnT")
DataT = TypeVar("DataT")


class Place(Enum):
    """The places of the window; each holds one thing, a second view there replaces the first."""

    PICTURE = "picture"
    LABEL = "label block"
    MESSAGE = "message"
    DRAWER = "drawer"
    INSET = "inset"
    FOOT = "foot"
    LENS = "lens"


class Group(Enum):
    """Groups of keys on the card."""

    ENGINE = "Engine"
    PICTURE = "Picture"
    WINDOW = "Window"


@dataclass(frozen=True)
class Command:
    """Something that a key does.

    Attributes:
        id: its name in the program.
        keys: as Qt spells them (``"Shift+B"``, ``"Del"``); the first stands on the card.
        words: what the card says that it does; empty keeps it off the card.
        group: where on the card.
        shown: what the card calls the key; empty means the first of ``keys``.
    """

    id: str
    keys: tuple[str, ...]
    words: str = ""
    group: Group = Group.WINDOW
    shown: str = ""

    @property
    def key_text(self) -> str:
        """The key as a person reads it."""
        return self.shown or key_text(self.keys[0])


@dataclass(frozen=True, eq=False)
class Inputs(Generic[OwnT]):
    """What a snapshot is computed from; nobody changes any of it any more.

    Attributes:
        own: what the view's own desk knows (a table that is being measured); None where it has
            no desk.
        result: the newest answer, with what ``View.needs`` asks for; None before the first.
        stats: the session's statistics.
        settings: what a person chose.
        state: what runs; None until there is a session.
    """

    own: OwnT
    result: Result | None = None
    stats: Stats = field(default_factory=Stats)
    settings: Settings = field(default_factory=Settings)
    state: SessionState | None = None


@dataclass(frozen=True, eq=False)
class View(Generic[OwnT, DataT]):
    """A view.

    Attributes:
        id: its name in the program.
        title: its name for a person.
        place: where it stands.
        data: the type of its snapshots; ``app.qt.drawn.DRAWN`` has what paints that.
        snapshot: computes what is shown; pure, called on a thread that is not the window's. None
            shows nothing. The one exception is the label block: what stands there is computed
            together with the label, so that the two never part, and must be cheap.
        key: shows and hides it, as Qt spells it; empty where no key does.
        words: what the card with all keys says of it.
        group: where on that card.
        detail: what its row in the View menu says; empty where it has none there.
        needs: what it needs of each answer while it is open.
        follows: computed anew with each answer; otherwise when its desk says so.
        setting: the setting that remembers whether it is open; empty where none does.
        more: further keys that it has.
    """

    id: str
    title: str
    place: Place
    data: type[DataT]
    snapshot: Callable[[Inputs[OwnT]], DataT | None]
    key: str = ""
    words: str = ""
    group: Group = Group.PICTURE
    detail: str = ""
    needs: Needs = field(default_factory=Needs)
    follows: bool = False
    setting: str = ""
    more: tuple[Command, ...] = ()

    @property
    def commands(self) -> tuple[Command, ...]:
        """Its keys, the one that shows and hides it first."""
        own = (Command(self.id, (self.key,), self.words, self.group),) if self.key else ()
        return (*own, *self.more)

    @property
    def row_detail(self) -> str:
        """The detail of its row in the View menu, with its key."""
        return f"{self.detail} Key {key_text(self.key)}" if self.key else self.detail


AnyView = View[Any, Any]


def key_text(key: str) -> str:
    """A key as a person reads it: ``"Shift+B"`` is ``"Shift B"``."""
    return " ".join(_KEY_TEXTS.get(part, part) for part in key.split("+"))


_KEY_TEXTS = {"Right": "→", "Left": "←", "Up": "↑", "Down": "↓", "Del": "Delete"}
