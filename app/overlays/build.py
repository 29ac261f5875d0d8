"""From the session's records to what is drawn; pure functions, no clock, no state."""

from __future__ import annotations

from dataclasses import replace

from twinlens.app.core.session.events import SessionState, Stats
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings
from twinlens.app.overlays.data import (
    LabelOverlay,
    LiveDot,
    Notice,
    Overlays,
    StatusOverlay,
)
from twinlens.app.views.top5 import TOP5
from twinlens.app.views.view import Inputs
from twinlens.app.views.words import FIGURE_SPACE, fixed, holding_text, percent, short_label
from twinlens.engine.api.observations import ClassificationObservation

NOT_SURE = "not sure"


def build_overlays(
    result: Result | None, stats: Stats, settings: Settings, state: SessionState
) -> Overlays:
    """Everything that is drawn over the picture now.

    Args:
        result: newest answer; None before the first. Dimmed, and said to be from before, while
            answers rest.
        stats: the session's statistics.
        settings: threshold and top-5 switch are read.
        state: what runs, loads, or is paused.
    """
    answered = result is not None
    if state.info is None:  # nothing serves any more
        result = None
    label = label_overlay(result, settings.threshold) if result else None
    if label is not None and not state.answering:
        label, result = replace(label, resting=True), None
    return Overlays(
        label=label,
        top=TOP5.snapshot(Inputs(None, result)) if settings.top5 else None,
        status=status_overlay(result, stats) if result else None,
        dot=LiveDot(
            live=state.source_info is not None and not state.paused and stats.camera_fps > 0,
            fps_text=fixed(stats.camera_fps, 4, 1),
        ),
        notice=notice(state, answered=answered, damaged=stats.damaged),
    )


def label_overlay(result: Result, threshold: float) -> LabelOverlay | None:
    """The best label; below the threshold it says so, with the guess beside it.

    Of independent classes all that hold are named, or that none does.
    """
    if not result.smoothed:
        return None
    best = result.smoothed[0]
    if result.holding is not None:
        return _holding_overlay(result, best)
    sure = best.confidence >= threshold
    label = short_label(best.identifier)
    return LabelOverlay(
        label=label if sure else NOT_SURE,
        confidence=best.confidence,
        confidence_text=percent(best.confidence),
        engine_id=result.info.engine_id,
        sure=sure,
        guess="" if sure else f"{label}?",
    )


def _holding_overlay(result: Result, best: ClassificationObservation) -> LabelOverlay:
    held = result.holding or ()
    shown = held[0] if held else best
    return LabelOverlay(
        label=holding_text(held),
        confidence=shown.confidence,
        confidence_text=percent(shown.confidence),
        engine_id=result.info.engine_id,
        sure=bool(held),
        guess="" if held else f"{short_label(best.identifier)}?",
    )


def status_overlay(result: Result, stats: Stats) -> StatusOverlay:
    """Who answered, and how fast."""
    info = result.info
    return StatusOverlay(
        who=f"{info.engine_title} · {result.model_title} · {info.precision}",
        detail=info.detail,
        fps_text=f"{_figure(stats.answers_fps, 3, 0)} fps",
        latency_text=f"{_figure(stats.latency_p50_ms, 5, 1)} ms",
        engine=info.engine_title,
        model=f"{result.model_title} · {info.precision}",
        measured=stats.answers_fps > 0 and stats.latency_p50_ms > 0,
    )


def notice(state: SessionState, *, answered: bool, damaged: int = 0) -> Notice | None:
    """The quiet line about the state, the most important one only.

    Args:
        state: what runs, loads, is paused or waited for.
        answered: there was an answer.
        damaged: how many pictures of the source could not be decoded.
    """
    if state.loading:
        return Notice(f"Loading {state.loading}", busy=True, dim=not answered)
    if state.paused:
        return Notice("Paused")
    if state.away is not None:
        return Notice(f"{state.away.title}: reconnecting, {int(state.away.for_s)} s")
    if state.remark:
        return Notice(state.remark)
    if damaged:
        return Notice(f"{damaged} damaged {'picture' if damaged == 1 else 'pictures'} left out")
    if state.source_info is None:
        return Notice("Opening the source", busy=True, dim=True)
    return None


def _figure(value: float, width: int, decimals: int) -> str:
    # Just after a flip nothing has been measured yet, which is not the same as 0.
    return fixed(value, width, decimals) if value > 0 else "–".rjust(width, FIGURE_SPACE)
