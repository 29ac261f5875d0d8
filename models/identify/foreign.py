"""Files that are not read, each told as what it is, with the one way that helps.

Other programs' models, archives that are no zip, what a download left instead of a file: a row
each, told by content, and by name only where the content does not say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from twinlens.models.identify.signatures import Start

Fits = Callable[[Start], bool]


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is not read.

    Attributes:
        format: its name.
        fits: whether a file is of this kind.
        refusal: what it is, behind the file's name.
        hint: what helps.
        certain: whether the content alone tells it, so that it counts whatever the file is called.
    """

    format: str
    fits: Fits
    refusal: str
    hint: str
    certain: bool = True


MODELS = frozenset(
    [
        *(".onnx", ".tflite", ".lite", ".mlmodel", ".h5", ".hdf5", ".keras", ".pt", ".pth", ".pt2"),
        *(".safetensors", ".npz", ".zip", ".pb", ".bin", ".ckpt", ".ort", ".engine", ".data"),
    ]
)
"""Endings of files that hold no text."""


def starts(*signs: bytes) -> Fits:
    """Whether a file starts with one of these."""
    return lambda start: start.head.startswith(signs)


def ends(*suffixes: str) -> Fits:
    """Whether a file is called so."""
    return lambda start: start.path.name.lower().endswith(suffixes)


_AGAIN = (
    "The download got this instead of the file. Fetch the file itself: on GitHub by “Download raw "
    "file”, on Hugging Face by an address with /resolve/."
)
_SOURCE = "Give the ONNX or TensorFlow Lite file that it was made from."
_UNPACK = "Unpack it, and open the model or the folder that is inside."


def _tar(start: Start) -> bool:
    # PyTorch before 0.2 wrote such, and these members.
    first = start.head[:100].split(b"\0")[0].removeprefix(b"./").rstrip(b"/")
    old = first in (b"sys_info", b"pickle", b"storages", b"tensors")
    return start.head[257:262] == b"ustar" and not old


def _html(start: Start) -> bool:
    text = start.text.lstrip("\ufeff \t\r\n").lower()
    return text.startswith(("<!doctype html", "<html", "<head", "<body", "<script"))


def _xml(start: Start, word: str) -> bool:
    text = start.text.lstrip("\ufeff \t\r\n")
    return text.startswith("<") and re.search(rf"<{word}[\s>]", text[:2000]) is not None


def _message(start: Start) -> bool:
    text = start.text.strip()
    named = start.path.suffix.lower() in MODELS
    keys = re.search(r"^\{\s*\"(error|message|errors|detail|code|statusCode|status)\"\s*:", text)
    return named and (keys is not None or _xml(start, "Error"))


def _words(start: Start) -> bool:
    return start.path.suffix.lower() in MODELS and bool(start.text.strip())


def _caffe2(start: Start) -> bool:
    return start.path.name.lower() in ("predict_net.pb", "init_net.pb")


def _frozen_text(start: Start) -> bool:
    text = start.text
    return start.suffix == ".pbtxt" and re.search(r"^node\s*\{", text, re.M) is not None


def _frozen(start: Start) -> bool:
    """GraphDef: its first field is a node, which starts with its name and its operator."""
    if start.fields - {1, 2, 3, 4} or start.suffix == ".pb" or start.head[:1] != b"\x0a":
        return False
    found = re.match(rb"\x0a[\x00-\xff]{1,3}?\x0a(.)([\w./-]+)\x12(.)([A-Z]\w+)", start.head, re.S)
    return found is not None and len(found[2]) == found[1][0] and len(found[4]) >= found[3][0]


def _prototxt(start: Start) -> bool:
    text = start.text
    layers = re.search(r"^\s*(layers?|input|input_dim|name)\s*[:{]", text, re.M) is not None
    return start.suffix == ".prototxt" and layers


def _ncnn(start: Start) -> bool:
    first = start.text.partition("\n")[0].strip()
    return first == "7767517" or start.path.name.lower().endswith(".param.bin")


def _weights_of(ending: str) -> Fits:
    return lambda start: start.suffix == ".bin" and start.path.with_suffix(ending).is_file()


