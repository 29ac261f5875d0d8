"""PyTorch's state dictionaries (``.pt``, ``.pth``, ``.bin``), without PyTorch.

Since version 1.6 a file is a zip archive: ``data.pkl`` says what there is, and each storage is a
member. Before, one pickle followed the other (a magic number, a version, the machine's sizes, what
there is, names of storages), and the storages followed them; before 0.2, these were members of a
tar archive. Storages are little-endian, unless the archive's ``byteorder`` says otherwise.

What is read is told in `pickles`: tensors and plain containers, and no name beside theirs.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipInfo

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.layers import Array
from twinlens.engine.params.parameters import MAX_BYTES, MAX_TENSORS, Entry, Parameters
from twinlens.engine.params.pickles import MAX_BYTES as MAX_PICKLE
from twinlens.engine.params.pickles import PickleError, RefusedNameError, printable, read_pickle
from twinlens.engine.params.signs import HEAD, PICKLE_MAGIC, TAR, TAR_PLACE
from twinlens.engine.params.statedict import find_state, unwrapped
from twinlens.engine.params.torchnames import (
    NAMES,
    Storage,
    StorageType,
    Tensor,
    ascii_of,
    recall_storage,
    sizes,
    tensor,
)
from twinlens.engine.params.zipped import DAMAGE, member_start, opened_zip, read_member

_PROTOCOL = 1001
_MAX_STORAGES = 4 * MAX_TENSORS

_SAVE = "torch.save(model.state_dict(), 'weights.pth')"


def refuse_pickle(path: Path) -> Parameters:
    """Refuse a pickle that PyTorch did not write."""
    raise ModelFileError(
        f"{path}: is a Python pickle that torch.save did not write, which is not opened because "
        "it can run any code",
        hint="Save arrays as safetensors: safetensors.numpy.save_file(arrays, path).",
    )


def is_pytorch_zip(names: Iterable[str]) -> bool:
    """Whether an archive with members of these names is PyTorch's: parameters or a program."""
    names = list(names)
    return bool(_pickles(names)) or _program(names) is not None


def open_pytorch(path: Path) -> Parameters:
    """Read the tensors of a state dictionary, alone or in a training program's checkpoint.

    Where there are several, the one averaged over time is preferred; the names of wrappers
    (``module.``, ``model.``, ``_orig_mod.`` …) in front of most names are left out.

    Raises:
        ModelFileError: damaged; a whole model, or a program as TorchScript, which are refused with
            the way to export them; or it names what is no tensor or plain container.
    """
    try:
        with path.open("rb") as file:
            start = file.read(HEAD)
            if start.startswith(b"PK"):
                opened = _zip(path, file)
            elif start[TAR_PLACE:HEAD] == TAR:
                opened = _tar(file)
            else:
                opened = _legacy(file)
    except RefusedNameError as why:
        raise _refused(path, why) from why
    except PickleError as why:
        raise ModelFileError(f"{path}: cannot be read as PyTorch's: {why}") from why
    except DAMAGE as why:
        raise ModelFileError(f"{path}: cannot be read as PyTorch's ({why})") from why
    return _parameters(path, opened)


@dataclass(frozen=True)
class _Place:
    """Where a storage's bytes are; `packed` where they have to be unpacked first."""

    start: int
    nbytes: int
    packed: ZipInfo | None = None


@dataclass
class _Opened:
    """What a file holds, and where its storages are."""

    value: object
    places: Mapping[str, _Place]
    swapped: bool = False
    unpacked: dict[str, bytes] = field(default_factory=dict)


def _parameters(path: Path, opened: _Opened) -> Parameters:
    value, opened.value = opened.value, None
    where, stored = find_state(value)
    if not stored:
        what = "one tensor without a name" if isinstance(value, Tensor) else "no tensors"
        raise ModelFileError(
            f"{path}: has {what}, expected a state dictionary", hint=f"In PyTorch: {_SAVE}"
        )
    tensors = {name: stored[place] for name, place in unwrapped(stored).items()}
    for name, one in tensors.items():
        _check(path, name, one, opened.places)

    def read(name: str, _: np.dtype[Any]) -> Array:
        try:
            return _read(path, tensors[name], opened)
        except DAMAGE as why:
            raise ModelFileError(f"{path}: {printable(name)} cannot be read ({why})") from why

    entries = {name: Entry.of(one.shape, one.dtype) for name, one in tensors.items()}
    return Parameters(f"{path} ({where})" if where else str(path), entries, read)


