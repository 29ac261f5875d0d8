"""Small TensorFlow Lite files, written field by field from the schema's numbers."""

from __future__ import annotations

import flatbuffers
import numpy as np

TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
}
CODES = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEQUANTIZE": 6,
    "FLOOR": 8,
    "FULLY_CONNECTED": 9,
    "L2_NORMALIZATION": 11,
    "LOGISTIC": 14,
    "MAX_POOL_2D": 17,
    "MUL": 18,
    "RELU": 19,
    "RELU_N1_TO_1": 20,
    "RELU6": 21,
    "RESHAPE": 22,
    "RESIZE_BILINEAR": 23,
    "SOFTMAX": 25,
    "TANH": 28,
    "CUSTOM": 32,
    "PAD": 34,
    "TRANSPOSE": 39,
    "MEAN": 40,
    "SUB": 41,
    "DIV": 42,
    "SQUEEZE": 43,
    "EXP": 47,
    "LOG_SOFTMAX": 50,
    "PRELU": 54,
    "MAXIMUM": 55,
    "MINIMUM": 57,
    "ARG_MAX": 56,
    "NEG": 59,
    "PADV2": 60,
    "LOG": 73,
    "SUM": 74,
    "EXPAND_DIMS": 70,
    "COS": 108,
    "SHAPE": 77,
    "RESIZE_NEAREST_NEIGHBOR": 97,
    "LEAKY_RELU": 98,
    "MIRROR_PAD": 100,
    "ELU": 111,
    "QUANTIZE": 114,
    "HARD_SWISH": 117,
    "GELU": 150,
    "DEPTH_TO_SPACE": 5,
    "LOCAL_RESPONSE_NORMALIZATION": 13,
    "SPACE_TO_DEPTH": 26,
    "GATHER": 36,
    "BATCH_TO_SPACE_ND": 37,
    "SPACE_TO_BATCH_ND": 38,
    "STRIDED_SLICE": 45,
    "SPLIT": 49,
    "CAST": 53,
    "LESS": 58,
    "GREATER": 61,
    "GREATER_EQUAL": 62,
    "LESS_EQUAL": 63,
    "SELECT": 64,
    "SLICE": 65,
    "SIN": 66,
    "TRANSPOSE_CONV": 67,
    "TILE": 69,
    "EQUAL": 71,
    "NOT_EQUAL": 72,
    "SQRT": 75,
    "RSQRT": 76,
    "POW": 78,
    "ARG_MIN": 79,
    "REDUCE_PROD": 81,
    "REDUCE_MAX": 82,
    "PACK": 83,
    "LOGICAL_OR": 84,
    "LOGICAL_AND": 86,
    "LOGICAL_NOT": 87,
    "UNPACK": 88,
    "REDUCE_MIN": 89,
    "FLOOR_DIV": 90,
    "SQUARE": 92,
    "ZEROS_LIKE": 93,
    "FILL": 94,
    "FLOOR_MOD": 95,
    "SQUARED_DIFFERENCE": 99,
    "ABS": 101,
    "SPLIT_V": 102,
    "CEIL": 104,
    "REVERSE_V2": 105,
    "ADD_N": 106,
    "GATHER_ND": 107,
    "RANK": 110,
    "MATRIX_DIAG": 113,
    "ROUND": 116,
    "SELECT_V2": 123,
    "BATCH_MATMUL": 126,
    "CUMSUM": 128,
    "BROADCAST_TO": 130,
    "SIGN": 158,
}
VERSIONS = {"BROADCAST_TO": 2}
# Number of each operator's table in the union of options.
OPTIONS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
    "FULLY_CONNECTED": 8,
    "SOFTMAX": 9,
    "CONCATENATION": 10,
    "ADD": 11,
    "RESIZE_BILINEAR": 15,
    "RESHAPE": 17,
    "MUL": 21,
    "PAD": 22,
    "TRANSPOSE": 26,
    "MEAN": 27,
    "SUB": 28,
    "DIV": 29,
    "SQUEEZE": 30,
    "MAXIMUM": 39,
    "MINIMUM": 39,
    "RESIZE_NEAREST_NEIGHBOR": 74,
    "LEAKY_RELU": 75,
    "MIRROR_PAD": 77,
    "HARD_SWISH": 91,
    "GELU": 116,
    "L2_NORMALIZATION": 12,
    "LOCAL_RESPONSE_NORMALIZATION": 13,
    "SPACE_TO_DEPTH": 19,
    "GATHER": 23,
    "BATCH_TO_SPACE_ND": 24,
    "SPACE_TO_BATCH_ND": 25,
    "SUM": 27,
    "REDUCE_MAX": 27,
    "REDUCE_MIN": 27,
    "REDUCE_PROD": 27,
    "STRIDED_SLICE": 32,
    "SPLIT": 35,
    "CAST": 37,
    "ARG_MAX": 40,
    "TRANSPOSE_CONV": 49,
    "ARG_MIN": 57,
    "PACK": 59,
    "UNPACK": 64,
    "SPLIT_V": 79,
    "DEPTH_TO_SPACE": 94,
    "BATCH_MATMUL": 101,
    "CUMSUM": 102,
    "SHAPE": 55,
}
_SCALARS = {
    "b": "PrependInt8Slot",
    "B": "PrependUint8Slot",
    "i": "PrependInt32Slot",
    "I": "PrependUint32Slot",
    "f": "PrependFloat32Slot",
    "Q": "PrependUint64Slot",
}


