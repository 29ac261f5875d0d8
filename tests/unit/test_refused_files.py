"""What is not read is told as what it is, in one sentence, with the one way that helps."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from helpers.tiny_nets import tiny_classifier
from twinlens.engine.errors import TwinlensError
from twinlens.models.identify.kinds import Kind, glance
from twinlens.models.identify.resolve import identify

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 14243234\n"
HTML = "<!DOCTYPE html>\n<html lang=en><head><title>404 Not Found</title></head></html>"
XML = '<?xml version="1.0"?>\n'
NET = f'{XML}<net name="Model0" version="11">\n<layers/></net>'
PARAM = "7767517\n3 3\nInput            data             0 1 data 0=224\n"
SAVED = b"\x08\x01\x12\x02\x0a\x00"
NODE = b"\x0a\x05input\x12\x0bPlaceholder"
FROZEN = b"\x0a" + bytes([len(NODE)]) + NODE
MANIFEST = json.dumps(
    {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"id": {"path": "com.apple.CoreML/model.mlmodel"}},
        "rootModelIdentifier": "id",
    }
)
TFJS = {"format": "layers-model", "modelTopology": {}, "weightsManifest": []}
CLASS = b"\x80\x02ctorchvision.models.resnet\nResNet\nq\x00)\x81q\x01}q\x02b."

Files = dict[str, str | bytes]


def written(folder: Path, files: Files) -> Path:
    """Write files; gives the only one, or the folder of several."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder / next(iter(files)) if len(files) == 1 else folder


def zip_of(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def patched(data: bytes, local: int, listed: int, value: bytes, *, flag: bool = False) -> bytes:
    """An archive with other bytes in all heads of members."""
    changed = bytearray(data)
    for sign, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", listed)):
        at = -1
        while (at := changed.find(sign, at + 1)) >= 0:
            here = slice(at + place, at + place + len(value))
            old = changed[here]
            changed[here] = bytes(a | b for a, b in zip(old, value, strict=True)) if flag else value
    return bytes(changed)


def encrypted(files: Files) -> bytes:
    return patched(zip_of(files), 6, 8, b"\x01", flag=True)


def tar_of(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("model.onnx")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"abcde"))
    return buffer.getvalue()


def safetensors_of(*names: str) -> bytes:
    head = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": [8 * at, 8 * at + 8]}
        for at, name in enumerate(names)
    }
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8 * len(names))


def overlapping() -> bytes:
    """Many members in the list that are one in the file."""
    data = zip_of({"model.onnx": bytes(40 << 20)})
    start = data.index(b"PK\x01\x02")
    entry = data[start : data.index(b"PK\x05\x06")]
    entries = b"".join(entry.replace(b"model.onnx", b"m%04d.onnx" % n) for n in range(200))
    end = struct.pack("<HHHHIIH", 0, 0, 200, 200, len(entries), start, 0)
    return data[:start] + entries + b"PK\x05\x06" + end


def nested(depth: int) -> bytes:
    data = bytes(1 << 20)
    for level in range(depth):
        data = zip_of({f"{level}-{n}.zip": data for n in range(4)})
    return data


def legacy_model() -> bytes:
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    heads = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, info))
    return heads + CLASS + pickle.dumps([], 2)


LANGUAGE = safetensors_of("model.embed_tokens.weight", "lm_head.weight")
TORCHSCRIPT: Files = {"net/data.pkl": CLASS, "net/code/__torch__.py": "x", "net/version": "3\n"}
OLD_TORCHSCRIPT: Files = {"net/model.json": "{}", "net/code/net.py": "x", "net/version": "1\n"}
KERAS: Files = {"config.json": "{}", "metadata.json": "{}", "model.weights.h5": b"x" * 30}

