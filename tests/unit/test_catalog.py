"""Catalog, bare model files, labels: what a name or a path stands for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_nets import tiny_classifier
from twinlens.engine.api import registry
from twinlens.engine.api.observations import probabilities, top_k
from twinlens.engine.errors import (
    EngineError,
    EngineUnavailableError,
    InferenceError,
    LabelError,
    ModelError,
    ModelFileError,
)
from twinlens.engine.targets.gpu import engine
from twinlens.engine.targets.gpu.run import adapters
from twinlens.models.identify.labels import read_labels
from twinlens.models.identify.resolve import EMBEDDED_MODEL, cards, imagenet_labels, resolve


def test_cards_describe_files_that_are_there() -> None:
    names = [card.id for card in cards()]
    assert len(names) == len(set(names))
    assert EMBEDDED_MODEL in names
    for card in cards():
        if card.embedded:
            path = resolve(card.id).path
            assert path.stat().st_size == card.bytes
            assert hashlib.sha256(path.read_bytes()).hexdigest() == card.sha256


def test_embedded_file_under_another_name_is_recognised(tmp_path: Path) -> None:
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes(resolve(EMBEDDED_MODEL).path.read_bytes())
    assert resolve(copy).spec.id == EMBEDDED_MODEL
    assert resolve(copy).path == copy


def test_unknown_names_are_told_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match="no-such-net") as caught:
        resolve("no-such-net")
    assert EMBEDDED_MODEL in caught.value.hint


def test_conventions_are_said_aloud(tmp_path: Path) -> None:
    thousand = resolve(tiny_classifier(tmp_path / "a.onnx", 1000)).spec
    assert thousand.labels == imagenet_labels()
    assert thousand.recipe.std == (0.229, 0.224, 0.225)
    assert any("assumed" in note for note in thousand.notes)
    with_background = resolve(tiny_classifier(tmp_path / "b.onnx", 1001)).spec
    assert with_background.background_outputs == 1
    assert with_background.recipe.mean == (1.0, 1.0, 1.0)
    logits = resolve(tiny_classifier(tmp_path / "c.onnx", 1000, softmax=False)).spec
    assert (thousand.output, logits.output) == ("probabilities", "logits")
    grey = tiny_classifier(
        tmp_path / "d.onnx",
        10,
        shape=(1, 1, 8, 12),
        metadata={"labels": json.dumps(list("0123456789"))},
    )
    network = resolve(grey)
    spec = network.spec
    assert (spec.recipe.color, spec.recipe.width, spec.recipe.height) == ("GRAY", 12, 8)
    assert spec.labels == tuple("0123456789")


def test_files_beside_the_model_are_used(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "pets.onnx", 2)
    (tmp_path / "pets.labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    (tmp_path / "pets.toml").write_text(
        'title = "Pets"\n[recipe]\ncolor = "BGR"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n',
        encoding="utf-8",
    )
    network = resolve(path)
    spec = network.spec
    assert (spec.title, spec.labels, spec.recipe.color) == ("Pets", ("cat", "dog"), "BGR")
    assert not spec.notes
    (tmp_path / "pets.toml").write_text("[recipe", encoding="utf-8")
    with pytest.raises(ModelError, match=r"pets\.toml"):
        resolve(path)


@pytest.mark.parametrize(
    "line",
    [
        'background_outputs = "x"',
        "background_outputs = -1",
        'recipe = "foo"',
        'output = "y"',
        "a = 1",
    ],
)
def test_recipes_beside_the_model_are_checked(tmp_path: Path, line: str) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 1000)
    (tmp_path / "net.toml").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"net\.toml"):
        resolve(path)


def test_labels_that_do_not_match_name_both_numbers(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 7)
    (tmp_path / "net.labels.txt").write_text("one\ntwo\n", encoding="utf-8")
    (note, *_) = resolve(path).spec.notes
    assert "net.labels.txt has 2 labels, but net.onnx has 7 classes (7 outputs): not used" in note
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"2 labels.*7 outputs"):
        resolve(path, labels=wrong)
    with pytest.raises(LabelError, match="2 labels for 1000 outputs"):
        registry.load(resolve(EMBEDDED_MODEL, labels=wrong), "vision")


def test_label_files_that_cannot_be_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    for path in (empty, binary, tmp_path / "missing.txt"):
        with pytest.raises(LabelError, match=path.name):
            read_labels(path)


def test_folders_and_models_that_take_no_picture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="folder"):
        resolve(tmp_path)
    flat = tiny_classifier(tmp_path / "flat.onnx", 1000, shape=(1, 3, 16))
    with pytest.raises(ModelFileError, match="1×3×16 is no picture"):
        resolve(flat)


@pytest.mark.parametrize("engine_id", ["vision", "layers-cpu"])
def test_engines_give_the_softmax_of_logits(tmp_path: Path, engine_id: str) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 1001, softmax=False)
    network = resolve(path)
    spec = network.spec
    runner = registry.load(network, engine_id)
    raw = runner.run(np.ones(runner.info.input_shape, np.float32))
    runner.close()
    shares = np.exp(raw.astype(float)) / np.exp(raw.astype(float)).sum()
    assert np.allclose(probabilities(raw, spec), shares[1:], rtol=1e-5)


def test_unknown_and_unavailable_engines_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="abacus") as caught:
        registry.get_engine("abacus")
    assert "vision" in caught.value.hint
    monkeypatch.setattr(adapters, "without_wgpu", lambda: "wgpu is not installed")
    monkeypatch.setattr(engine, "without_wgpu", lambda: "wgpu is not installed")
    with pytest.raises(EngineUnavailableError, match="Layers GPU is not available: wgpu is not"):
        registry.load(resolve(EMBEDDED_MODEL), "layers-gpu")


def test_top_k_sorts_and_breaks_ties_by_index() -> None:
    best = top_k(np.array([0.1, 0.4, 0.1, 0.4], np.float32), tuple("abcd"), 3)
    assert [(o.identifier, o.index) for o in best] == [("b", 1), ("d", 3), ("a", 0)]
    assert len(top_k(np.array([1.0], np.float32), ("a",), 5)) == 1


def test_numbers_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(InferenceError, match="not finite"):
        probabilities(np.array([1, np.nan], np.float32), resolve(EMBEDDED_MODEL).spec)
