"""Getting a card's model: fetch, check, unpack, and put in place in one step."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from twinlens.engine.errors import DownloadError, ModelError
from twinlens.models.catalog.archive import unpack
from twinlens.models.catalog.cards import FOLDER, Card, Remote
from twinlens.models.catalog.download import Fetched, Progress, fetch
from twinlens.models.catalog.packages import packaged_file
from twinlens.models.catalog.store import LABELS, Pulled, Store, sha256_of
from twinlens.models.identify.labels import read_labels

_PAGE_STARTS = (b"<!doctype", b"<html", b"version https://git-lfs")


@dataclass(frozen=True)
class Outcome:
    """What ``pull`` did.

    Attributes:
        path: the model.
        fetched: what was fetched; None where the model was here already.
        confirmed: whether this download confirmed a card that was unverified.
    """

    path: Path
    fetched: Fetched | None
    confirmed: bool = False


def pull(
    card: Card,
    store: Store,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    timeout_s: float = 20.0,
) -> Outcome:
    """Make sure that a card's model is here.

    Args:
        card: which model.
        store: where it is put.
        progress: called with bytes that are here and bytes in all (0: not known).
        cancelled: asked before every piece; what has arrived is kept.
        timeout_s: seconds without a byte, after which a mirror counts as broken.

    Raises:
        DownloadCancelledError: ``cancelled`` returned true.
        DownloadError: it cannot be fetched, is not what was asked for, or cannot be unpacked.
        ModelError: the card has no address, or its package is not installed or damaged.
    """
    if card.embedded:
        return Outcome(FOLDER / card.file, None)
    if card.package:
        return Outcome(packaged_file(card), None)
    remote = card.remote
    if remote is None:
        raise ModelError(f"{card.id} cannot be downloaded", hint=card.source)
    before = store.record(card)
    here = store.file(card)
    if here is not None and _is_whole(card, here, before):
        return Outcome(here, None)
    # A card without a hash is held to what came first.
    if before is not None and not remote.sha256:
        remote = replace(remote, bytes=before.bytes, sha256=before.sha256)
    part = store.part(card)
    fetched = fetch(remote, part, progress=progress, cancelled=cancelled, timeout_s=timeout_s)
    _refuse_pages(part, remote, fetched)
    labels = _fetch_labels(card, part, cancelled, timeout_s)
    today = datetime.date.today().isoformat()
    pulled = Pulled(fetched.sha256, fetched.bytes, fetched.url, today)
    try:
        with store.staging() as staging:
            _stage(card, staging, part, remote.filename)
            if labels is not None:
                labels.replace(staging / LABELS)
            store.install(card, staging, pulled)
    except OSError as error:
        raise DownloadError(f"{card.id} cannot be put into {store.root}: {error}") from error
    part.unlink(missing_ok=True)
    path = store.folder(card) / (card.member or remote.filename)
    return Outcome(path, fetched, confirmed=not card.verified and before is None)


def _is_whole(card: Card, path: Path, record: Pulled | None) -> bool:
    """Whether a model that is here is what was fetched; of an archive, only that it is there."""
    if card.label_file and not path.with_name(LABELS).is_file():
        return False
    wanted = card.sha256 or (record.sha256 if record else "")
    return bool(card.archive) or (path.is_file() and sha256_of(path) == wanted)


def _refuse_pages(part: Path, remote: Remote, fetched: Fetched) -> None:
    """Without a known hash, a login page or a pointer could pass for the model."""
    with part.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if not start or start.startswith(_PAGE_STARTS):
        part.unlink()
        raise DownloadError(f"{remote.filename}: {fetched.url} gave a page instead of a model")


def _fetch_labels(
    card: Card, part: Path, cancelled: Callable[[], bool] | None, timeout_s: float
) -> Path | None:
    if card.label_file is None:
        return None
    path = part.with_name(part.name + ".labels")
    fetch(card.label_file, path, cancelled=cancelled, timeout_s=timeout_s)
    read_labels(path)
    return path


def _stage(card: Card, folder: Path, part: Path, filename: str) -> None:
    """Move or unpack what has arrived into a folder."""
    if not card.archive:
        part.replace(folder / filename)
        return
    try:
        unpack(part, card.archive, folder)
        if not (folder / card.member).exists():
            raise DownloadError(f"{card.id}: its archive has no {card.member!r}")
    except DownloadError:
        part.unlink()  # going on from it would not make it better
        raise