# What it is, what is said of it, and of the way that helps.
CASES: dict[str, tuple[Files, str, str]] = {
    **{
        f"Git LFS, {ending}": ({f"net{ending}": POINTER}, "is a Git LFS pointer", "git lfs pull")
        for ending in (
            *(".onnx", ".tflite", ".mlmodel", ".h5", ".hdf5", ".keras", ".pt", ".pth", ".bin"),
            *(".safetensors", ".npz", ".pb", ".dat", ".zip", ".onnx.data"),
        )
    },
    "Git LFS, in a package": (
        {"n.mlpackage/Manifest.json": MANIFEST}
        | {"n.mlpackage/Data/com.apple.CoreML/model.mlmodel": POINTER},
        "model.mlmodel is a Git LFS pointer",
        "git lfs pull",
    ),
    "Git LFS, Teachable Machine's folder": (
        {"keras_model.h5": POINTER, "labels.txt": "0 a\n1 b\n"},
        "keras_model.h5 is a Git LFS pointer",
        "git lfs pull",
    ),
    "Git LFS, Hugging Face's folder": (
        {"model.safetensors": POINTER, "config.json": '{"id2label": {"0": "a"}}'},
        "model.safetensors is a Git LFS pointer",
        "git lfs pull",
    ),
    "Git LFS, Hugging Face's older folder": (
        {"pytorch_model.bin": POINTER, "config.json": "{}"},
        "pytorch_model.bin is a Git LFS pointer",
        "git lfs pull",
    ),
    "Git LFS, in an archive": (
        {"e.zip": zip_of({"model.onnx": POINTER, "labels.txt": "a\nb\n"})},
        "model.onnx is a Git LFS pointer",
        "git lfs pull",
    ),
    "Git LFS, Keras in an archive": (
        {"e.zip": zip_of({"keras_model.h5": POINTER, "labels.txt": "a\nb\n"})},
        "keras_model.h5 is a Git LFS pointer",
        "git lfs pull",
    ),
    "TorchScript": ({"net.pt": zip_of(TORCHSCRIPT)}, "is TorchScript", "torch.jit.load"),
    "TorchScript before 1.3": ({"n.pt": zip_of(OLD_TORCHSCRIPT)}, "is TorchScript", "torch.jit"),
    "torch.export": (
        {"net.pt2": zip_of({"net/archive_format": "pt2", "net/version": "0"})},
        "is a program of torch.export",
        "torch.export.load",
    ),
    "torch.export before 2.8": (
        {"net.pt2": zip_of({"serialized_exported_program.json": "{}", "version": "1"})},
        "is a program of torch.export",
        "torch.export.load",
    ),
    "whole model": (
        {"net.pt": zip_of({"archive/data.pkl": CLASS, "archive/version": "3\n"})},
        "holds a whole model, an object of torchvision.models.resnet.ResNet",
        "torch.onnx.export",
    ),
    "whole model before 1.6": (
        {"net.pth": legacy_model()},
        "holds a whole model, an object of torchvision.models.resnet.ResNet",
        "torch.onnx.export",
    ),
    "fastai": ({"export.pkl": CLASS}, "is a Python pickle", "torch.onnx.export"),
    "TensorFlow.js": ({"model.json": json.dumps(TFJS)}, "is a TensorFlow.js", "tensorflowjs_conv"),
    "TensorFlow.js, a folder": (
        {"model.json": json.dumps(TFJS), "weights.bin": bytes(64), "metadata.json": "{}"},
        "is a TensorFlow.js model",
        "tensorflowjs_converter",
    ),
    "TensorFlow.js, described at length": (
        {"model.json": json.dumps({"userDefinedMetadata": "x" * 6000} | TFJS)},
        "is a TensorFlow.js model",
        "tensorflowjs_converter",
    ),
    "SavedModel": ({"saved_model.pb": SAVED, "v/i.index": b"x"}, "SavedModel", "--saved-model"),
    "SavedModel in an archive": (
        {"e.zip": zip_of({"saved_model.pb": SAVED, "variables/variables.index": "x"})},
        "is a TensorFlow SavedModel",
        "--saved-model",
    ),
    "SavedModel, Teachable Machine's archive": (
        {"e.zip": zip_of({"converted/model.savedmodel/saved_model.pb": SAVED, "l.txt": "0 a\n"})},
        "is a TensorFlow SavedModel",
        "--saved-model",
    ),
    "TensorFlow checkpoint": (
        {"checkpoint": 'model_checkpoint_path: "m"\n', "m.ckpt.index": bytes(30)},
        "is part of a TensorFlow checkpoint",
        "tf2onnx.convert --checkpoint",
    ),
    "frozen graph": ({"g.pb": FROZEN}, "is a frozen TensorFlow graph", "--graphdef"),
    "frozen graph, called ONNX": ({"g.onnx": FROZEN}, "is a frozen TensorFlow graph", "--graphdef"),
    "frozen graph as text": (
        {"g.pbtxt": 'node {\n  name: "input"\n  op: "Placeholder"\n}\n'},
        "is a frozen TensorFlow graph",
        "--graphdef",
    ),
    "ORT": ({"n.ort": b"\x18\0\0\0ORTM" + bytes(40)}, "ONNX Runtime's own format", ".onnx file"),
    "ORT, called ONNX": ({"n.onnx": b"\x18\0\0\0ORTM" + bytes(40)}, "own format", ".onnx file"),
    "compiled Core ML": (
        {"n.mlmodelc/coremldata.bin": bytes(80), "n.mlmodelc/model.mil": "program"},
        "is a compiled Core ML model (.mlmodelc)",
        ".mlpackage",
    ),
    "compiled Core ML, an archive": (
        {"n.zip": zip_of({"n.mlmodelc/coremldata.bin": bytes(80), "n.mlmodelc/model.mil": "p"})},
        "is a compiled Core ML model (.mlmodelc)",
        ".mlpackage",
    ),
    "bomb": ({"b.zip": zip_of({"m.onnx": bytes(99 << 20)})}, "would unpack to", "Unpack it yours"),
    "bomb in bombs": ({"b.zip": nested(4)}, "is a zip archive without a model", "Unpack it"),
    "overlapping members": ({"b.zip": overlapping()}, "would unpack to 8,388,608,000", "yourself"),
    "many members": (
        {"b.zip": zip_of({"m.onnx": "x"} | {f"a/{n}": "" for n in range(2_000)})},
        "more than 1,000 members",
        "Unpack it yourself",
    ),
    "a size that lies, small": (
        {"b.zip": patched(zip_of({"m.onnx": bytes(9 << 20)}), 22, 24, struct.pack("<I", 1000))},
        "damaged",
        "Unpack it yourself",
    ),
    "a size that lies, large": (
        {"b.zip": patched(zip_of({"m.onnx": "abc"}), 22, 24, struct.pack("<I", 0xFFFFFF00))},
        "would unpack to",
        "Unpack it yourself",
    ),
    "encrypted": ({"s.zip": encrypted({"m.onnx": "abc", "l.txt": "a"})}, "is encrypted", "Unpack"),
    "encrypted by AES": (
        {"s.zip": patched(zip_of({"m.onnx": "abc"}, 0), 8, 10, struct.pack("<H", 99))},
        "is encrypted",
        "Unpack it yourself",
    ),
    "encrypted Keras": ({"n.keras": encrypted(KERAS)}, "config.json is encrypted", "password"),
    "nothing in an archive": ({"e.zip": zip_of({})}, "with nothing in it", "export it again"),
    "half an archive": ({"e.zip": zip_of({"m.onnx": b"abc" * 900})[:60]}, "damaged", "again"),
    "7-Zip, called zip": ({"e.zip": b"7z\xbc\xaf'\x1c" + bytes(60)}, "is a 7-Zip", "Unpack it"),
    "RAR, called zip": ({"e.zip": b"Rar!\x1a\x07\x01\0" + bytes(60)}, "is a RAR", "Unpack it"),
    "RAR 4": ({"e.rar": b"Rar!\x1a\x07\0" + bytes(60)}, "is a RAR archive", "Unpack it"),
    "tar.gz, called zip": ({"e.zip": tar_of("w:gz")}, "is compressed (gzip", "Unpack it"),
    "tar.bz2": ({"e.tar.bz2": tar_of("w:bz2")}, "is compressed (gzip, bzip2", "Unpack it"),
    "tar.xz": ({"e.tar.xz": tar_of("w:xz")}, "is compressed (gzip, bzip2, xz", "Unpack it"),
    "tar": ({"e.tar": tar_of("w")}, "is a tar archive", "Unpack it"),
    "gzip, called ONNX": ({"n.onnx": gzip.compress(b"abc")}, "is compressed (gzip", "Unpack it"),
    **{
        f"web page, {ending}": ({f"net{ending}": HTML}, "is a web page", "Download raw file")
        for ending in (".onnx", ".tflite", ".mlmodel", ".h5", ".keras", ".pth", ".zip", ".pb")
    },
    "web page, a mark first": ({"n.onnx": "\ufeff\n <html><body>"}, "is a web page", "/resolve/"),
    "error in XML": (
        {"n.onnx": f"{XML}<Error><Code>AccessDenied</Code></Error>"},
        "is a server's error message",
        "/resolve/",
    ),
    **{
        f"error in JSON, {ending}": (
            {f"net{ending}": '{"error": "Repository not found"}'},
            "is a server's error message",
            "/resolve/",
        )
        for ending in (".onnx", ".tflite", ".h5", ".safetensors", ".mlmodel", ".zip")
    },
    "words": ({"n.tflite": "Entry not found"}, "is text, not a model", "/resolve/"),
    **{
        f"empty, {ending}": ({f"net{ending}": b""}, "is empty", "Fetch it again")
        for ending in (".onnx", ".tflite", ".h5", ".pt", ".safetensors", ".zip", ".mlmodel")
    },
    "OpenVINO": ({"n.xml": NET}, "is an OpenVINO model", "ONNX"),
    "OpenVINO, both files": ({"n.xml": NET, "n.bin": bytes(400)}, "an OpenVINO model", "ONNX"),
    "ncnn": ({"n.param": PARAM}, "is an ncnn model", "format=onnx"),
    "ncnn, Ultralytics' folder": (
        {"model.ncnn.param": PARAM, "model.ncnn.bin": bytes(400), "metadata.yaml": "task: x\n"},
        "an ncnn model",
        "format=onnx",
    ),
    "MNN": ({"n.mnn": bytes(99)}, "is an MNN model", "ONNX"),
    "Caffe, the network": (
        {"d.prototxt": 'name: "C"\nlayer {\n  name: "data"\n  type: "Input"\n}\n'},
        "is of Caffe",
        "caffe2onnx.convert",
    ),
    "Caffe, the weights": ({"n.caffemodel": b"\x0a\x01C\xa2\x06\0"}, "is of Caffe", "caffe2onnx"),
    "TensorRT": ({"n.engine": b"ftrt" + bytes(200)}, "is a TensorRT engine", "format=onnx"),
    "TensorRT, Ultralytics'": (
        {"n.engine": struct.pack("<I", 20) + b'{"task": "classify"}' + b"ftrt" + bytes(99)},
        "is a TensorRT engine",
        "format=onnx",
    ),
    "GGUF": ({"n.gguf": b"GGUF" + bytes(60)}, "mostly a language model", "llama.cpp"),
    "language model": ({"n.safetensors": LANGUAGE}, "holds a language model", "classifier"),
    "adapter": (
        {"n.safetensors": safetensors_of("model.layers.0.q_proj.lora_A.weight")},
        "holds an adapter (LoRA)",
        "classifier",
    ),
    "Hugging Face's network": (
        {"n.safetensors": safetensors_of("vit.embeddings.cls_token", "classifier.weight")},
        "holds a network of Hugging Face's transformers",
        "optimum-cli export onnx",
    ),
    "Darknet": (
        {"y.weights": struct.pack("<iiiq", 0, 2, 5, 32_013_312) + np.zeros(9, "<f4").tobytes()},
        "is of Darknet",
        "readNetFromDarknet",
    ),
    "Darknet, the network": ({"y.cfg": "[net]\nwidth=416\n"}, "is of Darknet", "readNetFrom"),
    "Paddle": ({"inference.pdmodel": b"\x0a\x02\x08\0"}, "is of Paddle", "paddle2onnx"),
    "a chip's": ({"n.rknn": b"RKNN" + bytes(60)}, "is compiled for one kind of chip", "ONNX"),
    "MXNet": ({"n-0000.params": bytes(60)}, "is of MXNet", "mx.onnx.export_model"),
    "Flax": ({"flax_model.msgpack": b"\x81\xa6params\x80"}, "parameters of Flax", "optimum-cli"),
    "unfinished": ({"n.onnx.crdownload": bytes(range(99))}, "has not finished", "Let it finish"),
    "program": ({"n.onnx": b"\x7fELF\x02\x01" + bytes(60)}, "is a program", "another file"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "cache"))


