"""Stand-ins of the field through the command line, and whether what it says is right."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from helpers.field_rows import PICTURE, SLACK, Row
from twinlens.app.cli import main

_ALL = "1000"


@dataclass(frozen=True)
class Answer:
    """What one engine said to one stand-in.

    Attributes:
        shares: by class name its probability, best first; empty where it was refused.
        said: what stood on standard error.
        verdict: ``ok``, ``wrong`` or ``refused``; a refusal that is right is ``ok``.
    """

    shares: dict[str, float]
    said: str
    verdict: str


def ask(row: Row, engine: str, data: Path, folder: Path) -> Answer:
    """Classify the picture with a stand-in, as a user does who says nothing more than the row."""
    model, words = row.lay_out(data, folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(
            [
                *("classify", str(data / PICTURE), "--model", str(model), "--engine", engine),
                *("--json", "--top", _ALL, *words),
            ]
        )
    said = err.getvalue().strip()
    if code != 0:
        return Answer({}, said, "ok" if row.refused and row.refused in said else "refused")
    record = json.loads(out.getvalue())
    shares = {one["label"]: one["confidence"] for one in record["top"]}
    return Answer(shares, said, "ok" if _is_right(shares, row, data) else "wrong")


def _is_right(shares: dict[str, float], row: Row, data: Path) -> bool:
    """Whether every class that has a right answer has it, and the best one is the best."""
    right = row.expected(data)
    if not right or row.refused:
        return False
    best = max(right, key=lambda name: right[name])
    close = all(abs(shares.get(name, -1.0) - share) <= SLACK for name, share in right.items())
    return close and next(iter(shares)) == best
