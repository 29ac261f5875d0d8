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
    """One line of ``twinlens run --json``."""
    best = result.observations[0]
    return {
        "frame": result.frame.index,
        "t_s": round(result.frame.t_s, 4),
        "label": best.identifier,
        "index": best.index,
        "confidence": round(best.confidence, 6),
        "top": top_record(result.observations),
        "ms": ms_record(result.timings),
    }


def write_json(record: dict[str, Any]) -> None:
    """Write one object as a line on standard output, at once."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()
