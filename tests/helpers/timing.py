"""Interleaved timing (A B A B) for benchmarks, so that a busy machine slows all alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinlens.app.commands.bench import interleaved


def medians_ms(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median time of each task, in milliseconds."""
    times = interleaved(list(tasks.values()), rounds, warmup=5)
    return {name: float(np.median(own)) for name, own in zip(tasks, times, strict=True)}
