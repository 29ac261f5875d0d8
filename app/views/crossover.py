"""The chart of networks of rising size as plain data, and the same as text; pure functions.

Places are shares of the plot: 0 to 1 from left to right and from bottom to top; both axes are
logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twinlens.app.core.measure.crossover import GPU, Climb, Crossing, LeftOut, Point, Step, crossing
from twinlens.app.views.bench import milliseconds
from twinlens.app.views.view import Group, Inputs, Place, View

_AROUND = 1.25
"""Room around the smallest and largest value, as a factor."""


@dataclass(frozen=True)
class Tick:
    """A line across the plot with its words."""

    at: float
    text: str


@dataclass(frozen=True)
class Spot:
    """A point of a line."""

    x: float
    y: float


@dataclass(frozen=True)
class Line:
    """One engine, in its colour and shape."""

    engine_id: str
    title: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class RungMark:
    """A rung under the plot: its number, and how much of the GPU's answer is moving data.

    Attributes:
        x: place.
        number: from 1.
        title: the network's name.
        share: 0 to 1; None where it is not known.
        share_text: ``"12 %"``; empty where it is not known.
    """

    x: float
    number: int
    title: str
    share: float | None = None
    share_text: str = ""


@dataclass(frozen=True)
class Mark:
    """Where the GPU starts to pay, with its label."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class CrossoverChart:
    """The chart.

    Attributes:
        lines: engines.
        places: rungs.
        x_ticks: multiply-adds.
        y_ticks: milliseconds.
        mark: where the GPU starts to pay; None where it does nowhere, or everywhere.
        verdict: from where on the GPU pays, in a sentence; empty while that is not known.
        status: how far it has come, or what is shown.
        left_out: what is not measured, and why, one line each.
        progress: 0 to 1 while it is measured; None otherwise.
        headline: the verdict in a few words; empty while that is not known.
    """

    lines: tuple[Line, ...] = ()
    places: tuple[RungMark, ...] = ()
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    mark: Mark | None = None
    verdict: str = ""
    status: str = ""
    left_out: tuple[str, ...] = ()
    progress: float | None = None
    headline: str = ""

    @property
    def empty(self) -> bool:
        """Nothing was measured."""
        return not self.lines


@dataclass(frozen=True)
class CrossoverState:
    """How far the ladder is: what was measured, whether more will come, and whether it was asked
    to stop."""

    climb: Climb
    running: bool
    stopping: bool


@dataclass(frozen=True)
class CrossoverShown:
    """What stands on the crossover's sheet.

    Attributes:
        chart: what is drawn.
        text: the same, for a screen reader.
        running: more will come.
        stopping: it was asked to stop.
    """

    chart: CrossoverChart
    text: str
    running: bool
    stopping: bool


def crossover_shown(inputs: Inputs[CrossoverState]) -> CrossoverShown:
    """The sheet of a ladder of networks."""
    own = inputs.own
    chart = crossover_chart(own.climb, running=own.running)
    return CrossoverShown(chart, crossover_text(own.climb), own.running, own.stopping)


def crossover_chart(climb: Climb, *, running: bool) -> CrossoverChart:
    """The chart of what has been found out; ``running``: more will come."""
    points = climb.points
    found = crossing(points)
    across = _Axis([step.macs for step in climb.steps])
    up = _Axis([point.median_ms for point in points])
    engines = dict.fromkeys(point.engine for point in points)
    mark = None
    if found.kind == "from":
        text = f"GPU pays from {macs_text(found.macs)}"
        mark = Mark(across.place(found.macs), up.place(found.ms), text)
    return CrossoverChart(
        lines=tuple(_line(engine, points, across, up) for engine in engines),
        places=tuple(_place(n, s, points, across) for n, s in enumerate(climb.steps, 1)),
        x_ticks=tuple(Tick(at, macs_text(value)) for at, value in across.decades()),
        y_ticks=tuple(Tick(at, f"{value:g} ms") for at, value in up.decades()),
        mark=mark,
        verdict=verdict_text(found, climb.steps) if points else "",
        status=status_text(climb, running=running),
        left_out=left_out_lines(climb),
        progress=climb.done / max(1, len(climb.steps)) if running else None,
        headline=headline_text(found) if points and not running else "",
    )


class _Axis:
    """A logarithmic axis around positive values."""

    def __init__(self, values: Sequence[float]) -> None:
        known = [value for value in values if value > 0] or [1.0]
        self._low = math.log10(min(known) / _AROUND)
        self._high = math.log10(max(known) * _AROUND)

    def place(self, value: float) -> float:
        return (math.log10(value) - self._low) / (self._high - self._low)

    def decades(self) -> list[tuple[float, float]]:
        """Place and value of each power of ten, or of 1, 2, 5 where there are fewer than two."""
        for factors in ((1,), (1, 2, 5)):
            values = [
                factor * 10.0**power
                for power in range(math.floor(self._low), math.ceil(self._high) + 1)
                for factor in factors
                if self._low <= math.log10(factor * 10.0**power) <= self._high
            ]
            if len(values) > 1:
                break
        return [(self.place(value), value) for value in values]


