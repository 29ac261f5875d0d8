"""What runs out of the box knows what the bundled clip shows: the first thing that anyone sees."""

import csv
from collections import Counter, defaultdict

import pytest

from helpers.command import json_lines, twinlens
from twinlens.assets import clip_timeline_path
from twinlens.models import default_model
from twinlens.models.identify.resolve import EMBEDDED_MODEL, PREFERRED_MODEL

SHARE_OF_SECONDS = 0.95


def test_the_package_of_the_default_is_there():
    assert default_model() == PREFERRED_MODEL


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("model", "engine"),
    [(None, "layers-cpu"), (None, "vision"), (EMBEDDED_MODEL, "layers-cpu")],
)
def test_the_best_label_is_right_in_most_seconds(model, engine):
    with clip_timeline_path().open(encoding="utf-8", newline="") as file:
        spans = list(csv.DictReader(file, delimiter="\t"))
    asked = ("--model", model) if model else ()
    *frames, _ = json_lines(twinlens("run", "--headless", "--engine", engine, *asked, "--json"))
    seen = defaultdict(Counter)
    for frame in frames:
        seen[int(frame["t_s"] + 1e-3)][frame["label"]] += 1
    right = 0
    for second, labels in seen.items():
        span = next(s for s in spans if float(s["start_s"]) <= second < float(s["end_s"]))
        ((label, _),) = labels.most_common(1)
        right += label == span["label"]
    assert len(seen) == float(spans[-1]["end_s"])
    assert right / len(seen) >= SHARE_OF_SECONDS
