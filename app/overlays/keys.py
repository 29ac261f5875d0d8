"""All keys, in one place: what is no view stands here, the rest comes from the table of views."""

from __future__ import annotations

from collections.abc import Iterable

from twinlens.app.overlays.data import CheatSheet, KeyGroup
from twinlens.app.views.table import VIEWS
from twinlens.app.views.view import AnyView, Command, Group

_ENGINE, _PICTURE, _WINDOW = Group.ENGINE, Group.PICTURE, Group.WINDOW

COMMANDS: tuple[Command, ...] = (
    Command("next-engine", ("E",), "next engine", _ENGINE),
    Command("engine-1", ("1",), "choose an engine", _ENGINE, shown="1 – 4"),
    Command("engine-2", ("2",)),
    Command("engine-3", ("3",)),
    Command("engine-4", ("4",)),
    Command("next-precision", ("P",), "next precision", _ENGINE),
    Command("engine-sheet", ("Shift+E",), "engine and precision", _ENGINE),
    Command("model-sheet", ("L",), "model", _ENGINE),
    Command("source-sheet", ("O",), "source", _PICTURE),
    Command("pause", ("Space",), "pause or go on", _PICTURE),
    Command("step", ("Right",), "when paused: next", _PICTURE),
    Command("step-back", ("Left",), "when paused: back", _PICTURE),
    Command("mirror", ("M",), "mirror", _PICTURE),
    Command("crop", ("C",), "next crop", _PICTURE),
    Command("screenshot", ("S",), "screenshot", _PICTURE),
    Command("views-sheet", ("V",), "views", _WINDOW),
    Command("settings-sheet", (",",), "settings", _WINDOW),
    Command("full-screen", ("F", "F11"), "full screen", _WINDOW),
    Command("blank", ("B", "."), "blank, or back", _WINDOW),
    Command("back", ("Esc",), "back", _WINDOW),
    Command("all-back", ("Shift+Esc",), "back to the picture", _WINDOW),
    Command("keys", ("?", "F1"), "this card", _WINDOW),
    # Spelled out, since Windows has no standard key for it; Qt makes it ⌘Q on a Mac.
    Command("close", ("Ctrl+Q",)),
)
"""What keys do that is no view."""


def all_commands(views: Iterable[AnyView] = VIEWS) -> tuple[Command, ...]:
    """Everything that a key does, in the order of the card."""
    return (*COMMANDS, *(command for view in views for command in view.commands))


def cheat_sheet(views: Iterable[AnyView] = VIEWS) -> CheatSheet:
    """The card with all keys, grouped by what they do."""
    commands = [command for command in all_commands(views) if command.words]
    return CheatSheet(
        tuple(
            KeyGroup(
                group.value, tuple((c.key_text, c.words) for c in commands if c.group is group)
            )
            for group in Group
        )
    )


def key_of(command_id: str) -> str:
    """The key of a command or view as a person reads it; empty where it has none."""
    return next((c.key_text for c in all_commands() if c.id == command_id), "")


CHEAT_SHEET = cheat_sheet()
