"""What is known of a model and from where; what was chosen about it, kept and read again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.tiny_nets import tiny_classifier
from twinlens.engine.errors import LabelError, ModelError
from twinlens.engine.image import Recipe
from twinlens.models.identify import kept, sidecar
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.resolve import EMBEDDED_MODEL, identify, resolve

CHOSEN = {
    "labels": ["cat", "dog", "fox"],
    "recipe": Recipe(width=16, height=16, color="BGR", scale=1.0).to_dict(),
}


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "config" / "recipes"
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    yield folder


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "nets").mkdir()
    return tiny_classifier(tmp_path / "nets" / "pets.onnx", 3)


def refuse_beside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model's folder be read-only, also for a user who may write everywhere."""
    real = sidecar.write_values

    def write(place: Path, values: object) -> None:
        if place.parent == path.parent:
            raise PermissionError(13, "Permission denied")
        real(place, values)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "write_values", write)


def test_a_bare_file_says_what_it_knows_and_numbers_its_classes(net: Path) -> None:
    found = identify(net)
    assert found.known.spec.labels == ("class 0", "class 1", "class 2")
    assert found.known.outputs == 3
    assert found.problem is None
    assert found.known.origins["labels"] is Origin.ASSUMED
    assert found.known.origins["size"] is Origin.FILE
    assert found.known.origins["layout"] is Origin.FILE
    assert found.known.origins["values"] is Origin.ASSUMED
    assert found.known.origins["crop"] is Origin.CONVENTION
    assert "numbers" in found.network.spec.notes[0]


def test_origins_tell_file_catalog_and_open_axes(tmp_path: Path) -> None:
    metadata = {
        "labels": json.dumps(["a", "b", "c"]),
        "twinlens.recipe": json.dumps({"scale": 1.0, "crop_and_scale": "scale-fit"}),
    }
    told = identify(tiny_classifier(tmp_path / "told.onnx", 3, metadata=metadata))
    assert {told.known.origins[p] for p in ("labels", "values", "crop", "size")} == {Origin.FILE}
    unclear = identify(tiny_classifier(tmp_path / "open.onnx", 3, shape=(1, 3, "h", 3)))
    assert unclear.known.origins["layout"] is Origin.ASSUMED
    assert unclear.known.origins["size"] is Origin.ASSUMED
    assert set(identify(EMBEDDED_MODEL).known.origins.values()) == {Origin.CARD}


def test_what_is_kept_beside_a_model_is_used_next_time(net: Path, recipes: Path) -> None:
    place = kept.keep(net, CHOSEN)
    assert place == net.with_suffix(".toml")
    assert not recipes.exists()
    found = identify(net)
    assert found.problem is None
    assert found.known.spec.labels == ("cat", "dog", "fox")
    assert found.known.spec.recipe == Recipe(width=16, height=16, color="BGR", scale=1.0)
    assert set(found.known.origins.values()) == {Origin.BESIDE}
    assert list(net.parent.glob(".*")) == []


def test_keeping_leaves_what_else_stands_there(net: Path, recipes: Path) -> None:
    del recipes
    net.with_suffix(".toml").write_text('title = "My “pets”"\nlabels = ["x"]\n', encoding="utf-8")
    kept.keep(net, CHOSEN)
    assert resolve(net).spec.title == "My “pets”"
    assert resolve(net).spec.labels == ("cat", "dog", "fox")


def test_a_read_only_folder_is_kept_for_by_hash(
    net: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse_beside(net, monkeypatch)
    assert kept.kept_for(net) is None
    place = kept.keep(net, CHOSEN)
    assert place.parent == recipes
    assert not net.with_suffix(".toml").exists()
    found = identify(net)
    assert found.known.spec.labels == ("cat", "dog", "fox")
    assert found.known.origins["values"] is Origin.KEPT
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(net.read_bytes())
    assert identify(copy).known.origins["labels"] is Origin.KEPT
    other = tiny_classifier(tmp_path / "other.onnx", 4)
    assert identify(other).known.origins["labels"] is Origin.ASSUMED


def test_folders_are_kept_for_by_what_is_in_them(
    tmp_path: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del recipes
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"1234")
    refuse_beside(folder, monkeypatch)
    place = kept.keep(folder, {"labels": ["x"]})
    assert kept.kept_for(folder) == place
    (folder / "a.bin").write_bytes(b"1235")
    assert kept.kept_for(folder) is None


def test_nowhere_to_keep_is_one_error(
    net: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_beside(net, monkeypatch)
    recipes.parent.write_text("a file in the way", encoding="utf-8")
    with pytest.raises(ModelError, match=r"pets\.onnx cannot be kept"):
        kept.keep(net, CHOSEN)


def test_labels_that_were_kept_must_fit(net: Path) -> None:
    net.with_suffix(".toml").write_text('labels = ["cat"]\n', encoding="utf-8")
    assert identify(net).problem is not None
    with pytest.raises(LabelError, match=r"pets\.toml has 1 labels.*3 outputs"):
        resolve(net)


@given(
    labels=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    scale=st.floats(allow_nan=False, allow_infinity=False, width=64),
    title=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_is_written_is_read_back(
    labels: list[str], scale: float, title: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("toml") / "net.toml"
    recipe = Recipe(width=3, height=4, scale=scale, std=(1.0, 2.5, 1e-9)).to_dict()
    values = {"labels": labels, "recipe": recipe, "title": title, "background_outputs": 1}
    sidecar.write_values(place, values)
    assert sidecar.read_values(place) == values
    assert Recipe.from_dict(sidecar.read_values(place)["recipe"]).to_dict() == recipe


def test_values_that_may_not_stand_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="output"):
        sidecar.write_values(tmp_path / "a.toml", {"output": "guesses"})
    with pytest.raises(ModelError, match="nan"):
        sidecar.write_values(tmp_path / "a.toml", {"recipe": {"scale": float("nan")}})
    assert list(tmp_path.iterdir()) == []