class File:
    """Tensors and operators in the order in which they are added."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)
        self.tensors, self.operators, self.codes, self.metadata = [], [], [], []
        self.buffers = [_table(self.builder, {})]
        self.inputs, self.outputs = [], []

    def tensor(self, name, shape, dtype="float32", data=None, **quantization):
        """Add a tensor; give ``scale``, ``zero`` and ``axis`` for integers."""
        b = self.builder
        number = 0 if data is None else self.buffer(np.asarray(data, dtype).tobytes())
        fields = {
            0: ("o", _vector(b, np.asarray(shape, np.int32))),
            1: ("b", TYPES[dtype]),
            2: ("I", number),
            3: ("o", b.CreateString(name)),
        }
        if "scale" in quantization:
            scale = np.atleast_1d(np.asarray(quantization["scale"], np.float32))
            zero = np.atleast_1d(np.asarray(quantization.get("zero", 0), np.int64))
            inner = {
                2: ("o", _vector(b, scale)),
                3: ("o", _vector(b, zero)),
                6: ("i", quantization.get("axis", 0)),
            }
            fields[4] = ("o", _table(b, inner))
        if "signature" in quantization:
            fields[7] = ("o", _vector(b, np.asarray(quantization["signature"], np.int32)))
        self.tensors.append(_table(b, fields))
        return len(self.tensors) - 1

    def buffer(self, data):
        """Add bytes; return the buffer's number."""
        vector = _vector(self.builder, np.frombuffer(data, np.uint8))
        self.buffers.append(_table(self.builder, {0: ("o", vector)}))
        return len(self.buffers) - 1

    def operator(self, kind, inputs, outputs, options=None):
        """Add an operator; options are {field: (form, value)}, arrays as value for vectors."""
        b = self.builder
        if kind not in self.codes:
            self.codes.append(kind)
        fields = {
            0: ("I", self.codes.index(kind)),
            1: ("o", _vector(b, np.asarray(inputs, np.int32))),
            2: ("o", _vector(b, np.asarray(outputs, np.int32))),
        }
        if kind in OPTIONS:
            inner = {
                field: ("o", _vector(b, value)) if isinstance(value, np.ndarray) else value
                for field, value in (options or {}).items()
            }
            fields[4] = ("o", _table(b, inner))
            fields[3] = ("B", OPTIONS[kind])
        self.operators.append(_table(b, fields))

    def bytes(self, inputs, outputs):
        """The finished file."""
        b = self.builder
        codes = []
        for kind in self.codes:
            name, _, custom = kind.partition(":")
            fields = {0: ("b", min(CODES[name], 127)), 2: ("i", VERSIONS.get(name, 1))}
            fields[3] = ("i", CODES[name])
            if custom:
                fields[1] = ("o", b.CreateString(custom))
            codes.append(_table(b, fields))
        graph = {
            0: ("o", _tables(b, self.tensors)),
            1: ("o", _vector(b, np.asarray(inputs, np.int32))),
            2: ("o", _vector(b, np.asarray(outputs, np.int32))),
            3: ("o", _tables(b, self.operators)),
        }
        metadata = [
            _table(b, {0: ("o", b.CreateString(name)), 1: ("I", self.buffer(data))})
            for name, data in self.metadata
        ]
        root = {
            0: ("I", 3),
            1: ("o", _tables(b, codes)),
            2: ("o", _tables(b, [_table(b, graph)])),
            3: ("o", b.CreateString("made for a test")),
            4: ("o", _tables(b, self.buffers)),
            6: ("o", _tables(b, metadata)),
        }
        b.Finish(_table(b, root), file_identifier=b"TFL3")
        return bytes(b.Output())


