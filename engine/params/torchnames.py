"""What the names in PyTorch's files stand for here: tensors, storages and plain containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from twinlens.engine.layers import Shape
from twinlens.engine.params.pickles import Items, Maker, PickleError, Table, printable

_NUMPY = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
_MAX_AXES = 32
_MAX_SIZE = 1 << 62
_MAX_KEY = 512
# A tensor may repeat a few numbers (`expand`), but not until they fill the memory.
_MAX_REPEATED = 1 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """Type of a tensor's values; `dtype` is NumPy's name, None where it has none."""

    name: str
    dtype: str | None

    def numbers(self) -> np.dtype[np.generic]:
        """The type, as NumPy has it.

        Raises:
            PickleError: NumPy has none.
        """
        if self.dtype is None:
            raise PickleError(f"it holds {self.name}, which are not plain numbers")
        if self.dtype in _NUMPY:
            return np.dtype(self.dtype)
        # Late: every start of the app reads tensors, hardly any of them of such numbers.
        import ml_dtypes

        kind: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, self.dtype))
        return kind


@dataclass(frozen=True, eq=False, slots=True)
class Other:
    """What is known, and no tensor: a device, a single number of NumPy's."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """A run of numbers, elsewhere in the file.

    Attributes:
        key: what it is called there.
        kind: its type; None for one of bytes, whose type the tensors say.
        offset: its first value, counted in values, where it is part of a longer one.
        count: values, or bytes.
        whole: values, or bytes, of the one that is in the file.
    """

    key: str
    kind: Kind | None
    offset: int
    count: int
    whole: int


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A view of a storage; offset and strides are in values."""

    storage: Storage
    dtype: np.dtype[np.generic]
    offset: int
    shape: Shape
    strides: Shape

    @property
    def span(self) -> int:
        """Values from the first to the last, both included; 0 without values."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps)


_TYPES: Mapping[str, str | None] = {
    "float64": "f8",
    "double": "f8",
    "float32": "f4",
    "float": "f4",
    "float16": "f2",
    "half": "f2",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e5m2": "float8_e5m2",
    "int64": "i8",
    "long": "i8",
    "int32": "i4",
    "int": "i4",
    "int16": "i2",
    "short": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "?",
    **dict.fromkeys(("complex32", "complex64", "complex128", "cfloat", "cdouble", "chalf")),
    **dict.fromkeys(("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")),
    **dict.fromkeys(("qint8", "quint8", "qint32", "quint4x2", "quint2x4")),
}
_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}


@dataclass(frozen=True, eq=False, slots=True)
class StorageType:
    """The class of a storage; without a kind, one of bytes."""

    kind: Kind | None


# Called by files, and refused by what they are, which says more than a name.
_NO_NUMBERS = {
    "_rebuild_qtensor": "a quantised tensor",
    "_rebuild_sparse_tensor": "a sparse tensor",
    "_rebuild_sparse_csr_tensor": "a sparse tensor",
    "_rebuild_nested_tensor": "a nested tensor",
    "_rebuild_meta_tensor_no_storage": "a tensor without numbers (device 'meta')",
    "_rebuild_wrapper_subclass": "a tensor that wraps others",
    "_rebuild_device_tensor_from_numpy": "a tensor as an array of NumPy's",
}


def rebuild(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """``torch._utils._rebuild_tensor``, and ``_v2``, whose further arguments change no value."""
    kind = storage.kind if isinstance(storage, Storage) else None
    if kind is None:
        raise ValueError("a storage with a type is expected")
    return tensor(storage, kind.numbers(), offset, size, stride)


def _rebuild_v3(
    storage: object, offset: object, size: object, stride: object, _: object, __: object,
    dtype: object, *___: object
) -> Tensor:  # fmt: skip
    """The same of bytes, with the type beside them."""
    if not isinstance(dtype, Kind):
        raise ValueError("a type is expected")
    return tensor(storage, dtype.numbers(), offset, size, stride)


def tensor(
    storage: object, dtype: np.dtype[np.generic], offset: object, size: object, stride: object
) -> Tensor:
    """A view of a storage that stays inside it.

    Raises:
        ValueError: it does not, or a size is none.
    """
    if not isinstance(storage, Storage):
        raise ValueError("a storage is expected")
    (start,), shape, strides = sizes((offset,)), sizes(size), sizes(stride)
    if len(shape) != len(strides):
        raise ValueError(f"{len(shape)} sizes and {len(strides)} strides")
    view = Tensor(storage, dtype, start, shape, strides)
    has = storage.count
    if storage.kind is None:
        has //= dtype.itemsize
    elif storage.kind.numbers().itemsize != dtype.itemsize:
        raise ValueError("its type is not its storage's")
    if view.span and start + view.span > has:
        raise ValueError(f"a tensor ends at {start + view.span:,}, its storage at {has:,}")
    if prod(shape) > max(has, _MAX_REPEATED // dtype.itemsize):
        raise ValueError(f"a tensor repeats {has:,} values {prod(shape):,} times")
    return view


def sizes(values: object) -> Shape:
    """Plain sizes of axes.

    Raises:
        ValueError: they are none.
    """
    if type(values) not in (tuple, list) or len(values) > _MAX_AXES:  # type: ignore[arg-type]
        raise ValueError(f"up to {_MAX_AXES} sizes are expected")
    found = []
    for value in values:  # type: ignore[attr-defined]
        if type(value) is not int or not 0 <= value < _MAX_SIZE:
            raise ValueError("a size is expected")
        found.append(value)
    return tuple(found)


def _parameter(data: object, *_: object) -> Tensor:
    """``_rebuild_parameter``: a tensor that is trained."""
    if not isinstance(data, Tensor):
        raise ValueError("a tensor is expected")
    return data


def _of_type(maker: object, kind: object, given: object, *_: object) -> object:
    """``_rebuild_from_type_v2``: a tensor with attributes."""
    if not isinstance(maker, Maker) or not isinstance(kind, Other) or type(given) is not tuple:
        raise ValueError("a way to make a tensor is expected")
    if maker.make not in (rebuild, _rebuild_v3, _parameter):
        raise ValueError("a way to make a tensor is expected")
    return maker.make(*given)


def _no_numbers(what: str) -> Maker:
    def refuse(*_: object) -> object:
        raise PickleError(f"it holds {what}, which is not read")

    return Maker(what, refuse)


def _table(pairs: object = None) -> Table:
    """``OrderedDict`` and its like; Python 2 gives it a list of pairs."""
    if pairs is None:
        return Table()
    if isinstance(pairs, Table):
        return Table(list(pairs.pairs))
    if type(pairs) is not list:
        raise ValueError("pairs are expected")
    found = []
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise ValueError("pairs are expected")
        found.append((pair[0], pair[1]))
    return Table(found)


def _items(values: object = ()) -> Items:
    if type(values) not in (list, tuple):
        raise ValueError("a list is expected")
    return Items(list(values))  # type: ignore[call-overload]


def _bytes(text: object = "", encoding: object = "latin1") -> bytes:
    """Protocol 2's way to write bytes."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("text as latin-1 is expected")
    return text.encode("latin-1")


