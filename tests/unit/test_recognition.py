"""What a dropped path is, told by its content, and what will be done with it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from helpers.coreml_protos import package, program, single
from helpers.onnx_nets import mnist
from helpers.tflite_cases import CASES
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.setup.recognition import Kind, recognise
from twinlens.app.sources import open_source
from twinlens.assets import clip_path, picture_path
from twinlens.models.identify.kinds import is_picture


def picture(path: Path) -> Path:
    done, data = cv2.imencode(path.suffix, np.full((20, 30, 3), 90, np.uint8))
    assert done
    path.write_bytes(data.tobytes())
    return path


def kind(path: Path, data: bytes) -> Kind:
    path.write_bytes(data)
    return recognise(path).kind


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
@pytest.mark.parametrize("name", ["a.jpg", "a.onnx", "a", "a.mp4"])
def test_pictures_of_any_name(tmp_path: Path, suffix: str, name: str) -> None:
    path = picture(tmp_path / f"made{suffix}").rename(tmp_path / name)
    assert recognise(path).kind is Kind.PICTURE
    assert is_picture(path)
    assert open_source(str(path)).open().kind == "image"


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.onnx"])
def test_videos_of_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(clip_path().read_bytes())
    assert recognise(path).kind is Kind.VIDEO
    assert recognise(path).summary == f"Play {name}"


@pytest.mark.parametrize(
    "head",
    [
        b"\x1aE\xdf\xa3\x9fB\x86",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\x01\xba!",
        b"OggS\0",
        b"G@\0" + bytes(185) + b"G",
        b"\0\0\0\x14ftypqt  ",
        b"\0\0\0\x08wide\0\0",
    ],
)
def test_containers_of_video(tmp_path: Path, head: bytes) -> None:
    assert kind(tmp_path / "film", head + bytes(64)) is Kind.VIDEO


@pytest.mark.parametrize("name", ["net", "net.dat2", "net.jpg", "net.onnx", "net.txt"])
@pytest.mark.parametrize(
    "data",
    [mnist().SerializeToString(), CASES["conv"]().data, single("copy")],
    ids=["onnx", "tflite", "coreml"],
)
def test_models_of_any_name(tmp_path: Path, name: str, data: bytes) -> None:
    assert kind(tmp_path / name, data) is Kind.MODEL


def test_a_package_is_a_model(tmp_path: Path) -> None:
    assert recognise(package(tmp_path / "net.mlpackage", program())).kind is Kind.MODEL


def test_a_file_that_is_called_a_model_is_left_to_its_reader(tmp_path: Path) -> None:
    assert kind(tmp_path / "noise.onnx", bytes(range(200, 256))) is Kind.MODEL
    assert kind(tmp_path / "noise.tflite", bytes(range(200, 256))) is Kind.MODEL
    assert kind(tmp_path / "text.onnx", b"this is a letter") is Kind.NOTHING


def test_bare_parameters(tmp_path: Path) -> None:
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", w=np.zeros(3))
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    for name in ("w.safetensors", "w.npz", "w.h5"):
        found = recognise(tmp_path / name)
        assert (found.kind, found.summary) == (Kind.PARAMETERS, f"Use the parameters in {name}")
    folder = tmp_path / "raw"
    folder.mkdir()
    picture(folder / "five.png")
    assert kind(folder / "fc1_W.bin", bytes(64)) is Kind.NOTHING
    assert "folder" in recognise(folder / "fc1_W.bin").hint
    assert recognise(folder).kind is Kind.PARAMETERS


@pytest.mark.parametrize("name", ["names.txt", "synset.names", "labels", "a.labels.txt", "b.csv"])
@pytest.mark.parametrize("text", ["cat\ndog\n", "\ufeffKatze\r\nHund", "猫\n" * 3000])
def test_label_files(tmp_path: Path, name: str, text: str) -> None:
    assert kind(tmp_path / name, text.encode()) is Kind.LABELS


def test_folders(tmp_path: Path) -> None:
    folder = tmp_path / "things"
    folder.mkdir()
    assert recognise(folder).kind is Kind.NOTHING
    picture(folder / "1.png")
    assert recognise(folder).summary == "Show the picture in things"
    picture(folder / "2.png")
    assert recognise(folder).kind is Kind.PICTURES
    assert recognise(folder).summary == "Show the 2 pictures in things"
    net = tiny_classifier(folder / "a.onnx", 3)
    assert (recognise(folder).kind, recognise(folder).path) == (Kind.MODEL, net)
    tiny_classifier(folder / "b.onnx", 3)
    assert recognise(folder).kind is Kind.NOTHING
    assert "a.onnx, b.onnx" in recognise(folder).hint


def _pytorch(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")


@pytest.mark.parametrize("name", ["net.pt", "pytorch_model.bin"])
def test_state_dictionaries_are_parameters(tmp_path: Path, name: str) -> None:
    _pytorch(tmp_path / name)
    assert recognise(tmp_path / name).kind is Kind.PARAMETERS


@pytest.mark.parametrize(
    ("name", "write", "summary"),
    [
        ("empty.txt", lambda path: path.write_bytes(b""), "is empty"),
        ("a.doc", lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "nothing"),
        ("noise.txt", lambda path: path.write_bytes(bytes(range(256))), "nothing"),
        ("letter.md", lambda path: path.write_text("# A letter"), "nothing"),
        ("net.pkl", lambda path: path.write_bytes(b"\x80\x02}q\x00."), "Python pickle"),
    ],
)
def test_nonsense_says_what_it_is(
    tmp_path: Path, name: str, write: Callable[[Path], object], summary: str
) -> None:
    write(tmp_path / name)
    found = recognise(tmp_path / name)
    assert found.kind is Kind.NOTHING
    assert name in found.summary
    assert summary in found.summary
    assert str(tmp_path) not in found.summary
    assert found.hint


def test_what_is_not_there(tmp_path: Path) -> None:
    assert recognise(tmp_path / "gone.onnx").summary == "gone.onnx is not there"


@given(data=st.binary(max_size=300), suffix=st.sampled_from(["", ".txt", ".bin", ".png", ".zip"]))
def test_any_bytes_are_something(
    data: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    assert isinstance(recognise(path).kind, Kind)


def test_what_comes_with_twinlens_is_known() -> None:
    assert recognise(picture_path("start.jpg")).kind is Kind.PICTURE
    assert recognise(clip_path()).kind is Kind.VIDEO


def test_the_projects_data_is_known(test_data: Path) -> None:
    models = test_data / "models"
    wanted = {
        "mobilenet_v2_1.0_224.onnx": Kind.MODEL,
        "mobilenet_v2_1.0_224_quant.tflite": Kind.MODEL,
        "mnist_mpscnn": Kind.PARAMETERS,
        "imagenet_labels_1001.txt": Kind.LABELS,
    }
    assert {name: recognise(models / name).kind for name in wanted} == wanted
    assert recognise(test_data / "eval").kind is Kind.PICTURES
    assert recognise(test_data / "clips" / "objects.mp4").kind is Kind.VIDEO