def refused(path: Path) -> TwinlensError:
    """What is said where it is to be run."""
    try:
        problem = identify(path).problem
    except TwinlensError as error:
        return error
    assert problem is not None
    return problem


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_read_says_what_it_is_and_what_helps(name: str, tmp_path: Path) -> None:
    files, reason, way = CASES[name]
    (tmp_path / "e").mkdir()
    path = written(tmp_path / "e", files)
    error = refused(path)
    assert reason in error.message
    assert way in (error.hint or "")
    assert error.message.count("\n") == 0
    for word in ("unknown", "truncated"):
        assert word not in error.message
    seen = glance(path)  # the same while it hovers, where its first bytes tell it
    assert seen.kind is not Kind.NOTHING or (seen.reason and "takes" not in seen.reason)


def test_data_beside_a_model_may_be_a_pointer(tmp_path: Path) -> None:
    model = onnx.load(str(tiny_classifier(tmp_path / "net.onnx", 40)))
    path = tmp_path / "net.onnx"
    onnx.save(
        model, str(path), save_as_external_data=True, location="net.onnx.data", size_threshold=0
    )
    (tmp_path / "net.onnx.data").write_text(POINTER, encoding="utf-8")
    error = refused(path)
    assert "net.onnx.data is a Git LFS pointer" in error.message
    assert "git lfs pull" in (error.hint or "")