def _size(values: object = ()) -> tuple[int, ...]:
    return sizes(values)


def _other(name: str) -> Maker:
    return Maker(name, lambda *_: Other(name))


def _known() -> dict[str, object]:
    known: dict[str, object] = {
        "torch.Size": Maker("torch.Size", _size),
        "torch.Tensor": Other("torch.Tensor"),
        "torch.nn.parameter.Parameter": Other("torch.nn.parameter.Parameter"),
        "torch.nn.parameter.Buffer": Other("torch.nn.parameter.Buffer"),
        "torch._tensor._rebuild_from_type_v2": Maker("_rebuild_from_type_v2", _of_type),
        "_codecs.encode": Maker("encode", _bytes),
    }
    makers: dict[str, Callable[..., object]]
    makers = {"_rebuild_tensor": rebuild, "_rebuild_tensor_v2": rebuild}
    makers |= {"_rebuild_tensor_v3": _rebuild_v3}
    makers |= {"_rebuild_parameter": _parameter, "_rebuild_parameter_with_state": _parameter}
    known |= {f"torch._utils.{name}": Maker(name, make) for name, make in makers.items()}
    for name, what in _NO_NUMBERS.items():
        known[f"torch._utils.{name}"] = _no_numbers(what)
    for name in ("OrderedDict", "Counter"):
        known[f"collections.{name}"] = Maker(name, _table)
    for module in ("builtins", "__builtin__"):
        known |= {f"{module}.{name}": Maker(name, _items) for name in ("set", "frozenset")}
        known[f"{module}.bytearray"] = Maker("bytearray", _bytes)
        known[f"{module}.complex"] = _other("complex")
    for name in ("torch.device", "torch.serialization._get_layout", "numpy.dtype"):
        known[name] = _other(name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[f"{module}.scalar"] = _other("numpy scalar")
    for name, dtype in _TYPES.items():
        known[f"torch.{name}"] = Kind(name, dtype)
    for name, kind in _STORAGES.items():
        for module in ("torch", "torch.cuda"):
            known[f"{module}.{name}Storage"] = StorageType(Kind(kind, _TYPES[kind]))
            known[f"{module}.{name}Tensor"] = Other(f"{name}Tensor")
    for name in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        known[name] = StorageType(None)
    return known


NAMES: Mapping[str, object] = _known()
"""By the dotted name."""


def ascii_of(text: object) -> object:
    """Python 2 has bytes where 3 has text."""
    return text.decode("latin-1") if type(text) is bytes else text


def recall_storage(value: object) -> Storage:
    """The storage that a persistent id speaks of: ``("storage", class, key, device, count)``,
    behind which older files have what part of a longer one it is.

    Raises:
        PickleError: it speaks of something else.
    """
    if (
        type(value) is not tuple
        or len(value) not in (5, 6)
        or value[0] not in ("storage", b"storage")
    ):
        raise PickleError("it refers to something that is no storage")
    _, kind, key, _, count, *part = value
    key = ascii_of(key)
    if not isinstance(kind, StorageType) or type(key) is not str or len(key) > _MAX_KEY:
        raise PickleError("it refers to a storage of a kind that is not known")
    try:
        (whole,) = sizes((count,))
        if not part or part[0] is None:
            return Storage(key, kind.kind, 0, whole, whole)
        if type(part[0]) is not tuple or len(part[0]) != 3:
            raise ValueError("a part of a storage is expected")
        offset, size = sizes(part[0][1:])
        if offset + size > whole:
            raise ValueError(f"a part ends at {offset + size:,}, its storage at {whole:,}")
    except ValueError as why:
        raise PickleError(f"storage {printable(key)!r} is of no size ({why})") from why
    return Storage(key, kind.kind, offset, size, whole)
