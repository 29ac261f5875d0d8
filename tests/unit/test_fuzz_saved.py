"""What once broke a reader of model files breaks none any more; and seeds are read whole."""

from pathlib import Path

import pytest
from fuzz.seeds import seeds
from fuzz.targets import TARGETS, check

SAVED = Path(__file__).resolve().parents[1] / "fuzz" / "saved"
FILES = sorted(path for path in SAVED.rglob("*") if path.is_file())
SEEDS = [(target, name) for target, files in seeds().items() for name in files]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_saved_inputs_end_in_one_of_our_errors(path):
    check(path.parent.name, path.read_bytes())


@pytest.mark.parametrize(("target", "name"), SEEDS, ids=lambda part: part)
def test_seeds_and_seeds_cut_short(target, name):
    data = seeds()[target][name]
    for part in (data, data[: len(data) // 2], data[: len(data) - 1], b""):
        check(target, part)


def test_every_target_has_seeds():
    assert set(seeds()) == set(TARGETS)
    assert {path.parent.name for path in FILES} <= set(TARGETS)