def _line(engine: str, points: Sequence[Point], across: _Axis, up: _Axis) -> Line:
    own = sorted((p for p in points if p.engine == engine), key=lambda p: p.macs)
    spots = tuple(Spot(across.place(p.macs), up.place(p.median_ms)) for p in own)
    title = f"{own[0].title} (software)" if own[0].software else own[0].title
    return Line(engine, title, spots)


def _place(number: int, step: Step, points: Sequence[Point], across: _Axis) -> RungMark:
    shares = [p.transfer_share for p in points if p.rung == step.id and p.engine == GPU]
    share = shares[0] if shares else None
    return RungMark(across.place(step.macs), number, step.title, share, share_text(share))


def headline_text(found: Crossing) -> str:
    """What it means, in a few words."""
    if found.kind == "unknown":
        return "No GPU ran: nothing to compare"
    if found.kind == "always":
        return "The GPU is faster on every network"
    if found.kind == "never":
        return f"No GPU pays here: {found.ratio:.2g} × slower"
    return f"A GPU pays from {macs_text(found.macs)} multiply-adds"


def verdict_text(found: Crossing, steps: Sequence[Step]) -> str:
    """From where on the GPU pays, in a sentence."""
    names = {step.id: step.title for step in steps}
    adapter = found.adapter + (" (played by the processor)" if found.software else "")
    if found.kind == "unknown":
        return "No network ran both on a GPU and elsewhere, so there is nothing to compare."
    if found.kind == "always":
        return f"{adapter} is faster on every network of the ladder."
    if found.kind == "never":
        return (
            f"{adapter} does not pay up to {names[found.largest]}: it takes "
            f"{found.ratio:.2g} times as long as {found.rival} there."
        )
    return (
        f"{adapter} pays from about {macs_text(found.macs)} multiply-adds on, between "
        f"{names[found.below]} and {names[found.above]}, where an answer takes "
        f"{milliseconds(found.ms)}."
    )


def status_text(climb: Climb, *, running: bool) -> str:
    """How far it has come, in one line."""
    if running:
        return f"{climb.activity or 'Loading'}; answers rest meanwhile"
    if not climb.steps:
        return "Waiting until nothing else is measured"
    if not climb.points:
        return "Nothing was measured" if climb.complete else "Stopped before anything was measured"
    if climb.complete:
        return "Medians of one picture at a time, random numbers, engines in turn"
    return f"Stopped after {climb.done} of {len(climb.steps)} networks; medians so far"


def left_out_lines(climb: Climb) -> tuple[str, ...]:
    """What was left out and why, a line for each reason."""
    names = {step.id: step.title for step in climb.steps}
    return tuple(_left_out(one, names.get(one.rung, "")) for one in climb.left_out)


def _left_out(one: LeftOut, rung: str) -> str:
    engine = one.title or one.engine
    what = f"{engine} on {rung}" if engine and rung else engine or rung
    return f"{what}: {one.reason}"


def crossover_text(climb: Climb) -> str:
    """All of it as text for a clipboard: a line an engine and network, columns aligned."""
    names = {step.id: step.title for step in climb.steps}
    head = ("network", "multiply-adds", "engine", "median ms", "p95 ms", "transfer", "on")
    lines = [head]
    for p in climb.points:
        times = (f"{p.median_ms:.2f}", f"{p.p95_ms:.2f}", share_text(p.transfer_share) or "–")
        lines.append((names[p.rung], macs_text(p.macs), p.title, *times, p.detail))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    texts = []
    for *cells, last in lines:
        aligned = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        texts.append("  ".join([*aligned, last]))
    top = [status_text(climb, running=False)]
    if climb.points:
        top.append(verdict_text(crossing(climb.points), climb.steps))
    return "\n".join([*top, *texts, *(f"left out: {line}" for line in left_out_lines(climb))])


def macs_text(macs: float) -> str:
    """A number of multiply-adds with up to three figures: ``"6.1 million"``, ``"4.1 billion"``."""
    # A rounded thousand is the next unit's one.
    billions = macs >= 999.5e6
    value = macs / (1e9 if billions else 1e6)
    shown = f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"
    return f"{shown} {'billion' if billions else 'million'}"


def share_text(share: float | None) -> str:
    """A share in percent; empty where it is not known."""
    if share is None:
        return ""
    return "< 1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


CROSSOVER = View(
    id="crossover",
    title="Crossover",
    place=Place.DRAWER,
    data=CrossoverShown,
    snapshot=crossover_shown,
    key="Shift+B",
    words="where a GPU pays",
    group=Group.ENGINE,
    detail="From which size of network on a GPU pays.",
)
