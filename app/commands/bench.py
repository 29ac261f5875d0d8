"""Engines, precisions and threads side by side: each runs in turn within each round (A B A B), so
that a busy machine slows all of them alike; medians, 95th percentiles, ratios to the first row, and
how often the best label is that of fp32."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from twinlens.app.commands.options import (
    add_calibration_option,
    add_model_options,
    calibration_of,
    positive,
    resolve_model,
)
from twinlens.app.commands.records import write_json
from twinlens.engine.errors import EngineError

if TYPE_CHECKING:
    from twinlens.app.core.measure.bench import BenchRow, BenchTable, Comparison
    from twinlens.app.core.session.engines import EngineChoice

_FILE_WIDTH = 140


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--engines", help="engines to compare, with commas between (default: all that run here)"
    )
    parser.add_argument(
        "--precisions", help="precisions, with commas between (default: all that run here)"
    )
    parser.add_argument(
        "--threads",
        type=positives,
        help="numbers of threads, with commas between (default: 1, and the cores up to 4)",
    )
    add_model_options(parser, engine=None, engines=False)
    add_calibration_option(parser)
    parser.add_argument(
        "--crossover",
        action="store_true",
        help="compare engines on networks of rising size: from where on does a GPU pay?",
    )
    parser.add_argument(
        "--rungs", help="networks of --crossover, with commas between (default: all)"
    )
    parser.add_argument(
        "--adapter",
        metavar="WORDS",
        help="the GPU of --crossover, by words of its name (`twinlens doctor` lists them)",
    )
    parser.add_argument("--rounds", type=positive, default=30, help="timed rounds (default: 30)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def positives(text: str) -> tuple[int, ...]:
    """Argument type: whole numbers of at least 1 with commas between."""
    return tuple(positive(part.strip()) for part in text.split(","))


def execute(args: argparse.Namespace) -> int:
    """Load what is to be compared, time it, print the table."""
    if args.crossover:
        from twinlens.app.commands import crossover

        return crossover.execute(args)
    for name in ("rungs", "adapter"):
        if getattr(args, name) is not None:
            raise EngineError(f"--{name} goes with --crossover only")
    from rich.console import Console

    from twinlens.app.views.bench import skipped_text, status_text

    console = Console(stderr=True)
    table: BenchTable | None = None
    # Shown in a terminal only; a pipe gets the result alone.
    with console.status("") as status:
        for table in comparison(args):
            status.update(status_text(table, running=True))
    if table is None or not table.rows:
        reasons = "; ".join(skipped_text(one) for one in table.skipped) if table else ""
        raise EngineError(f"nothing to measure: {reasons}", hint="`twinlens doctor` says why.")
    for one in table.skipped:
        sys.stderr.write(f"twinlens: left out: {skipped_text(one)}\n")
    if args.json:
        write_json(record(table))
    else:
        _print(table)
    return 0


def comparison(args: argparse.Namespace) -> Comparison:
    """What the options ask for.

    Raises:
        EngineError: an engine that does not exist is named.
    """
    from twinlens.app.core.measure.bench import Comparison, default_threads, plan
    from twinlens.app.sources import open_source
    from twinlens.engine.api import registry
    from twinlens.engine.image import Converter

    network = resolve_model(args)
    precisions = args.precisions.split(",") if args.precisions else None
    cases, skipped = plan(_engines(args.engines), precisions, args.threads or default_threads())
    source = open_source("clip", realtime=False)
    source.open()
    try:
        frame = source.read()
    finally:
        source.close()
    if frame is None:
        raise EngineError("the bundled clip has no frame to measure with")
    tensor = Converter(network.spec.recipe).convert(frame.buffer)
    return Comparison(
        network, cases, tensor, registry.load, calibration_of(args), skipped, args.rounds
    )


def _engines(wanted: str | None) -> Sequence[EngineChoice]:
    from twinlens.app.core.session.engines import engine_choices
    from twinlens.engine.api import registry

    choices = {choice.id: choice for choice in engine_choices()}
    if wanted is None:
        return list(choices.values())
    # An unknown name is reported as everywhere else, with the names that there are.
    return [choices[registry.get_engine(name.strip()).id] for name in wanted.split(",")]


def record(table: BenchTable) -> dict[str, Any]:
    """The table's JSON form."""
    return {
        "model": table.model,
        "rounds": table.rounds,
        "results": [_row_record(row) for row in table.rows],
        "skipped": [
            {
                "engine": one.engine_id,
                "precision": one.precision or None,
                "threads": one.threads or None,
                "reason": one.reason,
            }
            for one in table.skipped
        ],
    }


def _row_record(row: BenchRow) -> dict[str, Any]:
    fields = asdict(row)
    for name in ("median_ms", "p95_ms", "ratio", "load_ms"):
        fields[name] = round(fields[name], 3)
    del fields["title"], fields["runs"]
    return fields


def _print(table: BenchTable) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from twinlens.app.views.bench import agreement_cell, threads_cell

    shown = Table(
        title=f"{table.model}: milliseconds an answer, {table.rounds} rounds in turn",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in ("engine", "precision"):
        shown.add_column(name)
    for name in ("threads", "median", "p95", "ratio", "agreement", "load"):
        shown.add_column(name, justify="right")
    shown.add_column("runs on")
    for row in table.rows:
        shown.add_row(
            row.engine,
            row.precision,
            threads_cell(row.threads),
            f"{row.median_ms:.2f}",
            f"{row.p95_ms:.2f}",
            f"{row.ratio:.2f}",
            agreement_cell(row.agreement),
            f"{row.load_ms:.0f}",
            row.detail,
        )
    console = Console()
    # A file or a pipe has no width that words would have to be broken for.
    console.print(shown) if console.is_terminal else Console(width=_FILE_WIDTH).print(shown)
