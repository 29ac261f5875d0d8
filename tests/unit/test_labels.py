"""The names of ImageNet's classes: one each, unique, in the order of their synsets."""

from __future__ import annotations

import pytest

from twinlens.models.identify.resolve import imagenet_labels


def test_a_thousand_unique_short_names() -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    assert all(0 < len(label) <= 28 for label in labels)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "tench"),
        (134, "crane (bird)"),
        (207, "golden retriever"),
        (409, "analog clock"),
        (504, "coffee mug"),
        (508, "computer keyboard"),
        (517, "crane (machine)"),
        (620, "laptop"),
        (673, "computer mouse"),
        (770, "running shoe"),
        (852, "tennis ball"),
        (879, "umbrella"),
        (898, "water bottle"),
        (948, "Granny Smith"),
        (950, "orange"),
        (954, "banana"),
        (999, "toilet paper"),
    ],
)
def test_names_stand_in_synset_order(index: int, name: str) -> None:
    assert imagenet_labels()[index] == name
