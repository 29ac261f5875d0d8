"""Ends the window many times in every state and by every way, and prints how it went.

Run: ``python tests/bench/soak_closing.py --rounds 20 [--states live,bench] [--ways close,SIGINT]``.
Needs Xvfb and xdotool. A line for each state and way: how many rounds were as they shall be (exit
code 0, nothing on standard error, settings kept, ended within 2 s, off the screen within 1 s), and
the longest times; then what was wrong with the others.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.closing import STATES, WAYS, Ending, big_model, end
from helpers.displays import xvfb

GONE_S, ENDED_S = 1.0, 2.0


def faults(ending: Ending) -> list[str]:
    found = []
    if ending.code != 0:
        found.append(f"exit code {ending.code}")
    if ending.errors:
        found.append(f"on stderr: {ending.errors[-400:]!r}")
    if not ending.kept:
        found.append("settings not kept")
    if ending.ended_s > ENDED_S:
        found.append(f"ended after {ending.ended_s:.2f} s")
    if ending.gone_s > GONE_S:
        found.append(f"on the screen for {ending.gone_s:.2f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--states", default=",".join(STATES))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    dice = random.Random(args.seed)
    wrong = 0
    print(f"{'state':12} {'way':8} {'good':>7}  gone: median, longest  ended: median, longest")
    with (
        tempfile.TemporaryDirectory() as name,
        xvfb("1280x800x24", "-noreset") as screen,
    ):
        folder = Path(name)
        model = big_model(folder)
        for state in args.states.split(","):
            for way in args.ways.split(","):
                endings = [
                    end(
                        *(state, way, folder / f"{state}{way}{number}", screen, model),
                        after_s=dice.random() / 2,
                    )
                    for number in range(args.rounds)
                ]
                found = [faults(one) for one in endings]
                good = sum(not one for one in found)
                gone, ended = (
                    sorted(getattr(one, field) for one in endings)
                    for field in ("gone_s", "ended_s")
                )
                half = len(endings) // 2
                print(
                    f"{state:12} {way:8} {good:3}/{len(endings):<3}  "
                    f"{gone[half]:10.2f} s {gone[-1]:5.2f} s  {ended[half]:11.2f} s "
                    f"{ended[-1]:5.2f} s",
                    flush=True,
                )
                for number, one in enumerate(found):
                    if one:
                        wrong += 1
                        print(f"    round {number}: {'; '.join(one)}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
