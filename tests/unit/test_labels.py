"""The names of ImageNet's classes: one each, unique, in the order of their synsets."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.tiny_nets import tiny_classifier
from twinlens.models.identify.labels import read_labels
from twinlens.models.identify.resolve import imagenet_labels, resolve


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


KINDS = {
    "numbered lines": b"0 red\n1 green\n2 blue\n",
    "UTF-16": "red\ngreen\nblue\n".encode("utf-16"),
    "a JSON list": b'["red",\n"green",\n"blue"]\n',
    "rows": b"0,red\n1,green\n2,blue\n",
    "synsets": b"n01440764 red\nn01443537 green\nn01484850 blue\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_tools_write_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(KINDS[kind])
    assert read_labels(path) == ("red", "green", "blue")


def test_a_model_that_brings_no_names_runs(tmp_path: Path) -> None:
    assert resolve(tiny_classifier(tmp_path / "net.onnx", 7)).spec.labels[3] == "class 3"


def test_names_inside_come_before_a_file_of_a_general_name(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 2, metadata={"labels": '["a", "b"]'})
    for other in ("x\ny\n", "x\n"):
        (tmp_path / "labels.txt").write_text(other, encoding="utf-8")
        assert resolve(path).spec.labels == ("a", "b")
