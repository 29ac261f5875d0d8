"""The chart of a comparison as plain data, and the same as text; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.app.core.measure.bench import BenchRow, BenchTable, Case, Skipped, describe
from twinlens.app.views.precision import agreement_percent
from twinlens.app.views.view import Group, Inputs, Place, View

# Share of the chart's width that the slowest median gets at least.
_SLOWEST_SHARE = 0.7
# Bars are drawn to scale up to so many times the fastest.
_MOST_TIMES = 6
_MOST_ROWS = 7


@dataclass(frozen=True)
class BenchBar:
    """One bar.

    Attributes:
        label: precision and threads.
        share: length, 1 being the chart's width.
        p95_share: where the line to the 95th percentile ends, likewise, at most 1.
        value_text: ``"7.1 ms"``; ``"…"`` until something was timed, empty until it is loaded.
        note: agreement with fp32 in percent; empty where nothing was compared.
        best: no bar is shorter.
        cut: the bar would be longer than the chart is wide.
    """

    label: str
    share: float
    p95_share: float
    value_text: str
    note: str = ""
    best: bool = False
    cut: bool = False


@dataclass(frozen=True)
class BenchGroup:
    """The bars of one engine, in its colour; ``detail`` is what it runs on."""

    engine_id: str
    title: str
    detail: str
    bars: tuple[BenchBar, ...]


@dataclass(frozen=True)
class BenchChart:
    """The chart.

    Attributes:
        groups: engines with their bars.
        status: how far it has come, or what the bars show.
        left_out: what is not measured, and why, one line each.
        progress: 0 to 1 while it is measured; None otherwise.
        headline: which is the fastest, in a few words; empty while that is not known.
    """

    groups: tuple[BenchGroup, ...]
    status: str
    left_out: tuple[str, ...]
    progress: float | None = None
    headline: str = ""

    @property
    def empty(self) -> bool:
        """Nothing was measured, and nothing waits."""
        return not self.groups


@dataclass(frozen=True)
class BenchState:
    """How far a comparison is: its table (None before the first), whether more will come, and
    whether it was asked to stop."""

    table: BenchTable | None
    running: bool
    stopping: bool


@dataclass(frozen=True)
class BenchShown:
    """What stands on the bench's sheet.

    Attributes:
        model: the model's title.
        chart: what is drawn.
        text: the same, for a screen reader.
        running: more will come.
        stopping: it was asked to stop.
    """

    model: str
    chart: BenchChart
    text: str
    running: bool
    stopping: bool


def bench_shown(inputs: Inputs[BenchState]) -> BenchShown | None:
    """The sheet of a comparison; None before there is one."""
    own = inputs.own
    if own.table is None:
        return None
    chart = bench_chart(own.table, running=own.running)
    return BenchShown(own.table.model, chart, bench_text(own.table), own.running, own.stopping)


def bench_chart(table: BenchTable, *, running: bool) -> BenchChart:
    """The chart of a table.

    Args:
        table: what has been found out.
        running: more will come.
    """
    slowest = max((row.median_ms for row in table.rows), default=0.0)
    widest = max((row.p95_ms for row in table.rows), default=0.0)
    # One slow outlier must not make all bars short.
    scale = min(widest, slowest / _SLOWEST_SHARE)
    fastest = min((row.median_ms for row in table.rows if row.runs), default=0.0)
    # Nor must an engine that is many times slower: its bars are cut, and shown as cut.
    scale = min(scale, fastest * _MOST_TIMES / _SLOWEST_SHARE) or 1.0
    bars: dict[str, list[BenchBar]] = {}
    titles: dict[str, tuple[str, str]] = {}
    rows, waiting = _on_stage(table)
    for row in rows:
        titles.setdefault(row.engine, (row.title, row.detail))
        bars.setdefault(row.engine, []).append(_bar(row, scale, fastest))
    for case in waiting:
        titles.setdefault(case.engine_id, (case.title or case.engine_id, ""))
        bars.setdefault(case.engine_id, []).append(_waiting(case))
    groups = [BenchGroup(engine, *titles[engine], tuple(own)) for engine, own in bars.items()]
    return BenchChart(
        tuple(groups),
        status_text(table, running=running),
        tuple(skipped_text(one) for one in table.skipped),
        table.round / table.rounds if running and not table.waiting else None,
        "" if running else headline_text(table),
    )


def _on_stage(table: BenchTable) -> tuple[list[BenchRow], list[Case]]:
    """Rows and waiting cases of the chart: where there are many, the fastest number of threads of
    each precision; the text has all of them."""
    if len(table.rows) + len(table.waiting) <= _MOST_ROWS:
        return list(table.rows), list(table.waiting)
    best: dict[tuple[str, str], BenchRow] = {}
    for row in table.rows:
        known = best.get((row.engine, row.precision))
        if known is None or (row.runs and (not known.runs or row.median_ms < known.median_ms)):
            best[row.engine, row.precision] = row
    waiting: dict[tuple[str, str], Case] = {}
    for case in table.waiting:
        if (case.engine_id, case.precision) not in best:
            waiting.setdefault((case.engine_id, case.precision), case)
    return list(best.values()), list(waiting.values())


def headline_text(table: BenchTable) -> str:
    """Which is the fastest, in a few words; empty where nothing was timed."""
    timed = [row for row in table.rows if row.runs]
    if not timed:
        return ""
    best = min(timed, key=lambda row: row.median_ms)
    return f"{best.title} {best.precision} is fastest: {milliseconds(best.median_ms)}"


def status_text(table: BenchTable, *, running: bool) -> str:
    """How far a comparison has come, in one line."""
    if running and table.waiting:
        first = table.waiting[0]
        what = f"{first.title or first.engine_id} {describe(first.precision, first.threads)}"
        return f"Loading {what} ({len(table.waiting)} to go)"
    if running:
        return f"Round {table.round} of {table.rounds}; answers rest meanwhile"
    if not table.rows:
        return "Nothing was measured"
    if table.complete:
        return (
            f"Medians of {table.rounds} rounds in turn beside the moving picture; "
            "lines reach to the 95th percentile"
        )
    if not table.round:
        return "Stopped before anything was measured"
    return f"Stopped after {table.round} of {table.rounds} rounds; medians so far"


def skipped_text(skipped: Skipped) -> str:
    """What was left out and why, in one line."""
    what = describe(skipped.precision, skipped.threads) if skipped.precision else ""
    return f"{skipped.title or skipped.engine_id} {what}".strip() + f": {skipped.reason}"


def bench_text(table: BenchTable) -> str:
    """The table as text for a clipboard: a line a row, columns aligned by spaces."""
    head = ("engine", "precision", "threads", "median ms", "p95 ms", "ratio", "agreement", "on")
    lines = [head, *(_cells(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    texts = []
    for *cells, last in lines:
        aligned = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        texts.append("  ".join([*aligned, last]))
    title = f"{table.model}: {status_text(table, running=False)}"
    return "\n".join([title, *texts, *(f"left out: {skipped_text(s)}" for s in table.skipped)])


def agreement_cell(share: float | None) -> str:
    """A share of pictures for a table; a dash where nothing was compared."""
    return "–" if share is None else agreement_percent(share)


def threads_cell(threads: int) -> str:
    """A number of threads for a table."""
    return str(threads) if threads else "library's"


def _cells(row: BenchRow) -> tuple[str, ...]:
    timed = bool(row.runs)
    return (
        row.title,
        row.precision,
        threads_cell(row.threads),
        f"{row.median_ms:.2f}" if timed else "–",
        f"{row.p95_ms:.2f}" if timed else "–",
        f"{row.ratio:.2f}" if timed else "–",
        agreement_cell(row.agreement),
        row.detail,
    )


def _waiting(case: Case) -> BenchBar:
    return BenchBar(_label(case.precision, case.threads), 0.0, 0.0, "")


def _label(precision: str, threads: int) -> str:
    return describe(precision, threads).replace(", ", " · ")


def _bar(row: BenchRow, scale: float, fastest: float) -> BenchBar:
    return BenchBar(
        label=_label(row.precision, row.threads),
        share=min(1.0, row.median_ms / scale),
        p95_share=min(1.0, row.p95_ms / scale),
        value_text=milliseconds(row.median_ms) if row.runs else "…",
        note="" if row.agreement is None else agreement_percent(row.agreement),
        cut=row.median_ms > scale,
        best=bool(row.runs) and row.median_ms == fastest,
    )


def milliseconds(value: float) -> str:
    """A time with about three figures: ``"0.84 ms"``, ``"7.1 ms"``, ``"132 ms"``."""
    decimals = 2 if value < 1 else 1 if value < 100 else 0
    return f"{value:.{decimals}f} ms"


BENCH = View(
    id="bench",
    title="Bench",
    place=Place.DRAWER,
    data=BenchShown,
    snapshot=bench_shown,
    key="Ctrl+B",
    words="bench",
    group=Group.ENGINE,
    detail="Every engine and precision, timed.",
)
