"""`twinlens bench --crossover`: from which size of network on a GPU pays, on this machine."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from twinlens.app.commands.records import write_json
from twinlens.engine.errors import EngineError

if TYPE_CHECKING:
    from twinlens.app.core.measure.crossover import Climb, Crossing
    from twinlens.app.core.measure.ladder import Ladder


def execute(args: argparse.Namespace) -> int:
    """Climb the ladder of networks and report where the GPU starts to pay."""
    from rich.console import Console

    from twinlens.app.core.measure.crossover import crossing
    from twinlens.app.views.crossover import left_out_lines, status_text

    _refuse(args)
    climb: Climb | None = None
    with Console(stderr=True).status("") as status:
        for climb in ladder(args):
            status.update(status_text(climb, running=True))
    reasons = left_out_lines(climb) if climb else ()
    if climb is None or not climb.points:
        raise EngineError(
            f"nothing to measure: {'; '.join(reasons)}", hint="`twinlens doctor` says why."
        )
    for line in reasons:
        sys.stderr.write(f"twinlens: left out: {line}\n")
    found = crossing(climb.points)
    if args.json:
        write_json(record(climb, found))
    else:
        _print(climb, found)
    return 0


def ladder(args: argparse.Namespace) -> Ladder:
    """What the options ask for.

    Raises:
        EngineError: an engine or a network of the ladder that does not exist is named.
    """
    from twinlens.app.core.measure.bench import default_threads
    from twinlens.app.core.measure.crossover import ENGINES
    from twinlens.app.core.measure.ladder import Ladder
    from twinlens.app.core.session.engines import engine_choices
    from twinlens.engine.api import registry
    from twinlens.models.networks.ladder import ladder as networks

    wanted = args.engines.split(",") if args.engines else ENGINES
    names = [registry.get_engine(name.strip()).id for name in wanted]
    choices = {choice.id: choice for choice in engine_choices()}
    rungs = {rung.id: rung for rung in networks()}
    chosen = [name.strip() for name in args.rungs.split(",")] if args.rungs else list(rungs)
    unknown = [name for name in chosen if name not in rungs]
    if unknown:
        raise EngineError(
            f"no network of the ladder is named {', '.join(unknown)}",
            hint=f"There are {', '.join(rungs)}.",
        )
    return Ladder(
        [rung for rung in rungs.values() if rung.id in chosen],
        [choices[name] for name in names],
        registry.load,
        max(args.threads or default_threads()),
        args.adapter,
        rounds=args.rounds,
    )


def _refuse(args: argparse.Namespace) -> None:
    for name in ("model", "labels", "precisions", "calibration"):
        if getattr(args, name) is not None:
            raise EngineError(
                f"--{name} does not go with --crossover, which measures its own networks in fp32"
            )


def record(climb: Climb, found: Crossing) -> dict[str, Any]:
    """The JSON form: points, what was left out, and the crossing."""
    points = []
    for point in climb.points:
        fields = asdict(point) | {"transfer_share": point.transfer_share}
        points.append({k: round(v, 4) if isinstance(v, float) else v for k, v in fields.items()})
    return {
        "rungs": [asdict(step) for step in climb.steps],
        "results": points,
        "skipped": [asdict(one) for one in climb.left_out],
        "crossing": asdict(found),
    }


def _print(climb: Climb, found: Crossing) -> None:
    from rich.console import Console
    from rich.table import Table

    from twinlens.app.views.crossover import macs_text, share_text, verdict_text

    table = Table("network", "MACs", "engine", "median ms", "p95 ms", "data moves")
    titles = {step.id: step.title for step in climb.steps}
    shown = ""
    for point in climb.points:
        share = point.transfer_share
        table.add_row(
            titles[point.rung] if point.rung != shown else "",
            macs_text(point.macs) if point.rung != shown else "",
            point.title + (" (software)" if point.software else ""),
            f"{point.median_ms:.3g}",
            f"{point.p95_ms:.3g}",
            share_text(share),
        )
        shown = point.rung
    console = Console()
    console.print(table)
    console.print(verdict_text(found, climb.steps), highlight=False)
