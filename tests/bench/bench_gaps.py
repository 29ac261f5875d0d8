"""Time between two paints of the window while each sheet is open.

``quiet`` is the largest gap without what the process waited for a processor meanwhile, ``own`` the
most processor time that the window's thread used in one: what else runs hardly shows in them.

Run ``QT_QPA_PLATFORM=offscreen python tests/bench/bench_gaps.py``; ``--sheets`` takes some of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.gaps import LABELS, SHEETS, MeasuredWindow

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
    chosen = parser.parse_args()
    print("| " + " | ".join(_HEAD) + " |\n|---" + "|---:" * (len(_HEAD) - 1) + "|")
    for labels in chosen.labels:
        with tempfile.TemporaryDirectory() as folder:
            measured = MeasuredWindow(Path(folder), labels)
            for sheet in chosen.sheets:
                g = measured.measure(sheet, chosen.seconds)
                figures = (g.per_s, g.largest_ms, g.p95_ms, g.quiet_ms, g.busy_ms, g.turn_ms)
                shown = " | ".join(f"{figure:.1f}" for figure in figures)
                print(f"| {g.sheet} | {g.labels:,} | {shown} |", flush=True)
            measured.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
