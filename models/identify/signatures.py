"""How a file starts: what each signature looks like; which of them counts says ``kinds``.

Readers are imported when a file starts as theirs do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from twinlens.engine.links import followed
from twinlens.engine.params import signs

_HEAD = 4096
_DESCRIPTION = 1 << 20
# Fields of Core ML's Model message that hold the network itself begin here; ONNX has none so high.
_CORE_ML_FIRST_TYPE = 200
_CORE_ML_PIPELINES = {200, 201, 202}
_VERSION = 1  # of the specification
_ONNX_GRAPH, _ONNX_OPSETS = 7, 8
_MOST_FIELDS = 10_000
_TFJS_GRAPH = re.compile(rb'graph-model|"modelTopology"\s*:\s*\{\s*"node"')

_PICTURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",  # TIFF, both orders of bytes
    b"MM\0*",
)
_VIDEOS = (
    b"\x1aE\xdf\xa3",  # Matroska and WebM: EBML
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG video
    b"OggS",
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF
)
# Brands of ISO base media files that are pictures, HEIF or AVIF, single ones and sequences.
_STILL_BRANDS = (
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    *(b"mif1", b"msf1", b"avif", b"avis"),
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_TRANSPORT_PACKET = 188


class Start:
    """A file's beginning, and what of it is looked at only when a signature asks.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.suffix = path.suffix.lower()
        self.path = path = followed(path)
        with path.open("rb") as file:
            self.head = file.read(_HEAD)

    @cached_property
    def text(self) -> str:
        """The beginning of a text; empty where it is none."""
        return _text(self) if is_text(self) else ""

    @cached_property
    def members(self) -> list[str] | None:
        """Names in a zip archive; None where it is none that can be read."""
        if not is_zip(self):
            return None
        from twinlens.engine.params.zipped import DAMAGE, opened_zip

        try:
            with opened_zip(self.path) as archive:
                return archive.namelist()
        except DAMAGE:
            return None

    @cached_property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    @cached_property
    def fields(self) -> frozenset[int]:
        """Numbers of the outermost protobuf fields, as far as it is a protobuf."""
        with self.path.open("rb") as file:
            return frozenset(_fields(file, self.size))


def is_tflite(start: Start) -> bool:
    """TensorFlow Lite; a video's brand may stand at the same place."""
    return start.head[4:8] == b"TFL3"


def is_core_ml(start: Start) -> bool:
    """A Core ML model in one file."""
    typed = _VERSION in start.fields and any(n >= _CORE_ML_FIRST_TYPE for n in start.fields)
    return typed and not start.fields & {_ONNX_GRAPH, _ONNX_OPSETS}


def is_onnx(start: Start) -> bool:
    """ONNX."""
    return {_ONNX_GRAPH, _ONNX_OPSETS} <= start.fields


def is_ort(start: Start) -> bool:
    """ONNX Runtime's own format, a FlatBuffer."""
    return start.head[4:8] == b"ORTM"


def is_tensorflow(start: Start) -> bool:
    """A TensorFlow graph: a SavedModel's, or a frozen one."""
    return start.suffix in (".pb", ".pbtxt") and not is_onnx(start) and 1 in start.fields


def is_tfjs(start: Start) -> bool:
    """TensorFlow.js' ``model.json``."""
    head = start.head.lstrip()[:1]
    if start.suffix != ".json" or head != b"{":
        return False
    with start.path.open("rb") as file:  # a long description may stand in front
        text = file.read(_DESCRIPTION)
    words = (b"modelTopology", b"weightsManifest", b"layers-model", b"graph-model")
    return any(word in text for word in words)


def is_tfjs_graph(start: Start) -> bool:
    """TensorFlow.js' ``model.json`` of operators, as Custom Vision and TensorFlow Hub give it."""
    operators = b"graph-model" in start.head or re.search(
        rb'"modelTopology"\s*:\s*{\s*"node"', start.head
    )
    return is_tfjs(start) and bool(operators)


def is_core_ml_pipeline(start: Start) -> bool:
    """A Core ML model of several, as Create ML writes it around Apple's feature extractor."""
    return is_core_ml(start) and bool(start.fields & _CORE_ML_PIPELINES)


def is_hdf5(start: Start) -> bool:
    """HDF5."""
    return start.head.startswith(b"\x89HDF\r\n")


def is_zip(start: Start) -> bool:
    """A zip archive."""
    return start.head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_damaged_zip(start: Start) -> bool:
    """A zip archive whose list of members cannot be read."""
    return is_zip(start) and start.members is None


def is_compiled_zip(start: Start) -> bool:
    """A zip archive of a compiled Core ML model."""
    return any(name.endswith(".mlmodelc/coremldata.bin") for name in start.members or ())


def is_keras(start: Start) -> bool:
    """A Keras model with its network, as HDF5 or zip."""
    return (is_hdf5(start) or is_zip(start)) and has_architecture(start.path)


def has_architecture(path: Path) -> bool:
    """Whether a file of Keras' endings holds a network, not only parameters."""
    from twinlens.engine.formats.keras import file

    return file.has_architecture(path)


def is_safetensors(start: Start) -> bool:
    """Parameters as safetensors."""
    return signs.is_safetensors(start.head[:16], start.size)


def is_npz(start: Start) -> bool:
    """A zip archive with NumPy's arrays."""
    if not is_zip(start):
        return False
    from twinlens.engine.params.npz import has_arrays

    return has_arrays(start.path)


def is_pytorch(start: Start) -> bool:
    """PyTorch's state dictionary or program, of any version; damaged ones included."""
    if not is_zip(start):
        return signs.is_pytorch(start.head[: signs.HEAD])

    if start.members is None:
        return start.suffix in (".pt", ".pth", ".bin", ".ckpt", ".pt2", ".ptl")

    from twinlens.engine.params.pytorch import is_pytorch_zip

    return is_pytorch_zip(start.members)


def is_pickle(start: Start) -> bool:
    """A pickle of any other program."""
    return signs.is_pickle(start.head)


def is_picture(start: Start) -> bool:
    """A picture that is read."""
    head = start.head
    if head[:2] == b"BM":  # two letters are not enough
        return len(head) >= 26 and head[6:10] == b"\0\0\0\0"
    if head[4:8] == b"ftyp":
        return head[8:12] in _STILL_BRANDS
    return head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def is_video(start: Start) -> bool:
    """A video."""
    head = start.head
    if head[4:8] in _BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in _STILL_BRANDS
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    if head[:1] == b"G" and head[_TRANSPORT_PACKET : _TRANSPORT_PACKET + 1] == b"G":
        return True  # an MPEG transport stream: every packet starts so
    return head.startswith(_VIDEOS)


def _text(start: Start) -> str:
    wide = start.head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return start.head.decode("utf-16" if wide else "utf-8-sig", "ignore")


def is_text(start: Start) -> bool:
    """Whether the bytes are lines of UTF-8, or of UTF-16 with its mark; the last may be cut."""
    head = start.head
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        wide = head[: len(head) // 2 * 2].decode("utf-16", "ignore")
        return bool(wide.strip()) and all(c.isprintable() or c in "\t\r\n" for c in wide)
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8-sig")
    return bool(text.strip()) and not any(ord(c) < 32 and c not in "\t\r\n" for c in text)


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