def _check(path: Path, name: str, one: Tensor, places: Mapping[str, _Place]) -> None:
    """Refuse a tensor whose storage the file does not have, or not all of it."""
    place = places.get(one.storage.key)
    width = 1 if one.storage.kind is None else one.dtype.itemsize
    needed = one.storage.whole * width
    if place is None:
        has = "is not in the file"
    elif place.nbytes < needed:
        has = f"has {place.nbytes:,} bytes in the file, its tensor says {needed:,}"
    else:
        return
    raise ModelFileError(f"{path}: storage {printable(one.storage.key)} of {printable(name)} {has}")


def _read(path: Path, one: Tensor, opened: _Opened) -> Array:
    """A tensor's values, from the first of its storage that it needs to the last."""
    if not one.span:
        return np.empty(one.shape, one.dtype)
    width = one.dtype.itemsize
    place, inside = opened.places[one.storage.key], one.storage.offset
    start = inside * (1 if one.storage.kind is None else width) + one.offset * width
    count = one.span * width
    with path.open("rb") as file:
        if place.packed is None:
            file.seek(place.start + start)
            data = file.read(count)
        else:
            key = one.storage.key
            if key not in opened.unpacked:
                opened.unpacked[key] = read_member(file, place.packed, MAX_BYTES)
            data = opened.unpacked[key][start : start + count]
    if len(data) != count:
        raise EOFError("the file ends before it")
    flat = np.frombuffer(data, f"u{width}")
    if opened.swapped:
        flat = flat.byteswap()
    if one.dtype.kind == "b":
        flat = (flat != 0).view(np.uint8)  # other bytes are no truth values to NumPy
    steps = tuple(step * width for step in one.strides)
    return np.ndarray(one.shape, one.dtype, flat, strides=steps)


# Zip archives, since 1.6.


def _zip(path: Path, file: BinaryIO) -> _Opened:
    with opened_zip(path) as archive:
        listed = archive.infolist()
    members = {member.filename: member for member in listed}
    if len(members) != len(listed):
        raise BadZipFile("two of its members have one name")
    program = _program(members)
    if program is not None:
        what, hint = program
        raise ModelFileError(f"{path}: is {what}, a program, which is not run", hint=hint)
    found = _pickles(members)
    if len(found) != 1:
        raise BadZipFile(f"it has {len(found)} data.pkl, expected one")
    root = found[0].removesuffix("data.pkl")
    stream = BytesIO(read_member(file, members[found[0]], MAX_PICKLE))
    value = read_pickle(stream, NAMES.__getitem__, recall_storage)
    order = _order(file, members.get(f"{root}byteorder"))
    folder = f"{root}data/"
    places = {
        name.removeprefix(folder): _member_place(file, member)
        for name, member in members.items()
        if name.startswith(folder) and not member.is_dir()
    }
    return _Opened(value, places, swapped=order == b"big")


def _order(file: BinaryIO, member: ZipInfo | None) -> bytes:
    order = b"little" if member is None else read_member(file, member, 16)
    if order not in (b"little", b"big"):
        raise PickleError(f"its order of bytes is {printable(order.decode('latin-1'))!r}")
    return order


def _member_place(file: BinaryIO, member: ZipInfo) -> _Place:
    packed = None if member.compress_type == ZIP_STORED else member
    return _Place(member_start(file, member), member.file_size, packed)


def _pickles(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.rpartition("/")[2] == "data.pkl"]


