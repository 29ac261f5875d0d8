"""A model's format is told by its content, and what is not opened says why."""

import zipfile

import numpy as np
import pytest

from helpers.coreml_protos import package, program, single
from helpers.networks import described
from helpers.onnx_nets import mnist
from helpers.tflite_cases import CASES
from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.engine.formats import CORE_ML, ONNX, TFLITE
from twinlens.models.identify.kinds import document, glance
from twinlens.models.identify.resolve import resolve


@pytest.mark.parametrize("name", ["net.onnx", "net.tflite", "net.mlmodel", "net", "net.jpg"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (mnist().SerializeToString(), ONNX),
        (CASES["conv"]().data, TFLITE),
        (single("copy"), CORE_ML),
        (b"", ONNX),
        (bytes(range(256)) * 4, ONNX),
    ],
    ids=["onnx", "tflite", "coreml", "empty", "noise"],
)
def test_content_counts_and_names_do_not(tmp_path, name, data, expected):
    path = tmp_path / name
    path.write_bytes(data)
    assert document(path).format is expected


def test_a_package_is_a_folder_with_a_manifest(tmp_path):
    path = package(tmp_path / "net", program())
    assert document(path).format is CORE_ML
    assert glance(path).format == "Core ML package"
    with pytest.raises(ModelFileError, match=r"is a folder.*Core ML package"):
        document(tmp_path)
    assert glance(tmp_path).path == path, "the one model in the folders inside"
    (tmp_path / "none").mkdir()
    with pytest.raises(ModelFileError, match="is a folder without a model"):
        resolve(tmp_path / "none")


def _pytorch(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")


def _pickle(path):
    path.write_bytes(b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x94.")


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "text")


def _hdf5(path):
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))


def _safetensors_like_a_pickle(path):
    # 640 bytes of header, which are written as pickles begin.
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(640)
    path.write_bytes(len(header).to_bytes(8, "little") + header + np.zeros(1, "<f4").tobytes())


def _safetensors(path):
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + np.zeros(1, "<f4").tobytes())


@pytest.mark.parametrize(
    ("name", "write", "message", "hint"),
    [
        ("net.pt", _pytorch, "is a PyTorch file", "torch.onnx.export"),
        ("net.pth", _pytorch, "is a PyTorch file", "torch.onnx.export"),
        ("net.pt2", _pytorch, "is a PyTorch file", "torch.onnx.export"),
        ("net.onnx", _pickle, "is a Python pickle", "run what its author wrote"),
        ("net.zip", _zip, "is a zip archive", "Unpack"),
        ("net.h5", _hdf5, "is an HDF5 file", "model.export"),
        ("net.safetensors", _safetensors, "no network", "ONNX"),
        ("net.safetensors", _safetensors_like_a_pickle, "no network", "ONNX"),
    ],
)
@pytest.mark.parametrize("ask", [document, described, resolve])
def test_what_is_known_but_not_opened(tmp_path, name, write, message, hint, ask):
    if ask is resolve and write in (_hdf5, _pytorch, _safetensors, _safetensors_like_a_pickle):
        pytest.skip("parameters may belong to a network that is assembled by hand")
    path = tmp_path / name
    write(path)
    with pytest.raises(ModelError) as error:
        ask(path)
    assert str(path) in error.value.message
    assert message in error.value.message
    assert hint in error.value.hint


def test_a_pickle_is_never_run(tmp_path):
    import os
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    path = tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ModelFileError, match="PyTorch"):
        resolve(path)
    assert not (tmp_path / "harm").exists()
