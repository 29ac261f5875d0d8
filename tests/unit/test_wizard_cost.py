"""What the wizard's sheet costs: labels are read once, answers are ranked once."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from helpers.tiny_nets import plain, tiny_classifier
from twinlens.app.core.setup import candidates, golden, wizard
from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.preflight import preflight
from twinlens.app.core.setup.wizard import Wizard

LABELS = tuple(f"thing {number}, Res nova-{number}" for number in range(1_000))


def counted(module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a function of a module is called with from now on."""
    calls: list[Any] = []
    real: Callable[..., Any] = getattr(module, name)

    def count(*given: Any, **more: Any) -> Any:
        calls.append(given)
        return real(*given, **more)

    monkeypatch.setattr(module, name, count)
    return calls


def wizard_of(folder: Path, labels: Sequence[str] = LABELS) -> Wizard:
    metadata = {"labels": json.dumps(list(labels))}
    return Wizard(preflight(tiny_classifier(folder / "net.onnx", len(labels), metadata=metadata)))


SPACES = (" ", "_", "-", "  ", "_-", "\t", "\u00a0", "\u2003", "\n", "\x1c", "")


def alike(name: str) -> str:
    """By the letter what the index does to a whole text."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


@pytest.mark.parametrize("spaces", [SPACES[:5], SPACES])
def test_names_are_found_as_by_reading_label_by_label(spaces: tuple[str, ...]) -> None:
    draw = random.Random(0)
    letters = (*spaces, "a", "B", "ß", ",", "İ")
    labels = tuple("".join(draw.choice(letters) for _ in range(6)) for _ in range(300))
    names_of = [{alike(part) for part in (label, *label.split(","))} for label in labels]
    index = golden.LabelIndex(labels)
    for name in {part for label in labels for part in (label, *label.split(","))}:
        named = [at for at, names in enumerate(names_of) if alike(name) in names]
        assert index.only((name,)) == (named[0] if len(named) == 1 else None), name


def test_an_answer_is_ranked_as_by_sorting_all_of_it() -> None:
    rng = np.random.default_rng(0)
    for classes in (1, 2, 3, 4, 500):
        for levels in (1, 2, 5, 1000):
            shares = rng.integers(0, levels, classes).astype(np.float32) / levels
            ranked = sorted(zip(-shares, range(classes), strict=True))
            assert wizard.Answer.of(shares).best == tuple(at for _, at in ranked[: wizard.TOP])


def test_labels_are_normalised_once_however_often_a_class_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = counted(golden, "_plain", monkeypatch)
    labels = tuple(LABELS)
    pictures = [Golden(plain("red").picture, (f"res_Nova {n}",)) for n in range(50)]
    assert [picture.index(labels) for picture in pictures] == list(range(50))
    assert len(calls) <= 3 * len(labels) + 2 * len(pictures)


def test_candidates_are_made_once_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = wizard_of(tmp_path)
    asked.set_size(32)
    calls = counted(candidates, "_coloured", monkeypatch)
    for candidate in asked.candidates():
        assert asked.candidate(candidate.id) is candidate
    assert asked.recipe == asked.candidate(asked.chosen).recipe
    assert len(calls) <= len(asked.candidates())
    asked.set_size(64)
    assert asked.recipe.width == 64
    assert np.isclose(asked.candidates()[0].recipe.scale, 1 / 255)
