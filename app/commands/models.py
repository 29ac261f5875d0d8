"""The catalog of models: list it, look at a card, fetch a model, remove it.

Models that were fetched lie in the user's data folder, or where TWINLENS_MODELS says. Afterwards
their name works everywhere: --model NAME.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twinlens.app.commands.records import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlens.engine.image import Recipe
    from twinlens.models.catalog.cards import Card
    from twinlens.models.catalog.download import Progress
    from twinlens.models.catalog.store import Store


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own commands and options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(action=_list, json=False)
    actions = parser.add_subparsers(metavar="list|info|pull|remove")
    listing = actions.add_parser("list", help="all models, with size, accuracy and where they are")
    listing.add_argument("--json", action="store_true", help="one JSON object")
    listing.set_defaults(action=_list)
    info = actions.add_parser("info", help="all that is known about a model or a model file")
    info.add_argument("id", help="catalog name, or path of a model file or export")
    info.add_argument("--json", action="store_true", help="one JSON object")
    info.set_defaults(action=_info)
    pull = actions.add_parser("pull", help="fetch models; goes on where it was interrupted")
    pull.add_argument("ids", nargs="+", metavar="id", help="catalog name")
    pull.set_defaults(action=_pull)
    remove = actions.add_parser("remove", help="delete what was fetched")
    remove.add_argument("ids", nargs="+", metavar="id", help="catalog name")
    remove.add_argument(
        "--forget", action="store_true", help="forget the hash that the first download confirmed"
    )
    remove.set_defaults(action=_remove)


def execute(args: argparse.Namespace) -> int:
    """Run the chosen one; ``list`` without a choice."""
    from twinlens.models.catalog.store import Store

    return int(args.action(args, Store()))


def record_of(card: Card, store: Store) -> dict[str, Any]:
    """A card as plain values, with where its file is."""
    record = store.record(card)
    path = store.file(card)
    return {
        "id": card.id,
        "title": card.title,
        "description": card.description,
        "task": card.task,
        "format": card.format,
        "parameters": card.parameters,
        "top1": card.top1,
        "accuracy": card.accuracy,
        "licence": card.licence,
        "source": card.source,
        "recipe": card.recipe.to_dict() if card.recipe else None,
        "bytes": card.bytes or (record.bytes if record else None),
        "sha256": card.sha256 or (record.sha256 if record else None),
        "urls": list(card.urls),
        "state": store.state(card).value,
        "verified": store.verified(card),
        "evidence": card.evidence or None,
        "path": str(path) if path else None,
        "pulled": {"url": record.url, "date": record.date} if record and path else None,
    }


def _list(args: argparse.Namespace, store: Store) -> int:
    from twinlens.app.core.shelf.rows import model_rows

    if args.json:
        write_json({"models": [record_of(card, store) for card in store.cards()]})
        return 0
    from rich.console import Console, JustifyMethod
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for title in ("name", "what it is", "format", "size", "top-1", "state"):
        justify: JustifyMethod = "right" if title in ("size", "top-1") else "left"
        table.add_column(title, justify=justify, no_wrap=title != "what it is")
    for row in model_rows(store):
        style = "bold" if row.state.usable else None
        words = (row.id, row.title, row.format, row.size, row.accuracy, row.state_text)
        table.add_row(*words, style=style)
    console.print(table)
    console.print(f"\n{store.root}", soft_wrap=True)
    return 0


def _info(args: argparse.Namespace, store: Store) -> int:
    from pathlib import Path

    from twinlens.app.commands import inspect
    from twinlens.models.identify.resolve import card_of

    if args.id not in {card.id for card in store.cards()} and Path(args.id).exists():
        return inspect.show(args.id, as_json=args.json)
    card = card_of(args.id, store)
    record = record_of(card, store)
    if args.json:
        write_json(record)
        return 0
    lines = [f"{card.title} ({card.id})", card.description, ""]
    for key in ("id", "title", "description", "top1"):
        del record[key]
    record["recipe"] = _recipe_text(card.recipe)
    record["urls"] = "\n".join(record["urls"]) or None
    pulled = record["pulled"]
    record["pulled"] = f"{pulled['date']} from {pulled['url']}" if pulled else None
    for key, value in record.items():
        text = f"{value:,}" if type(value) is int else {True: "yes", False: "no"}.get(value, value)
        shown = "–" if text is None else str(text).replace("\n", "\n" + " " * 12)
        lines.append(f"{key:12}{shown}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _recipe_text(recipe: Recipe | None) -> str:
    if recipe is None:
        return "in the file"
    values = f"(pixel · {recipe.scale:.6g} − {recipe.mean}) / {recipe.std}"
    return (
        f"{recipe.width}×{recipe.height} {recipe.color}, {recipe.layout}, {recipe.dtype}, "
        f"{'pixels as they are' if recipe.dtype == 'uint8' else values}"
    )


def _pull(args: argparse.Namespace, store: Store) -> int:
    from twinlens.app.core.shelf.rows import megabytes
    from twinlens.models.catalog.pull import pull
    from twinlens.models.identify.resolve import card_of

    chosen = [card_of(name, store) for name in args.ids]
    for card in chosen:
        try:
            with _progress(card) as progress:
                outcome = pull(card, store, progress=progress)
        except KeyboardInterrupt:
            part = store.part(card)
            kept = part.stat().st_size if part.is_file() else 0
            sys.stderr.write(
                f"twinlens: {card.id}: stopped; {megabytes(kept)} are kept, "
                "the next pull goes on from there\n"
            )
            raise
        fetched = outcome.fetched
        if fetched is None:
            sys.stdout.write(f"{card.id}: is here: {outcome.path}\n")
            continue
        for reason in fetched.skipped:
            sys.stderr.write(f"twinlens: {card.id}: another mirror was used: {reason}\n")
        checked = "now confirmed on this computer" if outcome.confirmed else "as its card says"
        sys.stdout.write(
            f"{card.id}: {fetched.bytes:,} bytes, SHA-256 {fetched.sha256}, {checked}\n"
            f"{outcome.path}\n"
        )
    return 0


@contextmanager
def _progress(card: Card) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        *(TextColumn(card.id), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(card.id, total=card.bytes or None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _remove(args: argparse.Namespace, store: Store) -> int:
    from twinlens.app.core.shelf.rows import megabytes
    from twinlens.models.identify.resolve import card_of

    for card in [card_of(name, store) for name in args.ids]:
        freed = store.remove(card, forget=args.forget)
        told = f"removed, {megabytes(freed)} freed" if freed else "nothing of it was here"
        sys.stdout.write(f"{card.id}: {told}\n")
    return 0