def _program(names: Collection[str]) -> tuple[str, str] | None:
    """What an archive is that holds a program, and how parameters come out of it."""
    inside = {name.partition("/")[2] for name in names}
    # A folder of that name alone may be anybody's.
    script = "constants.pkl" in inside or {"model.json", "version", "data.pkl"} & inside
    for name in names:
        inner = name.partition("/")[2] or name
        if inner == "constants.pkl" or (script and inner.startswith("code/")):
            return "TorchScript", (
                "Where PyTorch is and the network's Python, export that as ONNX: "
                "torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'model.onnx', "
                "dynamo=True). Parameters alone come out by "
                "torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pth')"
            )
        if inner in ("archive_format", "serialized_exported_program.json"):
            return "a program of torch.export", (
                "Where PyTorch is, its parameters come out by "
                "torch.save(dict(torch.export.load('model.pt2').state_dict), 'weights.pth')"
            )
        if inner == "bytecode.pkl":
            return "TorchScript for phones", f"Save its parameters where it was made: {_SAVE}"
        if inner in (".data/extern_modules", "extern_modules"):
            return "a torch.package", f"Save its parameters where it was made: {_SAVE}"
    return None


# One pickle after the other, before 1.6.


def _legacy(file: BinaryIO) -> _Opened:
    file.seek(0)
    if _plain(file) != PICKLE_MAGIC:
        raise PickleError("it does not begin as torch.save begins")
    if (version := _plain(file)) != _PROTOCOL:
        raise PickleError(f"it is of version {_shown(version)}, known is {_PROTOCOL}")
    _plain(file)  # Sizes on the machine that wrote it; the bytes of storages are the same on all.
    seen: dict[str, Storage] = {}
    value = read_pickle(file, NAMES.__getitem__, _noting(seen))
    keys = _plain(file, MAX_PICKLE)
    if type(keys) is not list or len(keys) > _MAX_STORAGES:
        raise PickleError("it has no list of storages")
    size = _size_of(file)
    places: dict[str, _Place] = {}
    for key in map(ascii_of, keys):
        storage = seen.get(key) if isinstance(key, str) else None
        if storage is None or not isinstance(key, str) or key in places:
            raise PickleError("its list of storages is not that of its tensors")
        places[key] = _counted_place(file, storage.kind, size)
        file.seek(places[key].nbytes, os.SEEK_CUR)
    return _Opened(value, places)


def _plain(file: BinaryIO, limit: int = 4096) -> object:
    return read_pickle(file, NAMES.__getitem__, limit=limit)


def _noting(seen: dict[str, Storage]) -> Callable[[object], Storage]:
    def recall(value: object) -> Storage:
        storage = recall_storage(value)
        first = seen.setdefault(storage.key, storage)
        if _width(first) != _width(storage) or first.whole != storage.whole:
            raise PickleError(f"storage {printable(storage.key)} has two sizes")
        return storage

    return recall


def _width(storage: Storage) -> int:
    return 1 if storage.kind is None else storage.kind.numbers().itemsize


def _counted_place(file: BinaryIO, kind: Any, size: int) -> _Place:
    """A storage that lies where the file stands: how many values, and the values."""
    head = file.read(8)
    if len(head) < 8:
        raise EOFError("it ends before its storages")
    (count,) = struct.unpack("<q", head)
    start = file.tell()
    nbytes = count * (1 if kind is None else kind.numbers().itemsize)
    if count < 0 or start + nbytes > size:
        raise EOFError(f"a storage of {count:,} values is not all in the file")
    return _Place(start, nbytes)


def _size_of(file: BinaryIO) -> int:
    here = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size


def _shown(value: object) -> str:
    return str(value) if type(value) is int else type(value).__name__


# Members of a tar archive, before 0.2.

_TAR_MEMBERS = ("storages", "tensors", "pickle")


def _tar(file: BinaryIO) -> _Opened:
    starts = _tar_starts(file)
    if missing := [name for name in _TAR_MEMBERS if name not in starts]:
        raise PickleError(f"it is a tar archive without {', '.join(missing)}")
    size = _size_of(file)
    places, storages = _tar_storages(file, starts["storages"], size)
    tensors = _tar_tensors(file, starts["tensors"], storages)

    def recall(value: object) -> object:
        key = ascii_of(value)
        known = tensors.get(str(key)) if type(key) in (str, int) else None
        if known is None:
            raise PickleError("it refers to something that is no tensor of it")
        return known

    file.seek(starts["pickle"])
    return _Opened(read_pickle(file, NAMES.__getitem__, recall), places)


