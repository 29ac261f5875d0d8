"""What a TensorFlow Lite file holds: tensors, operators, and the metadata that came with them.

Field numbers are those of TensorFlow's ``tensorflow/lite/schema/schema.fbs`` (version 3) and, for
the metadata, of ``tflite-support``'s ``metadata_schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.damage import LFS_POINTER, lfs_pointer
from twinlens.engine.formats.tflite.flatbuffer import Table
from twinlens.engine.layers.base import Array, Shape

MAX_BYTES = 2 << 30
MAX_NODES = 50_000
_MAX_TENSORS = 250_000
_MAX_RANK = 8
_MAX_INPUTS = 1_000

_DTYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    3: np.uint8,
    4: np.int64,
    6: np.bool_,
    7: np.int16,
    9: np.int8,
    10: np.float64,
}

# Names of the operators in the order of their codes, as far as errors need them.
_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
"""
_OPERATORS = _NAMES.split()
_LATER = {128: "CUMSUM", 130: "BROADCAST_TO", 150: "GELU", 152: "RELU_0_TO_1", 158: "SIGN"}
_CUSTOM = 32


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        index: its number.
        name: as the file has it; may be empty.
        shape: in the file's order (NHWC, OHWI ...).
        open_axes: axes whose size the file leaves open; ``shape`` has 1 there.
        dtype: element type; None for one that we cannot hold (strings, complex numbers).
        data: bytes of a constant; None for what is computed.
        scale: float32 scalar or one per slice of ``axis``; None where it is not quantised.
        zero_point: like ``scale``, int64.
        axis: axis of the slices.
        sparse: whether a constant is stored sparsely.
    """

    index: int
    name: str
    shape: Shape
    open_axes: tuple[int, ...]
    dtype: np.dtype[np.generic] | None
    data: Array | None
    scale: Array | None
    zero_point: Array | None
    axis: int
    sparse: bool


def channels_first(tensor: Tensor) -> bool:
    """Whether an input of four axes is (N, C, H, W); TensorFlow's own are (N, H, W, C)."""
    sizes = [None if axis in tensor.open_axes else n for axis, n in enumerate(tensor.shape)]
    return sizes[3] not in (1, 3, 4) and sizes[1] in (1, 3, 4)


@dataclass(frozen=True)
class Operation:
    """One operator in use.

    Attributes:
        kind: ``"CONV_2D"`` ...; ``"CUSTOM:Name"`` for one outside the standard set.
        inputs: tensor numbers; -1 for one that is left out.
        outputs: tensor numbers.
        options: its settings; None where it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class TFLiteFile:
    """A file's first subgraph.

    Attributes:
        title: what errors call it.
        description: text in the file.
        tensors: all of them.
        inputs: tensor numbers.
        outputs: tensor numbers.
        operations: in the order in which they run.
        metadata: blocks of bytes by name.
    """

    title: str
    description: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operations: tuple[Operation, ...]
    metadata: Mapping[str, bytes] = field(default_factory=dict)


def read_tflite(path: Path) -> TFLiteFile:
    """Read a TensorFlow Lite file.

    Raises:
        ModelFileError: missing, too large, or its contents contradict each other.
    """
    return parse_tflite(file_bytes(path, MAX_BYTES), path.name)


def file_bytes(path: Path, most: int) -> bytes:
    """A file's contents.

    Raises:
        ModelFileError: missing, unreadable, or larger than ``most`` bytes.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        size = path.stat().st_size
        if size > most:
            raise ModelFileError(f"{path} has {size:,} bytes; at most {most:,} can be read")
        data = path.read_bytes()
    except OSError as why:
        raise ModelFileError(f"{path} cannot be read: {why.strerror or why}") from why
    if data.startswith(LFS_POINTER):
        raise lfs_pointer(path)
    return data


def parse_tflite(data: bytes, title: str) -> TFLiteFile:
    """Read the contents of a TensorFlow Lite file; raises as ``read_tflite``."""
    root = Table.root(data, title)
    version = root.integer(0, "I")
    if version != 3:
        raise ModelFileError(f"{title}: schema version {version}; 3 is known")
    graphs = root.tables(2, 1_000)
    if not graphs:
        raise ModelFileError(f"{title}: has no network")
    main = graphs[0]
    buffers = root.tables(4, _MAX_TENSORS)
    tensors = tuple(
        _tensor(table, index, buffers, data, title)
        for index, table in enumerate(main.tables(0, _MAX_TENSORS))
    )
    kinds = [_kind(table) for table in root.tables(1, MAX_NODES)]
    operations = tuple(_operation(table, kinds, title) for table in main.tables(3, MAX_NODES))
    file = TFLiteFile(
        title=title,
        description=root.text(3),
        tensors=tensors,
        inputs=_numbers(main, 1, title),
        outputs=_numbers(main, 2, title),
        operations=operations,
        metadata=_metadata(root, buffers),
    )
    _check(file)
    return file


