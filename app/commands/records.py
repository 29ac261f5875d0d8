"""JSON forms of answers; other programs build on them, so names and units stay."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from twinlens.app.core.session.types import Result, Timings
from twinlens.engine.api.observations import ClassificationObservation


def top_record(observations: Iterable[ClassificationObservation]) -> list[dict[str, Any]]:
    """``[{"label", "index", "confidence"}, ...]``, best first."""
    return [
        {"label": o.identifier, "index": o.index, "confidence": round(o.confidence, 6)}
        for o in observations
    ]


def ms_record(timings: Timings) -> dict[str, float]:
    """``{"convert", "infer", "latency"}`` in milliseconds."""
    return {
        "convert": round(timings.convert_ms, 3),
        "infer": round(timings.infer_ms, 3),
        "latency": round(timings.latency_ms, 3),
    }


def frame_record(result: Result) -> dict[str, Any]:
    """One line of ``twinlens run --json``.

    Of independent classes ``labels`` are those that hold; where none does, ``label`` and ``index``
    are null, and ``confidence`` is still that of the best. ``remark`` stands where something is
    wrong with the picture (``"no signal"``).
    """
    best = result.observations[0]
    none = result.holding == ()
    return {
        "frame": result.frame.index,
        "t_s": round(result.frame.t_s, 4),
        "label": None if none else best.identifier,
        "index": None if none else best.index,
        "confidence": round(best.confidence, 6),
        "top": top_record(result.observations),
        "ms": ms_record(result.timings),
        **holding_record(result),
        **({"remark": result.frame.remark} if result.frame.remark else {}),
    }


def holding_record(result: Result) -> dict[str, Any]:
    """``{"labels": [...]}``: the independent classes that hold; no key where one always holds."""
    if result.holding is None:
        return {}
    return {"labels": [one.identifier for one in result.holding]}


def write_json(record: dict[str, Any]) -> None:
    """Write one object as a line on standard output, at once."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()
