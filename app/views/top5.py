"""The five best classes, in the label block."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.app.core.session.types import Result
from twinlens.app.views.view import Group, Inputs, Place, View
from twinlens.app.views.words import percent, short_label
from twinlens.engine.api.observations import ClassificationObservation

_ROWS = 5


@dataclass(frozen=True)
class TopRow:
    """One bar of the top list; ``index`` names the class, so that bars can slide."""

    label: str
    confidence: float
    confidence_text: str
    index: int


@dataclass(frozen=True)
class TopOverlay:
    """The best classes; the shown label first, the others by confidence."""

    rows: tuple[TopRow, ...]
    engine_id: str


def top_overlay(result: Result) -> TopOverlay:
    """The best classes, the shown label first, then by confidence."""
    return TopOverlay(
        rows=tuple(_row(o) for o in result.smoothed[:_ROWS]),
        engine_id=result.info.engine_id,
    )


def _row(observation: ClassificationObservation) -> TopRow:
    return TopRow(
        label=short_label(observation.identifier),
        confidence=observation.confidence,
        confidence_text=percent(observation.confidence),
        index=observation.index,
    )


def _snapshot(inputs: Inputs[None]) -> TopOverlay | None:
    return top_overlay(inputs.result) if inputs.result is not None else None


TOP5 = View(
    id="top5",
    title="Top 5",
    place=Place.LABEL,
    data=TopOverlay,
    snapshot=_snapshot,
    key="T",
    words="top 5",
    group=Group.ENGINE,
    detail="The five best classes.",
    follows=True,
    setting="top5",
)
