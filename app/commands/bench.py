"""Engines side by side: every engine runs in turn within each round (A B A B), so that a busy
machine slows all of them alike; medians, 95th percentiles and ratios to the first engine."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from twinlens.app.commands.options import add_model_options, positive, resolve_model
from twinlens.app.commands.records import write_json
from twinlens.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twinlens.engine.protocol import Runner


@dataclass(frozen=True)
class BenchRow:
    """One engine's figures; ``ratio`` is its median over the first engine's."""

    engine: str
    detail: str
    precision: str
    threads: int
    median_ms: float
    p95_ms: float
    ratio: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--engines", help="engines to compare, with commas between (default: all that run here)"
    )
    add_model_options(parser, engine=None, engines=False)
    parser.add_argument("--rounds", type=positive, default=30, help="timed rounds (default: 30)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def interleaved(
    tasks: list[Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Time tasks in turn, ``rounds`` times; returns each task's times in milliseconds."""
    times: list[list[float]] = [[] for _ in tasks]
    for round_number in range(-warmup, rounds):
        for task, own in zip(tasks, times, strict=True):
            started = clock()
            task()
            if round_number >= 0:
                own.append((clock() - started) * 1e3)
    return times


def execute(args: argparse.Namespace) -> int:
    """Load the engines, time them, print the table."""
    runners = _load(args)
    try:
        rows = _measure(runners, args)
    finally:
        for runner in runners:
            runner.close()
    if args.json:
        write_json({"results": [asdict(row) for row in rows]})
    else:
        _print(rows)
    return 0


def _load(args: argparse.Namespace) -> list[Runner]:
    from twinlens.engine import registry
    from twinlens.engine.protocol import EngineOptions

    wanted = args.engines.split(",") if args.engines else registry.engine_ids()
    spec = resolve_model(args)
    runners = []
    for engine_id in wanted:
        reason = registry.get_engine(engine_id).available()
        if reason and args.engines is None:
            sys.stderr.write(f"twinlens: {engine_id} left out: {reason}\n")
            continue
        runners.append(registry.load(spec, engine_id, EngineOptions(threads=args.threads)))
    if not runners:
        raise EngineError("no engine runs here", hint="`twinlens doctor` says why")
    return runners


def _measure(runners: list[Runner], args: argparse.Namespace) -> list[BenchRow]:
    import numpy as np

    from twinlens.app.sources import open_source
    from twinlens.engine.image import Converter

    source = open_source("clip", realtime=False)
    source.open()
    try:
        frame = source.read()
    finally:
        source.close()
    if frame is None:
        raise EngineError("the bundled clip has no frame to measure with")
    tensor = Converter(resolve_model(args).recipe).convert(frame.buffer)
    times = interleaved([lambda r=r: r.run(tensor) for r in runners], args.rounds)  # type: ignore[misc]
    medians = [float(np.median(own)) for own in times]
    return [
        BenchRow(
            engine=runner.info.engine_id,
            detail=runner.info.detail,
            precision=runner.info.precision,
            threads=runner.info.threads,
            median_ms=round(median, 3),
            p95_ms=round(float(np.percentile(own, 95)), 3),
            ratio=round(median / medians[0], 3),
        )
        for runner, own, median in zip(runners, times, medians, strict=True)
    ]


def _print(rows: list[BenchRow]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("engine", "runs on", "precision", "threads", "median ms", "p95 ms", "ratio")
    for row in rows:
        table.add_row(
            row.engine,
            row.detail,
            row.precision,
            str(row.threads or "library's"),
            f"{row.median_ms:.2f}",
            f"{row.p95_ms:.2f}",
            f"{row.ratio:.2f}",
        )
    Console().print(table)
