"""From which size of network on a GPU pays: what is known of a ladder of networks, batch 1.

Moving a picture to a GPU and the answer back costs the same few hundred microseconds whether the
network is small or large; the gain of parallel work grows with the network. Somewhere the two meet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

GPU = "layers-gpu"
ENGINES = ("layers-cpu", GPU, "vision")


@dataclass(frozen=True)
class Parts:
    """Where a GPU's time goes, medians in milliseconds by timestamp queries.

    Attributes:
        transfer_ms: the picture on its way there and the answer on its way back; None where the
            adapter does not report it.
        compute_ms: all kernels.
    """

    transfer_ms: float | None
    compute_ms: float


@dataclass(frozen=True)
class Point:
    """One engine on one rung.

    Attributes:
        rung: the rung's id.
        macs: multiply-adds of one answer.
        engine: the engine's id.
        title: the engine's name.
        detail: kernels, provider or adapter that really ran.
        runs: how often it was timed.
        median_ms: milliseconds an answer, from the converted picture to the outputs.
        p95_ms: 95th percentile of the same.
        parts: where a GPU's time goes; None for other engines, and where it is not known.
    """

    rung: str
    macs: int
    engine: str
    title: str
    detail: str
    runs: int
    median_ms: float
    p95_ms: float
    parts: Parts | None = None

    @property
    def transfer_share(self) -> float | None:
        """Share of the answer's time (0 to 1) in which data moves; None where it is not known."""
        if self.parts is None or self.parts.transfer_ms is None or self.median_ms <= 0:
            return None
        return min(1.0, self.parts.transfer_ms / self.median_ms)

    @property
    def software(self) -> bool:
        """Whether a processor plays the GPU that ran."""
        adapter = self.detail.split(";")[0]
        return self.engine == GPU and adapter.split(", ")[-1] == "software"


@dataclass(frozen=True)
class LeftOut:
    """What is not measured, and why; ``rung`` is empty where the whole engine is meant."""

    engine: str
    title: str
    reason: str
    rung: str = ""


@dataclass(frozen=True)
class Step:
    """A rung as results name it."""

    id: str
    title: str
    macs: int


@dataclass(frozen=True)
class Climb:
    """How far the measuring has come.

    Attributes:
        steps: all rungs, the smallest first.
        points: what was measured.
        left_out: what was not.
        done: rungs that are done.
        activity: what goes on on the next one.
    """

    steps: tuple[Step, ...]
    points: tuple[Point, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    done: int = 0
    activity: str = ""

    timing = True
    """Answers of the window rest from the first moment on: networks are probed as they load."""

    @property
    def round(self) -> int:
        """Grows while something is timed."""
        return sum(point.runs for point in self.points)

    @property
    def complete(self) -> bool:
        """Every rung has been tried."""
        return self.done == len(self.steps)


@dataclass(frozen=True)
class Crossing:
    """From where on the GPU pays.

    Attributes:
        kind: ``"from"`` a size on, ``"always"`` (on every rung), ``"never"`` (not on the largest
            rung), or ``"unknown"``: no rung has both a GPU and another engine.
        macs: for ``"from"``: multiply-adds where both are as fast.
        ms: for ``"from"``: milliseconds an answer there.
        below: for ``"from"``: the last rung where the GPU is not faster.
        above: for ``"from"``: the first rung from which on it is.
        ratio: the GPU's time over the best other engine's, on the largest rung with both.
        rival: that engine's name.
        largest: that rung's id.
        adapter: the GPU, as it names itself.
        software: a processor plays that GPU.
    """

    kind: Literal["from", "always", "never", "unknown"]
    macs: float = 0.0
    ms: float = 0.0
    below: str = ""
    above: str = ""
    ratio: float = 0.0
    rival: str = ""
    largest: str = ""
    adapter: str = ""
    software: bool = False


def crossing(points: Sequence[Point]) -> Crossing:
    """Find from which rung on the GPU is faster than the best other engine, to the largest.

    Between the last rung where it is not and the next one, both times are taken to be straight
    lines of logarithms; where they meet is the crossing.
    """
    pairs = _pairs(points)
    if not pairs:
        return Crossing("unknown")
    gpu, other = pairs[-1]
    base = Crossing(
        "never",
        ratio=gpu.median_ms / other.median_ms,
        rival=other.title,
        largest=gpu.rung,
        adapter=gpu.detail,
        software=gpu.software,
    )
    slower = [n for n, (g, o) in enumerate(pairs) if g.median_ms >= o.median_ms]
    if not slower:
        return replace(base, kind="always")
    if slower[-1] == len(pairs) - 1:
        return base
    below, above = pairs[slower[-1]], pairs[slower[-1] + 1]
    at = _where_equal(below, above)
    span = math.log(above[0].macs / below[0].macs)
    low, high = (math.log(pair[0].median_ms) for pair in (below, above))
    return replace(
        base,
        kind="from",
        macs=below[0].macs * math.exp(at * span),
        ms=math.exp(low + at * (high - low)),
        below=below[0].rung,
        above=above[0].rung,
    )


def _where_equal(below: tuple[Point, Point], above: tuple[Point, Point]) -> float:
    """Share of the way, in logarithms, at which the GPU is as fast as the other engine."""
    before, after = (math.log(gpu.median_ms / other.median_ms) for gpu, other in (below, above))
    return before / (before - after)


def _pairs(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """(the GPU's, the best other engine's) of each rung that has both, the smallest first."""
    pairs = []
    timed = [point for point in points if point.runs and point.median_ms > 0]
    for gpu in sorted((p for p in timed if p.engine == GPU), key=lambda p: p.macs):
        others = [p for p in timed if p.rung == gpu.rung and p.engine != GPU]
        if others:
            pairs.append((gpu, min(others, key=lambda p: p.median_ms)))
    return pairs
