"""The keys, in one place: the cheat sheet shows what the window binds."""

from __future__ import annotations

from twinlens.app.overlays.data import CheatSheet, KeyGroup

CHEAT_SHEET = CheatSheet(
    (
        KeyGroup(
            "Engine",
            (
                ("E", "next engine"),
                ("1 – 4", "choose an engine"),
                ("P", "next precision"),
                ("Shift E", "engine and precision"),
                ("L", "model"),
                ("Shift M", "more models"),
                ("T", "top 5"),
                ("B", "bench"),
                ("Shift B", "where a GPU pays"),
            ),
        ),
        KeyGroup(
            "Picture",
            (
                ("O", "source"),
                ("Space", "pause or go on"),
                ("→", "one frame, when paused"),
                ("M", "mirror"),
                ("C", "next crop"),
                ("S", "screenshot"),
                ("D", "drawing pad"),
                ("Ctrl Z", "undo a stroke"),
                ("Delete", "wipe the board"),
            ),
        ),
        KeyGroup(
            "Window",
            (
                ("V", "views"),
                (",", "settings"),
                ("F", "full screen"),
                ("Esc", "back"),
                ("?", "this card"),
            ),
        ),
    )
)
