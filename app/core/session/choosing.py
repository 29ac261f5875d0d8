"""What a choice of engine, model or precision means; pure rules, which a window carries out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import EngineReady, SessionState
from twinlens.app.core.settings import Settings
from twinlens.assets import clip_path
from twinlens.engine.api.protocol import EngineOptions, ModelSpec
from twinlens.models.identify.default import EMBEDDED_MODEL, PREFERRED_MODEL


def usable(engines: Sequence[EngineChoice]) -> list[str]:
    """Ids of the engines that run here, in their order."""
    return [engine.id for engine in engines if engine.reason is None]


def find_choice(engines: Sequence[EngineChoice], engine_id: str) -> EngineChoice | None:
    """An engine by its id."""
    return next((engine for engine in engines if engine.id == engine_id), None)


def what_to_remember(event: EngineReady, settings: Settings) -> dict[str, Any]:
    """Settings that a next start begins with, now that an engine answers.

    Only what has answered is remembered: what cannot be loaded must not greet the next start.
    """
    options, engine_id = event.options, event.info.engine_id
    calibration = options.calibration
    return {
        "engine": engine_id,
        "precisions": settings.with_precision(engine_id, options.precision).precisions,
        "threads": options.threads,
        "calibration": "" if calibration in (None, clip_path()) else str(calibration),
        "adapter": options.adapter or "",
    }


@dataclass(frozen=True)
class Rescue:
    """What to try after a load has failed.

    Attributes:
        goes_on: what happens instead, for a person.
        options: ask the same engine for this; None leaves it as it is.
        engine_id: ask this engine; empty leaves it as it is.
        model: use this model, by name; empty is the default. None leaves it as it is.
    """

    goes_on: str
    options: EngineOptions | None = None
    engine_id: str = ""
    model: str | None = None


NONE_LEFT = "Choose another model: L"
"""Said where none of them can be used."""
INSTEAD = {
    "": "The default model is used instead.",
    EMBEDDED_MODEL: "The embedded model is used instead.",
}
"""What is tried where a model cannot be used at the start, in this order, and how that is told."""


def rescue(
    state: SessionState,
    choice: EngineChoice | None,
    *,
    tried: Collection[str] = (),
    others: Sequence[EngineChoice] = (),
) -> Rescue:
    """What to try after a load has failed.

    Args:
        state: the session's.
        choice: the engine that was asked for.
        tried: those of ``INSTEAD`` that were tried already.
        others: engines that may do what this one did not; of an engine that stopped those that
            were not tried yet, of a model that is at fault none.
    """
    if state.info is not None:
        return Rescue("The engine that ran before goes on.")
    if others:
        return Rescue(f"{others[0].title} is tried instead.", engine_id=others[0].id)
    # Nothing has ever answered. A precision needs more than a model does, so it goes first.
    if choice is not None and state.options.precision != choice.precisions[0]:
        first = choice.precisions[0]
        return Rescue(f"It runs in {first} instead.", replace(state.options, precision=first))
    # The model asked for at the start is broken; or the default was that, and is.
    known = {*tried, ""} if state.spec.id == PREFERRED_MODEL else tried
    left = [name for name in INSTEAD if name not in known]
    return Rescue(INSTEAD[left[0]], model=left[0]) if left else Rescue(NONE_LEFT)


class Agreements:
    """How far precisions agree with fp32, as far as that has been found out."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, Path | None], float] = {}

    def get(self, spec: ModelSpec, engine_id: str, options: EngineOptions) -> float | None:
        """Share of the calibration pictures in [0, 1]; None where nobody has compared yet."""
        return self._known.get((spec.id, engine_id, options.precision, options.calibration))

    def put(self, asked: EngineReady, engine_id: str, precision: str, share: float) -> None:
        """Keep a share for that model and those pictures."""
        self._known[asked.spec.id, engine_id, precision, asked.options.calibration] = share
