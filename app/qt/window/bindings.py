"""What each key does: the table of commands and views, and what desks do about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twinlens.app.overlays.keys import all_commands
from twinlens.app.qt.sheets.popups import Popups
from twinlens.app.qt.window.views import ViewDesk
from twinlens.app.qt.window.wiring import Desks
from twinlens.app.views.pad import CLEAR, UNDO

Act = Callable[[], object]


def bindings(desks: Desks, popups: Popups, views: ViewDesk, close: Act) -> dict[str, Act]:
    """What each key does, by its name in Qt.

    Args:
        desks: do it.
        popups: what is open.
        views: the views, each with its key.
        close: closes the window.
    """
    acts = _acts(desks, popups, views, close)
    acts.update({view.id: partial(views.toggle, view) for view in views.views})
    return {key: acts[command.id] for command in all_commands(views.views) for key in command.keys}


def _acts(desks: Desks, popups: Popups, views: ViewDesk, close: Act) -> dict[str, Act]:
    def back() -> None:
        """Stop measuring, else take away the newest, else leave the pad, else full screen."""
        taken = desks.stop_measuring() or popups.close_newest() or views.close_newest()
        if not (taken or desks.pad.leave()):
            desks.look.leave_full_screen()

    def back_to_picture() -> None:
        """Take away everything that stands on the picture."""
        desks.stop_measuring()
        while popups.close_newest() or views.close_newest():
            pass
        desks.pad.leave()

    choose, look, menus, play = desks.choose, desks.look, desks.menus, desks.play
    acts: dict[str, Act] = {
        "next-engine": choose.next_engine,
        "next-precision": choose.next_precision,
        "engine-sheet": menus.engine,
        "model-sheet": menus.model,
        "source-sheet": menus.source,
        "views-sheet": menus.views,
        "settings-sheet": menus.settings,
        "pause": play.toggle_pause,
        "step": play.step,
        "step-back": play.step_back,
        "blank": look.toggle_blank,
        "screenshot": play.screenshot,
        "mirror": look.toggle_mirror,
        "crop": look.next_crop,
        "full-screen": look.toggle_full_screen,
        "keys": popups.toggle_cheat_sheet,
        "back": back,
        "all-back": back_to_picture,
        "close": close,
        UNDO.id: desks.pad.undo,
        CLEAR.id: desks.pad.clear,
    }
    acts.update({f"engine-{n}": partial(choose.number, n) for n in range(1, 5)})
    return acts