def metadata(mean=None, std=None, labels=None):
    """The metadata block of a network: normalisation of its input, label file of its output."""
    b = flatbuffers.Builder(256)
    entering, leaving = {}, {}
    if mean is not None:
        options = {
            0: ("o", _vector(b, np.asarray(mean, np.float32))),
            1: ("o", _vector(b, np.asarray(std, np.float32))),
        }
        unit = _table(b, {0: ("B", 1), 1: ("o", _table(b, options))})
        entering[4] = ("o", _tables(b, [unit]))
    if labels is not None:
        file = _table(b, {0: ("o", b.CreateString(labels)), 2: ("b", 2)})
        leaving[6] = ("o", _tables(b, [file]))
    graph = {
        2: ("o", _tables(b, [_table(b, entering)])),
        3: ("o", _tables(b, [_table(b, leaving)])),
    }
    b.Finish(_table(b, {3: ("o", _tables(b, [_table(b, graph)]))}), file_identifier=b"M001")
    return bytes(b.Output())


def classifier(dtype="float32", norm=None, names=None, signature=None):
    """Bytes of a small classifier of 8×8 pixels and 6 classes, random weights."""
    file = File()
    rng = np.random.default_rng(3)
    quantized = {"scale": 1 / 128, "zero": 0 if dtype == "int8" else 128}
    extra = quantized if dtype != "float32" else {}
    if signature:
        extra["signature"] = signature
    x = file.tensor("x", (1, 8, 8, 3), dtype, **extra)
    v = file.tensor("v", (1, 8, 8, 3))
    m, d, y = file.tensor("m", (1, 3)), file.tensor("d", (1, 6)), file.tensor("y", (1, 6))
    axes = file.tensor("axes", (2,), "int32", [1, 2])
    w = file.tensor("w", (6, 3), data=rng.uniform(-1, 1, (6, 3)))
    file.operator("DEQUANTIZE", [x], [v])
    file.operator("MEAN", [v, axes], [m], {0: ("B", 0)})
    file.operator("FULLY_CONNECTED", [m, w, -1], [d], {0: ("b", 0), 1: ("b", 0), 2: ("B", 0)})
    file.operator("SOFTMAX", [d], [y], {0: ("f", 1.0)})
    if norm or names:
        block = metadata(*(norm or (None, None)), labels=names)
        file.metadata.append(("TFLITE_METADATA", block))
    return file.bytes([x], [y])


def _table(b, fields):
    b.ForceDefaults(True)
    b.StartObject(max(fields, default=-1) + 1)
    for slot, (form, value) in sorted(fields.items()):
        if form == "o":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(b, _SCALARS[form])(slot, value, 0)
    return b.EndObject()


def _tables(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _vector(b, array):
    return b.CreateNumpyVector(array)
