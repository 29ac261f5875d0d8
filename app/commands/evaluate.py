"""Top-1 and top-5 accuracy over a folder of labelled pictures."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from twinlens.app.commands.options import (
    add_crop_option,
    add_isolated_option,
    add_model_options,
    add_precision_options,
    add_recipe_options,
    crop_of,
    load_runner,
    say_doubt,
)
from twinlens.app.commands.records import write_json
from twinlens.engine.errors import ImageError

_MOST_TOLD = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--images", type=Path, required=True, help="folder with the pictures")
    parser.add_argument(
        "--labels-tsv",
        "--labels",
        dest="truth",
        type=Path,
        required=True,
        metavar="FILE.tsv",
        help="lines of: path relative to the folder, tab, class index",
    )
    add_model_options(parser, engine="vision", labels=False)
    add_precision_options(parser)
    add_isolated_option(parser)
    add_crop_option(parser)
    add_recipe_options(parser)
    parser.add_argument("--json", action="store_true", help="the last line as a JSON object")


def read_truth(path: Path) -> list[tuple[str, int]]:
    """Read (relative path, class index) rows.

    Raises:
        ImageError: the file cannot be read or a row is not of that form; names file and line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t") if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: cannot be read as a table of labels ({error})") from error
    truth = []
    for number, row in enumerate(rows, 1):
        if len(row) < 2 or not row[1].strip().isdigit():
            raise ImageError(
                f"{path}, line {number}: {row!r} is not a path and a class index with a tab between"
            )
        truth.append((row[0], int(row[1])))
    if not truth:
        raise ImageError(f"{path}: has no rows")
    return truth


def execute(args: argparse.Namespace) -> int:
    """Classify every listed picture and count.

    A square picture is resized whole, since the centre crop of a square is all of it.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    from twinlens.app.core.session.pipeline import Pipeline
    from twinlens.app.core.session.types import Frame
    from twinlens.engine.image import read_image

    truth = read_truth(args.truth)
    network, runner = load_runner(args)
    spec = network.spec
    wrong_index = max(index for _, index in truth)
    if wrong_index >= len(spec.labels):
        raise ImageError(
            f"{args.truth}: class index {wrong_index}, but {spec.title} "
            f"has classes 0 to {len(spec.labels) - 1}"
        )
    top1 = top5 = held = none = bad = 0
    with Pipeline(
        runner,
        spec,
        crop_and_scale=crop_of(args),
        doubted=lambda why: say_doubt(spec.title, why),
    ) as pipeline:
        console = Console(stderr=True)
        for path, index in track(truth, "classifying", console=console, transient=True):
            try:
                picture = read_image(args.images / path)
            except ImageError as why:
                bad += 1
                if bad <= _MOST_TOLD:
                    console.print(
                        f"twinlens: left out: {why.message}", markup=False, soft_wrap=True
                    )
                continue
            result = pipeline.process(Frame(picture, 0, 0.0, 0.0))
            best = np.argsort(-result.probabilities, kind="stable")[:5]
            top1 += bool(best[0] == index)
            top5 += bool(index in best)
            if result.holding is not None:
                held += any(one.index == index for one in result.holding)
                none += not result.holding
        info = runner.info
    n = len(truth) - bad
    if not n:
        raise ImageError(
            f"{args.images}: none of the {bad} listed pictures can be read",
            hint="Paths in the list are relative to --images.",
        )
    if args.json:
        write_json(
            {
                "n": n,
                "top1": top1 / n,
                "top5": top5 / n,
                "engine": info.engine_id,
                "model": spec.id,
                "precision": info.precision,
                **({"left_out": bad} if bad else {}),
                **(
                    {"output": spec.output, "held": held / n, "none": none / n}
                    if spec.independent
                    else {}
                ),
            }
        )
    else:
        error = (top1 / n * (1 - top1 / n) / n) ** 0.5
        ran = f"{info.engine_id} in {info.precision}"
        sys.stdout.write(
            f"{spec.title} on {ran}: top-1 {top1 / n:.1%} (±{error:.1%} standard error), "
            f"top-5 {top5 / n:.1%}, {n} pictures{f', {bad} left out' if bad else ''}\n"
        )
        if spec.independent:
            sys.stdout.write(
                f"independent classes: the right one holds in {held / n:.1%}, none does in "
                f"{none / n:.1%}\n"
            )
    return 0