def _check(file: TFLiteFile) -> None:
    count = len(file.tensors)
    used = [*file.inputs, *file.outputs]
    for operation in file.operations:
        used += [*(i for i in operation.inputs if i != -1), *operation.outputs]
    for index in used:
        if not 0 <= index < count:
            raise ModelFileError(f"{file.title}: uses tensor {index} of {count}")


def _numbers(table: Table, number: int, title: str) -> tuple[int, ...]:
    array = table.array(number, np.int32)
    if array is None:
        return ()
    if array.size > _MAX_INPUTS:
        raise ModelFileError(f"{title}: {array.size:,} inputs or outputs; {_MAX_INPUTS} fit")
    return tuple(int(value) for value in array)


def _kind(table: Table) -> str:
    # Codes beyond 127 do not fit the older field, which then holds 127.
    code = max(table.integer(3, "i"), table.integer(0, "b"))
    if code == _CUSTOM:
        return f"CUSTOM:{table.text(1)}"
    return _OPERATORS[code] if 0 <= code < len(_OPERATORS) else _LATER.get(code, f"operator {code}")


def _operation(table: Table, kinds: list[str], title: str) -> Operation:
    code = table.integer(0, "I")
    if code >= len(kinds):
        raise ModelFileError(f"{title}: uses operator code {code} of {len(kinds)}")
    inputs, outputs = _numbers(table, 1, title), _numbers(table, 2, title)
    if not outputs:
        raise ModelFileError(f"{title}: an operator {kinds[code]} has no output")
    return Operation(kinds[code], inputs, outputs, table.table(4))


def _tensor(table: Table, index: int, buffers: list[Table], data: bytes, title: str) -> Tensor:
    shape = _shape(table, 0, title) or ()
    signature = _shape(table, 7, title)
    open_axes = tuple(at for at, size in enumerate(signature or ()) if size < 0)
    number = table.integer(2, "I")
    if number >= len(buffers):
        raise ModelFileError(f"{title}: tensor {index} is in buffer {number} of {len(buffers)}")
    code = table.integer(1, "b")
    dtype = np.dtype(_DTYPES[code]) if code in _DTYPES else None
    stored = _contents(buffers[number], data, title) if number else None
    scale, zero, axis = _quantization(table.table(4), shape, index, title)
    return Tensor(
        index=index,
        name=table.text(3),
        shape=shape,
        open_axes=open_axes,
        dtype=dtype,
        data=stored,
        scale=scale,
        zero_point=zero,
        axis=axis,
        sparse=table.table(6) is not None,
    )


def _shape(table: Table, number: int, title: str) -> Shape | None:
    array = table.array(number, np.int32)
    if array is None:
        return None
    if array.size > _MAX_RANK:
        raise ModelFileError(f"{title}: a tensor of {array.size} axes; {_MAX_RANK} fit")
    return tuple(int(size) for size in array)


def _contents(buffer: Table, data: bytes, title: str) -> Array | None:
    inside = buffer.array(0, np.uint8)
    if inside is not None and inside.size:
        return inside
    # Files of more than 2 GiB keep their data behind the tables.
    offset, size = buffer.integer(1, "Q"), buffer.integer(2, "Q")
    if offset <= 1:
        return None
    if offset + size > len(data):
        raise ModelFileError(f"{title}: a buffer ends at byte {offset + size:,} of {len(data):,}")
    return np.frombuffer(data, np.uint8, size, offset)


def _quantization(
    table: Table | None, shape: Shape, index: int, title: str
) -> tuple[Array | None, Array | None, int]:
    scale = None if table is None else table.array(2, np.float32)
    if table is None or scale is None or scale.size == 0:
        return None, None, 0
    zero = table.array(3, np.int64)
    axis = table.integer(6, "i")
    if zero is None or zero.size == 0:
        zero = np.zeros(scale.size, np.int64)
    if zero.size == 1 < scale.size:
        zero = np.full(scale.size, zero[0])
    fits = scale.size == 1 or (0 <= axis < len(shape) and shape[axis] == scale.size)
    if zero.size != scale.size or not fits:
        raise ModelFileError(
            f"{title}: tensor {index} of shape {shape} has {scale.size} scales and {zero.size} "
            f"zero points along axis {axis}"
        )
    if not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise ModelFileError(f"{title}: tensor {index} has scales that are not positive numbers")
    if scale.size == 1:
        return scale.reshape(()), zero.reshape(()), 0
    return scale, zero, axis


def _metadata(root: Table, buffers: list[Table]) -> dict[str, bytes]:
    found = {}
    for entry in root.tables(6, 1_000):
        number = entry.integer(1, "I")
        inside = buffers[number].array(0, np.uint8) if number < len(buffers) else None
        if inside is not None:
            found[entry.text(0)] = inside.tobytes()
    return found
