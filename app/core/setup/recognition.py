"""What a dropped file or folder is, by its content, and what will be done with it.

Cheap enough for every move of the pointer: names in a folder and a file's first bytes are looked
at, and of a protobuf the keys of its outermost fields. Whether it holds, loading it will show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats import peek
from twinlens.engine.params import holds_parameters


class Kind(Enum):
    """What Twinlens takes."""

    MODEL = "model"
    PARAMETERS = "parameters"
    PICTURE = "picture"
    VIDEO = "video"
    PICTURES = "folder of pictures"
    LABELS = "labels"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Dropped:
    """A dropped path.

    Attributes:
        path: the file or folder that is meant: of a folder with one model in it, that model.
        kind: what it is.
        says: what will be done with it, or why nothing will.
        hint: what to drop instead, where nothing will be done.
    """

    path: Path
    kind: Kind
    says: str
    hint: str = ""


TAKEN = (
    "Drop an ONNX, TensorFlow Lite or Core ML model, a folder of parameters, a label file, a "
    "picture, a video or a folder of pictures."
)

MODEL_SUFFIXES = (".onnx", ".tflite", ".mlmodel", ".mlpackage")
_LABEL_SUFFIXES = (".txt", ".names", ".labels", ".csv", ".tsv", "")
_RAW_SUFFIXES = (".bin", ".dat")
_HEAD = 4096
_MOST_NAMES = 20_000
_TFLITE = b"TFL3"
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
# ISO base media files whose brand says that they are still pictures; OpenCV reads none of them.
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_TRANSPORT_PACKET = 188


def recognise(path: Path) -> Dropped:
    """Tell what a path is."""
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except ModelFileError as error:  # of a kind that is known, but not opened
        return Dropped(path, Kind.NOTHING, error.message.replace(str(path), path.name), error.hint)
    except OSError as error:
        said = f"{path.name} cannot be read ({error.strerror or error})"
        return Dropped(path, Kind.NOTHING, said, "Check its rights, or choose another one.")


def is_picture(path: Path) -> bool:
    """Whether a file starts as a picture does; False where it cannot be read."""
    try:
        return _picture(_head(path)) if path.is_file() else False
    except OSError:
        return False


def _of_file(path: Path) -> Dropped:
    if not path.is_file():
        return _nothing(path, f"{path.name} is not there")
    head = _head(path)
    if not head:
        return _nothing(path, f"{path.name} is empty")
    if _picture(head):
        return Dropped(path, Kind.PICTURE, f"Show {path.name}")
    if _video(head):
        return Dropped(path, Kind.VIDEO, f"Play {path.name}")
    suffix = path.suffix.lower()
    by_name = suffix in MODEL_SUFFIXES
    # A brand may stand at the same place as TensorFlow Lite's sign, so videos were asked first.
    if head[4:8] == _TFLITE or by_name:
        return _model(path)
    if holds_parameters(path):
        return Dropped(path, Kind.PARAMETERS, f"Use the parameters in {path.name}")
    if suffix in _LABEL_SUFFIXES and _is_text(head):
        return Dropped(path, Kind.LABELS, f"Name the classes by {path.name}")
    if peek(path) is not None:
        return _model(path)
    if suffix in _RAW_SUFFIXES:
        return _nothing(path, f"{path.name} is one tensor", "Drop the folder with all of them.")
    if head[4:8] == b"ftyp":
        return _nothing(path, f"{path.name} is a HEIF or AVIF picture", "Save it as JPEG or PNG.")
    return _nothing(path, f"{path.name} is nothing that Twinlens takes")


def _of_folder(path: Path) -> Dropped:
    if (path / "Manifest.json").is_file():
        return _model(path)
    names = list(islice(_names(path), _MOST_NAMES))
    suffixes = [name.suffix.lower() for name in names]
    if any(suffix in _RAW_SUFFIXES for suffix in suffixes):
        return Dropped(path, Kind.PARAMETERS, f"Use the parameters in {path.name}")
    models = [n for n, s in zip(names, suffixes, strict=True) if s in MODEL_SUFFIXES]
    if len(models) == 1:
        return Dropped(models[0], Kind.MODEL, f"Use {models[0].name} in {path.name} as the model")
    if models:
        said = f"{path.name} has {len(models)} models"
        return _nothing(path, said, f"Drop one of them: {_few(models)}.")
    pictures = sum(suffix in PICTURE_SUFFIXES for suffix in suffixes)
    if pictures:
        said = (
            f"Show the {pictures} pictures in {path.name}"
            if pictures > 1
            else (f"Show the picture in {path.name}")
        )
        return Dropped(path, Kind.PICTURES, said)
    return _nothing(path, f"{path.name} has no model, parameters or pictures in it")


PICTURE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"])
"""Endings of pictures, by which a folder's are told; each is known by its content when read."""


def _names(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _few(paths: list[Path]) -> str:
    shown = ", ".join(sorted(path.name for path in paths)[:3])
    return shown if len(paths) <= 3 else f"{shown} …"


def _model(path: Path) -> Dropped:
    form = peek(path)
    told = f" ({form.value})" if form is not None else ""
    return Dropped(path, Kind.MODEL, f"Use {path.name} as the model{told}")


def _nothing(path: Path, says: str, hint: str = TAKEN) -> Dropped:
    return Dropped(path, Kind.NOTHING, says, hint)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _picture(head: bytes) -> bool:
    if head[:2] == b"BM":  # two letters are not enough
        return len(head) >= 26 and head[6:10] == b"\0\0\0\0"
    return head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _video(head: bytes) -> bool:
    if head[4:8] in _BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in _STILL_BRANDS
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    if head[:1] == b"G" and head[_TRANSPORT_PACKET : _TRANSPORT_PACKET + 1] == b"G":
        return True  # an MPEG transport stream: every packet starts so
    return head.startswith(_VIDEOS)


def _is_text(head: bytes) -> bool:
    """Whether bytes are lines of UTF-8; the last letter may be cut."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8-sig")
    return bool(text.strip()) and not any(ord(c) < 32 and c not in "\t\r\n" for c in text)
