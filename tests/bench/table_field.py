"""What each engine answers to the stand-ins of the field, beside what is right.

``TWINLENS_TEST_DATA=... python tests/bench/table_field.py`` prints one table: every stand-in that
is a model, a label file or a recipe, classified as a user does, with no more words than the row
says. Engines that are not available here are left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.field_answers import Answer, ask
from helpers.field_rows import ROWS, Row
from twinlens.engine.api import registry

_SHOWN = 3


def main() -> int:
    """Ask every engine about every stand-in; the exit code is 1 where one is wrong."""
    data = Path(os.environ["TWINLENS_TEST_DATA"])
    engines = [
        name for name in registry.engine_ids() if registry.get_engine(name).available() is None
    ]
    os.environ["TWINLENS_RECIPES"] = tempfile.mkdtemp()  # nothing that this user has chosen
    print(f"| stand-in | kind | right | {' | '.join(engines)} |\n|{'---|' * (len(engines) + 3)}")
    verdicts: Counter[str] = Counter()
    for row in ROWS:
        answers = []
        for engine in engines:
            with tempfile.TemporaryDirectory() as folder:
                answers.append(ask(row, engine, data, Path(folder)))
        verdicts.update(answer.verdict for answer in answers)
        shown = [f"{_text(answer)}: {answer.verdict}" for answer in answers]
        print(
            f"| {row.title} | {row.kind} | {_right(row, data)} | {' | '.join(shown)} |", flush=True
        )
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    return int(set(verdicts) != {"ok"})


def _right(row: Row, data: Path) -> str:
    return f"refused: {row.refused}" if row.refused else _best(row.expected(data))


def _text(answer: Answer) -> str:
    return _best(answer.shares) if answer.shares else answer.said.splitlines()[0].split(": ", 2)[-1]


def _best(shares: object) -> str:
    ordered = sorted(dict(shares).items(), key=lambda one: -one[1])  # type: ignore[call-overload]
    return ", ".join(f"{name} {share:.4f}" for name, share in ordered[:_SHOWN])


if __name__ == "__main__":
    sys.exit(main())
