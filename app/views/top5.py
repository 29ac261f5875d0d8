"""The five best classes, in the label block."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.app.core.session.types import Result
from twinlens.app.views.view import Group, Inputs, Place, View
from twinlens.app.views.words import percent, short_label
from twinlens.engine.api.observations import ClassificationObservation

_ROWS = 5
_LEAST = 0.01


@dataclass(frozen=True)
class TopRow:
    """One bar of the top list; ``index`` names the class, so that bars can slide."""

    label: str
    confidence: float
    confidence_text: str
    index: int


@dataclass(frozen=True)
class TopOverlay:
    """The best classes; the shown label first, the others by confidence.

    Those under 1 % are left out: nothing can be seen of them, and they change places all the time.
    """

    rows: tuple[TopRow, ...]
    engine_id: str


def top_overlay(result: Result) -> TopOverlay:
    """The best classes, the shown label first, then by whole percent, equal ones by class."""
    best, *others = result.smoothed[:_ROWS] or (None,)
    seen = [one for one in others if one.confidence >= _LEAST]
    seen.sort(key=lambda one: (-round(one.confidence * 100), one.index))
    rows = () if best is None else (best, *seen)
    return TopOverlay(tuple(_row(one) for one in rows), result.info.engine_id)


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
