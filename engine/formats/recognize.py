"""What kind of model a file or folder is, by its content; names and suffixes say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from twinlens.engine.errors import ModelFileError


class Format(Enum):
    """A kind of model file; the value is its name for display."""

    ONNX = "ONNX"
    TFLITE = "TensorFlow Lite"
    CORE_ML = "Core ML"
    CORE_ML_PACKAGE = "Core ML package"


_TFLITE_PLACE = slice(4, 8)
_TFLITE = b"TFL3"
_HEAD = 64
_PYTORCH_HINT = (
    "A .pt or .pth file is a pickle: to open it is to run what its author wrote into it, so it "
    "is not opened. In Python, where you trust the file, export the network: "
    "torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'model.onnx', dynamo=True)."
)
# Fields of Core ML's Model message that hold the network itself begin here; ONNX has none so high.
_CORE_ML_FIRST_TYPE = 200
_VERSION = 1  # of the specification
_ONNX_GRAPH, _ONNX_OPSETS = 7, 8
_MOST_FIELDS = 10_000


def recognize(path: Path) -> Format:
    """Tell what a path holds.

    Args:
        path: a file, or the folder of a Core ML package.

    Returns:
        The format. A file that is nothing known counts as ONNX, whose reader says what is wrong
        with it.

    Raises:
        ModelFileError: it cannot be read, or is of a kind that is known but not opened.
    """
    return peek(path) or Format.ONNX


def peek(path: Path) -> Format | None:
    """Tell what a path holds, None where it is no model; else as ``recognize``.

    Reads the first bytes, and the keys of a protobuf's outermost fields.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            _refuse(path, head)
            if head[_TFLITE_PLACE] == _TFLITE:
                return Format.TFLITE
            file.seek(0)
            numbers = set(_fields(file, path.stat().st_size))
    except OSError as why:
        raise ModelFileError(f"{path} cannot be read: {why.strerror or why}") from why
    typed = _VERSION in numbers and any(n >= _CORE_ML_FIRST_TYPE for n in numbers)
    if typed and not numbers & {_ONNX_GRAPH, _ONNX_OPSETS}:
        return Format.CORE_ML
    return Format.ONNX if {_ONNX_GRAPH, _ONNX_OPSETS} <= numbers else None


def _of_folder(path: Path) -> Format:
    manifest = path / "Manifest.json"
    if not manifest.is_file():
        raise ModelFileError(
            f"{path}: is a folder, expected a model file or a Core ML package",
            hint="A package has a Manifest.json.",
        )
    return Format.CORE_ML_PACKAGE


def _refuse(path: Path, head: bytes) -> None:
    """Say of what is well known, but not opened, why that is so."""
    suffix = path.suffix.lower()
    zipped = head.startswith(b"PK\x03\x04")
    # A header of 640 bytes makes safetensors start as pickles do.
    starts = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    pickled = starts and not _is_safetensors(head)
    if pickled or (zipped and suffix in (".pt", ".pth", ".bin", ".ckpt", ".pt2", ".ptl")):
        raise ModelFileError(f"{path}: is a PyTorch file, expected ONNX", hint=_PYTORCH_HINT)
    if zipped:
        raise ModelFileError(
            f"{path}: is a zip archive, expected a model file",
            hint="Unpack it, and open what is inside.",
        )
    if head.startswith(b"\x89HDF\r\n"):
        raise ModelFileError(
            f"{path}: is an HDF5 file, which holds parameters, not a network that we can read",
            hint="Export the Keras model: model.export('model.onnx', format='onnx').",
        )
    if _is_safetensors(head):
        raise ModelFileError(
            f"{path}: is a safetensors file, which holds parameters, but no network",
            hint="Give the network as ONNX, TensorFlow Lite or Core ML.",
        )


def _is_safetensors(head: bytes) -> bool:
    return head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") < 1 << 28


def _fields(file: BinaryIO, size: int) -> Iterator[int]:
    """Numbers of the outermost protobuf fields, their contents skipped; ends where it is none.

    The wire format is described at https://protobuf.dev/programming-guides/encoding/.
    """
    for _ in range(_MOST_FIELDS):
        key = _varint(file)
        if key is None:
            return
        number, wire = key >> 3, key & 7
        if wire == 0:
            if _varint(file) is None:
                return
        elif wire in (1, 5):
            file.seek(8 if wire == 1 else 4, 1)
        elif wire == 2:
            length = _varint(file)
            if length is None or file.tell() + length > size:
                return
            file.seek(length, 1)
        else:
            return
        yield number


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
