"""Classify pictures."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from twinlens.app.commands.options import (
    add_crop_option,
    add_isolated_option,
    add_model_options,
    add_precision_options,
    add_recipe_options,
    crop_of,
    load_runner,
    positive,
    say_doubt,
)
from twinlens.app.commands.records import holding_record, ms_record, top_record, write_json
from twinlens.app.views.words import holding_text
from twinlens.engine.errors import TwinlensError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="pictures")
    add_model_options(parser, engine="vision")
    add_precision_options(parser)
    add_isolated_option(parser)
    add_crop_option(parser)
    add_recipe_options(parser)
    parser.add_argument("--top", type=positive, default=5, help="classes to list (default: 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a picture")


def execute(args: argparse.Namespace) -> int:
    """Classify every picture; one that cannot be read is told and the others still answer."""
    from twinlens.app.core.session.pipeline import Pipeline
    from twinlens.app.core.session.types import Frame
    from twinlens.engine.image import read_image

    network, runner = load_runner(args)
    spec = network.spec
    failed = 0
    with Pipeline(
        runner,
        spec,
        crop_and_scale=crop_of(args),
        top=args.top,
        doubted=lambda why: say_doubt(spec.title, why),
    ) as pipeline:
        for index, path in enumerate(args.paths):
            try:
                started = time.perf_counter()
                frame = Frame(read_image(path), index, started, 0.0)
                result = pipeline.process(frame)
            except TwinlensError as error:
                sys.stderr.write(f"twinlens: {error.message}\n")
                failed += 1
                continue
            if args.json:
                write_json(
                    {
                        "path": str(path),
                        "engine": result.info.engine_id,
                        "model": spec.id,
                        "top": top_record(result.observations),
                        "ms": ms_record(result.timings),
                        **holding_record(result),
                    }
                )
            else:
                sys.stdout.write(f"{path}\n")
                if result.holding is not None:
                    sys.stdout.write(f"  {holding_text(result.holding)}\n")
                for o in result.observations:
                    sys.stdout.write(f"  {o.confidence:6.1%}  {o.identifier}\n")
    return 1 if failed else 0
