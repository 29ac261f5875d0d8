"""The sheet of engines: which one answers, in what precision, with how many threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import SessionState
from twinlens.app.overlays.keys import key_of
from twinlens.app.qt.measure.auto import TITLE as AUTO
from twinlens.app.qt.measure.auto import Auto
from twinlens.app.qt.ports import AskPort, PrecisionPort, SessionPort, SettingsPort
from twinlens.app.qt.sheets.sheets import Chip, ChipRow, Heading, Row, SheetRow
from twinlens.app.views.bench import BENCH
from twinlens.app.views.precision import precision_detail, precision_title, runs_text

TITLE = "Engine"
_MOST_CHIPS = 6


@dataclass(frozen=True)
class EngineDesk:
    """What the sheet reads, and what its rows do.

    Attributes:
        live: the session.
        engines: the engines and how they compute.
        auto: finds the fastest.
        memory: what a person chose.
        ask: the system's dialogs.
        bench: opens the bench.
    """

    live: SessionPort
    engines: PrecisionPort
    auto: Auto
    memory: SettingsPort
    ask: AskPort
    bench: Callable[[], None]


def rows(desk: EngineDesk) -> list[SheetRow]:
    """The sheet's rows as things are now."""
    state = desk.live.session.state if desk.live.session is not None else None
    live = state.info.engine_id if state and state.info else ""
    auto = desk.auto
    made: list[SheetRow] = [Row(AUTO, auto.detail, auto.choose, auto.on)]
    for engine in desk.engines.engines:
        act = partial(desk.engines.engine, engine.id) if engine.reason is None else None
        runs = runs_text(state.info) if state and state.info and engine.id == live else ""
        made.append(Row(engine.title, engine.reason or runs, act, engine.id == live))
    choice = desk.engines.choice(live)
    if state is not None and choice is not None:
        if choice.takes_threads:
            made += [Heading("Threads"), _thread_row(desk)]
        made.append(Heading(f"Precision of {choice.title}"))
        made += _precision_rows(desk, choice, state)
        detail = f"All of these, timed on this machine. Key {key_of(BENCH.id)}"
        made.append(Row("Bench …", detail, desk.bench))
    return made


def _precision_rows(desk: EngineDesk, choice: EngineChoice, state: SessionState) -> list[SheetRow]:
    served = desk.engines.serving
    made: list[SheetRow] = []
    for precision in choice.precisions:
        asked = replace(state.options, precision=precision)
        used = served is not None and served.options.precision == precision
        detail = precision_detail(
            precision,
            agreement=desk.engines.agreement(state.spec, choice.id, asked),
            runs=served.info if served is not None and used else None,
            loading=state.loading is not None and state.options.precision == precision,
        )
        act = partial(desk.engines.precision, precision)
        made.append(Row(precision_title(precision), detail, act, used))
    made += [Row(name, f"Not here: {why}.") for name, why in choice.missing.items()]
    if len(choice.precisions) > 1:
        made.append(_calibration_row(desk))
    return made


def _calibration_row(desk: EngineDesk) -> Row:
    chosen = desk.memory.settings.calibration
    shown = Path(chosen).name if chosen else "the bundled clip"

    def pick() -> None:
        path = desk.ask.folder("Folder of calibration pictures")
        if path:
            desk.engines.calibration(path)

    if chosen:
        detail = f"Now {shown}. Press for the bundled clip again."
        return Row("Calibration pictures", detail, partial(desk.engines.calibration, ""))
    return Row("Calibration pictures …", f"Now {shown}. Comparing takes seconds, once.", pick)


def _thread_row(desk: EngineDesk) -> ChipRow:
    chosen, act = desk.memory.settings.threads, desk.engines.threads
    own = Chip("Engine’s choice", "Threads: the engine’s choice", partial(act, None), not chosen)
    chips = [own]
    for count in _thread_counts(os.cpu_count() or 1):
        name = f"{count} thread{'s' if count > 1 else ''}"
        chips.append(Chip(str(count), name, partial(act, count), chosen == count))
    return ChipRow(tuple(chips))


def _thread_counts(cores: int) -> list[int]:
    """1, 2, 4 ... and the number of cores."""
    counts = {1 << power for power in range(cores.bit_length()) if 1 << power <= cores}
    return sorted(counts | {cores})[:_MOST_CHIPS]
