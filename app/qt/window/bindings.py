"""What each key does; ``overlays.keys`` shows the same on the card."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow


def bindings(window: MainWindow) -> dict[str, Callable[[], object]]:
    """What keys do in a window."""
    bound: dict[str, Callable[[], object]] = {
        "E": window.choose.next_engine,
        "P": window.choose.next_precision,
        "Shift+E": window.menus.engine,
        "Space": window.toggle_pause,
        "Right": window.step,
        "T": window.look.toggle_top5,
        "B": window.bench.toggle,
        "Shift+B": window.crossover.toggle,
        "D": window.pad.toggle,
        "Ctrl+Z": window.pad.undo,
        "Del": window.pad.clear,
        "M": window.look.toggle_mirror,
        "C": window.look.next_crop,
        "S": window.screenshot,
        "F": window.look.toggle_full_screen,
        "F11": window.look.toggle_full_screen,
        "Esc": window.back,
        "O": window.menus.source,
        "L": window.menus.model,
        "Shift+M": window.shelf.toggle,
        "V": window.menus.views,
        ",": window.menus.settings,
        "?": window.toggle_cheat_sheet,
        "F1": window.toggle_cheat_sheet,
    }
    for number, engine in enumerate(window.choose.engines[:4], 1):
        bound[str(number)] = lambda chosen=engine.id: window.choose.engine(chosen)  # type: ignore[misc]
    # Spelled out, since Windows has no standard key for it; Qt makes it ⌘Q on a Mac.
    bound["Ctrl+Q"] = window.close
    return bound
