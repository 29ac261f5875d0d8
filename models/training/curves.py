"""Draw `log.tsv` as `curves.png`: `python -m twinlens.models.training.curves`."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

FOLDER = Path(__file__).parent
LINES = (
    ("top1", "top-1, 1,285 validation pictures", "#1f5fbf", "-"),
    ("top5", "top-5, the same", "#1f5fbf", "--"),
    ("held_out_top1", "top-1, 749 held-out pictures", "#b3541e", "-"),
    ("held_out_top5", "top-5, the same", "#b3541e", "--"),
)


def rows(path: Path) -> list[dict[str, str]]:
    """The log's lines, with `at`: minutes of training since run 2 began."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    before, run, last = 0.0, "", 0.0
    for line in lines:
        if line["run"] != run:
            before, run, last = before + last, line["run"], 0.0
        last = float(line["seconds"])
        line["at"] = str((before + last) / 60)
    return lines


def draw(source: Path, target: Path) -> None:
    """Accuracy and loss over the minutes of all runs."""
    lines = rows(source)
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    named: set[str] = set()
    for run in dict.fromkeys(line["run"] for line in lines):
        mine = [line for line in lines if line["run"] == run]
        for key, label, color, style in LINES:
            points = [(float(m["at"]), 100 * float(m[key])) for m in mine if m[key]]
            if points:
                shown = "_" + label if key in named else label  # matplotlib leaves out "_..."
                named.add(key)
                above.plot(*zip(*points, strict=True), style, color=color, label=shown)
        losses = [(float(m["at"]), float(m["loss"])) for m in mine if m["loss"] != "nan"]
        below.plot(*zip(*losses, strict=True), color="#444444")
        for axes in (above, below):
            axes.axvline(float(mine[0]["at"]), color="#bbbbbb", linewidth=0.8)
        above.annotate(f" run {run}", (float(mine[0]["at"]), 88), fontsize=10)
    above.set(ylabel="right, %", ylim=(30, 92), title="Before calibration, averaged weights")
    figure.legend(loc="outside lower center", ncols=2)
    below.set(ylabel="loss", xlabel="minutes of training on one H200, after the baseline")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    draw(FOLDER / "log.tsv", FOLDER / "curves.png")
