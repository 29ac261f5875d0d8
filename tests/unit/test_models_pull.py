"""Models that are fetched: cards, the folder they come to, and what a name stands for then."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.model_server import ModelServer, model_server
from helpers.own_models import digits_model, own_card, write_catalog
from twinlens.engine.api import registry
from twinlens.engine.errors import (
    DownloadCancelledError,
    DownloadError,
    ModelError,
    ModelFileError,
)
from twinlens.models.catalog.cards import card_from, cards
from twinlens.models.catalog.pull import pull
from twinlens.models.catalog.store import State, Store
from twinlens.models.identify.resolve import EMBEDDED_MODEL, card_of, resolve


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    return digits_model(tmp_path)


def own(store: Store, name: str, data: bytes, *urls: str, **values: Any) -> Any:
    write_catalog(store.root, own_card(name, data, *urls, **values))
    return card_of(name, store)


def test_at_least_eight_published_classifiers_can_be_fetched() -> None:
    fetchable = [card for card in cards() if card.urls]
    assert len([card for card in fetchable if card.verified]) >= 8
    for card in fetchable:
        assert all(url.startswith("https://") for url in card.urls)
        assert card.evidence
        assert card.licence
        assert not card.verified or (card.bytes and card.sha256)


def test_cards_of_files_at_hand_state_their_size_and_hash(test_data: Path) -> None:
    by_file = {card.remote.filename: card for card in cards() if card.remote}
    for name in ("mobilenet_edgetpu_224_1.0_uint8.tflite", "mobilenet_v2_1.0_224_quant.tflite"):
        data = (test_data / "models" / name).read_bytes()
        card = by_file[name]
        assert card.verified
        assert (card.bytes, card.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "../evil"}, "id"),
        ({"format": "exe"}, "exe"),
        ({"sha256": "123"}, "hash"),
        ({"bytes": 0}, "size or hash is missing"),
        ({"urls": []}, "no address"),
        ({"archive": "rar", "member": "x"}, "rar"),
        ({"archive": "zip"}, "member"),
        ({"labels": "../../secret.txt"}, "outside"),
        ({"colour": "red"}, "colour"),
        ({"recipe": {"width": 0, "height": 1}}, "0×1"),
    ],
)
def test_cards_that_make_no_sense_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        card_from(own_card("net", b"x", "https://example.org/net.onnx") | change)


def test_a_fetched_model_answers_to_its_name(server: ModelServer, root: Path, model: bytes) -> None:
    store = Store(root)
    card = own(store, "net", model, server.put("/files/net.onnx", model))
    assert store.state(card) is State.NOT_HERE
    with pytest.raises(ModelError, match="not here yet") as caught:
        resolve("net", store=store)
    assert "twinlens models pull net" in caught.value.hint
    outcome = pull(card, store)
    assert outcome.path == root / "net" / "net.onnx"
    assert outcome.path.read_bytes() == model
    assert not outcome.confirmed
    assert store.state(card) is State.HERE
    network = resolve("net", store=store)
    spec = network.spec
    assert (spec.id, spec.title, spec.labels) == ("net", "Net net", tuple("0123456789"))
    assert spec.output == "probabilities"
    runner = registry.load(network, "vision")
    assert np.isclose(runner.run(np.ones(runner.info.input_shape, np.float32)).sum(), 1, atol=1e-5)
    runner.close()
    assert sorted(path.name for path in root.iterdir()) == [
        *(".lock", ".parts", "catalog.toml", "net", "pulled.json"),
    ]


def test_what_is_here_is_not_fetched_again_unless_it_is_damaged(
    server: ModelServer, root: Path, model: bytes
) -> None:
    store = Store(root)
    card = own(store, "net", model, server.put("/net.onnx", model))
    path = pull(card, store).path
    assert pull(card, store).fetched is None
    assert len(server.requests) == 1
    path.write_bytes(model[:-1])
    with pytest.raises(ModelFileError, match="damaged"):
        resolve("net", store=store)
    path.write_bytes(model[::-1])
    assert pull(card, store).fetched is not None
    assert path.read_bytes() == model


def test_nothing_is_put_in_place_before_it_is_whole(
    server: ModelServer, root: Path, model: bytes
) -> None:
    store = Store(root)
    wrong = bytes(len(model))
    card = own(store, "net", model, server.put("/net.onnx", wrong))
    with pytest.raises(DownloadError, match="SHA-256"):
        pull(card, store)
    assert store.file(card) is None
    assert store.record(card) is None
    assert not store.part(card).exists()


def test_an_unverified_card_is_held_to_what_came_first(
    server: ModelServer, root: Path, model: bytes
) -> None:
    store = Store(root)
    url = server.put("/net.onnx", model)
    card = own(store, "net", model, url, bytes=0, sha256="", verified=False)
    assert not store.verified(card)
    assert pull(card, store).confirmed
    assert store.verified(card)
    store.remove(card)
    assert store.state(card) is State.NOT_HERE
    assert store.verified(card)
    server.put("/net.onnx", model[::-1])
    with pytest.raises(DownloadError) as caught:
        pull(card, store)
    assert hashlib.sha256(model).hexdigest() in caught.value.message
    store.remove(card, forget=True)
    assert not store.verified(card)
    pull(card, store)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>Log in</html>", b"version https://git-lfs.github.com", b""]
)
def test_a_page_is_not_taken_for_a_model(server: ModelServer, root: Path, page: bytes) -> None:
    store = Store(root)
    url = server.put("/net.onnx", page)
    card = own(store, "net", page, url, bytes=0, sha256="", verified=False)
    with pytest.raises(DownloadError, match="page instead of a model"):
        pull(card, store)
    assert not store.verified(card)
    assert not store.part(card).exists()


def test_labels_come_with_a_model(server: ModelServer, root: Path, model: bytes) -> None:
    store = Store(root)
    names = "\n".join(f"bird {n}" for n in range(10)).encode()
    labels = {
        "urls": [server.put("/labels.txt", names)],
        "sha256": hashlib.sha256(names).hexdigest(),
    }
    url = server.put("/net.onnx", model)
    card = own(store, "birds-2", model, url, labels=None, label_file=labels)
    path = pull(card, store).path
    assert resolve("birds-2", store=store).spec.labels[3] == "bird 3"
    # The file alone, as somebody might drop it, is known but has no names.
    alone = root.parent / "alone.onnx"
    alone.write_bytes(path.read_bytes())
    assert resolve(alone, store=store).spec.labels[3] == "class 3"
    server.put("/labels.txt", names[::-1])
    store.remove(card)
    with pytest.raises(DownloadError, match="SHA-256"):
        pull(card, store)
    assert store.file(card) is None


def test_an_archive_is_unpacked_in_one_step(
    server: ModelServer, root: Path, model: bytes, tmp_path: Path
) -> None:
    store = Store(root)
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/model.onnx", model)
        file.writestr("net/about.txt", "words")
    data = path.read_bytes()
    url = server.put("/net.zip", data)
    card = own(store, "net", data, url, archive="zip", member="net/model.onnx")
    outcome = pull(card, store)
    assert outcome.path == root / "net" / "net" / "model.onnx"
    assert resolve("net", store=store).path == outcome.path
    assert not store.part(card).exists()
    assert pull(card, store).fetched is None


def test_an_archive_without_the_model_leaves_nothing(
    server: ModelServer, root: Path, tmp_path: Path
) -> None:
    store = Store(root)
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("other.onnx", b"x")
    data = path.read_bytes()
    card = own(store, "net", data, server.put("/net.zip", data), archive="zip", member="net.onnx")
    with pytest.raises(DownloadError, match=r"no 'net\.onnx'"):
        pull(card, store)
    assert store.file(card) is None
    assert sorted(path.name for path in root.iterdir()) == [".parts", "catalog.toml"]


def test_removing_frees_the_room(server: ModelServer, root: Path, model: bytes) -> None:
    store = Store(root)
    card = own(store, "net", model, server.put("/net.onnx", model))
    assert store.remove(card) == 0
    pull(card, store)
    assert store.remove(card) >= len(model)
    assert not (root / "net").exists()
    with pytest.raises(DownloadCancelledError):
        pull(card, store, cancelled=lambda: store.part(card).exists())
    store.remove(card)
    assert not store.part(card).exists()
    with pytest.raises(ModelError, match="comes with Twinlens"):
        store.remove(card_of(EMBEDDED_MODEL, store))


def test_models_without_an_address_say_where_they_come_from(root: Path) -> None:
    store = Store(root)
    card = card_of("mobilenet-v2-1.0-224", store)
    assert store.state(card) is State.NO_DOWNLOAD
    for attempt in (lambda: pull(card, store), lambda: resolve(card.id, store=store)):
        with pytest.raises(ModelError) as caught:
            attempt()
        assert "google-coral" in caught.value.hint
    embedded = pull(card_of(EMBEDDED_MODEL, store), store)
    assert embedded.path.is_file()
    assert embedded.fetched is None


def test_a_damaged_record_or_catalog_of_ones_own(root: Path, model: bytes) -> None:
    store = Store(root)
    write_catalog(root, own_card("net", model, "https://example.org/net.onnx"))
    (root / "pulled.json").write_text("[1, 2")
    assert store.record(card_of("net", store)) is None
    write_catalog(root, own_card(EMBEDDED_MODEL, model, "https://example.org/net.onnx"))
    with pytest.raises(ModelError, match=r"catalog\.toml.*there already"):
        store.cards()
    (root / "catalog.toml").write_text("[[model]")
    with pytest.raises(ModelError, match=r"catalog\.toml"):
        resolve("net", store=store)


def test_another_folder_can_be_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLENS_MODELS", str(root))
    assert Store().root == root
    monkeypatch.delenv("TWINLENS_MODELS")
    assert Store().root.name == "models"
    assert "twinlens" in str(Store().root)
