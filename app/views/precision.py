"""Texts about precisions; pure functions."""

from __future__ import annotations

import math

from twinlens.engine.api.protocol import RunnerInfo

_DESCRIPTIONS = {
    "fp32": "32-bit floats.",
    "fp16": "16-bit floats.",
    "bf16": "16-bit floats, summed in 32 bits.",
    "int8": "8-bit whole numbers.",
    "auto": "Of those that agree with fp32 on 99.5 % or more.",
}


def precision_title(precision: str) -> str:
    """A precision as a person reads it."""
    return "Fastest precision" if precision == "auto" else precision


def agreement_text(share: float) -> str:
    """A share of pictures in [0, 1] as a sentence; ``all`` only when it is all."""
    if share >= 1:
        return "Agrees with fp32 on all calibration pictures."
    return f"Agrees with fp32 on {agreement_percent(share)} of the calibration pictures."


def agreement_percent(share: float) -> str:
    """A share in [0, 1] as percent, rounded down to one decimal: never more than was found."""
    return f"{math.floor(share * 1000 + 1e-6) / 10:.1f} %"


def precision_detail(
    precision: str,
    *,
    agreement: float | None = None,
    runs: RunnerInfo | None = None,
    loading: bool = False,
) -> str:
    """The line under a precision's name.

    Args:
        precision: as it is asked for.
        agreement: share of the calibration pictures, where it is known.
        runs: what really runs, if this is what was asked for.
        loading: it is being loaded now.
    """
    parts = [_DESCRIPTIONS.get(precision, "")]
    if runs is not None and runs.precision != precision:
        parts.append(f"Here that is {runs.precision}.")
    elif agreement is not None:
        parts.append(agreement_text(agreement))
    elif loading:
        parts.append("Loading …")
    return " ".join(part for part in parts if part)


def runs_text(info: RunnerInfo) -> str:
    """What really runs, and what of it runs in NumPy."""
    threads = {0: "", 1: ", 1 thread"}.get(info.threads, f", {info.threads} threads")
    return f"{info.detail}, {info.precision}{threads}. {fallbacks_text(info.fallbacks)}".strip()


def fallbacks_text(fallbacks: tuple[str, ...]) -> str:
    """Which layers an engine leaves to NumPy; empty where none."""
    if not fallbacks:
        return ""
    shown = ", ".join(fallbacks[:6]) + (" …" if len(fallbacks) > 6 else "")
    layers = "1 layer runs" if len(fallbacks) == 1 else f"{len(fallbacks)} layers run"
    return f"{layers} in NumPy, for want of a kernel: {shown}."