def _darknet(start: Start) -> bool:
    head = start.head
    numbers = [int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8)]
    return start.suffix == ".weights" and len(head) >= 16 and max(numbers) < 1000


def _darknet_text(start: Start) -> bool:
    text = start.text
    return start.suffix == ".cfg" and re.search(r"^\[(net|network)\]", text, re.M) is not None


def _tensorrt(start: Start) -> bool:
    # Ultralytics writes the length of a description, and that, in front.
    inside = start.suffix in (".engine", ".trt", ".plan") and b"ftrt" in start.head
    return start.head[:4] in (b"ftrt", b"ptrt") or inside


_CHIPS = (
    ".rknn",
    ".kmodel",
    ".hef",
    ".dlc",
    ".om",
    ".nb",
    ".tmfile",
    ".xmodel",
    ".blob",
    ".axmodel",
)

FOREIGN: tuple[Foreign, ...] = (
    Foreign(
        "Git LFS pointer",
        starts(b"version https://git-lfs"),
        " is a Git LFS pointer, not the file itself",
        "Fetch the file: run `git lfs pull` in its folder.",
    ),
    Foreign("7-Zip", starts(b"7z\xbc\xaf'\x1c"), ": is a 7-Zip archive, not opened here", _UNPACK),
    Foreign("RAR", starts(b"Rar!\x1a\x07"), ": is a RAR archive, not opened here", _UNPACK),
    Foreign(
        "compressed",
        starts(b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"),
        ": is compressed (gzip, bzip2, xz or zstd), mostly a tar archive, not opened here",
        _UNPACK,
    ),
    Foreign("tar", _tar, ": is a tar archive, not opened here", _UNPACK),
    Foreign(
        "language model",
        starts(b"GGUF", b"lmgg", b"fmgg", b"tjgg"),
        ": is a model for llama.cpp (GGUF), mostly a language model, not a classifier of pictures",
        "Ollama or llama.cpp run it; here give a classifier as ONNX, TensorFlow Lite or Core ML.",
    ),
    Foreign(
        "TensorRT",
        _tensorrt,
        ": is a TensorRT engine, compiled for one kind of GPU and one version of TensorRT",
        "Use the ONNX file that it was built from; Ultralytics: yolo export format=onnx.",
    ),
    Foreign(
        "program",
        starts(b"\x7fELF", b"MZ\x90\0", b"\xcf\xfa\xed\xfe", b"#!/"),
        ": is a program, not a model",
        "Choose another file.",
    ),
    Foreign("PDF", starts(b"%PDF"), ": is a PDF document, not a model", "Choose another file."),
    Foreign("web page", _html, ": is a web page, not a model", _AGAIN),
    Foreign("error message", _message, ": is a server's error message, not a model", _AGAIN),
    Foreign(
        "OpenVINO",
        lambda start: start.suffix == ".xml" and _xml(start, "net"),
        ": is an OpenVINO model, which is not read",
        f"OpenVINO writes no other format. {_SOURCE}",
    ),
    Foreign(
        "OpenVINO",
        _weights_of(".xml"),
        ": is the weights of an OpenVINO model, which is not read",
        f"OpenVINO writes no other format. {_SOURCE}",
    ),
    Foreign(
        "PMML",
        lambda start: start.suffix == ".pmml" or _xml(start, "PMML"),
        ": is PMML, which describes no network for pictures",
        "Export the network as ONNX.",
    ),
    Foreign(
        "ncnn",
        _ncnn,
        ": is an ncnn model, which is not read",
        f"ncnn writes no other format. {_SOURCE} Ultralytics: yolo export format=onnx.",
    ),
    Foreign(
        "ncnn",
        _weights_of(".param"),
        ": is the weights of an ncnn model, which is not read",
        f"ncnn writes no other format. {_SOURCE} Ultralytics: yolo export format=onnx.",
    ),
    Foreign(
        "Caffe",
        lambda start: _prototxt(start) or start.suffix == ".caffemodel",
        ": is of Caffe, which is not read",
        "Convert it: python -m caffe2onnx.convert --prototxt deploy.prototxt --caffemodel "
        "net.caffemodel --onnx model.onnx (pip install caffe2onnx).",
    ),
    Foreign(
        "Caffe2",
        _caffe2,
        ": is of Caffe2, which is not read",
        "Convert it with an older PyTorch: convert-caffe2-to-onnx predict_net.pb --caffe2-init-net "
        "init_net.pb --value-info '{\"data\": [1, [1, 3, 224, 224]]}' -o model.onnx.",
    ),
    Foreign(
        "Darknet",
        lambda start: _darknet(start) or _darknet_text(start),
        ": is of Darknet (YOLO), which is not read; most such are detectors",
        "A classifier of Darknet: OpenCV's cv2.dnn.readNetFromDarknet runs it; here give ONNX.",
    ),
    Foreign(
        "MNN",
        ends(".mnn"),
        ": is an MNN model, which is not read",
        f"MNNConvert writes MNN only. {_SOURCE}",
        certain=False,
    ),
    Foreign(
        "Paddle",
        ends(".pdmodel", ".pdiparams", ".pdparams"),
        ": is of Paddle, which is not read",
        "Convert it: paddle2onnx --model_dir FOLDER --model_filename inference.pdmodel "
        "--params_filename inference.pdiparams --save_file model.onnx (pip install paddle2onnx).",
        certain=False,
    ),
    Foreign(
        "MXNet",
        ends(".params", "-symbol.json"),
        ": is of MXNet, which is not read",
        "Convert it in MXNet: mx.onnx.export_model('net-symbol.json', 'net-0000.params', "
        "[(1, 3, 224, 224)], [numpy.float32], 'model.onnx').",
        certain=False,
    ),
    Foreign(
        "Flax",
        ends(".msgpack"),
        ": holds parameters of Flax, but no network",
        "Convert it: AutoModelForImageClassification.from_pretrained(FOLDER, from_flax=True)"
        ".save_pretrained('torch'), then optimum-cli export onnx --model torch onnx.",
        certain=False,
    ),
    Foreign(
        "TensorFlow checkpoint",
        lambda start: (
            re.search(r"\.(index|meta|data-\d{5}-of-\d{5})$", start.path.name) is not None
            or (start.path.name == "checkpoint" and b"model_checkpoint_path" in start.head)
        ),
        ": is part of a TensorFlow checkpoint, which holds parameters but no network to read",
        "Convert it: python -m tf2onnx.convert --checkpoint NAME.meta --inputs input:0 --outputs "
        "output:0 --output model.onnx (pip install tf2onnx tensorflow).",
        certain=False,
    ),
    Foreign(
        "TensorFlow",
        lambda start: _frozen_text(start) or _frozen(start),
        ": is a frozen TensorFlow graph, which is not read",
        "Convert it: python -m tf2onnx.convert --graphdef FILE.pb --inputs input:0 "
        "--outputs output:0 --output model.onnx (pip install tf2onnx tensorflow).",
    ),
    Foreign(
        "for a chip",
        ends(*_CHIPS),
        ": is compiled for one kind of chip",
        _SOURCE,
        certain=False,
    ),
    Foreign(
        "unfinished download",
        ends(".crdownload", ".part", ".download", ".partial", ".opdownload"),
        ": is a download that has not finished",
        "Let it finish, or fetch it again.",
        certain=False,
    ),
)
"""In the order in which they are tried."""

TEXT = Foreign("text", _words, ": is text, not a model", _AGAIN)
"""Any other text under the name of a model."""

# What lies beside a network in a folder, and tells which program it is of.
BESIDE = frozenset(
    [
        *(".xml", ".param", ".caffemodel", ".prototxt", ".cfg", ".weights", ".pdmodel", ".mnn"),
        *(".pdiparams", ".engine", ".gguf", ".params", ".index", ".meta", ".msgpack", ".pb"),
        *(*MODELS, *_CHIPS, ".dat"),
    ]
)
"""Endings of files in a folder that are looked at where it holds nothing that is read."""
