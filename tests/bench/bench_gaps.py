"""Time between two paints of the window while each sheet is open.

``quiet`` is the largest gap without what the process waited for a processor meanwhile, ``own`` the
most processor time that the window's thread used in one: what else runs hardly shows in them.

Run ``QT_QPA_PLATFORM=offscreen python tests/bench/bench_gaps.py``; ``--sheets`` takes some of them,
``--load PATH ...`` measures while these models load instead, and ``--one-process`` runs engines and
sources in the window's process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.gaps import LABELS, SHEETS, Gaps, MeasuredWindow

_HEAD = (
    "sheet",
    "labels",
    "paints/s",
    "largest ms",
    "95 % ms",
    "quiet ms",
    "own ms",
    "longest turn ms",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each sheet is open")
    parser.add_argument("--sheets", nargs="*", default=SHEETS, choices=SHEETS)
    parser.add_argument("--labels", nargs="*", type=int, default=LABELS)
    parser.add_argument("--load", nargs="*", type=Path, default=[], help="models to change to")
    parser.add_argument("--engines", nargs="*", default=["layers-cpu", "vision"])
    parser.add_argument("--one-process", action="store_true")
    chosen = parser.parse_args()
    print("| " + " | ".join(_HEAD) + " |\n|---" + "|---:" * (len(_HEAD) - 1) + "|")
    for labels in chosen.labels:
        with tempfile.TemporaryDirectory() as folder:
            measured = MeasuredWindow(Path(folder), labels, hosts=not chosen.one_process)
            for g in _measured(measured, chosen):
                figures = (g.per_s, g.largest_ms, g.p95_ms, g.quiet_ms, g.busy_ms, g.turn_ms)
                shown = " | ".join(f"{figure:.1f}" for figure in figures)
                print(f"| {g.sheet} | {g.labels:,} | {shown} |", flush=True)
            measured.close()
    return 0


def _measured(window: MeasuredWindow, chosen: argparse.Namespace) -> Iterator[Gaps]:
    for path in chosen.load:
        for engine in chosen.engines:
            yield window.measure_load(path.absolute(), engine)
    for sheet in chosen.sheets if not chosen.load else ():
        yield window.measure(sheet, chosen.seconds)


if __name__ == "__main__":
    sys.exit(main())
