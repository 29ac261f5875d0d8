"""What a model file is: input, output, how it is fed and read, its labels, each with its origin.

Nothing is kept or changed. The engines that run it are named, and what the others lack.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlens.app.commands.options import add_recipe_options, recipe_of
from twinlens.app.commands.records import write_json

if TYPE_CHECKING:
    from twinlens.engine.image import Recipe
    from twinlens.models.identify.identified import Identified

_FEW = 6


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="catalog name, model file, folder or zip of an export")
    parser.add_argument("--labels", type=Path, help="label file")
    add_recipe_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Look at a model, and print what is known of it."""
    recipe = recipe_of(args)
    return show(args.model, labels=args.labels, recipe=recipe, as_json=args.json)


def show(
    name: str,
    *,
    labels: Path | None = None,
    recipe: dict[str, Any] | None = None,
    as_json: bool = False,
) -> int:
    """Print what is known of a model; raises TwinlensError for what is none."""
    from twinlens.engine.errors import UnsupportedOperatorError
    from twinlens.models.identify.resolve import identify

    found = identify(name, labels=labels, recipe=recipe)
    if found.model is None:
        raise found.problem or ValueError(f"{name} is no model")
    with contextlib.suppress(UnsupportedOperatorError):  # the engines say so below
        found = found.held_to_graph()
    record = record_of_model(found)
    if as_json:
        write_json(record)
    else:
        sys.stdout.write("\n".join(_lines(record)) + "\n")
    return 0


def record_of_model(found: Identified) -> dict[str, Any]:
    """What is known of a model, as plain values."""
    model = found.known
    spec, declared = model.spec, model.described
    names = list(spec.labels)
    return {
        "name": found.name,
        "path": str(found.path),
        "title": spec.title,
        "format": found.format,
        "bytes": found.bytes,
        "input": {
            "shape": list(declared.input_shape if declared else spec.recipe.input_shape),
            "dtype": declared.input_dtype if declared else spec.recipe.dtype,
        },
        "batch": _batch(found),
        "outputs": model.outputs,
        "recipe": spec.recipe.to_dict(),
        "read": spec.output,
        "background_outputs": spec.background_outputs,
        "labels": {"count": len(names), "names": names, "source": model.labels_source},
        "origins": {part: origin.value for part, origin in model.origins.items()},
        "assumed": list(spec.notes),
        "problem": found.problem.message if found.problem else None,
        "engines": _engines(found),
    }


def _batch(found: Identified) -> dict[str, Any]:
    """How many pictures the network takes at once, and how many of them the layers compute."""
    from twinlens.engine.errors import TwinlensError
    from twinlens.engine.graph import one_picture

    shape = found.known.described.input_shape if found.known.described else ()
    if len(shape) != 4 or (shape[0] or 1) == 1:
        return {"pictures": 1, "computed": 1, "kept": ""}
    try:
        batch = one_picture(found.graph)
    except TwinlensError:  # the engines say so
        return {"pictures": shape[0], "computed": shape[0], "kept": ""}
    computed = batch.pictures if batch.kept else 1
    return {"pictures": batch.pictures, "computed": computed, "kept": batch.kept}


def _engines(found: Identified) -> dict[str, dict[str, Any]]:
    """By engine whether it runs the model, and what it lacks where it does not."""
    from twinlens.engine.api import registry
    from twinlens.engine.api.protocol import EngineOptions
    from twinlens.engine.errors import TwinlensError

    answers: dict[str, dict[str, Any]] = {}
    for engine_id in registry.engine_ids():
        engine = registry.get_engine(engine_id)
        reason = engine.available()
        try:
            if reason is None and engine_id == "vision":
                network = found.network_as(found.known.spec)
                engine.load(network, EngineOptions(threads=1)).close()
            elif reason is None:
                _ = found.graph
        except TwinlensError as error:
            reason = error.message
        answers[engine_id] = {"runs": reason is None, "lacks": reason}
    return answers


def _lines(record: dict[str, Any]) -> list[str]:
    from twinlens.engine.image import Recipe

    origins = record["origins"]
    recipe = Recipe.from_dict(record["recipe"])
    shape = " × ".join("?" if n is None else str(n) for n in record["input"]["shape"])
    labels = record["labels"]
    few = ", ".join(labels["names"][:_FEW]) + (" …" if labels["count"] > _FEW else "")
    outputs = "not declared" if record["outputs"] is None else f"{record['outputs']:,}"
    rows = [
        ("format", f"{record['format']}, {record['bytes']:,} bytes"),
        ("input", f"{shape}, {record['input']['dtype']}"),
        *_batch_row(record["batch"]),
        ("outputs", outputs),
        *((part, f"{text}, {origins.get(part, '')}") for part, text in _fed(recipe)),
        ("read as", record["read"]),
        (
            "labels",
            f"{labels['count']:,} {origins['labels']} ({labels['source']}): {few}"
            if "labels" in origins
            else record["problem"] or "none",
        ),
        *(("assumed", note) for note in record["assumed"]),
        *(
            (engine, "runs it" if answer["runs"] else answer["lacks"])
            for engine, answer in record["engines"].items()
        ),
    ]
    return [f"{record['title']} ({record['path']})", *(f"{key:12}{text}" for key, text in rows)]


def _batch_row(batch: dict[str, Any]) -> list[tuple[str, str]]:
    count = batch["pictures"]
    if count == 1:
        return []
    if batch["computed"] == 1:
        return [("batch", f"{count} pictures at once; the layers compute one")]
    why = f": {batch['kept']} keeps them together" if batch["kept"] else ""
    return [("batch", f"{count} pictures at once, all of them computed{why}")]


def _fed(recipe: Recipe) -> list[tuple[str, str]]:
    def row(values: tuple[float, ...]) -> str:
        return ", ".join(f"{value:g}" for value in values)

    pixels = recipe.dtype == "uint8"
    scaled = f"(pixel · {recipe.scale:.6g} − [{row(recipe.mean)}]) / [{row(recipe.std)}]"
    return [
        ("size", f"{recipe.width}×{recipe.height}"),
        ("layout", recipe.layout),
        ("color", recipe.color),
        ("values", "pixels as they are" if pixels else scaled),
        ("crop", recipe.crop_and_scale.value),
    ]
