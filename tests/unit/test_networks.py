"""Which hand-assembled network a folder or file of parameters belongs to."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from helpers.parameter_files import as_named
from twinlens.engine.api import registry
from twinlens.engine.errors import (
    LabelError,
    ModelError,
    ModelFileError,
    ParameterError,
)
from twinlens.engine.layers import Conv2d
from twinlens.engine.params import OWN
from twinlens.models.identify.kinds import Kind, glance
from twinlens.models.identify.resolve import imagenet_labels, resolve
from twinlens.models.networks.published import NETWORKS

CASES = [
    (network, number)
    for network in NETWORKS.values()
    for number in range(len(network.sources))
    if network.id not in {"inception-v3", "resnet-50"} or number == 0
]


@pytest.mark.parametrize(
    ("network", "number"), CASES, ids=[f"{n.id}-{n.sources[i].naming.title}" for n, i in CASES]
)
def test_every_network_is_recognised_by_its_names(network, number, tmp_path: Path) -> None:
    called = next(iter(network.sources[number].called), "net")
    path = tmp_path / f"{called}.npz"
    np.savez(path, **as_named(network, number))
    if network.classes == 1008:
        (tmp_path / f"{called}.labels.txt").write_text("\n".join(map(str, range(1008))))
    found = resolve(path)
    spec = found.spec
    assert (spec.id, spec.title, found.path) == (called, network.title, path)
    assert spec.recipe == network.sources[number].recipe
    graph = found.graph
    assert graph.inputs["input"] == spec.recipe.input_shape
    assert graph.output_shapes == {"probabilities": (1, network.classes)}
    assert len(spec.labels) == network.classes
    assert all(np.isfinite(a).all() for n in graph.nodes for a in n.layer.parameters.values())


def raw(folder: Path, file: dict[str, np.ndarray], dtype: str = "<f4") -> Path:
    folder.mkdir()
    for name, array in file.items():
        (folder / f"{name}.dat").write_bytes(array.astype(dtype).tobytes())
    return folder


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
@pytest.mark.parametrize("prefix", ["", "mnist:"])
def test_a_folder_of_raw_files_runs(tmp_path: Path, dtype: str, prefix: str) -> None:
    folder = raw(tmp_path / "digits", as_named(NETWORKS["mnist"], 0), dtype)
    network = resolve(f"{prefix}{folder}")
    spec = network.spec
    assert (spec.id, spec.title, spec.labels) == ("digits", "MNIST", tuple("0123456789"))
    assert not spec.notes
    runner = registry.load(network, "layers-cpu")
    shares = runner.run(np.zeros((1, 1, 28, 28), np.float32))
    runner.close()
    assert abs(shares.sum() - 1) < 1e-5


def test_hdf5_of_keras_is_recognised(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for name, array in as_named(NETWORKS["mobilenet-v1"], 0).items():
            layer, variable = name.split("/")
            file[f"model_weights/{layer}/{layer}/{variable}:0"] = array
    network = resolve(tmp_path / "net.h5")
    spec = network.spec
    assert spec.title == "MobileNet"
    assert spec.notes == ("labels: ImageNet, assumed",)


def test_a_network_of_other_classes_takes_labels_from_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "pets.safetensors"
    save_file(as_named(NETWORKS["squeezenet-1.1"], 0, classes=3), path)
    assert resolve(path).spec.labels == ("class 0", "class 1", "class 2")
    beside = tmp_path / "pets.labels.txt"
    beside.write_text("cat\ndog\nfish\n")
    network = resolve(path)
    spec = network.spec
    assert (spec.title, spec.labels) == ("SqueezeNet 1.1", ("cat", "dog", "fish"))
    assert network.graph.output_shapes == {"probabilities": (1, 3)}
    other = tmp_path / "other.txt"
    other.write_text("a\nb\n")
    with pytest.raises(LabelError, match=r"other\.txt has 2 labels, but SqueezeNet .* 3 classes"):
        resolve(path, labels=other)


def test_a_raw_folder_of_other_classes_takes_labels_from_inside_it(tmp_path: Path) -> None:
    folder = raw(tmp_path / "letters", as_named(NETWORKS["mnist"], 0, classes=26))
    (folder / "labels.txt").write_text("\n".join("abcdefghijklmnopqrstuvwxyz"))
    network = resolve(folder)
    spec = network.spec
    assert len(spec.labels) == 26
    assert network.graph.output_shapes == {"probabilities": (1, 26)}


def test_a_background_class_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, **as_named(NETWORKS["mobilenet-v1"], 0, classes=1001))
    network = resolve(path)
    spec = network.spec
    assert spec.background_outputs == 1
    assert spec.labels == imagenet_labels()


def test_a_recipe_beside_the_parameters_is_used(tmp_path: Path) -> None:
    folder = raw(tmp_path / "digits", as_named(NETWORKS["mnist"], 0))
    beside = tmp_path / "digits.toml"
    beside.write_text('title = "Digits"\n[recipe]\ncontrast = 0\n')
    network = resolve(folder)
    spec = network.spec
    assert (spec.title, spec.recipe.contrast, spec.recipe.color) == ("Digits", 0, "GRAY")
    beside.write_text("nonsense = 1\n")
    with pytest.raises(ModelError, match=r"digits\.toml"):
        resolve(folder)


def test_our_own_names_say_that_the_recipe_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, **as_named(NETWORKS["resnet-18"], 1))
    assert any(note.startswith("values:") for note in resolve(path).spec.notes)
    assert NETWORKS["resnet-18"].sources[1].naming is OWN


def test_what_is_nearly_a_network_is_told_by_what_does_not_fit(tmp_path: Path) -> None:
    file = as_named(NETWORKS["mnist"], 0)
    del file["conv2_b"]
    file["fc1_W"] = file["fc1_W"][:100]
    folder = raw(tmp_path / "digits", file)
    with pytest.raises(ParameterError) as caught:
        resolve(folder)
    assert "missing: conv2_b (50, 200 bytes as float32)" in str(caught.value)
    assert "fc1_W has 980,000 bytes; expected 320×2450, 3,136,000 bytes" in str(caught.value)


def test_the_closest_network_is_named_only_where_it_is_close(tmp_path: Path) -> None:
    file = as_named(NETWORKS["mnist"], 1)
    np.savez(
        tmp_path / "far.npz", conv1_weight=file["conv1_weight"], **{f"x{n}": 0 for n in range(9)}
    )
    with pytest.raises(ModelError, match=r"belong to no network that is known$"):
        resolve(tmp_path / "far.npz")
    close = {name: file[name] for name in list(file)[:3]}
    np.savez(tmp_path / "close.npz", **close)
    with pytest.raises(ModelError, match="closest is MNIST as Twinlens names it, where 38% fit"):
        resolve(tmp_path / "close.npz")


TWINS = [
    ("efficientnet-lite0", "efficientnet_lite0_ra-37913777", "half", 1e-5),
    ("efficientnet-lite0", "tf_efficientnet_lite0-0aa007d2", "same", 1e-3),
    ("mobilenet-v3-small", "mobilenetv3_small_100_lamb-266a294c", "half", 1e-5),
    ("mobilenet-v3-small", "tf_mobilenetv3_small_100-37f49e2b", "same", 1e-3),
]


@pytest.mark.parametrize(("network", "name", "padding", "epsilon"), TWINS)
@pytest.mark.parametrize("told_by", ["name", "settings", "nothing"])
def test_twins_with_the_same_names_are_told_apart(
    tmp_path: Path, network: str, name: str, padding: str, epsilon: float, told_by: str
) -> None:
    sources = NETWORKS[network].sources
    number = next(n for n, one in enumerate(sources) if one.called)
    path = tmp_path / (f"{name}.npz" if told_by == "name" else "net.npz")
    np.savez(path, **as_named(NETWORKS[network], number))
    if told_by == "settings":
        (tmp_path / "config.json").write_text(json.dumps({"architecture": name.partition("-")[0]}))
    found = resolve(path)
    spec = found.spec
    assumed = any("padding" in note and "assumed" in note for note in spec.notes)
    assert assumed == (told_by == "nothing")
    if assumed:
        return
    pads = {node.layer.pads for node in found.graph.nodes if isinstance(node.layer, Conv2d)}
    assert ((0, 0, 1, 1) in pads) == (padding == "same")
    assert (spec.recipe.mean == (1.0, 1.0, 1.0)) == (epsilon == 1e-3)


def test_what_is_no_known_network_names_those_that_are(tmp_path: Path) -> None:
    folder = raw(tmp_path / "strange", {"alpha": np.zeros(3), "beta": np.zeros(4)})
    with pytest.raises(ModelError, match="belong to no network that is known") as caught:
        resolve(folder)
    assert all(name in caught.value.hint for name in NETWORKS)
    with pytest.raises(ParameterError, match="8 missing, 2 not expected"):
        resolve(f"mnist:{folder}")


def test_a_network_without_parameters_asks_for_them(tmp_path: Path) -> None:
    for name in ("mnist", "resnet-50:"):
        with pytest.raises(ModelError, match="do not come with Twinlens") as caught:
            resolve(name)
        assert f"{name.rstrip(':')}:PATH" in caught.value.hint
    with pytest.raises(ModelFileError, match="nowhere"):
        resolve(f"mnist:{tmp_path / 'nowhere'}")
    with pytest.raises(ModelError, match="no such file or catalog name"):
        resolve("lenet:somewhere")


def test_what_holds_no_parameters_is_left_to_the_readers_of_models(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"\x80\x02}q\x00.")
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.writestr("net.onnx", b"")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("net.pth", "net.zip", "cut.npz"):
        assert glance(tmp_path / name).kind is not Kind.PARAMETERS
        with pytest.raises(ModelFileError, match=name):
            resolve(tmp_path / name)


def test_the_published_digits_are_read(test_data: Path) -> None:
    folder = test_data / "models" / "mnist_mpscnn"
    assert resolve(folder).spec.title == "MNIST"


def test_inception_is_recognised_by_the_sample_files(test_data: Path, tmp_path: Path) -> None:
    listing = (test_data / "models" / "inception_v3_dat_listing.tsv").read_text("utf-8")
    folder = tmp_path / "inception"
    folder.mkdir()
    for line in listing.splitlines():
        name, size = line.split("\t")
        if size != "absent":
            with (folder / name).open("wb") as file:
                file.truncate(int(size))  # a hole: no disk is filled
    with pytest.raises(ParameterError) as caught:
        resolve(folder)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Inception-v3") and lines[0].endswith(": 3 missing")
    assert "weights_softmax (1008×2048, 8,257,536 bytes as float32)" in lines[-1]


def test_parameters_of_every_size_are_told_before_memory_is_taken(tmp_path: Path) -> None:
    folder = raw(tmp_path / "digits", as_named(NETWORKS["mnist"], 0))
    with (folder / "fc1_W.dat").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ParameterError, match=f"fc1_W has {1 << 30:,} bytes"):
        resolve(folder)