def _tar_starts(file: BinaryIO) -> dict[str, int]:
    """Where members begin, by name."""
    import tarfile

    starts = {}
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            # Not all of them: what is no such archive could have any number of members.
            for _ in range(2 * len(_TAR_MEMBERS)):
                member = archive.next()
                if member is None:
                    break
                if member.isreg() and member.sparse is None:
                    starts[member.name.removeprefix("./")] = member.offset_data
    except tarfile.TarError as why:
        raise PickleError(f"its tar archive is damaged ({why})") from why
    return starts


def _tar_storages(
    file: BinaryIO, start: int, size: int
) -> tuple[dict[str, _Place], dict[str, Storage]]:
    file.seek(start)
    places: dict[str, _Place] = {}
    storages: dict[str, Storage] = {}
    for _ in range(_count(_plain(file))):
        value = _plain(file)
        if type(value) is not tuple or len(value) != 3 or not isinstance(value[2], StorageType):
            raise PickleError("it has a storage of a kind that is not known")
        key, kind = str(_number(value[0])), value[2].kind
        places[key] = _counted_place(file, kind, size)
        count = places[key].nbytes // (1 if kind is None else kind.numbers().itemsize)
        storages[key] = Storage(key, kind, 0, count, count)
        file.seek(places[key].nbytes, os.SEEK_CUR)
    views = _plain(file, MAX_PICKLE)
    if type(views) is not list:
        raise PickleError("it has no list of parts of storages")
    for view in views:
        if type(view) is not tuple or len(view) != 4:
            raise PickleError("it has a part of a storage that cannot be read")
        target, root, offset, count = (_number(one) for one in view)
        whole = storages.get(str(root))
        if whole is None or offset + count > whole.count:
            raise PickleError("it has a part of a storage that is not there")
        storages[str(target)] = Storage(whole.key, whole.kind, offset, count, whole.whole)
    return places, storages


def _tar_tensors(file: BinaryIO, start: int, storages: Mapping[str, Storage]) -> dict[str, Tensor]:
    file.seek(start)
    found: dict[str, Tensor] = {}
    for _ in range(_count(_plain(file))):
        value = _plain(file)
        if type(value) is not tuple or len(value) != 3:
            raise PickleError("it has a tensor that cannot be read")
        key, storage = str(_number(value[0])), storages.get(str(_number(value[1])))
        if storage is None or storage.kind is None:
            raise PickleError("it has a tensor without a storage")
        (axes,) = _numbers(file, "<i4x", 1)
        shape, strides = (_numbers(file, "<q", axes) for _ in range(2))
        (offset,) = _numbers(file, "<q", 1)
        try:
            found[key] = tensor(storage, storage.kind.numbers(), offset, shape, strides)
        except ValueError as why:
            raise PickleError(f"it has a tensor that does not fit ({why})") from why
    return found


def _numbers(file: BinaryIO, form: str, count: int) -> tuple[int, ...]:
    width = struct.calcsize(form)
    if not 0 <= count <= 32:
        raise PickleError(f"it has a tensor of {count} axes")
    data = file.read(width * count)
    if len(data) < width * count:
        raise EOFError("it ends before its tensors")
    return tuple(struct.unpack_from(form, data, width * place)[0] for place in range(count))


def _number(value: object) -> int:
    value = ascii_of(value)
    if type(value) is str and value.isdecimal() and len(value) < 20:
        value = int(value)
    try:
        return sizes((value,))[0]
    except ValueError as why:
        raise PickleError("it has something in place of a number") from why


def _count(value: object) -> int:
    count = _number(value)
    if count > _MAX_STORAGES:
        raise PickleError(f"it has {count:,} storages or tensors")
    return count


# What is refused, and what helps.


def _refused(path: Path, why: RefusedNameError) -> ModelFileError:
    """A name that is none of a tensor's: of a whole model, or of what stands beside the numbers."""
    name = why.name
    if name.startswith("ultralytics."):
        hint = f"Export it where Ultralytics is: yolo export format=onnx model={path.name}"
    elif why.outermost:
        hint = f"Save only its parameters, where that class is: {_SAVE}; or torch.onnx.export it."
    else:
        hint = f"Save only the parameters, where it was made: {_SAVE}"
    what = "a whole model, an object of" if why.outermost else "more than tensors; it names"
    return ModelFileError(
        f"{path}: holds {what} {name}, which is not opened because it can run any code", hint=hint
    )
