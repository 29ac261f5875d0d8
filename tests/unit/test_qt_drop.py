"""What a dropped path is, and what is said of it while it hovers."""

import numpy as np
import pytest

from helpers.onnx_nets import mobilenet_v1, save
from twinlens.app.qt.drop import recognise
from twinlens.assets import clip_path, picture_path


def test_a_model_is_known_by_its_content(tmp_path):
    save(mobilenet_v1(), tmp_path / "net.onnx")
    found = recognise(tmp_path / "net.onnx")
    assert (found.kind, found.says) == ("model", "Use net.onnx as the model (ONNX)")
    lite = tmp_path / "net.bin"
    lite.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    assert recognise(lite).says == "Use net.bin as the model (TensorFlow Lite)"
    package = tmp_path / "net.mlpackage"
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    assert (recognise(package).kind, recognise(package).says) == (
        "model",
        "Use net.mlpackage as the model (Core ML package)",
    )


def test_parameters_are_a_model_and_pictures_are_a_source(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("conv1_W.bin", "conv1_b.bin"):
        np.zeros(20, np.float32).tofile(folder / name)
    assert recognise(folder).kind == "model"
    assert "parameters" in recognise(folder).says
    np.savez(tmp_path / "net.npz", weight=np.zeros(3, np.float32))
    assert recognise(tmp_path / "net.npz").kind == "model"
    assert recognise(picture_path("start.jpg").parent).says == "Show the pictures in pictures"
    assert recognise(picture_path("start.jpg")).kind == "source"
    assert recognise(clip_path()).says == f"Play {clip_path().name}"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("notes.txt", b"nothing in particular", "notes.txt is no model"),
        ("net.pt", b"PK\x03\x04" + bytes(40), "PyTorch file"),
        ("empty", b"", "empty is no model"),
    ],
)
def test_what_is_nothing_says_so(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    found = recognise(tmp_path / name)
    assert found.kind is None
    assert says in found.says


def test_a_path_that_is_gone_is_told(tmp_path):
    assert recognise(tmp_path / "gone").kind is None