def test_a_folder_called_code_does_not_make_a_program(tmp_path: Path) -> None:
    tiny_classifier(tmp_path / "net.onnx", 4)
    data = zip_of({"p/model.onnx": (tmp_path / "net.onnx").read_bytes(), "p/code/train.py": "x"})
    path = written(tmp_path / "z", {"project.zip": data})
    assert identify(path).problem is None


def test_one_model_in_the_folders_of_a_project_is_that_model(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "models"
    inner.mkdir(parents=True)
    tiny_classifier(inner / "net.onnx", 4)
    (tmp_path / "project" / "README.md").write_text("x", encoding="utf-8")
    assert glance(tmp_path / "project").path == inner / "net.onnx"
    other = tmp_path / "project" / "older"
    other.mkdir()
    tiny_classifier(other / "first.onnx", 4)
    seen = glance(tmp_path / "project")
    assert "has models in 2 folders" in seen.reason
    assert "first.onnx, net.onnx" in seen.hint


def test_parameters_are_not_taken_for_what_lies_beside_them(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"conv{number}.bin").write_bytes(bytes(16))
    assert glance(tmp_path).kind is Kind.PARAMETERS


def test_looking_at_a_bomb_takes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is unpacked while something hovers."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", never)
    makers: dict[str, Callable[[], bytes]] = {
        "overlapping": overlapping,
        "nested": lambda: nested(3),
        "plain": lambda: zip_of({"model.onnx": "abc"}),
    }
    for name, make in makers.items():
        monkeypatch.undo()
        data = make()
        monkeypatch.setattr(zipfile.ZipFile, "open", never)
        path = written(tmp_path / name, {f"{name}.zip": data})
        glance(path)
        assert list(path.parent.iterdir()) == [path]
