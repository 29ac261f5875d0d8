"""Whole exports, as folders and zip archives; caches of links; what is refused with a way."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from helpers.parameter_files import as_named
from helpers.picture_nets import picture_net
from helpers.tflite_files import classifier
from twinlens.engine.api import registry
from twinlens.engine.errors import ModelFileError
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.kinds import Kind, glance
from twinlens.models.identify.resolve import identify, resolve
from twinlens.models.networks.published import NETWORKS

NAMES = ("a", "b", "c", "d")
LINES = "0 a\n1 b\n2 c\n3 d\n"


def custom_vision(folder: Path) -> None:
    picture_net(folder / "model.onnx")
    (folder / "labels.txt").write_text("\r\n".join(NAMES), encoding="utf-8")
    manifest = {"DomainType": "Classification", "Platform": "ONNX", "ExporterVersion": "2.0"}
    (folder / "cvexport.manifest").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "LICENSE").write_text("yes", encoding="utf-8")


def lobe(folder: Path) -> None:
    picture_net(folder / "model.onnx", (1, 16, 24, 3))
    signature = {"doc_id": "x", "filename": "model.onnx", "classes": {"Label": list(NAMES)}}
    (folder / "signature.json").write_text(json.dumps(signature), encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(reversed(NAMES)), encoding="utf-8")
    (folder / "example").mkdir()


def hugging_face(folder: Path) -> None:
    (folder / "onnx").mkdir()
    for name in ("model.onnx", "model_quantized.onnx", "model_fp16.onnx"):
        picture_net(folder / "onnx" / name, ("n", 3, "h", "w"))
    config = {"id2label": dict(enumerate(NAMES)), "label2id": {n: i for i, n in enumerate(NAMES)}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    fed = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(fed), encoding="utf-8")


def edge_impulse(folder: Path) -> None:
    for name in ("tflite-model", "model-parameters", "edge-impulse-sdk"):
        (folder / name).mkdir()
    picture_net(folder / "tflite-model" / "trained.onnx")
    (folder / "model-parameters" / "model_metadata.h").write_text(
        "#define EI_CLASSIFIER_INPUT_WIDTH 24\n"
        'const char* ei_classifier_inferencing_categories[] = { "a", "b", "c", "d" };\n',
        encoding="utf-8",
    )


def ultralytics(folder: Path) -> None:
    inner = folder / "best_saved_model"
    inner.mkdir()
    picture_net(inner / "best_float32.onnx")
    picture_net(inner / "best_float16.onnx")
    text = "task: classify\nimgsz:\n- 16\n- 24\nnames:\n  0: a\n  1: b\n  2: c\n  3: d\n"
    (inner / "metadata.yaml").write_text(text, encoding="utf-8")


EXPORTS: dict[str, tuple[Callable[[Path], None], str, float]] = {
    "Custom Vision": (custom_vision, "BGR", 1.0),
    "Lobe": (lobe, "RGB", 1 / 255),
    "Hugging Face": (hugging_face, "RGB", 1 / 255),
    "Edge Impulse": (edge_impulse, "RGB", 1 / 255),
    "Ultralytics": (ultralytics, "RGB", 1 / 255),
}


def zipped(folder: Path, target: Path, *, inside: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{inside}{path.relative_to(folder).as_posix()}")
    return target


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("form", ["folder", "zip", "zip of the folder"])
@pytest.mark.parametrize("kind", EXPORTS)
def test_an_export_runs_as_it_is(kind: str, form: str, tmp_path: Path) -> None:
    make, color, scale = EXPORTS[kind]
    folder = tmp_path / "export"
    folder.mkdir()
    make(folder)
    path = folder
    if form != "folder":
        path = zipped(folder, tmp_path / "my.zip", inside="export/" if "of" in form else "")
        shutil.rmtree(folder)
    assert glance(path).kind is Kind.MODEL
    found = identify(path)
    spec = found.network.spec
    assert spec.labels == NAMES
    assert (spec.recipe.color, spec.recipe.scale) == (color, pytest.approx(scale))
    assert found.known.origins["labels"] is Origin.BESIDE
    assert not any("assumed to be its own" in note for note in spec.notes)
    if form != "folder":
        assert (found.path, spec.title) == (path, "my")
    for engine in ("layers-cpu", "vision"):
        runner = registry.load(found.network, engine)
        assert runner.run(np.zeros(runner.info.input_shape, np.float32)).shape == (4,)
        runner.close()


@pytest.mark.parametrize("zip_it", [False, True])
def test_teachable_machines_tflite_names_its_classes(tmp_path: Path, zip_it: bool) -> None:
    folder = tmp_path / "converted_tflite"
    folder.mkdir()
    (folder / "model_unquant.tflite").write_bytes(classifier())
    lines = "".join(f"{n} Class {n + 1}\n" for n in range(6))
    (folder / "labels.txt").write_text(lines, encoding="utf-8")
    path = zipped(folder, tmp_path / "converted_tflite.zip") if zip_it else folder
    spec = resolve(path).spec
    assert spec.labels == tuple(f"Class {n + 1}" for n in range(6))
    assert spec.recipe.scale == pytest.approx(1 / 127.5)


def test_a_folder_of_safetensors_and_config_names_its_classes(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    save_file(as_named(NETWORKS["squeezenet-1.1"], 0, classes=3), folder / "model.safetensors")
    config = {"id2label": {"0": "cat", "1": "dog", "2": "fox"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for path in (folder, folder / "model.safetensors", zipped(folder, tmp_path / "repo.zip")):
        assert resolve(path).spec.labels == ("cat", "dog", "fox"), path


def test_what_was_chosen_stays_beside_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    custom_vision(folder)
    path = zipped(folder, tmp_path / "my.zip")
    path.with_suffix(".toml").write_text("[recipe]\nscale = 0.5\n", encoding="utf-8")
    assert resolve(path).spec.recipe.scale == 0.5


def test_two_networks_in_a_folder_are_asked_about(tmp_path: Path) -> None:
    picture_net(tmp_path / "cats.onnx")
    picture_net(tmp_path / "dogs.onnx")
    seen = glance(tmp_path)
    assert seen.kind is Kind.NOTHING
    assert "2 models" in seen.reason


# --- archives that mean harm ----------------------------------------------------------------


def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.onnx", b"x")
        archive.writestr("../outside.txt", b"x")
    with pytest.raises(ModelFileError, match="lies outside"):
        identify(path)
    assert not (tmp_path / "cache" / "outside.txt").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.onnx", "w", force_zip64=True) as member,
    ):
        for _ in range(100):
            member.write(bytes(1 << 20))
    with pytest.raises(ModelFileError, match="would unpack to 104,857,600"):
        identify(path)


def test_a_damaged_archive_is_one_error(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    custom_vision(folder)
    data = bytearray(zipped(folder, tmp_path / "my.zip").read_bytes())
    at = data.find(b"model.onnx") + 40
    data[at : at + 30] = bytes(30)
    path = tmp_path / "damaged.zip"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"damaged\.zip"):
        identify(path)


# --- caches of links ------------------------------------------------------------------------


def cache(folder: Path, *, links: bool, location: str = "model.onnx_data") -> Path:
    """A model in Hugging Face's cache, its data beside it; returns its name in the snapshot."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "abc" / "onnx"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    plain = picture_net(folder / "plain.onnx", metadata={"labels": json.dumps(NAMES)})
    model = onnx.load(str(plain))
    plain.unlink()
    data = b"".join(bytes(tensor.raw_data) for tensor in model.graph.initializer)
    offset = 0
    for tensor in model.graph.initializer:
        size = len(tensor.raw_data)
        del tensor.external_data[:]
        for key, value in (("location", location), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        offset += size
    (blobs / "aaaa").write_bytes(model.SerializeToString())
    (blobs / "bbbb").write_bytes(data)
    for name, blob in (("model.onnx", "aaaa"), ("model.onnx_data", "bbbb")):
        target = f"../../../blobs/{blob}"
        if links:
            (snapshot / name).symlink_to(target)
        else:
            (snapshot / name).write_text(target, encoding="utf-8")
    return snapshot / "model.onnx"


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize("links", [True, False])
def test_a_model_in_a_cache_of_links_loads(links: bool, engine: str, tmp_path: Path) -> None:
    path = cache(tmp_path / "models--a--b", links=links)
    assert glance(path).kind is Kind.MODEL
    for name in (path, path.parent):
        network = resolve(name)
        assert network.spec.labels == NAMES
        runner = registry.load(network, engine)
        assert runner.run(np.zeros(runner.info.input_shape, np.float32)).shape == (4,)
        runner.close()


@pytest.mark.parametrize("location", ["../../../secret", "/etc/passwd", "..", "evil", "a/../../x"])
def test_nothing_outside_the_cache_is_reached(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    path = cache(tmp_path / "models--a--b", links=True, location=location)
    (path.parent / "evil").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        resolve(path)


def test_blobs_that_are_a_link_elsewhere_do_not_count(tmp_path: Path) -> None:
    path = cache(tmp_path / "models--a--b", links=True)
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelFileError, match=r"model\.onnx_data"):
        resolve(path)


# --- what is refused, with the way that helps -----------------------------------------------


def saved_model(folder: Path) -> Path:
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")
    return folder / "saved_model.pb"


def frozen(folder: Path) -> Path:
    node = b"\x0a\x05input\x12\x0bPlaceholder"
    (folder / "frozen.pb").write_bytes(b"\x0a" + bytes([len(node)]) + node)
    return folder / "frozen.pb"


def ort(folder: Path) -> Path:
    (folder / "net.ort").write_bytes(b"\x18\0\0\0ORTM" + bytes(40))
    return folder / "net.ort"


def tfjs(folder: Path) -> Path:
    text = json.dumps({"format": "layers-model", "modelTopology": {}, "weightsManifest": []})
    (folder / "model.json").write_text(text, encoding="utf-8")
    (folder / "weights.bin").write_bytes(bytes(64))
    return folder / "model.json"


def pointer(folder: Path) -> Path:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n"
    (folder / "net.onnx").write_text(text, encoding="utf-8")
    return folder / "net.onnx"


def create_ml(folder: Path) -> Path:
    extractor = b"\x8a\x7d\x00"  # field 2001, Apple's feature extractor
    pipeline = b"\x0a" + bytes([len(extractor) + 2]) + b"\x0a" + bytes([len(extractor)]) + extractor
    data = b"\x08\x01\xc2\x0c" + bytes([len(pipeline)]) + pipeline
    (folder / "net.mlmodel").write_bytes(data)
    return folder / "net.mlmodel"


REFUSED = {
    saved_model: ("SavedModel", "tf2onnx.convert --saved-model"),
    frozen: ("frozen TensorFlow graph", "tf2onnx.convert --graphdef"),
    ort: ("ONNX Runtime's own format", ".onnx file"),
    tfjs: ("TensorFlow.js", "tensorflowjs_converter"),
    pointer: ("Git LFS pointer", "git lfs pull"),
    create_ml: ("Apple's own feature extractor", "torch.onnx.export"),
}


@pytest.mark.parametrize("make", REFUSED)
def test_what_is_refused_says_why_and_what_helps(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    reason, way = REFUSED[make]
    path = make(tmp_path)
    seen, problem = glance(path), identify(path).problem
    assert seen.kind is Kind.NOTHING
    assert reason in seen.reason
    assert problem is not None
    assert reason in problem.message
    for hint in (seen.hint, problem.hint):
        assert hint is not None
        assert way in hint


@pytest.mark.parametrize("make", [saved_model, tfjs])
@pytest.mark.parametrize("zip_it", [False, True])
def test_a_refused_export_says_what_it_is(
    make: Callable[[Path], Path], zip_it: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    make(folder)
    (folder / "labels.txt").write_text(LINES, encoding="utf-8")
    path = zipped(folder, tmp_path / "export.zip") if zip_it else folder
    problem = identify(path).problem
    assert problem is not None
    assert REFUSED[make][0] in problem.message
    assert REFUSED[make][1] in str(problem.hint)


FIELD = Path(os.environ.get("TWINLENS_TEST_DATA", "nowhere")) / "field"


@pytest.mark.skipif(not FIELD.is_dir(), reason="no files from the field here")
@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_a_cache_from_the_field_loads(engine: str) -> None:
    network = resolve(FIELD / "hf_cache" / "snapshots" / "abc" / "onnx" / "model.onnx")
    assert network.spec.labels == ("red", "green", "blue")
    runner = registry.load(network, engine)
    assert runner.run(np.zeros(runner.info.input_shape, np.float32)).shape == (3,)
    runner.close()


def test_a_zip_of_nothing_known_says_so(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("notes.txt", "hello")
    (tmp_path / "a.zip").write_bytes(data.getvalue())
    assert "zip archive" in glance(tmp_path / "a.zip").reason
