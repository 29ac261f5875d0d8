"""Options that several commands share, and what they resolve to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.api.observations import DOUBT_HINT
from twinlens.engine.api.protocol import OUTPUT_KINDS, EngineOptions, Network, Runner

if TYPE_CHECKING:
    from twinlens.engine.image import CropAndScale

CROPS = ("center-crop", "scale-fit", "scale-fill")


def positive(text: str) -> int:
    """Argument type: a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def add_model_options(
    parser: argparse.ArgumentParser,
    *,
    engine: str | None,
    labels: bool = True,
    engines: bool = True,
) -> None:
    """Add --model, --labels, --output-name, --output-kind, --engine; ``engine`` is the default.

    ``labels=False`` names the label file ``--class-names`` where ``--labels`` means another thing;
    ``engines=False`` leaves out --engine.
    """
    parser.add_argument("--model", help="catalog name or model file (default: the embedded one)")
    parser.add_argument(
        "--labels" if labels else "--class-names",
        dest="labels",
        type=Path,
        help="label file, one name a line, class 0 first",
    )
    parser.add_argument(
        "--output-name",
        default="",
        metavar="NAME",
        help="the output that classifies, where the model has several (default: as found)",
    )
    parser.add_argument(
        "--output-kind",
        default="",
        choices=OUTPUT_KINDS,
        help="what the outputs are (default: as the model's operators say)",
    )
    if engines:
        shown = f" (default: {engine})" if engine else ""
        parser.add_argument(
            "--engine", default=engine, help=f"layers-cpu, layers-gpu or vision{shown}"
        )


def add_precision_options(parser: argparse.ArgumentParser) -> None:
    """Add --precision, --threads, --adapter, --calibration."""
    parser.add_argument(
        "--precision",
        help="fp32, or what else the engine has: bf16, int8, auto (`twinlens doctor` lists them)",
    )
    parser.add_argument("--threads", type=positive, help="compute threads (default: the engine's)")
    parser.add_argument(
        "--adapter",
        metavar="WORDS",
        help="the GPU of layers-gpu, by words of its name, backend or kind, such as "
        "'nvidia vulkan' or 'software' (`twinlens doctor` lists them; default: the best)",
    )
    add_calibration_option(parser)


def add_calibration_option(parser: argparse.ArgumentParser) -> None:
    """Add --calibration."""
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="PATH",
        help="video or folder of pictures that int8 is fitted to and precisions are compared on "
        "(default: the bundled clip)",
    )


def engine_options(args: argparse.Namespace) -> EngineOptions:
    """Turn --precision, --threads, --adapter and --calibration into an engine's options."""
    return EngineOptions(
        threads=args.threads,
        precision=args.precision or "fp32",
        calibration=calibration_of(args),
        adapter=args.adapter,
    )


def calibration_of(args: argparse.Namespace) -> Path:
    """Turn --calibration into a path."""
    from twinlens.assets import clip_path

    return Path(args.calibration) if args.calibration else clip_path()


def add_crop_option(parser: argparse.ArgumentParser) -> None:
    """Add --crop."""
    parser.add_argument("--crop", choices=CROPS, help="crop and scale (default: the model's)")


def crop_of(args: argparse.Namespace) -> CropAndScale | None:
    """Turn --crop into its enum; None keeps the model's own."""
    from twinlens.engine.image import CropAndScale

    return CropAndScale(args.crop) if args.crop else None


def resolve_model(args: argparse.Namespace) -> Network:
    """Turn --model and --labels into a model."""
    from twinlens.models.identify.resolve import DEFAULT_MODEL, resolve

    return resolve(
        args.model or DEFAULT_MODEL,
        labels=args.labels,
        output_name=args.output_name,
        output_kind=args.output_kind,
    )


def say_doubt(title: str, why: str) -> None:
    """Write on standard error that answers contradict the way that they are read."""
    sys.stderr.write(f"twinlens: {title}: {why}\n{DOUBT_HINT}\n")


def load_runner(args: argparse.Namespace) -> tuple[Network, Runner]:
    """Load what --model, --engine and the precision options ask for."""
    from twinlens.engine.api import registry

    network = resolve_model(args)
    return network, registry.load(network, args.engine, engine_options(args))
