"""PyTorch's files, put together by hand: pickles operation by operation, without PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"f8": "Double", "f4": "Float", "f2": "Half", "bfloat16": "BFloat16", "i8": "Long"}
STORAGES |= {"i4": "Int", "i2": "Short", "i1": "Char", "u1": "Byte", "b1": "Bool"}


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def integers(values) -> bytes:
    return tuple_of(*map(integer, values))


def name(dotted: str) -> bytes:
    module, _, last = dotted.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def call(dotted: str, *given: bytes) -> bytes:
    return name(dotted) + tuple_of(*given) + b"R"


def table(**values: bytes) -> bytes:
    return items(values)


def items(values) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def ordered(values) -> bytes:
    """As a state dictionary is: an OrderedDict, with `_metadata` as an attribute."""
    metadata = table(_metadata=name("collections.OrderedDict") + b")R")
    filled = b"(" + b"".join(text(key) + value for key, value in values.items()) + b"u"
    return name("collections.OrderedDict") + b")R" + filled + metadata + b"b"


def pickled(body: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


def storage(key: str, kind: str, count: int, part: bytes = b"") -> bytes:
    kind = kind if "." in kind else f"torch.{kind}Storage"
    return (
        tuple_of(text("storage"), name(kind), text(key), text("cpu"), integer(count), part) + b"Q"
    )


def tensor(
    key: str, kind: str, count: int, shape, strides=None, offset: int = 0, part: bytes = b""
) -> bytes:
    """A view of storage `key`, which has `count` values."""
    if strides is None:
        strides = contiguous(shape)
    hooks = name("collections.OrderedDict") + b")R"
    given = (storage(key, kind, count, part), integer(offset), integers(shape), integers(strides))
    return call("torch._utils._rebuild_tensor_v2", *given, b"\x89", hooks)


def contiguous(shape):
    return [int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape))]


def stored(arrays, prefix: str = ""):
    """A pickle's values by name, and storages' bytes by key, of plain arrays."""
    values, storages = {}, {}
    for key, (title, array) in enumerate(arrays.items()):
        kind = STORAGES[array.dtype.name if array.dtype.kind == "V" else array.dtype.str[1:]]
        values[title] = tensor(f"{prefix}{key}", kind, array.size, array.shape)
        storages[f"{prefix}{key}"] = np.ascontiguousarray(array).tobytes()
    return values, storages


def zipped(
    body: bytes,
    storages=(),
    *,
    root: str = "archive",
    members=(),
    packed: bool = False,
    order: str | None = "little",
) -> bytes:
    """The archive that torch.save writes since 1.6."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(f"{root}/data.pkl", pickled(body))
        if order is not None:
            archive.writestr(f"{root}/byteorder", order)
        for key, data in dict(storages).items():
            archive.writestr(f"{root}/data/{key}", data)
        archive.writestr(f"{root}/version", "3\n")
        for key, data in dict(members).items():
            archive.writestr(f"{root}/{key}", data)
    return buffer.getvalue()


def legacy(body: bytes, storages=(), widths=None, *, protocol: int = 2) -> bytes:
    """What it wrote before: pickles, and storages after them. `widths`: bytes of a value, or 4."""
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(one, protocol) for one in (MAGIC, 1001, sizes)]
    keys = sorted(dict(storages))
    parts += [pickled(body), pickle.dumps(keys, protocol)]
    for key in keys:
        data = dict(storages)[key]
        parts += [struct.pack("<q", len(data) // (widths or {}).get(key, 4)), data]
    return b"".join(parts)


def tarred(arrays, views=()) -> bytes:
    """What it wrote at first, of float32. `views`: name, array's, offset, shape, strides."""
    storages, tensors, values = pickle.dumps(len(arrays), 2), b"", {}
    count = 0
    places = list(arrays)
    all_views = [(title, title, 0, a.shape, contiguous(a.shape)) for title, a in arrays.items()]
    for key, array in enumerate(arrays.values()):
        head = tuple_of(integer(key), text("cpu"), name("torch.FloatStorage"))
        data = array.astype("<f4").tobytes()
        storages += pickled(head) + struct.pack("<q", array.size) + data
    storages += pickle.dumps([], 2)
    for title, of, offset, shape, strides in [*all_views, *views]:
        key = 1000 + count
        count += 1
        head = tuple_of(integer(key), integer(places.index(of)), name("torch.FloatTensor"))
        tensors += pickled(head) + struct.pack("<i4x", len(shape))
        tensors += struct.pack(f"<{2 * len(shape) + 1}q", *shape, *strides, offset)
        values[title] = integer(key) + b"Q"
    files = {"sys_info": pickle.dumps({}, 2), "storages": storages}
    files |= {"tensors": pickle.dumps(count, 2) + tensors, "pickle": pickled(ordered(values))}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        for title, data in files.items():
            info = tarfile.TarInfo(title)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
