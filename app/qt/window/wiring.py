"""Gives each desk the ports that it needs; the one place where desks are made and joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.loading import Loader
from twinlens.app.core.session.source import Source
from twinlens.app.core.shelf.pulls import Pulls
from twinlens.app.qt.measure.auto import Auto
from twinlens.app.qt.measure.bench import Bench
from twinlens.app.qt.measure.crossover import Crossover
from twinlens.app.qt.ports import Threads
from twinlens.app.qt.setup.intake import Intake
from twinlens.app.qt.setup.wizard import WizardDesk
from twinlens.app.qt.sheets.engine_sheet import EngineDesk
from twinlens.app.qt.sheets.menus import Menus
from twinlens.app.qt.sheets.model_shelf import ModelShelf
from twinlens.app.qt.sheets.popups import Popups
from twinlens.app.qt.stage.pad import Pad
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.qt.threads.bridge import Background
from twinlens.app.qt.threads.memory import Memory
from twinlens.app.qt.window.choose import Choose
from twinlens.app.qt.window.diagnose import Diagnose
from twinlens.app.qt.window.dialogs import Dialogs
from twinlens.app.qt.window.look import Look
from twinlens.app.qt.window.play import Play
from twinlens.app.qt.window.presenter import Presenter
from twinlens.app.qt.window.views import ViewDesk
from twinlens.app.views.bench import BENCH
from twinlens.app.views.crossover import CROSSOVER
from twinlens.app.views.models import MODELS
from twinlens.app.views.pad import PAD
from twinlens.engine.api.protocol import Network
from twinlens.models.catalog.store import Store

if TYPE_CHECKING:
    from twinlens.app.core.hosts.process import HostProcess


@dataclass(frozen=True)
class Parts:
    """What desks stand on.

    Attributes:
        window: the parent of what lives as long as it does, and of dialogs.
        stage: the picture.
        live: the session and its newest answer.
        memory: what is remembered.
        popups: sheets and banners.
        background: work off the window's thread.
        threads: starts and ends threads of one's own.
        views: shows views.
    """

    window: QWidget
    stage: Stage
    live: Presenter
    memory: Memory
    popups: Popups
    background: Background
    threads: Threads
    views: ViewDesk


@dataclass(frozen=True)
class Outside:
    """What a window is given from outside.

    Attributes:
        engines: all engines, usable or not, in the order of the switch.
        make_source: makes a source of its text form.
        resolve: makes a model of a catalog name or path; called on another thread.
        load: loads a model on an engine, for what is measured and proved.
        forgive: lets a model run again that ended its engine's process; called on another thread.
        hosts: the processes that engines and sources run in; called on another thread.
    """

    engines: Sequence[EngineChoice]
    make_source: Callable[[str], Source]
    resolve: Callable[[str], Network]
    load: Loader
    forgive: Callable[[Network], object]
    hosts: Callable[[], Sequence[HostProcess]]


@dataclass(frozen=True)
class Desks:
    """All desks, joined."""

    choose: Choose
    look: Look
    play: Play
    pad: Pad
    auto: Auto
    bench: Bench
    crossover: Crossover
    intake: Intake
    shelf: ModelShelf
    diagnose: Diagnose
    menus: Menus

    def stop_measuring(self) -> bool:
        """Stop what is being measured; returns whether there was something."""
        return self.bench.cancel() or self.crossover.cancel()


def wire(parts: Parts, outside: Outside, apply_theme: Callable[[], None]) -> Desks:
    """Make the desks.

    Args:
        parts: what they stand on.
        outside: engines, sources and models.
        apply_theme: takes the colours of the settings' theme.
    """
    live, memory, popups, views = parts.live, parts.memory, parts.popups, parts.views
    background, load = parts.background, outside.load
    ask = Dialogs(parts.window)
    choose = Choose(
        live,
        memory,
        popups,
        background,
        outside.engines,
        outside.make_source,
        outside.resolve,
        ask,
        parts.window,
        forgive=outside.forgive,
    )
    look = Look(parts.stage, live, memory, popups, apply_theme)
    play = Play(parts.stage, live, popups, background)
    pad = Pad(parts.stage, live, memory, popups, popups, choose, choose, views)
    measures = (live, choose, memory, popups, views, popups, parts.threads, load, parts.window)
    bench, crossover = Bench(*measures), Crossover(*measures)
    auto = Auto(
        live,
        choose,
        memory,
        popups,
        background,
        load,
        changing=lambda: desks.stop_measuring(),
        shown=lambda: desks.menus.refresh(),
    )
    wizard = WizardDesk(
        live,
        choose,
        views,
        popups,
        popups,
        background,
        ask,
        parts.threads.workers,
        load,
        parent=parts.window,
    )
    intake = Intake(
        wizard,
        live,
        choose,
        memory,
        popups,
        popups,
        background,
        parts.stage.target,
        pad,
        parent=parts.window,
    )
    store = Store()
    pulls = Pulls(store, workers=parts.threads.workers)
    shelf = ModelShelf(
        live, choose, views, popups, popups, store, background, pulls, parent=parts.window
    )
    diagnose = Diagnose(live, memory, choose, popups, background, outside.hosts)
    popups.copy_report = diagnose.copy
    menus = Menus(
        popups,
        live,
        memory,
        choose,
        look,
        ask,
        EngineDesk(live, choose, auto, memory, ask, bench.toggle),
        shelf,
        intake.open,
        views,
        popups.toggle_cheat_sheet,
        diagnose.copy,
    )
    desks = Desks(choose, look, play, pad, auto, bench, crossover, intake, shelf, diagnose, menus)
    _join(desks)
    views.leave_to_desks(
        {
            BENCH.id: bench.toggle,
            CROSSOVER.id: crossover.toggle,
            MODELS.id: shelf.toggle,
            PAD.id: pad.toggle,
        }
    )
    return desks


def _join(desks: Desks) -> None:
    """Let desks hear of each other."""
    choose, bench, crossover, auto = desks.choose, desks.bench, desks.crossover, desks.auto
    choose.changing.connect(desks.stop_measuring)
    desks.intake.changing.connect(desks.stop_measuring)
    choose.engine_taken.connect(auto.off)
    choose.answers.connect(bench.engine_ready)
    choose.answers.connect(auto.engine_ready)
    bench.others = lambda: crossover.running or auto.measuring
    crossover.others = lambda: bench.running or auto.measuring
    bench.more = (("Crossover …", crossover.toggle),)
    crossover.more = (("Bench …", bench.toggle),)
