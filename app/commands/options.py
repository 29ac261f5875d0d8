"""Options that several commands share, and what they resolve to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlens.engine.api.observations import DOUBT_HINT
from twinlens.engine.api.protocol import OUTPUT_KINDS, EngineOptions, Network, Runner
from twinlens.engine.errors import TwinlensError

if TYPE_CHECKING:
    from twinlens.app.core.hosts.hosts import Hosts
    from twinlens.engine.errors import TwinlensError
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
    parser.add_argument("--model", help="catalog name or model file (default: efficientnet-lite0)")
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


def add_isolated_option(parser: argparse.ArgumentParser) -> None:
    """Add --isolated."""
    parser.add_argument(
        "--isolated",
        action="store_true",
        help="read and run the model, and play the source, in processes of their own, so that a "
        "fault of theirs is an error like others",
    )


def hosts_of(args: argparse.Namespace) -> Hosts | None:
    """The processes that --isolated asks for, the same each time; None without it.

    They end with the command, see ``cli.main``.
    """
    if not getattr(args, "isolated", False):
        return None
    if getattr(args, "hosts", None) is None:
        # late: without the option none of it is needed
        from twinlens.app.core.hosts.hosts import Hosts

        args.hosts = Hosts(spare=False)
    hosts: Hosts = args.hosts
    return hosts


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


VALUES: dict[str, tuple[float, tuple[float, ...], tuple[float, ...]]] = {
    "0..1": (1 / 255, (0.0,), (1.0,)),
    "-1..1": (1 / 127.5, (1.0,), (1.0,)),
    "0..255": (1.0, (0.0,), (1.0,)),
    "imagenet": (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": (1.0, (123.68, 116.779, 103.939), (1.0,)),
}
"""Usual ways of scaling pixels: scale, and mean and std in R, G, B."""
_OTHER_NAMES = {"unit": "0..1", "symmetric": "-1..1", "pixels": "0..255"}


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add --size, --values, --color, --mean and --std, which override how a model is fed."""
    group = parser.add_argument_group("how the model is fed, where it is known better")
    group.add_argument("--size", type=_size, metavar="WxH", help="size of the input, or one side")
    group.add_argument(
        "--values",
        type=_values,
        metavar="HOW",
        help=f"{', '.join(VALUES)}; the second as --values=-1..1, or 'symmetric'",
    )
    group.add_argument("--color", choices=("RGB", "BGR", "GRAY", "RGBA", "BGRA"))
    for name in ("mean", "std"):
        group.add_argument(
            f"--{name}",
            type=_row,
            metavar="A,B,C",
            help=f"{name} of each channel, in its order; of pixels 0..255 where a mean is "
            "above 1, else of 0..1",
        )


def recipe_of(args: argparse.Namespace) -> dict[str, Any]:
    """What the options of ``add_recipe_options`` say, as plain values of a recipe."""
    recipe: dict[str, Any] = {}
    if getattr(args, "size", None):
        recipe["width"], recipe["height"] = args.size
    if getattr(args, "color", None):
        recipe["color"] = args.color
    if getattr(args, "values", None):
        scale, usual_mean, usual_std = VALUES[args.values]
        step = -1 if str(recipe.get("color", "")).startswith("BGR") else 1
        recipe |= {"scale": scale, "mean": usual_mean[::step], "std": usual_std[::step]}
    mean, std = getattr(args, "mean", None), getattr(args, "std", None)
    if (mean or std) and not getattr(args, "values", None):
        rows = (*(mean or ()), *(std or ()))
        recipe |= {"scale": 1.0 if max(rows) > 1 else 1 / 255, "mean": (0.0,), "std": (1.0,)}
    return recipe | ({"mean": mean} if mean else {}) | ({"std": std} if std else {})


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 224 or 192x48")
    return int(sides[0]), int(sides[-1])


def _values(text: str) -> str:
    name = _OTHER_NAMES.get(text.lower(), text.lower().replace("−", "-"))
    if name not in VALUES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(VALUES)}")
    return name


def _row(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers such as 0.5,0.5,0.5") from None


def resolve_model(args: argparse.Namespace) -> Network:
    """Turn --model, --labels and the recipe's options into a model.

    Without --model it is the default; where that cannot be had, standard error says why.
    """
    from twinlens.models.identify.resolve import default_model, default_problem, resolve

    problem = None if args.model else default_problem()
    if problem is not None:
        sys.stderr.write(f"twinlens: {instead_text(problem)}\n")
    hosts = hosts_of(args)
    return (resolve if hosts is None else hosts.resolve)(
        args.model or default_model(),
        labels=args.labels,
        recipe=recipe_of(args),
        output_name=args.output_name,
        output_kind=args.output_kind,
    )


def instead_text(problem: TwinlensError) -> str:
    """One line about what runs where the usual default cannot."""
    from twinlens.models.identify.resolve import EMBEDDED_MODEL

    return f"{EMBEDDED_MODEL} runs instead. {problem.message}. {problem.hint}"


def print_assumptions(network: Network) -> None:
    """Write what had to be assumed about a model to standard error."""
    for note in network.spec.notes:
        sys.stderr.write(f"twinlens: {network.name}: {note}\n")


def say_error(error: TwinlensError) -> None:
    """Write an error on standard error, what to do about it on a line of its own."""
    sys.stderr.write(f"twinlens: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"          {error.hint}\n")


def say_doubt(title: str, why: str) -> None:
    """Write on standard error that answers contradict the way that they are read."""
    sys.stderr.write(f"twinlens: {title}: {why}\n{DOUBT_HINT}\n")


def load_runner(args: argparse.Namespace) -> tuple[Network, Runner]:
    """Load what --model, --engine and the precision options ask for."""
    from twinlens.engine.api import registry

    network = resolve_model(args)
    print_assumptions(network)
    hosts = hosts_of(args)
    load = registry.load if hosts is None else hosts.load
    return network, load(network, args.engine, engine_options(args))
